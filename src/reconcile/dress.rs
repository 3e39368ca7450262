//! Part of step 7: all of the Secret that is not its values. Labels, annotations and owners as asked for, those of others as they are, and whether
//! the Secret stands as we left it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

use super::hold::{Hold, Part, holders_of_parts, is_of_a_part};
use super::observe::Observed;
use super::resolve::{DestinationJob, Job};
use crate::api::destination::DeletionPolicy;
use crate::api::{MANAGED_BY, MANAGER, VaultSecret};
use crate::cluster::SecretMeta;
use crate::cluster::managed_fields::{Share, is_ours};
use crate::cluster::secret_meta::is_vault_secret;
use crate::record::{ANNOTATION, Record};

/// Labels, annotations, owner references and finalizers of the Secret wanted.
#[derive(Debug, PartialEq)]
pub struct Metadata {
    /// Ours, and those of others that stand there.
    pub labels: BTreeMap<String, String>,
    /// Ours without the record, and those of others that stand there.
    pub annotations: BTreeMap<String, String>,
    /// Ours, and those of others that stand there.
    pub owner_references: Vec<OwnerReference>,
    /// Those that stand there.
    pub finalizers: Vec<String>,
}

/// Whether a Secret that others share was made by this operator, and so goes with the last who has keys in it.
pub fn is_made(job: &Job, observed: &Observed) -> bool {
    let Some(secret) = observed.target.as_deref() else {
        return job.destination.hold.is_shared();
    };
    let was_ours = matches!(observed.hold, Hold::Exclusive | Hold::GivenUp(_));
    let own = observed.hold.own_record(secret);
    let own = own.is_some_and(|record| record.made || was_ours);
    job.destination.hold.is_shared() && (own || holders_of_parts(secret).any(|part| part.made))
}

/// Whether labels, annotations and ownership of the Secret are as we would write them, and it is immutable if it shall be. One that somebody else made
/// immutable is left so until it must change: to have it otherwise it would have to be deleted, and nobody who reads it would be better off.
pub fn is_dressed(job: &Job, secret: &SecretMeta) -> bool {
    let metadata = metadata(job, Some(secret));
    if job.destination.hold.is_shared() {
        return is_part_dressed(job, secret, &metadata);
    }
    let annotations = secret
        .annotations
        .iter()
        .filter(|(name, _)| *name != ANNOTATION);
    let as_fixed = secret.owners.immutable || !job.destination.immutable;
    as_fixed
        && secret.labels == metadata.labels
        && annotations.eq(metadata.annotations.iter())
        && secret.owner_references == metadata.owner_references
}

/// Whether the values are surely what the record says: this process wrote or read them in this very state, or, after a
/// restart, nobody else has set any of them. Somebody who applies the same values shares them with us from then on, so
/// the second question alone would never come to rest.
pub fn is_trusted(secret: &SecretMeta, record: &Record, observed: &Observed) -> bool {
    let Some(share) = observed.hold.share(secret) else {
        return false;
    };
    let numbers = (share.our_keys, share.foreign_keys, share.foreign_marks);
    let is_left_alone = numbers == (record.keys, 0, 0);
    let known = observed.memory.known_good.as_ref();
    let is_known = known.map(|known| known.resource_version == secret.resource_version);
    if observed.hold.is_shared() {
        // Others write it as well. What of it is ours tells whether they have touched that.
        return is_known == Some(true) || is_left_alone && !observed.hold.is_forged(secret);
    }
    is_known.unwrap_or(is_left_alone)
}

/// Whether labels and annotations of our part are as we would write them: all of them, and no others.
fn is_part_dressed(job: &Job, secret: &SecretMeta, wanted: &Metadata) -> bool {
    let Some(share) = job.destination.hold.share(secret) else {
        return false;
    };
    let has = |there: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>| {
        wanted
            .iter()
            .all(|(name, value)| there.get(name) == Some(value))
    };
    let owned = |names: &[String]| {
        let names = names.iter().filter(|name| !is_ours(name));
        names.cloned().collect::<BTreeSet<_>>()
    };
    let asked = |wanted: &BTreeMap<String, String>| wanted.keys().cloned().collect();
    has(&secret.labels, &wanted.labels)
        && has(&secret.annotations, &wanted.annotations)
        && owned(&share.labels) == asked(&wanted.labels)
        && owned(&share.annotations) == asked(&wanted.annotations)
}

/// What the Secret's metadata shall be: ours as asked for, everybody else's as it is.
pub fn metadata(job: &Job, secret: Option<&SecretMeta>) -> Metadata {
    let DestinationJob {
        labels,
        annotations,
        ..
    } = &job.destination;
    if job.destination.hold.is_shared() {
        return Metadata {
            labels: labels.clone(),
            annotations: annotations.clone(),
            owner_references: Vec::new(),
            finalizers: Vec::new(),
        };
    }
    let nothing = SecretMeta::default();
    let secret = secret.unwrap_or(&nothing);
    // What we have set, as a whole or as the part that this object had before.
    let part = secret.owners.parts.get(Part::of(&job.key.name).manager());
    let ours = |names: fn(&Share) -> &Vec<String>| {
        let shares = [Some(&secret.owners.whole), part].into_iter().flatten();
        shares.flat_map(names).cloned().collect::<Vec<_>>()
    };
    let mut labels_wanted = foreign(&secret.labels, &ours(|share| &share.labels));
    labels_wanted.extend(labels.clone());
    labels_wanted.insert(MANAGED_BY.into(), MANAGER.into());
    let mut annotations_wanted = foreign(&secret.annotations, &ours(|share| &share.annotations));
    annotations_wanted.remove(ANNOTATION);
    // Nobody has a part of what is ours as a whole: whoever left this is gone.
    annotations_wanted.retain(|name, _| !is_of_a_part(name));
    annotations_wanted.extend(annotations.clone());
    Metadata {
        labels: labels_wanted,
        annotations: annotations_wanted,
        owner_references: owner_references(job, secret),
        finalizers: secret.finalizers.clone(),
    }
}

/// What stands there without what we put there.
fn foreign(present: &BTreeMap<String, String>, ours: &[String]) -> BTreeMap<String, String> {
    present
        .iter()
        .filter(|(name, _)| !ours.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// References of others stay; one to a VaultSecret is ours to set or to take away. Ours keeps its place, so that a
/// Secret that is as it shall be compares equal.
fn owner_references(job: &Job, secret: &SecretMeta) -> Vec<OwnerReference> {
    let wanted = (job.destination.deletion_policy == DeletionPolicy::Delete).then(|| owner(job));
    let mut references = Vec::with_capacity(secret.owner_references.len() + 1);
    let mut placed = false;
    for reference in &secret.owner_references {
        if !is_vault_secret(reference) {
            references.push(reference.clone());
        } else if let (Some(wanted), false) = (&wanted, placed) {
            references.push(wanted.clone());
            placed = true;
        }
    }
    if !placed {
        references.extend(wanted);
    }
    references
}

fn owner(job: &Job) -> OwnerReference {
    OwnerReference {
        api_version: VaultSecret::api_version(&()).into_owned(),
        kind: VaultSecret::kind(&()).into_owned(),
        name: job.key.name.clone(),
        uid: job.uid.clone(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}
