//! The objects of one kind as their watch brings them, by key and by whom they belong to.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::Resource;
use kube::runtime::watcher;
use tokio::sync::watch;

use super::Key;
use crate::cluster::secret_meta::SecretMeta;

/// What a cache keeps of an object.
pub trait Kept: PartialEq {
    /// The object as its watch brings it: of most kinds its metadata alone.
    type Object: Resource<DynamicType = ()>;

    /// Takes what decisions need.
    fn reduce(object: Self::Object) -> Self;

    /// Whether this is known to be newer than what arrives now. Only kinds that we write ourselves can tell.
    fn is_newer_than(&self, _arriving: &Self) -> bool {
        false
    }
}

/// The objects of one kind.
pub struct Cache<V> {
    held: RwLock<Held<V>>,
    synced: watch::Sender<bool>,
}

/// UIDs of the VaultSecrets that an object belongs to, as a whole or in part.
pub type OwnersOf<V> = fn(&V) -> Vec<String>;

struct Held<V> {
    by_key: HashMap<Key, Arc<V>>,
    /// The keys of what belongs to each owner, so that nobody has to look through all objects for them.
    by_owner: HashMap<String, Vec<Key>>,
    owners_of: OwnersOf<V>,
}

impl<V: Kept> Cache<V> {
    /// An empty cache, which tells by `owners_of` whose an object is.
    pub(super) fn new(owners_of: OwnersOf<V>) -> Self {
        Self {
            held: RwLock::new(Held::new(owners_of)),
            synced: watch::Sender::new(false),
        }
    }

    /// The object of that key.
    pub fn get(&self, key: &Key) -> Option<Arc<V>> {
        self.read().by_key.get(key).cloned()
    }

    /// The objects that belong to the VaultSecret of that UID.
    pub fn owned_by(&self, uid: &str) -> Vec<(Key, Arc<V>)> {
        let held = self.read();
        let keys = held.by_owner.get(uid).into_iter().flatten();
        keys.filter_map(|key| Some((key.clone(), held.by_key.get(key)?.clone())))
            .collect()
    }

    /// Resolves when the first list has arrived.
    pub async fn synced(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Takes these for all that there are, and for the first list.
    pub(super) fn know(&self, objects: impl Iterator<Item = (Key, V)>) {
        let objects = objects.map(|(key, value)| (key, Arc::new(value)));
        self.replace_all(objects.collect());
        self.synced.send_replace(true);
    }

    /// Takes in an event of the watch and returns the keys whose object is not what it was; none for the first list,
    /// which everybody waits for anyway.
    pub(super) fn take_in(
        &self,
        event: watcher::Event<V::Object>,
        fresh: &mut HashMap<Key, Arc<V>>,
    ) -> Vec<Key> {
        match event {
            watcher::Event::Init => fresh.clear(),
            watcher::Event::InitApply(object) => {
                fresh.insert(Key::of(object.meta()), Arc::new(V::reduce(object)));
            }
            watcher::Event::InitDone => {
                let differing = self.replace_all(mem::take(fresh));
                if self.synced.send_replace(true) {
                    return differing;
                }
            }
            watcher::Event::Apply(object) => {
                let key = Key::of(object.meta());
                if self.put(key.clone(), V::reduce(object)) {
                    return vec![key];
                }
            }
            watcher::Event::Delete(object) => {
                let key = Key::of(object.meta());
                if self.remove(&key).is_some() {
                    return vec![key];
                }
            }
        }
        Vec::new()
    }

    /// Puts an object in, unless the cache knows a newer one. Tells whether anything changed.
    fn put(&self, key: Key, value: V) -> bool {
        let mut held = self.write();
        let known = held.by_key.get(&key);
        if known.is_some_and(|known| **known == value || known.is_newer_than(&value)) {
            return false;
        }
        held.remove(&key);
        held.insert(key, Arc::new(value));
        true
    }

    fn remove(&self, key: &Key) -> Option<Arc<V>> {
        self.write().remove(key)
    }

    /// Replaces everything by a new list and returns the keys whose object is not what it was.
    fn replace_all(&self, fresh: HashMap<Key, Arc<V>>) -> Vec<Key> {
        let mut held = self.write();
        let mut new = Held::new(held.owners_of);
        for (key, value) in fresh {
            new.insert(key, value);
        }
        let old = mem::replace(&mut *held, new).by_key;
        let gone = old
            .keys()
            .filter(|key| !held.by_key.contains_key(key))
            .cloned();
        let differing = held
            .by_key
            .iter()
            .filter(|(key, value)| old.get(*key) != Some(value))
            .map(|(key, _)| key.clone());
        gone.chain(differing).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Held<V>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held<V>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Held<V> {
    fn new(owners_of: OwnersOf<V>) -> Self {
        Self {
            by_key: HashMap::new(),
            by_owner: HashMap::new(),
            owners_of,
        }
    }

    /// Puts in what is not there.
    fn insert(&mut self, key: Key, value: Arc<V>) {
        for owner in (self.owners_of)(&value) {
            self.by_owner.entry(owner).or_default().push(key.clone());
        }
        self.by_key.insert(key, value);
    }

    fn remove(&mut self, key: &Key) -> Option<Arc<V>> {
        let value = self.by_key.remove(key)?;
        for owner in (self.owners_of)(&value) {
            if let Some(keys) = self.by_owner.get_mut(&owner) {
                keys.retain(|one| one != key);
                if keys.is_empty() {
                    self.by_owner.remove(&owner);
                }
            }
        }
        Some(value)
    }
}

impl Cache<SecretMeta> {
    /// Takes over what the API server answered to our own write, before the watch tells of it.
    pub fn wrote(&self, key: Key, meta: SecretMeta) {
        self.put(key, meta);
    }

    /// Takes over that we deleted the Secret of that UID.
    pub fn deleted(&self, key: &Key, uid: &str) {
        if self.get(key).is_some_and(|known| known.uid == uid) {
            self.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(owner: &str, version: &str) -> SecretMeta {
        SecretMeta {
            labels: [("owner".to_owned(), owner.to_owned())].into(),
            resource_version: version.into(),
            ..SecretMeta::default()
        }
    }

    fn cache() -> Cache<SecretMeta> {
        Cache::new(|secret| secret.labels.get("owner").cloned().into_iter().collect())
    }

    fn owned(cache: &Cache<SecretMeta>, uid: &str) -> Vec<String> {
        let mut names: Vec<String> = cache
            .owned_by(uid)
            .into_iter()
            .map(|(key, _)| key.name)
            .collect();
        names.sort();
        names
    }

    fn key(name: &str) -> Key {
        Key::new("shop", name)
    }

    #[test]
    fn what_belongs_to_an_object_is_found_as_it_comes_changes_hands_and_goes() {
        let cache = cache();
        assert!(cache.put(key("a"), secret("one", "1")));
        assert!(cache.put(key("b"), secret("one", "2")));
        assert!(cache.put(key("c"), SecretMeta::default()));
        assert_eq!(owned(&cache, "one"), ["a", "b"]);
        assert!(!cache.put(key("b"), secret("two", "1")), "it is older");
        assert_eq!(owned(&cache, "two"), [""; 0]);
        assert!(cache.put(key("b"), secret("two", "3")));
        assert_eq!(owned(&cache, "one"), ["a"]);
        assert_eq!(owned(&cache, "two"), ["b"]);
        cache.deleted(&key("b"), "another uid");
        assert_eq!(owned(&cache, "two"), ["b"]);
        cache.deleted(&key("b"), "");
        assert_eq!(owned(&cache, "two"), [""; 0]);
        assert!(
            !cache.read().by_owner.contains_key("two"),
            "nothing is kept"
        );
    }

    #[test]
    fn a_new_list_replaces_all_that_was_known() {
        let cache = cache();
        for (name, owner) in [("a", "one"), ("b", "one"), ("c", "two")] {
            cache.put(key(name), secret(owner, "1"));
        }
        let list = [("b", "one", "1"), ("c", "one", "2")];
        let list = list.map(|(name, owner, version)| (key(name), Arc::new(secret(owner, version))));
        let mut changed = cache.replace_all(list.into());
        changed.sort();
        assert_eq!(changed, [key("a"), key("c")]);
        assert_eq!(owned(&cache, "one"), ["b", "c"]);
        assert_eq!(owned(&cache, "two"), [""; 0]);
    }
}
