//! Step 4: what to do, and why. Most passes end here, with nothing to do.

use std::time::Duration;

use jiff::Timestamp;

use super::claim::Claim;
use super::dress::{is_dressed, is_trusted};
use super::ends::read_again;
use super::entries;
use super::failure::Retry;
use super::memory::Failed;
use super::observe::Observed;
use super::resolve::Job;
use super::settle;
use super::status;
use super::trigger::Trigger;
use super::wish::wish;
use crate::cluster::SecretMeta;
use crate::minting::{Cause, Step};
use crate::record::Record;
use crate::schedule;

/// How long after Vault was to change something it is read again: by then the new value is there.
const AFTER_ROTATION: Duration = Duration::from_secs(1);

/// Within which time after a start everything is read that Vault may have changed by itself meanwhile.
const FIRST_READ: Duration = Duration::from_secs(30);

/// What a pass does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: everything is as this record says, and as asked.
    Rest(Record),
    /// Nothing until then: an earlier failure is being waited out. `None`: until something changes.
    Wait(Option<Timestamp>),
    /// Somebody touched the Secret, and may or may not have changed its values: read it and compare it with this record.
    Verify(Record),
    /// Credentials are wanted, but so many sessions are open that no other is begun before one of them is let go.
    Full,
    /// Have new credentials issued.
    Issue(Cause),
    /// Ask Vault.
    Fetch(Trigger),
}

/// Decides. `claim` is never a refusal here.
pub fn decide(job: &Job, claim: &Claim, observed: &Observed) -> Decision {
    if let Some(failed) = &observed.memory.failed {
        if is_barred(failed, observed) {
            return Decision::Wait(None);
        }
        if let Some(until) = wait(failed, observed) {
            return Decision::Wait(Some(until));
        }
    }
    match entries::step(observed, wish(job, observed), None) {
        Step::Issue(cause) => return Decision::Issue(cause),
        Step::Full(_) => return Decision::Full,
        Step::Rest(_)
        | Step::LetGo(_)
        | Step::Report(_)
        | Step::Retire(_, _)
        | Step::WritePlain
        | Step::Fence
        | Step::HandOver
        | Step::Release => {}
    }
    let (Some(record), Claim::Update(secret)) = (&observed.record, claim) else {
        return Decision::Fetch(without_record(observed));
    };
    // The request names the connection; where that leads may have changed while we were down.
    let asked_anew = record.request != job.request || settle::is_elsewhere(job, record);
    let held_anew = record.owner_uid != job.uid || observed.hold != job.destination.hold;
    if asked_anew || held_anew {
        return Decision::Fetch(Trigger::SpecChanged);
    }
    let trusted = is_trusted(secret, record, observed);
    let forged = !trusted && observed.hold.is_forged(secret);
    if forged || !(is_as_we_left_it(job, secret, observed) || is_dressed(job, secret)) {
        return Decision::Fetch(if !forged && is_asked_anew(secret, observed) {
            Trigger::SpecChanged
        } else {
            Trigger::TargetChanged
        });
    }
    if let Some(failed) = &observed.memory.failed {
        return Decision::Fetch(Trigger::Retry(waited(failed, observed)));
    }
    if !trusted {
        return Decision::Verify(record.clone());
    }
    let met = observed.object.status.as_ref();
    let met = met.and_then(|status| status.force_sync.as_deref());
    if !job.forced.is_empty() && met != Some(job.forced.as_str()) {
        return Decision::Fetch(Trigger::Requested);
    }
    let due = next_poll(job, observed.memory.polled, observed);
    let failed_before_start = observed.memory.polled.is_none() && status::was_failing(observed);
    if observed.memory.is_nudged()
        || failed_before_start
        || due.is_some_and(|due| due <= observed.now)
    {
        return Decision::Fetch(Trigger::RefreshDue);
    }
    Decision::Rest(record.clone())
}

/// When Vault is asked next about an object that is in sync and was last asked at `polled`; `None`: not by time.
pub fn next_poll(job: &Job, polled: Option<Timestamp>, observed: &Observed) -> Option<Timestamp> {
    let reads = !read_again(job, observed).is_empty();
    let rotates = observed.tended.rotates.filter(|_| reads);
    let after_it = rotates.and_then(|rotates| rotates.at.checked_add(AFTER_ROTATION).ok());
    let interval = job.interval.or(job.read_interval.filter(|_| reads));
    let polled_next = interval.and_then(|interval| next_regular(job, polled, interval, observed));
    let first = observed
        .started
        .checked_add(schedule::spread(&job.uid, FIRST_READ));
    let first = first.ok().filter(|_| reads && polled.is_none());
    [after_it, polled_next, first].into_iter().flatten().min()
}

fn next_regular(
    job: &Job,
    polled: Option<Timestamp>,
    interval: Duration,
    observed: &Observed,
) -> Option<Timestamp> {
    match polled {
        // A clock that was set back must not silence the polls.
        Some(polled) if polled > observed.now => Some(observed.now),
        Some(polled) => schedule::next_poll(&job.uid, polled, interval, job.jitter_percent),
        // Nor must one that was ahead when we started.
        None if observed.started > observed.now => Some(observed.now),
        None => observed
            .started
            .checked_add(schedule::spread(&job.uid, interval))
            .ok(),
    }
}

/// When a failed attempt is retried, given how many there were; `None`: when something changes.
pub fn retry_time(
    retry: Retry,
    attempts: u32,
    job: Option<&Job>,
    observed: &Observed,
) -> Option<Timestamp> {
    let backoff = schedule::backoff(attempts, observed.uid());
    let interval = job.and_then(|job| job.interval).unwrap_or(backoff);
    let pause = match retry {
        Retry::OnChange | Retry::Never => return None,
        Retry::Backoff => backoff,
        Retry::BackoffToInterval => backoff.min(interval),
        // Each attempt would have credentials issued, and given back.
        Retry::Interval => job
            .filter(|job| !job.issued.is_empty())
            .and_then(|job| job.read_interval)
            .unwrap_or(interval),
        // The server says the same to everybody, and all at once would exceed its quota again.
        Retry::After(pause) => {
            let pause = pause.max(Duration::from_secs(1));
            pause.max(backoff) + schedule::spread(observed.uid(), pause)
        }
    };
    observed.now.checked_add(pause).ok()
}

/// Whether another attempt would do the harm of the last one again: nothing that could mend it has changed. That the server was away, or
/// somebody touched the Secret, mends nothing.
fn is_barred(failed: &Failed, observed: &Observed) -> bool {
    let world = observed.world();
    failed.failure.retry == Retry::Never
        && failed.world.generation == world.generation
        && failed.world.connection == world.connection
        && failed.world.forced == world.forced
        && !observed.memory.is_nudged()
}

/// `Some`: the failure is not retried before that time, because nothing that it depended on has changed. A failure
/// that waits for no time was found by an earlier step, which has just let this pass through.
fn wait(failed: &Failed, observed: &Observed) -> Option<Timestamp> {
    let clock_set_back = failed.at > observed.now;
    if failed.world != observed.world() || observed.memory.is_nudged() || clock_set_back {
        return None;
    }
    failed.retry_at.filter(|at| *at > observed.now)
}

/// How long a failed attempt was waited out.
fn waited(failed: &Failed, observed: &Observed) -> Duration {
    if failed.world == observed.world() {
        Duration::try_from(observed.now.duration_since(failed.at)).unwrap_or_default()
    } else {
        Duration::ZERO
    }
}

fn without_record(observed: &Observed) -> Trigger {
    if let Some(failed) = &observed.memory.failed {
        return Trigger::Retry(waited(failed, observed));
    }
    let status = observed.object.status.as_ref();
    let wrote_before = status.is_some_and(|status| status.revision.is_some());
    let wrote_this = status
        .is_some_and(|status| status.secret_name.as_deref() == Some(observed.object.target_name()));
    match (&observed.target, wrote_before) {
        (None, true) => Trigger::TargetMissing,
        (Some(_), _) if wrote_this => Trigger::TargetChanged,
        // Nothing is there yet; or what others made is taken over, or gets keys of ours for the first time.
        (None, false) | (Some(_), _) => Trigger::FirstSync,
    }
}

/// What we wrote ourselves, as asked, is not written again even if it came out otherwise: a webhook that changes our labels
/// would have us write for ever.
fn is_as_we_left_it(job: &Job, secret: &SecretMeta, observed: &Observed) -> bool {
    let known = observed.memory.known_good.as_ref();
    known.is_some_and(|known| {
        known.resource_version == secret.resource_version && known.generation == job.generation
    })
}

/// Whether the Secret is not as asked because the spec was edited: nobody has touched the Secret since we left it, or we have
/// not reported on this spec yet.
fn is_asked_anew(secret: &SecretMeta, observed: &Observed) -> bool {
    let known = observed.memory.known_good.as_ref();
    let status = observed.object.status.as_ref();
    known.is_some_and(|known| known.resource_version == secret.resource_version)
        || status
            .is_some_and(|status| status.observed_generation != observed.object.metadata.generation)
}

#[cfg(test)]
mod tests;
