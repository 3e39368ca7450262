//! Step 5: ask Vault, as the object's own service account, for what may be read again and again.

use std::time::Duration;

use futures::future::try_join_all;

use super::Context;
use super::failure::Failure;
use super::found::Found;
use super::gather;
use super::reading::{self, Need, Terms};
use super::refusals;
use super::resolve::Job;
use super::settle::Before;
use super::source_job::{SourceJob, SourceKind};
use super::trigger::Trigger;
use crate::api::Reason;
use crate::connections::Reachability;

/// How old a reading may be that a new or repaired Secret is made of: a hundred objects that start together share it.
const SHARED_FOR: Duration = Duration::from_secs(30);

/// How old it may be where a person is waiting: somebody edited the object, or mends what failed.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// The same where what failed is tried again without an interval.
const RETRIED_FOR: Duration = Duration::from_mins(5);

/// How long an answer may take before the connection is suspected.
const SLOW: Duration = Duration::from_secs(3);

/// Reads every source, side by side. Tells the connection of an outage, and others of news.
pub async fn fetch(
    job: &Job,
    trigger: Trigger,
    need: Need,
    before: Before<'_>,
    context: &Context,
) -> Result<Vec<Found>, Failure> {
    let Reachability { outage, .. } = job.connection.reachability();
    let is_asked = !job.sources.is_empty() || matches!(trigger, Trigger::Issued(_));
    if let Some(outage) = outage.filter(|_| is_asked) {
        return Err(refusals::outage(job, outage.reason));
    }
    let readings = job.sources.iter().map(|source| {
        let terms = Terms {
            max_age: max_age(job, source, trigger),
            regular: regular(job, trigger),
            useful: useful(job),
            told: None,
            known: before.fingerprint(job, source),
            need,
        };
        read(job, source, terms, context)
    });
    let result = unless_outage(job, Box::pin(try_join_all(readings)), context).await;
    if let Err(failure) = &result
        && matches!(
            failure.reason,
            Reason::VaultUnavailable | Reason::VaultSealed
        )
    {
        context.suspect(&job.connection);
    }
    result
}

async fn read(
    job: &Job,
    source: &SourceJob,
    terms: Terms<'_>,
    context: &Context,
) -> Result<Found, Failure> {
    match &source.kind {
        SourceKind::Entry { version: _ } => {
            let outcome = reading::read(job, source, terms, context).await;
            outcome.map(Found::Entry)
        }
        SourceKind::Folder(folder) => {
            let found = gather::read(job, source, folder, terms, context).await;
            found.map(Found::Folder)
        }
    }
}

/// Waits for Vault, but not for one that the connection's probe finds dead meanwhile: a server that hangs would keep
/// workers busy that other servers' objects need.
async fn unless_outage<T>(
    job: &Job,
    mut reading: impl Future<Output = Result<T, Failure>> + Unpin,
    context: &Context,
) -> Result<T, Failure> {
    loop {
        match tokio::time::timeout(SLOW, &mut reading).await {
            Ok(result) => return result,
            Err(_) => context.suspect(&job.connection),
        }
        if let Reachability {
            outage: Some(outage),
            ..
        } = job.connection.reachability()
        {
            return Err(refusals::outage(job, outage.reason));
        }
    }
}

/// A poll may share a reading that is younger than the shortest pause between two polls; then one read per interval
/// serves everybody, and nobody skips a turn because of its own last reading.
fn max_age(job: &Job, source: &SourceJob, trigger: Trigger) -> Duration {
    if source.version() > 0 && trigger == Trigger::RefreshDue {
        return Duration::MAX; // a pinned version does not change
    }
    let interval = job.interval.unwrap_or(SHARED_FOR);
    match trigger {
        Trigger::RefreshDue => shortest(job, interval),
        Trigger::FirstSync
        | Trigger::TargetMissing
        | Trigger::TargetChanged
        | Trigger::Issued(_) => interval.min(SHARED_FOR),
        // Nobody's reading from before the failure will do, and everybody who failed at about the same time shares the next.
        Trigger::Retry(waited) if !waited.is_zero() => interval.min(waited.mul_f64(0.8)),
        Trigger::SpecChanged | Trigger::Retry(_) => interval.min(FRESH_FOR),
        // Whoever asks has seen that something is out of date, perhaps in the last reading.
        Trigger::Requested => Duration::ZERO,
    }
}

/// Where an attempt after a failure is not the first to ask for something, so old may be what tells it what to ask for: as old as at a poll.
fn regular(job: &Job, trigger: Trigger) -> Duration {
    match trigger {
        Trigger::Retry(waited) if !waited.is_zero() => {
            shortest(job, job.interval.unwrap_or(RETRIED_FOR))
        }
        _ => Duration::ZERO,
    }
}

/// A little less than the shortest pause between two polls.
fn shortest(job: &Job, interval: Duration) -> Duration {
    interval
        .mul_f64(1.0 - f64::from(job.jitter_percent) / 100.0)
        .mul_f64(0.95)
}

/// For how long this object may come back to compare: until its next poll, which may be late; without polls, some day.
fn useful(job: &Job) -> Duration {
    job.interval
        .map_or(Duration::MAX, |interval| interval.saturating_mul(2))
}
