//! Step 9: what a pass tells the world. Every path through `reconcile` ends in one [`Report`]: status, event, metric and
//! next visit come from it and from nowhere else.

use jiff::Timestamp;

use super::apply::Applied;
use super::decide::{Trigger, next_poll, retry_time};
use super::failure::{self, Failure};
use super::memory::{Failed, KnownGood, Memory};
use super::observe::Observed;
use super::resolve::Job;
use super::status;
use crate::api::Reason;
use crate::api::VaultSecretStatus;
use crate::api::condition::{MAX_MESSAGE_BYTES, READY, SYNCED, find, is_true, truncate};
use crate::cluster::events::Notice;
use crate::record::Record;

/// How a pass ended.
pub enum Outcome {
    /// Nothing can be said yet: what the object depends on was not looked at.
    Pending,
    /// Nothing was to be done; the record says what the Secret holds.
    InSync(Record),
    /// An earlier failure is being waited out until then.
    Waiting(Timestamp),
    /// The Secret was read because somebody touched it, and holds what the record says.
    Verified(Record),
    /// Vault was asked and holds what the Secret was made of.
    Unchanged(Record),
    /// Vault was asked, for this reason, and the Secret was made right.
    Applied(Trigger, Applied),
    /// The pass ended early.
    Failed(Failure),
}

/// What a pass tells the world.
pub struct Report {
    /// The status; `None`: as it is.
    pub status: Option<VaultSecretStatus>,
    /// The event, if something happened that a person wants to see.
    pub notice: Option<Notice>,
    /// The word for metrics and logs.
    pub outcome: &'static str,
    /// Why, for metrics and logs.
    pub reason: Reason,
    /// Whether the object is ready.
    pub ready: bool,
    /// When to look again; `None`: when something changes.
    pub next: Option<Timestamp>,
    /// What the next pass must know.
    pub memory: Memory,
}

/// Works out everything that the pass tells.
pub fn report(observed: &Observed, job: Option<&Job>, outcome: Outcome) -> Report {
    let memory = observed.memory.clone();
    match outcome {
        Outcome::Pending => {
            let ended = ("pending", status::last_reason(observed));
            finish(observed, None, None, ended, None, memory)
        }
        Outcome::Waiting(until) => waiting(observed, job, until, memory),
        Outcome::InSync(record) => {
            let memory = Memory {
                failed: None,
                ..memory
            };
            in_sync(observed, job, &record, ("in_sync", None), memory)
        }
        Outcome::Verified(record) => {
            let memory = Memory {
                known_good: seen(observed),
                ..memory
            };
            in_sync(observed, job, &record, ("verified", None), memory)
        }
        Outcome::Unchanged(record) => {
            let notice = notice_of_recovery(observed, &record);
            let memory = looked(observed, seen(observed));
            in_sync(observed, job, &record, ("unchanged", notice), memory)
        }
        Outcome::Applied(trigger, applied) => {
            let notice = notice_of_repair(observed, trigger, &applied)
                .or_else(|| notice_of_recovery(observed, &applied.record));
            let word = if applied.written {
                "written"
            } else {
                "unchanged"
            };
            let memory = looked(
                observed,
                Some(known_good(observed, applied.resource_version)),
            );
            in_sync(observed, job, &applied.record, (word, notice), memory)
        }
        Outcome::Failed(failure) => failed(observed, job, &failure, memory),
    }
}

/// What to remember after Vault was asked with success and the Secret is right at `known_good`.
fn looked(observed: &Observed, known_good: Option<KnownGood>) -> Memory {
    Memory {
        polled: Some(observed.now),
        failed: None,
        known_good,
        answered: observed.memory.nudges,
        nudges: observed.memory.nudges,
    }
}

/// The Secret as the pass saw it.
fn seen(observed: &Observed) -> Option<KnownGood> {
    let target = observed.target.as_ref();
    target.map(|secret| known_good(observed, secret.resource_version.clone()))
}

/// The Secret holds at that version what the object asks for now.
fn known_good(observed: &Observed, resource_version: String) -> KnownGood {
    KnownGood {
        resource_version,
        generation: observed.object.metadata.generation.unwrap_or_default(),
    }
}

/// A wait that goes on; an outage that has lasted long enough ends readiness meanwhile.
fn waiting(observed: &Observed, job: Option<&Job>, until: Timestamp, memory: Memory) -> Report {
    let stale = status::stale_time(observed, job).filter(|time| *time > observed.now);
    let next = stale.map_or(until, |stale| stale.min(until));
    let ended = ("waiting", status::last_reason(observed));
    finish(
        observed,
        status::stale(observed, job),
        None,
        ended,
        Some(next),
        memory,
    )
}

/// Everything is as asked. `ended` is the word for the outcome, and what to tell of it.
fn in_sync(
    observed: &Observed,
    job: Option<&Job>,
    record: &Record,
    ended: (&'static str, Option<Notice>),
    memory: Memory,
) -> Report {
    let (outcome, notice) = ended;
    let status = status::synced(observed, record);
    let next = job.and_then(|job| next_poll(job, memory.polled, observed));
    finish(
        observed,
        Some(status),
        notice,
        (outcome, Reason::Synced),
        next,
        memory,
    )
}

fn failed(observed: &Observed, job: Option<&Job>, failure: &Failure, memory: Memory) -> Report {
    let world = observed.world();
    let same = memory
        .failed
        .as_ref()
        .filter(|failed| failed.world == world);
    let attempts = same.map_or(0, |failed| failed.attempts.saturating_add(1));
    let retry_at = retry_time(failure.retry, attempts, job, observed);
    let failed = Failed {
        world,
        attempts,
        retry_at,
        at: observed.now,
    };
    // The API server is what status and events are written to: if that is the trouble, the log has to do.
    let told = failure.reason != Reason::KubernetesUnavailable;
    let status = told.then(|| status::failed(observed, job, failure));
    let news = told && is_news(observed, failure);
    let notice = news.then(|| Notice {
        warning: true,
        reason: failure.reason,
        action: "Sync",
        note: failure.message.clone(),
    });
    finish(
        observed,
        status,
        notice,
        ("failed", failure.reason),
        retry_at,
        Memory {
            failed: Some(failed),
            answered: observed.memory.nudges,
            ..memory
        },
    )
}

/// Puts the report together. `ended` is the word for the outcome, and why.
fn finish(
    observed: &Observed,
    status: Option<VaultSecretStatus>,
    notice: Option<Notice>,
    ended: (&'static str, Reason),
    next: Option<Timestamp>,
    memory: Memory,
) -> Report {
    let before = observed.object.status.as_ref();
    let conditions = status
        .as_ref()
        .or(before)
        .map(|status| status.conditions.as_slice());
    let ready = is_true(conditions.unwrap_or_default(), READY);
    let (outcome, reason) = ended;
    Report {
        ready,
        status: status.filter(|status| Some(status) != before),
        notice,
        outcome,
        reason,
        next,
        memory,
    }
}

/// An event tells what a person would not expect. An ordinary sync is told by the status.
fn notice_of_repair(observed: &Observed, trigger: Trigger, applied: &Applied) -> Option<Notice> {
    let name = observed.object.target_name();
    let note = match trigger {
        Trigger::TargetMissing => format!("Secret {name} was gone; created it again"),
        Trigger::TargetChanged if applied.written => {
            format!("Secret {name} was changed by somebody else; restored it")
        }
        Trigger::FirstSync
        | Trigger::SpecChanged
        | Trigger::TargetChanged
        | Trigger::Retry(_)
        | Trigger::RefreshDue => return None,
    };
    Some(Notice {
        warning: false,
        reason: Reason::Synced,
        action: "Restore",
        note,
    })
}

/// An outage of the server, and its end, are told by the VaultConnection, once, and not by each object that waited for it.
fn notice_of_recovery(observed: &Observed, record: &Record) -> Option<Notice> {
    if !status::was_failing(observed) || failure::is_outage(status::last_reason(observed)) {
        return None;
    }
    let note = format!(
        "Secret {} is in sync again (revision {})",
        observed.object.target_name(),
        record.revision
    );
    Some(Notice {
        warning: false,
        reason: Reason::Synced,
        action: "Sync",
        note,
    })
}

fn is_news(observed: &Observed, failure: &Failure) -> bool {
    let told = find(status::before(observed), SYNCED).is_some_and(|synced| {
        synced.reason == failure.reason.as_str()
            && synced.message == truncate(&failure.message, MAX_MESSAGE_BYTES)
    });
    // No event can be written into a namespace that is being deleted.
    !told && !failure.is_outage() && failure.reason != Reason::NamespaceTerminating
}

#[cfg(test)]
mod tests;
