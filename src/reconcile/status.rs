//! The status that follows from how a pass ended. Equal outcomes make equal statuses, so that nothing is written without news.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::failure::Failure;
use super::observe::Observed;
use super::resolve::Job;
use crate::api::Reason;
use crate::api::condition::{AUTHENTICATED, READY, SYNCED, Verdict, find, is_true, whole_seconds};
use crate::api::vault_secret::{SourceStatus, SourceType, VaultSecretStatus};
use crate::record::{Record, SourceRecord};

/// An outage makes an object not ready once it has lasted this many intervals, and at least [`STALE_AT_LEAST_SECONDS`].
const STALE_INTERVALS: i32 = 3;
const STALE_AT_LEAST_SECONDS: i64 = 600;

/// The Secret holds what is asked for.
pub fn synced(observed: &Observed, record: &Record) -> VaultSecretStatus {
    let name = observed.object.target_name();
    let sources = record.sources.iter().map(|(name, source)| {
        let (version, missing) = version_of(source);
        let version = version.and_then(|version| i64::try_from(version).ok());
        SourceStatus {
            name: name.clone(),
            source_type: SourceType::Static,
            version,
            missing,
        }
    });
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
    let verdicts = [
        (
            READY,
            good(
                Reason::Synced,
                format!("Secret {name} holds {keys} as asked for"),
            ),
        ),
        (
            AUTHENTICATED,
            good(
                Reason::LoggedIn,
                format!("Vault accepts the service account for role {role}"),
            ),
        ),
        (
            SYNCED,
            good(Reason::Synced, "the last look at Vault succeeded".into()),
        ),
    ];
    VaultSecretStatus {
        observed_generation: observed.object.metadata.generation,
        revision: Some(record.revision),
        secret_name: Some(name.into()),
        last_change_time: Some(whole_seconds(record.time)),
        sources: sources.collect(),
        conditions: conditions(observed, &verdicts),
    }
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
    if !stays_ready(observed, job, failure) {
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
            let message = "no login was tried yet".into();
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
    VaultSecretStatus {
        observed_generation: observed.object.metadata.generation,
        conditions: conditions(observed, &verdicts),
        ..before
    }
}

/// An outage spoils no Secret: what is ready stays so, until the outage has lasted long enough to call the values stale.
fn stays_ready(observed: &Observed, job: Option<&Job>, failure: &Failure) -> bool {
    let conditions = before(observed);
    let stale = stale_time(conditions, job).is_some_and(|time| time <= observed.now);
    let same_spec = observed
        .object
        .status
        .as_ref()
        .and_then(|status| status.observed_generation)
        == observed.object.metadata.generation;
    failure.is_outage()
        && is_true(conditions, READY)
        && observed.record.is_some()
        && same_spec
        && !stale
}

/// When the outage that these conditions tell of makes the object stale; `None` if they tell of none, or it is not ready anyway.
pub fn stale_time(conditions: &[Condition], job: Option<&Job>) -> Option<Timestamp> {
    let since = find(conditions, SYNCED)
        .filter(|synced| synced.status == "False")?
        .last_transition_time
        .0;
    if !is_true(conditions, READY) {
        return None;
    }
    let interval = job.and_then(|job| job.interval).unwrap_or_default();
    let seconds = i64::try_from(interval.as_secs())
        .unwrap_or(i64::MAX)
        .saturating_mul(i64::from(STALE_INTERVALS));
    since
        .checked_add(jiff::SignedDuration::from_secs(
            seconds.max(STALE_AT_LEAST_SECONDS),
        ))
        .ok()
}

/// The conditions in their usual order: new verdicts, and what was said before where there is none.
fn conditions(observed: &Observed, verdicts: &[(&str, Verdict)]) -> Vec<Condition> {
    let before = before(observed);
    let generation = observed.object.metadata.generation;
    let one = |kind: &&str| {
        let verdict = verdicts
            .iter()
            .find(|(of, _)| of == kind)
            .map(|(_, verdict)| verdict);
        match verdict {
            Some(verdict) => Some(verdict.condition(kind, before, generation, observed.now)),
            None => find(before, kind).map(|condition| Condition {
                observed_generation: generation,
                ..condition.clone()
            }),
        }
    };
    [READY, AUTHENTICATED, SYNCED]
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

/// Version of a source as status tells it.
fn version_of(record: &SourceRecord) -> (Option<u64>, bool) {
    match record {
        SourceRecord::Static {
            place: _,
            version,
            fingerprint: _,
            missing,
        } => (*version, *missing),
    }
}
