//! Step 7: the exact Secret wanted, and whether that is what stands there already.

pub mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

use super::failure::Failure;
use super::found::{FolderValue, Value};
use super::observe::Observed;
use super::refusals;
use super::resolve::{DestinationJob, Job};
use super::settle::Settling;
use super::trigger::Trigger;
use crate::api::destination::{DeletionPolicy, SecretType};
use crate::api::{MANAGED_BY, MANAGER, VaultSecret};
use crate::cluster::SecretMeta;
use crate::cluster::managed_fields::Owners;
use crate::cluster::secret_meta::is_vault_secret;
use crate::record::{ANNOTATION, Record, SessionRecord, SourceRecord};
use crate::render::{self, Mapping, MappingError};
use crate::seal::Keys;
use crate::sensitive::{SecretBytes, SecretData, SecretJson};
use types::{DOCKER_CFG, DOCKER_CONFIG};

/// The Secret wanted.
pub struct Desired {
    /// All its values.
    pub data: SecretData,
    /// The record to write with them.
    pub record: Record,
    /// The sealed values to write with them, if values were issued and they are not too long.
    pub sealed: Option<String>,
    /// Whether anything at all has to be written.
    pub write: bool,
}

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

/// The documents to render, by the names of their sources and in their order.
pub type Documents = Vec<(String, Option<Document>)>;

/// The value of one source.
#[derive(Clone)]
pub enum Document {
    /// It was read, and may be shared with other objects.
    Read(Value),
    /// It was issued for this object alone.
    Issued(Arc<SecretJson>),
}

impl Document {
    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Read(value) => value.bytes(),
            Self::Issued(data) => data.expose().len(),
        }
    }
}

/// What there is to render.
pub fn documents(job: &Job, settled: &[Settling], issued: Option<&Issued>) -> Documents {
    let read = settled
        .iter()
        .map(|one| (one.name.clone(), one.secret.clone().map(Document::Read)));
    let issued = issued.into_iter().flat_map(|issued| &issued.values);
    let issued = issued.map(|one| (one.name.clone(), one.data.clone().map(Document::Issued)));
    let mut documents: Documents = read.chain(issued).collect();
    documents.sort_by_key(|(name, _)| job.order.iter().position(|known| known == name));
    documents
}

/// What Vault issued in one session, with all that has to be known of it.
#[derive(Clone)]
pub struct Issued {
    /// What there is of each source.
    pub values: Vec<IssuedValue>,
    /// The session.
    pub session: SessionRecord,
    /// The values, sealed, if they are not too long.
    pub sealed: Option<String>,
}

/// What Vault issued for one source.
#[derive(Clone)]
pub struct IssuedValue {
    /// Name of the source.
    pub name: String,
    /// The value; `None` if the source contributes nothing.
    pub data: Option<Arc<SecretJson>>,
    /// What is recorded of it.
    pub record: SourceRecord,
}

/// The values of the Secret wanted.
pub fn values(mapping: &Mapping, documents: &Documents) -> Result<SecretData, Failure> {
    let folders = documents.iter().map(|(name, document)| match document {
        Some(Document::Read(Value::Folder(folder))) => together(name, folder).map(Some),
        Some(Document::Read(Value::Entry(_)) | Document::Issued(_)) | None => Ok(None),
    });
    let folders: Vec<Option<SecretJson>> = folders.collect::<Result<_, _>>()?;
    let sources: Vec<(String, Option<&SecretJson>)> = documents
        .iter()
        .zip(&folders)
        .map(|((name, document), folder)| {
            let one = document.as_ref().and_then(|document| match document {
                Document::Read(Value::Entry(secret)) => Some(&secret.data),
                Document::Read(Value::Folder(_)) => folder.as_ref(),
                Document::Issued(data) => Some(data),
            });
            (name.clone(), one)
        })
        .collect();
    render::render(mapping, &sources).map_err(|error| {
        let nested = |name: &str| {
            documents.iter().any(|(known, document)| {
                let value = document.as_ref();
                known == name
                    && matches!(value, Some(Document::Read(Value::Folder(folder))) if !folder.flatten)
            })
        };
        let failure = refusals::mapping(&error);
        match &error {
            MappingError::InvalidKeyName {
                copied: Some((name, _)),
                ..
            } if nested(name) => refusals::folder::hint(name, &failure),
            _ => failure,
        }
    })
}

/// The entries of a folder as one document.
fn together(name: &str, folder: &FolderValue) -> Result<SecretJson, Failure> {
    let FolderValue { entries, flatten } = folder;
    let entries = entries.iter();
    let entries: Vec<(&str, &SecretJson)> = entries
        .map(|(name, secret)| (name.as_str(), &secret.data))
        .collect();
    let document = if *flatten {
        render::folder::flat(&entries)
    } else {
        render::folder::nested(&entries)
    };
    document.map_err(|error| refusals::folder::together(name, &error))
}

/// Compares the values with what stands there. If the trigger is that somebody else set values, the Secret is written even if
/// everything that can be compared is equal.
pub fn build(
    job: &Job,
    data: SecretData,
    settled: &[Settling],
    issued: Option<&Issued>,
    observed: &Observed,
    (trigger, keys): (Trigger, &Keys),
) -> Result<Desired, Failure> {
    types::check(job.destination.secret_type, &data, &job.mapping)?;
    let old = observed.record.as_ref();
    let same = old.filter(|old| keys.verify(&old.mac, &mac_context(job), &data));
    let read = settled.iter().map(|one| (&one.name, &one.record));
    let values = issued.into_iter().flat_map(|issued| &issued.values);
    let sources = read
        .chain(values.map(|one| (&one.name, &one.record)))
        .map(|(name, record)| (name.clone(), record.clone()))
        .collect();
    let record = Record {
        session: issued.map(|issued| issued.session.clone()),
        ..record(job, &data, same, observed, sources, keys)
    };
    let recorded = old.is_some_and(|old| {
        *old == Record {
            generation: old.generation,
            ..record.clone()
        }
    });
    let intact = observed
        .target
        .as_ref()
        .is_some_and(|secret| is_dressed(job, secret) && is_trusted(secret, &record, observed));
    let write = trigger == Trigger::TargetChanged || !(recorded && intact);
    Ok(Desired {
        data,
        record,
        sealed: issued.and_then(|issued| issued.sealed.clone()),
        write,
    })
}

/// What the MAC of the values is bound to, so that neither record nor values can be moved to another Secret.
pub fn mac_context(job: &Job) -> [&str; 4] {
    let key = &job.destination.key;
    [
        &job.uid,
        &key.namespace,
        &key.name,
        job.destination.secret_type.as_str(),
    ]
}

/// The record to write. `same` is the one that stands there, if the values are those that it tells of.
fn record(
    job: &Job,
    data: &SecretData,
    same: Option<&Record>,
    observed: &Observed,
    sources: BTreeMap<String, SourceRecord>,
    keys: &Keys,
) -> Record {
    let told = observed
        .object
        .status
        .as_ref()
        .and_then(|status| status.revision);
    let last = observed
        .record
        .as_ref()
        .map(|record| record.revision)
        .or(told)
        .unwrap_or(0);
    Record {
        owner_uid: job.uid.clone(),
        owner_name: job.key.name.clone(),
        generation: job.generation,
        request: job.request.clone(),
        mac: same.map_or_else(
            || keys.mac(&mac_context(job), data),
            |same| same.mac.clone(),
        ),
        keys: data.len(),
        secret_type: job.destination.secret_type.as_str().into(),
        revision: same.map_or(last + 1, |same| same.revision),
        time: same.map_or(observed.now, |same| same.time),
        sources,
        session: None,
    }
}

/// Whether labels, annotations and ownership of the Secret are as we would write them, and it is immutable if it shall be. One that somebody else made
/// immutable is left so until it must change: to have it otherwise it would have to be deleted, and nobody who reads it would be better off.
pub fn is_dressed(job: &Job, secret: &SecretMeta) -> bool {
    let metadata = metadata(job, Some(secret));
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
    let Owners {
        our_keys,
        foreign_keys,
        foreign_marks,
        immutable: _,
        labels: _,
        annotations: _,
    } = &secret.owners;
    match &observed.memory.known_good {
        Some(known) => known.resource_version == secret.resource_version,
        None => (*our_keys, *foreign_keys, *foreign_marks) == (record.keys, 0, 0),
    }
}

/// What the Secret's metadata shall be: ours as asked for, everybody else's as it is.
pub fn metadata(job: &Job, secret: Option<&SecretMeta>) -> Metadata {
    let DestinationJob {
        labels,
        annotations,
        ..
    } = &job.destination;
    let nothing = SecretMeta::default();
    let secret = secret.unwrap_or(&nothing);
    let mut labels_wanted = foreign(&secret.labels, &secret.owners.labels);
    labels_wanted.extend(labels.clone());
    labels_wanted.insert(MANAGED_BY.into(), MANAGER.into());
    let mut annotations_wanted = foreign(&secret.annotations, &secret.owners.annotations);
    annotations_wanted.remove(ANNOTATION);
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

/// Something in the place of each value that is known by its key, and of each that the type insists on.
pub fn placeholders(job: &Job) -> SecretData {
    let entries = job.mapping.entries.iter();
    let keys = entries.map(|entry| (entry.key.clone(), SecretBytes::from("")));
    let insisted: &[(&str, &str)] = match job.destination.secret_type {
        SecretType::Opaque => &[],
        SecretType::Tls => &[("tls.crt", ""), ("tls.key", "")],
        SecretType::DockerConfigJson => &[(DOCKER_CONFIG, "{}")],
        SecretType::DockerCfg => &[(DOCKER_CFG, "{}")],
        SecretType::BasicAuth => &[("username", "")],
        SecretType::SshAuth => &[("ssh-privatekey", "")],
    };
    let insisted = insisted.iter();
    let insisted = insisted.map(|(key, value)| ((*key).to_owned(), SecretBytes::from(*value)));
    keys.chain(insisted).collect()
}

#[cfg(test)]
mod tests;
