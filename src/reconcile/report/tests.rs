//! Proves what a pass tells: everything once, nothing twice.

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::reconcile::apply::Applied;
use crate::reconcile::decide::Decision;
use crate::reconcile::failure::Retry;
use crate::reconcile::fixture::{
    self, NOW, at, decision, edit, fresh, job, out, running, synced, take_in, touch,
};

fn told(observed: &Observed, outcome: Outcome) -> Report {
    report(observed, Some(&job(observed)), outcome)
}

/// A pass over the object; what it left is taken in.
fn pass(observed: &mut Observed, outcome: Outcome) -> Told {
    let report = told(observed, outcome);
    let told = Told {
        wrote: report.status.is_some(),
        note: report.notice.as_ref().map(|notice| notice.note.clone()),
        ready: report.ready,
        next: report.next,
    };
    take_in(observed, report);
    told
}

#[derive(Clone, Debug, PartialEq)]
struct Told {
    wrote: bool,
    note: Option<String>,
    ready: bool,
    next: Option<Timestamp>,
}

fn failing(reason: Reason) -> Outcome {
    Outcome::Failed(Failure::new(reason, "why"))
}

fn applied(observed: &mut Observed, trigger: Trigger) -> Outcome {
    Outcome::Applied(trigger, fixture::write(observed))
}

fn record(observed: &Observed) -> Record {
    observed.record.clone().unwrap()
}

fn condition<'a>(
    observed: &'a Observed,
    kind: &str,
) -> &'a k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
    find(status::before(observed), kind).unwrap_or_else(|| panic!("no {kind}"))
}

fn later(observed: &mut Observed, seconds: i64) {
    observed.now += SignedDuration::from_secs(seconds);
}

#[test]
fn the_first_sync_is_told_by_the_status_alone() {
    let mut observed = fresh();
    let outcome = applied(&mut observed, Trigger::FirstSync);
    let told = pass(&mut observed, outcome);
    assert_eq!((told.wrote, &told.note, told.ready), (true, &None, true));
    let status = observed.object.status.clone().unwrap();
    assert_eq!(status.secret_name.as_deref(), Some("orders"));
    assert_eq!(
        (status.revision, status.observed_generation),
        (Some(1), Some(1))
    );
    assert_eq!(
        (status.sources[0].name.as_str(), status.sources[0].version),
        ("main", Some(3))
    );
    for (kind, message) in [
        (READY, "Secret orders holds 2 keys as asked for"),
        (SYNCED, "the last look at Vault succeeded"),
        (
            "Authenticated",
            "Vault accepts the service account for role orders",
        ),
    ] {
        let condition = condition(&observed, kind);
        assert_eq!(
            (condition.status.as_str(), condition.message.as_str()),
            ("True", message)
        );
    }
}

#[test]
fn a_pass_that_found_nothing_new_writes_no_status_and_no_event() {
    for (choice, case) in ["nothing to do", "verified", "polled"]
        .into_iter()
        .enumerate()
    {
        let mut observed = running();
        later(&mut observed, 7);
        let outcome = outcome(choice, &observed);
        let told = pass(&mut observed, outcome);
        assert_eq!(
            (told.wrote, told.note, told.ready),
            (false, None, true),
            "{case}"
        );
    }
}

#[test]
fn a_look_at_vault_moves_the_next_poll_and_a_rest_does_not() {
    let mut observed = running();
    edit(&mut observed, "/refresh/jitterPercent", json!(0));
    let record = record(&observed);
    assert_eq!(
        told(&observed, Outcome::InSync(record.clone())).next,
        Some(at(NOW + 590))
    );
    assert_eq!(
        told(&observed, Outcome::Unchanged(record)).next,
        Some(at(NOW + 600))
    );
}

#[test]
fn what_was_written_or_verified_is_known_good() {
    let mut observed = running();
    touch(&mut observed, |_| {});
    assert!(matches!(decision(&observed), Decision::Verify(_)));
    let outcome = Outcome::Verified(record(&observed));
    pass(&mut observed, outcome);
    assert!(matches!(decision(&observed), Decision::Rest(_)));
    let outcome = applied(&mut observed, Trigger::TargetChanged);
    pass(&mut observed, outcome);
    assert!(matches!(decision(&observed), Decision::Rest(_)));
}

#[test]
fn a_repair_is_told_by_an_event() {
    for (trigger, note) in [
        (
            Trigger::TargetMissing,
            Some("Secret orders was gone; created it again"),
        ),
        (
            Trigger::TargetChanged,
            Some("Secret orders was changed by somebody else; restored it"),
        ),
        (Trigger::SpecChanged, None),
        (Trigger::RefreshDue, None),
    ] {
        let mut observed = running();
        let outcome = applied(&mut observed, trigger);
        assert_eq!(
            pass(&mut observed, outcome).note.as_deref(),
            note,
            "{trigger:?}"
        );
    }
}

#[test]
fn a_repair_that_had_nothing_to_write_is_no_news() {
    let mut observed = running();
    let written = fixture::write(&mut observed);
    let outcome = Outcome::Applied(
        Trigger::TargetChanged,
        Applied {
            written: false,
            ..written
        },
    );
    assert_eq!(pass(&mut observed, outcome).note, None);
}

#[test]
fn a_failure_is_told_once_and_its_end_once() {
    let mut observed = running();
    let first = pass(&mut observed, failing(Reason::PermissionDenied));
    assert_eq!(
        (first.wrote, first.note.as_deref(), first.ready),
        (true, Some("why"), false)
    );
    for attempt in 1..5 {
        later(&mut observed, 400);
        let again = pass(&mut observed, failing(Reason::PermissionDenied));
        assert_eq!(
            (again.wrote, again.note),
            (false, None),
            "attempt {attempt}"
        );
        assert_eq!(observed.memory.failed.as_ref().unwrap().attempts, attempt);
    }
    let since = condition(&observed, SYNCED).last_transition_time.0;
    assert_eq!(since, at(NOW));
    let record = record(&observed);
    let end = pass(&mut observed, Outcome::Unchanged(record.clone()));
    assert_eq!(
        end.note.as_deref(),
        Some("Secret orders is in sync again (revision 1)")
    );
    assert_eq!((end.wrote, end.ready), (true, true));
    let after = pass(&mut observed, Outcome::Unchanged(record));
    assert_eq!((after.wrote, after.note), (false, None));
}

#[test]
fn another_failure_is_news_but_no_transition() {
    let mut observed = running();
    pass(&mut observed, failing(Reason::PermissionDenied));
    later(&mut observed, 60);
    let told = pass(&mut observed, failing(Reason::LoginFailed));
    assert_eq!((told.wrote, told.note.as_deref()), (true, Some("why")));
    assert_eq!(condition(&observed, SYNCED).last_transition_time.0, at(NOW));
    assert_eq!(condition(&observed, "Authenticated").status, "False");
    assert_eq!(
        condition(&observed, "Authenticated").last_transition_time.0,
        at(NOW + 60)
    );
}

#[test]
fn attempts_are_counted_anew_when_the_world_has_changed() {
    let mut observed = running();
    pass(&mut observed, failing(Reason::PermissionDenied));
    pass(&mut observed, failing(Reason::PermissionDenied));
    edit(&mut observed, "/auth/role", json!("other"));
    pass(&mut observed, failing(Reason::PermissionDenied));
    assert_eq!(observed.memory.failed.as_ref().unwrap().attempts, 0);
}

#[test]
fn an_outage_leaves_what_is_ready_ready_until_it_is_stale() {
    for reason in [
        Reason::VaultUnavailable,
        Reason::VaultSealed,
        Reason::RateLimited,
    ] {
        let mut observed = running();
        observed.connection = out(Reason::VaultUnavailable);
        let first = pass(&mut observed, failing(reason));
        assert_eq!(
            (first.wrote, first.note, first.ready),
            (true, None, true),
            "{reason}"
        );
        assert_eq!(condition(&observed, SYNCED).status, "False");
        let stale = at(NOW + 1800);
        observed.now = at(NOW + 1799);
        assert!(pass(&mut observed, failing(reason)).ready);
        let waiting = told(&observed, Outcome::Waiting(Some(at(NOW + 1900))));
        assert_eq!(
            (waiting.ready, waiting.status.is_some(), waiting.next),
            (true, false, Some(stale))
        );
        observed.now = stale;
        let waited = told(&observed, Outcome::Waiting(Some(at(NOW + 1900))));
        assert_eq!((waited.ready, waited.status.is_some()), (false, true));
        let told = pass(&mut observed, failing(reason));
        assert_eq!((told.wrote, told.ready), (true, false), "{reason}");
        assert_eq!(condition(&observed, READY).last_transition_time.0, stale);
        let again = pass(&mut observed, failing(reason));
        assert_eq!((again.wrote, again.ready), (false, false), "{reason}");
    }
}

#[test]
fn a_failure_whose_status_was_not_written_is_told_while_it_is_waited_out() {
    let mut observed = running();
    let lost = told(&observed, failing(Reason::PermissionDenied));
    observed.memory = lost.memory;
    later(&mut observed, 1);
    let again = pass(&mut observed, Outcome::Waiting(Some(at(NOW + 60))));
    assert_eq!((again.wrote, again.ready), (true, false));
    let synced = condition(&observed, SYNCED);
    assert_eq!(
        (synced.reason.as_str(), synced.message.as_str()),
        ("PermissionDenied", "why")
    );
    assert!(!pass(&mut observed, Outcome::Waiting(Some(at(NOW + 60)))).wrote);
}

#[test]
fn an_event_that_was_held_back_with_its_status_is_told_with_the_next_one() {
    for reason in [Reason::PermissionDenied, Reason::KubernetesUnavailable] {
        let mut observed = running();
        let memories = crate::reconcile::memory::Memories::default();
        let mut notes = Vec::new();
        for _ in 0..=PASSING_ATTEMPTS {
            let lost = told(&observed, failing(reason));
            notes.push(lost.notice.is_some());
            memories.set("uid", lost.memory);
            memories.status_lost("uid");
            observed.memory = memories.get("uid");
        }
        assert!(notes[2], "{reason}: {notes:?}");
        let again = pass(&mut observed, Outcome::Waiting(Some(at(NOW + 60))));
        assert_eq!(
            (again.wrote, again.note.as_deref()),
            (true, Some("why")),
            "{reason}"
        );
        let after = pass(&mut observed, Outcome::Waiting(Some(at(NOW + 60))));
        assert_eq!((after.wrote, after.note), (false, None), "{reason}");
    }
}

#[test]
fn an_object_is_looked_at_when_it_goes_stale_however_late_its_next_attempt_is() {
    let mut observed = running();
    let hour = Retry::After(std::time::Duration::from_hours(1));
    let limited = Failure::new(Reason::RateLimited, "slow down").retried(hour);
    let told = pass(&mut observed, Outcome::Failed(limited));
    assert_eq!(told.next, Some(at(NOW + 1800)));
}

#[test]
fn a_wait_that_went_stale_is_told_once() {
    let mut observed = running();
    pass(&mut observed, failing(Reason::VaultSealed));
    observed.now = at(NOW + 1800);
    assert!(pass(&mut observed, Outcome::Waiting(Some(at(NOW + 2000)))).wrote);
    assert!(!pass(&mut observed, Outcome::Waiting(Some(at(NOW + 2000)))).wrote);
    assert!(
        !pass(&mut observed, failing(Reason::VaultSealed)).wrote,
        "the next attempt says the same"
    );
}

#[test]
fn an_outage_does_not_make_an_edited_object_ready() {
    let mut observed = running();
    edit(&mut observed, "/sources/0/kv/path", json!("secret/other"));
    observed.connection = out(Reason::VaultUnavailable);
    assert!(!pass(&mut observed, failing(Reason::VaultUnavailable)).ready);
}

#[test]
fn an_outage_before_the_first_sync_is_not_ready_and_no_login_was_tried() {
    let mut observed = fresh();
    observed.connection = out(Reason::VaultUnavailable);
    let told = pass(&mut observed, failing(Reason::VaultUnavailable));
    assert!(!told.ready);
    let authenticated = condition(&observed, "Authenticated");
    assert_eq!(
        (
            authenticated.status.as_str(),
            authenticated.message.as_str()
        ),
        ("Unknown", "not known yet")
    );
}

#[test]
fn trouble_of_the_api_server_is_told_once_it_lasts() {
    let mut observed = running();
    for attempt in 0..2 {
        let passing = pass(&mut observed, failing(Reason::KubernetesUnavailable));
        assert_eq!(
            (passing.wrote, passing.note, passing.ready),
            (false, None, true),
            "attempt {attempt}"
        );
        let until = passing.next.expect("another attempt");
        assert!(!pass(&mut observed, Outcome::Waiting(Some(until))).wrote);
        later(&mut observed, 5);
    }
    let lasting = pass(&mut observed, failing(Reason::KubernetesUnavailable));
    assert_eq!(
        (lasting.wrote, lasting.note.as_deref(), lasting.ready),
        (true, Some("why"), true)
    );
    let synced = condition(&observed, SYNCED);
    assert_eq!(
        (
            synced.status.as_str(),
            synced.reason.as_str(),
            synced.message.as_str()
        ),
        ("False", "KubernetesUnavailable", "why")
    );
    later(&mut observed, 5);
    let again = pass(&mut observed, failing(Reason::KubernetesUnavailable));
    assert_eq!((again.wrote, again.note), (false, None));
}

#[test]
fn an_outage_that_no_probe_has_found_is_told_by_the_object_and_so_is_its_end() {
    let mut observed = running();
    let attempts = [0, 1, 2, 3].map(|_| {
        later(&mut observed, 5);
        let told = pass(&mut observed, failing(Reason::VaultUnavailable));
        (told.wrote, told.note.is_some(), told.ready)
    });
    let expected = [
        (false, false, true), // the probe may find the server out before the second
        (true, false, true),
        (false, true, true),
        (false, false, true),
    ];
    assert_eq!(attempts, expected);
    let outcome = Outcome::Unchanged(record(&observed));
    let end = pass(&mut observed, outcome);
    assert_eq!(
        end.note.as_deref(),
        Some("Secret orders is in sync again (revision 1)")
    );
}

#[test]
fn an_outage_that_the_connection_tells_is_no_event_of_the_object_however_long_it_lasts() {
    for reason in [Reason::VaultUnavailable, Reason::VaultSealed] {
        let mut observed = running();
        observed.connection = out(reason);
        let notes: Vec<_> = (0..6)
            .filter_map(|_| pass(&mut observed, failing(reason)).note)
            .collect();
        assert_eq!(notes, Vec::<String>::new(), "{reason}");
        let outcome = Outcome::Unchanged(record(&observed));
        assert_eq!(pass(&mut observed, outcome).note, None, "{reason}");
    }
}

#[test]
fn a_limit_that_lasts_is_told_by_one_event() {
    let mut observed = running();
    let notes: Vec<_> = (0..6)
        .map(|_| pass(&mut observed, failing(Reason::RateLimited)).note)
        .collect();
    let told = notes.iter().position(Option::is_some);
    assert_eq!((told, notes.iter().flatten().count()), (Some(2), 1));
}

#[test]
fn the_log_has_every_failure_in_one_line_and_knows_a_repeat() {
    let mut observed = running();
    let mut logged = |reason, message: &str| {
        let failure = Failure::new(reason, message);
        let report = told(&observed, Outcome::Failed(failure));
        let trouble = report.trouble.clone().unwrap();
        take_in(&mut observed, report);
        (trouble.message, trouble.repeated)
    };
    let webhook = "write Secret orders: failed calling webhook\n\"guard\"";
    let line = "write Secret orders: failed calling webhook \"guard\"".to_owned();
    for (reason, message, expected) in [
        (
            Reason::KubernetesUnavailable,
            webhook,
            (line.clone(), false),
        ),
        (Reason::KubernetesUnavailable, webhook, (line, true)),
        (
            Reason::KubernetesUnavailable,
            "other",
            ("other".into(), false),
        ),
        (Reason::VaultUnavailable, "other", ("other".into(), false)),
    ] {
        assert_eq!(logged(reason, message), expected);
    }
    let fine = told(&observed, Outcome::InSync(record(&observed)));
    assert_eq!(fine.trouble, None);
}

#[test]
fn what_only_a_change_mends_is_not_visited_by_time() {
    let mut observed = fresh();
    assert_eq!(pass(&mut observed, failing(Reason::InvalidSpec)).next, None);
}

#[test]
fn an_earlier_secret_that_cannot_be_deleted_spoils_nothing_is_told_once_and_tried_again() {
    let mut observed = running();
    let refused =
        |reason| Tidied::Failed(Failure::new(reason, "delete the earlier Secret old: no"));
    let notes = |observed: &mut Observed, reason| {
        let plain = told(observed, Outcome::InSync(record(observed)));
        let (ready, next) = (plain.ready, plain.next);
        let report = with_tidied(observed, plain, refused(reason));
        assert!(ready && report.ready && report.status.is_none());
        assert_eq!(
            (report.outcome, report.reason),
            ("in_sync", Some(Reason::Synced))
        );
        let pause = report.next.unwrap().duration_since(observed.now);
        assert!(report.next < next && pause.as_secs() < 10, "{pause}");
        let (trouble, notice) = report.untidy.clone().unwrap();
        assert_eq!(trouble.repeated, observed.memory.untidy > 0);
        take_in(observed, report);
        notice.map(|notice| notice.note)
    };
    let told_of: Vec<_> = (0..3)
        .map(|_| notes(&mut observed, Reason::AdmissionDenied))
        .collect();
    let note = Some("delete the earlier Secret old: no".to_owned());
    assert_eq!(told_of, [note.clone(), None, None]);
    let done = with_tidied(
        &observed,
        told(&observed, Outcome::InSync(record(&observed))),
        Tidied::Done,
    );
    assert!(done.untidy.is_none());
    take_in(&mut observed, done);
    let passing: Vec<_> = (0..4)
        .map(|_| notes(&mut observed, Reason::KubernetesUnavailable))
        .collect();
    assert_eq!(
        passing,
        [None, None, note, None],
        "it heals by itself as a rule"
    );
}

#[test]
fn nothing_is_said_while_the_connection_was_not_looked_at() {
    let mut observed = synced();
    let told = pass(&mut observed, Outcome::Pending);
    assert_eq!(
        told,
        Told {
            wrote: false,
            note: None,
            ready: true,
            next: None
        }
    );
}

#[test]
fn a_new_object_that_waits_for_its_connection_is_counted_under_no_failure() {
    let new = told(&fresh(), Outcome::Pending);
    assert_eq!((new.outcome, new.reason), ("pending", None));
    let known = told(&running(), Outcome::Pending);
    assert_eq!(known.reason, Some(Reason::Synced));
}

#[test]
fn a_nudge_is_answered_by_a_look_and_by_no_rest() {
    let mut observed = running();
    observed.memory.nudges = 1;
    let outcome = Outcome::Unchanged(record(&observed));
    pass(&mut observed, outcome);
    assert!(!observed.memory.is_nudged());
}

fn outcomes() -> impl Strategy<Value = (usize, i64)> {
    (0_usize..Reason::ALL.len() + 4, 0_i64..2000)
}

fn outcome(choice: usize, observed: &Observed) -> Outcome {
    match choice {
        0 => Outcome::InSync(record(observed)),
        1 => Outcome::Verified(record(observed)),
        2 => Outcome::Unchanged(record(observed)),
        3 => Outcome::Waiting(Some(observed.now + SignedDuration::from_secs(60))),
        reason => failing(Reason::ALL[reason - 4]),
    }
}

proptest! {
    #[test]
    fn whatever_happened_before_the_same_outcome_twice_is_written_once(history in prop::collection::vec(outcomes(), 1..8)) {
        let mut observed = running();
        for (choice, seconds) in &history {
            later(&mut observed, *seconds);
            let first = outcome(*choice, &observed);
            pass(&mut observed, first);
        }
        let (choice, _) = history[history.len() - 1];
        for _ in 0..PASSING_ATTEMPTS {
            let lasting = outcome(choice, &observed);
            pass(&mut observed, lasting);
        }
        let second = outcome(choice, &observed);
        let told = pass(&mut observed, second);
        prop_assert!(!told.wrote && told.note.is_none(), "{:?}", told);
    }

    #[test]
    fn a_transition_time_moves_exactly_when_its_status_does(history in prop::collection::vec(outcomes(), 1..8)) {
        let mut observed = running();
        for (choice, seconds) in history {
            later(&mut observed, seconds + 1);
            let before = status::before(&observed).to_vec();
            let outcome = outcome(choice, &observed);
            pass(&mut observed, outcome);
            for now in status::before(&observed) {
                let was = find(&before, &now.type_).unwrap();
                let moved = now.last_transition_time != was.last_transition_time;
                prop_assert_eq!(moved, now.status != was.status, "{:?} after {:?}", now, was);
            }
        }
    }
}
