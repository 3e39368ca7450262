//! What we know of the cluster without asking: one cache per kind, filled by a watch.
//!
//! Of Secrets, ServiceAccounts, Namespaces and the operator's own ConfigMaps only metadata is watched, so no value of any Secret ever
//! enters a cache. ConfigMaps with templates are watched whole, but only those that say so by a label. All Secrets are watched, not only labelled ones: a foreign Secret in the way is then known before any
//! request is made, and a label taken off one of ours is an edit like any other. Of a foreign Secret, only its identity is kept.

mod cache;
mod watches;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::{Api, Client};
use tokio::sync::mpsc;

pub use self::cache::{Cache, Kept, OwnersOf};
pub use self::watches::{Lost, Watches, how_to_list, pauses};
use self::watches::{Sink, how_to_list_whole};
use super::reach::Reach;
use super::secret_meta::SecretMeta;
use super::templates::TemplateTexts;
use crate::api::TEMPLATE_LABEL;

/// The label that the API server puts on each namespace, with its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

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
    /// The ConfigMaps of all namespaces that bear the label of templates.
    pub templates: Cache<TemplateTexts>,
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
    /// A ConfigMap with templates appeared, changed or went.
    Templates(Key),
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

impl Caches {
    /// Starts the watches, on tasks of their own. Whatever changes after the first list is sent to `changes`.
    /// `operator_namespace` is where ConfigMaps are watched, `reach` where everything else is; `owners_of` tells whose a Secret is.
    pub fn start(
        client: &Client,
        operator_namespace: &str,
        reach: &Reach,
        changes: &mpsc::UnboundedSender<Change>,
        owners_of: OwnersOf<SecretMeta>,
    ) -> (Arc<Self>, Watches) {
        let caches = Arc::new(Self {
            secrets: Cache::new(owners_of),
            service_accounts: Cache::new(|_| Vec::new()),
            namespaces: Cache::new(|_| Vec::new()),
            config_maps: Cache::new(|_| Vec::new()),
            templates: Cache::new(|_| Vec::new()),
        });
        let mut watches = Watches::default();
        let sink = |change: fn(Key) -> Change| Sink {
            caches: caches.clone(),
            changes: changes.clone(),
            change,
        };
        // In the operator's own namespace are those that VaultConnections refer to.
        let apis = reach.with(operator_namespace).apis(client);
        let secrets = sink(Change::Secret);
        watches.follow(apis, &how_to_list(), secrets, |caches| &caches.secrets);
        let accounts = sink(Change::ServiceAccount);
        watches.follow(reach.apis(client), &how_to_list(), accounts, |caches| {
            &caches.service_accounts
        });
        match reach {
            Reach::Cluster => {
                let (apis, namespaces) = (
                    vec![Api::all(client.clone())],
                    sink(|key| Change::Namespace(key.name)),
                );
                watches.follow(apis, &how_to_list(), namespaces, |caches| {
                    &caches.namespaces
                });
            }
            Reach::Namespaces(names) => {
                caches.namespaces.know(names.iter().map(|name| named(name)));
            }
        }
        let apis = vec![Api::namespaced(client.clone(), operator_namespace)];
        let config_maps = sink(Change::ConfigMap);
        watches.follow(apis, &how_to_list(), config_maps, |caches| {
            &caches.config_maps
        });
        let (apis, how) = (reach.apis(client), how_to_list_whole(TEMPLATE_LABEL));
        watches.follow(apis, &how, sink(Change::Templates), |caches| {
            &caches.templates
        });
        (caches, watches)
    }

    /// Resolves when every first list has arrived.
    pub async fn synced(&self) {
        let Self {
            secrets,
            service_accounts,
            namespaces,
            config_maps,
            templates,
        } = self;
        tokio::join!(
            secrets.synced(),
            service_accounts.synced(),
            namespaces.synced(),
            config_maps.synced(),
            templates.synced()
        );
    }
}

/// A namespace of which nothing is known but its name, and the label that every namespace has: where the operator looks at some only, it may
/// not list them.
fn named(name: &str) -> (Key, NamespaceMeta) {
    let meta = NamespaceMeta {
        labels: BTreeMap::from([(NAME_LABEL.to_owned(), name.to_owned())]),
        terminating: false,
    };
    (Key::new("", name), meta)
}

impl Kept for SecretMeta {
    type Object = PartialObjectMeta<Secret>;

    fn reduce(object: Self::Object) -> Self {
        Self::reduce(object.metadata)
    }

    fn is_newer_than(&self, other: &Self) -> bool {
        self.is_newer_than(other)
    }
}

impl Kept for ServiceAccountMeta {
    type Object = PartialObjectMeta<ServiceAccount>;

    fn reduce(object: Self::Object) -> Self {
        Self {
            uid: object.metadata.uid.unwrap_or_default(),
        }
    }
}

impl Kept for NamespaceMeta {
    type Object = PartialObjectMeta<Namespace>;

    fn reduce(object: Self::Object) -> Self {
        Self {
            terminating: object.metadata.deletion_timestamp.is_some(),
            labels: object.metadata.labels.unwrap_or_default(),
        }
    }
}

impl Kept for TemplateTexts {
    type Object = ConfigMap;

    fn reduce(object: Self::Object) -> Self {
        Self::reduce(object)
    }
}

impl Kept for ConfigMapMeta {
    type Object = PartialObjectMeta<ConfigMap>;

    fn reduce(object: Self::Object) -> Self {
        Self {
            resource_version: object.metadata.resource_version.unwrap_or_default(),
        }
    }
}
