//! Step 3: may we write this Secret? Decided before Vault is asked for anything.

use std::sync::Arc;

use jiff::Timestamp;

use super::failure::Failure;
use super::observe::Observed;
use super::resolve::Job;
use crate::api::{Reason, TOUCHED_ANNOTATION};
use crate::cluster::SecretMeta;
use crate::cluster::secret_meta::is_vault_secret;
use crate::objects::Rival;
use crate::record::Record;

/// What we may do with the name.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// Nothing is there: create it.
    Create,
    /// It is ours: change it, if it is still as we know it.
    Update(Arc<SecretMeta>),
    /// Keep off.
    Refused(Failure),
}

/// Decides who may write. Of several objects that name the same Secret, the one that it belongs to keeps it: by UID, or else by
/// name, where an object was made anew. If it belongs to none of them, the oldest gets it.
pub fn claim(job: &Job, observed: &Observed) -> Claim {
    let name = &job.destination.key.name;
    let holder = holder(observed);
    if let Some(rival) = winner(job, observed, holder) {
        let message = format!(
            "Secret {name} is already written by VaultSecret {}; choose another spec.destination.name, or delete that object",
            rival.name
        );
        return Claim::Refused(Failure::new(Reason::SecretConflict, message));
    }
    match &observed.target {
        None => Claim::Create,
        Some(secret) if secret.deleting => Claim::Refused(Failure::new(
            Reason::SecretConflict,
            format!("Secret {name} is being deleted; it is created anew once it is gone"),
        )),
        Some(secret) if is_ours(job, observed, holder) => Claim::Update(secret.clone()),
        Some(_) => {
            let message = format!(
                "Secret {name} exists and was not made by this object; delete it, or choose another spec.destination.name"
            );
            Claim::Refused(Failure::new(Reason::SecretConflict, message))
        }
    }
}

/// UID of the object that the Secret belongs to: by its record, or by its owner reference if the record was spoilt.
fn holder(observed: &Observed) -> Option<&str> {
    let by_record = own_record(observed).map(|record| record.owner_uid.as_str());
    let owners = observed
        .target
        .iter()
        .flat_map(|secret| &secret.owner_references);
    let by_reference = || {
        let mut ours = owners.filter(|owner| is_vault_secret(owner));
        ours.next().map(|owner| owner.uid.as_str())
    };
    by_record.or_else(by_reference)
}

/// The rival that has more right to the Secret than this object; `None` if nobody has.
fn winner<'a>(job: &Job, observed: &'a Observed, holder: Option<&str>) -> Option<&'a Rival> {
    let created = observed
        .object
        .metadata
        .creation_timestamp
        .as_ref()
        .map_or(Timestamp::MAX, |time| time.0);
    // The least has the most right. Every contender works out the same order, so that exactly one of them writes.
    let right = |uid: &str, name: &str, created| {
        let is_holder = holder == Some(uid);
        (
            !is_holder,
            !bears_the_name(observed, name),
            created,
            uid.to_owned(),
        )
    };
    let own = right(&job.uid, &job.key.name, created);
    observed
        .rivals
        .iter()
        .map(|rival| (right(&rival.uid, &rival.name, rival.created), rival))
        .min()
        .filter(|(theirs, _)| *theirs < own)
        .map(|(_, rival)| rival)
}

/// Ours by UID; or by name, where an object was deleted with `deletionPolicy: Retain` and created again.
fn is_ours(job: &Job, observed: &Observed, holder: Option<&str>) -> bool {
    holder == Some(job.uid.as_str()) || bears_the_name(observed, &job.key.name)
}

/// Whether the record names the object of that name as the owner.
fn bears_the_name(observed: &Observed, name: &str) -> bool {
    own_record(observed).is_some_and(|record| record.owner_name == name)
}

/// The record, if we have ever written the Secret that bears it. Whoever copies one of our Secrets copies its record too, and the copy is
/// theirs. That it was touched is no proof: a touch writes nothing else.
pub fn own_record(observed: &Observed) -> Option<&Record> {
    let secret = observed.target.as_ref()?;
    let mut annotations = secret.owners.annotations.iter();
    let written = secret.owners.our_keys > 0 || annotations.any(|name| name != TOUCHED_ANNOTATION);
    observed.record.as_ref().filter(|_| written)
}

#[cfg(test)]
mod tests;
