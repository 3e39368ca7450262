//! Steps 2 and 7 without a cluster: what an object asks for, and what Secret it becomes of given values. The same checks and the same
//! rendering as in a pass; what only a cluster knows (the connection, the service account, who owns the Secret) is not looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::{self, Document};
use super::choose::choose_here;
use super::failure::Failure;
use super::found::{FolderEntry, FolderFound, Value};
use super::issued;
use super::mapping::mapping;
pub use super::observe::TemplateMaps;
use super::refusals::folder as refusals;
use super::resolve::{self, DestinationJob};
use super::settle::nothing_in;
use super::source_job::{SourceJob, SourceKind, shown_path, sources};
use crate::api::{MANAGED_BY, MANAGER, Reason, VaultSecret};
use crate::cluster::Key;
use crate::render::Mapping;
use crate::schedule::parse_duration;
use crate::sensitive::{SecretData, SecretJson};
use crate::vault::{Entries, KvSecret, KvVersion};

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
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Whether it may be absent.
    pub optional: bool,
    /// What would have to be read for it.
    pub of: Of,
}

/// What a source is made of.
pub enum Of {
    /// One entry of a KV engine.
    Entry(Place),
    /// The entries of a folder.
    Folder(Folder),
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

/// A folder of a KV engine.
pub struct Folder(SourceJob);

/// The value of a source.
pub enum Given {
    /// One document.
    One(SecretJson),
    /// The entries of a folder.
    Many(Entered),
}

/// Entries of a folder that go into the Secret.
pub struct Entered(Value);

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
        let (name, optional) = (source.name.clone(), source.optional);
        let of = match source.kind {
            SourceKind::Folder(_) => Of::Folder(Folder(source)),
            SourceKind::Entry { .. } => Of::Entry(Place::of(&source)),
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

impl Place {
    fn of(source: &SourceJob) -> Self {
        Self {
            mount: source.mount.clone(),
            engine: source.engine,
            path: source.path.clone(),
            version: source.version(),
        }
    }
}

impl Folder {
    /// Where it is.
    pub fn place(&self) -> Place {
        Place::of(&self.0)
    }

    /// The path by which a person knows it.
    pub fn path(&self) -> String {
        shown_path(&self.0)
    }

    /// Whether the entries of folders below it belong to it.
    pub fn is_recursive(&self) -> bool {
        matches!(&self.0.kind, SourceKind::Folder(folder) if folder.recursive)
    }

    /// The names of the entries that are taken of those there are, in their order.
    pub fn choose(&self, there: &Entries) -> Result<Vec<String>, Refused> {
        let SourceKind::Folder(folder) = &self.0.kind else {
            return Ok(Vec::new());
        };
        let chosen = choose_here(&self.0, folder, there)?;
        let mut names: Vec<String> = chosen.into_iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        Ok(names)
    }

    /// There is more than is looked through.
    pub fn unbounded(&self, what: &str) -> Refused {
        refusals::unbounded(&self.0, what).into()
    }

    /// Its folders were not all listed in time.
    pub fn slow(&self, listed: usize) -> Refused {
        refusals::slow(&self.0, listed).into()
    }

    /// Puts together what was found of `listed` entries: those taken, `None` where one was deleted. Nothing at all is an error, unless the source may be absent.
    pub fn fill(
        &self,
        listed: usize,
        taken: Vec<(String, Option<SecretJson>)>,
    ) -> Result<Option<Given>, Refused> {
        let SourceKind::Folder(folder) = &self.0.kind else {
            return Ok(None);
        };
        let chosen = taken.len();
        let entries = taken.into_iter().filter_map(|(name, data)| {
            let value = KvSecret {
                data: data?,
                version: None,
                created_time: None,
            };
            Some(FolderEntry {
                name,
                fingerprint: Arc::default(),
                value: Some(Arc::new(value)),
            })
        });
        let found = FolderFound {
            listed,
            chosen,
            entries: entries.collect(),
        };
        match found.value(folder) {
            Some(value) if value.bytes() > refusals::MAX_BYTES => {
                Err(refusals::too_large(&self.0).into())
            }
            Some(value) => Ok(Some(Given::Many(Entered(value)))),
            None if self.0.optional => Ok(None),
            None => Err(nothing_in(&self.0, listed, chosen).into()),
        }
    }
}

impl Plan {
    /// The sources, in their order.
    pub fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }

    /// Makes the Secret. A source without a value contributes nothing, if it may.
    pub fn make(self, mut values: BTreeMap<String, Given>) -> Result<Rendered, Refused> {
        let mut documents = Vec::with_capacity(self.wanted.len());
        for Wanted { name, optional, .. } in self.wanted {
            let value = values.remove(&name).map(|value| match value {
                Given::One(json) => Document::Issued(Arc::new(json)),
                Given::Many(Entered(value)) => Document::Read(value),
            });
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
