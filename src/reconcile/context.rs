//! What passes tell each other: whom to wake, and what to forget.

use kube::runtime::reflector::ObjectRef;

use super::failure::Failure;
use super::{Context, observe};
use crate::api::Reason;
use crate::cluster::Key;
use crate::connections::Connection;
use crate::leadership::NotLeading;
use crate::objects::{Place, Rival};

impl Context {
    /// Fails if this instance does not lead. Changes of the cluster are held back by the client itself; this is for what cannot be taken back at Vault.
    pub fn leads(&self) -> Result<(), Failure> {
        if self.tenure.leads() {
            return Ok(());
        }
        let message = NotLeading.to_string();
        Err(Failure::new(Reason::KubernetesUnavailable, message))
    }

    /// Whether there is a VaultConnection of that name, looked at or not.
    pub fn connection_exists(&self, name: &str) -> bool {
        self.connection_store.get(&ObjectRef::new(name)).is_some()
    }

    /// Somebody met what may be an outage: have the connection probed, unless that is asked for already.
    pub fn suspect(&self, connection: &Connection) {
        if connection.probes().suspect() {
            let _ = self.wake_connection.send(connection.name.clone());
        }
    }

    /// Vault holds something new at a place that others may read as well: have them look. Only the same service account
    /// shares readings, so nobody outside the namespace can be concerned.
    pub fn nudge_others(&self, finder: &Key, place: &Place) {
        for (key, uid) in self.objects.reading(&finder.namespace, place) {
            if key != *finder {
                self.memories.nudge(&uid);
                let _ = self.wake.send(key);
            }
        }
    }

    /// Whether the Secret names that object as its owner.
    pub fn holds(&self, target: &Key, rival: &Rival) -> bool {
        let secret = self.caches.secrets.get(target);
        secret.is_some_and(|secret| observe::names_on(&secret).contains(&rival.name))
    }

    /// The Secret is another one by our own hand, on behalf of the object of that UID, and no watch tells of that: have the others look who want to write it.
    pub fn wake_others(&self, target: &Key, uid: &str) {
        for other in self.objects.with_target(target) {
            if !self.objects.knows(&other, uid) {
                let _ = self.wake.send(other);
            }
        }
    }

    /// An object is gone: have those look who wait for what it has left in Secrets that it did not ask for any more.
    pub fn orphaned(&self, uid: &str) {
        for (key, _) in self.caches.secrets.owned_by(uid) {
            self.wake_others(&key, uid);
        }
    }

    /// Forgets what was kept of an object that is gone.
    pub fn forget(&self, key: &Key, uid: &str) {
        self.memories.forget(uid);
        self.overlay.forget(uid);
        self.holdings.forget(uid);
        self.housework.forget(uid);
        self.queue.forget(key);
        self.metrics.forget_object(&key.namespace, &key.name);
    }
}
