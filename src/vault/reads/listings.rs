//! One list of a folder for everybody who reads it as the same identity.
//!
//! As with readings of entries: one list per interval, shared; remembered are names and versions, no values. Beside them stands which
//! folders are only listed by name, because the server cannot do more or the policy does not let us, so that this is not tried at every turn.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::remembered::{Asked, MAX_REMEMBERED, REMEMBERING, sweep};
use crate::vault::clock;
use crate::vault::engine::KvVersion;
use crate::vault::flight::Flights;
use crate::vault::folder::Listed;
use crate::vault::sessions::Identity;

/// How long it is believed that a folder is listed by name only.
const BELIEVED: Duration = Duration::from_hours(1);

/// The most places that this is remembered of.
const MAX_PLAIN: usize = 10_000;

/// The most entries of a list of which it is remembered that they could not be read.
const MAX_FAILED: usize = 16;

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
    /// Entries that could not be read when that was last tried.
    failed: Mutex<Vec<String>>,
    /// What all lists take together.
    taken: Arc<AtomicUsize>,
    /// What this one takes of it.
    bytes: usize,
}

impl Listing {
    /// Whether nobody was told yet that this is news; from now on, somebody was.
    pub fn is_untold(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    /// What is listed under that name.
    pub fn entry(&self, name: &str) -> Option<&(String, Listed)> {
        let (entries, by_name) = (&self.entries, |(other, _): &(String, _)| {
            other.as_str().cmp(name)
        });
        let at = entries.binary_search_by(by_name).ok()?;
        entries.get(at)
    }

    /// Notes whether the entry of that name could be read.
    pub fn note(&self, name: &str, failed: bool) {
        let mut known = lock(&self.failed);
        known.retain(|other| other != name);
        if failed && known.len() < MAX_FAILED {
            known.push(name.to_owned());
        }
    }

    /// The entries that could not be read when that was last tried.
    pub fn failed(&self) -> Vec<String> {
        lock(&self.failed).clone()
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The lists of all folders. `E` is why one failed; it is shared by those who wait for the same list.
pub struct Listings<E> {
    flights: Flights<FolderKey, Held, E>,
    /// How many bytes the lists take that are remembered or in use.
    taken: Arc<AtomicUsize>,
    room: usize,
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
    asked: Asked,
}

impl<E: Clone> Listings<E> {
    /// Nothing listed yet.
    pub fn new() -> Self {
        Self::within(MAX_REMEMBERED)
    }

    /// The same, with room for so many bytes.
    fn within(room: usize) -> Self {
        Self {
            flights: Flights::new(),
            taken: Arc::default(),
            room,
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
        turn.asked.note(asked, useful);
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
        let (listing, differs) = self.listing(entries, at, before.as_deref());
        let listing = Arc::new(listing);
        turn.listing = Some(Arc::clone(&listing));
        drop((turn, before));
        if self.taken.load(Ordering::Relaxed) > self.room {
            // By more than that one, so that not every further one has all looked through.
            self.forget_surplus(self.room / 4 * 3);
        }
        Ok((listing, differs))
    }

    /// What was listed, with what is known of it from before.
    fn listing(&self, entries: Entries, at: Instant, before: Option<&Listing>) -> (Listing, bool) {
        let differs = before.is_some_and(|before| before.entries != entries);
        let told = before.is_some_and(|before| differs || before.told.load(Ordering::Relaxed));
        let bytes = bytes(&entries);
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        let listing = Listing {
            entries,
            at,
            told: AtomicBool::new(told),
            failed: Mutex::default(),
            taken: Arc::clone(&self.taken),
            bytes,
        };
        let failed = before.map(Listing::failed).unwrap_or_default();
        for name in failed.iter().filter(|name| listing.entry(name).is_some()) {
            listing.note(name, true);
        }
        (listing, differs)
    }

    /// The entries of that folder that could not be read when that was last tried.
    pub async fn failed(&self, key: &FolderKey) -> Vec<String> {
        let Some(cell) = self.flights.known(key) else {
            return Vec::new();
        };
        let turn = cell.turn_regardless().await;
        let listing = turn.listing.as_deref();
        listing.map(Listing::failed).unwrap_or_default()
    }

    /// Notes that names are all that is told there.
    pub fn set_plain(&self, plain: Plain) {
        let mut known = lock(&self.plain);
        if known.len() >= MAX_PLAIN && !known.contains_key(&plain) {
            let oldest = known.iter().min_by_key(|(_, since)| **since);
            if let Some(oldest) = oldest.map(|(oldest, _)| oldest.clone()) {
                known.remove(&oldest);
            }
        }
        known.insert(plain, clock::now());
    }

    /// Whether names are all that is told there.
    pub fn is_plain(&self, plain: &Plain) -> bool {
        let now = clock::now();
        lock(&self.plain)
            .get(plain)
            .is_some_and(|since| now.duration_since(*since) < BELIEVED)
    }

    /// Forgets folders that nobody comes back to, failed ones at once, and what is too old to be believed. Of more than there is room for, those go
    /// that were not asked for the longest.
    pub fn sweep(&self) {
        self.forget_surplus(self.room);
        let now = clock::now();
        lock(&self.plain).retain(|_, since| now.duration_since(*since) < BELIEVED);
    }

    fn forget_surplus(&self, room: usize) {
        sweep(&self.flights, room, |key, held| {
            let listing = held.listing.as_ref()?;
            Some((held.asked, key.bytes() + listing.bytes))
        });
    }

    /// Forgets everything listed over a connection, because its settings changed.
    pub fn forget(&self, connection: &str) {
        drop(
            self.flights
                .take(|key| key.identity.connection == connection),
        );
        lock(&self.plain).retain(|plain, _| match plain {
            Plain::Mount(of, _, _) => of != connection,
            Plain::Folder(key) => key.identity.connection != connection,
        });
    }
}

/// A panic elsewhere while it was locked cannot have left it half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// About how many bytes it takes to remember these.
fn bytes(entries: &Entries) -> usize {
    let of = |(name, listed): &(String, Listed)| {
        let listed = match listed {
            Listed::Version { fingerprint, .. } => fingerprint.len(),
            Listed::Name | Listed::Gone => 0,
        };
        name.len() + listed + size_of::<(String, Listed)>()
    };
    entries.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::vault::reads::remembered::UNUSED_KEPT;
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

    #[tokio::test(start_paused = true)]
    async fn of_too_many_places_where_names_are_all_the_oldest_is_tried_again() {
        let listings: Listings<String> = Listings::new();
        let place = |number: usize| Plain::Folder(Box::new(key(&format!("secret/{number}"))));
        for number in 0..=MAX_PLAIN {
            listings.set_plain(place(number));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let known = [0, 1, MAX_PLAIN].map(|number| listings.is_plain(&place(number)));
        assert_eq!(known, [false, true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn lists_that_have_no_room_go_when_another_comes() {
        let listings: Listings<String> = Listings::within(100_000);
        let ages = (Duration::from_hours(10), UNUSED_KEPT);
        let asked = AtomicUsize::new(0);
        let list = async |number: usize| {
            let fetch = async {
                asked.fetch_add(1, Ordering::SeqCst);
                Ok(entries(&["a".repeat(5_000).as_str(), "b"]))
            };
            let key = key(&format!("secret/{number}"));
            tokio::time::advance(Duration::from_millis(1)).await;
            let listed = listings.list(&key, ages, fetch).await;
            drop(listed.unwrap_or_else(|error| panic!("{error}")));
        };
        for number in 0..200 {
            list(number).await;
            let taken = listings.taken.load(Ordering::Relaxed);
            assert!(taken <= 100_000, "{taken} bytes after {number} lists");
        }
        list(199).await;
        assert_eq!(asked.load(Ordering::SeqCst), 200, "the youngest stays");
        list(0).await;
        assert_eq!(asked.load(Ordering::SeqCst), 201, "the oldest is gone");
        listings.forget(&identity("shop").connection);
        assert_eq!(listings.taken.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn an_entry_that_could_not_be_read_is_known_until_it_can_or_is_gone() {
        let (listings, requests) = (Listings::new(), AtomicUsize::new(0));
        let (age, now) = (Duration::from_mins(1), Duration::ZERO);
        let (listing, _) = list(&listings, age, &["a", "b", "c"], &requests).await;
        for name in ["b", "c", "b"] {
            listing.note(name, true);
        }
        let key = key("secret/shop");
        assert_eq!(listings.failed(&key).await, ["c", "b"]);
        let (listing, _) = list(&listings, now, &["a", "b"], &requests).await;
        assert_eq!(listings.failed(&key).await, ["b"]);
        listing.note("b", false);
        assert!(listings.failed(&key).await.is_empty());
        for number in 0..100 {
            listing.note(&number.to_string(), true);
        }
        assert_eq!(listing.failed().len(), MAX_FAILED);
    }
}
