//! What Kubernetes and Vault hold of one object, as far as it matters to its sessions.

use std::time::Duration;

use jiff::Timestamp;

use super::super::{
    Cause, Entry, MOST_ENTRIES, Parting, Replaced, Step, Target, View, Wish, decide,
};
use super::explore::Broken;

/// Numbers of sessions and of versions that nobody refers to any more are used again, so that states that differ only in how
/// often something was tried before are one state. So many are never needed at once.
pub const NUMBERS: u8 = 15;

/// What is new gets this number, until the state is brought into its canonical form gives it the lowest that is free.
pub const NEW: u8 = NUMBERS;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// When the end of a replaced session is noted for, and when its time has come.
const LATER: Timestamp = Timestamp::constant(600, 0);
const EARLIER: Timestamp = Timestamp::constant(-600, 0);
const END: Timestamp = Timestamp::constant(86_400, 0);

/// The VaultSecret in the API server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Object {
    /// Its resource version, which every change moves on. 0: it is gone.
    pub version: u8,
    /// What it asks for: 0 is no session.
    pub wish: u8,
    pub suspended: bool,
    pub deleting: bool,
    pub protected: bool,
    pub entries: [Note; MOST_ENTRIES],
}

/// An entry of its status. Session 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Note {
    pub session: u8,
    pub against: u8,
    pub committed: bool,
    pub retire: Retire,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Retire {
    #[default]
    Unknown,
    Noted,
    Due,
}

/// What is where.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct World {
    pub object: Object,
    /// The Secret: its resource version (0: absent), the session of its data and what that was asked for.
    pub version: u8,
    pub session: u8,
    pub request: u8,
    /// Sets of sessions, a bit each: alive in Vault; with a credential under it; handed over.
    pub alive: u16,
    pub issued: u16,
    pub orphans: u16,
    /// Those that the Secret held at some time.
    pub used: u16,
    /// One of these was revoked before its time to retire, though the object lives on.
    pub cut: bool,
    /// One of these was to retire by the decision of somebody who saw nothing in its place.
    pub unreplaced: bool,
    /// The live credential is due for rotation.
    pub rotate: bool,
}

pub const fn bit(session: u8) -> u16 {
    1 << session
}

impl Object {
    pub fn notes(&self) -> impl Iterator<Item = Note> {
        self.entries.into_iter().filter(|note| note.session != 0)
    }

    pub fn set(&mut self, notes: &[Note]) {
        self.entries = [Note::default(); MOST_ENTRIES];
        self.entries[..notes.len()].copy_from_slice(notes);
    }

    pub fn change(&mut self, session: u8, change: impl Fn(&mut Note)) {
        let mut notes = self.entries.iter_mut();
        if let Some(note) = notes.find(|note| note.session == session) {
            change(note);
        }
    }
}

impl Note {
    pub fn entry(self, deferred: u16) -> Entry<u8> {
        Entry {
            accessor: self.session,
            against: (self.against != 0).then_some(self.against),
            committed: self.committed,
            retire: match self.retire {
                Retire::Unknown => None,
                Retire::Noted => Some(LATER),
                Retire::Due => Some(EARLIER),
            },
            end: END,
            deferred: deferred & bit(self.session) != 0,
        }
    }
}

impl World {
    /// What [`decide`] says to somebody who read this object, and this Secret.
    pub fn decision(&self, object: &Object, deferred: u16, broken: Option<Broken>) -> Step<u8> {
        let mut entries = [Note::default().entry(0); MOST_ENTRIES];
        let mut count = 0;
        for note in object.notes() {
            entries[count] = note.entry(deferred);
            match broken {
                Some(Broken::RevokeWhatMayBeCommitted) if !entries[count].committed => {
                    entries[count].end = Timestamp::MIN;
                }
                // As if it had never been asked for: then nobody knows it of the others either.
                Some(Broken::NeverReport) => {
                    entries[count].committed = note.session == self.session;
                }
                _ => {}
            }
            count += 1;
        }
        let secret = (self.version != 0).then_some(Target {
            version: self.version,
            accessor: (self.session != 0).then_some(self.session),
            ours: true,
        });
        let cause = if self.dead() {
            Some(Cause::LeaseLost)
        } else if self.request != object.wish {
            Some(Cause::RequestChanged)
        } else {
            self.rotate.then_some(Cause::RotationDue)
        };
        let wish = match (object.suspended, object.wish) {
            (true, _) => Wish::Keep,
            (false, 0) => Wish::NoSession,
            (false, _) => Wish::Session(cause),
        };
        let parting = if deferred == 0 {
            Parting::Revoke
        } else {
            Parting::HandOver
        };
        let step = decide(&View {
            now: NOW,
            entries: &entries[..count],
            secret,
            wish,
            replaced: Replaced::Revoke,
            overlap: Duration::from_mins(10),
            rolled_out: true,
            protected: object.protected,
            parting: object.deleting.then_some(parting),
        });
        match (broken, step) {
            (Some(Broken::NeverFence), Step::Fence) => Step::Rest(None),
            (Some(Broken::RetireUnreplaced), Step::Issue(_)) => {
                let mut notes = object.notes();
                let old = notes.find(|note| note.committed && note.retire == Retire::Unknown);
                old.map_or(step, |note| Step::Retire(note.session, LATER))
            }
            (_, step) => step,
        }
    }

    /// What must never be, and what must not be when nobody has anything left to do.
    pub fn wrong(&self, quiet: bool, healing: bool) -> Option<String> {
        let there = self.object.version != 0;
        let dead = self.dead();
        if dead && there && !self.object.deleting && !healing {
            return Some(format!(
                "the Secret holds session {}, which is dead",
                self.session
            ));
        }
        if self.cut && !healing {
            return Some("a credential was revoked that still had users".to_owned());
        }
        if self.unreplaced {
            return Some("a credential is to retire that nothing has replaced".to_owned());
        }
        if !quiet {
            return None;
        }
        // Without a Secret there is nothing to touch, so an orphan waits for its own end: while a suspended object gets no Secret, or
        // while so many wait that no more are issued.
        let full = self.object.notes().count() >= MOST_ENTRIES;
        let stuck = there && self.version == 0 && (self.object.suspended || full);
        let leaked = self.alive & self.issued & !if there { bit(self.session) } else { 0 };
        if leaked & !1 != 0 && !stuck {
            return Some(format!(
                "at rest, credentials live outside the Secret: {leaked:b}"
            ));
        }
        if !there {
            return None;
        }
        let left: Vec<u8> = self.object.notes().map(|note| note.session).collect();
        if !stuck && left.iter().any(|session| *session != self.session) {
            return Some(format!("at rest, entries are left: {left:?}"));
        }
        if self.object.protected && left.is_empty() {
            return Some("at rest, a finalizer protects nothing".to_owned());
        }
        let served = dead || self.rotate || self.request != self.object.wish;
        if !self.object.suspended && !stuck && served {
            return Some("at rest, the Secret is not what the object asks for".to_owned());
        }
        None
    }

    /// Whether the Secret holds something else than that session: another one that the object knows, or values without one.
    pub fn replaces(&self, object: &Object, session: u8) -> bool {
        let known = object.notes().any(|note| note.session == self.session);
        self.version != 0 && self.session != session && (self.session == 0 || known)
    }

    pub fn dead(&self) -> bool {
        self.session != 0 && self.alive & bit(self.session) == 0
    }

    /// Changes the object if it still has the version that was read.
    pub fn update(&mut self, version: u8, change: impl FnOnce(&mut Object)) -> Option<u8> {
        if self.object.version == 0 || self.object.version != version {
            return None;
        }
        change(&mut self.object);
        self.object.version = NEW;
        Some(self.object.version)
    }

    pub fn write_secret(
        &mut self,
        expected: u8,
        session: u8,
        request: u8,
        broken: Option<Broken>,
    ) -> bool {
        if expected != self.version && broken != Some(Broken::CommitWithoutPrecondition) {
            return false;
        }
        // An owner that is gone: the garbage collector removes it at once.
        if self.object.version == 0 {
            return true;
        }
        self.version = NEW;
        self.rotate &= session == self.session;
        self.session = session;
        self.request = request;
        self.used |= bit(session);
        true
    }

    pub fn remove_object(&mut self) {
        self.object = Object::default();
        (self.version, self.session, self.request, self.rotate) = (0, 0, 0, false);
    }
}
