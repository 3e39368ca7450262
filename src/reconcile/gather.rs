//! Part of step 5: a folder, listed and read. One list is shared by all objects of an identity, and so is each reading of an entry.
//!
//! Where the list tells versions, a look without news is that one request. Otherwise each entry is read, and compared by its fingerprint. However large
//! a folder is, only a few of its requests are under way at once.

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use super::Context;
use super::failure::Failure;
use super::folders::FolderJob;
use super::found::{FolderEntry, FolderFound, choose};
use super::reading::{self, Located, Need, Terms, locate, log_in, log_in_again};
use super::refusals::{self, Refusal};
use super::resolve::Job;
use super::source_job::{SourceJob, full_path, shown_path};
use super::walk::{self, bounded};
use crate::vault::{
    self, Detailed, Entries, FolderKey, KvOutcome, KvVersion, Listed, Listing, Plain, Token, Told,
};

/// How many entries of one folder are asked for at once, so that others come in between.
const AT_ONCE: usize = 8;

/// So long before and after the time of a deletion, by our clock, which may be wrong, it is the server that tells whether it has come.
const DOUBT: SignedDuration = SignedDuration::from_hours(24);

/// What the folder holds, on these terms. Tells others of news.
pub async fn read(
    job: &Job,
    source: &SourceJob,
    folder: &FolderJob,
    terms: Terms<'_>,
    context: &Context,
) -> Result<FolderFound, Failure> {
    let key = key(job, source, folder);
    let asked = Box::pin(ask(job, source, &key, context));
    let ages = (terms.max_age, terms.useful);
    let listed = context.listings.list(&key, ages, asked).await;
    let (listing, differs) = listed.map_err(|refusal| refusal.failure(job, source))?;
    let chosen = choose(source, folder, &listing.entries)?;
    let readings: Vec<BoxFuture<'_, _>> = chosen
        .iter()
        .map(|entry| read_entry(job, source, entry, terms, &listing, context).boxed())
        .collect();
    let mut readings = stream::iter(readings).buffered(AT_ONCE);
    let (mut entries, mut bytes) = (Vec::with_capacity(chosen.len()), 0);
    while let Some(entry) = readings.try_next().await? {
        let Some(entry) = entry else { continue };
        let value = entry.value.as_ref();
        bytes += value.map_or(0, |secret| secret.data.expose().len());
        if bytes > refusals::folder::MAX_BYTES {
            return Err(refusals::folder::too_large(source));
        }
        entries.push(entry);
    }
    let found = FolderFound {
        listed: listing.entries.len(),
        chosen: chosen.len(),
        entries,
    };
    let is_other = terms
        .known
        .is_some_and(|known| known != found.fingerprint());
    if differs || (is_other && listing.is_untold()) {
        tell_others(job, source, &found, context);
    }
    Ok(found)
}

/// Wakes those who read the folder, or one of its entries.
fn tell_others(job: &Job, source: &SourceJob, found: &FolderFound, context: &Context) {
    context.nudge_others(&job.key, &shown_path(source));
    for entry in &found.entries {
        context.nudge_others(&job.key, &full_path(&source.entry(&entry.name)));
    }
}

/// What a list says of an entry at this time.
enum Standing<'a> {
    /// That it has to be read.
    Unknown,
    /// That this is there.
    There(&'a str),
    /// That nothing is there.
    Gone,
}

fn standing(listed: &Listed, now: Timestamp) -> Standing<'_> {
    match listed {
        Listed::Name => Standing::Unknown,
        Listed::Gone => Standing::Gone,
        Listed::Version {
            fingerprint,
            deletion: None,
        } => Standing::There(fingerprint),
        Listed::Version {
            fingerprint,
            deletion: Some(time),
        } => match time.duration_since(now) {
            ahead if ahead > DOUBT => Standing::There(fingerprint),
            ahead if ahead < -DOUBT => Standing::Gone,
            _ => Standing::Unknown,
        },
    }
}

/// An entry as it is, or as the list has it where that is enough; `None` if nothing is there.
async fn read_entry(
    job: &Job,
    source: &SourceJob,
    (name, listed): &(String, Listed),
    terms: Terms<'_>,
    listing: &Listing,
    context: &Context,
) -> Result<Option<FolderEntry>, Failure> {
    let entry = source.entry(name);
    let standing = standing(listed, context.clock.now());
    let later = match standing {
        Standing::Unknown => None,
        // Somebody may have read the entry since it was listed.
        Standing::There(_) | Standing::Gone => {
            let key = reading::key(job, &entry);
            context.reads.later(&key, listing.at).await
        }
    };
    let terms = Terms {
        known: None,
        told: None,
        ..terms
    };
    let of_list = |fingerprint| Told {
        at: listing.at,
        fingerprint,
    };
    let outcome = match (standing, later, terms.need) {
        (Standing::Gone, None, _) => return Ok(None),
        (Standing::There(fingerprint), None, Need::Fingerprints) => {
            return Ok(Some(FolderEntry {
                name: name.clone(),
                fingerprint: fingerprint.into(),
                value: None,
            }));
        }
        (Standing::There(_) | Standing::Gone, Some(outcome), Need::Fingerprints) => outcome,
        (Standing::There(fingerprint), _, Need::Values) => {
            let told = Some(of_list(fingerprint));
            reading::read(job, &entry, Terms { told, ..terms }, context).await?
        }
        (Standing::Unknown, _, _) | (Standing::Gone, Some(_), Need::Values) => {
            reading::read(job, &entry, terms, context).await?
        }
    };
    Ok(match outcome {
        KvOutcome::Found {
            fingerprint,
            version: _,
            value,
        } => Some(FolderEntry {
            name: name.clone(),
            fingerprint,
            value,
        }),
        KvOutcome::Deleted { .. } | KvOutcome::Destroyed | KvOutcome::Absent => None,
    })
}

/// What the list is shared by.
fn key(job: &Job, source: &SourceJob, folder: &FolderJob) -> FolderKey {
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
    match detailed.await {
        Ok(Detailed::Found(entries)) => Ok(bounded(entries)?),
        Ok(Detailed::Absent) => match walk_at(located, token, job, key.recursive).await {
            Err(refusal) if refusal.is_forbidden() => Ok(Entries::new()),
            answered => answered,
        },
        Ok(Detailed::Unsupported) => {
            let entries = walk_at(located, token, job, key.recursive).await?;
            listings.set_plain(of_mount);
            Ok(entries)
        }
        Err(vault::Error::Forbidden { .. }) => {
            let entries = walk_at(located, token, job, key.recursive).await?;
            listings.set_plain(of_folder);
            Ok(entries)
        }
        Err(error) => Err(Refusal::List {
            below: String::new(),
            error,
        }),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_that_may_or_may_not_have_come_is_for_the_server_to_tell() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let stands = |hours: Option<i64>| {
            let deletion = hours.map(|hours| now + SignedDuration::from_hours(hours));
            let fingerprint = "1:2026".into();
            match standing(
                &Listed::Version {
                    fingerprint,
                    deletion,
                },
                now,
            ) {
                Standing::Unknown => "unknown",
                Standing::There("1:2026") => "there",
                Standing::There(_) => "another",
                Standing::Gone => "gone",
            }
        };
        let all = [None, Some(25), Some(23), Some(0), Some(-23), Some(-25)].map(stands);
        assert_eq!(
            all,
            ["there", "there", "unknown", "unknown", "unknown", "gone"]
        );
        assert!(matches!(standing(&Listed::Name, now), Standing::Unknown));
        assert!(matches!(standing(&Listed::Gone, now), Standing::Gone));
    }
}
