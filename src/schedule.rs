//! When to look again: polls that do not line up, retries that give way, and durations as people write them.
//!
//! A thousand objects that were created by one `kubectl apply`, or seen first by one restart, must not ask Vault in
//! the same second for ever after. So every wait is moved by an amount that looks random but comes from the object's
//! UID: the same object at the same time always gets the same answer, which makes decisions repeatable and testable.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The longest duration that is accepted anywhere: ten years of 365 days.
pub const MAX_DURATION: Duration = Duration::from_hours(10 * 365 * 24);

/// The largest part of an interval that jitter may take, in percent.
pub const MAX_JITTER_PERCENT: u8 = 50;

/// The wait after the first failure, before jitter.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// The wait that doubling ends at, before jitter: with 20 % on top it is five minutes.
const LAST_BACKOFF: Duration = Duration::from_secs(250);

/// How much a back-off may differ from the plain doubling, in percent to either side.
const BACKOFF_JITTER_PERCENT: u8 = 20;

/// How long after a start the object is polled for the first time: at least zero, less than `interval`, and evenly
/// spread over it when there are many objects.
pub fn spread(uid: &str, interval: Duration) -> Duration {
    interval
        .min(MAX_DURATION)
        .mul_f64(fraction("spread", uid, 0))
}

/// When a source that was last read at `last` is due again: `interval` later, give or take `jitter_percent` of it
/// (at most 50). The same arguments give the same answer, and every read moves the next by another amount.
/// `None` if the interval is zero, which means: never by time alone.
pub fn next_poll(
    uid: &str,
    last: Timestamp,
    interval: Duration,
    jitter_percent: u8,
) -> Option<Timestamp> {
    if interval.is_zero() {
        return None;
    }
    let wait = vary(
        interval,
        jitter_percent,
        fraction("poll", uid, last.as_second()),
    );
    Some(last.checked_add(wait).unwrap_or(Timestamp::MAX))
}

/// How long to wait after the failure with the number `attempt`, counted from 0: one second, doubling, five minutes
/// at most, and up to a fifth shorter or longer by `seed`, which names the object.
pub fn backoff(attempt: u32, seed: &str) -> Duration {
    let factor = 2_u32.saturating_pow(attempt);
    let plain = FIRST_BACKOFF.saturating_mul(factor).min(LAST_BACKOFF);
    vary(
        plain,
        BACKOFF_JITTER_PERCENT,
        fraction("backoff", seed, attempt.into()),
    )
}

/// How long to wait before something is looked at again that has lasted for `since`: a quarter of that, at least `first` and at
/// most `last`, and up to a fifth shorter or longer by `seed`, which names the object. It needs no count of the looks, so it
/// goes on where it was after a restart.
pub fn growing(seed: &str, since: Duration, first: Duration, last: Duration) -> Duration {
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    vary(
        (since / 4).max(first).min(last),
        BACKOFF_JITTER_PERCENT,
        fraction("growing", seed, seconds),
    )
}

/// Reads a duration as people write it into a spec, such as `10m`, `1h30m` or `0s`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let fail = |problem| DurationError {
        text: text.chars().take(40).collect(),
        problem,
    };
    let mut units = [('h', 3600), ('m', 60), ('s', 1)].into_iter();
    let mut total: u64 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return Err(fail(DurationProblem::Form));
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let mut after = after.chars();
        let unit = after.next();
        // The units that were passed over are used up, so each comes at most once and in this order.
        let seconds = units
            .find(|(name, _)| Some(*name) == unit)
            .map(|(_, seconds)| seconds);
        let seconds = seconds
            .filter(|_| digits > 0)
            .ok_or_else(|| fail(DurationProblem::Form))?;
        // Only digits are left that can fail to be a number: too many of them.
        let number: u64 = number.parse().map_err(|_| fail(DurationProblem::TooLong))?;
        total = total.saturating_add(number.saturating_mul(seconds));
        rest = after.as_str();
    }
    let duration = Duration::from_secs(total);
    if duration > MAX_DURATION {
        Err(fail(DurationProblem::TooLong))
    } else {
        Ok(duration)
    }
}

/// The text is no duration, or one that is too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read {text:?} as a duration: {problem}")]
pub struct DurationError {
    /// The text, of which at most 40 characters are kept.
    text: String,
    /// What is wrong with it.
    problem: DurationProblem,
}

/// What is wrong with a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum DurationProblem {
    #[error(
        "write whole numbers with the units h, m and s, each at most once and in that order, such as 10m, 1h30m or 0s"
    )]
    Form,
    #[error("use at most 87600h, which is ten years")]
    TooLong,
}

/// `plain`, moved by up to `percent` to either side, as far as `fraction` of the whole range says.
fn vary(plain: Duration, percent: u8, fraction: f64) -> Duration {
    let part = f64::from(percent.min(MAX_JITTER_PERCENT)) / 100.0;
    plain
        .min(MAX_DURATION)
        .mul_f64(1.0 + part * (2.0 * fraction - 1.0))
}

/// A number from 0 up to, but not including, 1 that depends on all arguments and looks random.
pub(crate) fn fraction(purpose: &str, seed: &str, count: i64) -> f64 {
    let digest = Sha256::new()
        .chain_update(purpose)
        .chain_update(count.to_be_bytes())
        .chain_update(seed)
        .finalize();
    let first = digest
        .iter()
        .take(4)
        .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    f64::from(first) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN_MINUTES: Duration = Duration::from_mins(10);

    fn uids(count: usize) -> impl Iterator<Item = String> {
        (0..count).map(|number| format!("6f9619ff-8b86-4d01-b42d-{number:012}"))
    }

    #[test]
    fn a_thousand_objects_are_spread_evenly_over_the_interval() {
        let mut minutes = [0_u32; 10];
        for uid in uids(1000) {
            let wait = spread(&uid, TEN_MINUTES);
            minutes[usize::try_from(wait.as_secs() / 60).unwrap()] += 1;
        }
        assert!(
            minutes.iter().all(|count| (60..=140).contains(count)),
            "{minutes:?}"
        );
    }

    #[test]
    fn objects_that_were_read_together_are_read_apart_the_next_time() {
        let last = Timestamp::UNIX_EPOCH;
        let mut due: Vec<_> = uids(1000)
            .filter_map(|uid| next_poll(&uid, last, TEN_MINUTES, 10))
            .collect();
        due.sort();
        let (first, end) = (due[0].as_second(), due[999].as_second());
        assert!(
            (540..560).contains(&first) && (640..660).contains(&end),
            "from {first} s to {end} s"
        );
    }

    #[test]
    fn each_read_moves_the_next_by_another_amount() {
        let wait = |second| {
            let last = Timestamp::from_second(second).unwrap();
            next_poll("uid", last, TEN_MINUTES, 10)
                .unwrap()
                .duration_since(last)
        };
        assert_ne!(wait(0), wait(1));
    }

    #[test]
    fn without_jitter_the_next_poll_is_exactly_one_interval_later() {
        let last = Timestamp::UNIX_EPOCH;
        assert_eq!(
            next_poll("uid", last, TEN_MINUTES, 0),
            Some(last + TEN_MINUTES)
        );
    }

    #[test]
    fn an_interval_of_zero_never_polls() {
        assert_eq!(
            next_poll("uid", Timestamp::UNIX_EPOCH, Duration::ZERO, 10),
            None
        );
    }

    #[test]
    fn retries_wait_about_one_second_then_twice_as_long_up_to_five_minutes() {
        let waits: Vec<u128> = (0..12)
            .map(|attempt| backoff(attempt, "uid").as_millis())
            .collect();
        for (attempt, millis) in waits.iter().enumerate() {
            let plain = (1000_u128 << attempt).min(250_000);
            assert!(
                (plain * 8 / 10..=plain * 12 / 10).contains(millis),
                "attempt {attempt} of {waits:?}"
            );
        }
        assert_ne!(backoff(3, "one"), backoff(3, "two"));
    }

    #[test]
    fn what_lasts_is_looked_at_less_and_less_often() {
        let (first, last) = (Duration::from_secs(1), Duration::from_secs(15));
        let pause = |since| growing("uid", Duration::from_secs(since), first, last).as_millis();
        for (since, plain) in [
            (0, 1000),
            (4, 1000),
            (20, 5000),
            (60, 15_000),
            (86_400, 15_000),
        ] {
            let range = plain * 8 / 10..=plain * 12 / 10;
            assert!(
                range.contains(&pause(since)),
                "{since} s: {} ms",
                pause(since)
            );
        }
        assert_ne!(
            growing("one", last, first, last),
            growing("two", last, first, last)
        );
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5400),
            ("1h5s", 3605),
            ("2h0m1s", 7201),
            ("87600h", 315_360_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_form_that_is_one() {
        for text in [
            "", " ", "10", "m", "10 m", "-1s", "+1s", "1.5h", "30m1h", "1m1m", "1d", "1H", "5ms",
            "١m", "1h\n",
        ] {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(error.problem, DurationProblem::Form, "{text:?}");
        }
        insta::assert_snapshot!(parse_duration("ten").unwrap_err(), @r#"read "ten" as a duration: write whole numbers with the units h, m and s, each at most once and in that order, such as 10m, 1h30m or 0s"#);
    }

    #[test]
    fn more_than_ten_years_is_refused() {
        for text in [
            "87600h1s",
            "99999999999999999999h",
            "18446744073709551615h18446744073709551615m",
        ] {
            assert_eq!(
                parse_duration(text).unwrap_err().problem,
                DurationProblem::TooLong,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_spread_is_less_than_its_interval_and_repeatable(uid in ".{0,40}", seconds in 1_u64..=u64::MAX) {
            let interval = Duration::from_secs(seconds);
            let wait = spread(&uid, interval);
            prop_assert!(wait < interval, "{:?}", wait);
            prop_assert_eq!(wait, spread(&uid, interval));
        }

        #[test]
        fn a_poll_stays_within_its_jitter(uid in ".{0,40}", second in 0_i64..4_000_000_000, seconds in 1_u64..315_360_000, percent: u8) {
            let (last, interval) = (Timestamp::from_second(second).unwrap(), Duration::from_secs(seconds));
            let due = next_poll(&uid, last, interval, percent).unwrap();
            prop_assert_eq!(Some(due), next_poll(&uid, last, interval, percent));
            let wait = due.duration_since(last).as_secs_f64();
            let slack = interval.as_secs_f64() * f64::from(percent.min(50)) / 100.0 + 1e-3;
            prop_assert!((wait - interval.as_secs_f64()).abs() <= slack, "{} s", wait);
        }

        #[test]
        fn no_time_or_interval_overflows(second in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(), interval: Duration, percent: u8, attempt: u32) {
            let last = Timestamp::from_second(second).unwrap();
            prop_assert_eq!(next_poll("uid", last, interval, percent).is_none(), interval.is_zero());
            prop_assert!(backoff(attempt, "uid") <= Duration::from_mins(5));
        }

        #[test]
        fn a_duration_is_what_its_parts_add_up_to(h in 0_u64..9000, m in 0_u64..9000, s in 0_u64..9000) {
            let expected = Duration::from_secs(h * 3600 + m * 60 + s);
            prop_assert_eq!(parse_duration(&format!("{h}h{m}m{s}s")).ok(), Some(expected));
        }

        #[test]
        fn any_text_is_a_duration_or_an_error(text in "[0-9hms. -]{0,30}|.{0,20}") {
            if let Ok(duration) = parse_duration(&text) {
                prop_assert!(duration <= MAX_DURATION);
            }
        }
    }
}
