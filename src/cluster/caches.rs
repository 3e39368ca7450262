//! What we know of the cluster without asking: one cache per kind, filled by a watch.
//!
//! Of Secrets, ServiceAccounts, Namespaces and ConfigMaps only metadata is watched, so no value of any Secret ever
//! enters a cache. All Secrets are watched, not only labelled ones: a foreign Secret in the way is then known before any
//! request is made, and a label taken off one of ours is an edit like any other. Of a foreign Secret, only its identity is kept.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::mem;
use std::sync::{Arc, PoisonError, RwLock};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::secret_meta::SecretMeta;
use crate::retry;

/// Namespace and name of an object; the namespace is empty for cluster-scoped kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace, or empty.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// All caches of metadata.
pub struct Caches {
    /// Every Secret of the cluster.
    pub secrets: Cache<SecretMeta>,
    /// Every service account.
    pub service_accounts: Cache<ServiceAccountMeta>,
    /// Every namespace.
    pub namespaces: Cache<NamespaceMeta>,
    /// The ConfigMaps of the operator's namespace.
    pub config_maps: Cache<ConfigMapMeta>,
}

/// Something changed that objects may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A Secret appeared, changed or went.
    Secret(Key),
    /// A service account appeared, was made anew, or went.
    ServiceAccount(Key),
    /// A namespace appeared, went, began to terminate, or got other labels.
    Namespace(String),
    /// A ConfigMap of the operator's namespace appeared, changed or went.
    ConfigMap(Key),
}

/// What is kept of a service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccountMeta {
    /// UID: another one is another identity, even under the same name.
    pub uid: String,
}

/// What is kept of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceMeta {
    /// Labels, for `allowedNamespaces`.
    pub labels: BTreeMap<String, String>,
    /// Whether it is being deleted.
    pub terminating: bool,
}

/// What is kept of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMapMeta {
    /// Resource version: whether to read it again.
    pub resource_version: String,
}

/// What a cache keeps of an object.
pub trait Kept: PartialEq {
    /// Takes from the metadata what decisions need.
    fn reduce(meta: ObjectMeta) -> Self;

    /// Whether this is known to be newer than what arrives now. Only kinds that we write ourselves can tell.
    fn is_newer_than(&self, _arriving: &Self) -> bool {
        false
    }
}

/// The objects of one kind, by key.
pub struct Cache<V> {
    objects: RwLock<HashMap<Key, Arc<V>>>,
    synced: watch::Sender<bool>,
}

impl Key {
    /// The key of an object's metadata.
    pub fn of(meta: &ObjectMeta) -> Self {
        Self::new(
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default(),
        )
    }

    /// The key of that namespace and name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl<V: Kept> Cache<V> {
    fn new() -> Self {
        Self {
            objects: RwLock::default(),
            synced: watch::Sender::new(false),
        }
    }

    /// The object of that key.
    pub fn get(&self, key: &Key) -> Option<Arc<V>> {
        self.objects
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    /// The objects of a namespace that the condition holds for. Goes through the whole cache, so only for what is rare.
    pub fn select(
        &self,
        namespace: &str,
        condition: impl Fn(&Key, &V) -> bool,
    ) -> Vec<(Key, Arc<V>)> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let chosen = objects
            .iter()
            .filter(|(key, value)| key.namespace == namespace && condition(key, value));
        chosen
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Whether the first list has arrived.
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Resolves when the first list has arrived.
    pub async fn synced(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Puts an object in, unless the cache knows a newer one. Tells whether anything changed.
    fn put(&self, key: Key, value: V) -> bool {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        if objects
            .get(&key)
            .is_some_and(|known| **known == value || known.is_newer_than(&value))
        {
            return false;
        }
        objects.insert(key, Arc::new(value));
        true
    }

    /// Takes in an event of the watch and returns the keys whose object is not what it was; none for the first list,
    /// which everybody waits for anyway.
    fn take_in<K>(
        &self,
        event: watcher::Event<PartialObjectMeta<K>>,
        fresh: &mut HashMap<Key, Arc<V>>,
    ) -> Vec<Key> {
        match event {
            watcher::Event::Init => fresh.clear(),
            watcher::Event::InitApply(object) => {
                fresh.insert(
                    Key::of(&object.metadata),
                    Arc::new(V::reduce(object.metadata)),
                );
            }
            watcher::Event::InitDone => {
                let differing = self.replace_all(mem::take(fresh));
                if self.synced.send_replace(true) {
                    return differing;
                }
            }
            watcher::Event::Apply(object) => {
                let key = Key::of(&object.metadata);
                if self.put(key.clone(), V::reduce(object.metadata)) {
                    return vec![key];
                }
            }
            watcher::Event::Delete(object) => {
                let key = Key::of(&object.metadata);
                if self.remove(&key).is_some() {
                    return vec![key];
                }
            }
        }
        Vec::new()
    }

    fn remove(&self, key: &Key) -> Option<Arc<V>> {
        self.objects
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key)
    }

    /// Replaces everything by a new list and returns the keys whose object is not what it was.
    fn replace_all(&self, fresh: HashMap<Key, Arc<V>>) -> Vec<Key> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let old = mem::replace(&mut *objects, fresh);
        let gone = old.keys().filter(|key| !objects.contains_key(key)).cloned();
        let new = objects
            .iter()
            .filter(|(key, value)| old.get(*key) != Some(value))
            .map(|(key, _)| key.clone());
        gone.chain(new).collect()
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

impl Caches {
    /// Starts the watches on tasks of their own, which end with the process. Whatever changes after the first list is
    /// sent to `changes`. `operator_namespace` is where ConfigMaps are watched.
    pub fn start(
        client: &Client,
        operator_namespace: &str,
        changes: &mpsc::UnboundedSender<Change>,
    ) -> Arc<Self> {
        let caches = Arc::new(Self {
            secrets: Cache::new(),
            service_accounts: Cache::new(),
            namespaces: Cache::new(),
            config_maps: Cache::new(),
        });
        let (this, tx, api) = (
            caches.clone(),
            changes.clone(),
            Api::<PartialObjectMeta<Secret>>::all(client.clone()),
        );
        tokio::spawn(async move { fill(api, &this.secrets, &tx, Change::Secret).await });
        let (this, tx, api) = (
            caches.clone(),
            changes.clone(),
            Api::<PartialObjectMeta<ServiceAccount>>::all(client.clone()),
        );
        tokio::spawn(async move {
            fill(api, &this.service_accounts, &tx, Change::ServiceAccount).await;
        });
        let (this, tx, api) = (
            caches.clone(),
            changes.clone(),
            Api::<PartialObjectMeta<Namespace>>::all(client.clone()),
        );
        tokio::spawn(async move {
            fill(api, &this.namespaces, &tx, |key| {
                Change::Namespace(key.name)
            })
            .await;
        });
        let api =
            Api::<PartialObjectMeta<ConfigMap>>::namespaced(client.clone(), operator_namespace);
        let (this, tx) = (caches.clone(), changes.clone());
        tokio::spawn(async move { fill(api, &this.config_maps, &tx, Change::ConfigMap).await });
        caches
    }

    /// Resolves when every first list has arrived.
    pub async fn synced(&self) {
        let Self {
            secrets,
            service_accounts,
            namespaces,
            config_maps,
        } = self;
        tokio::join!(
            secrets.synced(),
            service_accounts.synced(),
            namespaces.synced(),
            config_maps.synced()
        );
    }
}

impl Kept for SecretMeta {
    fn reduce(meta: ObjectMeta) -> Self {
        Self::reduce(meta)
    }

    fn is_newer_than(&self, other: &Self) -> bool {
        self.is_newer_than(other)
    }
}

impl Kept for ServiceAccountMeta {
    fn reduce(meta: ObjectMeta) -> Self {
        Self {
            uid: meta.uid.unwrap_or_default(),
        }
    }
}

impl Kept for NamespaceMeta {
    fn reduce(meta: ObjectMeta) -> Self {
        Self {
            labels: meta.labels.unwrap_or_default(),
            terminating: meta.deletion_timestamp.is_some(),
        }
    }
}

impl Kept for ConfigMapMeta {
    fn reduce(meta: ObjectMeta) -> Self {
        Self {
            resource_version: meta.resource_version.unwrap_or_default(),
        }
    }
}

/// The pauses between attempts to begin a watch again.
pub fn pauses() -> watcher::ExponentialBackoff {
    retry::of_watches().into()
}

/// Follows a watch for ever.
async fn fill<K, V>(
    api: Api<PartialObjectMeta<K>>,
    cache: &Cache<V>,
    changes: &mpsc::UnboundedSender<Change>,
    change: fn(Key) -> Change,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    V: Kept,
{
    // One list without pages is served from the API server's memory; pages would be read from etcd.
    let config = watcher::Config {
        page_size: None,
        ..watcher::Config::default()
    };
    let mut events = watcher(api, config).backoff(pauses()).boxed();
    let mut fresh = HashMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                for key in cache.take_in(event, &mut fresh) {
                    // The receiver goes only when the program ends.
                    let _ = changes.send(change(key));
                }
            }
            Err(error) => {
                warn!(kind = %K::kind(&()), %error, "watch interrupted, starting it again");
            }
        }
    }
}
