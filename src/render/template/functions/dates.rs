//! Times that are given as values. What time it is, no template is told.

use gotmpl::Value;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::super::error::Fault;
use super::{Args, Function, Group, layouts, made, row};

/// The group.
pub const GROUP: Group = Group {
    title: "Times",
    note: "A time is a text such as `2030-01-31T12:00:00Z`, as `toDate` gives it and Vault tells it, or the seconds since 1970. Layouts are Go's: `2006-01-02 15:04:05`. Where no zone is named it is UTC. What time it is, no template is told, so there is no `now` and no `ago`: the same sources make the same Secret.",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("date", "LAYOUT TIME"),
        "TIME in that layout.",
        (
            r#"{{ date "02.01.2006" "2030-01-31T12:00:00Z" }}"#,
            "31.01.2030",
        ),
        |a| made(layouts::format(a.text(0)?, &time(a, 1, "UTC")?)),
    ),
    row(
        ("dateInZone", "LAYOUT TIME ZONE"),
        "The same in a zone such as `Europe/Paris`.",
        (
            r#"{{ dateInZone "15:04 MST" 0 "Europe/Paris" }}"#,
            "01:00 CET",
        ),
        |a| made(layouts::format(a.text(0)?, &time(a, 1, a.text(2)?)?)),
    )
    .also(&["date_in_zone"]),
    row(
        ("htmlDate", "TIME"),
        "TIME as year, month and day.",
        ("{{ htmlDate 0 }}", "1970-01-01"),
        |a| made(layouts::format("2006-01-02", &time(a, 0, "UTC")?)),
    ),
    row(
        ("htmlDateInZone", "TIME ZONE"),
        "The same in a zone.",
        (r#"{{ htmlDateInZone 0 "America/New_York" }}"#, "1969-12-31"),
        |a| made(layouts::format("2006-01-02", &time(a, 0, a.text(1)?)?)),
    ),
    row(
        ("toDate", "LAYOUT TEXT"),
        "The time that TEXT tells in that layout.",
        (
            r#"{{ toDate "02.01.2006" "31.01.2030" }}"#,
            "2030-01-31T00:00:00Z",
        ),
        |a| {
            let read = layouts::parse(a.text(0)?, a.text(1)?);
            written(read.ok_or_else(|| a.refuse("the text tells no time in that layout"))?)
        },
    )
    .also(&["mustToDate"]),
    row(
        ("dateModify", "DURATION TIME"),
        "TIME with a duration added, such as `-1h30m`.",
        (
            r#"{{ dateModify "-1h" "2030-01-31T12:00:00Z" }}"#,
            "2030-01-31T11:00:00Z",
        ),
        |a| {
            let sum = moment(a, 1)?.checked_add(span(a, 0)?);
            written(sum.map_err(|_| a.refuse("the time lies too far away"))?)
        },
    )
    .also(&["mustDateModify", "date_modify", "must_date_modify"]),
    row(
        ("unixEpoch", "TIME"),
        "The seconds since 1970, as a text.",
        (r#"{{ unixEpoch "2030-01-31T12:00:00Z" }}"#, "1896091200"),
        |a| made(moment(a, 0)?.as_second().to_string()),
    ),
    row(
        ("duration", "SECONDS"),
        "So many seconds as a duration.",
        ("{{ duration 95 }}", "1m35s"),
        |a| {
            let seconds = a.int(0)?;
            made(shown(seconds))
        },
    ),
    row(
        ("durationRound", "DURATION"),
        "A duration by its greatest unit.",
        (r#"{{ durationRound "2h10m5s" }}"#, "2h"),
        rounded,
    ),
];

/// A time in a zone. The zones are those that are built into this program, and not the machine's.
fn time(a: &Args<'_>, index: usize, zone: &str) -> Result<Zoned, Fault> {
    let zone = match zone {
        "" | "UTC" | "Local" => TimeZone::UTC,
        name => {
            let known = TimeZoneDatabase::bundled().get(name);
            known.map_err(|_| a.refuse("there is no such zone; write one such as Europe/Paris"))?
        }
    };
    Ok(moment(a, index)?.to_zoned(zone))
}

fn moment(a: &Args<'_>, index: usize) -> Result<Timestamp, Fault> {
    let value = a.any(index);
    let found = match value {
        Value::Int(seconds) => Timestamp::from_second(*seconds).ok(),
        Value::String(text) => match text.parse() {
            Ok(time) => Some(time),
            Err(_) => text
                .parse()
                .ok()
                .and_then(|seconds| Timestamp::from_second(seconds).ok()),
        },
        other => return Err(a.wrong(index, other, "a time")),
    };
    found.ok_or_else(|| {
        a.refuse("a time is a text such as 2030-01-31T12:00:00Z, or the seconds since 1970; toDate reads others")
    })
}

fn written(time: Timestamp) -> Result<Value, Fault> {
    made(time.to_string())
}

/// Units of durations, in nanoseconds.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A duration as Go reads it, in nanoseconds.
fn nanoseconds(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut sum = 0_i128;
    while !rest.is_empty() || sum == 0 {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        (!whole.is_empty() || !part.is_empty()).then_some(())?;
        let digits: i128 = format!("0{whole}{part}").parse().ok()?;
        let power = 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?;
        sum = sum.checked_add(digits.checked_mul(*unit)? / power)?;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    i64::try_from(sum).ok().map(|sum| sign * i128::from(sum))
}

fn span(a: &Args<'_>, index: usize) -> Result<SignedDuration, Fault> {
    let nanos = nanoseconds(a.text(index)?).and_then(|nanos| i64::try_from(nanos).ok());
    nanos
        .map(SignedDuration::from_nanos)
        .ok_or_else(|| a.refuse("a duration is a text such as 1h30m or -15s"))
}

fn shown(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let seconds = seconds.unsigned_abs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{sign}{seconds}s"),
        (0, minutes, seconds) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

fn rounded(a: &mut Args<'_>) -> Result<Value, Fault> {
    let nanos = match a.any(0) {
        Value::Int(nanos) => i128::from(*nanos),
        _ => span(a, 0)?.as_nanos(),
    };
    let seconds = nanos.unsigned_abs();
    let second = 1_000_000_000;
    let units = [
        (365 * 86_400 * second, "y"),
        (30 * 86_400 * second, "mo"),
        (86_400 * second, "d"),
        (3_600 * second, "h"),
        (60 * second, "m"),
        (second, "s"),
    ];
    let found = units.iter().find(|(unit, _)| seconds > *unit);
    made(found.map_or("0s".to_owned(), |(unit, name)| {
        format!("{}{name}", seconds / unit)
    }))
}
