//! Walks through every order of events, and tells the way to the first state that is wrong.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;

use super::super::{Reply, Stage};
use super::operator::{Next, Op, words};
use super::world::{NEW, NUMBERS, Object, Retire, World, bit};

/// What an exploration found.
pub struct Explored {
    /// How many states there are.
    pub states: usize,
    /// What is wrong in one of them, with the way there.
    pub violation: Option<String>,
}

/// Explores all that can happen with `operators` operators.
pub fn explore(operators: usize, budget: Budget, broken: Option<Broken>) -> Explored {
    let mut states = vec![(State::start(operators, budget), u32::MAX, "start")];
    let mut seen = HashSet::from([states[0].0]);
    // Whoever deletes the Secret by hand lets a late operator make it again, whatever became of its session. That is noticed.
    let healing = budget.removals > 0;
    let mut queue = VecDeque::from([0_u32]);
    while let Some(number) = queue.pop_front() {
        let state = states[number as usize].0;
        let mut successors = Vec::new();
        state.successors(broken, &mut successors);
        let quiet = successors.is_empty();
        if let Some(wrong) = state.wrong(quiet, healing) {
            let violation = Some(story(&states, number, &wrong));
            return Explored {
                states: states.len(),
                violation,
            };
        }
        state.interference(&mut successors);
        for (label, successor) in successors {
            let successor = successor.canonical();
            if seen.insert(successor) {
                queue.push_back(u32::try_from(states.len()).expect("fewer than 4 billion states"));
                states.push((successor, number, label));
            }
        }
    }
    Explored {
        states: states.len(),
        violation: None,
    }
}

fn story(states: &[(State, u32, &'static str)], mut number: u32, wrong: &str) -> String {
    let mut labels = Vec::new();
    while number != u32::MAX {
        let (_, parent, label) = states[number as usize];
        labels.push(label);
        number = parent;
    }
    labels
        .iter()
        .rev()
        .fold(format!("{wrong}:"), |mut text, label| {
            let _ = write!(text, "\n  {label}");
            text
        })
}

/// What is where, and what everybody is about to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    world: World,
    ops: [Op; 2],
    budget: Budget,
    /// How often credentials may still be issued.
    issues: u8,
}

/// How much may still go wrong, or be done by people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Budget {
    /// Operators that die.
    pub crashes: u8,
    /// Replies that get lost.
    pub losses: u8,
    /// Revocations that fail because Vault is away.
    pub outages: u8,
    /// Changes of the Secret by others that leave its data alone.
    pub touches: u8,
    /// Changes of what the object asks for.
    pub edits: u8,
    /// Times that it is suspended, or resumed.
    pub suspensions: u8,
    /// Rotations that come due.
    pub rotations: u8,
    /// Deletions of the object.
    pub deletions: u8,
    /// Deletions of the Secret by hand.
    pub removals: u8,
}

/// A rule that is broken on purpose, to see that the model notices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// The entry is written after the first credential was issued.
    IssueBeforeWriteAhead,
    /// The Secret is written whatever it has become.
    CommitWithoutPrecondition,
    /// Sessions are revoked that somebody may still commit.
    RevokeWhatMayBeCommitted,
    /// The object may have changed before the Secret was read.
    LookWithoutConfirming,
    /// The entry is removed before the session is revoked.
    ForgetBeforeRevoke,
    /// After a conflict the same session is committed again.
    CommitAgain,
    /// A Secret is never touched for the sake of an orphan.
    NeverFence,
    /// The finalizer is taken off whatever was written since.
    ReleaseWithoutPrecondition,
    /// Nobody notes that a session was the Secret's.
    NeverReport,
    /// A session is let go although the Secret is gone and nothing has replaced it.
    RetireUnreplaced,
}

impl Budget {
    /// How often credentials need to be issued at most: for each thing that asks for new ones, and for each attempt that may
    /// come to nothing. With two operators at once, either may lose its attempt to what the other does.
    fn issues(&self, operators: usize) -> u8 {
        let wanted = 1 + self.rotations + self.edits + self.removals;
        let vain = self.crashes + self.losses + self.touches;
        if operators == 1 {
            wanted + vain
        } else {
            2 * (wanted + vain + self.suspensions)
        }
    }
}

impl State {
    fn wrong(&self, quiet: bool, healing: bool) -> Option<String> {
        if self.issues == u8::MAX {
            return Some("a credential is issued that nobody needs".to_owned());
        }
        self.world.wrong(quiet, healing)
    }

    fn start(operators: usize, budget: Budget) -> Self {
        let world = World {
            object: Object {
                version: 1,
                wish: 1,
                ..Object::default()
            },
            ..World::default()
        };
        let gone = Op {
            next: Next::Rest,
            deferred: u16::MAX,
            ..Op::default()
        };
        let ops = if operators == 2 {
            [Op::default(); 2]
        } else {
            [Op::default(), gone]
        };
        Self {
            world,
            ops,
            budget,
            issues: budget.issues(operators),
        }
    }

    /// The same state with the lowest numbers. Of an operator's reading of the object only matters whether it is the newest.
    fn canonical(mut self) -> Self {
        let mut versions = Renumber::default();
        let mut sessions = Renumber::default();
        let newest = self.world.object.version;
        versions.rename(&mut self.world.version);
        sessions.rename(&mut self.world.session);
        for note in &mut self.world.object.entries {
            sessions.rename(&mut note.session);
            versions.rename(&mut note.against);
        }
        // Both operators are alike.
        if self.ops[1].deferred != u16::MAX && self.ops[0] > self.ops[1] {
            self.ops.swap(0, 1);
        }
        for op in &mut self.ops {
            if op.object.version != 0 {
                op.object.version = if op.object.version == newest { 1 } else { 2 };
            }
            sessions.rename(&mut op.session);
            versions.rename(&mut op.version);
            for note in &mut op.object.entries {
                sessions.rename(&mut note.session);
                versions.rename(&mut note.against);
            }
        }
        self.world.object.version = newest.min(1);
        // Whoever is alive, has a credential and is known nowhere keeps a number: that is a leak.
        let lost = self.world.alive & (self.world.issued | self.world.orphans);
        let mut rest = lost;
        while rest != 0 {
            let session = u8::try_from(rest.trailing_zeros()).unwrap_or(0);
            sessions.rename(&mut { session });
            rest &= rest - 1;
        }
        for set in [
            &mut self.world.alive,
            &mut self.world.issued,
            &mut self.world.orphans,
            &mut self.world.used,
        ] {
            *set = sessions.set(*set);
        }
        for op in &mut self.ops {
            if op.deferred != u16::MAX {
                op.deferred = sessions.set(op.deferred);
            }
        }
        self
    }

    /// What must happen sooner or later: the operators go on, time passes, and what was handed over is revoked.
    fn successors(&self, broken: Option<Broken>, into: &mut Vec<(&'static str, Self)>) {
        for number in 0..2 {
            let op = self.ops[number];
            let with = |op: Op| {
                let mut state = *self;
                state.ops[number] = op;
                state
            };
            match op.next {
                Next::ReadObject => {
                    let next = if self.world.object.version == 0 {
                        Next::Rest
                    } else {
                        Next::ReadSecret
                    };
                    into.push((
                        "look",
                        with(Op {
                            next,
                            object: self.world.object,
                            ..op
                        }),
                    ));
                }
                Next::ReadSecret => {
                    into.push(("look at the Secret", with(op.decide(&self.world, broken))));
                }
                Next::Confirm(act) => {
                    let same = op.object.version == self.world.object.version;
                    into.push(if same || broken == Some(Broken::LookWithoutConfirming) {
                        (
                            "look again",
                            with(Op {
                                next: Next::Request(act),
                                ..op
                            }),
                        )
                    } else {
                        (
                            "look again: it changed",
                            with(Op {
                                deferred: op.deferred,
                                ..Op::default()
                            }),
                        )
                    });
                }
                Next::Request(act) => self.requests(number, act, broken, into),
                Next::Rest if op.deferred == u16::MAX => {}
                Next::Rest => {
                    let object = &self.world.object;
                    let due = || self.world.decision(object, 0, broken).first();
                    if object.version != 0 && due().is_some() {
                        into.push(("wake", with(Op::default())));
                    }
                }
            }
        }
        let mut later = *self;
        let mut passed = false;
        for note in &mut later.world.object.entries {
            if note.retire == Retire::Noted {
                note.retire = Retire::Due;
                passed = true;
            }
        }
        if passed {
            into.push(("time passes", later));
        }
        if self.world.orphans & self.world.alive != 0 {
            let mut state = *self;
            state.world.alive &= !state.world.orphans;
            into.push(("what was handed over is revoked", state));
        }
    }

    fn requests(
        &self,
        number: usize,
        act: Stage,
        broken: Option<Broken>,
        into: &mut Vec<(&'static str, Self)>,
    ) {
        let [done, refused, lost] = words(act);
        let mut state = *self;
        let mut op = self.ops[number];
        let success = op.request(act, &mut state.world, broken);
        if act == Stage::Issue && success {
            state.issues = state.issues.wrapping_sub(1);
        }
        let reply = if success { Reply::Done } else { Reply::Refused };
        state.ops[number] = op.proceed(act, reply, broken);
        into.push((if success { done } else { refused }, state));
        if success && self.budget.losses > 0 {
            let mut state = state;
            state.budget.losses -= 1;
            state.ops[number] = self.ops[number].proceed(act, Reply::Lost, broken);
            into.push((lost, state));
        }
        if matches!(act, Stage::Revoke | Stage::GiveBack | Stage::Discard)
            && self.budget.outages > 0
        {
            let mut state = *self;
            state.budget.outages -= 1;
            let op = &mut state.ops[number];
            op.deferred |= bit(op.session);
            *op = op.proceed(act, Reply::Refused, broken);
            into.push(("Vault is away", state));
        }
    }

    /// What may happen, and what people do.
    fn interference(&self, into: &mut Vec<(&'static str, Self)>) {
        for number in 0..2 {
            if self.budget.crashes > 0 && matches!(self.ops[number].next, Next::Request(_)) {
                let mut state = *self;
                state.budget.crashes -= 1;
                state.ops[number] = Op::default();
                into.push(("an operator dies", state));
            }
        }
        let there = self.world.object.version != 0 && !self.world.object.deleting;
        let mut act = |label, allowed: bool, change: &dyn Fn(&mut Self)| {
            if allowed {
                let mut state = *self;
                change(&mut state);
                into.push((label, state));
            }
        };
        let Budget {
            touches,
            edits,
            suspensions,
            rotations,
            deletions,
            removals,
            ..
        } = self.budget;
        act(
            "somebody touches the Secret",
            touches > 0 && self.world.version != 0,
            &|state| {
                state.budget.touches -= 1;
                state.world.version = NEW;
            },
        );
        act(
            "somebody deletes the Secret",
            removals > 0 && self.world.version != 0,
            &|state| {
                state.budget.removals -= 1;
                (
                    state.world.version,
                    state.world.session,
                    state.world.request,
                ) = (0, 0, 0);
                state.world.rotate = false;
            },
        );
        for wish in (0..3).filter(|wish| *wish != self.world.object.wish) {
            act(
                "the object asks for something else",
                edits > 0 && there,
                &|state| {
                    state.budget.edits -= 1;
                    state.world.object.wish = wish;
                    state.world.object.version = NEW;
                },
            );
        }
        act(
            "the object is suspended, or resumed",
            suspensions > 0 && there,
            &|state| {
                state.budget.suspensions -= 1;
                state.world.object.suspended ^= true;
                state.world.object.version = NEW;
            },
        );
        act(
            "a rotation is due",
            rotations > 0 && self.world.session != 0,
            &|state| {
                state.budget.rotations -= 1;
                state.world.rotate = true;
            },
        );
        act("the object is deleted", deletions > 0 && there, &|state| {
            state.budget.deletions -= 1;
            if state.world.object.protected {
                state.world.object.deleting = true;
                state.world.object.version = NEW;
            } else {
                state.world.remove_object();
            }
        });
    }
}

/// Old numbers and the new ones that they get, in the order in which they are met.
#[derive(Default)]
struct Renumber {
    new: [u8; NUMBERS as usize + 1],
    last: u8,
}

impl Renumber {
    fn rename(&mut self, number: &mut u8) {
        if *number == 0 {
            return;
        }
        let new = &mut self.new[usize::from(*number)];
        if *new == 0 {
            self.last += 1;
            *new = self.last;
        }
        assert!(*new < NEW, "more numbers are needed at once than NUMBERS");
        *number = *new;
    }

    /// A set of numbers; those that nobody refers to are left out.
    fn set(&self, mut old: u16) -> u16 {
        let mut new = 0;
        while old != 0 {
            let number = self.new[old.trailing_zeros() as usize];
            new |= if number == 0 { 0 } else { bit(number) };
            old &= old - 1;
        }
        new
    }
}
