//! Puts the operator together: clients, the lead, keys, caches, controllers, the HTTP server, and an orderly end.

mod end;
mod seat;
mod upkeep;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::client::ClientBuilder;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tower::limit::ConcurrencyLimitLayer;
use tracing::{info, warn};

use crate::api::{MANAGED_BY, MANAGER, VaultConnection};
use crate::backstage;
use crate::cluster::caches::{Change, Watches};
use crate::cluster::election::{Candidate, Election};
use crate::cluster::events::Events;
use crate::cluster::gate::GateLayer;
use crate::cluster::reach::Reach;
use crate::cluster::secrets::SecretWrite;
use crate::cluster::{Caches, Guarded, Key, WriteError, references, secrets};
use crate::connections::Connections;
use crate::controller;
use crate::holdings::Holdings;
use crate::http::{self, Health};
use crate::leadership::{Standing, Tenure};
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::queue::Queue;
use crate::reconcile::{self, Context, Housework, Memories, Orphans, Overlay, Settings};
use crate::seal::Keys;
use crate::telemetry::{Clock, LogLevel};
use crate::vault::{Listings, Mounts, Reads, Sessions};

use self::end::{End, end};
use self::seat::Seat;
use self::upkeep::sweep;

/// The Secret in the operator's namespace that holds the keys of the MACs.
const KEY_SECRET: &str = "vaultbridge-keys";

/// The Lease in the operator's namespace that says which instance leads.
const LEASE: &str = "vaultbridge";

/// How long the revocation of all Vault tokens may take at the end. Together with [`LAST_PASSES`] it is well within the 30 s that a
/// pod usually has.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long passes under way may take to finish at the end.
const LAST_PASSES: Duration = Duration::from_secs(8);

/// How many requests to the API server may be under way at once, watches apart: enough to keep it busy, and not so many as to
/// crowd out others.
const REQUESTS_AT_ONCE: usize = 32;

/// How long the API server may keep silent within an answer. It ends a watch after less than 295 s by itself.
const SILENCE: Duration = Duration::from_secs(310);

/// How the operator is started.
pub struct Options {
    /// The operator's own namespace.
    pub namespace: String,
    /// Where it looks for VaultSecrets.
    pub reach: Reach,
    /// Name of its pod, for events; `None` outside of one.
    pub instance: Option<String>,
    /// Changes what is logged.
    pub log_level: LogLevel,
    /// Where the HTTP server listens.
    pub http_address: SocketAddr,
    /// Whether VaultConnections may use plain http.
    pub allow_plain_http: bool,
    /// Whether each VaultSecret has series of its own among the metrics.
    pub object_metrics: bool,
    /// What a reason's word is appended to for a link, in conditions, to what to do about it.
    pub runbooks: Option<Arc<str>>,
    /// How many passes over VaultSecrets run at once.
    pub concurrency: u16,
    /// How it competes for the lead; `None` if it is alone for sure.
    pub candidate: Option<Candidate>,
}

/// What wakes whom: the receiving ends of the channels that a [`Context`] sends into.
struct Wakes {
    changes: mpsc::UnboundedReceiver<Change>,
    secrets: mpsc::UnboundedReceiver<Key>,
    connections: mpsc::UnboundedReceiver<String>,
}

/// Runs the operator until SIGTERM or SIGINT.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let metrics = Metrics::new(options.object_metrics);
    let (standing, told) = watch::channel(Standing::Starting);
    let health = Health {
        metrics: metrics.clone(),
        standing: told,
    };
    http::serve(options.http_address, health).await?;
    backstage::listen(options.log_level.clone())?;
    let mut seat = seat(&options).await?;
    let (client, address) = client(seat.tenure()).await?;
    let start = begin(&client, &address, &mut seat, &standing, &options);
    let Some(begun) = unless_asked(signals.next(), start).await else {
        seat.leave().await;
        return Ok(());
    };
    let keys = begun?;
    metrics.leads(true);
    let (connection_store, connection_writer) = reflector::store();
    let tenure = seat.tenure();
    let (context, wakes, mut watches) =
        context(client, keys, metrics, connection_store, tenure, &options);
    let (stop, shutdown) = watch::channel(false);
    let standing = Arc::new(standing);
    let mut controllers = tokio::spawn(control(
        context.clone(),
        wakes,
        connection_writer,
        options.concurrency,
        standing.clone(),
        shutdown,
    ));

    let end = end(signals.next(), &mut controllers, &mut watches, seat.lost()).await;
    standing.send_replace(Standing::Stopping);
    stop.send_replace(true);
    if matches!(end, End::Asked)
        && tokio::time::timeout(LAST_PASSES, controllers)
            .await
            .is_err()
    {
        warn!("some passes did not finish in time; the next start looks at their objects again");
    }
    seat.leave().await;
    let ended = context
        .sessions
        .revoke_all(context.clock.deadline(FAREWELL))
        .await;
    info!(revoked = ended.revoked, failed = ended.failed, "stopped");
    end.outcome()
}

/// The place in the election, if there is one.
async fn seat(options: &Options) -> anyhow::Result<Seat> {
    let Some(candidate) = options.candidate.clone() else {
        return Ok(Seat::alone());
    };
    let tenure = Arc::new(Tenure::none());
    // This client writes the Lease before the instance leads.
    let (client, _) = client(Arc::new(Tenure::without_end())).await?;
    let namespace = &options.namespace;
    let election = Election::new(client, namespace, LEASE, candidate, tenure.clone());
    Ok(Seat::contested(election, tenure))
}

/// What nothing goes without: an API server that knows our kinds, the lead, and the keys.
async fn begin(
    client: &Client,
    address: &str,
    seat: &mut Seat,
    standing: &watch::Sender<Standing>,
    options: &Options,
) -> anyhow::Result<Keys> {
    controller::check_api(client, &options.reach, address).await?;
    seat.take(standing).await;
    keys(client, &options.namespace).await
}

/// What the start comes to; `None` if the operator is asked to end before that. Nothing is held yet that would have to be given back.
async fn unless_asked<T>(
    asked: impl Future<Output = &'static str>,
    start: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        signal = asked => {
            info!(signal, "stopped before the start was over");
            None
        }
        begun = start => Some(begun),
    }
}

/// Everything that passes share, with nothing known yet but what the watches begin to bring.
fn context(
    client: Client,
    keys: Keys,
    metrics: Metrics,
    connection_store: Store<Guarded<VaultConnection>>,
    tenure: Arc<Tenure>,
    options: &Options,
) -> (Arc<Context>, Wakes, Watches) {
    let (change_sender, changes) = mpsc::unbounded_channel();
    let (wake, secrets) = mpsc::unbounded_channel();
    let (wake_connection, connections) = mpsc::unbounded_channel();
    let clock = Clock;
    let (caches, watches) = Caches::start(
        &client,
        &options.namespace,
        &options.reach,
        &change_sender,
        reconcile::owners_of,
    );
    let context = Context {
        caches,
        events: Events::new(client.clone(), options.instance.clone()),
        client,
        objects: Objects::default(),
        connection_store,
        connections: Connections::default(),
        sessions: Sessions::new(),
        reads: Reads::new(),
        listings: Listings::new(),
        mounts: Mounts::new(),
        keys,
        memories: Memories::default(),
        overlay: Overlay::default(),
        holdings: Holdings::default(),
        housework: Housework::default(),
        orphans: Orphans::default(),
        metrics,
        wake,
        wake_connection,
        settings: Settings {
            namespace: options.namespace.clone(),
            reach: options.reach.clone(),
            allow_plain_http: options.allow_plain_http,
            runbooks: options.runbooks.clone(),
        },
        queue: Queue::default(),
        started: clock.now(),
        tenure,
        clock,
    };
    (
        Arc::new(context),
        Wakes {
            changes,
            secrets,
            connections,
        },
        watches,
    )
}

/// Starts the controllers in their order, and ends when both have ended.
async fn control(
    context: Arc<Context>,
    wakes: Wakes,
    connection_writer: Writer<Guarded<VaultConnection>>,
    concurrency: u16,
    standing: Arc<watch::Sender<Standing>>,
    shutdown: watch::Receiver<bool>,
) {
    let Wakes {
        changes,
        secrets,
        connections,
    } = wakes;
    let mut stopped = shutdown.clone();
    tokio::select! {
        () = context.caches.synced() => {}
        _ = stopped.wait_for(|stop| *stop) => return,
    }
    let (listed, mut connections_listed) = watch::channel(false);
    let connections = controller::run_connections(
        context.clone(),
        connection_writer,
        connections,
        listed,
        shutdown.clone(),
    );
    let secrets = async {
        // Before the VaultConnections are known, every object would seem to name one that does not exist.
        let _ = connections_listed.wait_for(|listed| *listed).await;
        let (listed, mut secrets_listed) = watch::channel(false);
        let announce = async {
            if secrets_listed.wait_for(|listed| *listed).await.is_ok() {
                standing.send_replace(Standing::Working);
                info!(version = env!("CARGO_PKG_VERSION"), "ready");
            }
        };
        let (_, writer) = reflector::store();
        let running = controller::run_secrets(
            context.clone(),
            writer,
            secrets,
            concurrency,
            listed,
            shutdown,
        );
        tokio::join!(running, announce);
    };
    // Neither of the last two ends by itself; if one is lost, everything ends, and that is noticed.
    tokio::select! {
        _ = async { tokio::join!(connections, secrets) } => {}
        () = controller::route(changes, context.clone()) => {}
        () = sweep(context.clone()) => {}
    }
}

/// A client without the library's hidden retries: a pass that fails is repeated by its own schedule, and a POST that got no
/// answer is never repeated blindly.
async fn client(tenure: Arc<Tenure>) -> anyhow::Result<(Client, String)> {
    let mut config = Config::infer()
        .await
        .context("find the API server: set KUBECONFIG, or run in a pod with a service account")?;
    config.default_retry = false;
    // A list that is never answered must end; watches end by themselves before that. Other requests have less time: cluster/patience.rs.
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    let address = config.cluster_url.to_string();
    let builder = ClientBuilder::try_from(config).context("set up the client of the API server")?;
    let client = builder
        // Whether this instance leads is asked when a request has its place among the others, and not before it waits for one.
        .with_layer(&GateLayer::new(tenure))
        .with_layer(&ConcurrencyLimitLayer::new(REQUESTS_AT_ONCE))
        .build();
    Ok((client, address))
}

/// The keys of the MACs, made at the first start.
async fn keys(client: &Client, namespace: &str) -> anyhow::Result<Keys> {
    let key = Key::new(namespace, KEY_SECRET);
    for _ in 0..2 {
        if let Some(data) = references::secret_data(client, &key)
            .await
            .with_context(|| format!("read Secret {namespace}/{KEY_SECRET}"))?
        {
            return Keys::from_data(&data)
                .with_context(|| format!("use Secret {namespace}/{KEY_SECRET}"));
        }
        let data =
            Keys::generate(&format!("k{}", Clock.now().as_second())).context("make a key")?;
        let labels = [(MANAGED_BY.to_owned(), MANAGER.to_owned())].into();
        let write = SecretWrite::own(&key, &labels, &data);
        match secrets::create(client, &write, MANAGER).await {
            Ok(_) => info!(namespace, secret = KEY_SECRET, "made the key of the MACs"),
            Err(WriteError::AlreadyExists) => {}
            Err(WriteError::NotFound) => anyhow::bail!(
                "namespace {namespace} does not exist: create it, or correct POD_NAMESPACE"
            ),
            Err(error) => anyhow::bail!("create Secret {namespace}/{KEY_SECRET}: {error}"),
        }
    }
    anyhow::bail!(
        "Secret {namespace}/{KEY_SECRET} vanishes as soon as it is made; find out who deletes it"
    )
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("listen for SIGINT")?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_start_that_hangs_ends_when_it_is_asked_to() {
        assert_eq!(unless_asked(ready("SIGTERM"), pending::<()>()).await, None);
        assert_eq!(unless_asked(pending(), ready(7)).await, Some(7));
    }
}
