//! Steps 2 and 7 without a cluster: what an object asks for, and what Secret it becomes of given values. The same checks and the same
//! rendering as in a pass; what only a cluster knows (the connection, the service account, who owns the Secret) is not looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::{self, Document};
use super::failure::Failure;
use super::issued;
use super::mapping::mapping;
pub use super::observe::TemplateMaps;
use super::resolve::{self, DestinationJob};
use super::source_job::{SourceJob, SourceKind, sources};
use crate::api::{MANAGED_BY, MANAGER, Reason, VaultSecret};
use crate::cluster::Key;
use crate::render::Mapping;
use crate::schedule::parse_duration;
use crate::sensitive::{SecretData, SecretJson};
use crate::vault::KvVersion;

/// Why there is no Secret: the words of the condition that the object would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub reason: Reason,
    /// What is wrong and what mends it.
    pub message: String,
}

/// An object, checked.
pub struct Plan {
    mapping: Mapping,
    destination: DestinationJob,
    wanted: Vec<Wanted>,
}

/// One source whose value is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Whether it may be absent.
    pub optional: bool,
    /// What would have to be read for it.
    pub of: Of,
}

/// What a source is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// One entry of a KV engine.
    Entry(Place),
    /// All entries of a folder.
    Folder,
    /// What Vault would have to issue.
    Issued,
}

/// An entry of a KV engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The mount; empty if it is the beginning of the path.
    pub mount: String,
    /// The engine's version; `None`: Vault has to be asked.
    pub engine: Option<KvVersion>,
    /// The path below the mount, or with the mount in front.
    pub path: String,
    /// The version to read; 0 is the newest.
    pub version: u64,
}

/// The Secret that would be written.
pub struct Rendered {
    /// Its namespace, or empty.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub secret_type: &'static str,
    /// Whether it cannot be changed.
    pub immutable: bool,
    /// Its labels, without those that others put there.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, without the operator's record and those that others put there.
    pub annotations: BTreeMap<String, String>,
    /// Its values.
    pub data: SecretData,
}

/// Checks an object as a pass does.
pub fn plan(object: &VaultSecret, templates: &TemplateMaps) -> Result<Plan, Refused> {
    let spec = &object.spec;
    parse_duration(&spec.refresh.interval)
        .map_err(|error| Failure::invalid(format!("spec.refresh.interval: {error}")))?;
    let (read, issued) = sources(object)?;
    issued::lease(object)?;
    let read = read.into_iter().map(|source| {
        let SourceJob {
            name,
            optional,
            mount,
            engine,
            path,
            kind,
        } = source;
        let of = match kind {
            SourceKind::Folder(_) => Of::Folder,
            SourceKind::Entry { version } => Of::Entry(Place {
                mount,
                engine,
                path,
                version,
            }),
        };
        Wanted { name, optional, of }
    });
    let issued = issued.into_iter().map(|source| Wanted {
        name: source.name,
        optional: source.optional,
        of: Of::Issued,
    });
    let mut wanted: Vec<Wanted> = read.chain(issued).collect();
    let order = |name: &str| spec.sources.iter().position(|source| source.name == name);
    wanted.sort_by_key(|one| order(&one.name));
    Ok(Plan {
        mapping: mapping(object, templates)?,
        destination: resolve::destination(object, &Key::of(&object.metadata)),
        wanted,
    })
}

impl Plan {
    /// The sources, in their order.
    pub fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }

    /// Makes the Secret. A source without a value contributes nothing, if it may.
    pub fn make(self, mut values: BTreeMap<String, SecretJson>) -> Result<Rendered, Refused> {
        let mut documents = Vec::with_capacity(self.wanted.len());
        for Wanted { name, optional, .. } in self.wanted {
            let value = values.remove(&name).map(Arc::new).map(Document::Issued);
            if value.is_none() && !optional {
                let message = format!("source {name} has no value");
                return Err(Failure::new(Reason::PathNotFound, message).into());
            }
            documents.push((name, value));
        }
        let data = build::values(&self.mapping, &documents)?;
        let DestinationJob {
            key,
            secret_type,
            mut labels,
            annotations,
            immutable,
            hold,
            ..
        } = self.destination;
        build::types::check(secret_type, &data, &self.mapping)?;
        if !hold.is_shared() {
            labels.insert(MANAGED_BY.into(), MANAGER.into());
        }
        Ok(Rendered {
            namespace: key.namespace,
            name: key.name,
            secret_type: secret_type.as_str(),
            immutable,
            labels,
            annotations,
            data,
        })
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let Failure {
            reason, message, ..
        } = failure;
        Self { reason, message }
    }
}
