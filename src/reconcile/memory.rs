//! What one pass leaves to the next, in memory only: losing it at a restart costs one poll and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::observe::World;
use crate::api::VaultSecret;

/// What earlier passes over one object noted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// When Vault was last asked with success.
    pub polled: Option<Timestamp>,
    /// The last attempt, if it failed.
    pub failed: Option<Failed>,
    /// Resource version at which the Secret was last known to hold our data: written or verified by this process.
    pub known_good: Option<String>,
    /// How often somebody found out that Vault holds something new for this object.
    pub nudges: u64,
    /// How many of these an attempt has answered.
    pub answered: u64,
}

impl Memory {
    /// Whether somebody found out that Vault holds something new, and no attempt was made since.
    pub fn is_nudged(&self) -> bool {
        self.nudges > self.answered
    }
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

    /// Notes that Vault holds something new for the object.
    pub fn nudge(&self, uid: &str) {
        self.lock().entry(uid.into()).or_default().nudges += 1;
    }

    /// Forgets the object.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Memory>> {
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
    over: Option<String>,
    object: Arc<VaultSecret>,
}

impl Overlay {
    /// The newer one of what the cache holds and what we wrote over exactly that.
    pub fn latest(&self, uid: &str, cached: Arc<VaultSecret>) -> Arc<VaultSecret> {
        let mut written = self.by_uid.lock().unwrap_or_else(PoisonError::into_inner);
        match written.get(uid) {
            Some(entry) if entry.over == cached.metadata.resource_version => entry.object.clone(),
            Some(_) => {
                written.remove(uid);
                cached
            }
            None => cached,
        }
    }

    /// Whether that version of the object is one that we wrote ourselves: then its arrival is no news.
    pub fn is_echo(&self, uid: &str, resource_version: Option<&str>) -> bool {
        let written = self.by_uid.lock().unwrap_or_else(PoisonError::into_inner);
        written.get(uid).is_some_and(|entry| {
            entry.object.metadata.resource_version.as_deref() == resource_version
        })
    }

    /// Notes that `object` was written over the cached `before`.
    pub fn wrote(&self, uid: &str, before: &VaultSecret, object: VaultSecret) {
        let mut written = self.by_uid.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = written.remove(uid).filter(|entry| {
            entry.object.metadata.resource_version == before.metadata.resource_version
        });
        let over = earlier.map_or_else(
            || before.metadata.resource_version.clone(),
            |entry| entry.over,
        );
        written.insert(
            uid.into(),
            Written {
                over,
                object: Arc::new(object),
            },
        );
    }

    /// Forgets the object.
    pub fn forget(&self, uid: &str) {
        self.by_uid
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
}
