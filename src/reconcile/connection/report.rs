//! What a pass over a VaultConnection tells the world: status and event, one of each per outage.

use std::time::Duration;

use jiff::Timestamp;
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
    let status = next_status(object, &before, verdict, health, context.clock.now());
    let (last, now) = (
        find(&before.conditions, READY),
        find(&status.conditions, READY),
    );
    let turned =
        last.map(|last| (&last.status, &last.reason)) != now.map(|now| (&now.status, &now.reason));
    // One write per outage: while it lasts, another cause of it alone is no news. What is wrong with the spec is a person's to mend,
    // step by step, so each step is told.
    let news = turned
        || verdict.status == Some(true)
        || verdict.reason == Reason::InvalidSpec
        || before.observed_generation != status.observed_generation;
    if status == before || !news {
        context.connections.written(name);
        return action;
    }
    let wanted = VaultConnection {
        status: Some(status),
        ..object.clone()
    };
    let written = status::replace_vault_connection(&context.client, &wanted).await;
    // Told once, with the write that tells it: a pass that began from an older object meets a conflict and tells nothing.
    if written.is_ok() && turned && (last.is_some() || verdict.status == Some(false)) {
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
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::connection::{HEALTHY_INTERVAL, LONGEST_PROBE_PAUSE};

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
