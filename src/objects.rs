//! An index over the VaultSecrets: who wants to write which Secret, who uses which connection and service account.
//! Kept up to date by the watch, so that no pass and no change has to look through all objects.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::api::VaultSecret;
use crate::cluster::Key;

/// The VaultSecrets, by namespace and name.
#[derive(Default)]
pub struct Objects {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    namespaces: HashMap<String, BTreeMap<String, Summary>>,
    targets: HashMap<Key, Vec<Key>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Summary {
    uid: String,
    created: Timestamp,
    target: String,
    connection: String,
    service_account: String,
    reads: Vec<Place>,
}

/// A mount and a path as a person wrote them.
pub type Place = (String, String);

/// Another object that wants to write the same Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rival {
    /// When it was created: the oldest wins.
    pub created: Timestamp,
    /// Its UID: decides between objects of the same second.
    pub uid: String,
    /// Its name.
    pub name: String,
}

impl Objects {
    /// Takes in an object as it is now. Returns the others that share a target with what it was or is, which must look again.
    pub fn put(&self, object: &VaultSecret) -> Vec<Key> {
        let (key, summary) = (Key::of(&object.metadata), Summary::of(object));
        let mut inner = self.lock();
        if let Some(known) = inner.get_mut(&key)
            && known.claims_as(&summary)
        {
            *known = summary;
            return Vec::new();
        }
        let mut affected = inner.unlink(&key);
        let target = Key::new(&key.namespace, &summary.target);
        affected.extend(inner.targets.get(&target).into_iter().flatten().cloned());
        inner.targets.entry(target).or_default().push(key.clone());
        let objects = inner.namespaces.entry(key.namespace.clone()).or_default();
        objects.insert(key.name.clone(), summary);
        affected
    }

    /// Whether the object of that key is known, and still the one of that UID.
    pub fn knows(&self, key: &Key, uid: &str) -> bool {
        self.lock().get(key).is_some_and(|known| known.uid == uid)
    }

    /// Takes out an object. Returns its UID, if it was known, and the others that shared its target.
    pub fn remove(&self, key: &Key) -> (Option<String>, Vec<Key>) {
        let mut inner = self.lock();
        let uid = inner.get(key).map(|summary| summary.uid.clone());
        (uid, inner.unlink(key))
    }

    /// Every object that is known.
    pub fn all(&self) -> Vec<Key> {
        let inner = self.lock();
        let keys = inner
            .namespaces
            .iter()
            .flat_map(|(namespace, objects)| objects.keys().map(|name| Key::new(namespace, name)));
        keys.collect()
    }

    /// Other objects that want to write the same Secret as the object of that UID.
    pub fn rivals(&self, target: &Key, uid: &str) -> Vec<Rival> {
        let inner = self.lock();
        let others = inner.targets.get(target).into_iter().flatten();
        others
            .filter_map(|key| Some((key, inner.get(key)?)))
            .filter(|(_, summary)| summary.uid != uid)
            .map(|(key, summary)| Rival {
                created: summary.created,
                uid: summary.uid.clone(),
                name: key.name.clone(),
            })
            .collect()
    }

    /// Objects that want to write that Secret.
    pub fn with_target(&self, target: &Key) -> Vec<Key> {
        self.lock().targets.get(target).cloned().unwrap_or_default()
    }

    /// Objects of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Key> {
        let inner = self.lock();
        let objects = inner.namespaces.get(namespace).into_iter().flatten();
        objects.map(|(name, _)| Key::new(namespace, name)).collect()
    }

    /// Objects of a namespace that read that place, each with its UID.
    pub fn reading(&self, namespace: &str, place: &Place) -> Vec<(Key, String)> {
        let inner = self.lock();
        let objects = inner.namespaces.get(namespace).into_iter().flatten();
        objects
            .filter(|(_, summary)| summary.reads.contains(place))
            .map(|(name, summary)| (Key::new(namespace, name), summary.uid.clone()))
            .collect()
    }

    /// Objects that log in as that service account.
    pub fn with_service_account(&self, account: &Key) -> Vec<Key> {
        let inner = self.lock();
        let objects = inner
            .namespaces
            .get(&account.namespace)
            .into_iter()
            .flatten();
        objects
            .filter(|(_, summary)| summary.service_account == account.name)
            .map(|(name, _)| Key::new(&account.namespace, name))
            .collect()
    }

    /// Objects that use that connection.
    pub fn with_connection(&self, connection: &str) -> Vec<(Key, String)> {
        let inner = self.lock();
        let all = inner.namespaces.iter().flat_map(|(namespace, objects)| {
            objects
                .iter()
                .map(move |(name, summary)| (namespace, name, summary))
        });
        all.filter(|(_, _, summary)| summary.connection == connection)
            .map(|(namespace, name, summary)| (Key::new(namespace, name), summary.uid.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn get(&self, key: &Key) -> Option<&Summary> {
        self.namespaces.get(&key.namespace)?.get(&key.name)
    }

    fn get_mut(&mut self, key: &Key) -> Option<&mut Summary> {
        self.namespaces.get_mut(&key.namespace)?.get_mut(&key.name)
    }

    fn unlink(&mut self, key: &Key) -> Vec<Key> {
        let Some(objects) = self.namespaces.get_mut(&key.namespace) else {
            return Vec::new();
        };
        let Some(summary) = objects.remove(&key.name) else {
            return Vec::new();
        };
        if objects.is_empty() {
            self.namespaces.remove(&key.namespace);
        }
        let target = Key::new(&key.namespace, &summary.target);
        let Some(others) = self.targets.get_mut(&target) else {
            return Vec::new();
        };
        others.retain(|other| other != key);
        let affected = others.clone();
        if affected.is_empty() {
            self.targets.remove(&target);
        }
        affected
    }
}

impl Summary {
    /// Whether it has the same claim to the same Secret.
    fn claims_as(&self, other: &Self) -> bool {
        (&self.uid, self.created, &self.target) == (&other.uid, other.created, &other.target)
    }

    fn of(object: &VaultSecret) -> Self {
        let meta = &object.metadata;
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            created: meta
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::MAX, |time| time.0),
            target: object.target_name().into(),
            connection: object.spec.connection_ref.name.clone(),
            service_account: object.spec.auth.service_account_name.clone(),
            reads: object
                .spec
                .sources
                .iter()
                .filter_map(|source| source.kv.as_ref())
                .map(|kv| (kv.mount.clone(), kv.path.clone()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, target: &str) -> VaultSecret {
        let spec = serde_json::json!({
            "auth": {"role": "r"}, "sources": [{"name": "a", "kv": {"path": "secret/a"}}], "destination": {"name": target},
        });
        let mut object = VaultSecret::new(name, serde_json::from_value(spec).unwrap());
        object.metadata.namespace = Some("shop".into());
        object.metadata.uid = Some(format!("uid-{name}"));
        object
    }

    #[test]
    fn objects_with_one_target_are_rivals_until_one_moves_away() {
        let objects = Objects::default();
        assert_eq!(objects.put(&object("a", "x")), vec![]);
        assert_eq!(objects.put(&object("b", "x")), vec![Key::new("shop", "a")]);
        let rivals = objects.rivals(&Key::new("shop", "x"), "uid-a");
        assert_eq!(
            rivals
                .iter()
                .map(|rival| rival.name.as_str())
                .collect::<Vec<_>>(),
            ["b"]
        );
        assert_eq!(objects.put(&object("b", "y")), vec![Key::new("shop", "a")]);
        assert_eq!(objects.rivals(&Key::new("shop", "x"), "uid-a"), vec![]);
    }

    #[test]
    fn who_reads_a_place_is_known_and_who_reads_another_is_not_bothered() {
        let objects = Objects::default();
        objects.put(&object("a", "x"));
        let place = |path: &str| (String::new(), path.to_owned());
        assert_eq!(
            objects.reading("shop", &place("secret/a")),
            vec![(Key::new("shop", "a"), "uid-a".to_owned())]
        );
        assert_eq!(objects.reading("shop", &place("secret/b")), vec![]);
        assert_eq!(objects.reading("other", &place("secret/a")), vec![]);
    }

    #[test]
    fn an_edit_that_leaves_the_target_alone_wakes_no_rival_and_is_known_all_the_same() {
        let objects = Objects::default();
        objects.put(&object("a", "x"));
        objects.put(&object("b", "x"));
        let mut edited = object("b", "x");
        edited.spec.connection_ref.name = "other".into();
        assert_eq!(objects.put(&edited), vec![]);
        assert_eq!(
            objects.with_connection("other"),
            vec![(Key::new("shop", "b"), "uid-b".to_owned())]
        );
        assert!(objects.knows(&Key::new("shop", "b"), "uid-b"));
        assert!(!objects.knows(&Key::new("shop", "b"), "uid-of-an-earlier-b"));
    }

    #[test]
    fn an_unchanged_object_wakes_nobody() {
        let objects = Objects::default();
        objects.put(&object("a", "x"));
        objects.put(&object("b", "x"));
        assert_eq!(objects.put(&object("b", "x")), vec![]);
    }

    #[test]
    fn a_removed_object_wakes_those_who_shared_its_target() {
        let objects = Objects::default();
        objects.put(&object("a", "x"));
        objects.put(&object("b", "x"));
        let (uid, affected) = objects.remove(&Key::new("shop", "a"));
        assert_eq!(uid.as_deref(), Some("uid-a"));
        assert_eq!(affected, vec![Key::new("shop", "b")]);
        assert_eq!(
            objects.with_target(&Key::new("shop", "x")),
            vec![Key::new("shop", "b")]
        );
    }
}
