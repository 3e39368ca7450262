//! Part of step 5: the list of a folder, shared by all objects of an identity. It tells the versions of the entries where the server does that and the policy lets us
//! ask, and names otherwise.

use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::failure::Failure;
use super::folders::FolderJob;
use super::reading::{self, Located, locate, log_in, log_in_again};
use super::refusals::Refusal;
use super::resolve::Job;
use super::source_job::SourceJob;
use super::walk::{self, bounded};
use crate::vault::{self, Detailed, Entries, FolderKey, KvVersion, Lacking, Listing, Plain, Token};

/// A list that is not older than the first of `ages`; the second is for how long this object may come back. Also tells whether it is other than the one before.
pub async fn list(
    job: &Job,
    source: &SourceJob,
    key: &FolderKey,
    ages: (Duration, Duration),
    context: &Context,
) -> Result<(Arc<Listing>, bool), Failure> {
    let asked = Box::pin(ask(job, source, key, context));
    let listed = context.listings.list(key, ages, asked).await;
    listed.map_err(|refusal| refusal.failure(job, source))
}

/// What the list is shared by.
pub fn key(job: &Job, source: &SourceJob, folder: &FolderJob) -> FolderKey {
    let reading = reading::key(job, source);
    FolderKey {
        identity: reading.identity,
        namespace: reading.namespace,
        mount: reading.mount,
        engine: reading.engine,
        path: reading.path,
        recursive: folder.recursive,
    }
}

/// One list, with one new login if the token turns out to be dead.
async fn ask(
    job: &Job,
    source: &SourceJob,
    key: &FolderKey,
    context: &Context,
) -> Result<Entries, Refusal> {
    let token = log_in(job, context).await?;
    match ask_with(&token, job, source, key, context).await {
        Err(refusal) if refusal.is_forbidden() => {
            let token = log_in_again(&token, refusal, job, context).await?;
            ask_with(&token, job, source, key, context).await
        }
        answered => answered,
    }
}

async fn ask_with(
    token: &Token,
    job: &Job,
    source: &SourceJob,
    key: &FolderKey,
    context: &Context,
) -> Result<Entries, Refusal> {
    let located = locate(token, job, source, context).await?;
    let entries = list_at(&located, token, job, key, context).await;
    let doubtful = match &entries {
        Err(Refusal::List { error, .. }) => matches!(error, vault::Error::NotFound { .. }),
        // As with a path that is absent: a mount that was made anew without versions has no folder of that name.
        Ok(entries) => entries.is_empty() && located.remembered,
        Err(_) => false,
    };
    if let Some(found) = located.found.as_ref().filter(|_| doubtful) {
        let (connection, namespace) = (&job.connection.identity, &job.vault_namespace);
        context.mounts.doubt(connection, namespace, found);
    }
    if !matches!(&entries, Ok(entries) if entries.is_empty()) || !located.remembered {
        return entries;
    }
    let anew = locate(token, job, source, context).await?;
    if anew.mount == located.mount {
        return entries;
    }
    list_at(&anew, token, job, key, context).await
}

/// The entries, with their versions if the server tells them and we may ask. What tells so is asked again in words that every server
/// knows before anything follows from an absence.
async fn list_at(
    located: &Located,
    token: &Token,
    job: &Job,
    key: &FolderKey,
    context: &Context,
) -> Result<Entries, Refusal> {
    let (mount, listings) = (&located.mount, &context.listings);
    let of_mount = Plain::Mount(
        job.connection.identity.clone(),
        job.vault_namespace.clone(),
        mount.path.clone(),
    );
    let of_folder = Plain::Folder(Box::new(key.clone()));
    let is_plain = mount.version == KvVersion::V1
        || listings.is_plain(&of_mount)
        || listings.is_plain(&of_folder);
    if is_plain {
        return walk_at(located, token, job, key.recursive).await;
    }
    let detailed = vault::list_detailed(
        &job.client,
        &job.vault_namespace,
        &token.value,
        mount,
        &located.path,
        key.recursive,
    );
    let detailed = detailed.await.map_err(|error| Refusal::List {
        below: String::new(),
        error,
    })?;
    let lacking = match detailed {
        Detailed::Found(entries) => return Ok(bounded(entries)?),
        Detailed::Absent => return walk_at(located, token, job, key.recursive).await,
        Detailed::Lacking(lacking) => lacking,
    };
    let entries = walk_at(located, token, job, key.recursive).await?;
    match lacking {
        Lacking::Server => listings.set_plain(of_mount),
        Lacking::Folder => listings.set_plain(of_folder),
        Lacking::Once => {}
    }
    Ok(entries)
}

/// The names of the entries, folder by folder.
async fn walk_at(
    located: &Located,
    token: &Token,
    job: &Job,
    recursive: bool,
) -> Result<Entries, Refusal> {
    let (mount, path) = (&located.mount, &located.path);
    let (client, namespace) = (&job.client, &job.vault_namespace);
    let walked = walk::walk(client, namespace, &token.value, mount, path, recursive);
    Ok(walked.await?)
}
