//! Refusals over whose a Secret is: in words for a person, each with what mends it.

use super::failure::{Failure, Retry};
use super::hold;
use super::refusals;
use super::resolve::Job;
use crate::api::Reason;
use crate::cluster::WriteError;
use crate::cluster::write_error::Taken;

/// A refusal that ends when somebody changes the Secret, or an object.
fn conflict(message: String) -> Failure {
    Failure::new(Reason::SecretConflict, message)
}

/// Another object has the Secret.
pub fn held(job: &Job, rival: &str) -> Failure {
    let name = &job.destination.key.name;
    conflict(format!(
        "Secret {name} is already written by VaultSecret {rival}; choose another spec.destination.name, or delete that object"
    ))
}

/// Somebody else made the Secret.
pub fn foreign(job: &Job) -> Failure {
    let name = &job.destination.key.name;
    conflict(format!(
        "Secret {name} exists and was not made by this object; choose another spec.destination.name, set spec.destination.adoptionPolicy: Adopt to take it over as a whole, or creationPolicy: Merge to add keys to it, or delete it"
    ))
}

/// The Secret is in the operator's own namespace, where its keys are, and sessions, and certificates of connections.
pub fn at_home(job: &Job) -> Failure {
    let name = &job.destination.key.name;
    conflict(format!(
        "Secret {name} was not made by this object, and in the operator's own namespace no Secret of others is taken over or merged into; choose another spec.destination.name, or another namespace"
    ))
}

/// The Secret is to be made by somebody else.
pub fn nothing_to_merge_into(job: &Job) -> Failure {
    let name = &job.destination.key.name;
    conflict(format!(
        "Secret {name} does not exist, and creationPolicy: Merge makes none; create it, correct spec.destination.name, or set creationPolicy: CreateOrMerge"
    ))
}

/// The Secret is on its way out.
pub fn deleting(job: &Job) -> Failure {
    let name = &job.destination.key.name;
    let then = if job.destination.creates {
        "it is created anew once it is gone"
    } else {
        "with creationPolicy: Merge the keys go into the one that somebody creates in its place"
    };
    conflict(format!("Secret {name} is being deleted; {then}"))
}

/// Another object had the whole Secret, and has yet to let it go. It may wait in turn for one of those that this object has under `earlier` names.
pub fn about_to_go(job: &Job, owner: &str, earlier: &[&str]) -> Failure {
    let name = &job.destination.key.name;
    let ring = if earlier.is_empty() {
        String::new()
    } else {
        format!(
            ". If it waits in turn for Secret {}, which is this object's until then, give one of the two a third name first",
            earlier.join(", ")
        )
    };
    conflict(format!(
        "Secret {name} is still VaultSecret {owner}'s, which is about to let it go: its status tells if something is in the way of that; it is tried again by itself then, or choose another spec.destination.name{ring}"
    ))
}

/// The Secret is to go with another object.
pub fn goes_with(job: &Job, owner: &str) -> Failure {
    let name = &job.destination.key.name;
    conflict(format!(
        "Secret {name} goes with VaultSecret {owner}, whose it is or was as a whole; choose another spec.destination.name, or wait: it is tried again by itself once the Secret is gone, or does not name that owner any more"
    ))
}

/// Others have keys in the Secret.
pub fn shared(job: &Job, other: &str) -> Failure {
    let name = &job.destination.key.name;
    conflict(format!(
        "Secret {name} holds keys of VaultSecret {other}, so it cannot be this object's as a whole; set spec.destination.creationPolicy: CreateOrMerge here as well, or choose another spec.destination.name"
    ))
}

/// Another controller would change the Secret back.
pub fn controlled(job: &Job, owner: &str) -> Failure {
    let name = &job.destination.key.name;
    conflict(format!(
        "Secret {name} is controlled by {owner} and is not taken over: both would write it for ever; delete that object or have it let the Secret go, or choose another spec.destination.name"
    ))
}

/// The type of the Secret is one that is left alone.
pub fn off_limits(job: &Job, found: &str) -> Failure {
    let name = &job.destination.key.name;
    conflict(format!(
        "Secret {name} has the type {found}, and Secrets of this type are left alone; choose another spec.destination.name"
    ))
}

/// The Secret to merge into has another type than the object says.
pub fn another_type(job: &Job, found: &str) -> Failure {
    let (name, wanted) = (&job.destination.key.name, job.destination.secret_type);
    conflict(format!(
        "Secret {name} has the type {found}, which is for whoever made it to choose, and spec.destination.type says {}; leave that out, or choose another spec.destination.name",
        wanted.as_str()
    ))
}

/// Fields of the Secret are somebody else's.
pub fn taken(job: &Job, taken: &[Taken]) -> Failure {
    let name = &job.destination.key.name;
    let one = |taken: &Taken| {
        let Taken { field, manager } = taken;
        let field = match field.strip_prefix(".data.") {
            Some(key) => format!("key {key}"),
            None => field.trim_start_matches('.').to_owned(),
        };
        format!("{field} is set by {}", hold::in_words(manager))
    };
    let list: Vec<String> = taken.iter().take(MOST_TAKEN).map(one).collect();
    let more = match taken.len().saturating_sub(MOST_TAKEN) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let mut failure = conflict(format!(
        "Secret {name} is shared, and {}{more}; nothing was overwritten: have it removed there, or use another key under spec.data",
        list.join(", ")
    ));
    failure.contested = taken.iter().map(|taken| taken.field.clone()).collect();
    // The same value may come from Vault one day, and is no conflict then. Nothing is issued for such an attempt: the Secret is tried out before.
    failure.retried(Retry::Interval)
}

/// The Secret that is shared can be changed no more.
fn immutable(job: &Job) -> Failure {
    let name = &job.destination.key.name;
    let mut failure = conflict(format!(
        "Secret {name} is immutable, so nothing can be merged into it; have it made anew without that, or choose another spec.destination.name"
    ));
    // Nobody can let go of that. Vault may hold one day what the Secret does.
    failure.contested = vec![".immutable".to_owned()];
    failure.retried(Retry::Interval)
}

/// How many fields of others a message names.
const MOST_TAKEN: usize = 8;

/// The API server did not write the Secret of the job.
pub fn write_of(job: &Job, error: &WriteError) -> Failure {
    let name = &job.destination.key.name;
    match error {
        WriteError::Taken(fields) => taken(job, fields),
        WriteError::Immutable(_) if job.destination.hold.is_shared() => immutable(job),
        error => refusals::write(name, error),
    }
}
