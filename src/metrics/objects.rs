//! What is told of the VaultSecrets themselves: of each, unless that is switched off, and of all together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::api::VaultSecretStatus;
use crate::api::condition::{SYNCED, find};
use crate::api::status::SessionStatus;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ObjectLabels {
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReadyLabels {
    ready: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LeaseLabels {
    state: &'static str,
}

/// What one object adds to the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    ready: bool,
    leases: Leases,
}

/// How many leases an object has, by what they are at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Leases {
    live: i64,
    replaced: i64,
    unsettled: i64,
}

impl Leases {
    /// A session whose leases are not known counts as one: a certificate, or what was issued a moment ago.
    fn of(sessions: &[SessionStatus]) -> Self {
        let mut leases = Self::default();
        for session in sessions {
            let count = i64::try_from(session.lease_ids.len()).unwrap_or(i64::MAX);
            let state = if session.retire_time.is_some() {
                &mut leases.replaced
            } else if session.committed {
                &mut leases.live
            } else {
                &mut leases.unsettled
            };
            *state += count.max(1);
        }
        leases
    }
}

/// The families that tell of objects.
#[derive(Clone)]
pub(super) struct ObjectMetrics {
    /// Whether each object has series of its own.
    each: bool,
    shares: Arc<Mutex<HashMap<ObjectLabels, Share>>>,
    count: Family<ReadyLabels, Gauge>,
    leases: Family<LeaseLabels, Gauge>,
    ready: Family<ObjectLabels, Gauge>,
    last_change: Family<ObjectLabels, Gauge>,
    expiration: Family<ObjectLabels, Gauge>,
    stale_since: Family<ObjectLabels, Gauge>,
}

impl ObjectMetrics {
    pub(super) fn register(each: bool, registry: &mut Registry) -> Self {
        let this = Self {
            each,
            shares: Arc::default(),
            count: Family::default(),
            leases: Family::default(),
            ready: Family::default(),
            last_change: Family::default(),
            expiration: Family::default(),
            stale_since: Family::default(),
        };
        let count = "How many VaultSecrets there are, by whether they are ready";
        registry.register("vaultsecrets", count, this.count.clone());
        let leases = "How many leases VaultSecrets have at Vault, by what they are at";
        registry.register("leases", leases, this.leases.clone());
        let families = [
            ("ready", "1 if the VaultSecret is ready", &this.ready),
            (
                "last_change_timestamp_seconds",
                "When the content of the Secret last changed",
                &this.last_change,
            ),
            (
                "expiration_timestamp_seconds",
                "When the first of the credentials in the Secret ends, unless it is renewed again",
                &this.expiration,
            ),
            (
                "stale_since_timestamp_seconds",
                "Since when the Secret could not be brought up to date",
                &this.stale_since,
            ),
        ];
        for (name, help, family) in families {
            registry.register(format!("vaultsecret_{name}"), help, family.clone());
        }
        this.sum_up(Share::default(), 0);
        this
    }

    /// Notes the state of an object.
    pub(super) fn note(
        &self,
        namespace: &str,
        name: &str,
        ready: bool,
        status: Option<&VaultSecretStatus>,
    ) {
        let labels = ObjectLabels {
            namespace: namespace.into(),
            name: name.into(),
        };
        let share = Share {
            ready,
            leases: Leases::of(status.map_or(&[], |status| &status.sessions)),
        };
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = shares.insert(labels.clone(), share) {
            self.sum_up(before, -1);
        }
        self.sum_up(share, 1);
        if !self.each {
            return;
        }
        self.ready.get_or_create(&labels).set(i64::from(ready));
        let times = status.map(|status| {
            let stale = find(&status.conditions, SYNCED)
                .filter(|synced| synced.status == "False")
                .map(|synced| &synced.last_transition_time);
            [
                status.last_change_time.as_ref(),
                status.expiration_time.as_ref(),
                stale,
            ]
        });
        let families = [&self.last_change, &self.expiration, &self.stale_since];
        for (family, time) in families.into_iter().zip(times.unwrap_or_default()) {
            match time {
                Some(time) => {
                    family.get_or_create(&labels).set(time.0.as_second());
                }
                None => {
                    family.remove(&labels);
                }
            }
        }
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, namespace: &str, name: &str) {
        let labels = ObjectLabels {
            namespace: namespace.into(),
            name: name.into(),
        };
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = shares.remove(&labels) {
            self.sum_up(before, -1);
        }
        let all = [
            &self.ready,
            &self.last_change,
            &self.expiration,
            &self.stale_since,
        ];
        for family in all {
            family.remove(&labels);
        }
    }

    /// Notes how many records there are of sessions that outlive their object.
    pub(super) fn orphaned(&self, records: usize) {
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        let labels = LeaseLabels { state: "orphaned" };
        self.leases.get_or_create(&labels).set(records);
    }

    /// Adds the share so many times to the sums.
    fn sum_up(&self, share: Share, times: i64) {
        for ready in [true, false] {
            let word = if ready { "true" } else { "false" };
            let count = i64::from(share.ready == ready);
            let labels = ReadyLabels { ready: word };
            self.count.get_or_create(&labels).inc_by(count * times);
        }
        let Leases {
            live,
            replaced,
            unsettled,
        } = share.leases;
        for (state, count) in [
            ("live", live),
            ("replaced", replaced),
            ("unsettled", unsettled),
        ] {
            let labels = LeaseLabels { state };
            self.leases.get_or_create(&labels).inc_by(count * times);
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn printed(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    fn session(leases: usize, committed: bool, retires: bool) -> SessionStatus {
        let time = crate::api::condition::whole_seconds(jiff::Timestamp::UNIX_EPOCH);
        SessionStatus {
            accessor: "a".into(),
            sealed: "k1:x".into(),
            connection: "default".into(),
            against: String::new(),
            committed,
            lease_ids: vec!["l".into(); leases],
            issue_time: time.clone(),
            expiration_time: None,
            retire_time: retires.then_some(time),
        }
    }

    #[test]
    fn sums_follow_objects_that_change_and_go() {
        let mut registry = Registry::default();
        let metrics = ObjectMetrics::register(true, &mut registry);
        let status = VaultSecretStatus {
            sessions: vec![
                session(2, true, false),
                session(1, true, true),
                session(0, false, false),
            ],
            ..VaultSecretStatus::default()
        };
        metrics.note("shop", "orders", true, Some(&status));
        metrics.note("shop", "bills", false, None);
        let text = printed(&registry);
        for line in [
            r#"vaultsecrets{ready="true"} 1"#,
            r#"vaultsecrets{ready="false"} 1"#,
            r#"leases{state="live"} 2"#,
            r#"leases{state="replaced"} 1"#,
            r#"leases{state="unsettled"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }

        metrics.note("shop", "orders", false, None);
        metrics.forget("shop", "bills");
        let text = printed(&registry);
        for line in [
            r#"vaultsecrets{ready="true"} 0"#,
            r#"vaultsecrets{ready="false"} 1"#,
            r#"leases{state="live"} 0"#,
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("bills"), "{text}");
    }

    #[test]
    fn objects_have_no_series_of_their_own_where_that_is_switched_off() {
        let mut registry = Registry::default();
        let metrics = ObjectMetrics::register(false, &mut registry);
        metrics.note("shop", "orders", true, None);
        let text = printed(&registry);
        assert!(!text.contains("orders"), "{text}");
        assert!(text.contains(r#"vaultsecrets{ready="true"} 1"#), "{text}");
    }
}
