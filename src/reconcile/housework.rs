//! What is done about sessions in every pass, whatever else it is about: those that nobody needs any more are let go.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, warn};

use super::Context;
use super::entries;
use super::observe::Observed;
use super::report::Outcome;
use super::sessions;
use super::share;
use crate::api::Reason;
use crate::cluster::Key;
use crate::minting::Wish;
use crate::schedule::backoff;

/// How soon an object is looked at again of whose sessions one is still to be let go.
const AFTER_HOUSEWORK: Duration = Duration::from_secs(1);

/// How often in a row it failed, by UID of the object.
#[derive(Default)]
pub struct Housework {
    failures: Mutex<HashMap<String, u32>>,
}

impl Housework {
    /// It failed. Tells how often it had before.
    fn failed(&self, uid: &str) -> u32 {
        let mut failures = self.lock();
        let count = failures.entry(uid.into()).or_default();
        let before = *count;
        *count = before.saturating_add(1);
        before
    }

    /// It went well, or the object is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets go the sessions that nobody needs any more. Returns the world after that, if anything was done, and when to look again, if something
/// is left to do. That it failed is no reason not to go on.
pub async fn keep_house(
    observed: &Observed,
    wish: Wish,
    context: &Context,
) -> (Option<Observed>, Option<Timestamp>) {
    let soon = observed.now.checked_add(AFTER_HOUSEWORK).ok();
    let failure = match sessions::keep_house(observed, wish, None, context).await {
        Ok(kept) => {
            context.housework.forget(observed.uid());
            let is_left = |kept: &Observed| !kept.tended.deferred.is_empty();
            let soon = soon.filter(|_| kept.as_ref().is_some_and(is_left));
            return (kept, soon);
        }
        Err(failure) => failure,
    };
    let attempts = context.housework.failed(observed.uid());
    let (why, Key { namespace, name }) = (failure.message, Key::of(&observed.object.metadata));
    let what = "sessions that nobody needs stay for now";
    if attempts > 0 || failure.reason == Reason::KubernetesUnavailable {
        debug!(namespace, name, why, "{what}");
    } else {
        warn!(namespace, name, why, "{what}");
    }
    // What somebody else changed meanwhile comes by the watch before that.
    let pause = backoff(attempts, observed.uid());
    (None, observed.now.checked_add(pause).ok())
}

/// The end of an object that has keys in a Secret of others, or sessions: the keys are taken out first, so that no session can be committed there any more, and
/// then the sessions are revoked, or written down for later, and it may go.
pub async fn part(observed: &Observed, context: &Context) -> (Outcome, Option<Timestamp>) {
    let parting = entries::parting(observed);
    let observed = match share::part(observed, context).await {
        Ok(observed) => observed,
        Err(failure) => return (Outcome::Failed(failure), entries::hand_over_time(observed)),
    };
    let observed = &observed;
    match sessions::keep_house(observed, Wish::Keep, Some(parting), context).await {
        Ok(_) => (
            Outcome::Parting(entries::hand_over_time(observed)),
            observed.now.checked_add(AFTER_HOUSEWORK).ok(),
        ),
        // A failure has pauses of its own.
        Err(failure) => (Outcome::Failed(failure), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_for_each_object_until_one_try_goes_well() {
        let housework = Housework::default();
        let failed = ["a", "a", "b", "a"].map(|uid| housework.failed(uid));
        assert_eq!(failed, [0, 1, 0, 2]);
        housework.forget("a");
        assert_eq!((housework.failed("a"), housework.failed("b")), (0, 1));
    }
}
