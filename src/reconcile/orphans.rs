//! Sessions that outlive their object: written down in the operator's own namespace while Vault cannot revoke them, and revoked once it can.
//!
//! An object that is being deleted waits a minute for its sessions to be revoked, and not for ever: nobody's namespace shall hang on
//! a Vault that is away. The tokens stay sealed, as they are in the status.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;
use tracing::{debug, info, warn};

use super::Context;
use super::entries;
use super::failure::Failure;
use super::refusals;
use super::revoke::revoke;
use super::tend::open_entry;
use crate::api::lease::RevokeOnDelete;
use crate::api::status::SessionStatus;
use crate::api::{MANAGED_BY, MANAGER, ORPHANS_LABEL, VaultSecret};
use crate::cluster::secrets::{self, SecretWrite};
use crate::cluster::{Key, WriteError, references};
use crate::sensitive::{SecretBytes, SecretData};

/// The entries of a record.
const SESSIONS: &str = "sessions";
const UID: &str = "uid";
const NAMESPACE: &str = "namespace";

/// Whether there may be records. They are looked for at the start, and after one was written, until there is none left.
pub struct Orphans {
    /// How many were written, and one for those from before the start.
    written: AtomicU64,
    /// How many had been written when last there was none left.
    done: AtomicU64,
    /// Held by whoever looks for them.
    turn: Mutex<()>,
}

impl Default for Orphans {
    fn default() -> Self {
        Self {
            written: AtomicU64::new(1),
            done: AtomicU64::new(0),
            turn: Mutex::new(()),
        }
    }
}

/// Writes the object's sessions down where they outlive it.
pub async fn hand_over(object: &VaultSecret, context: &Context) -> Result<(), Failure> {
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let key = Key::new(
        &context.settings.namespace,
        &format!("vaultbridge-orphans-{uid}"),
    );
    let sessions = serde_json::to_string(entries::sessions(object)).unwrap_or_default();
    let meta = &object.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let data = SecretData::from([
        (SESSIONS.to_owned(), SecretBytes::from(sessions.as_str())),
        (UID.to_owned(), SecretBytes::from(uid)),
        (NAMESPACE.to_owned(), SecretBytes::from(namespace)),
    ]);
    let labels = BTreeMap::from([
        (MANAGED_BY.to_owned(), MANAGER.to_owned()),
        (ORPHANS_LABEL.to_owned(), "true".to_owned()),
    ]);
    let write = SecretWrite::own(&key, &labels, &data);
    match secrets::create(&context.client, &write).await {
        // An earlier try has written it, whose reply was lost.
        Ok(_) | Err(WriteError::AlreadyExists) => {}
        Err(error) => return Err(refusals::write(&key.name, &error)),
    }
    warn!(
        namespace,
        name = meta.name,
        record = key.name,
        "Vault sessions of a deleted object could not be revoked in time; they are revoked later"
    );
    context.orphans.written.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// An object went without having waited for us: somebody took the finalizer off by hand. What it still had is written down, and revoked.
pub async fn vanished(object: &VaultSecret, context: &Context) {
    let left_alone = object.spec.lease.revoke_on_delete == RevokeOnDelete::Leave;
    if left_alone || entries::sessions(object).is_empty() {
        return;
    }
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    context.holdings.issued(uid).await;
    match hand_over(object, context).await {
        Ok(()) => drain(context).await,
        Err(failure) => {
            let (meta, why) = (&object.metadata, failure.message);
            warn!(
                namespace = meta.namespace,
                name = meta.name,
                why,
                "the sessions of a deleted object are left to their end"
            );
        }
    }
}

/// Revokes what was written down, as far as the connections at hand allow, and removes the records of which nothing is left.
pub async fn drain(context: &Context) {
    let orphans = &context.orphans;
    // Read before the look: what is written during it is looked for again.
    let written = orphans.written.load(Ordering::Relaxed);
    if written == orphans.done.load(Ordering::Relaxed) {
        return;
    }
    let Ok(_turn) = orphans.turn.try_lock() else {
        return;
    };
    let namespace = &context.settings.namespace;
    let listed = secrets::with_label(&context.client, namespace, ORPHANS_LABEL).await;
    let records = match listed {
        Ok(records) => records,
        Err(error) => {
            warn!(%error, "the records of sessions to revoke cannot be listed");
            return;
        }
    };
    if records.is_empty() {
        orphans.done.store(written, Ordering::Relaxed);
    }
    for (key, meta) in records {
        if revoke_all(&key, context).await {
            match secrets::delete(&context.client, &key, &meta).await {
                Ok(()) => info!(
                    record = key.name,
                    "revoked the sessions of a deleted object"
                ),
                Err(error) => {
                    warn!(record = key.name, %error, "a record of revoked sessions stays");
                }
            }
        }
    }
}

/// Revokes the sessions of one record. Tells whether none is left.
async fn revoke_all(key: &Key, context: &Context) -> bool {
    let data = match references::secret_data(&context.client, key).await {
        Ok(Some(data)) => data,
        Ok(None) => return false,
        Err(error) => {
            warn!(record = key.name, %error, "a record of sessions to revoke cannot be read");
            return false;
        }
    };
    let text = |name: &str| {
        let value = data.get(name);
        value.map(|value| String::from_utf8_lossy(value.expose()).into_owned())
    };
    let sessions = text(SESSIONS).unwrap_or_default();
    let (uid, namespace) = (
        text(UID).unwrap_or_default(),
        text(NAMESPACE).unwrap_or_default(),
    );
    let Ok(sessions) = serde_json::from_str::<Vec<SessionStatus>>(&sessions) else {
        warn!(
            record = key.name,
            "a record of sessions to revoke is damaged; delete it"
        );
        return false;
    };
    let now = context.clock.now();
    let mut left = 0;
    for session in &sessions {
        let (token, _) = open_entry(session, &uid, &context.keys);
        let revoked = revoke(token.as_ref(), session, &namespace, context).await;
        if let Err(why) = revoked
            && !entries::is_over(session, now)
        {
            left += 1;
            // That there are some was told when they were written down; this comes with every probe until Vault is back.
            debug!(
                record = key.name,
                why, "a session of a deleted object cannot be revoked yet"
            );
        }
    }
    left == 0
}
