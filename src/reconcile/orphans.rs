//! Sessions that outlive their object: written down in the operator's own namespace while Vault cannot revoke them, and revoked once it can.
//!
//! An object that is being deleted waits a minute for its sessions to be revoked, and not for ever: nobody's namespace shall hang on
//! a Vault that is away. The tokens stay sealed, as they are in the status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::time::timeout;
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
use crate::cluster::{Key, SecretMeta, WriteError, references};
use crate::seal::Keys;
use crate::sensitive::{SecretBytes, SecretData};

/// The entries of a record.
const SESSIONS: &str = "sessions";
const UID: &str = "uid";
const NAMESPACE: &str = "namespace";
const NAME: &str = "name";
const SINCE: &str = "since";

/// For how long revoking is tried, from when the record was written: no token of a Vault as it is usually set up lives longer.
const LONGEST: Duration = Duration::from_hours(768);

/// How many records are worked on at once.
const AT_ONCE: usize = 8;

/// How long revoking one session may take. Another one of the same server is not tried then before the next look.
const DEADLINE: Duration = Duration::from_secs(15);

/// How often it is told of a record that it stays.
const TOLD_AGAIN: Duration = Duration::from_hours(1);

/// Whether there may be records. They are looked for at the start, and after one was written, until there is none left.
pub struct Orphans {
    /// How many were written, and one for those from before the start.
    written: AtomicU64,
    /// How many had been written when last there was none left.
    done: AtomicU64,
    /// Held by whoever looks for them.
    turn: tokio::sync::Mutex<()>,
    /// When it was last told of a record that it stays.
    told: Mutex<BTreeMap<String, Timestamp>>,
}

impl Default for Orphans {
    fn default() -> Self {
        Self {
            written: AtomicU64::new(1),
            done: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
            told: Mutex::default(),
        }
    }
}

impl Orphans {
    /// Whether to tell of the record now, at the log's usual level. Then it counts as told.
    fn tells(&self, record: &str, now: Timestamp) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let again = told
            .get(record)
            .and_then(|at| at.checked_add(TOLD_AGAIN).ok());
        let tells = again.is_none_or(|again| again <= now);
        if tells {
            told.insert(record.to_owned(), now);
        }
        tells
    }

    /// The record is gone.
    fn forget(&self, record: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.remove(record);
    }
}

/// What a record tells.
#[derive(Default)]
struct Record {
    sessions: Vec<SessionStatus>,
    uid: String,
    namespace: String,
    name: String,
    since: Option<Timestamp>,
}

/// The sessions whose tokens open, for only these can be revoked; and how many there are besides.
fn revocable(sessions: &[SessionStatus], uid: &str, keys: &Keys) -> (Vec<SessionStatus>, usize) {
    let opens = |session: &&SessionStatus| open_entry(session, uid, keys).is_ok();
    let kept: Vec<_> = sessions.iter().filter(opens).cloned().collect();
    let lost = sessions.len() - kept.len();
    (kept, lost)
}

/// Whether the session, of a record from then, needs nobody any more.
fn is_done(session: &SessionStatus, since: Option<Timestamp>, now: Timestamp) -> bool {
    let since = since.unwrap_or(session.issue_time.0);
    let given_up = since.checked_add(LONGEST).is_ok_and(|end| end <= now);
    given_up || entries::is_over(session, now)
}

/// Writes the object's sessions down where they outlive it.
pub async fn hand_over(object: &VaultSecret, context: &Context) -> Result<(), Failure> {
    let uid = object.metadata.uid.as_deref().unwrap_or_default();
    let key = Key::new(
        &context.settings.namespace,
        &format!("vaultbridge-orphans-{uid}"),
    );
    let meta = &object.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    let (sessions, lost) = revocable(entries::sessions(object), uid, &context.keys);
    if lost > 0 {
        let what = "sessions of a deleted object cannot be unsealed, and are left to their end";
        warn!(namespace, name, count = lost, "{what}");
    }
    if sessions.is_empty() {
        return Ok(());
    }
    let sessions = serde_json::to_string(&sessions).unwrap_or_default();
    let now = context.clock.now();
    let data = SecretData::from([
        (SESSIONS.to_owned(), SecretBytes::from(sessions.as_str())),
        (UID.to_owned(), SecretBytes::from(uid)),
        (NAMESPACE.to_owned(), SecretBytes::from(namespace)),
        (NAME.to_owned(), SecretBytes::from(name)),
        (
            SINCE.to_owned(),
            SecretBytes::from(now.to_string().as_str()),
        ),
    ]);
    let labels = BTreeMap::from([
        (MANAGED_BY.to_owned(), MANAGER.to_owned()),
        (ORPHANS_LABEL.to_owned(), "true".to_owned()),
    ]);
    let write = SecretWrite::own(&key, &labels, &data);
    match secrets::create(&context.client, &write, MANAGER).await {
        // An earlier try has written it, whose reply was lost.
        Ok(_) | Err(WriteError::AlreadyExists) => {}
        Err(error) => return Err(refusals::write(&key.name, &error)),
    }
    context.orphans.tells(&key.name, now);
    warn!(
        namespace,
        name,
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
    context.metrics.orphaned(records.len());
    if records.is_empty() {
        orphans.done.store(written, Ordering::Relaxed);
    }
    let stuck = &Stuck::default();
    let work = futures::stream::iter(records);
    let work = work.for_each_concurrent(AT_ONCE, |(key, meta)| async move {
        settle(&key, &meta, stuck, context).await;
    });
    work.await;
}

/// Servers that did not answer in time.
type Stuck = Mutex<BTreeSet<String>>;

/// Revokes the sessions of one record, and removes it when none is left.
async fn settle(key: &Key, meta: &SecretMeta, stuck: &Stuck, context: &Context) {
    let (record, left) = match read(key, context).await {
        Ok(None) => return,
        Ok(Some(record)) => {
            let left = revoke_all(&record, stuck, context).await;
            (record, left.err())
        }
        Err(why) => (Record::default(), Some(why)),
    };
    let left = match left {
        None => {
            let deleted = secrets::delete(&context.client, key, meta).await;
            deleted.err().map(|error| error.to_string())
        }
        left => left,
    };
    let (
        record_name,
        Record {
            namespace, name, ..
        },
    ) = (&key.name, record);
    match left {
        None => {
            context.orphans.forget(record_name);
            let what = "nothing is left of the sessions of a deleted object";
            info!(record = record_name, namespace, name, "{what}");
        }
        Some(why) => {
            let what = "sessions of a deleted object cannot be revoked yet";
            if context.orphans.tells(record_name, context.clock.now()) {
                warn!(record = record_name, namespace, name, why, "{what}");
            } else {
                debug!(record = record_name, namespace, name, why, "{what}");
            }
        }
    }
}

/// Reads a record; `None`: it is gone. Tells why that cannot be done.
async fn read(key: &Key, context: &Context) -> Result<Option<Record>, String> {
    let data = references::secret_data(&context.client, key).await;
    let Some(data) = data.map_err(|error| format!("the record cannot be read: {error}"))? else {
        return Ok(None);
    };
    let text = |name: &str| {
        let value = data.get(name);
        let text = value.map(|value| String::from_utf8_lossy(value.expose()).into_owned());
        text.unwrap_or_default()
    };
    let sessions = serde_json::from_str(&text(SESSIONS));
    Ok(Some(Record {
        sessions: sessions.map_err(|_| "the record is damaged; delete it")?,
        uid: text(UID),
        namespace: text(NAMESPACE),
        name: text(NAME),
        since: text(SINCE).parse().ok(),
    }))
}

/// Revokes the sessions of one record. Tells why one is left, if one is.
async fn revoke_all(record: &Record, stuck: &Stuck, context: &Context) -> Result<(), String> {
    let now = context.clock.now();
    let mut left = Ok(());
    for session in &record.sessions {
        // One that does not open (any more) will never be revoked by anybody.
        let Ok((token, _)) = open_entry(session, &record.uid, &context.keys) else {
            debug!(accessor = session.accessor, "a session is left to its end");
            continue;
        };
        let server = &session.connection;
        let silent = || format!("the server of VaultConnection {server} did not answer in time");
        let is_stuck = |server: &String| {
            let stuck = stuck.lock().unwrap_or_else(PoisonError::into_inner);
            stuck.contains(server)
        };
        let revoked = if is_stuck(server) {
            Err(silent())
        } else {
            let revoked = revoke(Some(&token), session, &record.namespace, context);
            let late = |_| {
                let mut stuck = stuck.lock().unwrap_or_else(PoisonError::into_inner);
                stuck.insert(server.clone());
                Err(silent())
            };
            let revoked = timeout(DEADLINE, revoked).await;
            revoked.map_or_else(late, |done| done.map_err(|failure| failure.message))
        };
        if let Err(why) = revoked
            && !is_done(session, record.since, now)
        {
            left = Err(why);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::holdings::OpenToken;
    use crate::reconcile::fixture::leased::entry;
    use crate::reconcile::fixture::{NOW, UID, at, keys};
    use crate::reconcile::tend::sealed_token;
    use crate::sensitive::SecretText;
    use crate::vault::Token;

    fn sealed(accessor: &str, uid: &str) -> SessionStatus {
        let value = SecretText::new("hvs.one".to_owned());
        let open = OpenToken {
            value: value.clone(),
            namespace: String::new(),
            lease_namespace: String::new(),
            may_look: true,
        };
        let token = Token {
            value,
            accessor: accessor.to_owned(),
            ttl: Duration::from_hours(3),
            renewable: true,
            batch: false,
            policies: BTreeSet::new(),
        };
        SessionStatus {
            sealed: sealed_token(&keys(), (uid, "default"), (&open, &token)).unwrap(),
            ..entry(accessor)
        }
    }

    #[test]
    fn only_sessions_of_that_object_that_open_are_written_down() {
        let moved = SessionStatus {
            connection: "elsewhere".to_owned(),
            ..sealed("moved", UID)
        };
        let all = [
            sealed("one", UID),
            entry("garbage"),
            sealed("another-objects", "another"),
            moved,
        ];
        let (kept, lost) = revocable(&all, UID, &keys());
        let kept: Vec<_> = kept.into_iter().map(|one| one.accessor).collect();
        assert_eq!((kept.as_slice(), lost), (["one".to_owned()].as_slice(), 3));
        assert_eq!(revocable(&[entry("garbage")], UID, &keys()).0.len(), 0);
    }

    #[test]
    fn a_session_without_an_end_is_tried_for_as_long_as_vault_usually_lets_tokens_live() {
        let endless = SessionStatus {
            expiration_time: None,
            ..entry("endless")
        };
        let later = |hours: i64| at(NOW + hours * 3600);
        assert!(!is_done(&endless, Some(at(NOW)), later(767)));
        assert!(is_done(&endless, Some(at(NOW)), later(768)));
        // A record without a time is as old as its session.
        assert!(!is_done(&endless, None, later(766)));
        assert!(is_done(&endless, None, later(767)));
        assert!(is_done(&entry("ended"), Some(at(NOW)), later(3)));
    }

    #[test]
    fn a_record_that_stays_is_told_of_once_and_then_hourly() {
        let orphans = Orphans::default();
        let tells = |second| orphans.tells("record", at(NOW + second));
        let told: Vec<_> = [0, 1, 3599, 3600, 3601, 7199, 7200].map(tells).into();
        assert_eq!(told, [true, false, false, true, false, false, true]);
        assert!(orphans.tells("another", at(NOW + 1)));
        orphans.forget("record");
        assert!(tells(7201));
    }
}
