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
    /// Sessions that it could not revoke a moment ago.
    pub deferred: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Next {
    #[default]
    ReadObject,
    ReadSecret,
    /// Sees whether the object is as it was.
    Confirm(Act),
    Request(Act),
    Rest,
}

/// A request. Most are stages of the protocol; the others are steps that take one request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Act {
    Protect,
    LogIn,
    WriteAhead,
    Issue,
    Commit,
    Discard,
    GiveBack,
    Revoke,
    Forget,
    HandOver,
    Release,
    Report,
    Retire,
    WritePlain,
    Fence,
}

impl Op {
    /// The request, as the servers execute it. `true`: it was done; what was learned stands in the operator.
    pub fn request(&mut self, act: Act, world: &mut World, broken: Option<Broken>) -> bool {
        let (session, against) = (self.session, self.version);
        let done = match act {
            Act::Protect if self.object.protected => Some(self.object.version),
            Act::Protect if world.object.deleting => None,
            Act::Protect => world.update(self.object.version, |object| object.protected = true),
            Act::LogIn => {
                self.session = NEW;
                world.alive |= bit(self.session);
                return true;
            }
            Act::WriteAhead => world.update(self.object.version, |object| {
                let new = Note {
                    session,
                    against,
                    ..Note::default()
                };
                let notes: Vec<_> = object.notes().chain([new]).collect();
                object.set(&notes);
            }),
            Act::Issue => {
                let alive = world.alive & bit(session) != 0;
                world.issued |= if alive { bit(session) } else { 0 };
                return alive;
            }
            Act::Commit => {
                let done = world.write_secret(against, session, self.request, broken);
                if broken == Some(Broken::CommitAgain) {
                    self.version = world.version;
                }
                return done;
            }
            Act::WritePlain => return world.write_secret(against, 0, 0, broken),
            Act::Fence => {
                return world.write_secret(against, world.session, world.request, broken);
            }
            Act::Discard | Act::GiveBack | Act::Revoke => {
                let mut notes = world.object.notes();
                let due = notes.any(|note| note.session == session && note.retire == Retire::Due);
                let used = world.used & world.alive & bit(session) != 0;
                world.cut |= used && !due && !world.object.deleting && world.object.version != 0;
                world.alive &= !bit(session);
                return true;
            }
            Act::Forget => world.update(self.object.version, |object| {
                let kept: Vec<_> = object
                    .notes()
                    .filter(|note| note.session != session)
                    .collect();
                object.set(&kept);
            }),
            Act::Report => world.update(self.object.version, |object| {
                object.change(session, |note| {
                    (note.committed, note.retire) = (true, Retire::Unknown);
                });
            }),
            Act::Retire => world.update(self.object.version, |object| {
                object.change(session, |note| note.retire = Retire::Noted);
            }),
            Act::HandOver => {
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
            Act::Release => {
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
    pub fn proceed(mut self, act: Act, reply: Reply, broken: Option<Broken>) -> Self {
        if broken == Some(Broken::CommitAgain) && act == Act::Commit && reply == Reply::Refused {
            return Self {
                next: Next::Request(Act::Commit),
                ..self
            };
        }
        let stage = act
            .stage()
            .and_then(|stage| follow(stage, reply))
            .map(Act::of);
        let stage = match (broken, stage) {
            (Some(Broken::IssueBeforeWriteAhead), Some(Act::WriteAhead)) => Some(Act::Issue),
            (Some(Broken::IssueBeforeWriteAhead), Some(Act::Commit)) => Some(Act::WriteAhead),
            (Some(Broken::IssueBeforeWriteAhead), Some(Act::Issue)) => Some(Act::Commit),
            (Some(Broken::ForgetBeforeRevoke), Some(Act::Forget)) if act == Act::Revoke => None,
            (_, stage) => stage,
        };
        let stage = if broken == Some(Broken::ForgetBeforeRevoke) && act == Act::Forget {
            (reply == Reply::Done).then_some(Act::Revoke)
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
        let act = match step {
            Step::Rest(_) | Step::Full(_) => {
                return Self {
                    next: Next::Rest,
                    deferred: self.deferred,
                    ..Self::default()
                };
            }
            Step::Issue(_) => {
                op.request = self.object.wish;
                Act::Protect
            }
            Step::LetGo(session) => {
                (op.session, op.version) = (session, 0);
                if broken == Some(Broken::ForgetBeforeRevoke) {
                    Act::Forget
                } else {
                    Act::Revoke
                }
            }
            Step::Retire(session, _) => {
                (op.session, op.version) = (session, 0);
                Act::Retire
            }
            Step::Report(session) => {
                (op.session, op.version) = (session, 0);
                Act::Report
            }
            Step::WritePlain => Act::WritePlain,
            Step::Fence => Act::Fence,
            Step::HandOver => Act::HandOver,
            Step::Release => Act::Release,
        };
        op.next = Next::Confirm(act);
        op
    }
}

impl Act {
    pub fn stage(self) -> Option<Stage> {
        Some(match self {
            Self::Protect => Stage::Protect,
            Self::LogIn => Stage::LogIn,
            Self::WriteAhead => Stage::WriteAhead,
            Self::Issue => Stage::Issue,
            Self::Commit => Stage::Commit,
            Self::Discard => Stage::Discard,
            Self::GiveBack => Stage::GiveBack,
            Self::Revoke => Stage::Revoke,
            Self::Forget => Stage::Forget,
            Self::HandOver => Stage::HandOver,
            Self::Release => Stage::Release,
            Self::Report | Self::Retire | Self::WritePlain | Self::Fence => return None,
        })
    }

    pub fn of(stage: Stage) -> Self {
        match stage {
            Stage::Protect => Self::Protect,
            Stage::LogIn => Self::LogIn,
            Stage::WriteAhead => Self::WriteAhead,
            Stage::Issue => Self::Issue,
            Stage::Commit => Self::Commit,
            Stage::Discard => Self::Discard,
            Stage::GiveBack => Self::GiveBack,
            Stage::Revoke => Self::Revoke,
            Stage::Forget => Self::Forget,
            Stage::HandOver => Self::HandOver,
            Stage::Release => Self::Release,
        }
    }

    /// What a person reads of it: done, refused, lost after it was done, and failed.
    pub fn words(self) -> [&'static str; 3] {
        match self {
            Self::Protect => ["protect", "protect: refused", "protect: reply lost"],
            Self::LogIn => ["log in", "log in: refused", "log in: reply lost"],
            Self::WriteAhead => [
                "write ahead",
                "write ahead: conflict",
                "write ahead: reply lost",
            ],
            Self::Issue => ["issue", "issue: refused", "issue: reply lost"],
            Self::Commit => ["commit", "commit: conflict", "commit: reply lost"],
            Self::Discard => ["discard", "discard: refused", "discard: reply lost"],
            Self::GiveBack => ["give back", "give back: refused", "give back: reply lost"],
            Self::Revoke => ["revoke", "revoke: refused", "revoke: reply lost"],
            Self::Forget => ["forget", "forget: conflict", "forget: reply lost"],
            Self::HandOver => ["hand over", "hand over: refused", "hand over: reply lost"],
            Self::Release => ["release", "release: conflict", "release: reply lost"],
            Self::Report => ["report", "report: conflict", "report: reply lost"],
            Self::Retire => [
                "note the end",
                "note the end: conflict",
                "note the end: reply lost",
            ],
            Self::WritePlain => [
                "write plain",
                "write plain: conflict",
                "write plain: reply lost",
            ],
            Self::Fence => ["fence", "fence: conflict", "fence: reply lost"],
        }
    }
}
