//! What is done about sessions in every pass, whatever else it is about: those that nobody needs any more are let go.

use std::time::Duration;

use jiff::Timestamp;
use tracing::debug;

use super::Context;
use super::entries;
use super::observe::Observed;
use super::report::Outcome;
use super::sessions;
use crate::minting::Wish;

/// How soon an object is looked at again of whose sessions one is still to be let go.
const AFTER_HOUSEWORK: Duration = Duration::from_secs(1);

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
            debug!(why = failure.message, "sessions are looked at again");
            (None, soon)
        }
    }
}

/// The end of an object that has sessions: they are revoked, or written down for later, and then it may go.
pub async fn part(observed: &Observed, context: &Context) -> (Outcome, Option<Timestamp>) {
    let parting = entries::parting(observed);
    let outcome = match sessions::keep_house(observed, Wish::Keep, Some(parting), context).await {
        Ok(_) => Outcome::Parting(entries::hand_over_time(observed)),
        Err(failure) => Outcome::Failed(failure),
    };
    (outcome, observed.now.checked_add(AFTER_HOUSEWORK).ok())
}
