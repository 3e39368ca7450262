//! When to renew a lease, when to replace what it lends, and until when that lasts.
//!
//! A credential that Vault lends has two lives: that of its lease, and that of the token which asked for it, because Vault ends every
//! lease with its token. Both are renewed for as long as Vault allows. The end of a life that can still be renewed is no reason to
//! worry; only a *hard* end is, one that no renewal moves. A new credential costs a request, a write and a restart of workloads,
//! so it is made only because of a hard end, or because it was asked for by age. Like `schedule`, this is arithmetic: the time is an
//! argument, and the same arguments give the same answer.
//!
//! Where the clock was set back, a time of the record may lie ahead. How long the life has really been going on is not known then,
//! and what is due by it is due at once: a renewal costs little, and puts the record right.

use std::time::Duration;

use jiff::Timestamp;

use crate::schedule::{self, MAX_JITTER_PERCENT};

/// The least and most of a life, in percent, after which it is renewed.
const RENEW_AT_PERCENT: (u8, u8) = (10, 90);

/// How long before its end a life is renewed at the latest: a request and its time-out fit in.
const LAST_RENEWAL: Duration = Duration::from_secs(10);

/// How long before a hard end a new credential is made at the latest, where the life is long enough.
const LAST_ROTATION: Duration = Duration::from_secs(30);

/// The least age that a credential is replaced for. Each replacement restarts workloads, which takes them longer than a mistyped
/// `1s` would leave between two.
const MIN_MAX_AGE: Duration = Duration::from_mins(1);

/// What the owner of a credential wants of its schedule.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// After how much of the last grant it is renewed, in percent; 10 to 90.
    pub renew_at_percent: u8,
    /// How long before its hard end a credential is replaced; `None` for a tenth of its life, or for `overlap` if that is longer.
    pub rotate_before: Option<Duration>,
    /// How long a replaced credential is to be kept beside the new one. No hard end can be moved for that, so it begins early enough.
    pub overlap: Duration,
    /// At which age it is replaced although it could live on.
    pub max_age: Option<Duration>,
    /// By how much everything is moved, only ever earlier, in percent of the wait; at most 50.
    pub jitter_percent: u8,
    /// The object's UID, which decides by how much.
    pub uid: &'a str,
}

/// The life of a lease or of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When it was asked for. The time before the request, not after the reply: Vault counts from some moment between.
    pub issued: Timestamp,
    /// What was granted then; zero for ever. Each renewal asks for as much.
    pub original: Duration,
    /// When it was renewed last, or issued.
    pub granted_at: Timestamp,
    /// What was granted then. Zero is for ever only if `original` is so too; otherwise less than a second was left.
    pub granted: Duration,
    /// Whether Vault says that it can be renewed. Vault says so also of one that has met its hard end.
    pub renewable: bool,
    /// Whether the last renewal granted clearly less than was asked for. Every further one would grant still less.
    pub truncated: bool,
}

/// What is due when. A time that has passed means: now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When to renew the lease; `None` if that is not needed, or of no use.
    pub renew_lease_at: Option<Timestamp>,
    /// When to renew the token; `None` if that is not needed, or of no use.
    pub renew_token_at: Option<Timestamp>,
    /// When to make a new credential; `None` as long as renewing is enough.
    pub rotate_at: Option<Timestamp>,
    /// Until when the credential lasts if nothing happens any more: the earlier end of lease and token.
    pub expires: Option<Timestamp>,
    /// Whether it is the token that puts an end to the credential, which its lease alone would outlive.
    pub token_ends_first: bool,
}

impl Plan {
    /// The first time at which something is due.
    pub fn next(&self) -> Option<Timestamp> {
        let Self {
            renew_lease_at,
            renew_token_at,
            rotate_at,
            expires: _,
            token_ends_first: _,
        } = *self;
        [renew_lease_at, renew_token_at, rotate_at]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Life {
    /// A life that began with a request sent at `now`; a `granted` of zero is for ever.
    pub fn issued(now: Timestamp, granted: Duration, renewable: bool) -> Self {
        Self {
            issued: now,
            original: granted,
            granted_at: now,
            granted,
            renewable,
            truncated: false,
        }
    }

    /// The life after a renewal that was sent at `now`. Less than nine tenths of the original means that the hard end is near.
    /// Slightly less does not: Vault rounds, and caps a lease at what its token has left.
    #[must_use]
    pub fn renewed(self, now: Timestamp, granted: Duration, renewable: bool) -> Self {
        Self {
            granted_at: now,
            granted,
            renewable,
            truncated: granted < self.original / 10 * 9,
            ..self
        }
    }

    /// The life of which Vault has said that it cannot be renewed any more.
    #[must_use]
    pub fn ending(self) -> Self {
        Self {
            renewable: false,
            ..self
        }
    }

    /// When it ends unless it is renewed; `None` for one that never does.
    pub fn end(&self) -> Option<Timestamp> {
        let endless = self.original.is_zero() && self.granted.is_zero();
        (!endless).then(|| later(self.granted_at, self.granted))
    }

    /// When it ends whatever is done; `None` if that is not known.
    fn hard_end(&self) -> Option<Timestamp> {
        self.end().filter(|_| !self.can_be_renewed())
    }

    fn can_be_renewed(&self) -> bool {
        self.renewable && !self.truncated
    }

    /// How long the last grant lasts, within what timestamps can tell.
    fn span(&self) -> Option<Duration> {
        self.end().map(|end| between(self.granted_at, end))
    }

    /// Whether it seems to have begun clearly after `now`. A twentieth of it is forgiven, so that the clocks of two operators may
    /// differ by a moment; what is due is then late by as much, and still in time.
    fn is_ahead_of(&self, now: Timestamp) -> bool {
        let forgiven = self.span().unwrap_or_default() / 20;
        between(now, self.granted_at) > forgiven
    }

    /// How long after a grant it is renewed, before jitter: at that part of it, but some seconds before its end.
    fn renewed_after(&self, terms: &Terms<'_>) -> Option<Duration> {
        let (least, most) = RENEW_AT_PERCENT;
        let span = self.span()?;
        let wait = span / 100 * u32::from(terms.renew_at_percent.clamp(least, most));
        Some(wait.min(span.saturating_sub(LAST_RENEWAL.min(span / 3))))
    }

    fn renew_at(&self, purpose: &str, terms: &Terms<'_>, now: Timestamp) -> Option<Timestamp> {
        let wait = self
            .renewed_after(terms)
            .filter(|_| self.can_be_renewed())?;
        let ahead = self.is_ahead_of(now);
        let fraction = fraction(purpose, terms, self.granted_at);
        let at = later(self.granted_at, wait.saturating_sub(part(wait, fraction)));
        Some(if ahead { now } else { at })
    }
}

/// What is due for a credential with the life `lease`, asked for by a token with the life `token`; without a `token` by one that
/// somebody else looks after.
///
/// - Lease and token are renewed at `renew_at_percent` of the last grant, moved earlier by jitter, so that what was issued together
///   is not renewed together. A lease that reaches the hard end of its token already is left alone.
/// - The credential is replaced `rotate_before` its hard end, that is, the end of a life that Vault does not renew or has cut
///   short. Not earlier than half of its life, and by default a tenth before the end, or the overlap, but at least 30 seconds and at most a
///   third: a lease of 30 seconds would otherwise be replaced for ever, the moment that it is there. Jitter may add half of that.
/// - It is replaced at `max_age`, but not more often than every minute.
pub fn plan(lease: &Life, token: Option<&Life>, terms: &Terms<'_>, now: Timestamp) -> Plan {
    let ends = [lease.end(), token.and_then(Life::end)];
    let (lease_ends, token_ends) = (lease.hard_end(), token.and_then(Life::hard_end));
    let reaches_it = |end: Timestamp| lease.end().is_some_and(|lease| lease >= end);
    let renew_lease_at = lease
        .renew_at("lease", terms, now)
        .filter(|_| !token_ends.is_some_and(reaches_it));
    let hard_end = lease_ends.into_iter().chain(token_ends).min();
    let ahead = [Some(lease), token]
        .into_iter()
        .flatten()
        .any(|life| life.hard_end().is_some() && life.is_ahead_of(now));
    let rotate_at = hard_end.map(|end| {
        let at = rotate_at(lease, end, terms);
        if ahead { now.min(at) } else { at }
    });
    Plan {
        renew_lease_at,
        renew_token_at: token.and_then(|token| token.renew_at("token", terms, now)),
        rotate_at: rotate_at
            .into_iter()
            .chain(too_old(lease, terms, now))
            .min(),
        expires: ends.into_iter().flatten().min(),
        token_ends_first: token_ends
            .is_some_and(|token| lease_ends.is_none_or(|lease| token < lease)),
    }
}

/// When a renewal that has failed `failures` times in a row, lastly just before `now`, is tried again; `None` if too little of the
/// life is left, so that a new credential is needed.
///
/// It waits longer each time, as every retry does, but tries once more at the last moment at which there is still time to replace
/// the credential: as long before the end as it would be replaced before a hard one, if renewals have left so much.
pub fn retry_at(
    life: &Life,
    failures: u32,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Option<Timestamp> {
    let wait = schedule::backoff(failures.saturating_sub(1), terms.uid);
    let (Some(end), Some(span)) = (life.end(), life.span()) else {
        return Some(later(now, wait));
    };
    if !life.can_be_renewed() {
        return None;
    }
    let left = span.saturating_sub(life.renewed_after(terms).unwrap_or_default());
    let last = earlier(end, rotates_before(span, terms).min(left / 2));
    (now < last).then(|| later(now, wait).min(last))
}

fn rotate_at(lease: &Life, hard_end: Timestamp, terms: &Terms<'_>) -> Timestamp {
    // A token may leave a long lease but little time, and a lease that was renewed often had much more than its original.
    let whole = between(lease.issued, hard_end);
    let life = if lease.original.is_zero() {
        whole
    } else {
        lease.original.min(whole)
    };
    let before = rotates_before(life, terms);
    let fraction = fraction("rotate", terms, hard_end);
    earlier(hard_end, before + part(before, fraction))
}

/// How long before its hard end a credential with such a life is replaced, before jitter.
fn rotates_before(life: Duration, terms: &Terms<'_>) -> Duration {
    match terms.rotate_before {
        Some(before) => before.min(life / 2),
        None => (life / 10)
            .max(LAST_ROTATION)
            .max(terms.overlap)
            .min(life / 3),
    }
}

fn too_old(lease: &Life, terms: &Terms<'_>, now: Timestamp) -> Option<Timestamp> {
    let age = terms.max_age?.max(MIN_MAX_AGE);
    if between(now, lease.issued) > age / 20 {
        return Some(now);
    }
    let fraction = fraction("age", terms, lease.issued);
    let age = age.saturating_sub(part(age, fraction)).max(MIN_MAX_AGE);
    Some(later(lease.issued, age))
}

/// How much of a wait jitter takes: less than half.
fn fraction(purpose: &str, terms: &Terms<'_>, since: Timestamp) -> f64 {
    let most = f64::from(terms.jitter_percent.min(MAX_JITTER_PERCENT)) / 100.0;
    most * schedule::fraction(purpose, terms.uid, since.as_second())
}

fn part(wait: Duration, fraction: f64) -> Duration {
    wait.mul_f64(fraction)
}

/// From the first time to the second; zero if that is not later.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
