//! One list of a folder for everybody who reads it as the same identity.
//!
//! As with readings of entries: one list per interval, shared; remembered are names and versions, no values. Beside them stands which
//! folders are only listed by name, because the server cannot do more or the policy does not let us, so that this is not tried at every turn.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{MAX_REMEMBERED, REMEMBERING, UNUSED_KEPT, surplus};
use crate::vault::clock;
use crate::vault::engine::KvVersion;
use crate::vault::flight::Flights;
use crate::vault::folder::Listed;
use crate::vault::sessions::Identity;

/// How long it is believed that a folder is listed by name only.
const BELIEVED: Duration = Duration::from_hours(1);

/// The most places that this is remembered of.
const MAX_PLAIN: usize = 10_000;

/// What was listed, and as whom. Equal keys share a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FolderKey {
    /// Who lists.
    pub identity: Identity,
    /// The Vault namespace of the folder; empty for the client's.
    pub namespace: String,
    /// The mount, where it is taken as a person wrote it; empty if Vault is asked where it ends.
    pub mount: String,
    /// The engine's version as a person wrote it; none if Vault is asked.
    pub engine: Option<KvVersion>,
    /// The path below the mount; with the mount in front if Vault is asked.
    pub path: String,
    /// Whether folders below it are listed as well.
    pub recursive: bool,
}

/// The entries of a folder by their names relative to it, in their order; none if there is no such folder.
pub type Entries = Vec<(String, Listed)>;

/// A list.
pub struct Listing {
    /// What was there.
    pub entries: Entries,
    /// When it was asked for: it is at least as recent.
    pub at: Instant,
    /// Whether somebody was told that what it shows is news.
    told: AtomicBool,
}

impl Listing {
    /// Whether nobody was told yet that this is news; from now on, somebody was.
    pub fn is_untold(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }
}

/// The lists of all folders. `E` is why one failed; it is shared by those who wait for the same list.
pub struct Listings<E> {
    flights: Flights<FolderKey, Held, E>,
    plain: Mutex<HashMap<Plain, Instant>>,
}

/// Of what it is known that names are all that is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Plain {
    /// A mount: connection, Vault namespace, path. The server knows no other list.
    Mount(String, String, String),
    /// A folder. Another list is forbidden to that identity.
    Folder(Box<FolderKey>),
}

/// What is kept of one folder.
#[derive(Default)]
struct Held {
    listing: Option<Arc<Listing>>,
    /// When it was last asked for, and until when somebody may come back.
    asked: Option<(Instant, Instant)>,
}

impl<E: Clone> Listings<E> {
    /// Nothing listed yet.
    pub fn new() -> Self {
        Self {
            flights: Flights::new(),
            plain: Mutex::default(),
        }
    }

    /// A list of `key` that is younger than `max_age`: a shared one, or else what `fetch` yields, which is not started otherwise. One at
    /// a time per key. `useful` is for how long the caller may come back. Also tells whether it differs from the one before.
    pub async fn list(
        &self,
        key: &FolderKey,
        (max_age, useful): (Duration, Duration),
        fetch: impl Future<Output = Result<Entries, E>>,
    ) -> Result<(Arc<Listing>, bool), E> {
        let asked = clock::now();
        let cell = self.flights.cell(key);
        let mut turn = cell.turn().await?;
        let until = asked + useful.min(UNUSED_KEPT);
        let until = turn.asked.map_or(until, |(_, known)| known.max(until));
        turn.asked = Some((asked, until));
        if let Some(listing) = &turn.listing {
            // One that began after we asked has no age.
            let age = asked.checked_duration_since(listing.at);
            if age.is_none_or(|age| age < max_age) {
                return Ok((Arc::clone(listing), false));
            }
        }
        let at = clock::now();
        let mut entries = match fetch.await {
            Ok(entries) => entries,
            Err(error) => return Err(turn.failed(error)),
        };
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries.dedup_by(|(one, _), (other, _)| one == other);
        let before = turn.listing.take();
        let differs = before
            .as_ref()
            .is_some_and(|before| before.entries != entries);
        let told = before.is_some_and(|before| differs || before.told.load(Ordering::Relaxed));
        let listing = Arc::new(Listing {
            entries,
            at,
            told: AtomicBool::new(told),
        });
        turn.listing = Some(Arc::clone(&listing));
        Ok((listing, differs))
    }

    /// Notes that names are all that is told there.
    pub fn set_plain(&self, plain: Plain) {
        let mut known = self.lock();
        if known.len() < MAX_PLAIN {
            known.insert(plain, clock::now());
        }
    }

    /// Whether names are all that is told there.
    pub fn is_plain(&self, plain: &Plain) -> bool {
        let now = clock::now();
        self.lock()
            .get(plain)
            .is_some_and(|since| now.duration_since(*since) < BELIEVED)
    }

    /// Forgets folders that nobody comes back to, failed ones at once, and what is too old to be believed. Of more than there is room for, those go
    /// that were not asked for the longest.
    pub fn sweep(&self) {
        let now = clock::now();
        let mut remembered = Vec::new();
        self.flights.sweep(|key, held| {
            let asked = held.asked.filter(|(_, until)| now < *until);
            let kept = asked.zip(held.listing.as_ref());
            remembered
                .extend(kept.map(|((asked, _), listing)| (asked, key.bytes() + listing.bytes())));
            kept.is_some()
        });
        if let Some(last) = surplus(remembered, MAX_REMEMBERED) {
            self.flights
                .sweep(|_, held| held.asked.is_some_and(|(asked, _)| asked > last));
        }
        self.lock()
            .retain(|_, since| now.duration_since(*since) < BELIEVED);
    }

    /// Forgets everything listed over a connection, because its settings changed.
    pub fn forget(&self, connection: &str) {
        drop(
            self.flights
                .take(|key| key.identity.connection == connection),
        );
        self.lock().retain(|plain, _| match plain {
            Plain::Mount(of, _, _) => of != connection,
            Plain::Folder(key) => key.identity.connection != connection,
        });
    }

    /// A panic elsewhere while the map was locked cannot have left it half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<Plain, Instant>> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Clone> Default for Listings<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl FolderKey {
    /// About how many bytes it takes to remember it.
    fn bytes(&self) -> usize {
        let Self {
            identity,
            namespace,
            mount,
            engine: _,
            path,
            recursive: _,
        } = self;
        identity.bytes() + namespace.len() + mount.len() + path.len() + REMEMBERING
    }
}

impl Listing {
    /// About how many bytes it takes to remember it.
    fn bytes(&self) -> usize {
        let of = |(name, listed): &(String, Listed)| {
            let listed = match listed {
                Listed::Version { fingerprint, .. } => fingerprint.len(),
                Listed::Name | Listed::Gone => 0,
            };
            name.len() + listed + size_of::<(String, Listed)>()
        };
        self.entries.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::future::join_all;

    use super::*;
    use crate::vault::reads::tests::identity;

    fn key(path: &str) -> FolderKey {
        FolderKey {
            identity: identity("shop"),
            namespace: String::new(),
            mount: String::new(),
            engine: None,
            path: path.into(),
            recursive: false,
        }
    }

    fn entries(names: &[&str]) -> Entries {
        let entry = |name: &&str| ((*name).to_owned(), Listed::Name);
        names.iter().map(entry).collect()
    }

    async fn list(
        listings: &Listings<String>,
        max_age: Duration,
        names: &[&str],
        requests: &AtomicUsize,
    ) -> (Arc<Listing>, bool) {
        let fetch = async {
            requests.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(entries(names))
        };
        let ages = (max_age, UNUSED_KEPT);
        let listed = listings.list(&key("secret/shop"), ages, fetch).await;
        listed.unwrap_or_else(|error| panic!("{error}"))
    }

    #[tokio::test]
    async fn a_hundred_who_ask_at_once_share_one_list() {
        let (listings, requests) = (Listings::new(), AtomicUsize::new(0));
        let age = Duration::from_mins(1);
        join_all((0..100).map(|_| list(&listings, age, &["b", "a"], &requests))).await;
        let (listing, _) = list(&listings, age, &[], &requests).await;
        assert_eq!(listing.entries, entries(&["a", "b"]));
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_list_that_differs_from_the_one_before_is_news_once() {
        let (listings, requests) = (Listings::new(), AtomicUsize::new(0));
        let now = Duration::ZERO;
        let (first, differs) = list(&listings, now, &["a"], &requests).await;
        assert!(!differs && first.is_untold() && !first.is_untold());
        let (same, differs) = list(&listings, now, &["a"], &requests).await;
        assert!(!differs && !same.is_untold(), "what was told stays told");
        let (other, differs) = list(&listings, now, &["a", "b"], &requests).await;
        assert!(differs && !other.is_untold(), "told by whoever found it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_folder_that_nobody_comes_back_to_is_forgotten() {
        let (listings, requests) = (Listings::new(), AtomicUsize::new(0));
        let long = Duration::from_hours(10);
        list(&listings, long, &["a"], &requests).await;
        tokio::time::advance(UNUSED_KEPT).await;
        listings.sweep();
        list(&listings, long, &["a"], &requests).await;
        assert_eq!(requests.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn that_names_are_all_that_is_told_is_believed_for_an_hour() {
        let listings: Listings<String> = Listings::new();
        let folder = Plain::Folder(Box::new(key("secret/shop")));
        listings.set_plain(folder.clone());
        assert!(listings.is_plain(&folder));
        assert!(!listings.is_plain(&Plain::Folder(Box::new(key("secret/other")))));
        tokio::time::advance(BELIEVED).await;
        assert!(!listings.is_plain(&folder));
    }
}
