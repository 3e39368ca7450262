//! Part of step 2: the sources that may be read again and again, checked.

use super::failure::Failure;
use super::folders::{FolderJob, folder_job};
use super::issued::{self, IssuedJob};
use super::paths;
use crate::api::VaultSecret;
use crate::api::source::{KvEngineVersion, KvFolderSource, KvSource, Source};
use crate::vault;

/// One source.
pub struct SourceJob {
    /// Its name.
    pub name: String,
    /// Whether it may be absent.
    pub optional: bool,
    /// Its mount; empty if the mount is the beginning of the path.
    pub mount: String,
    /// The engine's version; `None`: ask Vault.
    pub engine: Option<vault::KvVersion>,
    /// The path below the mount, or with the mount in front.
    pub path: String,
    /// What is read there.
    pub kind: SourceKind,
}

/// What is read at a path.
pub enum SourceKind {
    /// What stands at the path itself.
    Entry {
        /// The version to read; 0 is the newest.
        version: u64,
    },
    /// The entries of a folder.
    Folder(FolderJob),
}

impl SourceJob {
    /// The version that is pinned; 0 where it is the newest that is read.
    pub fn version(&self) -> u64 {
        match self.kind {
            SourceKind::Entry { version } => version,
            SourceKind::Folder(_) => 0,
        }
    }

    /// The member of the source that says what is read.
    pub fn member(&self) -> &'static str {
        match self.kind {
            SourceKind::Entry { .. } => "kv",
            SourceKind::Folder(_) => "kvFolder",
        }
    }

    /// The source that an entry of this folder would be alone.
    pub fn entry(&self, name: &str) -> Self {
        Self {
            name: self.name.clone(),
            optional: self.optional,
            mount: self.mount.clone(),
            engine: self.engine,
            path: format!("{}/{name}", self.path),
            kind: SourceKind::Entry { version: 0 },
        }
    }
}

/// The path as a person would type it for the vault CLI.
pub fn full_path(source: &SourceJob) -> String {
    if source.mount.is_empty() {
        source.path.clone()
    } else {
        format!("{}/{}", source.mount, source.path)
    }
}

/// The same, by which a folder is known for one.
pub fn shown_path(source: &SourceJob) -> String {
    let path = full_path(source);
    match source.kind {
        SourceKind::Entry { .. } => path,
        SourceKind::Folder(_) => format!("{path}/"),
    }
}

/// The sources that may be read again and again, and those that are issued.
pub fn sources(object: &VaultSecret) -> Result<(Vec<SourceJob>, Vec<IssuedJob>), Failure> {
    let (mut read, mut issued) = (Vec::new(), Vec::new());
    for source in &object.spec.sources {
        match (issued::issued(source)?, &source.kv, &source.kv_folder) {
            (Some(job), _, _) => issued.push(job),
            (None, Some(kv), _) => read.push(kv_source(source, kv)?),
            (None, None, Some(folder)) => read.push(folder_source(source, folder)?),
            (None, None, None) => {}
        }
    }
    Ok((read, issued))
}

fn kv_source(source: &Source, kv: &KvSource) -> Result<SourceJob, Failure> {
    let Source { name, optional, .. } = source;
    let KvSource {
        path,
        mount,
        engine_version,
        version,
    } = kv;
    paths::check_kv(mount, path, *engine_version == KvEngineVersion::V1)
        .map_err(|problem| Failure::invalid(format!("spec.sources[{name}].kv.{problem}")))?;
    let version = u64::try_from(*version).map_err(|_| {
        Failure::invalid(format!(
            "spec.sources[{name}].kv.version must not be negative"
        ))
    })?;
    Ok(SourceJob {
        name: name.clone(),
        optional: *optional,
        mount: mount.clone(),
        engine: engine(*engine_version),
        path: path.clone(),
        kind: SourceKind::Entry { version },
    })
}

fn folder_source(source: &Source, folder: &KvFolderSource) -> Result<SourceJob, Failure> {
    let Source { name, optional, .. } = source;
    let (job, path) = folder_job(name, folder)?;
    Ok(SourceJob {
        name: name.clone(),
        optional: *optional,
        mount: folder.mount.clone(),
        engine: engine(folder.engine_version),
        path,
        kind: SourceKind::Folder(job),
    })
}

fn engine(version: KvEngineVersion) -> Option<vault::KvVersion> {
    match version {
        KvEngineVersion::Auto => None,
        KvEngineVersion::V1 => Some(vault::KvVersion::V1),
        KvEngineVersion::V2 => Some(vault::KvVersion::V2),
    }
}
