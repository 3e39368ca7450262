//! One read of a path for everybody who reads it as the same identity.
//!
//! A hundred objects that use the same path cost one request per interval. A value stays for half a minute at most, so that
//! a burst of objects shares it, and all values together within a budget (`shelf`); what stays after that is a fingerprint,
//! which is enough to see a change. A reading is never shared across identities, because Vault may show each another answer.

pub mod listings;
mod remembered;
mod shelf;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::clock;
use super::engine::KvVersion;
use super::flight::Flights;
use super::kv::{KvReply, KvSecret, version_fingerprint};
use super::sessions::Identity;
use remembered::{Asked, MAX_REMEMBERED, REMEMBERING, sweep};
use shelf::{MAX_KEPT, Shelf, Ticket};

/// What was read, and as whom. Equal keys share a reading.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadKey {
    /// Who reads.
    pub identity: Identity,
    /// The Vault namespace of the path; empty for the client's.
    pub namespace: String,
    /// The mount, where it is taken as a person wrote it; empty if Vault is asked where it ends.
    pub mount: String,
    /// The engine's version as a person wrote it; none if Vault is asked.
    pub engine: Option<KvVersion>,
    /// The path below the mount; with the mount in front if Vault is asked.
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
    /// Fingerprint of what the caller has from this very place; empty if nothing was there. `None`: it has nothing to compare with.
    pub known: Option<&'a str>,
    /// What a list has just told of the path. What was read before that will do only if it is the same.
    pub told: Option<Told<'a>>,
    /// For how long after this the caller may come back to compare; at most an hour is granted.
    pub useful: Duration,
    /// The fingerprint of a secret in an engine without versions: a keyed one, for a bare digest can be guessed.
    pub fingerprint: &'a (dyn Fn(&KvSecret) -> String + Sync),
}

/// What a list told of a path.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// When the list was asked for.
    pub at: Instant,
    /// The fingerprint of what was there then.
    pub fingerprint: &'a str,
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
        /// The secret itself; there if it was wanted.
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
    shelf: Arc<Shelf>,
}

/// What is kept of one path.
#[derive(Default)]
struct Held {
    /// The last reading, without its value.
    reading: Option<Reading>,
    /// Whether somebody was told that its content is news.
    told: bool,
    /// Where the value is, which may be that of an earlier reading with the same fingerprint.
    value: Option<Ticket>,
    asked: Asked,
}

impl<E: Clone> Reads<E> {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::within(MAX_KEPT)
    }

    /// The same, with another budget for values, in bytes.
    fn within(budget: usize) -> Self {
        Self {
            flights: Flights::new(),
            shelf: Shelf::new(budget),
        }
    }

    /// A reading of `key` that satisfies `want`: a shared one, or else what `fetch` yields, which is not started
    /// otherwise. One read at a time per key: those who wait get its reading if it is recent enough for them, or
    /// its failure. Also tells whether the content is news, so that the caller can wake whoever else uses the key: it is other than the
    /// reading before, or, where there is none to compare with, than what the caller has. Of one content that is told once.
    pub async fn read(
        &self,
        key: &ReadKey,
        want: &Want<'_>,
        fetch: impl Future<Output = Result<KvReply, E>>,
    ) -> Result<(Reading, bool), E> {
        let asked = clock::now();
        let cell = self.flights.cell(key);
        let mut turn = cell.turn().await?;
        turn.asked.note(asked, want.useful);
        if let Some(reading) = turn.shared(want, asked) {
            let news = turn.is_news(&reading.outcome, want);
            return Ok((reading, news));
        }
        let at = clock::now();
        let reply = match fetch.await {
            Ok(reply) => reply,
            Err(error) => return Err(turn.failed(error)),
        };
        let (outcome, secret) = KvOutcome::of(reply, want.fingerprint);
        let before = turn.reading.take();
        let same = before.map(|before| before.outcome.is_same(&outcome));
        let mut reading = Reading { outcome, at };
        turn.reading = Some(reading.clone());
        turn.told &= same == Some(true);
        let news = turn.is_news(&reading.outcome, want) || same == Some(false);
        turn.told |= news;
        // A poll that finds nothing new is done with the value, and what an earlier reading left is the same.
        if want.value || same != Some(true) {
            turn.value = None; // first, so that both need no room at once
            turn.value = secret.as_ref().map(|secret| self.shelf.keep(secret, at));
        }
        if want.value {
            reading.give(secret);
        }
        Ok((reading, news))
    }

    /// What the last reading of that path found, if it began after a list was asked for, and so knows better.
    pub async fn later(&self, key: &ReadKey, than: Instant) -> Option<KvOutcome> {
        let cell = self.flights.known(key)?;
        let turn = cell.turn_regardless().await;
        let reading = turn.reading.as_ref();
        let later = reading.filter(|reading| reading.at >= than);
        later.map(|reading| reading.outcome.clone())
    }

    /// Wipes the values that were kept long enough, and forgets paths that nobody comes back to, failed ones at once. Of more
    /// than there is room for, those go that were not asked for the longest.
    pub fn sweep(&self) {
        self.shelf.sweep(clock::now());
        sweep(&self.flights, MAX_REMEMBERED, |key, held| {
            let read = held.reading.as_ref();
            read.map(|_| (held.asked, key.bytes()))
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

impl ReadKey {
    /// About how many bytes it takes to remember it.
    fn bytes(&self) -> usize {
        let Self {
            identity,
            namespace,
            mount,
            engine: _,
            path,
            version: _,
        } = self;
        identity.bytes() + namespace.len() + mount.len() + path.len() + REMEMBERING
    }
}

impl Held {
    /// Whether the content differs from what the caller has, and nobody was told of it yet.
    fn is_news(&mut self, outcome: &KvOutcome, want: &Want<'_>) -> bool {
        let differs = want
            .known
            .is_some_and(|known| known != outcome.fingerprint());
        let news = differs && !self.told;
        self.told |= news;
        news
    }

    /// The reading that is here, if it satisfies.
    fn shared(&self, want: &Want<'_>, asked: Instant) -> Option<Reading> {
        let mut reading = self.reading.clone()?;
        let recent = match asked.checked_duration_since(reading.at) {
            Some(age) => age < want.max_age,
            // It began after we asked.
            None => true,
        };
        let agrees = want.told.is_none_or(|told| {
            reading.at >= told.at || reading.outcome.fingerprint() == told.fingerprint
        });
        let holds = !want.value || reading.give(self.value.as_ref().and_then(Ticket::value));
        (recent && agrees && holds).then_some(reading)
    }
}

impl Reading {
    /// Puts the value in; tells whether the reading is complete, which it is as well where there is no value.
    fn give(&mut self, secret: Option<Arc<KvSecret>>) -> bool {
        match &mut self.outcome {
            KvOutcome::Found { value, .. } => {
                *value = secret;
                value.is_some()
            }
            KvOutcome::Deleted { .. } | KvOutcome::Destroyed | KvOutcome::Absent => true,
        }
    }
}

impl KvOutcome {
    /// What the reply means, and the value apart from it.
    fn of(
        reply: KvReply,
        fingerprint: &(dyn Fn(&KvSecret) -> String + Sync),
    ) -> (Self, Option<Arc<KvSecret>>) {
        let outcome = match reply {
            KvReply::Found(secret) => {
                let fingerprint = match (&secret.version, &secret.created_time) {
                    (Some(version), Some(time)) => version_fingerprint(*version, time),
                    _ => fingerprint(&secret),
                };
                let found = Self::Found {
                    fingerprint: fingerprint.into(),
                    version: secret.version,
                    value: None,
                };
                return (found, Some(Arc::new(secret)));
            }
            KvReply::Deleted { time } => Self::Deleted { time },
            KvReply::Destroyed => Self::Destroyed,
            KvReply::Absent => Self::Absent,
        };
        (outcome, None)
    }

    /// Stands for the content; empty if nothing is there.
    fn fingerprint(&self) -> &str {
        match self {
            Self::Found { fingerprint, .. } => fingerprint,
            Self::Deleted { .. } | Self::Destroyed | Self::Absent => "",
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
