//! Step 3: may we write this Secret? Decided before Vault is asked for anything.

use std::sync::Arc;

use jiff::Timestamp;

use super::conflicts;
use super::failure::Failure;
use super::hold::{Hold, Part, holders_of_parts, record_in};
use super::observe::Observed;
use super::resolve::Job;
use crate::api::TOUCHED_ANNOTATION;
use crate::api::destination::SecretType;
use crate::cluster::SecretMeta;
use crate::cluster::secret_meta::is_vault_secret;
use crate::objects::Rival;
use crate::record::ANNOTATION;

/// What we may do with the name.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// Nothing is there: create it.
    Create,
    /// It is ours: change it, if it is still as we know it.
    Update(Arc<SecretMeta>),
    /// It is somebody else's, and shall become ours, or bear keys of ours: that depends on what the watch does not tell of it.
    LookAt(Arc<SecretMeta>),
    /// Keep off.
    Refused(Failure),
}

/// Types of Secret that grant power, or hold the state of a program. Nothing is merged into one.
const OFF_LIMITS: [&str; 3] = [
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
    "helm.sh/release",
];

/// Decides who may write. Of several objects that name the same Secret, the one that it belongs to keeps it: by UID, or else by
/// name, where an object was made anew. If it belongs to none of them, the oldest gets it that wants the whole of it. Those that want a part
/// of it do not stand in each other's way.
pub fn claim(job: &Job, observed: &Observed) -> Claim {
    let holder = holder(observed);
    let holder = holder.as_deref();
    if let Some(rival) = winner(job, observed, holder) {
        return Claim::Refused(conflicts::held(job, &rival.name));
    }
    let Some(secret) = &observed.target else {
        return if job.destination.creates {
            Claim::Create
        } else {
            Claim::Refused(conflicts::nothing_to_merge_into(job))
        };
    };
    if secret.deleting {
        return Claim::Refused(conflicts::deleting(job));
    }
    let takes = job.destination.adopts || job.destination.hold.is_shared();
    if observed.at_home && takes && !is_ours(job, observed, secret) {
        return Claim::Refused(conflicts::at_home(job));
    }
    let checked = if job.destination.hold.is_shared() {
        may_merge(job, observed, secret)
    } else {
        may_have_all(job, observed, secret, holder)
    };
    match checked {
        Ok(true) => Claim::Update(secret.clone()),
        Ok(false) => Claim::LookAt(secret.clone()),
        Err(failure) => Claim::Refused(failure),
    }
}

/// Whether we may put our keys into the Secret; false: it has to be looked at first.
fn may_merge(job: &Job, observed: &Observed, secret: &SecretMeta) -> Result<bool, Failure> {
    let wanted = job.destination.secret_type;
    let known = observed.record.as_ref();
    let is_known = known.is_some_and(|record| record.secret_type == wanted.as_str());
    if is_known && is_ours(job, observed, secret) {
        return Ok(true);
    }
    is_let_go(job, observed, secret)?;
    let Some(found) = secret.secret_type.as_deref() else {
        return Ok(false);
    };
    if OFF_LIMITS.iter().any(|kind| found.starts_with(kind)) {
        return Err(conflicts::off_limits(job, found));
    }
    // Without a word on it, keys go into a Secret of any other type.
    if wanted != SecretType::Opaque && wanted.as_str() != found {
        return Err(conflicts::another_type(job, found));
    }
    Ok(true)
}

/// Whether we may have the whole Secret; false: it has to be looked at first.
fn may_have_all(
    job: &Job,
    observed: &Observed,
    secret: &SecretMeta,
    holder: Option<&str>,
) -> Result<bool, Failure> {
    // What an object has left that is gone is as anybody's.
    let mut others = holders_of_parts(secret).filter(|part| part.owner_name != job.key.name);
    if let Some(other) = others.find(|part| observed.alive.contains(&part.owner_uid)) {
        return Err(conflicts::shared(job, &other.owner_name));
    }
    let made_by_us = match &observed.hold {
        Hold::Exclusive | Hold::GivenUp(_) => true,
        // Made by ourselves, and nobody else has put anything there.
        Hold::Shared(part) => {
            let made = observed.record.as_ref().is_some_and(|record| record.made);
            made && !secret.owners.others && !has_other_parts(secret, part)
        }
    };
    let is_ours = is_ours(job, observed, secret) || holder == Some(job.uid.as_str());
    if is_ours && made_by_us {
        return Ok(true);
    }
    is_let_go(job, observed, secret)?;
    if !job.destination.adopts {
        return Err(conflicts::foreign(job));
    }
    let (true, Some(found)) = (secret.whole, secret.secret_type.as_deref()) else {
        return Ok(false);
    };
    let mut owners = secret.owner_references.iter();
    let controls = |owner: &&_| is_controller(owner) && !is_vault_secret(owner);
    if let Some(owner) = owners.find(controls) {
        let owner = format!("{} {}", owner.kind, owner.name);
        return Err(conflicts::controlled(job, &owner));
    }
    if !SecretType::is_known(found) {
        return Err(conflicts::off_limits(job, found));
    }
    Ok(true)
}

/// Whether no other object has yet to let go of the Secret: one that had the whole of it asks for another one, and deletes this one once that stands; or it goes with that
/// object, by its reference. What was put into it before that would go as well.
fn is_let_go(job: &Job, observed: &Observed, secret: &SecretMeta) -> Result<(), Failure> {
    let is_other = |uid: &String| *uid != job.uid && observed.alive.contains(uid);
    // One that gives the whole up for a part of it is in the way of those alone who want the whole.
    let mut parts = secret.owners.parts.values();
    let is_given_up = parts.any(|part| part.annotations.iter().any(|name| name == ANNOTATION));
    let given_up =
        record_in(secret, ANNOTATION).filter(|_| is_given_up && !job.destination.hold.is_shared());
    let record = Hold::Exclusive.own_record(secret).or(given_up);
    if let Some(record) = record.filter(|record| is_other(&record.owner_uid)) {
        let earlier = observed.leftovers.iter();
        let earlier: Vec<&str> = earlier.map(|(key, _)| key.name.as_str()).collect();
        return Err(conflicts::about_to_go(job, &record.owner_name, &earlier));
    }
    let mut owners = secret.owner_references.iter();
    let other = owners.find(|owner| is_vault_secret(owner) && owner.uid != job.uid);
    other.map_or(Ok(()), |owner| Err(conflicts::goes_with(job, &owner.name)))
}

/// Whether anybody has anything in the Secret as a part of it, but for the owner of this one.
fn has_other_parts(secret: &SecretMeta, own: &Part) -> bool {
    let mut others = secret.owners.parts.iter();
    others.any(|(manager, share)| {
        let mut annotations = share.annotations.iter();
        let has_more = share.our_keys > 0
            || !share.labels.is_empty()
            || annotations.any(|name| name != TOUCHED_ANNOTATION);
        manager != own.manager() && has_more
    })
}

fn is_controller(owner: &k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference) -> bool {
    owner.controller == Some(true)
}

/// UID of the object that the Secret belongs to as a whole: by its record, or by its owner reference if the record was spoilt. Of an object that it
/// belongs to in part, its own.
fn holder(observed: &Observed) -> Option<String> {
    let secret = observed.target.as_deref()?;
    let whole = Hold::Exclusive
        .own_record(secret)
        .map(|record| record.owner_uid);
    let given_up = || {
        let record = observed.hold.own_record(secret);
        let is_given_up = matches!(observed.hold, Hold::GivenUp(_));
        record
            .filter(|_| is_given_up)
            .map(|record| record.owner_uid)
    };
    let by_reference = || {
        let owners = &secret.owner_references;
        let mut ours = owners.iter().filter(|owner| is_vault_secret(owner));
        ours.next().map(|owner| owner.uid.clone())
    };
    whole.or_else(given_up).or_else(by_reference)
}

/// The rival that has more right to the Secret than this object; `None` if nobody has.
fn winner<'a>(job: &Job, observed: &'a Observed, holder: Option<&str>) -> Option<&'a Rival> {
    let created = observed
        .object
        .metadata
        .creation_timestamp
        .as_ref()
        .map_or(Timestamp::MAX, |time| time.0);
    let shares = job.destination.hold.is_shared();
    // The least has the most right. Every contender works out the same order, so that exactly one of them writes.
    let right = |uid: &str, name: &str, shares: bool, created| {
        let is_holder = holder == Some(uid);
        (
            !is_holder,
            !bears_the_name(observed, name),
            shares,
            created,
            uid.to_owned(),
        )
    };
    let own = right(&job.uid, &job.key.name, shares, created);
    let has_part = shares && has_part(job, observed);
    let is_in_the_way = |rival: &&Rival| {
        let is_holder = holder == Some(rival.uid.as_str());
        let both_share = shares && rival.shares;
        // Whoever wants the whole waits for those who have parts of it.
        !both_share && (is_holder || !has_part)
    };
    let rivals = observed.rivals.iter();
    rivals
        .filter(is_in_the_way)
        .map(|rival| {
            (
                right(&rival.uid, &rival.name, rival.shares, rival.created),
                rival,
            )
        })
        .min_by(|(one, _), (other, _)| one.cmp(other))
        .filter(|(theirs, _)| *theirs < own)
        .map(|(_, rival)| rival)
}

/// Whether the object has a part of the Secret already.
fn has_part(job: &Job, observed: &Observed) -> bool {
    let secret = observed.target.as_deref();
    let is_ours = secret.is_some_and(|secret| is_ours(job, observed, secret));
    is_ours && observed.hold.is_shared()
}

/// Ours by UID; or by name, where an object was deleted with `deletionPolicy: Retain` and created again.
fn is_ours(job: &Job, observed: &Observed, secret: &SecretMeta) -> bool {
    let record = observed.hold.own_record(secret);
    record.is_some_and(|record| record.owner_uid == job.uid || record.owner_name == job.key.name)
}

/// Whether the record of the whole Secret names the object of that name as the owner.
fn bears_the_name(observed: &Observed, name: &str) -> bool {
    let secret = observed.target.as_deref();
    let record = secret.and_then(|secret| {
        let whole = Hold::Exclusive.own_record(secret);
        let given_up = matches!(observed.hold, Hold::GivenUp(_));
        whole.or_else(|| record_in(secret, ANNOTATION).filter(|_| given_up))
    });
    record.is_some_and(|record| record.owner_name == name)
}

#[cfg(test)]
mod tests;
