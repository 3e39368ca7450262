//! Step 7: the exact Secret wanted, and whether that is what stands there already.

pub mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dress::{is_dressed, is_made, is_trusted};
use super::failure::Failure;
use super::found::{FolderValue, Value};
use super::observe::Observed;
use super::refusals;
use super::resolve::Job;
use super::settle::Settling;
use super::trigger::Trigger;
use crate::api::destination::SecretType;
use crate::record::{Record, SessionRecord, SourceRecord};
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
) -> Desired {
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
    let stands = observed.hold == job.destination.hold;
    let recorded = old.is_some_and(|old| {
        *old == Record {
            generation: old.generation,
            ..record.clone()
        }
    });
    let intact = observed.target.as_ref().is_some_and(|secret| {
        stands && is_dressed(job, secret) && is_trusted(secret, &record, observed)
    });
    let write = trigger == Trigger::TargetChanged || !(recorded && intact);
    Desired {
        data,
        record,
        sealed: issued.and_then(|issued| issued.sealed.clone()),
        write,
    }
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
        made: is_made(job, observed),
        revision: same.map_or(last + 1, |same| same.revision),
        time: same.map_or(observed.now, |same| same.time),
        sources,
        session: None,
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
