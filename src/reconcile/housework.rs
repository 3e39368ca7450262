//! What is done about sessions in every pass, whatever else it is about: those that nobody needs any more are let go.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, warn};

use super::Context;
use super::entries;
use super::observe::Observed;
use super::report::Outcome;
use super::sessions;
use crate::api::Reason;
use crate::cluster::Key;
use crate::minting::Wish;

/// How soon an object is looked at again of whose sessions one is still to be let go.
const AFTER_HOUSEWORK: Duration = Duration::from_secs(1);

/// The same when it failed. What somebody else changed meanwhile comes by the watch before that.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Lets go the sessions that nobody needs any more. Returns the world after that, if anything was done, and when to look again, if something
/// is left to do. That it failed is no reason not to go on.
pub async fn keep_house(
    observed: &Observed,
    wish: Wish,
    context: &Context,
) -> (Option<Observed>, Option<Timestamp>) {
    let soon = observed.now.checked_add(AFTER_HOUSEWORK).ok();
    match sessions::keep_house(observed, wish, None, context).await {
        Ok(None) => (None, None),
        Ok(Some(kept)) if kept.tended.deferred.is_empty() => (Some(kept), None),
        Ok(Some(kept)) => (Some(kept), soon),
        Err(failure) => {
            let why = failure.message;
            if failure.reason == Reason::KubernetesUnavailable {
                debug!(why, "sessions are looked at again");
            } else {
                let Key { namespace, name } = Key::of(&observed.object.metadata);
                warn!(
                    namespace,
                    name, why, "sessions that nobody needs stay for now"
                );
            }
            (None, observed.now.checked_add(AFTER_FAILURE).ok())
        }
    }
}

/// The end of an object that has sessions: they are revoked, or written down for later, and then it may go.
pub async fn part(observed: &Observed, context: &Context) -> (Outcome, Option<Timestamp>) {
    let parting = entries::parting(observed);
    match sessions::keep_house(observed, Wish::Keep, Some(parting), context).await {
        Ok(_) => (
            Outcome::Parting(entries::hand_over_time(observed)),
            observed.now.checked_add(AFTER_HOUSEWORK).ok(),
        ),
        // A failure has pauses of its own.
        Err(failure) => (Outcome::Failed(failure), None),
    }
}
