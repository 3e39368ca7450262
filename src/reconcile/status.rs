//! The status that follows from how a pass ended. Equal outcomes make equal statuses, so that nothing is written without news.

mod sessions;
mod sources;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::failure::Failure;
use super::issued;
use super::observe::Observed;
use super::resolve::Job;
use super::tended::Trouble;
use super::wish::wish;
use crate::api::Reason;
use crate::api::condition::{
    AUTHENTICATED, READY, ROLLED_OUT, SYNCED, Verdict, find, is_true, whole_seconds,
};
use crate::api::status::VaultSecretStatus;
use crate::minting::{Cause, Wish};
use crate::record::{Record, SourceRecord};

/// An outage makes an object not ready once it has lasted this many intervals, and at least [`STALE_AT_LEAST_SECONDS`].
const STALE_INTERVALS: i32 = 3;
const STALE_AT_LEAST_SECONDS: i64 = 600;

/// The Secret holds what is asked for.
pub fn synced(observed: &Observed, record: &Record) -> VaultSecretStatus {
    let before = observed.object.status.clone().unwrap_or_default();
    let name = observed.object.target_name();
    let lives = observed.tended.live.as_ref();
    let sources = record
        .sources
        .iter()
        .map(|(name, source)| sources::source_status(name, source, lives));
    let keys = if record.keys == 1 {
        "1 key".to_owned()
    } else {
        format!("{} keys", record.keys)
    };
    let good = |reason, message: String| Verdict {
        status: Some(true),
        reason,
        message,
    };
    let role = &observed.object.spec.auth.role;
    let short_token = sessions::warning(observed).unwrap_or_default();
    let ready = over(observed).unwrap_or_else(|| {
        good(
            Reason::Synced,
            format!("Secret {name} holds {keys} as asked for{short_token}"),
        )
    });
    let verdicts = [
        (READY, ready),
        (
            AUTHENTICATED,
            good(
                Reason::LoggedIn,
                format!("Vault accepts the service account for role {role}"),
            ),
        ),
        (SYNCED, renewed(observed)),
    ];
    let status = VaultSecretStatus {
        observed_generation: observed.object.metadata.generation,
        revision: Some(record.revision),
        secret_name: Some(name.into()),
        force_sync: Some(issued::forced(&observed.object)).filter(|forced| !forced.is_empty()),
        last_change_time: Some(whole_seconds(record.time)),
        sources: sources.collect(),
        rollouts: before.rollouts,
        rollout_look: before.rollout_look,
        conditions: conditions(observed, &verdicts),
        ..VaultSecretStatus::default()
    };
    sessions::with_sessions(observed, status)
}

/// Whether the last attempt succeeded: of an object whose Secret is as asked for, that is the last renewal.
fn renewed(observed: &Observed) -> Verdict {
    match &observed.tended.trouble {
        Some(Trouble { reason, message }) => {
            let until = sessions::expiration(observed).filter(|end| *end > observed.now);
            let until =
                until.map_or_else(String::new, |end| format!("; they are good until {end:.0}"));
            Verdict {
                status: Some(false),
                reason: *reason,
                message: format!(
                    "credentials could not be renewed, which is tried again{until}: {message}"
                ),
            }
        }
        None => Verdict {
            status: Some(true),
            reason: Reason::Synced,
            message: "the last look at Vault succeeded".into(),
        },
    }
}

/// That the Secret holds credentials which are of no use any more, if so.
fn over(observed: &Observed) -> Option<Verdict> {
    let message = sessions::over(observed)?;
    let why = observed.tended.trouble.as_ref();
    let why = why.map_or_else(String::new, |trouble| {
        format!("; they could not be renewed: {}", trouble.message)
    });
    Some(Verdict {
        status: Some(false),
        reason: Reason::LeaseLost,
        message: format!("{message}{why}"),
    })
}

/// Nothing is read or written, because the object says so.
pub fn suspended(observed: &Observed) -> VaultSecretStatus {
    let message = "spec.suspend is true: nothing is read or written, and the credentials in the Secret are renewed as long as they can be";
    let verdict = Verdict {
        status: Some(false),
        reason: Reason::Suspended,
        message: message.into(),
    };
    let before = observed.object.status.clone().unwrap_or_default();
    let mut verdicts = vec![(SYNCED, verdict.clone())];
    let ready = find(&before.conditions, READY);
    if let Some(over) = over(observed) {
        verdicts.push((READY, over));
    } else if ready.is_none_or(|ready| ready.reason == Reason::LeaseLost.as_str()) {
        verdicts.push((READY, verdict));
    }
    let status = VaultSecretStatus {
        observed_generation: observed.object.metadata.generation,
        conditions: conditions(observed, &verdicts),
        ..before
    };
    sessions::with_sessions(observed, status)
}

/// The pass ended early.
pub fn failed(observed: &Observed, job: Option<&Job>, failure: &Failure) -> VaultSecretStatus {
    let before = observed.object.status.clone().unwrap_or_default();
    let bad = Verdict {
        status: Some(false),
        reason: failure.reason,
        message: failure.message.clone(),
    };
    let mut verdicts = vec![(SYNCED, bad.clone())];
    if let Some(Verdict { message: over, .. }) = over(observed) {
        let message = format!("{over}; there are no new ones: {}", failure.message);
        let bad = bad.clone();
        verdicts.push((READY, Verdict { message, ..bad }));
    } else if !stays_ready(observed, job, failure) {
        verdicts.push((READY, bad.clone()));
    }
    match failure.authenticated() {
        Some(false) => verdicts.push((AUTHENTICATED, bad)),
        Some(true) => {
            let message = format!(
                "Vault accepts the service account for role {}",
                observed.object.spec.auth.role
            );
            verdicts.push((
                AUTHENTICATED,
                Verdict {
                    status: Some(true),
                    reason: Reason::LoggedIn,
                    message,
                },
            ));
        }
        None if find(&before.conditions, AUTHENTICATED).is_none() => {
            let message = "not known yet".into();
            verdicts.push((
                AUTHENTICATED,
                Verdict {
                    status: None,
                    reason: failure.reason,
                    message,
                },
            ));
        }
        None => {}
    }
    let status = VaultSecretStatus {
        observed_generation: observed.object.metadata.generation,
        conditions: conditions(observed, &verdicts),
        ..before
    };
    sessions::with_sessions(observed, status)
}

/// An outage spoils no Secret, nor does it when credentials are due to be replaced and that fails: what is ready stays so, until the
/// outage has lasted long enough to call the values stale, or the credentials end.
fn stays_ready(observed: &Observed, job: Option<&Job>, failure: &Failure) -> bool {
    let conditions = before(observed);
    let stale = stale_time(observed, conditions, job).is_some_and(|time| time <= observed.now);
    let same_spec = observed
        .object
        .status
        .as_ref()
        .and_then(|status| status.observed_generation)
        == observed.object.metadata.generation;
    let spoils_nothing = failure.is_outage() || job.is_some_and(|job| is_only_due(job, observed));
    spoils_nothing && is_true(conditions, READY) && observed.record.is_some() && same_spec && !stale
}

/// Whether new credentials are wanted in time, while the ones in the Secret still live.
fn is_only_due(job: &Job, observed: &Observed) -> bool {
    let due = matches!(
        wish(job, observed),
        Wish::Session(Some(Cause::RotationDue | Cause::Forced))
    );
    due && is_lent(observed) && sessions::expiration(observed).is_some_and(|end| end > observed.now)
}

/// Whether everything in the Secret was issued: then it is as good as ever until that ends.
fn is_lent(observed: &Observed) -> bool {
    let record = observed.record.as_ref();
    record.is_some_and(|record| {
        let mut sources = record.sources.values();
        let issued = |source: &SourceRecord| !matches!(source, SourceRecord::Static { .. });
        !record.sources.is_empty() && sources.all(issued)
    })
}

/// When the failure that these conditions tell of makes the object stale; `None` if they tell of none, or it is not ready anyway.
pub fn stale_time(
    observed: &Observed,
    conditions: &[Condition],
    job: Option<&Job>,
) -> Option<Timestamp> {
    let since = find(conditions, SYNCED)
        .filter(|synced| synced.status == "False")?
        .last_transition_time
        .0;
    if !is_true(conditions, READY) {
        return None;
    }
    let end = sessions::expiration(observed);
    if is_lent(observed) {
        return end;
    }
    let interval = job.and_then(|job| job.interval).unwrap_or_default();
    let seconds = i64::try_from(interval.as_secs())
        .unwrap_or(i64::MAX)
        .saturating_mul(i64::from(STALE_INTERVALS));
    let lasts = jiff::SignedDuration::from_secs(seconds.max(STALE_AT_LEAST_SECONDS));
    since.checked_add(lasts).into_iter().chain(end).min()
}

/// The conditions in their usual order: new verdicts, and what was said before where there is none.
fn conditions(observed: &Observed, verdicts: &[(&str, Verdict)]) -> Vec<Condition> {
    let before = before(observed);
    let generation = observed.object.metadata.generation;
    let runbooks = observed.runbooks.as_deref();
    let one = |kind: &&str| {
        let verdict = verdicts
            .iter()
            .find(|(of, _)| of == kind)
            .map(|(_, verdict)| verdict);
        match verdict {
            Some(verdict) => {
                Some(verdict.condition(kind, before, generation, observed.now, runbooks))
            }
            None => find(before, kind).map(|condition| Condition {
                observed_generation: generation,
                ..condition.clone()
            }),
        }
    };
    // Of the last one `rollout.rs` says whether it stays so.
    [READY, AUTHENTICATED, SYNCED, ROLLED_OUT]
        .iter()
        .filter_map(one)
        .collect()
}

/// The conditions of the last report.
pub fn before(observed: &Observed) -> &[Condition] {
    observed
        .object
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default()
}

/// Whether the last report was of a failure.
pub fn was_failing(observed: &Observed) -> bool {
    find(before(observed), SYNCED).is_some_and(|synced| synced.status != "True")
}

/// Why the last attempt ended as it did; `None` if none was reported yet.
pub fn last_reason(observed: &Observed) -> Option<Reason> {
    let word = find(before(observed), SYNCED).map(|synced| synced.reason.as_str());
    Reason::ALL
        .into_iter()
        .find(|reason| Some(reason.as_str()) == word)
}
