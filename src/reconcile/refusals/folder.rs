//! What Vault said no to when a folder was listed, and folders that cannot become a Secret.

use super::vault_trouble;
use crate::api::Reason;
use crate::reconcile::failure::{Failure, Retry};
use crate::reconcile::resolve::Job;
use crate::reconcile::source_job::{SourceJob, full_path, shown_path};
use crate::render::folder::FolderError;
use crate::vault;

/// The list of the source's folder, or of one below it, was refused or failed.
pub fn list(job: &Job, source: &SourceJob, below: &str, error: &vault::Error) -> Failure {
    let (name, path) = (&source.name, format!("{}{below}", shown_path(source)));
    if let vault::Error::Forbidden { .. } = error {
        let message = format!(
            "source {name}: role {} may not list {path}; its policy needs {}",
            job.login.role,
            stanza(source)
        );
        return Failure::new(Reason::PermissionDenied, message);
    }
    let what = format!("source {name}: list {path}");
    vault_trouble(job, error, Reason::PathNotFound, &what)
}

/// An entry of the folder was refused or failed.
pub fn entry(source: &SourceJob, failure: Failure) -> Failure {
    if failure.reason != Reason::PermissionDenied {
        return failure;
    }
    let message = format!(
        "{}, or leave it out with spec.sources[{}].kvFolder.exclude",
        failure.message, source.name
    );
    Failure { message, ..failure }
}

/// The folder holds more than is looked through.
pub fn unbounded(source: &SourceJob, what: &str) -> Failure {
    let (name, path) = (&source.name, shown_path(source));
    let message = format!(
        "source {name}: folder {path} has {what}; name a folder further down in spec.sources[{name}].kvFolder.path"
    );
    Failure::invalid(message).retried(Retry::Interval)
}

/// Vault answers, and too slowly for so many folders.
pub fn slow(source: &SourceJob, listed: usize) -> Failure {
    let (name, path) = (&source.name, shown_path(source));
    let message = format!(
        "source {name}: the folders of {path} were not all listed within a minute, {listed} of them were; if that lasts, name a folder further down in spec.sources[{name}].kvFolder.path"
    );
    Failure::new(Reason::VaultUnavailable, message)
}

/// The most bytes that the values of a folder may have together, on their way into a Secret that holds an eighth of it.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// They have more.
pub fn too_large(source: &SourceJob) -> Failure {
    let (name, path) = (&source.name, shown_path(source));
    let message = format!(
        "source {name}: the entries of folder {path} have more than {MAX_BYTES} bytes together; take fewer with spec.sources[{name}].kvFolder.include and exclude"
    );
    Failure::new(Reason::SecretTooLarge, message).retried(Retry::Interval)
}

/// The entries do not go together.
pub fn together(name: &str, error: &FolderError) -> Failure {
    let reason = match error {
        FolderError::Clash { .. } => Reason::KeyConflict,
        FolderError::TooDeep { .. } => Reason::InvalidValue,
    };
    Failure::new(reason, format!("source {name}: {error}"))
}

/// The name of an entry is no name for a key.
pub fn hint(name: &str, failure: &Failure) -> Failure {
    let message = format!(
        "{}; or set spec.sources[{name}].kvFolder.flatten to true for the fields of all entries side by side, or leave that entry out with exclude",
        failure.message
    );
    Failure {
        message,
        ..failure.clone()
    }
}

/// What to write into the policy, for everything below the folder.
fn stanza(source: &SourceJob) -> String {
    let path = full_path(source);
    let (mount, rest) = if source.mount.is_empty() {
        path.split_once('/').unwrap_or((&path, ""))
    } else {
        (source.mount.as_str(), source.path.as_str())
    };
    let rest = match rest {
        "" => "*".to_owned(),
        rest => format!("{rest}/*"),
    };
    let allow = |path: String| {
        format!("the capability \"list\": path \"{path}\" {{ capabilities = [\"list\"] }}")
    };
    match source.engine {
        Some(vault::KvVersion::V1) => allow(format!("{mount}/{rest}")),
        Some(vault::KvVersion::V2) => allow(format!("{mount}/metadata/{rest}")),
        None => format!(
            "{} (KV v2), or the same for \"{mount}/{rest}\" (KV v1)",
            allow(format!("{mount}/metadata/{rest}"))
        ),
    }
}
