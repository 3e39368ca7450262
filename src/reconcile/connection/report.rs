//! What a pass over a VaultConnection tells the world: status and event, one of each per outage.

use std::time::Duration;

use jiff::Timestamp;
use kube::Resource;
use kube::runtime::controller::Action;
use tracing::warn;

use super::LONGEST_PROBE_PAUSE;
use crate::api::Reason;
use crate::api::condition::{READY, Verdict, find};
use crate::api::vault_connection::{VaultConnection, VaultConnectionStatus};
use crate::cluster::events::Notice;
use crate::cluster::{WriteError, status};
use crate::reconcile::Context;
use crate::vault::Health;

/// How soon to look again after meeting a newer object.
const AFTER_CONFLICT: Duration = Duration::from_secs(1);

/// Writes what is news and returns when to look again.
pub async fn publish(
    object: &VaultConnection,
    verdict: &Verdict,
    health: Option<&Health>,
    action: Action,
    context: &Context,
) -> Action {
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
    match written {
        Ok(_) | Err(WriteError::NotFound) => action,
        Err(WriteError::Conflict) => Action::requeue(AFTER_CONFLICT),
        Err(error) => {
            warn!(connection = object.metadata.name, %error, "status not written");
            Action::requeue(LONGEST_PROBE_PAUSE)
        }
    }
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
