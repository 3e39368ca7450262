//! How far a workload has come with its restart, by its own controller's words: each kind has its way to say so.

use std::time::Duration;

use crate::api::rollout::WorkloadKind;
use crate::cluster::workloads::{Workload, WorkloadSpec, WorkloadStatus};

/// A workload without a deadline of its own is given this long.
const PATIENCE: Duration = Duration::from_mins(10);

/// How far a workload has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All its pods are of the present template and available.
    Done,
    /// Its pods are being replaced.
    Underway,
    /// It does not get on, for this reason.
    Stalled(String),
}

/// How far a workload has come since it was restarted.
pub fn standing(kind: WorkloadKind, workload: &Workload, since: Duration) -> Standing {
    let observed = is_observed(workload);
    let (spec, status) = (&workload.spec, &workload.status);
    let done = match kind {
        WorkloadKind::Deployment => is_deployed(spec, status),
        WorkloadKind::StatefulSet => {
            let wanted = spec.replicas.unwrap_or(1);
            has(status.updated_replicas, wanted)
                && has(status.available_replicas, wanted)
                && status.replicas.unwrap_or(0) <= wanted
        }
        WorkloadKind::DaemonSet => {
            let wanted = status.desired_number_scheduled.unwrap_or(0);
            has(status.updated_number_scheduled, wanted) && has(status.number_available, wanted)
        }
        WorkloadKind::Rollout => status.phase.as_deref() == Some("Healthy"),
    };
    if observed && done {
        return Standing::Done;
    }
    let held = held(kind, workload).or_else(|| {
        let late = since >= PATIENCE && !(observed && has_deadline(kind, status));
        late.then(|| {
            format!(
                "it has not finished within {} minutes",
                PATIENCE.as_secs() / 60
            )
        })
    });
    held.map_or(Standing::Underway, Standing::Stalled)
}

/// Whether the status tells of the spec as it is. A text that is no number is that of an old Argo Rollouts, and cannot be compared.
fn is_observed(workload: &Workload) -> bool {
    let Some(observed) = &workload.status.observed_generation else {
        return false;
    };
    let number = observed
        .as_i64()
        .or_else(|| observed.as_str()?.parse().ok());
    number.is_none_or(|observed| observed >= workload.generation)
}

fn is_deployed(spec: &WorkloadSpec, status: &WorkloadStatus) -> bool {
    let updated = status.updated_replicas.unwrap_or(0);
    has(status.updated_replicas, spec.replicas.unwrap_or(1))
        && status.replicas.unwrap_or(0) <= updated
        && has(status.available_replicas, updated)
}

fn has(count: Option<i64>, wanted: i64) -> bool {
    count.unwrap_or(0) >= wanted
}

/// Why a workload will not get on unless somebody does something.
fn held(kind: WorkloadKind, workload: &Workload) -> Option<String> {
    let (spec, status) = (&workload.spec, &workload.status);
    let can_pause = matches!(kind, WorkloadKind::Deployment | WorkloadKind::Rollout);
    if can_pause && spec.paused == Some(true) {
        return Some(
            "it is paused, and its pods keep the earlier values until it is resumed".into(),
        );
    }
    match kind {
        WorkloadKind::Deployment => {
            let failed = progressing(status).is_some_and(|status| status == "False");
            (failed && is_observed(workload)).then(|| {
                "it has made no progress within its progressDeadlineSeconds; look at its pods"
                    .into()
            })
        }
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => by_strategy(workload),
        WorkloadKind::Rollout => {
            let degraded = status.phase.as_deref() == Some("Degraded") && is_observed(workload);
            degraded.then(|| "it is Degraded".into())
        }
    }
}

/// What an update strategy leaves to people.
fn by_strategy(workload: &Workload) -> Option<String> {
    let spec = &workload.spec;
    let strategy = spec.update_strategy.as_ref()?;
    if strategy.kind.as_deref() == Some("OnDelete") {
        return Some(
            "its update strategy is OnDelete, and its pods keep the earlier values until somebody deletes them"
                .into(),
        );
    }
    let partition = strategy.rolling_update.as_ref()?.partition?;
    let others = spec.replicas.unwrap_or(1).saturating_sub(partition).max(0);
    let all_others = is_observed(workload) && has(workload.status.updated_replicas, others);
    (partition > 0 && all_others).then(|| {
        format!(
            "its update strategy has the partition {partition}, and pods with a lower number keep the earlier values until that is lowered"
        )
    })
}

/// Whether the workload says itself when it has taken too long.
fn has_deadline(kind: WorkloadKind, status: &WorkloadStatus) -> bool {
    kind == WorkloadKind::Deployment && progressing(status).is_some()
}

fn progressing(status: &WorkloadStatus) -> Option<&str> {
    let mut conditions = status.conditions.iter().flatten();
    conditions
        .find(|condition| condition.kind == "Progressing")
        .map(|condition| condition.status.as_str())
}

#[cfg(test)]
mod tests;
