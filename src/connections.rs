//! The servers that VaultConnections name, ready to be used: one HTTP client each, who may use it, and whether it answers.
//!
//! One pass over a VaultConnection resolves its spec and references to a [`Connection`], asks the server for its health,
//! and reports. When a server does not answer, that is found out once, here, by a single probe with a back-off of its own, and not by
//! every object that depends on it; when it answers again, everybody who waits is woken at once.

pub mod observer;
pub mod probe;
pub mod settings;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::Timestamp;

use self::probe::Probes;
use crate::api::Reason;
use crate::api::vault_connection::{AllowedNamespaces, ConnectionAuth};
use crate::vault;

/// All connections, by name.
#[derive(Default)]
pub struct Connections {
    by_name: RwLock<HashMap<String, Entry>>,
    /// What went wrong with the API server; nothing where all went well.
    attempts: Mutex<HashMap<String, Attempts>>,
    /// When the status of a connection was last written.
    told: Mutex<HashMap<String, Timestamp>>,
}

/// What a probe is news of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// An outage has begun, or has another cause than the probe before found.
    Outage,
    /// An outage is over.
    Recovery,
}

/// How often in a row the API server was asked in vain for the sake of a connection.
#[derive(Debug, Default)]
struct Attempts {
    /// What it refers to could not be read.
    unread: u32,
    /// Its status could not be written.
    unwritten: u32,
}

/// What is known of a VaultConnection.
#[derive(Clone)]
pub enum Entry {
    /// Its spec cannot be used as it stands.
    Unusable {
        /// Names the field and the fix.
        message: String,
    },
    /// It can be used, whether or not the server answers just now.
    Usable(Arc<Connection>),
}

/// A server to log in to and read from.
pub struct Connection {
    /// Name of the VaultConnection.
    pub name: String,
    /// Name and settings: another value is another server, as far as sessions are concerned.
    pub identity: String,
    /// Speaks to the server.
    pub client: vault::Client,
    /// Hash of the settings that the client was made of.
    pub settings_hash: String,
    /// The last generation of the spec that came to these settings; 0 if none is known.
    pub generation: AtomicI64,
    /// Address of the server.
    pub address: String,
    /// Vault namespace of requests that name none.
    pub vault_namespace: String,
    /// Defaults of logins.
    pub auth: ConnectionAuth,
    /// Who may use it; `None` is everybody.
    pub allowed: Option<AllowedNamespaces>,
    /// Whether it answers.
    pub reachability: RwLock<Reachability>,
    /// When it was asked.
    pub probes: Mutex<Probes>,
}

/// Whether a server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reachability {
    /// Why it does not; `None` while it does.
    pub outage: Option<Outage>,
    /// Counts recoveries, so that those who failed in the outage see that another attempt makes sense.
    pub recoveries: u64,
    /// How many probes in a row found the outage.
    pub failed_probes: u32,
}

/// Why a server cannot be used for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// `VaultUnavailable` or `VaultSealed`.
    pub reason: Reason,
    /// What the probe found, in a sentence.
    pub message: String,
}

impl Connections {
    /// The connection of that name; `None` if no pass has looked at it yet, or it does not exist.
    pub fn get(&self, name: &str) -> Option<Entry> {
        self.by_name
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// Sets the connection of that name.
    pub fn set(&self, name: &str, entry: Entry) {
        self.by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.into(), entry);
    }

    /// Notes that what the connection refers to could not be read. Tells how often in a row that was so.
    pub fn unread(&self, name: &str) -> u32 {
        self.one_more(name, |attempts| &mut attempts.unread)
    }

    /// Notes that what the connection refers to was read.
    pub fn read(&self, name: &str) {
        self.over(name, |attempts| &mut attempts.unread);
    }

    /// Notes that the status of the connection could not be written. Tells how often in a row that was so.
    pub fn unwritten(&self, name: &str) -> u32 {
        self.one_more(name, |attempts| &mut attempts.unwritten)
    }

    /// Notes that the status of the connection was written.
    pub fn told(&self, name: &str, now: Timestamp) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(name.into(), now);
    }

    /// When the status of the connection was last written by this process.
    pub fn last_told(&self, name: &str) -> Option<Timestamp> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(name).copied()
    }

    /// Notes that the status of the connection is as it should be.
    pub fn written(&self, name: &str) {
        self.over(name, |attempts| &mut attempts.unwritten);
    }

    /// Forgets the connection of that name and returns it.
    pub fn remove(&self, name: &str) -> Option<Entry> {
        self.attempts().remove(name);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.remove(name);
        drop(told);
        self.by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name)
    }

    fn attempts(&self) -> MutexGuard<'_, HashMap<String, Attempts>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn one_more(&self, name: &str, which: fn(&mut Attempts) -> &mut u32) -> u32 {
        let mut attempts = self.attempts();
        let count = which(attempts.entry(name.into()).or_default());
        *count = count.saturating_add(1);
        *count
    }

    fn over(&self, name: &str, which: fn(&mut Attempts) -> &mut u32) {
        if let Some(attempts) = self.attempts().get_mut(name) {
            *which(attempts) = 0;
        }
    }
}

impl Connection {
    /// Whether paths and logins mean there what they mean here: otherwise a Secret made from the one tells nothing of the other.
    pub fn means_the_same_as(&self, other: &Self) -> bool {
        self.address == other.address
            && self.vault_namespace == other.vault_namespace
            && self.auth == other.auth
    }

    /// Notes that this generation of the spec comes to these settings as well.
    pub fn came_from(&self, generation: Option<i64>) {
        let generation = generation.unwrap_or_default();
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Whether what it finds out says something of this generation of the spec: one that was never looked at may ask for another server.
    pub fn speaks_of(&self, generation: Option<i64>) -> bool {
        self.generation.load(Ordering::Relaxed) == generation.unwrap_or_default()
    }

    /// Whether it answers, as of the last probe.
    pub fn reachability(&self) -> Reachability {
        self.reachability
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// When it was asked, and whether it has to be asked again.
    pub fn probes(&self) -> MutexGuard<'_, Probes> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a probe found. Tells whether that is news, and of what.
    pub fn note(&self, outage: Option<Outage>) -> Option<News> {
        let mut known = self
            .reachability
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let news = match (&known.outage, &outage) {
            (Some(_), None) => Some(News::Recovery),
            (before, Some(found)) if before.as_ref() != Some(found) => Some(News::Outage),
            (_, Some(_)) | (None, None) => None,
        };
        known.failed_probes = if outage.is_some() {
            known.failed_probes.saturating_add(1)
        } else {
            0
        };
        known.recoveries += u64::from(news == Some(News::Recovery));
        known.outage = outage;
        news
    }
}

/// Whether the connection's administrator admits the namespace.
pub fn admits(
    allowed: Option<&AllowedNamespaces>,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> bool {
    let Some(AllowedNamespaces { names, selector }) = allowed else {
        return true;
    };
    let by_label = || {
        let selector = selector.clone()?;
        let selector: kube::core::Selector = selector.try_into().ok()?;
        Some(kube::core::SelectorExt::matches(&selector, labels))
    };
    names.iter().any(|name| name == namespace) || by_label().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

    use super::*;

    #[test]
    fn looks_that_fail_are_counted_until_one_succeeds() {
        let connections = Connections::default();
        let looks = [(); 3].map(|()| connections.unread("one"));
        assert_eq!(looks, [1, 2, 3]);
        assert_eq!(connections.unread("another"), 1);
        assert_eq!(connections.unwritten("one"), 1, "counted apart");
        connections.read("one");
        assert_eq!(connections.unread("one"), 1);
        assert_eq!(connections.unwritten("one"), 2);
        connections.written("one");
        assert_eq!(connections.unwritten("one"), 1);
    }

    #[test]
    fn a_namespace_is_admitted_by_name_or_by_label() {
        let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
        let selector = |labels| {
            Some(LabelSelector {
                match_labels: Some(labels),
                ..LabelSelector::default()
            })
        };
        let allowed = |names: &[&str], selector| AllowedNamespaces {
            names: names.iter().map(ToString::to_string).collect(),
            selector,
        };
        assert!(admits(None, "a", &labels));
        assert!(!admits(Some(&allowed(&[], None)), "a", &labels));
        assert!(admits(Some(&allowed(&["a"], None)), "a", &BTreeMap::new()));
        assert!(admits(
            Some(&allowed(&["b"], selector(labels.clone()))),
            "a",
            &labels
        ));
        assert!(!admits(
            Some(&allowed(&[], selector(labels))),
            "a",
            &BTreeMap::new()
        ));
        assert!(admits(
            Some(&allowed(&[], Some(LabelSelector::default()))),
            "a",
            &BTreeMap::new()
        ));
    }
}
