//! Step 6: what the readings mean, compared with what the Secret was made of: nothing new, something new, or something gone.

use std::collections::BTreeMap;

use super::failure::Failure;
use super::found::{FolderFound, Found, Value};
use super::observe::Observed;
use super::resolve::Job;
use super::source_job::{SourceJob, SourceKind, full_path, shown_path};
use super::status;
use crate::api::Reason;
use crate::api::destination::MissingSourcePolicy;
use crate::record::{Record, SourceRecord, request_hash};
use crate::vault::KvOutcome;

/// What follows from the readings.
pub enum Settled {
    /// Vault holds what the Secret was made of, as this record says.
    Unchanged(Box<Record>),
    /// The Secret has to be rendered; the values of these sources are needed, or here.
    Render(Vec<Settling>),
    /// A path is gone and the Secret shall go with it.
    DeleteSecret(Failure),
}

/// One source, ready to be rendered.
pub struct Settling {
    /// Its name.
    pub name: String,
    /// Its value; `None` if it contributes nothing.
    pub secret: Option<Value>,
    /// What is recorded of it.
    pub record: SourceRecord,
}

/// What is known of the sources from before.
#[derive(Clone, Copy)]
pub struct Before<'a> {
    /// The record on the Secret.
    record: Option<&'a Record>,
    /// Whether the Secret, and the record with it, was deleted because a path was gone, and nothing was asked anew since.
    deleted: bool,
}

/// What is known of one path from before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Was {
    /// Nothing: it was never asked for, or under another path.
    Unknown,
    /// The Secret was made without it.
    Missing,
    /// The Secret was made of it.
    There,
}

/// Compares. `readings` are in the order of the job's sources; `only_if_changed` is false where the Secret must be
/// rendered whatever Vault says.
pub fn settle(
    job: &Job,
    before: Before<'_>,
    readings: Vec<Found>,
    only_if_changed: bool,
) -> Result<Settled, Failure> {
    let mut settling = Vec::with_capacity(readings.len());
    for (source, reading) in job.sources.iter().zip(readings) {
        match settle_source(job, source, before, reading)? {
            Ok(one) => settling.push(one),
            Err(gone) => return Ok(Settled::DeleteSecret(gone)),
        }
    }
    let records: BTreeMap<&String, &SourceRecord> = settling
        .iter()
        .map(|one| (&one.name, &one.record))
        .collect();
    let unchanged = before.record.filter(|record| {
        let read = record.sources.iter();
        let mut read = read.filter(|(name, _)| !job.issues(name));
        only_if_changed && read.by_ref().eq(records)
    });
    Ok(unchanged.map_or_else(
        || Settled::Render(settling),
        |record| Settled::Unchanged(Box::new(record.clone())),
    ))
}

/// The inner error is a source whose disappearance takes the Secret along.
fn settle_source(
    job: &Job,
    source: &SourceJob,
    before: Before<'_>,
    reading: Found,
) -> Result<Result<Settling, Failure>, Failure> {
    let (name, place) = (source.name.clone(), place(job, source));
    let was = before.of(&name, &place);
    let gone = match standing(source, &place, reading) {
        Ok((secret, record)) => {
            return Ok(Ok(Settling {
                name,
                secret,
                record,
            }));
        }
        Err(gone) => gone,
    };
    let nothing = Settling {
        name,
        secret: None,
        record: SourceRecord::nothing(place),
    };
    if source.optional {
        return Ok(Ok(nothing));
    }
    let policy = job.destination.missing_source_policy;
    let existed = match policy {
        MissingSourcePolicy::Retain | MissingSourcePolicy::Prune => was != Was::Unknown,
        MissingSourcePolicy::Delete => was == Was::There,
    };
    let failure = failure(job, source, gone, existed);
    match policy {
        MissingSourcePolicy::Prune if existed => Ok(Ok(nothing)),
        MissingSourcePolicy::Delete if existed => Ok(Err(failure)),
        MissingSourcePolicy::Retain | MissingSourcePolicy::Prune | MissingSourcePolicy::Delete => {
            Err(failure)
        }
    }
}

/// The value, and what is recorded of it, if anything is there.
fn standing(
    source: &SourceJob,
    place: &str,
    reading: Found,
) -> Result<(Option<Value>, SourceRecord), Gone> {
    let record = |version, fingerprint, entries| SourceRecord::Static {
        place: place.to_owned(),
        version,
        fingerprint,
        missing: false,
        entries,
    };
    match (reading, &source.kind) {
        (
            Found::Entry(KvOutcome::Found {
                fingerprint,
                version,
                value,
            }),
            _,
        ) => {
            let record = record(version, fingerprint.as_ref().into(), None);
            Ok((value.map(Value::Entry), record))
        }
        (Found::Entry(KvOutcome::Deleted { .. }), _) => Err(Gone::Deleted),
        (Found::Entry(KvOutcome::Destroyed), _) => Err(Gone::Destroyed),
        (Found::Entry(KvOutcome::Absent), _) => Err(Gone::Absent),
        (Found::Folder(found), SourceKind::Folder(folder)) if !found.entries.is_empty() => {
            let entries = Some(found.entries.len());
            Ok((
                found.value(folder),
                record(None, found.fingerprint(), entries),
            ))
        }
        (Found::Folder(found), _) => {
            let FolderFound { listed, chosen, .. } = found;
            Err(Gone::Folder { listed, chosen })
        }
    }
}

impl<'a> Before<'a> {
    /// What a pass knows of it.
    pub fn of_pass(observed: &'a Observed) -> Self {
        let told = observed.object.status.as_ref();
        let same_spec = told.and_then(|status| status.observed_generation)
            == observed.object.metadata.generation;
        Self {
            record: observed.record.as_ref(),
            deleted: (observed.target.is_none()
                || observed.hold.is_shared() && observed.record.is_none())
                && same_spec
                && status::last_reason(observed) == Some(Reason::SourceDeleted),
        }
    }

    /// Fingerprint of what the Secret was made of; empty if nothing was there. `None` if it was not made from that place.
    pub fn fingerprint(self, job: &Job, source: &SourceJob) -> Option<&'a str> {
        match self.record?.sources.get(&source.name)? {
            SourceRecord::Static {
                place: known,
                version: _,
                fingerprint,
                missing: _,
                entries: _,
            } => (*known == place(job, source)).then_some(fingerprint),
            SourceRecord::Lease { .. }
            | SourceRecord::Token { .. }
            | SourceRecord::Certificate { .. }
            | SourceRecord::Written { .. } => None,
        }
    }

    /// What was at the place when the Secret was made. A path that was only just written down, or corrected, has never
    /// been there as far as we know: a typing error must not empty a Secret.
    fn of(self, name: &str, place: &str) -> Was {
        let Some(record) = self.record else {
            return if self.deleted {
                Was::There
            } else {
                Was::Unknown
            };
        };
        match record.sources.get(name) {
            Some(SourceRecord::Static {
                place: known,
                missing,
                version: _,
                fingerprint: _,
                entries: _,
            }) if known == place => {
                if *missing {
                    Was::Missing
                } else {
                    Was::There
                }
            }
            Some(_) | None => Was::Unknown,
        }
    }
}

/// Whether a source is read elsewhere now than the Secret was made from: at another server, say, because the connection was changed.
pub fn is_elsewhere(job: &Job, record: &Record) -> bool {
    job.sources.iter().any(|source| {
        let known = record.sources.get(&source.name);
        known.is_none_or(|known| known.place() != place(job, source))
    })
}

/// A short name for where a source is read. The server's address is part of it: that another server does not have the path is
/// no reason to take anything away.
fn place(job: &Job, source: &SourceJob) -> String {
    // Another choice of entries is another source, too: an expression with a typing error must not empty a Secret.
    let what = match &source.kind {
        SourceKind::Entry { version } => version.to_string(),
        SourceKind::Folder(folder) => format!("folder {}", folder.choice),
    };
    let parts = [
        job.connection.address.as_str(),
        &job.vault_namespace,
        &full_path(source),
        &what,
    ];
    let mut name = request_hash(&parts.join("\n"));
    name.truncate(16);
    name
}

#[derive(Clone, Copy)]
enum Gone {
    Deleted,
    Destroyed,
    Absent,
    /// Of a folder nothing is left to take: how many entries are listed, and how many of them were chosen.
    Folder {
        listed: usize,
        chosen: usize,
    },
}

fn failure(job: &Job, source: &SourceJob, gone: Gone, existed: bool) -> Failure {
    let path = shown_path(source);
    let which = if source.version() > 0 {
        format!("version {} of {path}", source.version())
    } else {
        path
    };
    let keeps = match job.destination.missing_source_policy {
        _ if !existed => "",
        MissingSourcePolicy::Retain => {
            "; the Secret keeps its last value, as missingSourcePolicy says"
        }
        MissingSourcePolicy::Prune => "",
        MissingSourcePolicy::Delete if job.destination.hold.is_shared() => {
            "; the keys of this object were taken out of the Secret, as missingSourcePolicy says"
        }
        MissingSourcePolicy::Delete => "; the Secret was deleted, as missingSourcePolicy says",
    };
    let (reason, what) = match gone {
        Gone::Deleted => (
            Reason::SourceDeleted,
            format!("{which} was deleted in Vault; undelete it or write a new version{keeps}"),
        ),
        Gone::Destroyed => (
            Reason::SourceDeleted,
            format!("{which} was destroyed in Vault; write a new version{keeps}"),
        ),
        Gone::Absent if existed => (
            Reason::SourceDeleted,
            format!("{which} does not exist in Vault any more{keeps}"),
        ),
        Gone::Absent => (
            Reason::PathNotFound,
            format!(
                "{which} does not exist in Vault; write it, correct kv.path, or set optional: true on the source"
            ),
        ),
        Gone::Folder { listed, chosen } => {
            let reason = if existed {
                Reason::SourceDeleted
            } else {
                Reason::PathNotFound
            };
            let what = empty(&which, listed, chosen, existed);
            (reason, format!("{what}{keeps}"))
        }
    };
    Failure::new(reason, format!("source {}: {what}", source.name))
}

/// A folder that is read for the first time brings nothing.
pub fn nothing_in(source: &SourceJob, listed: usize, chosen: usize) -> Failure {
    let what = empty(&shown_path(source), listed, chosen, false);
    Failure::new(
        Reason::PathNotFound,
        format!("source {}: {what}", source.name),
    )
}

/// Why a folder brings nothing, and what mends it.
fn empty(folder: &str, listed: usize, chosen: usize, existed: bool) -> String {
    // Of what was there, an optional source would take the keys away.
    let or = if existed {
        ""
    } else {
        ", or set optional: true on the source"
    };
    match (listed, chosen) {
        (0, _) => format!(
            "folder {folder} has no entries in Vault; write one, or correct kvFolder.path{or}"
        ),
        (_, 0) => format!(
            "none of the {listed} entries of folder {folder} is taken; correct kvFolder.include and exclude{or}"
        ),
        _ => format!(
            "all entries of folder {folder} that are taken were deleted or destroyed in Vault ({chosen}); undelete one or write a new version{or}"
        ),
    }
}

#[cfg(test)]
mod tests;
