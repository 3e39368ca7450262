//! Whether a restart is still to come, or under way, as the object's status tells: what was replaced in the Secret is in use until then.

use jiff::{SignedDuration, Timestamp};

use crate::api::condition::{ROLLED_OUT, is_true};
use crate::api::rollout::{RolloutLook, RolloutStatus, RolloutTarget};
use crate::api::{VaultSecret, VaultSecretStatus};
use crate::record::{Record, request_hash};
use crate::schedule::parse_duration;

/// How long replaced credentials wait for a restart that does not get done: its own controller has given up by then.
const PATIENCE: SignedDuration = SignedDuration::from_mins(20);

/// How many hexadecimal digits of a hash stand for a list of targets.
const DIGITS: usize = 10;

/// Whether everything that uses the Secret runs with that revision of it, as the object's status tells. True without targets.
pub fn is_rolled_out(object: &VaultSecret, revision: i64) -> bool {
    let targets = &object.spec.rollout.targets;
    let told = |status: &VaultSecretStatus| {
        is_true(&status.conditions, ROLLED_OUT)
            && status.rollout_look == Some(look(targets, revision))
    };
    targets.is_empty() || object.status.as_ref().is_some_and(told)
}

/// Whether nothing is to be waited for before replaced credentials are let go: everything runs with what the record on the Secret tells of, or had
/// long enough to. Never without a record of that very object: then nothing is known of what anybody runs with.
pub fn nothing_waits(object: &VaultSecret, record: Option<&Record>, now: Timestamp) -> bool {
    let uid = object.metadata.uid.as_deref();
    let own = record.filter(|record| Some(record.owner_uid.as_str()) == uid);
    own.is_some_and(|record| was_waited_for(object, record, now))
}

/// Whether everything runs with what that record tells of, or had long enough to.
pub fn was_waited_for(object: &VaultSecret, record: &Record, now: Timestamp) -> bool {
    let noted = object.status.as_ref();
    let noted = noted.map_or(&[][..], |status| &status.rollouts);
    is_rolled_out(object, record.revision) || waits_until(object, noted, record, now) < now
}

/// Until when replaced credentials wait for restarts that do not get done. It counts from when the last workload was restarted, or may be: while the
/// operator itself holds a restart back, nobody can have got done with it. `noted` is how the workloads stand.
pub fn waits_until(
    object: &VaultSecret,
    noted: &[RolloutStatus],
    record: &Record,
    now: Timestamp,
) -> Timestamp {
    let least = parse_duration(&object.spec.rollout.min_interval).unwrap_or_default();
    let may_begin = |one: &RolloutStatus| {
        // A clock that was set back puts nothing off.
        let restarted = one.time.as_ref().map(|time| time.0)?;
        let restarted = Some(restarted).filter(|time| *time <= now)?;
        if one.revision >= record.revision {
            return Some(restarted);
        }
        restarted.checked_add(least).ok()
    };
    let begins = noted.iter().filter_map(may_begin).max();
    let begins = begins.map_or(record.time, |begins| begins.max(record.time));
    begins.checked_add(PATIENCE).unwrap_or(Timestamp::MAX)
}

/// What the targets are compared with.
pub fn look(targets: &[RolloutTarget], revision: i64) -> RolloutLook {
    // Plain structs always serialize; if they ever did not, the targets would only be looked at less often.
    let text = serde_json::to_string(targets).unwrap_or_default();
    let mut targets = request_hash(&text);
    targets.truncate(DIGITS);
    RolloutLook { revision, targets }
}
