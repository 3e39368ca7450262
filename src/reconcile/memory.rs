//! What one pass leaves to the next, in memory only: losing it at a restart costs one poll and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::failure::Failure;
use super::world::World;
use crate::api::VaultSecret;
use crate::schedule;

/// What earlier passes over one object noted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// When Vault was last asked with success.
    pub polled: Option<Timestamp>,
    /// The last attempt, if it failed.
    pub failed: Option<Failed>,
    /// The Secret as this process last wrote or verified it.
    pub known_good: Option<KnownGood>,
    /// How often somebody found out that Vault holds something new for this object.
    pub nudges: u64,
    /// How many of these an attempt has answered.
    pub answered: u64,
    /// How often in a row a Secret under an earlier name could not be deleted.
    pub untidy: u32,
    /// The last look at workloads that are not through.
    pub workloads: Option<WorkloadsSeen>,
    /// How often in a row the status could not be written.
    pub status_attempts: u32,
}

impl Memory {
    /// Whether somebody found out that Vault holds something new, and no attempt was made since.
    pub fn is_nudged(&self) -> bool {
        self.nudges > self.answered
    }
}

/// A look at workloads that found something in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkloadsSeen {
    /// The revision of the Secret then.
    pub revision: i64,
    /// When it was.
    pub at: Timestamp,
    /// When the next one is due.
    pub due: Timestamp,
}

/// A Secret that held our data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownGood {
    /// Its resource version.
    pub resource_version: String,
    /// The generation of the object that it was as asked by.
    pub generation: i64,
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// What it depended on.
    pub world: World,
    /// How many attempts have failed in a row.
    pub attempts: u32,
    /// When to try again; `None`: not before something changes.
    pub retry_at: Option<Timestamp>,
    /// When it failed.
    pub at: Timestamp,
    /// Why it failed.
    pub failure: Failure,
    /// Who had set what others have set of the Secret, as a hash.
    pub setters: u64,
    /// Whether an event told of this outage; of other failures the status tells that.
    pub announced: bool,
}

/// The memory of every object, by UID.
#[derive(Default)]
pub struct Memories {
    by_uid: Mutex<HashMap<String, Memory>>,
}

impl Memories {
    /// What is known of the object; nothing, if it is new.
    pub fn get(&self, uid: &str) -> Memory {
        self.lock().get(uid).cloned().unwrap_or_default()
    }

    /// Replaces what is known of the object, but for nudges that arrived during the pass.
    pub fn set(&self, uid: &str, memory: Memory) {
        let mut memories = self.lock();
        let nudges = memories
            .get(uid)
            .map_or(memory.nudges, |known| known.nudges);
        memories.insert(uid.into(), Memory { nudges, ..memory });
    }

    /// Notes that the status of the object is as reported.
    pub fn status_written(&self, uid: &str) {
        if let Some(memory) = self.lock().get_mut(uid) {
            memory.status_attempts = 0;
        }
    }

    /// Notes that the status of the object could not be written, nor an event about it. Tells how long to wait before another try.
    pub fn status_lost(&self, uid: &str) -> Duration {
        let mut memories = self.lock();
        let Some(memory) = memories.get_mut(uid) else {
            return schedule::backoff(0, uid); // the object is gone, and nothing of it shall be kept
        };
        if let Some(failed) = &mut memory.failed {
            failed.announced = false;
        }
        let pause = schedule::backoff(memory.status_attempts, uid);
        memory.status_attempts = memory.status_attempts.saturating_add(1);
        pause
    }

    /// Notes that Vault holds something new for the object.
    pub fn nudge(&self, uid: &str) {
        self.lock().entry(uid.into()).or_default().nudges += 1;
    }

    /// Forgets the object.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Objects whose status we wrote, until the watch brings them back: a pass that starts in between would otherwise
/// report against a status that is no more, and write it once again.
#[derive(Default)]
pub struct Overlay {
    by_uid: Mutex<HashMap<String, Written>>,
}

struct Written {
    object: Arc<VaultSecret>,
    arrived: Arrived,
}

/// Whether the watch has brought what we wrote. A pass may have taken the older one from the cache just before that, so
/// ours is kept for a while longer.
#[derive(Clone, Copy)]
enum Arrived {
    NotYet,
    Lately,
    LongSince,
}

impl Overlay {
    /// The newer one of what the cache holds and what we wrote last.
    pub fn latest(&self, uid: &str, cached: Arc<VaultSecret>) -> Arc<VaultSecret> {
        let mut written = self.lock();
        match written.get(uid) {
            Some(entry) if is_newer(&entry.object, &cached) => entry.object.clone(),
            Some(_) => {
                written.remove(uid);
                cached
            }
            None => cached,
        }
    }

    /// Takes in a version of the object that the watch brings. Tells whether we wrote it ourselves: then it is no news.
    pub fn is_echo(&self, uid: &str, resource_version: Option<&str>) -> bool {
        let mut written = self.lock();
        let entry = written
            .get_mut(uid)
            .filter(|entry| entry.object.metadata.resource_version.as_deref() == resource_version);
        let is_echo = entry.is_some();
        if let Some(entry) = entry {
            entry.arrived = Arrived::Lately;
        }
        is_echo
    }

    /// Notes that `object` was written.
    pub fn wrote(&self, uid: &str, object: VaultSecret) {
        let written = Written {
            object: Arc::new(object),
            arrived: Arrived::NotYet,
        };
        self.lock().insert(uid.into(), written);
    }

    /// Lets go of what had arrived by the last sweep: the cache holds it as well, and twice would fill the memory.
    pub fn sweep(&self) {
        self.lock().retain(|_, entry| {
            let (arrived, keep) = match entry.arrived {
                Arrived::NotYet => (Arrived::NotYet, true),
                Arrived::Lately => (Arrived::LongSince, true),
                Arrived::LongSince => (Arrived::LongSince, false),
            };
            entry.arrived = arrived;
            keep
        });
    }

    /// Forgets the object.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Written>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resource versions of one kind are comparable numbers.
fn is_newer(written: &VaultSecret, cached: &VaultSecret) -> bool {
    let version = |object: &VaultSecret| {
        let version = object.metadata.resource_version.as_deref();
        version.and_then(|version| version.parse::<u64>().ok())
    };
    version(written) > version(cached)
}

#[cfg(test)]
mod tests;
