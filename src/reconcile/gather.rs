//! Part of step 5: a folder, listed and read. One list is shared by all objects of an identity, and so is each reading of an entry.
//!
//! Where the list tells versions, a look without news is that one request. Otherwise each entry is read, and compared by its fingerprint. However large
//! a folder is, only a few of its requests are under way at once.

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use super::Context;
use super::choose::choose;
use super::failure::Failure;
use super::folders::FolderJob;
use super::found::{FolderEntry, FolderFound};
use super::listing::{self, key};
use super::reading::{self, Need, Terms};
use super::refusals;
use super::resolve::Job;
use super::source_job::{SourceJob, full_path, shown_path};
use crate::vault::{FolderKey, KvOutcome, Listed, Listing, Told};

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
    let differed = retry_failed(job, source, folder, &key, terms, context).await?;
    let ages = (terms.max_age, terms.useful);
    let (listing, differs) = listing::list(job, source, &key, ages, context).await?;
    let chosen = choose(job, source, folder, &listing).await?;
    let readings: Vec<BoxFuture<'_, _>> = chosen
        .iter()
        .map(|entry| noted(job, source, entry, terms, &listing, context).boxed())
        .collect();
    let mut readings = stream::iter(readings).buffered(AT_ONCE);
    let (mut entries, mut bytes) = (Vec::with_capacity(chosen.len()), 0);
    let told = || {
        if differs || differed {
            context.nudge_others(&job.key, &shown_path(source));
        }
    };
    while let Some(read) = readings.next().await {
        // That one entry is refused to us is no reason for others not to hear that the list is another one.
        let Some(entry) = read.inspect_err(|_| told())? else {
            continue;
        };
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
    if differs || differed || (is_other && listing.is_untold()) {
        tell_others(job, source, &found, context);
    }
    Ok(found)
}

/// Reads again those entries alone that could not be read, as long as the list is no older than any poll would have it: while one of them is refused, there is no use in
/// reading all the others each time that somebody looks whether it still is. Tells whether the list was news.
async fn retry_failed(
    job: &Job,
    source: &SourceJob,
    folder: &FolderJob,
    key: &FolderKey,
    terms: Terms<'_>,
    context: &Context,
) -> Result<bool, Failure> {
    if terms.regular <= terms.max_age || context.listings.failed(key).await.is_empty() {
        return Ok(false);
    }
    let ages = (terms.regular, terms.useful);
    let (listing, differs) = listing::list(job, source, key, ages, context).await?;
    for name in listing.failed() {
        let there = listing.entry(&name);
        if let Some(entry) = there.filter(|_| folder.names.takes(&name)) {
            noted(job, source, entry, terms, &listing, context).await?;
        }
    }
    Ok(differs)
}

/// An entry, and a note of whether it could be read.
async fn noted(
    job: &Job,
    source: &SourceJob,
    entry: &(String, Listed),
    terms: Terms<'_>,
    listing: &Listing,
    context: &Context,
) -> Result<Option<FolderEntry>, Failure> {
    let read = read_entry(job, source, entry, terms, listing, context).await;
    listing.note(&entry.0, read.is_err());
    read.map_err(|failure| refusals::folder::entry(source, failure))
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
