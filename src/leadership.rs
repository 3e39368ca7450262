//! Who leads, of several instances: the rules of leader election, as client-go's `leaderelection` has them.
//!
//! A leader writes its name and a counter into a Lease again and again. Whoever sees that Lease unchanged for as long as it says it lasts
//! may put its own name there, under the resource version that it saw. Nobody compares clocks: each instance measures by its own how long
//! it has seen the same, or how long ago it began the renewal that succeeded. A leader stops some time before others may begin.
//!
//! Unlike there, a leader that cannot renew does not end: it does nothing (see [`Tenure`]) until it can, and goes on where it was if nobody
//! has led meanwhile. So an API server that is away for a minute costs no restart of everything and no logins.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The longest that a Lease may last: an hour. Others would be locked out for that long by a leader that died.
pub const LONGEST_LEASE: Duration = Duration::from_hours(1);

/// A moment of this machine, which goes on while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// The moment now.
    pub fn now() -> Self {
        let since_boot = clock_gettime(ClockId::Boottime);
        Self(Duration::try_from(since_boot).unwrap_or_default())
    }

    /// The moment that is so much later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// How long it is from now to this moment; nothing if it is over.
    pub fn from(self, now: Self) -> Duration {
        self.0.saturating_sub(now.0)
    }
}

/// How long everything takes. `renew_deadline` is shorter than `lease` by the time that a leader has to notice that it is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long others wait when they see no renewal.
    pub lease: Duration,
    /// How long a leader leads after the beginning of its last renewal that succeeded.
    pub renew_deadline: Duration,
    /// How often a leader renews.
    pub retry_period: Duration,
}

impl Terms {
    /// Terms that fit together, or what does not.
    pub fn checked(self) -> Result<Self, String> {
        let Self {
            lease,
            renew_deadline,
            retry_period,
        } = self;
        let seconds = |time: Duration| time.as_secs_f64();
        if lease > LONGEST_LEASE || lease.subsec_nanos() != 0 {
            let longest = LONGEST_LEASE.as_secs();
            return Err(format!(
                "--leader-elect-lease-duration must be whole seconds, {longest} at most"
            ));
        }
        if renew_deadline >= lease {
            return Err(format!(
                "--leader-elect-renew-deadline ({} s) must be shorter than --leader-elect-lease-duration ({} s): a leader stops before another begins",
                seconds(renew_deadline),
                seconds(lease)
            ));
        }
        if retry_period.is_zero() || retry_period * 2 > renew_deadline {
            return Err(format!(
                "--leader-elect-retry-period ({} s) must be more than nothing and at most half of --leader-elect-renew-deadline ({} s): one renewal may fail",
                seconds(retry_period),
                seconds(renew_deadline)
            ));
        }
        Ok(self)
    }
}

/// For how long this instance leads, as far as it knows. Whatever must not be done by two looks here first.
#[derive(Debug)]
pub struct Tenure {
    /// Milliseconds since the machine was started.
    until: AtomicU64,
}

impl Tenure {
    /// That of an instance that does not lead yet.
    pub fn none() -> Self {
        Self {
            until: AtomicU64::new(0),
        }
    }

    /// That of an instance that nobody competes with.
    pub fn without_end() -> Self {
        Self {
            until: AtomicU64::new(u64::MAX),
        }
    }

    /// It lasts until then.
    pub fn extend(&self, until: Moment) {
        let millis = u64::try_from(until.0.as_millis()).unwrap_or(u64::MAX);
        self.until.store(millis, Ordering::Release);
    }

    /// It is over.
    pub fn end(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// Whether it lasts at that moment.
    pub fn lasts(&self, now: Moment) -> bool {
        now.0.as_millis() < u128::from(self.until.load(Ordering::Acquire))
    }

    /// Whether it lasts now.
    pub fn leads(&self) -> bool {
        self.lasts(Moment::now())
    }
}

/// Something that only a leader may do was refused, because this instance is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this instance does not lead at present: nothing is changed until it leads again or another one does"
)]
pub struct NotLeading;

/// What the Lease says of who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name of the leader; empty if it has resigned.
    pub holder: String,
    /// How long it may be silent.
    pub lease: Duration,
    /// The resource version: another one is a sign of life.
    pub version: String,
}

/// What an instance that does not lead has seen of the Lease.
#[derive(Debug, Default)]
pub enum Seen {
    /// Nothing yet.
    #[default]
    Nothing,
    /// This, since that moment.
    Claimed(Claim, Moment),
    /// That there is none. It may be made from that moment on: whoever held one that somebody has deleted leads on for a while.
    Absent(Moment),
}

/// What an instance that wants to lead may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chance {
    /// Nothing is known of the Lease yet.
    Unknown,
    /// Make the Lease: there is none.
    Make,
    /// Take the Lease that has this resource version.
    Take(String),
    /// Wait for so long, or for news: somebody of that name leads, or may do so still.
    Wait(Duration, String),
}

impl Seen {
    /// Notes what the Lease is like now; `None` if there is none.
    pub fn note(&mut self, claim: Option<Claim>, now: Moment) {
        *self = match (std::mem::take(self), claim) {
            (Self::Claimed(seen, since), Some(claim)) if seen == claim => {
                Self::Claimed(seen, since)
            }
            (_, Some(claim)) => Self::Claimed(claim, now),
            (Self::Claimed(seen, _), None) if !seen.holder.is_empty() => {
                Self::Absent(now.after(seen.lease))
            }
            (Self::Absent(from), None) => Self::Absent(from),
            (_, None) => Self::Absent(now),
        };
    }

    /// What an instance of that name may do now.
    pub fn chance(&self, own: &str, now: Moment) -> Chance {
        let (from, holder) = match self {
            Self::Nothing => return Chance::Unknown,
            Self::Absent(from) => (*from, ""),
            // A name is that of one process at a time: what bears it is what an earlier one left behind.
            Self::Claimed(claim, _) if claim.holder.is_empty() || claim.holder == own => (now, ""),
            Self::Claimed(claim, since) => (since.after(claim.lease), claim.holder.as_str()),
        };
        match self {
            _ if now < from => Chance::Wait(from.from(now), holder.into()),
            Self::Claimed(claim, _) => Chance::Take(claim.version.clone()),
            _ => Chance::Make,
        }
    }
}

/// What a leader does whose renewal was refused, by what the Lease says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is still the leader: go on from what the Lease is now.
    GoOn,
    /// Somebody has deleted the Lease, but nobody can lead yet: make it again.
    MakeAgain,
    /// Another one leads, or has led; this one has no name if it has resigned already, or if nobody can tell.
    Lost(String),
}

/// What a leader does whose renewal was refused. A tenure that `lasts` is proof that nobody else can lead yet.
pub fn verdict(own: &str, claim: Option<Claim>, lasts: bool) -> Verdict {
    match claim {
        Some(claim) if claim.holder == own => Verdict::GoOn,
        Some(claim) => Verdict::Lost(claim.holder),
        None if lasts => Verdict::MakeAgain,
        None => Verdict::Lost(String::new()),
    }
}

/// What an instance is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not begun to work yet.
    Starting,
    /// Another one leads, of that name; nobody yet if it is empty.
    StandingBy(String),
    /// It works.
    Working,
    /// It has been asked to end, or has to.
    Stopping,
}

impl Standing {
    /// Whether the instance does what it is there for: one that stands by does.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::StandingBy(_) | Self::Working)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("the caches are not filled yet"),
            Self::StandingBy(leader) if leader.is_empty() => f.write_str("standing by"),
            Self::StandingBy(leader) => write!(f, "standing by: {leader} leads"),
            Self::Working => f.write_str("ok"),
            Self::Stopping => f.write_str("stopping"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn claim(holder: &str, version: &str) -> Claim {
        Claim {
            holder: holder.into(),
            lease: LEASE,
            version: version.into(),
        }
    }

    fn seen(claim: Option<Claim>, when: Moment) -> Seen {
        let mut seen = Seen::default();
        seen.note(claim, when);
        seen
    }

    #[test]
    fn a_lease_may_be_taken_once_it_was_seen_unchanged_for_as_long_as_it_lasts() {
        let mut seen = seen(Some(claim("other", "1")), at(100));
        let wait = |seconds| Chance::Wait(Duration::from_secs(seconds), "other".into());
        assert_eq!(seen.chance("me", at(100)), wait(15));
        seen.note(Some(claim("other", "1")), at(110));
        assert_eq!(seen.chance("me", at(114)), wait(1));
        assert_eq!(seen.chance("me", at(115)), Chance::Take("1".into()));
        seen.note(Some(claim("other", "2")), at(115));
        assert_eq!(seen.chance("me", at(115)), wait(15));
    }

    #[test]
    fn a_lease_that_was_given_up_or_is_ones_own_is_taken_at_once_and_a_missing_one_made() {
        for holder in ["", "me"] {
            let seen = seen(Some(claim(holder, "7")), at(0));
            let chance = seen.chance("me", at(0));
            assert_eq!(chance, Chance::Take("7".into()), "{holder:?}");
        }
        assert_eq!(seen(None, at(0)).chance("me", at(0)), Chance::Make);
        assert_eq!(Seen::default().chance("me", at(9)), Chance::Unknown);
    }

    #[test]
    fn a_lease_that_somebody_deleted_is_made_when_whoever_held_it_cannot_lead_any_more() {
        let mut seen = seen(Some(claim("other", "1")), at(100));
        seen.note(None, at(103));
        seen.note(None, at(110));
        let wait = Chance::Wait(Duration::from_secs(1), String::new());
        assert_eq!(seen.chance("me", at(117)), wait);
        assert_eq!(seen.chance("me", at(118)), Chance::Make);
        seen.note(Some(claim("", "2")), at(119));
        seen.note(None, at(120));
        assert_eq!(seen.chance("me", at(120)), Chance::Make);
    }

    #[test]
    fn a_leader_goes_on_unless_another_one_has_led_or_may_have() {
        let own = || Some(claim("me", "3"));
        assert_eq!(verdict("me", own(), true), Verdict::GoOn);
        assert_eq!(verdict("me", own(), false), Verdict::GoOn);
        for holder in ["other", ""] {
            let lost = Verdict::Lost(holder.into());
            assert_eq!(verdict("me", Some(claim(holder, "4")), true), lost);
        }
        assert_eq!(verdict("me", None, true), Verdict::MakeAgain);
        assert_eq!(verdict("me", None, false), Verdict::Lost(String::new()));
    }

    #[test]
    fn a_tenure_lasts_to_its_end_and_not_a_moment_longer() {
        let tenure = Tenure::none();
        assert!(!tenure.leads());
        tenure.extend(at(10));
        assert!(tenure.lasts(Moment(Duration::from_millis(9_999))));
        assert!(!tenure.lasts(at(10)));
        tenure.extend(Moment::now().after(Duration::from_hours(1)));
        assert!(tenure.leads());
        tenure.end();
        assert!(!tenure.leads());
        assert!(Tenure::without_end().leads());
    }

    #[test]
    fn terms_that_do_not_fit_together_are_told_by_flag() {
        let terms = |lease, deadline, retry| {
            let terms = Terms {
                lease: Duration::from_millis(lease),
                renew_deadline: Duration::from_millis(deadline),
                retry_period: Duration::from_millis(retry),
            };
            terms.checked().err().unwrap_or_default()
        };
        assert_eq!(terms(15_000, 10_000, 2_000), "");
        let first_word = |text: String| text.split(' ').next().unwrap_or_default().to_owned();
        for (lease, deadline, retry, flag) in [
            (1_500, 1_000, 200, "--leader-elect-lease-duration"),
            (3_601_000, 1_000, 200, "--leader-elect-lease-duration"),
            (10_000, 10_000, 2_000, "--leader-elect-renew-deadline"),
            (15_000, 10_000, 0, "--leader-elect-retry-period"),
            (15_000, 10_000, 5_001, "--leader-elect-retry-period"),
        ] {
            assert_eq!(first_word(terms(lease, deadline, retry)), flag);
        }
    }

    proptest! {
        /// A leader renews and is cut off at any time; another one watches, and hears of each renewal at any time after it. They never lead both.
        #[test]
        fn two_never_lead_at_once(
            renewals in prop::collection::vec((0_u64..4_000, 0_u64..8_000, 0_u64..20_000), 1..20),
            probe in 0_u64..400_000,
        ) {
            let millis = |time| Moment(Duration::from_millis(time));
            let deadline = Duration::from_secs(10);
            let tenure = Tenure::none();
            let mut other = Seen::default();
            let (mut now, mut heard) = (0, 0);
            for (number, (pause, travel, later)) in renewals.into_iter().enumerate() {
                let sent = now + pause;
                // The server has it some time after it was sent, and the other hears of it later still.
                let arrived = sent + travel;
                let next_heard = heard.max(arrived + later);
                if other.chance("b", millis(arrived)) == Chance::Take(number.to_string()) {
                    break;
                }
                other.note(Some(claim("a", &(number + 1).to_string())), millis(next_heard));
                heard = next_heard;
                tenure.extend(millis(sent).after(deadline));
                now = arrived;
            }
            let when = millis(heard + probe);
            let takes = matches!(other.chance("b", when), Chance::Take(_));
            prop_assert!(!(takes && tenure.lasts(when)), "both lead at {when:?}");
        }
    }
}
