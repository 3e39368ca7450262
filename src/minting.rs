//! Credentials that are issued, not read: which session of an object is live, which may be let go, and when to issue.
//!
//! Issuing cannot be taken back by trying again. The operator may die anywhere, replies get lost, and a predecessor that
//! seems dead may only be frozen and wake up with a request in its hand. Kubernetes and Vault share no transaction. So
//! every session is written down before its first credential is issued ([`Entry`]), one write of the Secret commits it,
//! and [`decide`] compares the two. Nothing else is remembered. `docs/minting.md` tells why no rule can be spared, and the
//! test beside this file walks through every order of events that two operators can get into.
//!
//! A session is a Vault token of its own for one object; revoking it revokes every lease under it. It is known by the
//! token's accessor. `N` is whatever names accessors and resource versions: text in the operator, numbers in the test.

use std::time::Duration;

use jiff::Timestamp;

mod stage;
#[cfg(test)]
mod tests;

pub use self::stage::{Reply, Stage, follow};

/// The most sessions that may be written down for one object, the live one included. One that goes on issuing while
/// nothing can be revoked stops here.
pub const MOST_ENTRIES: usize = 8;

/// How long after its end a session counts as dead whatever Vault says: clocks differ.
pub const CLOCK_MARGIN: Duration = Duration::from_mins(1);

/// A session as the object's status has it: written before its first credential is issued, removed after it was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry<N> {
    /// Names the session's token.
    pub accessor: N,
    /// The resource version of the Secret that the commit of this session expects; none: that there is no Secret.
    pub against: Option<N>,
    /// Whether the Secret was seen to hold this session, now or at some time before.
    pub committed: bool,
    /// When it is to be let go, once it is replaced and that was noted.
    pub retire: Option<Timestamp>,
    /// When Vault ends it unless it is renewed.
    pub end: Timestamp,
    /// Letting it go was tried a moment ago and failed: it is left for another pass.
    pub deferred: bool,
}

/// The Secret as the API server has it now, read after the entries were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<N> {
    /// Its resource version.
    pub version: N,
    /// The session that its data came from, if it has our intact record and its data came from one.
    pub accessor: Option<N>,
    /// Whether it surely is the object's: it has our intact record, which we wrote ourselves, for this very object.
    pub ours: bool,
}

/// What the object asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Credentials; and the reason for new ones if those in the Secret will not do any longer.
    Session(Option<Cause>),
    /// No source has a lease (any more).
    NoSession,
    /// The object is suspended: keep what there is.
    Keep,
}

/// Why new credentials are issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The Secret holds none that we know of.
    Missing,
    /// The object asks for something else than was asked for then.
    RequestChanged,
    /// Their time is over soon, or as over as the object allows.
    RotationDue,
    /// Vault says that they are gone.
    LeaseLost,
    /// A person asked for it.
    Forced,
}

/// What becomes of credentials that were replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// They are renewed no more, and end by themselves; revoked only where their place is needed ([`MOST_ENTRIES`]).
    Expire,
    /// They are revoked.
    Revoke,
}

/// How far the end of an object has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// Its sessions are revoked first.
    Revoke,
    /// That was tried for long enough: they are handed over to a record in the operator's own namespace.
    HandOver,
    /// They are left to their end.
    Leave,
}

/// All that [`decide`] knows: the object and the Secret as they were at one moment.
///
/// The moment matters. The Secret is read after the object, and then it is seen that the object has not changed meanwhile. With
/// a Secret older than the object, a session that is just being committed looks as if it never could be; with an object older
/// than the Secret, one that was committed and replaced meanwhile looks as if it never had users.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, N> {
    /// The time.
    pub now: Timestamp,
    /// The sessions written down, read before the Secret was.
    pub entries: &'a [Entry<N>],
    /// The Secret, if there is one.
    pub secret: Option<Target<N>>,
    /// What the object asks for.
    pub wish: Wish,
    /// What becomes of replaced credentials.
    pub replaced: Replaced,
    /// How long replaced credentials are kept alive after the restart of what uses them.
    pub overlap: Duration,
    /// Whether everything that uses the Secret runs with what it holds now. It does not where that is not known to be ours.
    pub rolled_out: bool,
    /// Whether our finalizer is on the object.
    pub protected: bool,
    /// That the object is being deleted, and how far that has come.
    pub parting: Option<Parting>,
}

/// What a pass does next about the sessions of one object. After each, the world is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<N> {
    /// Nothing, until that time if one is given.
    Rest(Option<Timestamp>),
    /// Issue new credentials: see [`Stage`].
    Issue(Cause),
    /// Credentials are wanted, but too many sessions wait to be let go: nothing, until that time if one is given.
    Full(Option<Timestamp>),
    /// Revoke the session, and then remove its entry.
    LetGo(N),
    /// Note in its entry that the Secret holds this session: [`Entry::committed`], without a time to retire.
    Report(N),
    /// Note in its entry when the session is to be let go.
    Retire(N, Timestamp),
    /// Write the Secret without a session: no source has a lease (any more).
    WritePlain,
    /// Touch the Secret, so that no session can be committed to it that expects it as it was.
    Fence,
    /// Write the sessions down where they outlive the object.
    HandOver,
    /// Take our finalizer off the object.
    Release,
}

/// Decides what to do next about the sessions of one object.
///
/// The order matters twice. A new session is committed before the orphan of a failed attempt can be let go, since only that
/// makes it impossible to commit the orphan. And what can be let go, is let go before new credentials are issued, so that an
/// object whose issuing fails every time does not collect sessions.
pub fn decide<N: Copy + Eq>(view: &View<'_, N>) -> Step<N> {
    if let Some(parting) = view.parting {
        return part(view, parting);
    }
    let live = view.live();
    let mut known = view.entries.iter();
    if let Some(entry) = known.find(|entry| Some(entry.accessor) == live)
        && (!entry.committed || entry.retire.is_some())
    {
        // Before anything replaces it: whoever comes after us must know that it has users.
        return Step::Report(entry.accessor);
    }
    let (mut soonest, mut orphan): (Option<Timestamp>, Option<N>) = (None, None);
    let others = view.entries.iter();
    for entry in others.filter(|entry| Some(entry.accessor) != live && !entry.deferred) {
        match fate(entry, view) {
            Fate::Go => return Step::LetGo(entry.accessor),
            Fate::Note(at) => return Step::Retire(entry.accessor, at),
            Fate::Wait(until) => soonest = sooner(soonest, until),
            Fate::Orphan => {
                orphan.get_or_insert(entry.accessor);
                soonest = sooner(soonest, Some(dead(entry)));
            }
        }
    }
    let cause = match view.wish {
        Wish::Session(_) if live.is_none() => Some(Cause::Missing),
        Wish::Session(cause) => cause,
        Wish::NoSession | Wish::Keep => None,
    };
    let full = view.entries.len() >= MOST_ENTRIES;
    match (cause, view.secret) {
        (Some(_), Some(secret)) if full && orphan.is_some() && secret.ours => Step::Fence,
        // There is nothing to touch. Should a frozen operator commit this orphan before the new session is there, the Secret has a session without an
        // entry, which is replaced at once.
        (Some(_), _) if full => match orphan.or_else(|| spent(view)) {
            Some(accessor) => Step::LetGo(accessor),
            None => Step::Full(soonest),
        },
        (Some(cause), _) => Step::Issue(cause),
        (None, secret)
            if view.wish == Wish::NoSession
                && secret.is_none_or(|secret| secret.accessor.is_some()) =>
        {
            Step::WritePlain
        }
        // No new commit will make the orphan harmless, so the Secret is moved on without one. Not somebody else's, whatever an entry says: nothing
        // can be committed to that anyway.
        (None, Some(secret)) if orphan.is_some() && secret.ours => Step::Fence,
        (None, _) if view.entries.is_empty() && view.protected => Step::Release,
        (None, _) => Step::Rest(soonest),
    }
}

impl<N: Copy + Eq> View<'_, N> {
    /// The session that the Secret's data came from, if it is one of those written down.
    pub fn live(&self) -> Option<N> {
        let accessor = self.secret?.accessor?;
        let mut entries = self.entries.iter();
        entries
            .any(|entry| entry.accessor == accessor)
            .then_some(accessor)
    }

    /// Whether something has taken the place of what the Secret held before: another session, or values of ours that came from none. Without
    /// our Secret, whoever uses the credentials has nothing to change over to.
    fn is_replaced(&self) -> bool {
        let plain = |secret: Target<N>| secret.ours && secret.accessor.is_none();
        self.live().is_some() || self.secret.is_some_and(plain)
    }
}

/// Of the replaced sessions that are left to their end, the one whose time to be kept has been over for longest. It makes room for a new one:
/// where credentials are replaced more often than they end, nothing else would.
fn spent<N: Copy + Eq>(view: &View<'_, N>) -> Option<N> {
    let live = view.live();
    let replaced = view.entries.iter().filter(|entry| {
        let over = entry.retire.is_some_and(|at| at <= view.now);
        entry.committed && over && !entry.deferred && Some(entry.accessor) != live
    });
    let first = replaced.min_by_key(|entry| entry.retire)?;
    Some(first.accessor)
}

/// What is to become of a session that is not the Secret's.
enum Fate {
    /// It can be let go now.
    Go,
    /// It was the Secret's: its end is to be noted.
    Note(Timestamp),
    /// It was the Secret's, and is kept alive still.
    Wait(Option<Timestamp>),
    /// It never was the Secret's, and somebody may still be about to commit it.
    Orphan,
}

fn fate<N: Copy + Eq>(entry: &Entry<N>, view: &View<'_, N>) -> Fate {
    if dead(entry) <= view.now {
        return Fate::Go;
    }
    if entry.committed {
        // Nobody commits a session twice, so whatever the Secret is by now, it cannot come back.
        return match (entry.retire, view.replaced) {
            (None, _) if view.rolled_out && view.is_replaced() => {
                Fate::Note(after(view.now, view.overlap))
            }
            (None, _) => Fate::Wait(None),
            (Some(at), _) if view.now < at => Fate::Wait(Some(at)),
            (Some(_), Replaced::Revoke) => Fate::Go,
            (Some(_), Replaced::Expire) => Fate::Wait(Some(dead(entry))),
        };
    }
    // An operator that died may be one that is only frozen, with its commit in hand. What it expects is gone for ever
    // once the Secret has moved on. That the Secret is not there says nothing: one that has to be made anew, because it is
    // immutable or changes its type, is deleted first.
    let same = |secret: Target<N>| entry.against == Some(secret.version);
    if view.secret.is_none_or(same) {
        Fate::Orphan
    } else {
        Fate::Go
    }
}

/// When a session is surely dead, whatever became of it.
fn dead<N>(entry: &Entry<N>) -> Timestamp {
    after(entry.end, CLOCK_MARGIN)
}

fn after(time: Timestamp, duration: Duration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

fn sooner(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The end of an object. Its Secret goes with it, so no session of it is of use, whoever may still want to commit one: a
/// Secret that is made too late names an owner that is gone, and is collected. Of a Secret that others share its keys have been taken out before, so
/// that this has moved on, and nothing can be committed to it any more.
fn part<N: Copy + Eq>(view: &View<'_, N>, parting: Parting) -> Step<N> {
    let mut left = view.entries.iter().filter(|entry| !entry.deferred);
    match (parting, left.next()) {
        (Parting::Revoke | Parting::HandOver, Some(entry)) => Step::LetGo(entry.accessor),
        (Parting::HandOver, None) if !view.entries.is_empty() => Step::HandOver,
        (Parting::Revoke, None) if !view.entries.is_empty() => Step::Rest(None),
        (Parting::Revoke | Parting::HandOver | Parting::Leave, _) if view.protected => {
            Step::Release
        }
        (Parting::Revoke | Parting::HandOver | Parting::Leave, _) => Step::Rest(None),
    }
}
