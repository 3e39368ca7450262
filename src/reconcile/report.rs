//! Step 9: how a pass ended, worked out into all that is said of it. A pass has one [`Report`], whichever way it went; whatever people
//! and programs see of the pass, and when its object is looked at again, is taken from that.

mod notices;
mod tidied;

use jiff::Timestamp;

use self::notices::{notice_of_recovery, notice_of_repair, notice_of_trouble, trouble_of};
pub use self::tidied::{Tidied, with_sessions, with_tidied};
use super::apply::Applied;
use super::contested;
use super::decide::{next_poll, retry_time};
use super::failure::Failure;
use super::memory::{Failed, KnownGood, Memory};
use super::observe::{ConnectionView, Observed};
use super::resolve::Job;
use super::status;
use super::trigger::Trigger;
use crate::api::Reason;
use crate::api::VaultSecretStatus;
use crate::api::condition::{READY, SYNCED, find, is_true, told};
use crate::cluster::events::Notice;
use crate::connections::Entry;
use crate::record::Record;

/// How many attempts in a row may fail of what heals by itself, such as a lost race, before the status tells of it.
const PASSING_ATTEMPTS: u32 = 2;

/// How a pass ended.
pub enum Outcome {
    /// Nothing can be said yet: what the object depends on was not looked at.
    Pending,
    /// Nothing was to be done; the record says what the Secret holds.
    InSync(Record),
    /// An earlier failure is being waited out until then; `None`: until something changes.
    Waiting(Option<Timestamp>),
    /// The Secret was read because somebody touched it, and holds what the record says.
    Verified(Record),
    /// Vault was asked and holds what the Secret was made of.
    Unchanged(Record),
    /// Vault was asked, for this reason, and the Secret was made right.
    Applied(Trigger, Applied),
    /// The object is suspended.
    Suspended,
    /// The object is being deleted, and its sessions are let go before that; until then at the longest.
    Parting(Option<Timestamp>),
    /// The pass ended early.
    Failed(Failure),
}

/// What a pass tells the world.
pub struct Report {
    /// The status; `None`: as it is.
    pub status: Option<VaultSecretStatus>,
    /// The event, if something happened that a person wants to see.
    pub notice: Option<Notice>,
    /// What went wrong, if this attempt failed. Messages hold no secrets.
    pub trouble: Option<Trouble>,
    /// Why a Secret under an earlier name is still there, and the event about that, if it is news.
    pub untidy: Option<(Trouble, Option<Notice>)>,
    /// What to tell of restarts of workloads: see `rollout.rs`.
    pub rollout: Vec<Notice>,
    /// The word for metrics and logs.
    pub outcome: &'static str,
    /// Why, for metrics and logs; `None` while there is nothing to say.
    pub reason: Option<Reason>,
    /// Whether the object is ready.
    pub ready: bool,
    /// When to look again; `None`: when something changes.
    pub next: Option<Timestamp>,
    /// What the next pass must know.
    pub memory: Memory,
}

/// What the log says of a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What went wrong, in one line.
    pub message: String,
    /// Whether the last attempt ended in the same way.
    pub repeated: bool,
}

/// Works out everything that the pass tells.
pub fn report(observed: &Observed, job: Option<&Job>, outcome: Outcome) -> Report {
    let memory = observed.memory.clone();
    match outcome {
        Outcome::Pending => {
            let ended = ("pending", status::last_reason(observed));
            finish(observed, None, None, ended, None, memory)
        }
        Outcome::Suspended => {
            let status = Some(status::suspended(observed));
            let ended = ("suspended", Some(Reason::Suspended));
            finish(observed, status, None, ended, None, memory)
        }
        Outcome::Parting(until) => {
            let ended = ("parting", status::last_reason(observed));
            finish(observed, None, None, ended, until, memory)
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
        untidy: observed.memory.untidy,
        workloads: observed.memory.workloads,
        status_attempts: observed.memory.status_attempts,
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

/// A wait that goes on. It tells the failure as well: the status may not have been written when it happened, and an outage that
/// has lasted long enough ends readiness meanwhile.
fn waiting(
    observed: &Observed,
    job: Option<&Job>,
    until: Option<Timestamp>,
    memory: Memory,
) -> Report {
    let failed = memory.failed.as_ref();
    let status = failed
        .filter(|failed| is_told(observed, failed))
        .map(|failed| status::failed(observed, job, &failed.failure));
    let reason = failed.map(|failed| failed.failure.reason);
    let (notice, failed) = failed.map(|failed| announce(observed, failed)).unzip();
    let next = next_look(observed, job, status.as_ref(), until);
    let memory = Memory { failed, ..memory };
    let ended = ("waiting", reason);
    finish(observed, status, notice.flatten(), ended, next, memory)
}

/// When an object that failed is looked at again: at its next attempt, or before it when the outage makes it stale.
fn next_look(
    observed: &Observed,
    job: Option<&Job>,
    status: Option<&VaultSecretStatus>,
    retry_at: Option<Timestamp>,
) -> Option<Timestamp> {
    let conditions = status.map_or(status::before(observed), |status| &status.conditions);
    let stale = status::stale_time(observed, conditions, job).filter(|time| *time > observed.now);
    [retry_at, stale].into_iter().flatten().min()
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
    let notice = notice.or_else(|| notice_of_trouble(observed, &status));
    let reason = trouble_of(&status).map_or(Reason::Synced, |(reason, _)| reason);
    let next = job.and_then(|job| next_poll(job, memory.polled, observed));
    finish(
        observed,
        Some(status),
        notice,
        (outcome, Some(reason)),
        next,
        memory,
    )
}

fn failed(observed: &Observed, job: Option<&Job>, failure: &Failure, memory: Memory) -> Report {
    let world = observed.world();
    let same = memory.failed.as_ref().filter(|failed| {
        let goes_on = contested::goes_on(failed, observed);
        failed.world == world || goes_on && failed.failure.contested == failure.contested
    });
    let attempts = same.map_or(0, |failed| failed.attempts.saturating_add(1));
    let retry_at = retry_time(failure.retry, attempts, job, observed);
    let last = memory.failed.as_ref().map(|failed| &failed.failure);
    let repeated =
        last.is_some_and(|last| (last.reason, &last.message) == (failure.reason, &failure.message));
    let failed = Failed {
        world,
        attempts,
        retry_at,
        at: observed.now,
        failure: failure.clone(),
        setters: contested::setters(observed, failure),
        announced: memory.failed.as_ref().is_some_and(|last| {
            last.announced && failure.is_outage() && last.failure.reason == failure.reason
        }),
    };
    let told = is_told(observed, &failed);
    let status = told.then(|| status::failed(observed, job, failure));
    let (notice, failed) = announce(observed, &failed);
    let next = next_look(observed, job, status.as_ref(), retry_at);
    let memory = Memory {
        failed: Some(failed),
        answered: observed.memory.nudges,
        ..memory
    };
    let ended = ("failed", Some(failure.reason));
    Report {
        trouble: Some(Trouble {
            message: one_line(&failure.message),
            repeated,
        }),
        ..finish(observed, status, notice, ended, next, memory)
    }
}

fn one_line(message: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    message.chars().map(plain).collect()
}

/// What heals by itself more often than not is told once it lasts: the trouble of the API server, such as a lost race or a webhook
/// that is down, and a server that did not answer but whose probe has yet to say whether it is out.
fn is_told(observed: &Observed, failed: &Failed) -> bool {
    let passing = if failed.failure.reason == Reason::KubernetesUnavailable {
        PASSING_ATTEMPTS
    } else {
        let unsure =
            failed.failure.reason == Reason::VaultUnavailable && !is_connections(observed, failed);
        u32::from(unsure)
    };
    failed.attempts >= passing
}

/// Whether the VaultConnection tells of the failure, so that not each object that waits for it has to.
fn is_connections(observed: &Observed, failed: &Failed) -> bool {
    let is_out = match &observed.connection {
        ConnectionView::Known(Entry::Usable(_), reachability) => reachability.outage.is_some(),
        ConnectionView::Known(Entry::Unusable { .. }, _) => true,
        ConnectionView::Missing | ConnectionView::Pending => false,
    };
    let by_probe = [Reason::VaultUnavailable, Reason::VaultSealed];
    is_out && by_probe.contains(&failed.failure.reason)
}

/// The event about the failure, if it is news, and the failure with that noted.
fn announce(observed: &Observed, failed: &Failed) -> (Option<Notice>, Failed) {
    let Failure {
        reason,
        message,
        retry: _,
        contested: _,
    } = &failed.failure;
    let notice = is_news(observed, failed).then(|| Notice {
        warning: true,
        reason: *reason,
        action: "Sync",
        note: message.clone(),
    });
    let announced = failed.announced || notice.is_some();
    let failed = Failed {
        announced,
        ..failed.clone()
    };
    (notice, failed)
}

/// Puts the report together. `ended` is the word for the outcome, and why.
fn finish(
    observed: &Observed,
    status: Option<VaultSecretStatus>,
    notice: Option<Notice>,
    ended: (&'static str, Option<Reason>),
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
        trouble: None,
        untidy: None,
        rollout: Vec::new(),
        outcome,
        reason,
        next,
        memory,
    }
}

/// Outages heal by themselves, so they are news only when they last, and when no VaultConnection tells of them.
fn is_news(observed: &Observed, failed: &Failed) -> bool {
    let failure = &failed.failure;
    if failure.is_outage() {
        return failed.attempts >= PASSING_ATTEMPTS
            && !failed.announced
            && !is_connections(observed, failed);
    }
    let known = find(status::before(observed), SYNCED).is_some_and(|synced| {
        synced.reason == failure.reason.as_str()
            && synced.message
                == told(
                    &failure.message,
                    failure.reason,
                    observed.runbooks.as_deref(),
                )
    });
    // No event can be written into a namespace that is being deleted.
    !known && failure.reason != Reason::NamespaceTerminating
}

#[cfg(test)]
mod tests;
