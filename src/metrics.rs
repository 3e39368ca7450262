//! Metrics, in the OpenMetrics text format.
//!
//! Labels are bounded: reasons and outcomes are closed lists, connections are few. The two families that name objects
//! grow with the number of VaultSecrets and forget an object with it.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::api::{Reason, VaultSecretStatus};

/// A request within one network takes milliseconds; one that waits for a database, or for a timeout, takes seconds.
const DURATION_BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

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

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ObjectLabels {
    namespace: String,
    name: String,
}

/// All metrics. Cloning is cheap; clones count together.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    passes: Family<PassLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    latency: Family<ConnectionLabels, Histogram>,
    connection_up: Family<ConnectionLabels, Gauge>,
    leader: Gauge,
    ready: Family<ObjectLabels, Gauge>,
    last_change: Family<ObjectLabels, Gauge>,
}

impl Metrics {
    /// Metrics that all start at nothing.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("vaultbridge");
        let passes = Family::default();
        let requests = Family::default();
        let latency = Family::new_with_constructor(
            (|| Histogram::new(DURATION_BUCKETS)) as fn() -> Histogram,
        );
        let (connection_up, ready, last_change) =
            (Family::default(), Family::default(), Family::default());
        registry.register(
            "reconcile",
            "Passes over VaultSecrets by how they ended and why",
            passes.clone(),
        );
        registry.register(
            "vault_requests",
            "Requests to Vault by connection, operation and outcome",
            requests.clone(),
        );
        registry.register(
            "vault_request_duration_seconds",
            "How long requests to Vault took",
            latency.clone(),
        );
        let leader = Gauge::default();
        registry.register(
            "leader",
            "1 if this instance leads; 0 if it stands by",
            leader.clone(),
        );
        registry.register(
            "connection_up",
            "1 if the server of the VaultConnection answers and is unsealed",
            connection_up.clone(),
        );
        registry.register(
            "vaultsecret_ready",
            "1 if the VaultSecret is ready",
            ready.clone(),
        );
        registry.register(
            "vaultsecret_last_change_timestamp_seconds",
            "When the content of the Secret last changed",
            last_change.clone(),
        );
        Self {
            registry: Arc::new(registry),
            passes,
            requests,
            latency,
            connection_up,
            leader,
            ready,
            last_change,
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
        let labels = ObjectLabels {
            namespace: namespace.into(),
            name: name.into(),
        };
        self.ready.get_or_create(&labels).set(i64::from(ready));
        if let Some(time) = status.and_then(|status| status.last_change_time.as_ref()) {
            self.last_change
                .get_or_create(&labels)
                .set(time.0.as_second());
        }
    }

    /// Forgets an object that is gone.
    pub fn forget_object(&self, namespace: &str, name: &str) {
        let labels = ObjectLabels {
            namespace: namespace.into(),
            name: name.into(),
        };
        self.ready.remove(&labels);
        self.last_change.remove(&labels);
    }

    /// Notes whether this instance leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Notes whether a server answers.
    pub fn connection(&self, name: &str, up: bool) {
        self.connection_up
            .get_or_create(&ConnectionLabels {
                connection: name.into(),
            })
            .set(i64::from(up));
    }

    /// Forgets a connection that is gone.
    pub fn forget_connection(&self, name: &str) {
        self.connection_up.remove(&ConnectionLabels {
            connection: name.into(),
        });
        self.latency.remove(&ConnectionLabels {
            connection: name.into(),
        });
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

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
