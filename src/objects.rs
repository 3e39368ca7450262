//! An index over the VaultSecrets: who wants to write which Secret, who uses which connection and service account.
//! Kept up to date by the watch, so that no pass and no change has to look through all objects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::api::VaultSecret;
use crate::api::destination::CreationPolicy;
use crate::api::source::Source;
use crate::cluster::Key;

/// The VaultSecrets, by namespace and name.
#[derive(Default)]
pub struct Objects {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    namespaces: HashMap<String, BTreeMap<String, Summary>>,
    /// Who wants to write a Secret, the oldest first.
    claims: HashMap<Key, BTreeSet<Rival>>,
    /// The names of those who read a place, by namespace and place.
    readers: HashMap<(String, Place), BTreeSet<String>>,
    /// Objects that exist and cannot be read, so that nothing of the above is known of them.
    unreadable: HashSet<Key>,
}

#[derive(Clone, Debug, PartialEq)]
struct Summary {
    uid: String,
    created: Timestamp,
    target: String,
    shares: bool,
    connection: String,
    service_account: String,
    reads: Vec<Place>,
    /// The ConfigMaps that it takes templates from.
    template_maps: BTreeSet<String>,
}

/// A path in Vault, mount first, however a person spelt it; that of a folder ends with a slash.
pub type Place = String;

/// Another object that wants to write the same Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rival {
    /// Whether it wants a part of the Secret only: whoever wants the whole goes first.
    pub shares: bool,
    /// When it was created: the oldest wins.
    pub created: Timestamp,
    /// Its UID: decides between objects of the same second.
    pub uid: String,
    /// Its name.
    pub name: String,
}

impl Objects {
    /// Takes in an object as it is now. Returns the others that its claim concerns, which must look again: where it comes in
    /// as the oldest, the one that was the oldest before; where it leaves a Secret, see [`Objects::remove`].
    pub fn put(&self, object: &VaultSecret, holds: impl Fn(&Key, &Rival) -> bool) -> Vec<Key> {
        let (key, summary) = (Key::of(&object.metadata), Summary::of(object));
        let mut inner = self.lock();
        let before = inner.take(&key);
        let mut affected = Vec::new();
        let claim = summary.claim(&key);
        let old_claim = before.as_ref().map(|before| before.claim(&key));
        if old_claim.as_ref() != Some(&claim) {
            affected = old_claim.map_or_else(Vec::new, |(target, rival)| {
                inner.leave(&target, &rival, holds)
            });
            affected.extend(inner.join(claim));
        }
        inner.place(&key, summary);
        affected
    }

    /// Whether the object of that key is known, and still the one of that UID.
    pub fn knows(&self, key: &Key, uid: &str) -> bool {
        self.lock().get(key).is_some_and(|known| known.uid == uid)
    }

    /// Of the owners that a Secret tells of, by name and UID, the UIDs of those that exist. One that is gone is as good as there where an object of its name wants
    /// this very Secret, and so takes up what was left in it; and whose object cannot be read may be there.
    pub fn alive(
        &self,
        target: &Key,
        owners: impl IntoIterator<Item = (String, String)>,
    ) -> BTreeSet<String> {
        let inner = self.lock();
        let is_alive = |(name, uid): &(String, String)| {
            let key = Key::new(&target.namespace, name);
            let known = inner.get(&key);
            let known = known.is_some_and(|known| known.uid == *uid || known.target == target.name);
            known || inner.unreadable.contains(&key)
        };
        let alive = owners.into_iter().filter(is_alive);
        alive.map(|(_, uid)| uid).collect()
    }

    /// Notes whether there is an object of that key that cannot be read.
    pub fn set_unreadable(&self, key: &Key, unreadable: bool) {
        let mut inner = self.lock();
        if unreadable {
            inner.unreadable.insert(key.clone());
        } else {
            inner.unreadable.remove(key);
        }
    }

    /// Whether there is an object of that key that cannot be read.
    pub fn is_unreadable(&self, key: &Key) -> bool {
        self.lock().unreadable.contains(key)
    }

    /// Takes out an object. Returns its UID, if it was known, and the others that named the same Secret, if they are concerned:
    /// if it was the oldest of them, or if the Secret `holds` it for its owner. To all of them one of these two was told to be
    /// in the way; a rival that was refused like them is missed by nobody.
    pub fn remove(
        &self,
        key: &Key,
        holds: impl Fn(&Key, &Rival) -> bool,
    ) -> (Option<String>, Vec<Key>) {
        let mut inner = self.lock();
        let Some(summary) = inner.take(key) else {
            return (None, Vec::new());
        };
        let (target, rival) = summary.claim(key);
        (Some(summary.uid), inner.leave(&target, &rival, holds))
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

    /// Of the other objects that want to write the same Secret as the object of that UID those that may have more right to it:
    /// the oldest, and those that are `named` on the Secret. However many there are, no more are looked at.
    pub fn rivals(&self, target: &Key, uid: &str, named: &[&str]) -> Vec<Rival> {
        let inner = self.lock();
        let Some(claims) = inner.claims.get(target) else {
            return Vec::new();
        };
        let named = named.iter().filter_map(|name| {
            let key = Key::new(&target.namespace, name);
            let (of, rival) = inner.get(&key)?.claim(&key);
            (of == *target).then_some(rival)
        });
        let mut rivals: Vec<Rival> = named.filter(|rival| rival.uid != uid).collect();
        rivals.extend(claims.iter().find(|rival| rival.uid != uid).cloned());
        rivals.sort();
        rivals.dedup();
        rivals
    }

    /// Objects that want to write that Secret.
    pub fn with_target(&self, target: &Key) -> Vec<Key> {
        self.lock().claimants(target)
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
        let place = (namespace.to_owned(), place.clone());
        let names = inner.readers.get(&place).into_iter().flatten();
        names
            .map(|name| Key::new(namespace, name))
            .filter_map(|key| {
                let uid = inner.get(&key)?.uid.clone();
                Some((key, uid))
            })
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

    /// Objects that take a template from that ConfigMap.
    pub fn with_template_map(&self, map: &Key) -> Vec<Key> {
        let inner = self.lock();
        let objects = inner.namespaces.get(&map.namespace).into_iter().flatten();
        objects
            .filter(|(_, summary)| summary.template_maps.contains(&map.name))
            .map(|(name, _)| Key::new(&map.namespace, name))
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

    /// Takes the object out of everything but the claims.
    fn take(&mut self, key: &Key) -> Option<Summary> {
        let objects = self.namespaces.get_mut(&key.namespace)?;
        let summary = objects.remove(&key.name)?;
        if objects.is_empty() {
            self.namespaces.remove(&key.namespace);
        }
        for place in &summary.reads {
            let place = (key.namespace.clone(), place.clone());
            if let Some(names) = self.readers.get_mut(&place) {
                names.remove(&key.name);
                if names.is_empty() {
                    self.readers.remove(&place);
                }
            }
        }
        Some(summary)
    }

    /// Puts the object into everything but the claims.
    fn place(&mut self, key: &Key, summary: Summary) {
        for place in &summary.reads {
            let place = (key.namespace.clone(), place.clone());
            let names = self.readers.entry(place).or_default();
            names.insert(key.name.clone());
        }
        let objects = self.namespaces.entry(key.namespace.clone()).or_default();
        objects.insert(key.name.clone(), summary);
    }

    /// Adds a claim. Returns who was the oldest before, if it is not any more.
    fn join(&mut self, (target, rival): (Key, Rival)) -> Option<Key> {
        let claims = self.claims.entry(target.clone()).or_default();
        let first = claims.first().filter(|first| rival < **first).cloned();
        claims.insert(rival);
        first.map(|first| Key::new(&target.namespace, &first.name))
    }

    /// Takes a claim back. Returns the others, if they are concerned.
    fn leave(
        &mut self,
        target: &Key,
        rival: &Rival,
        holds: impl Fn(&Key, &Rival) -> bool,
    ) -> Vec<Key> {
        let Some(claims) = self.claims.get_mut(target) else {
            return Vec::new();
        };
        let was_first = claims.first() == Some(rival);
        claims.remove(rival);
        if claims.is_empty() {
            self.claims.remove(target);
            Vec::new()
        } else if was_first || holds(target, rival) {
            self.claimants(target)
        } else {
            Vec::new()
        }
    }

    fn claimants(&self, target: &Key) -> Vec<Key> {
        let claims = self.claims.get(target).into_iter().flatten();
        claims
            .map(|rival| Key::new(&target.namespace, &rival.name))
            .collect()
    }
}

impl Summary {
    /// The Secret that it wants to write, and as whom.
    fn claim(&self, key: &Key) -> (Key, Rival) {
        let rival = Rival {
            shares: self.shares,
            created: self.created,
            uid: self.uid.clone(),
            name: key.name.clone(),
        };
        (Key::new(&key.namespace, &self.target), rival)
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
            shares: object.spec.destination.creation_policy != CreationPolicy::Create,
            connection: object.spec.connection_ref.name.clone(),
            service_account: object.spec.auth.service_account_name.clone(),
            template_maps: object.template_maps().map(str::to_owned).collect(),
            reads: object.spec.sources.iter().filter_map(read_again).collect(),
        }
    }
}

/// Where a source reads that may be read again and again; a folder has a slash at its end.
fn read_again(source: &Source) -> Option<Place> {
    let (mount, path) = match (&source.kv, &source.kv_folder) {
        (Some(kv), _) => (&kv.mount, kv.path.clone()),
        (None, Some(folder)) => (
            &folder.mount,
            format!("{}/", folder.path.trim_end_matches('/')),
        ),
        (None, None) => return None,
    };
    Some(match mount.as_str() {
        "" => path,
        mount => format!("{mount}/{path}"),
    })
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

    /// Nobody holds the Secret yet.
    fn nobody(_: &Key, _: &Rival) -> bool {
        false
    }

    fn names(rivals: &[Rival]) -> Vec<&str> {
        rivals.iter().map(|rival| rival.name.as_str()).collect()
    }

    #[test]
    fn objects_with_one_target_are_rivals_until_one_moves_away() {
        let objects = Objects::default();
        assert_eq!(objects.put(&object("b", "x"), nobody), vec![]);
        assert_eq!(
            objects.put(&object("a", "x"), nobody),
            vec![Key::new("shop", "b")],
            "an older one came"
        );
        let target = Key::new("shop", "x");
        assert_eq!(names(&objects.rivals(&target, "uid-a", &[])), ["b"]);
        assert_eq!(
            objects.put(&object("a", "y"), nobody),
            vec![Key::new("shop", "b")]
        );
        assert_eq!(objects.rivals(&target, "uid-b", &[]), vec![]);
    }

    #[test]
    fn of_many_rivals_only_the_oldest_and_the_named_are_looked_at() {
        let objects = Objects::default();
        for name in ["a", "b", "c", "d"] {
            objects.put(&object(name, "x"), nobody);
        }
        objects.put(&object("e", "y"), nobody);
        let target = Key::new("shop", "x");
        let rivals = |uid, named: &[&str]| objects.rivals(&target, uid, named);
        assert_eq!(names(&rivals("uid-b", &[])), ["a"]);
        assert_eq!(names(&rivals("uid-a", &[])), ["b"]);
        assert_eq!(names(&rivals("uid-b", &["c", "e", "gone"])), ["a", "c"]);
        assert_eq!(names(&rivals("uid-b", &["a", "b"])), ["a"]);
    }

    #[test]
    fn a_rival_that_was_refused_comes_and_goes_without_a_word() {
        let objects = Objects::default();
        for name in ["a", "b"] {
            objects.put(&object(name, "x"), nobody);
        }
        assert_eq!(objects.put(&object("c", "x"), nobody), vec![]);
        assert_eq!(
            objects.remove(&Key::new("shop", "c"), nobody),
            (Some("uid-c".into()), vec![])
        );
    }

    #[test]
    fn who_reads_a_place_is_known_however_it_is_spelt_and_others_are_not_bothered() {
        let objects = Objects::default();
        objects.put(&object("a", "x"), nobody);
        let mut apart = object("b", "y");
        if let Some(kv) = &mut apart.spec.sources[0].kv {
            (kv.mount, kv.path) = ("secret".into(), "a".into());
        }
        objects.put(&apart, nobody);
        let readers = |namespace, place: &str| {
            let found = objects.reading(namespace, &place.to_owned());
            found.into_iter().map(|(_, uid)| uid).collect::<Vec<_>>()
        };
        assert_eq!(readers("shop", "secret/a"), ["uid-a", "uid-b"]);
        assert_eq!(readers("shop", "secret/b"), [""; 0]);
        assert_eq!(readers("other", "secret/a"), [""; 0]);
        objects.remove(&Key::new("shop", "a"), nobody);
        if let Some(kv) = &mut apart.spec.sources[0].kv {
            kv.path = "b".into();
        }
        objects.put(&apart, nobody);
        assert_eq!(readers("shop", "secret/a"), [""; 0]);
        assert_eq!(readers("shop", "secret/b"), ["uid-b"]);
    }

    #[test]
    fn an_owner_that_a_secret_tells_of_exists_by_its_uid_or_is_succeeded_by_its_name() {
        let objects = Objects::default();
        objects.put(&object("here", "elsewhere"), nobody);
        objects.put(&object("again", "x"), nobody);
        objects.put(&object("other", "y"), nobody);
        objects.set_unreadable(&Key::new("shop", "unread"), true);
        let told = ["here", "again", "other", "unread", "gone"].map(|name| {
            let uid = if name == "here" { "uid-here" } else { name };
            (name.to_owned(), uid.to_owned())
        });
        let alive = objects.alive(&Key::new("shop", "x"), told);
        assert_eq!(Vec::from_iter(alive), ["again", "uid-here", "unread"]);
        let borrowed = [("gone".to_owned(), "uid-here".to_owned())];
        assert!(objects.alive(&Key::new("shop", "x"), borrowed).is_empty());
    }

    #[test]
    fn an_edit_that_leaves_the_target_alone_wakes_no_rival_and_is_known_all_the_same() {
        let objects = Objects::default();
        objects.put(&object("a", "x"), nobody);
        objects.put(&object("b", "x"), nobody);
        let mut edited = object("a", "x");
        edited.spec.connection_ref.name = "other".into();
        assert_eq!(objects.put(&edited, nobody), vec![]);
        assert_eq!(
            objects.with_connection("other"),
            vec![(Key::new("shop", "a"), "uid-a".to_owned())]
        );
        assert!(objects.knows(&Key::new("shop", "a"), "uid-a"));
        assert!(!objects.knows(&Key::new("shop", "a"), "uid-of-an-earlier-a"));
    }

    #[test]
    fn an_object_that_was_in_the_way_wakes_those_who_shared_its_target_when_it_goes() {
        let objects = Objects::default();
        for name in ["a", "b", "c"] {
            objects.put(&object(name, "x"), nobody);
        }
        let held_by_b = |_: &Key, rival: &Rival| rival.uid == "uid-b";
        let (uid, affected) = objects.remove(&Key::new("shop", "b"), held_by_b);
        assert_eq!(uid.as_deref(), Some("uid-b"));
        assert_eq!(affected, vec![Key::new("shop", "a"), Key::new("shop", "c")]);
        let (_, affected) = objects.remove(&Key::new("shop", "a"), nobody);
        assert_eq!(affected, vec![Key::new("shop", "c")], "it was the oldest");
        assert_eq!(
            objects.with_target(&Key::new("shop", "x")),
            vec![Key::new("shop", "c")]
        );
    }
}
