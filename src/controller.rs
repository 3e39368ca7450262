//! Which change wakes which object, and how many passes run at once.
//!
//! Two controllers, one per kind. Each has a queue that is fed by the watch of its kind and by everything else that may
//! concern an object: its Secret, its service account, its namespace, its connection, a reading that found news.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use crate::api::vault_connection::CaBundleKind;
use crate::api::{VaultConnection, VaultSecret};
use crate::cluster::caches::{Change, how_to_list};
use crate::cluster::patience::in_time;
use crate::cluster::reach::{Reach, watch_all};
use crate::cluster::{Guarded, Key, WriteError};
use crate::objects::Rival;
use crate::reconcile::{self, Context};
use crate::shares::Shares;

/// How many passes over VaultConnections run at once: so many that servers that swallow requests do not hold up the others.
const CONNECTIONS_AT_ONCE: u16 = 64;

/// Runs passes over VaultSecrets until `shutdown`, at most `concurrency` at once; those under way are finished.
pub async fn run_secrets(
    context: Arc<Context>,
    writer: Writer<Guarded<VaultSecret>>,
    wakes: mpsc::UnboundedReceiver<Key>,
    concurrency: u16,
    listed: watch::Sender<bool>,
    shutdown: watch::Receiver<bool>,
) {
    let store = writer.as_reader();
    let apis = context.settings.reach.apis(&context.client);
    let own = objects(
        apis,
        writer,
        context.clone(),
        listed,
        (index_secret, secret_gone),
    );
    let woken = receive(wakes);
    let due = context.clone();
    let queue = stream::select(own, woken)
        .inspect(move |key| due.queue.wants(key, due.clock.deadline(Duration::ZERO)))
        .map(|key| Ok::<_, std::convert::Infallible>(object_ref(&key)))
        .take_until(until(shutdown));
    let config = Config::default().concurrency(concurrency);
    let shares = Shares::new(concurrency, context.wake.clone());
    applier(
        |object, context| {
            let key = Key::of(object.meta());
            let place = shares.admit(&key);
            Box::pin(async move {
                match place {
                    Some(_place) => {
                        timed(&key, &context.clone(), || {
                            reconcile::reconcile(object, context)
                        })
                        .await
                    }
                    None => Ok(Action::await_change()),
                }
            })
        },
        |_, error: &std::convert::Infallible, _| match *error {},
        context,
        store,
        queue,
        config,
    )
    .for_each(|result| async move {
        if let Err(error) = result {
            // The object went between its wake-up and its turn.
            debug!(%error, "pass skipped");
        }
    })
    .await;
}

/// A pass, with how long the object waited for it and how long it took.
async fn timed<F: Future>(key: &Key, context: &Context, pass: impl FnOnce() -> F) -> F::Output {
    let begin = context.clock.deadline(Duration::ZERO);
    context.metrics.waited(context.queue.begins(key, begin));
    let output = pass().await;
    let end = context.clock.deadline(Duration::ZERO);
    context.metrics.took(end.saturating_duration_since(begin));
    output
}

/// Runs passes over VaultConnections until `shutdown`.
pub async fn run_connections(
    context: Arc<Context>,
    writer: Writer<Guarded<VaultConnection>>,
    wakes: mpsc::UnboundedReceiver<String>,
    listed: watch::Sender<bool>,
    shutdown: watch::Receiver<bool>,
) {
    let store = writer.as_reader();
    let api = Api::all(context.client.clone());
    let own = objects(
        vec![api],
        writer,
        context.clone(),
        listed,
        (index_connection, |_, _| ()),
    )
    .map(|key| ObjectRef::new(&key.name));
    let woken = receive(wakes).map(|name| ObjectRef::new(&name));
    let queue = stream::select(own, woken)
        .map(Ok::<_, std::convert::Infallible>)
        .take_until(until(shutdown));
    let config = Config::default().concurrency(CONNECTIONS_AT_ONCE);
    applier(
        |object, context| Box::pin(reconcile::connection::reconcile(object, context)),
        |_, error: &std::convert::Infallible, _| match *error {},
        context,
        store,
        queue,
        config,
    )
    .for_each(|result: Result<(ObjectRef<_>, Action), _>| async move {
        if let Err(error) = result {
            debug!(%error, "pass skipped");
        }
    })
    .await;
}

/// Turns changes of other kinds into wake-ups, for ever.
pub async fn route(mut changes: mpsc::UnboundedReceiver<Change>, context: Arc<Context>) {
    while let Some(change) = changes.recv().await {
        let concerned = match &change {
            Change::Secret(key) => {
                wake_references(key, CaBundleKind::Secret, &context);
                context.objects.with_target(key)
            }
            Change::ServiceAccount(key) => context.objects.with_service_account(key),
            Change::Namespace(name) => context.objects.in_namespace(name),
            Change::ConfigMap(key) => {
                wake_references(key, CaBundleKind::ConfigMap, &context);
                Vec::new()
            }
            Change::Templates(key) => context.objects.with_template_map(key),
        };
        for key in concerned {
            let _ = context.wake.send(key);
        }
    }
}

/// Wakes the VaultConnections that refer to the object.
fn wake_references(key: &Key, kind: CaBundleKind, context: &Context) {
    if key.namespace != context.settings.namespace {
        return;
    }
    for connection in context.connection_store.state() {
        let Ok(object) = &connection.0 else { continue };
        let tls = &object.spec.tls;
        let by_bundle = tls
            .ca_bundle_ref
            .as_ref()
            .is_some_and(|reference| reference.kind == kind && reference.name == key.name);
        let by_certificate = tls
            .client_certificate_ref
            .as_ref()
            .is_some_and(|reference| kind == CaBundleKind::Secret && reference.name == key.name);
        if by_bundle || by_certificate {
            let _ = context.wake_connection.send(object.name_any());
        }
    }
}

/// What an object's event means for the indexes. `None` is a deletion. Returns whether the object itself needs a pass.
type Index<K> = fn(&Key, Option<&Guarded<K>>, &Arc<Context>) -> bool;

/// What is to be done about an object that is gone, as it was last.
type Gone<K> = fn(&Guarded<K>, &Arc<Context>);

/// What is to be kept of a kind while its watch is followed.
struct Follower<K: Resource<DynamicType = ()> + Clone + 'static>
where
    Guarded<K>: Resource<DynamicType = ()>,
{
    writer: Writer<Guarded<K>>,
    context: Arc<Context>,
    listed: watch::Sender<bool>,
    index: Index<K>,
    gone: Gone<K>,
    /// Who was there before a new list began: whoever is not in the list went unseen.
    known: HashSet<Key>,
    fresh: HashSet<Key>,
}

/// Follows the watch of a kind: keeps the store and the indexes, and yields the objects that need a pass.
fn objects<K>(
    apis: Vec<Api<Guarded<K>>>,
    writer: Writer<Guarded<K>>,
    context: Arc<Context>,
    listed: watch::Sender<bool>,
    (index, gone): (Index<K>, Gone<K>),
) -> impl Stream<Item = Key> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let mut follower = Follower {
        writer,
        context,
        listed,
        index,
        gone,
        known: HashSet::new(),
        fresh: HashSet::new(),
    };
    watch_all(apis, &how_to_list(), Guarded::clone).flat_map(move |event| {
        let touched = match event {
            Ok(event) => follower.take_in(&event),
            Err(error) => {
                warn!(kind = %K::kind(&()), %error, "watch interrupted, starting it again");
                Vec::new()
            }
        };
        stream::iter(touched)
    })
}

impl<K> Follower<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    /// Takes in an event and returns the objects that need a pass.
    fn take_in(&mut self, event: &watcher::Event<Guarded<K>>) -> Vec<Key> {
        self.writer.apply_watcher_event(event);
        match event {
            watcher::Event::Init => self.fresh.clear(),
            watcher::Event::InitApply(object) => {
                let key = Key::of(object.meta());
                (self.index)(&key, Some(object), &self.context);
                self.fresh.insert(key);
            }
            watcher::Event::InitDone => {
                for gone in self.known.difference(&self.fresh) {
                    (self.index)(gone, None, &self.context);
                }
                self.known = std::mem::take(&mut self.fresh);
                self.listed.send_replace(true);
                return self.known.iter().cloned().collect();
            }
            watcher::Event::Apply(object) => {
                let key = Key::of(object.meta());
                self.known.insert(key.clone());
                if (self.index)(&key, Some(object), &self.context) {
                    return vec![key];
                }
            }
            watcher::Event::Delete(object) => {
                let key = Key::of(object.meta());
                self.known.remove(&key);
                (self.gone)(object, &self.context);
                (self.index)(&key, None, &self.context);
            }
        }
        Vec::new()
    }
}

fn index_secret(key: &Key, object: Option<&Guarded<VaultSecret>>, context: &Arc<Context>) -> bool {
    let unreadable = object.is_some_and(|object| object.0.is_err());
    context.objects.set_unreadable(key, unreadable);
    let Some(Ok(object)) = object.map(|object| &object.0) else {
        // Gone, or unreadable: either way it has no claim on any Secret.
        let holds = |target: &Key, rival: &Rival| context.holds(target, rival);
        let (uid, affected) = context.objects.remove(key, holds);
        wake_all(affected, context);
        if let Some(uid) = uid {
            context.orphaned(&uid);
            context.forget(key, &uid);
        } else if !unreadable {
            // What could never be read has a metric all the same.
            context.metrics.forget_object(&key.namespace, &key.name);
        }
        return true;
    };
    let holds = |target: &Key, rival: &Rival| context.holds(target, rival);
    wake_all(context.objects.put(object, holds), context);
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    !context
        .overlay
        .is_echo(uid, object.metadata.resource_version.as_deref())
}

/// What a VaultSecret that is gone has left in Vault. Usually nothing: it waits until its sessions are revoked.
fn secret_gone(object: &Guarded<VaultSecret>, context: &Arc<Context>) {
    if let Ok(object) = &object.0 {
        let (object, context) = (object.clone(), context.clone());
        tokio::spawn(async move { reconcile::vanished(&object, &context).await });
    }
}

fn index_connection(
    key: &Key,
    object: Option<&Guarded<VaultConnection>>,
    context: &Arc<Context>,
) -> bool {
    if object.is_none() {
        let (name, context) = (key.name.clone(), context.clone());
        tokio::spawn(async move { reconcile::connection::forget(&name, &context).await });
    } else if context.connections.get(&key.name).is_none() {
        // Whoever waited for a connection of that name learns that there will be one.
        let waiting = context.objects.with_connection(&key.name);
        wake_all(waiting.into_iter().map(|(key, _)| key).collect(), context);
    }
    true
}

fn wake_all(keys: Vec<Key>, context: &Context) {
    for key in keys {
        let _ = context.wake.send(key);
    }
}

fn object_ref(key: &Key) -> ObjectRef<Guarded<VaultSecret>> {
    ObjectRef::new(&key.name).within(&key.namespace)
}

fn receive<T>(mut receiver: mpsc::UnboundedReceiver<T>) -> impl Stream<Item = T> {
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

async fn until(mut shutdown: watch::Receiver<bool>) {
    // The sender lives as long as the program; if it ever went, that would be a shutdown too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// Whether the API server answers and our kinds are known to it: told at the start rather than by watches that fail for ever.
///
/// Where it looks at some namespaces only, one of them is enough: the others may be gone, or come.
pub async fn check_api(client: &Client, reach: &Reach, address: &str) -> anyhow::Result<()> {
    let one = kube::api::ListParams::default().limit(1);
    if *reach == Reach::Cluster {
        let namespaces = Api::<kube::core::PartialObjectMeta<Namespace>>::all(client.clone());
        let namespaces = in_time(namespaces.list_metadata(&one)).await;
        namespaces.map_err(|error| hint("Namespace", error, address))?;
    }
    let mut refused = None;
    let apis = reach.apis::<Guarded<VaultSecret>>(client);
    let asked = apis.len();
    let mut listed = 0;
    for secrets in apis {
        match in_time(secrets.list_metadata(&one)).await {
            Ok(_) => listed += 1,
            Err(error) => refused = Some(hint("VaultSecret", error, address)),
        }
    }
    match refused {
        Some(refused) if listed == 0 => return Err(refused),
        Some(refused) => warn!(asked, listed, %refused, "some namespaces cannot be looked at"),
        None => {}
    }
    let connections = Api::<Guarded<VaultConnection>>::all(client.clone());
    let connections = in_time(connections.list_metadata(&one)).await;
    connections.map_err(|error| hint("VaultConnection", error, address))?;
    Ok(())
}

/// Why a kind could not be listed, and what to do about it.
fn hint(kind: &str, error: kube::Error, address: &str) -> anyhow::Error {
    let (code, message) = match &error {
        kube::Error::Api(status) => (status.code, status.message.clone()),
        _ => (0, String::new()),
    };
    match code {
        404 => anyhow::anyhow!(
            "the API server does not know the kind {kind}: install the CRDs first (vaultbridge crd | kubectl apply -f -)"
        ),
        403 => anyhow::anyhow!(
            "the operator may not list {kind}: {message}; compare its RBAC with deploy/rbac.yaml"
        ),
        401 => anyhow::anyhow!(
            "the API server at {address} does not accept the operator's credentials: {message}; check KUBECONFIG, or the pod's service account"
        ),
        _ => anyhow::anyhow!(
            "{}; it was looked for at {address}: check KUBECONFIG, or the pod's service account",
            WriteError::from(error)
        ),
    }
}
