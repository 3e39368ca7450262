//! Go's layouts of times: the reference time `Mon Jan 2 15:04:05 MST 2006`, in whatever order and form.

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned, civil};

/// The parts that a layout can have, the longer before those that they begin with.
const PARTS: &[&str] = &[
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "__2",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "_2",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
    "5",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A piece of a layout: a part, or what stands for itself.
enum Piece<'l> {
    Part(&'static str),
    /// The digits after the point, with it, how many, and whether zeros at the end are left out.
    Fraction(char, usize, bool),
    Text(&'l str),
}

fn pieces(layout: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut rest, mut plain) = (layout, 0);
    while plain < rest.len() {
        let here = &rest[plain..];
        let Some((piece, length)) = piece(here) else {
            plain += here.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        pieces.extend((plain > 0).then(|| Piece::Text(&rest[..plain])));
        pieces.push(piece);
        (rest, plain) = (&rest[plain + length..], 0);
    }
    pieces.extend((!rest.is_empty()).then_some(Piece::Text(rest)));
    pieces
}

fn piece(here: &str) -> Option<(Piece<'_>, usize)> {
    let point = here
        .chars()
        .next()
        .filter(|point| matches!(point, '.' | ','));
    if let Some(point) = point {
        let digit = here[1..]
            .chars()
            .next()
            .filter(|digit| matches!(digit, '0' | '9'))?;
        let rest = here[1..].trim_start_matches(digit);
        let count = here.len() - 1 - rest.len();
        let ends = !rest.starts_with(|next: char| next.is_ascii_digit());
        return ends.then_some((Piece::Fraction(point, count, digit == '9'), count + 1));
    }
    let part = PARTS.iter().find(|part| here.starts_with(**part))?;
    // "Jan" within "Janet" is no month, by Go's rules.
    let small = |text: &str| text.starts_with(|next: char| next.is_ascii_lowercase());
    let after = &here[part.len()..];
    if matches!(*part, "Jan" | "Mon") && small(after) {
        return None;
    }
    // "_2006" is an underscore and the year.
    if *part == "_2" && here.starts_with("_2006") {
        return None;
    }
    Some((Piece::Part(part), part.len()))
}

/// The time in that layout.
pub fn format(layout: &str, time: &Zoned) -> String {
    let mut text = String::new();
    for piece in pieces(layout) {
        text += &match piece {
            Piece::Text(plain) => plain.to_owned(),
            Piece::Fraction(point, count, short) => fraction(time, point, count, short),
            Piece::Part(part) => shown(part, time),
        };
    }
    text
}

fn fraction(time: &Zoned, point: char, count: usize, short: bool) -> String {
    let digits = format!("{:09}", time.subsec_nanosecond());
    let mut digits = format!("{digits:0<count$}");
    digits.truncate(count);
    if short {
        digits.truncate(digits.trim_end_matches('0').len());
    }
    if digits.is_empty() {
        digits
    } else {
        format!("{point}{digits}")
    }
}

fn shown(part: &str, time: &Zoned) -> String {
    let month = MONTHS[usize::try_from(time.month() - 1).unwrap_or(0)];
    let day = DAYS[usize::try_from(time.weekday().to_sunday_zero_offset()).unwrap_or(0)];
    let twelve = (time.hour() + 11) % 12 + 1;
    let half = if time.hour() < 12 { "AM" } else { "PM" };
    match part {
        "January" => month.to_owned(),
        "Jan" => month[..3].to_owned(),
        "Monday" => day.to_owned(),
        "Mon" => day[..3].to_owned(),
        "01" => format!("{:02}", time.month()),
        "1" => time.month().to_string(),
        "02" => format!("{:02}", time.day()),
        "_2" => format!("{:2}", time.day()),
        "2" => time.day().to_string(),
        "002" => format!("{:03}", time.day_of_year()),
        "__2" => format!("{:3}", time.day_of_year()),
        "2006" => format!("{:04}", time.year()),
        "06" => format!("{:02}", time.year().rem_euclid(100)),
        "15" => format!("{:02}", time.hour()),
        "03" => format!("{twelve:02}"),
        "3" => twelve.to_string(),
        "04" => format!("{:02}", time.minute()),
        "4" => time.minute().to_string(),
        "05" => format!("{:02}", time.second()),
        "5" => time.second().to_string(),
        "PM" => half.to_owned(),
        "pm" => half.to_lowercase(),
        "MST" => zone(time),
        offset => shown_offset(offset, time.offset().seconds()),
    }
}

fn zone(time: &Zoned) -> String {
    let known = time.time_zone().to_offset_info(time.timestamp());
    let short = known.abbreviation();
    // A zone without a name is its offset.
    if short.starts_with(|c: char| c.is_ascii_alphabetic()) {
        short.to_owned()
    } else {
        shown_offset("-07", time.offset().seconds())
    }
}

fn shown_offset(form: &str, seconds: i32) -> String {
    if form.starts_with('Z') && seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.abs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match &form[1..] {
        "07:00:00" => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
        "070000" => format!("{sign}{hours:02}{minutes:02}{seconds:02}"),
        "07:00" => format!("{sign}{hours:02}:{minutes:02}"),
        "0700" => format!("{sign}{hours:02}{minutes:02}"),
        _ => format!("{sign}{hours:02}"),
    }
}

/// What has been read of a time.
struct Read {
    year: i16,
    month: i8,
    day: i8,
    day_of_year: Option<i16>,
    hour: i8,
    afternoon: Option<bool>,
    minute: i8,
    second: i8,
    nanosecond: i32,
    offset: i32,
}

/// The time that a text tells in that layout; where it tells no zone, it is of UTC.
pub fn parse(layout: &str, text: &str) -> Option<Timestamp> {
    let mut read = Read {
        year: 0,
        month: 1,
        day: 1,
        day_of_year: None,
        hour: 0,
        afternoon: None,
        minute: 0,
        second: 0,
        nanosecond: 0,
        offset: 0,
    };
    let mut rest = text;
    let told = pieces(layout)
        .iter()
        .any(|piece| matches!(piece, Piece::Fraction(..)));
    for piece in pieces(layout) {
        rest = match piece {
            Piece::Text(plain) => rest.strip_prefix(plain)?,
            Piece::Fraction(point, count, short) => match rest.strip_prefix(point) {
                Some(digits) => read.fraction(digits, (!short).then_some(count))?,
                None if short => rest,
                None => return None,
            },
            Piece::Part(part) => read.part(part, rest)?,
        };
        // A fraction of the second may stand where the layout has none.
        let seconds = matches!(piece, Piece::Part("05" | "5"));
        if let Some(digits) = rest.strip_prefix(['.', ',']).filter(|_| seconds && !told) {
            rest = read.fraction(digits, None)?;
        }
    }
    rest.is_empty().then_some(())?;
    read.timestamp()
}

impl Read {
    fn part<'t>(&mut self, part: &str, text: &'t str) -> Option<&'t str> {
        let named = |names: &[&str], short: bool| {
            let letters = |name: &&str| if short { 3 } else { name.len() };
            names.iter().zip(1_i8..).find_map(|(name, number)| {
                let (word, rest) = text.split_at_checked(letters(name))?;
                let same = word.eq_ignore_ascii_case(&name[..letters(name)]);
                same.then_some((number, rest))
            })
        };
        let mut rest = text;
        match part {
            "January" => (self.month, rest) = named(&MONTHS, false)?,
            "Jan" => (self.month, rest) = named(&MONTHS, true)?,
            "Monday" => (_, rest) = named(&DAYS, false)?,
            "Mon" => (_, rest) = named(&DAYS, true)?,
            "01" => (self.month, rest) = digits(rest, 2, 2)?,
            "1" => (self.month, rest) = digits(rest, 1, 2)?,
            "02" => (self.day, rest) = digits(rest, 2, 2)?,
            "2" | "_2" => (self.day, rest) = digits(rest.trim_start_matches(' '), 1, 2)?,
            "002" | "__2" => {
                let (day, after) = digits(
                    rest.trim_start_matches(' '),
                    if part == "002" { 3 } else { 1 },
                    3,
                )?;
                (self.day_of_year, rest) = (Some(day), after);
            }
            "2006" => (self.year, rest) = digits(rest, 4, 4)?,
            "06" => {
                let (year, after): (i16, _) = digits(rest, 2, 2)?;
                (self.year, rest) = (if year >= 69 { 1900 + year } else { 2000 + year }, after);
            }
            "15" | "03" => (self.hour, rest) = digits(rest, 2, 2)?,
            "3" => (self.hour, rest) = digits(rest, 1, 2)?,
            "04" => (self.minute, rest) = digits(rest, 2, 2)?,
            "4" => (self.minute, rest) = digits(rest, 1, 2)?,
            "05" => (self.second, rest) = digits(rest, 2, 2)?,
            "5" => (self.second, rest) = digits(rest, 1, 2)?,
            "PM" | "pm" => {
                let (word, after) = rest.split_at_checked(2)?;
                let words = if part == "PM" {
                    ["AM", "PM"]
                } else {
                    ["am", "pm"]
                };
                self.afternoon = Some(words.iter().position(|known| *known == word)? == 1);
                rest = after;
            }
            // Other names mean other offsets at other places.
            "MST" => {
                rest = rest
                    .strip_prefix("UTC")
                    .or_else(|| rest.strip_prefix("GMT"))?;
            }
            offset => rest = self.read_offset(offset, rest)?,
        }
        Some(rest)
    }

    fn read_offset<'t>(&mut self, form: &str, text: &'t str) -> Option<&'t str> {
        if form.starts_with('Z')
            && let Some(rest) = text.strip_prefix('Z')
        {
            return Some(rest);
        }
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let mut rest = text.strip_prefix(['+', '-'])?;
        let mut seconds = 0;
        for (index, unit) in [3600, 60, 1].iter().enumerate() {
            let asked = form[1..].bytes().filter(u8::is_ascii_digit).count() / 2;
            if index >= asked {
                break;
            }
            if index > 0 && form.contains(':') {
                rest = rest.strip_prefix(':')?;
            }
            let (number, after): (i32, _) = digits(rest, 2, 2)?;
            (seconds, rest) = (seconds + number * unit, after);
        }
        self.offset = sign * seconds;
        Some(rest)
    }

    fn fraction<'t>(&mut self, text: &'t str, count: Option<usize>) -> Option<&'t str> {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (found, rest) = text.split_at_checked(count.unwrap_or(end))?;
        let valid =
            (1..=9).contains(&found.len()) && found.bytes().all(|byte| byte.is_ascii_digit());
        valid.then_some(())?;
        self.nanosecond = format!("{found:0<9}").parse().ok()?;
        Some(rest)
    }

    fn timestamp(self) -> Option<Timestamp> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            Some(_) | None => self.hour,
        };
        let mut date = civil::Date::new(self.year, self.month, self.day).ok()?;
        if let Some(day) = self.day_of_year {
            date = date.with().day_of_year(day).build().ok()?;
        }
        let time = civil::Time::new(hour, self.minute, self.second, self.nanosecond).ok()?;
        let zone = TimeZone::fixed(Offset::from_seconds(self.offset).ok()?);
        zone.to_timestamp(date.to_datetime(time)).ok()
    }
}

fn digits<T: std::str::FromStr>(text: &str, least: usize, most: usize) -> Option<(T, &str)> {
    let end = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    (end >= least).then_some(())?;
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}
