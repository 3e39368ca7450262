//! What a pass over a VaultConnection tells the world: status and event, one of each per outage, and the status again when its cause becomes
//! another.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::Resource;
use kube::runtime::controller::Action;
use tracing::{debug, warn};

use super::retry;
use crate::api::Reason;
use crate::api::condition::{READY, Verdict, find};
use crate::api::vault_connection::{VaultConnection, VaultConnectionStatus};
use crate::cluster::events::Notice;
use crate::cluster::{WriteError, status};
use crate::reconcile::Context;
use crate::vault::Health;

/// How often the status may follow an outage whose cause changes: some servers fail in another way each second.
const BETWEEN_CAUSES: SignedDuration = SignedDuration::from_mins(1);

/// Writes what is news and returns when to look again: after `pause` if all goes well, or with the next change if there is none.
pub async fn publish(
    object: &VaultConnection,
    verdict: &Verdict,
    health: Option<&Health>,
    pause: Option<Duration>,
    context: &Context,
) -> Action {
    let action = pause.map_or_else(Action::await_change, Action::requeue);
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let before = object.status.clone().unwrap_or_default();
    let now = context.clock.now();
    let runbooks = context.settings.runbooks.as_deref();
    let status = next_status(object, &before, verdict, health, now, runbooks);
    // What an earlier process wrote last, and when, is not known: it may have been just before this one started.
    let told = context.connections.last_told(name);
    let rested = has_rested(told.unwrap_or(context.started), now);
    let (first, turned) = (before.conditions.is_empty(), has_turned(&before, &status));
    if status == before || !is_news(&before, &status, verdict, rested) {
        context.connections.written(name);
        return action;
    }
    let wanted = VaultConnection {
        status: Some(status),
        ..object.clone()
    };
    let written = status::replace_vault_connection(&context.client, &wanted).await;
    if written.is_ok() {
        context.connections.told(name, now);
    }
    // Told once, with the write that tells it: a pass that began from an older object meets a conflict and tells nothing.
    if written.is_ok() && turned && (!first || verdict.status == Some(false)) {
        let warning = verdict.status != Some(true);
        let notice = Notice {
            warning,
            reason: verdict.reason,
            action: "Probe",
            note: verdict.message.clone(),
        };
        context
            .events
            .publish(&notice, &object.object_ref(&()))
            .await;
    }
    let error = match written {
        Ok(_) | Err(WriteError::NotFound) => {
            context.connections.written(name);
            return action;
        }
        Err(error) => error,
    };
    let attempts = context.connections.unwritten(name);
    match error {
        // The object is newer than we knew: its own event brings us back, and if it was lost, the pause does.
        WriteError::Conflict => {}
        error if attempts == 1 => warn!(connection = name, %error, "status not written"),
        error => debug!(connection = name, %error, "status not written, as before"),
    }
    Action::requeue(after_trouble(attempts, pause, name))
}

/// Whether the condition says something else; in other words is not enough.
fn has_turned(before: &VaultConnectionStatus, status: &VaultConnectionStatus) -> bool {
    let [last, now] = [before, status].map(|status| {
        let condition = find(&status.conditions, READY);
        condition.map(|condition| (&condition.status, &condition.reason))
    });
    last != now
}

/// Whether the status is worth a write. An outage is one when it begins; while it lasts another cause is one only now and then, when the
/// status has `rested`. What is wrong with the spec is a person's to mend, step by step, so each step is told.
fn is_news(
    before: &VaultConnectionStatus,
    status: &VaultConnectionStatus,
    verdict: &Verdict,
    rested: bool,
) -> bool {
    let [last, now] = [before, status].map(|status| {
        let condition = find(&status.conditions, READY);
        condition.map(|condition| &condition.message)
    });
    has_turned(before, status)
        || verdict.status == Some(true)
        || verdict.reason == Reason::InvalidSpec
        || before.observed_generation != status.observed_generation
        || (rested && last != now)
}

/// Whether the status was left alone for long enough. A clock that was set back must not silence it.
fn has_rested(told: Timestamp, now: Timestamp) -> bool {
    !(SignedDuration::ZERO..BETWEEN_CAUSES).contains(&now.duration_since(told))
}

/// When to try again to write the status: with growing pauses, and sooner where the server is to be asked sooner anyway, as in an outage.
fn after_trouble(attempts: u32, pause: Option<Duration>, name: &str) -> Duration {
    let retry = retry(attempts, name);
    pause.map_or(retry, |pause| pause.min(retry))
}

/// What a server told once stays told while it does not answer.
fn next_status(
    object: &VaultConnection,
    before: &VaultConnectionStatus,
    verdict: &Verdict,
    health: Option<&Health>,
    now: Timestamp,
    runbooks: Option<&str>,
) -> VaultConnectionStatus {
    let told = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    VaultConnectionStatus {
        observed_generation: object.metadata.generation,
        version: health
            .and_then(|health| told(&health.version))
            .or_else(|| before.version.clone()),
        cluster_name: health
            .and_then(|health| told(&health.cluster_name))
            .or_else(|| before.cluster_name.clone()),
        sealed: health.map(|health| health.sealed).or(before.sealed),
        conditions: vec![verdict.condition(
            READY,
            &before.conditions,
            object.metadata.generation,
            now,
            runbooks,
        )],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reconcile::connection::{HEALTHY_INTERVAL, LONGEST_PROBE_PAUSE};

    #[test]
    fn another_cause_of_an_outage_is_written_once_in_a_while_and_its_turn_at_once() {
        let spec = json!({ "address": "https://vault:8200" });
        let mut object = VaultConnection::new("default", serde_json::from_value(spec).unwrap());
        object.metadata.generation = Some(1);
        let verdict = |reason, message: &str| Verdict {
            status: Some(false),
            reason,
            message: message.into(),
        };
        let status = |before: &VaultConnectionStatus, verdict: &Verdict| {
            next_status(&object, before, verdict, None, Timestamp::UNIX_EPOCH, None)
        };
        let refused = verdict(Reason::VaultUnavailable, "connection refused");
        let before = status(&VaultConnectionStatus::default(), &refused);
        let news = |verdict: &Verdict| {
            let next = status(&before, verdict);
            [false, true].map(|rested| is_news(&before, &next, verdict, rested))
        };
        let expired = verdict(Reason::VaultUnavailable, "the certificate has expired");
        assert_eq!(news(&refused), [false, false], "nothing new");
        assert_eq!(news(&expired), [false, true], "the same outage");
        assert!(!has_turned(&before, &status(&before, &expired)), "no event");
        let sealed = verdict(Reason::VaultSealed, "it is sealed");
        assert_eq!(news(&sealed), [true, true]);
        assert!(has_turned(&before, &status(&before, &sealed)));
    }

    #[test]
    fn the_status_rests_for_a_minute_whatever_the_clock_does() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let rested = [100, 159, 160, 99].map(|now| has_rested(at(100), at(now)));
        assert_eq!(rested, [false, false, true, true]);
    }

    #[test]
    fn a_status_that_cannot_be_written_is_tried_again_with_growing_pauses_and_in_an_outage_with_each_probe()
     {
        let seconds = |attempts, pause| after_trouble(attempts, pause, "default").as_secs_f64();
        for pause in [Some(HEALTHY_INTERVAL), None] {
            let pauses = [1, 2, 3, 4, 5, 6].map(|attempts| seconds(attempts, pause));
            assert!(pauses.is_sorted_by(|a, b| a < b), "{pauses:?}");
            assert!(pauses[0] <= 1.2, "{pauses:?}");
            assert!((seconds(100, pause) - 60.0).abs() < 0.001);
        }
        assert!(seconds(100, Some(LONGEST_PROBE_PAUSE)) <= 1.0);
    }
}
