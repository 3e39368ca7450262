//! An operator: what it reads, what it asks of the servers, and what they do then. What it decides, and what follows a
//! reply, is asked of the real functions.

use super::super::{Reply, Stage, Step, follow};
use super::explore::Broken;
use super::world::{NEW, Note, Object, Retire, World, bit};

/// An operator: what it will do next, and what it remembers for that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Op {
    pub next: Next,
    /// The object as it read it; its entries only until it decided.
    pub object: Object,
    /// The Secret's version as it read it.
    pub version: u8,
    pub session: u8,
    pub request: u8,
    /// It lets a session retire although it saw nothing in its place.
    pub rash: bool,
    /// Sessions that it could not revoke a moment ago.
    pub deferred: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Next {
    #[default]
    ReadObject,
    ReadSecret,
    /// Sees whether the object is as it was.
    Confirm(Stage),
    Request(Stage),
    Rest,
}

impl Op {
    /// The request, as the servers execute it. `true`: it was done; what was learned stands in the operator.
    pub fn request(&mut self, act: Stage, world: &mut World, broken: Option<Broken>) -> bool {
        let (session, against) = (self.session, self.version);
        let done = match act {
            Stage::Protect if self.object.protected => Some(self.object.version),
            Stage::Protect if world.object.deleting => None,
            Stage::Protect => world.update(self.object.version, |object| object.protected = true),
            Stage::LogIn => {
                self.session = NEW;
                world.alive |= bit(self.session);
                return true;
            }
            Stage::WriteAhead => world.update(self.object.version, |object| {
                let new = Note {
                    session,
                    against,
                    ..Note::default()
                };
                let notes: Vec<_> = object.notes().chain([new]).collect();
                object.set(&notes);
            }),
            Stage::Issue => {
                let alive = world.alive & bit(session) != 0;
                world.issued |= if alive { bit(session) } else { 0 };
                return alive;
            }
            Stage::Commit => {
                let done = world.write_secret(against, session, self.request, broken);
                if broken == Some(Broken::CommitAgain) {
                    self.version = world.version;
                }
                return done;
            }
            Stage::WritePlain => return world.write_secret(against, 0, 0, broken),
            Stage::Fence => {
                return world.write_secret(against, world.session, world.request, broken);
            }
            Stage::Discard | Stage::GiveBack | Stage::Revoke => {
                let mut notes = world.object.notes();
                let due = notes.any(|note| note.session == session && note.retire == Retire::Due);
                let used = world.used & world.alive & bit(session) != 0;
                world.cut |= used && !due && !world.object.deleting && world.object.version != 0;
                world.alive &= !bit(session);
                return true;
            }
            Stage::Forget => world.update(self.object.version, |object| {
                let kept: Vec<_> = object
                    .notes()
                    .filter(|note| note.session != session)
                    .collect();
                object.set(&kept);
            }),
            Stage::Report => world.update(self.object.version, |object| {
                object.change(session, |note| {
                    (note.committed, note.retire) = (true, Retire::Unknown);
                });
            }),
            Stage::Retire => {
                let done = world.update(self.object.version, |object| {
                    object.change(session, |note| note.retire = Retire::Noted);
                });
                world.unreplaced |= self.rash && done.is_some();
                done
            }
            Stage::HandOver => {
                let handed = world
                    .object
                    .notes()
                    .fold(0, |set, note| set | bit(note.session));
                // The record is made from what was read; somebody may have written since, which the release will notice.
                if world.object.version == self.object.version {
                    world.orphans |= handed;
                }
                return true;
            }
            Stage::Release => {
                let same = broken == Some(Broken::ReleaseWithoutPrecondition)
                    || world.object.version == self.object.version;
                if !same || world.object.version == 0 {
                    return false;
                }
                if world.object.deleting {
                    world.remove_object();
                    return true;
                }
                world.update(world.object.version, |object| object.protected = false)
            }
        };
        if let Some(version) = done {
            self.object.version = version;
        }
        done.is_some()
    }

    /// What the operator makes of a reply.
    pub fn proceed(mut self, act: Stage, reply: Reply, broken: Option<Broken>) -> Self {
        if broken == Some(Broken::CommitAgain) && act == Stage::Commit && reply == Reply::Refused {
            return Self {
                next: Next::Request(Stage::Commit),
                ..self
            };
        }
        let stage = follow(act, reply);
        let stage = match (broken, stage) {
            (Some(Broken::IssueBeforeWriteAhead), Some(Stage::WriteAhead)) => Some(Stage::Issue),
            (Some(Broken::IssueBeforeWriteAhead), Some(Stage::Commit)) => Some(Stage::WriteAhead),
            (Some(Broken::IssueBeforeWriteAhead), Some(Stage::Issue)) => Some(Stage::Commit),
            (Some(Broken::ForgetBeforeRevoke), Some(Stage::Forget)) if act == Stage::Revoke => None,
            (_, stage) => stage,
        };
        let stage = if broken == Some(Broken::ForgetBeforeRevoke) && act == Stage::Forget {
            (reply == Reply::Done).then_some(Stage::Revoke)
        } else {
            stage
        };
        match stage {
            Some(act) => {
                self.next = Next::Request(act);
                self
            }
            None => Self {
                deferred: self.deferred,
                ..Self::default()
            },
        }
    }

    /// Reads the Secret, and decides.
    pub fn decide(self, world: &World, broken: Option<Broken>) -> Self {
        let (version, protected) = (self.object.version, self.object.protected);
        let object = Object {
            version,
            protected,
            ..Object::default()
        };
        let mut op = Self {
            object,
            version: world.version,
            ..self
        };
        let step = world.decision(&self.object, self.deferred, broken);
        let Some(stage) = step.first() else {
            return Self {
                next: Next::Rest,
                deferred: self.deferred,
                ..Self::default()
            };
        };
        match step {
            Step::Issue(_) => op.request = self.object.wish,
            Step::LetGo(session) | Step::Retire(session, _) | Step::Report(session) => {
                (op.session, op.version) = (session, 0);
                let retires = matches!(step, Step::Retire(_, _));
                op.rash = retires && !world.replaces(&self.object, session);
            }
            Step::Rest(_)
            | Step::Full(_)
            | Step::WritePlain
            | Step::Fence
            | Step::HandOver
            | Step::Release => {}
        }
        let early = broken == Some(Broken::ForgetBeforeRevoke) && stage == Stage::Revoke;
        let act = if early { Stage::Forget } else { stage };
        op.next = Next::Confirm(act);
        op
    }
}

/// What a person reads of a request: done, refused, and lost after it was done.
pub fn words(stage: Stage) -> [&'static str; 3] {
    match stage {
        Stage::Protect => ["protect", "protect: refused", "protect: reply lost"],
        Stage::LogIn => ["log in", "log in: refused", "log in: reply lost"],
        Stage::WriteAhead => [
            "write ahead",
            "write ahead: conflict",
            "write ahead: reply lost",
        ],
        Stage::Issue => ["issue", "issue: refused", "issue: reply lost"],
        Stage::Commit => ["commit", "commit: conflict", "commit: reply lost"],
        Stage::Discard => ["discard", "discard: refused", "discard: reply lost"],
        Stage::GiveBack => ["give back", "give back: refused", "give back: reply lost"],
        Stage::Revoke => ["revoke", "revoke: refused", "revoke: reply lost"],
        Stage::Forget => ["forget", "forget: conflict", "forget: reply lost"],
        Stage::HandOver => ["hand over", "hand over: refused", "hand over: reply lost"],
        Stage::Release => ["release", "release: conflict", "release: reply lost"],
        Stage::Report => ["report", "report: conflict", "report: reply lost"],
        Stage::Retire => [
            "note the end",
            "note the end: conflict",
            "note the end: reply lost",
        ],
        Stage::WritePlain => [
            "write plain",
            "write plain: conflict",
            "write plain: reply lost",
        ],
        Stage::Fence => ["fence", "fence: conflict", "fence: reply lost"],
    }
}
