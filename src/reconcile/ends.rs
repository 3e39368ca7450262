//! When what was issued ends without a lease that tells so, and when it is asked for anew because its object says so: a token that was issued as a
//! credential, a request that is repeated. The record has all of it.

use std::time::Duration;

use jiff::Timestamp;

use super::entries::{live, own_record};
use super::issued::{IssuedJob, Kind, refresh_interval, renew_before, terms};
use super::observe::Observed;
use super::resolve::Job;
use crate::api::status::SessionStatus;
use crate::lease::{Life, Terms, plan};
use crate::minting::CLOCK_MARGIN;
use crate::record::SourceRecord;
use crate::schedule;

/// When something is due of what the Secret holds, beside its leases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// When new credentials are to be issued.
    pub rotate_at: Option<Timestamp>,
    /// When the first of the credentials ends.
    pub expires: Option<Timestamp>,
    /// When the first of them ends that somebody may still need then: what was wrapped was there to be taken out once. By our own clock.
    pub useless_at: Option<Timestamp>,
}

/// What the credentials in the Secret need their session for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Nothing: they live without it.
    Nothing,
    /// They may end with it, but that is no reason to issue new ones: what was wrapped was there to be taken out once.
    Renewals,
    /// They end with it.
    Life,
}

/// What is due, as far as this pass knows.
pub fn ends_of(observed: &Observed) -> Ends {
    let lives = observed.tended.live.as_ref();
    ends(observed, lives.and_then(|lives| lives.token.as_ref()))
}

/// What is due, with a session whose token has that life.
pub fn ends(observed: &Observed, token: Option<&Life>) -> Ends {
    let terms = terms(&observed.object);
    let record = own_record(observed).filter(|record| record.session.is_some());
    let sources = record.into_iter().flat_map(|record| &record.sources);
    let mut all = Ends::default();
    for (name, source) in sources {
        let one = match source {
            SourceRecord::Certificate { .. } => {
                certificate_end(source, renew_before(&observed.object, name), &terms)
            }
            _ => end(source, token, &terms, observed.now),
        };
        let repeat = refresh_interval(&observed.object, name);
        let repeat = repeat.and_then(|every| repeat_at(source.issued()?, every, &terms));
        all.rotate_at = sooner(all.rotate_at, sooner(one.rotate_at, repeat));
        all.expires = sooner(all.expires, one.expires);
        all.useless_at = sooner(all.useless_at, one.useless_at);
    }
    all
}

fn end(source: &SourceRecord, token: Option<&Life>, terms: &Terms<'_>, now: Timestamp) -> Ends {
    match source {
        SourceRecord::Token {
            seconds,
            wraps,
            issued,
            ..
        } => {
            let issued = Timestamp::from_second(*issued).unwrap_or(Timestamp::MIN);
            let life = Life::issued(issued, Duration::from_secs(*seconds), false);
            if *wraps {
                return Ends {
                    expires: life.end(),
                    ..Ends::default()
                };
            }
            let plan = plan(&life, token, terms, now);
            Ends {
                rotate_at: plan.rotate_at,
                expires: plan.expires,
                useless_at: plan.expires,
            }
        }
        SourceRecord::Static { .. }
        | SourceRecord::Lease { .. }
        | SourceRecord::Certificate { .. }
        | SourceRecord::Written { .. } => Ends::default(),
    }
}

/// The least time between two certificates, where they live for long enough: what uses them is restarted each time.
const LEAST_LIFE: i64 = 60;

/// By how much engines date certificates back, as they come.
const DATED_BACK: i64 = 30;

/// When a certificate ends, and when it is replaced: a third of its life before that, or `before`, but not before half of its life; jitter
/// moves it earlier, by at most half of that. Where our clock is a little less than its life ahead of Vault's it seems to have hardly any life
/// left. It is not replaced at once even then, but after a minute, or a third of its life.
fn certificate_end(source: &SourceRecord, before: Option<Duration>, terms: &Terms<'_>) -> Ends {
    let SourceRecord::Certificate {
        not_before,
        not_after,
        issued,
        ..
    } = source
    else {
        return Ends::default();
    };
    let life = certificate_life(*not_before, *not_after, *issued);
    let before = before.map_or(life / 3, |before| {
        i64::try_from(before.as_secs())
            .unwrap_or(life)
            .min(life / 2)
    });
    let most = f64::from(terms.jitter_percent.min(schedule::MAX_JITTER_PERCENT)) / 100.0;
    let jitter = most * schedule::fraction("certificate", terms.uid, *issued);
    let before = Duration::from_secs(before.unsigned_abs());
    let earlier = before.saturating_add(before.mul_f64(jitter));
    let nominal = not_after.saturating_sub(*not_before).max(0);
    let at = |second| Timestamp::from_second(second).ok();
    let least = at(issued.saturating_add(LEAST_LIFE.min(nominal / 3)));
    let end = at(issued.saturating_add(life));
    let due = end.and_then(|end| end.checked_sub(earlier).ok());
    Ends {
        rotate_at: due.max(least),
        expires: at(*not_after),
        useless_at: end,
    }
}

/// For how many seconds a certificate lives from the moment of its issue by our clock. The times in it are Vault's, which may have another one. That is certain
/// where it begins in our future, and as good as certain where it is about to end before it was used and began long before we asked. Then what
/// counts is how long it lives by its own words, less what such a time is dated back; rather too little than too much.
fn certificate_life(not_before: i64, not_after: i64, issued: i64) -> i64 {
    let margin = i64::try_from(CLOCK_MARGIN.as_secs()).unwrap_or(0);
    let left = not_after.saturating_sub(issued);
    let age = issued.saturating_sub(not_before);
    let ahead = left < LEAST_LIFE && age > DATED_BACK + margin;
    if ahead || age < 0 {
        let nominal = not_after.saturating_sub(not_before).max(0);
        (nominal - DATED_BACK).max(nominal / 2)
    } else {
        left.max(0)
    }
}

/// When a request of that time is repeated: jitter moves it earlier.
fn repeat_at(issued: i64, every: Duration, terms: &Terms<'_>) -> Option<Timestamp> {
    let most = f64::from(terms.jitter_percent) / 100.0;
    let earlier = every.mul_f64(most * schedule::fraction("repeat", terms.uid, issued));
    let issued = Timestamp::from_second(issued).ok()?;
    issued.checked_add(every.saturating_sub(earlier)).ok()
}

/// What the session is needed for. One that the Secret held until lately is kept for whoever still uses what it issued.
pub fn needs(session: &SessionStatus, observed: &Observed) -> Need {
    if Some(session.accessor.as_str()) != live(observed) {
        return Need::Life;
    }
    let sources = own_record(observed).map(|record| &record.sources);
    let needs = sources.into_iter().flatten().map(|(name, source)| {
        let is_read = |name: &str| {
            let mut sources = observed.object.spec.sources.iter();
            sources.any(|source| source.name == name && source.read.is_some())
        };
        match source {
            SourceRecord::Lease { .. }
            | SourceRecord::Token { wraps: false, .. }
            | SourceRecord::Certificate { lease: Some(_), .. } => Need::Life,
            SourceRecord::Token { wraps: true, .. } => Need::Renewals,
            // It is read again with it.
            SourceRecord::Static { .. } if is_read(name) => Need::Life,
            SourceRecord::Static { .. }
            | SourceRecord::Certificate { lease: None, .. }
            | SourceRecord::Written { .. } => Need::Nothing,
        }
    });
    needs.max().unwrap_or(Need::Nothing)
}

/// The sources that were issued without a lease and may be another thing by now: they are read again like an entry of a KV engine, but in the session that
/// the object has.
pub fn read_again<'a>(job: &'a Job, observed: &Observed) -> Vec<&'a IssuedJob> {
    let record = own_record(observed).filter(|record| record.session.is_some());
    let is_static = |source: &&IssuedJob| {
        let known = record.and_then(|record| record.sources.get(&source.name));
        source.kind == Kind::Read && matches!(known, Some(SourceRecord::Static { .. }))
    };
    job.issued.iter().filter(is_static).collect()
}

/// The lease that a record tells of, with its life as it was at first.
pub fn lease_life(source: &SourceRecord) -> Option<(String, Option<Life>)> {
    match source {
        SourceRecord::Lease {
            place: _,
            id,
            seconds,
            renewable,
            issued,
        } => {
            let issued = Timestamp::from_second(*issued).unwrap_or(Timestamp::MIN);
            let life = Life::issued(issued, Duration::from_secs(*seconds), *renewable);
            Some((id.clone(), Some(life)))
        }
        SourceRecord::Certificate {
            issued,
            not_before,
            not_after,
            lease,
            ..
        } => {
            let life = certificate_life(*not_before, *not_after, *issued);
            let seconds = life.unsigned_abs();
            let issued = Timestamp::from_second(*issued).unwrap_or(Timestamp::MIN);
            let life = Life::issued(issued, Duration::from_secs(seconds), false);
            lease.clone().map(|id| (id, Some(life)))
        }
        SourceRecord::Static { .. } | SourceRecord::Token { .. } | SourceRecord::Written { .. } => {
            None
        }
    }
}

fn sooner(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms<'static> = Terms {
        renew_at_percent: 67,
        rotate_before: None,
        overlap: Duration::ZERO,
        max_age: None,
        jitter_percent: 0,
        uid: "6f9619ff",
    };

    /// When a certificate that was issued at 0 and lives so long is replaced, in seconds.
    fn replaced(backdated: i64, life: i64, before: Option<u64>, terms: &Terms<'_>) -> i64 {
        let certificate = SourceRecord::Certificate {
            place: String::new(),
            serial: "1".to_owned(),
            not_before: -backdated,
            not_after: life,
            issued: 0,
            lease: None,
        };
        let ends = certificate_end(&certificate, before.map(Duration::from_secs), terms);
        assert_eq!(ends.expires.unwrap().as_second(), life);
        ends.rotate_at.unwrap().as_second()
    }

    #[test]
    fn a_certificate_is_replaced_a_third_of_its_life_before_its_end_or_as_asked() {
        assert_eq!(replaced(30, 3600, None, &TERMS), 2400);
        assert_eq!(replaced(30, 3600, Some(600), &TERMS), 3000);
        assert_eq!(replaced(30, 3600, Some(100_000), &TERMS), 1800);
        assert_eq!(replaced(30, 30, None, &TERMS), 20);
    }

    #[test]
    fn jitter_moves_the_replacement_of_a_certificate_earlier_only() {
        let jittery = Terms {
            jitter_percent: 50,
            ..TERMS
        };
        let at = replaced(30, 36_000, None, &jittery);
        assert!((18_000..24_000).contains(&at), "{at}");
    }

    #[test]
    fn a_certificate_that_was_issued_by_another_clock_is_replaced_by_its_own_life() {
        // For an hour, an hour and a half and a day ago as our clock has it.
        assert_eq!(replaced(3630, 0, None, &TERMS), 2400);
        assert_eq!(replaced(3600 + 1830, -1800, None, &TERMS), 2400);
        assert_eq!(replaced(86_400 + 30, 3600 - 86_400, None, &TERMS), 2400);
        // For an hour, and for half a minute, in an hour.
        assert_eq!(replaced(30 - 3600, 7200, None, &TERMS), 2400);
        assert_eq!(replaced(30 - 3600, 3630, None, &TERMS), 20);
        assert_eq!(replaced(30 - 3600, 7200, Some(600), &TERMS), 3000);
    }

    #[test]
    fn a_clock_that_is_ahead_does_not_have_certificates_issued_without_end() {
        // For an hour, almost an hour ago as our clock has it.
        assert_eq!(replaced(3540, 90, None, &TERMS), 60);
        assert_eq!(replaced(3570, 60, None, &TERMS), 60);
        // For so little that it cannot be told from one that is used up.
        assert_eq!(replaced(60, 1, None, &TERMS), 20);
    }

    #[test]
    fn a_certificate_that_is_dated_back_by_a_day_is_replaced_before_its_end() {
        assert_eq!(replaced(86_400, 3600, None, &TERMS), 2400);
        assert_eq!(replaced(86_400, 90, None, &TERMS), 60);
    }

    #[test]
    fn a_request_is_repeated_after_its_interval() {
        let every = Duration::from_mins(10);
        assert_eq!(repeat_at(100, every, &TERMS).unwrap().as_second(), 700);
    }
}
