//! Metrics, in the OpenMetrics text format.
//!
//! Labels are bounded: reasons and outcomes are closed lists, connections are few. The families that name objects
//! grow with the number of VaultSecrets, forget an object with it, and can be switched off.

mod objects;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::objects::ObjectMetrics;
use crate::api::{Reason, VaultSecretStatus};

/// A request within one network takes milliseconds; one that waits for a database, or for a timeout, takes seconds.
const DURATION_BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Most passes find nothing to do and take microseconds; one that logs in, reads and writes takes tens of milliseconds; and no pass
/// may take more than 150 s.
const PASS_BUCKETS: [f64; 9] = [0.0005, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 150.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PassLabels {
    outcome: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    connection: String,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ConnectionLabels {
    connection: String,
}

/// All metrics. Cloning is cheap; clones count together.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    passes: Family<PassLabels, Counter>,
    pass_duration: Histogram,
    queue_duration: Histogram,
    queue_depth: Gauge,
    requests: Family<RequestLabels, Counter>,
    latency: Family<ConnectionLabels, Histogram>,
    connection_up: Family<ConnectionLabels, Gauge>,
    connection_sealed: Family<ConnectionLabels, Gauge>,
    connection_sessions: Family<ConnectionLabels, Gauge>,
    leader: Gauge,
    objects: ObjectMetrics,
}

impl Metrics {
    /// Metrics that all start at nothing. `each_object` says whether each VaultSecret has series of its own.
    pub fn new(each_object: bool) -> Self {
        let mut registry = Registry::with_prefix("vaultbridge");
        let build = Family::<BuildLabels, Gauge>::default();
        let version = env!("CARGO_PKG_VERSION");
        build.get_or_create(&BuildLabels { version }).set(1);
        registry.register("build_info", "1, with the version of the program", build);
        let objects = ObjectMetrics::register(each_object, &mut registry);
        let this = Self {
            registry: Arc::default(),
            passes: Family::default(),
            pass_duration: Histogram::new(PASS_BUCKETS),
            queue_duration: Histogram::new(PASS_BUCKETS),
            queue_depth: Gauge::default(),
            requests: Family::default(),
            latency: Family::new_with_constructor(
                (|| Histogram::new(DURATION_BUCKETS)) as fn() -> Histogram,
            ),
            connection_up: Family::default(),
            connection_sealed: Family::default(),
            connection_sessions: Family::default(),
            leader: Gauge::default(),
            objects,
        };
        this.register_passes(&mut registry);
        this.register_connections(&mut registry);
        let leader = "1 if this instance leads; 0 if it stands by";
        registry.register("leader", leader, this.leader.clone());
        Self {
            registry: Arc::new(registry),
            ..this
        }
    }

    fn register_passes(&self, registry: &mut Registry) {
        registry.register(
            "reconcile",
            "Passes over VaultSecrets by how they ended and why",
            self.passes.clone(),
        );
        registry.register(
            "reconcile_duration_seconds",
            "How long passes over VaultSecrets took",
            self.pass_duration.clone(),
        );
        registry.register(
            "queue_duration_seconds",
            "How long VaultSecrets waited for their pass once it was due",
            self.queue_duration.clone(),
        );
        registry.register(
            "queue_depth",
            "How many VaultSecrets are due and wait for their pass",
            self.queue_depth.clone(),
        );
    }

    fn register_connections(&self, registry: &mut Registry) {
        registry.register(
            "vault_requests",
            "Requests to Vault by connection, operation and outcome",
            self.requests.clone(),
        );
        registry.register(
            "vault_request_duration_seconds",
            "How long requests to Vault took",
            self.latency.clone(),
        );
        let families = [
            (
                "up",
                "1 if the server of the VaultConnection answers and is unsealed",
                &self.connection_up,
            ),
            (
                "sealed",
                "1 if the server of the VaultConnection answers that it is sealed",
                &self.connection_sealed,
            ),
            (
                "sessions",
                "Vault tokens in memory that VaultSecrets share for reading",
                &self.connection_sessions,
            ),
        ];
        for (name, help, family) in families {
            registry.register(format!("connection_{name}"), help, family.clone());
        }
    }

    /// Counts a pass and notes the state of its object. A pass that had nothing to say yet has no reason.
    pub fn pass(
        &self,
        namespace: &str,
        name: &str,
        outcome: &'static str,
        reason: impl Into<Option<Reason>>,
        ready: bool,
        status: Option<&VaultSecretStatus>,
    ) {
        self.passes
            .get_or_create(&PassLabels {
                outcome,
                reason: reason.into().map_or("None", Reason::as_str),
            })
            .inc();
        self.objects.note(namespace, name, ready, status);
    }

    /// Notes how long a pass took.
    pub fn took(&self, elapsed: Duration) {
        self.pass_duration.observe(elapsed.as_secs_f64());
    }

    /// Notes how long an object waited for its pass.
    pub fn waited(&self, elapsed: Duration) {
        self.queue_duration.observe(elapsed.as_secs_f64());
    }

    /// Notes how many objects wait for their pass.
    pub fn waiting(&self, objects: usize) {
        self.queue_depth
            .set(i64::try_from(objects).unwrap_or(i64::MAX));
    }

    /// Forgets an object that is gone.
    pub fn forget_object(&self, namespace: &str, name: &str) {
        self.objects.forget(namespace, name);
    }

    /// Notes how many records there are of Vault sessions that outlive their object.
    pub fn orphaned(&self, records: usize) {
        self.objects.orphaned(records);
    }

    /// Notes whether this instance leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Notes whether a server answers and is unsealed, and if not, whether that is because it is sealed.
    pub fn connection(&self, name: &str, up: bool, sealed: bool) {
        let labels = ConnectionLabels {
            connection: name.into(),
        };
        self.connection_up.get_or_create(&labels).set(up.into());
        let family = &self.connection_sealed;
        family.get_or_create(&labels).set(sealed.into());
    }

    /// Notes how many Vault tokens are shared for reading at the server of that connection.
    pub fn sessions(&self, name: &str, count: usize) {
        let labels = ConnectionLabels {
            connection: name.into(),
        };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.connection_sessions.get_or_create(&labels).set(count);
    }

    /// Forgets a connection that is gone.
    pub fn forget_connection(&self, name: &str) {
        let labels = ConnectionLabels {
            connection: name.into(),
        };
        self.connection_up.remove(&labels);
        self.connection_sealed.remove(&labels);
        self.connection_sessions.remove(&labels);
        self.latency.remove(&labels);
    }

    /// Counts a request to the server of that connection.
    pub fn request(
        &self,
        connection: &str,
        operation: &'static str,
        outcome: &'static str,
        elapsed: Duration,
    ) {
        let connection = connection.to_owned();
        let labels = ConnectionLabels {
            connection: connection.clone(),
        };
        self.latency
            .get_or_create(&labels)
            .observe(elapsed.as_secs_f64());
        let labels = RequestLabels {
            connection,
            operation,
            outcome,
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// All metrics as text.
    pub fn print(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
