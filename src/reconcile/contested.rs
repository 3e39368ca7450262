//! Before step 3: a Secret that others share, and in which they have set what we would. They may write it as often as they like: that is another attempt only if it may
//! end otherwise, or after a pause that grows.

use jiff::Timestamp;

use super::failure::Failure;
use super::memory::Failed;
use super::observe::Observed;
use super::world::World;
use crate::schedule;

/// Whether an attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Nothing is contested, or something has changed that may have ended that, or it is time for a try.
    Now,
    /// Not before that time; `None`: not before something changes.
    Later(Option<Timestamp>),
}

/// Decides.
pub fn attempt(observed: &Observed) -> Attempt {
    let Some(failed) = &observed.memory.failed else {
        return Attempt::Now;
    };
    let clock_set_back = failed.at > observed.now;
    if !goes_on(failed, observed) || observed.memory.is_nudged() || clock_set_back {
        return Attempt::Now;
    }
    let until = if failed.world == observed.world() {
        failed.retry_at
    } else {
        // Whoever has set it may have set it to our value, which nothing but a try tells.
        let pause = schedule::backoff(failed.attempts, observed.uid());
        let later = failed.at.checked_add(pause).ok();
        later.into_iter().chain(failed.retry_at).min()
    };
    match until {
        Some(time) if time <= observed.now => Attempt::Now,
        until => Attempt::Later(until),
    }
}

/// Whether that attempt failed over fields that others have set, and they still have: nothing else is as it was not, but for other fields of the Secret.
pub fn goes_on(failed: &Failed, observed: &Observed) -> bool {
    let world = observed.world();
    let uid = |world: &World| world.target.as_ref().map(|(uid, _)| uid.clone());
    let same_secret = uid(&world) == uid(&failed.world);
    let rest = World {
        target: failed.world.target.clone(),
        ..world
    };
    !failed.failure.contested.is_empty()
        && same_secret
        && rest == failed.world
        && failed.setters == setters(observed, &failed.failure)
}

/// Who has set what the failure tells that others have set, as a hash.
pub fn setters(observed: &Observed, failure: &Failure) -> u64 {
    let target = observed.target.as_deref();
    target.map_or(0, |secret| secret.setters.of_fields(&failure.contested))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::api::Reason;
    use crate::cluster::managed_fields::Setters;
    use crate::cluster::write_error::Taken;
    use crate::reconcile::conflicts;
    use crate::reconcile::fixture::{self, NOW, at};
    use crate::reconcile::report::{Outcome, report};

    /// Who has set the keys of a Secret that nobody else has anything in.
    fn set(hands: &[(&str, &[&str])]) -> Setters {
        let entries = hands.iter().map(|(manager, keys)| {
            let fields = keys.iter().map(|key| (format!("f:{key}"), json!({})));
            let fields = json!({ "f:data": fields.collect::<serde_json::Map<_, _>>() });
            serde_json::from_value(
                json!({ "manager": manager, "operation": "Update", "fieldsV1": fields }),
            )
            .unwrap()
        });
        Setters::of(&entries.collect::<Vec<_>>())
    }

    fn fail(observed: &mut Observed) {
        let job = fixture::job(observed);
        let taken = Taken {
            field: ".data.password".into(),
            manager: "helm".into(),
        };
        let failure = conflicts::taken(&job, &[taken]);
        assert_eq!(failure.reason, Reason::SecretConflict);
        let report = report(observed, Some(&job), Outcome::Failed(failure));
        fixture::take_in(observed, report);
    }

    /// An object whose key somebody else has set, told just now.
    fn contested() -> Observed {
        let mut observed = fixture::fresh();
        fixture::edit(
            &mut observed,
            "/destination",
            json!({ "creationPolicy": "Merge" }),
        );
        fixture::touch(&mut observed, |secret| {
            secret.setters = set(&[("helm", &["password"])]);
        });
        fail(&mut observed);
        observed
    }

    /// Until when it is waited.
    fn until(observed: &Observed) -> Timestamp {
        match attempt(observed) {
            Attempt::Later(Some(until)) => until,
            other => panic!("{other:?}"),
        }
    }

    fn edit(observed: &mut Observed, hands: &[(&str, &[&str])]) {
        fixture::touch(observed, |secret| secret.setters = set(hands));
    }

    #[test]
    fn what_others_do_with_other_keys_is_another_attempt_after_a_pause_that_grows() {
        let mut observed = contested();
        let mut last = Duration::ZERO;
        for round in 0..6 {
            let name = format!("more-{round}");
            edit(
                &mut observed,
                &[("helm", &["password", &name]), ("argo", &[&name])],
            );
            let time = until(&observed);
            let pause = Duration::try_from(time.duration_since(observed.now)).unwrap();
            assert!(pause > last, "{round}: {pause:?} after {last:?}");
            last = pause;
            // Edits in between move nothing.
            edit(&mut observed, &[("helm", &["password"])]);
            assert_eq!(until(&observed), time, "{round}");
            observed.now = time;
            assert_eq!(attempt(&observed), Attempt::Now, "{round}");
            fail(&mut observed);
        }
    }

    #[test]
    fn a_key_that_changes_hands_is_another_attempt_at_once() {
        for hands in [
            &[("argo", &["password"][..])][..],
            &[("helm", &["other"][..])],
            &[("helm", &["password"][..]), ("argo", &["password"])],
        ] {
            let mut observed = contested();
            assert_ne!(attempt(&observed), Attempt::Now);
            edit(&mut observed, hands);
            assert_eq!(attempt(&observed), Attempt::Now, "{hands:?}");
        }
    }

    #[test]
    fn what_we_would_apply_is_another_attempt_at_once_and_so_is_another_secret() {
        let changes: [fn(&mut Observed); 4] = [
            |observed| fixture::edit(observed, "/destination/labels", json!({ "a": "b" })),
            |observed| observed.memory.nudges += 1,
            |observed| fixture::touch(observed, |secret| secret.uid = "another".into()),
            |observed| observed.target = None,
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut observed = contested();
            change(&mut observed);
            assert_eq!(attempt(&observed), Attempt::Now, "{number}");
        }
    }

    #[test]
    fn a_value_of_theirs_that_may_be_ours_by_now_is_tried_before_the_interval() {
        let mut observed = contested();
        let by_interval = until(&observed);
        edit(&mut observed, &[("helm", &["password"])]);
        let sooner = until(&observed);
        assert!(sooner < by_interval, "{sooner} {by_interval}");
        assert!(sooner > at(NOW));
    }
}
