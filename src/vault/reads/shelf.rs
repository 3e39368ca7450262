//! The values that readings hold for others, within a bound.
//!
//! Whoever may write an object decides how many paths are read, and whoever may write into Vault how large they are. So all
//! values that are kept together stay below one budget: when a new one does not fit, the oldest go. Nobody fails for that;
//! whoever needs a value that is gone reads it again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::vault::kv::KvSecret;

/// How long a value is kept after it was read.
pub(super) const VALUE_KEPT: Duration = Duration::from_secs(30);
/// The most bytes that all kept values may have together: eight replies of the largest size, or thousands of usual ones.
pub(super) const MAX_KEPT: usize = 64 * 1024 * 1024;

/// The values of all readings, in the order in which they came.
pub(super) struct Shelf {
    budget: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    kept: BTreeMap<u64, Kept>,
    bytes: usize,
    last: u64,
}

struct Kept {
    secret: Arc<KvSecret>,
    since: Instant,
}

/// Where a reading finds its value, as long as it is kept. When the ticket goes, so does the value.
pub(super) struct Ticket {
    shelf: Arc<Shelf>,
    number: u64,
    secret: Weak<KvSecret>,
}

impl Ticket {
    /// The value, if it is still kept, or somebody is using it still.
    pub(super) fn value(&self) -> Option<Arc<KvSecret>> {
        self.secret.upgrade()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.shelf.lock().take(self.number);
    }
}

impl Shelf {
    /// An empty shelf for so many bytes.
    pub(super) fn new(budget: usize) -> Arc<Self> {
        Arc::new(Self {
            budget,
            inner: Mutex::default(),
        })
    }

    /// Keeps a value that was read just `now`, and lets go of the oldest that have no room beside it.
    pub(super) fn keep(self: &Arc<Self>, secret: &Arc<KvSecret>, now: Instant) -> Ticket {
        let mut inner = self.lock();
        inner.last += 1;
        let number = inner.last;
        inner.bytes += size(secret);
        inner.kept.insert(
            number,
            Kept {
                secret: Arc::clone(secret),
                since: now,
            },
        );
        while inner.bytes > self.budget && inner.take_oldest() {}
        Ticket {
            shelf: Arc::clone(self),
            number,
            secret: Arc::downgrade(secret),
        }
    }

    /// Lets go of what was kept long enough.
    pub(super) fn sweep(&self, now: Instant) {
        let mut inner = self.lock();
        let is_over = |kept: &Kept| now.duration_since(kept.since) >= VALUE_KEPT;
        while inner
            .kept
            .first_key_value()
            .is_some_and(|(_, oldest)| is_over(oldest))
            && inner.take_oldest()
        {}
    }

    /// How many bytes are kept.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// A panic elsewhere while the shelf was locked cannot have left it half changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Takes the oldest away; tells whether there was one.
    fn take_oldest(&mut self) -> bool {
        let oldest = self.kept.first_key_value().map(|(number, _)| *number);
        oldest.is_some_and(|number| self.take(number))
    }

    /// Takes one away, which is wiped when its last user is done with it; tells whether it was still there.
    fn take(&mut self, number: u64) -> bool {
        let taken = self.kept.remove(&number);
        if let Some(kept) = &taken {
            self.bytes -= size(&kept.secret);
        }
        taken.is_some()
    }
}

fn size(secret: &KvSecret) -> usize {
    secret.data.expose().len()
}
