//! Proves when Vault is asked, and above all when it is not.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::api::Reason;
use crate::cluster::caches::ServiceAccountMeta;
use crate::connections::Reachability;
use crate::reconcile::failure::{Failure, Retry};
use crate::reconcile::fixture::{
    self, NOW, at, decision, edit, fresh, job, running, synced, take_in, touch, usable,
};
use crate::reconcile::memory::Memory;
use crate::reconcile::report::{Outcome, report};

type Touch = fn(&mut crate::cluster::SecretMeta);
type Case = (&'static str, Observed, Decision);

fn fetch(trigger: Trigger) -> Decision {
    Decision::Fetch(trigger)
}

fn rest(observed: &Observed) -> Decision {
    Decision::Rest(observed.record.clone().unwrap())
}

fn with(mut observed: Observed, change: impl FnOnce(&mut Observed)) -> Observed {
    change(&mut observed);
    observed
}

/// The object after a failed pass at [`NOW`].
fn failed(observed: Observed, reason: Reason) -> Observed {
    with(observed, |observed| {
        let outcome = Outcome::Failed(Failure::new(reason, "why"));
        let report = report(observed, Some(&job(observed)), outcome);
        take_in(observed, report);
    })
}

fn later(observed: Observed, seconds: i64) -> Observed {
    with(observed, |observed| {
        observed.now += SignedDuration::from_secs(seconds);
    })
}

fn check(cases: Vec<Case>) {
    for (case, observed, expected) in cases {
        assert_eq!(decision(&observed), expected, "{case}");
    }
}

#[test]
fn vault_is_not_asked_while_everything_is_in_sync_and_nothing_due() {
    let cases = [
        ("in a running operator", running()),
        (
            "a foreign label is no edit",
            with(running(), |observed| {
                touch(observed, |secret| {
                    secret.labels.insert("team".into(), "shop".into());
                });
                observed.memory.known_good = None;
            }),
        ),
        (
            "after a restart, when the last pass was fine",
            with(synced(), |observed| observed.started = observed.now),
        ),
        (
            "another interval is no reason to ask",
            with(running(), |observed| {
                edit(observed, "/refresh/interval", json!("20m"));
            }),
        ),
        (
            "polls are off, however long ago the last one was",
            with(later(running(), 1_000_000), |observed| {
                edit(observed, "/refresh/interval", json!("0s"));
            }),
        ),
        (
            "a pinned version is read once",
            with(synced(), |observed| {
                edit(observed, "/sources/0/kv/version", json!(3));
                fixture::write(observed);
                observed.now = at(NOW + 1_000_000);
            }),
        ),
        (
            "what we wrote came out otherwise, by a webhook or by co-owners",
            with(running(), |observed| {
                touch(observed, |secret| {
                    secret.labels.clear();
                    secret.owners.whole.foreign_keys = 1;
                });
                let version = observed.target.clone().unwrap().resource_version.clone();
                observed
                    .memory
                    .known_good
                    .as_mut()
                    .unwrap()
                    .resource_version = version;
            }),
        ),
    ];
    check(
        cases
            .into_iter()
            .map(|(case, observed)| {
                let expected = rest(&observed);
                (case, observed, expected)
            })
            .collect(),
    );
}

#[test]
fn vault_is_asked_when_the_secret_is_not_as_it_shall_be() {
    let gone = |observed: &mut Observed| (observed.target, observed.record) = (None, None);
    check(vec![
        ("the first sync", fresh(), fetch(Trigger::FirstSync)),
        (
            "the Secret was deleted",
            with(running(), gone),
            fetch(Trigger::TargetMissing),
        ),
        (
            "the path was edited",
            with(running(), |observed| {
                edit(observed, "/sources/0/kv/path", json!("secret/b"));
            }),
            fetch(Trigger::SpecChanged),
        ),
        (
            "a label was added to the spec",
            with(running(), |observed| {
                edit(observed, "/destination/labels", json!({"a": "b"}));
            }),
            fetch(Trigger::SpecChanged),
        ),
        (
            "a label was added to the spec while we were down",
            with(synced(), |observed| {
                edit(observed, "/destination/labels", json!({"a": "b"}));
            }),
            fetch(Trigger::SpecChanged),
        ),
        (
            "the connection leads to another server since we were down, and polls are off",
            with(synced(), |observed| {
                edit(observed, "/refresh/interval", json!("0s"));
                observed.connection = fixture::usable_at("http://127.0.0.1:2", "");
            }),
            fetch(Trigger::SpecChanged),
        ),
        (
            "the connection leads to another Vault namespace since we were down",
            with(synced(), |observed| {
                observed.connection = fixture::usable_at("http://127.0.0.1:1", "team");
            }),
            fetch(Trigger::SpecChanged),
        ),
        (
            "the object was made anew under its name",
            with(synced(), |observed| {
                Arc::make_mut(&mut observed.object).metadata.uid = Some("anew".into());
            }),
            fetch(Trigger::SpecChanged),
        ),
        (
            "somebody set an annotation of our domain",
            with(running(), |observed| {
                touch(observed, |secret| secret.owners.whole.foreign_marks = 1);
            }),
            fetch(Trigger::TargetChanged),
        ),
        (
            "somebody took our label off",
            with(running(), |observed| {
                touch(observed, |secret| secret.labels.clear());
            }),
            fetch(Trigger::TargetChanged),
        ),
        (
            "somebody took the owner reference off",
            with(running(), |observed| {
                touch(observed, |secret| secret.owner_references.clear());
            }),
            fetch(Trigger::TargetChanged),
        ),
        (
            "somebody spoilt the record",
            with(running(), |observed| {
                touch(observed, |secret| {
                    secret
                        .annotations
                        .insert(crate::record::ANNOTATION.into(), "?".into());
                });
            }),
            fetch(Trigger::TargetChanged),
        ),
    ]);
}

#[test]
fn a_secret_whose_values_may_be_others_is_read_and_compared() {
    let touches: [(&str, Touch); 3] = [
        ("touched without a trace", |_| {}),
        ("a value set", |secret| secret.owners.whole.foreign_keys = 1),
        ("a key removed", |secret| secret.owners.whole.our_keys = 1),
    ];
    for (case, change) in touches {
        let observed = with(running(), |observed| touch(observed, change));
        let record = observed.record.clone().unwrap();
        assert_eq!(
            decision(&observed),
            Decision::Verify(record.clone()),
            "{case}"
        );
        let restarted = with(synced(), |observed| touch(observed, change));
        let expected = if case == "touched without a trace" {
            rest(&restarted) // no earlier version is known after a restart
        } else {
            Decision::Verify(record)
        };
        assert_eq!(decision(&restarted), expected, "{case}, after a restart");
    }
}

#[test]
fn vault_is_asked_again_when_it_is_time_or_somebody_found_news() {
    check(vec![
        (
            "the interval is over",
            later(running(), 660),
            fetch(Trigger::RefreshDue),
        ),
        (
            "the clock was set back",
            with(running(), |observed| {
                observed.memory.polled = Some(at(NOW + 5));
            }),
            fetch(Trigger::RefreshDue),
        ),
        (
            "the clock was ahead at the start and was set right since",
            with(synced(), |observed| observed.started = at(NOW + 86_400)),
            fetch(Trigger::RefreshDue),
        ),
        (
            "another object found news",
            with(running(), |observed| observed.memory.nudges = 1),
            fetch(Trigger::RefreshDue),
        ),
        (
            "a whole interval after a restart",
            with(synced(), |observed| observed.started = at(NOW - 600)),
            fetch(Trigger::RefreshDue),
        ),
        (
            "it failed before the restart",
            with(failed(running(), Reason::VaultSealed), |observed| {
                (observed.memory, observed.started) = (Memory::default(), observed.now);
            }),
            fetch(Trigger::RefreshDue),
        ),
    ]);
}

#[test]
fn a_failure_is_waited_out() {
    for observed in [
        failed(fresh(), Reason::PermissionDenied),
        failed(running(), Reason::VaultSealed),
    ] {
        let retry_at = observed.memory.failed.as_ref().unwrap().retry_at.unwrap();
        assert_eq!(decision(&observed), Decision::Wait(Some(retry_at)));
        let retried = with(observed, |observed| observed.now = retry_at);
        let failed_at = retried.memory.failed.as_ref().unwrap().at;
        let waited = Duration::try_from(retry_at.duration_since(failed_at)).unwrap();
        assert_eq!(decision(&retried), fetch(Trigger::Retry(waited)));
    }
}

#[test]
fn a_failure_is_not_waited_out_once_the_world_has_changed() {
    let failing = || failed(running(), Reason::PermissionDenied);
    check(vec![
        (
            "the spec was edited",
            with(failing(), |observed| {
                edit(observed, "/auth/role", json!("other"));
            }),
            fetch(Trigger::SpecChanged),
        ),
        (
            "the server recovered",
            with(failing(), |observed| {
                let recovered = Reachability {
                    recoveries: 1,
                    ..Reachability::default()
                };
                observed.connection = usable(None, recovered);
            }),
            fetch(Trigger::Retry(Duration::ZERO)),
        ),
        (
            "the service account was made anew",
            with(failing(), |observed| {
                observed.service_account =
                    Some(Arc::new(ServiceAccountMeta { uid: "anew".into() }));
            }),
            fetch(Trigger::Retry(Duration::ZERO)),
        ),
        (
            "the Secret was deleted",
            with(failing(), |observed| {
                (observed.target, observed.record) = (None, None);
            }),
            fetch(Trigger::Retry(Duration::ZERO)),
        ),
        (
            "somebody changed the Secret",
            with(failing(), |observed| touch(observed, |_| {})),
            fetch(Trigger::Retry(Duration::ZERO)),
        ),
        (
            "another object found news",
            with(failing(), |observed| observed.memory.nudges = 1),
            fetch(Trigger::Retry(Duration::ZERO)),
        ),
        (
            "the clock was set back",
            later(failing(), -60),
            fetch(Trigger::Retry(Duration::ZERO)),
        ),
    ]);
}

#[test]
fn what_an_earlier_step_refused_is_tried_as_soon_as_that_step_lets_it_pass() {
    let observed = failed(running(), Reason::SecretConflict);
    assert_eq!(observed.memory.failed.as_ref().unwrap().retry_at, None);
    assert_eq!(decision(&observed), fetch(Trigger::Retry(Duration::ZERO)));
}

#[test]
fn what_does_harm_is_not_asked_for_again_by_any_visit_until_spec_or_connection_change() {
    let leased = || {
        with(running(), |observed| {
            let failure = Failure::new(Reason::InvalidSpec, "leased").retried(Retry::Never);
            let report = report(observed, Some(&job(observed)), Outcome::Failed(failure));
            assert_eq!(report.next, None);
            take_in(observed, report);
        })
    };
    let recovered = Reachability {
        recoveries: 1,
        ..Reachability::default()
    };
    let visits = [
        ("a list was read again", leased()),
        ("a whole day went by", later(leased(), 86_400)),
        ("the clock was set back", later(leased(), -60)),
        (
            "somebody touched the Secret",
            with(leased(), |observed| touch(observed, |_| {})),
        ),
        (
            "somebody deleted the Secret",
            with(leased(), |observed| {
                (observed.target, observed.record) = (None, None);
            }),
        ),
        (
            "the server was away",
            with(leased(), |observed| {
                observed.connection = usable(None, recovered);
            }),
        ),
    ];
    for (case, observed) in visits {
        assert_eq!(decision(&observed), Decision::Wait(None), "{case}");
        let waited = report(&observed, Some(&job(&observed)), Outcome::Waiting(None));
        let kept = with(observed, |observed| take_in(observed, waited));
        assert_eq!(decision(&kept), Decision::Wait(None), "{case}, and again");
    }
    check(vec![
        (
            "the spec was edited",
            with(leased(), |observed| {
                edit(observed, "/sources/0/kv/path", json!("secret/b"));
            }),
            fetch(Trigger::SpecChanged),
        ),
        (
            "the connection leads elsewhere",
            with(leased(), |observed| {
                observed.connection = fixture::usable_at("http://127.0.0.1:2", "");
            }),
            fetch(Trigger::SpecChanged),
        ),
        (
            "somebody asked anew",
            with(leased(), |observed| {
                let metadata = &mut Arc::make_mut(&mut observed.object).metadata;
                let asked = (crate::api::FORCE_SYNC.to_owned(), "again".to_owned());
                metadata.annotations = Some([asked].into());
            }),
            fetch(Trigger::Retry(Duration::ZERO)),
        ),
        (
            "another object found news",
            with(leased(), |observed| observed.memory.nudges = 1),
            fetch(Trigger::Retry(Duration::ZERO)),
        ),
    ]);
}

#[test]
fn polls_come_one_interval_apart_and_after_a_restart_spread_over_one() {
    let observed = with(running(), |observed| {
        edit(observed, "/refresh/jitterPercent", json!(0));
    });
    let (job, polled) = (job(&observed), observed.memory.polled);
    assert_eq!(next_poll(&job, polled, &observed), Some(at(NOW - 10 + 600)));
    let first = next_poll(&job, None, &observed).unwrap();
    assert!(
        first >= observed.started && first < observed.started + Duration::from_mins(10),
        "{first}"
    );
    let off = with(running(), |observed| {
        edit(observed, "/refresh/interval", json!("0s"));
    });
    assert_eq!(next_poll(&fixture::job(&off), polled, &off), None);
}

#[test]
fn whom_vault_asked_to_slow_down_comes_back_no_sooner_not_all_at_once_and_ever_later() {
    let seven = Retry::After(Duration::from_secs(7));
    let pause = |uid: &str, attempts| {
        let mut observed = running();
        Arc::make_mut(&mut observed.object).metadata.uid = Some(uid.into());
        let again = retry_time(seven, attempts, None, &observed).unwrap();
        again.duration_since(observed.now).as_millis()
    };
    let pauses: std::collections::BTreeSet<_> = (0..100)
        .map(|number| pause(&format!("uid-{number}"), 0))
        .collect();
    assert!(pauses.len() > 90, "{pauses:?}");
    assert!(
        pauses.iter().all(|pause| (7_000..14_000).contains(pause)),
        "{pauses:?}"
    );
    let later = pause("uid-1", 10);
    assert!(later >= 200_000, "{later}");
}

#[test]
fn another_attempt_is_made_when_it_makes_sense() {
    let observed = running();
    let job = job(&observed);
    let pause = |retry, attempts| {
        retry_time(retry, attempts, Some(&job), &observed)
            .map(|time| time.duration_since(observed.now).as_millis())
    };
    assert_eq!(pause(Retry::OnChange, 0), None);
    assert_eq!(pause(Retry::Interval, 5), Some(600_000));
    let hot = pause(Retry::After(Duration::ZERO), 0).unwrap();
    assert!((1_000..2_300).contains(&hot), "never a hot loop: {hot}");
    let waits: Vec<_> = (0..12)
        .map(|attempts| pause(Retry::Backoff, attempts).unwrap())
        .collect();
    assert!(
        waits.windows(2).all(|pair| pair[1] * 2 > pair[0]) && waits[0] < 1_300,
        "{waits:?}"
    );
    assert!((200_000..=300_000).contains(&waits[11]), "{waits:?}");
}

#[test]
fn a_demand_for_everything_anew_is_met_once() {
    let mut observed = running();
    let demand = |observed: &mut Observed, value: &str| {
        let annotations = &mut Arc::make_mut(&mut observed.object).metadata.annotations;
        let annotations = annotations.get_or_insert_default();
        annotations.insert(crate::api::FORCE_SYNC.into(), value.into());
    };
    demand(&mut observed, "1");
    assert_eq!(decision(&observed), fetch(Trigger::Requested));
    let record = observed.record.clone().unwrap();
    crate::reconcile::fixture::set_status(&mut observed, |observed| {
        status::synced(observed, &record)
    });
    assert!(matches!(decision(&observed), Decision::Rest(_)));
    demand(&mut observed, "2");
    assert_eq!(decision(&observed), fetch(Trigger::Requested));
}

#[test]
fn what_would_issue_credentials_again_only_to_give_them_back_waits_for_the_interval() {
    let observed = crate::reconcile::fixture::leased::asked();
    let job = job(&observed);
    assert!(!job.issued.is_empty() && job.sources.is_empty());
    let again = retry_time(Retry::Interval, 0, Some(&job), &observed).unwrap();
    let interval = job.read_interval.unwrap();
    let waited = again.duration_since(observed.now);
    assert_eq!(waited.as_secs().unsigned_abs(), interval.as_secs());
}
