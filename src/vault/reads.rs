//! One read of a path for everybody who reads it as the same identity.
//!
//! A hundred objects that use the same path cost one request per interval. Values stay for half a minute, so that
//! a burst of objects shares one; what stays after that is a fingerprint, which is enough to see a change. A
//! reading is never shared across identities, because Vault may show each another answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::clock;
use super::engine::KvVersion;
use super::flight::Flights;
use super::kv::{KvReply, KvSecret};
use super::sessions::Identity;

/// How long a value is kept after it was read.
const VALUE_KEPT: Duration = Duration::from_secs(30);
/// How long a path that nobody asks for is remembered.
const UNUSED_KEPT: Duration = Duration::from_hours(1);

/// What was read, and as whom. Equal keys share a reading.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadKey {
    /// Who reads.
    pub identity: Identity,
    /// The Vault namespace of the path; empty for the client's.
    pub namespace: String,
    /// The mount as a person wrote it: empty if it stands at the beginning of the path.
    pub mount: String,
    /// The engine's version as a person wrote it; none if Vault is asked.
    pub engine: Option<KvVersion>,
    /// The path as a person wrote it.
    pub path: String,
    /// The version asked for; 0 for the newest.
    pub version: u64,
}

/// What a caller can do with.
pub struct Want<'a> {
    /// How old a reading may be at the time of asking. Zero asks for a new one, [`Duration::MAX`] for any.
    pub max_age: Duration,
    /// Whether the value itself is needed, or only whether it changed.
    pub value: bool,
    /// The fingerprint of a secret in an engine without versions: a keyed one, for a bare digest can be guessed.
    pub fingerprint: &'a (dyn Fn(&KvSecret) -> String + Sync),
}

/// The answer to a read.
#[derive(Clone)]
pub struct Reading {
    /// What was there.
    pub outcome: KvOutcome,
    /// When the read began: the answer is at least as recent.
    pub at: Instant,
}

/// What was at the path.
#[derive(Clone)]
pub enum KvOutcome {
    /// A secret.
    Found {
        /// Differs when the content may differ.
        fingerprint: Arc<str>,
        /// The number of the version, in engines that keep versions.
        version: Option<u64>,
        /// The secret itself; always there if it was wanted.
        value: Option<Arc<KvSecret>>,
    },
    /// The version was deleted, and can be undeleted.
    Deleted {
        /// When (RFC 3339).
        time: String,
    },
    /// The version was destroyed for good.
    Destroyed,
    /// No such entry, or no such version of it.
    Absent,
}

/// The readings of all paths. `E` is why a read failed; it is shared by those who wait for the same read.
pub struct Reads<E> {
    flights: Flights<ReadKey, Held, E>,
}

#[derive(Default)]
struct Held {
    reading: Option<Reading>,
    used: Option<Instant>,
}

impl<E: Clone> Reads<E> {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self {
            flights: Flights::new(),
        }
    }

    /// A reading of `key` that satisfies `want`: a shared one, or else what `fetch` yields, which is not started
    /// otherwise. One read at a time per key: those who wait get its reading if it is recent enough for them, or
    /// its failure. Also tells whether this very call read something other than the reading before, so that
    /// the caller can wake whoever else uses the key.
    pub async fn read(
        &self,
        key: &ReadKey,
        want: &Want<'_>,
        fetch: impl Future<Output = Result<KvReply, E>>,
    ) -> Result<(Reading, bool), E> {
        let asked = clock::now();
        let cell = self.flights.cell(key);
        let mut turn = cell.turn().await?;
        turn.used = Some(asked);
        if let Some(reading) = turn
            .reading
            .as_ref()
            .filter(|reading| reading.satisfies(want, asked))
        {
            return Ok((reading.clone(), false));
        }
        let at = clock::now();
        let reply = match fetch.await {
            Ok(reply) => reply,
            Err(error) => return Err(turn.failed(error)),
        };
        let reading = Reading {
            outcome: KvOutcome::of(reply, want.fingerprint),
            at,
        };
        let before = turn.reading.replace(reading.clone());
        let changed = before.is_some_and(|before| !before.outcome.is_same(&reading.outcome));
        Ok((reading, changed))
    }

    /// Wipes the values that were kept long enough, and forgets paths that nobody asks for.
    pub fn sweep(&self) {
        let now = clock::now();
        self.flights.sweep(|held| {
            if let Some(reading) = &mut held.reading
                && now.duration_since(reading.at) >= VALUE_KEPT
            {
                reading.wipe();
            }
            held.used
                .is_some_and(|used| now.duration_since(used) < UNUSED_KEPT)
        });
    }

    /// Forgets everything read over a connection, because its settings changed.
    pub fn forget(&self, connection: &str) {
        drop(
            self.flights
                .take(|key| key.identity.connection == connection),
        );
    }
}

impl<E: Clone> Default for Reads<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl Reading {
    fn satisfies(&self, want: &Want<'_>, asked: Instant) -> bool {
        let holds = match &self.outcome {
            KvOutcome::Found { value, .. } => value.is_some() || !want.value,
            KvOutcome::Deleted { .. } | KvOutcome::Destroyed | KvOutcome::Absent => true,
        };
        let recent = match asked.checked_duration_since(self.at) {
            Some(age) => age < want.max_age,
            // It began after we asked.
            None => true,
        };
        holds && recent
    }

    fn wipe(&mut self) {
        if let KvOutcome::Found { value, .. } = &mut self.outcome {
            // Wiped when the last user lets go of it.
            *value = None;
        }
    }
}

impl KvOutcome {
    fn of(reply: KvReply, fingerprint: &(dyn Fn(&KvSecret) -> String + Sync)) -> Self {
        match reply {
            KvReply::Found(secret) => {
                let fingerprint = match (&secret.version, &secret.created_time) {
                    (Some(version), Some(time)) => format!("{version}:{time}"),
                    _ => fingerprint(&secret),
                };
                Self::Found {
                    fingerprint: fingerprint.into(),
                    version: secret.version,
                    value: Some(Arc::new(secret)),
                }
            }
            KvReply::Deleted { time } => Self::Deleted { time },
            KvReply::Destroyed => Self::Destroyed,
            KvReply::Absent => Self::Absent,
        }
    }

    /// Whether both are the same content. Not "newer": a restored Vault has lower versions.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Found {
                    fingerprint: one, ..
                },
                Self::Found {
                    fingerprint: other, ..
                },
            ) => one == other,
            (Self::Deleted { time: one }, Self::Deleted { time: other }) => one == other,
            (Self::Destroyed, Self::Destroyed) | (Self::Absent, Self::Absent) => true,
            (Self::Found { .. } | Self::Deleted { .. } | Self::Destroyed | Self::Absent, _) => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
