//! Letters and words: the forms of names.

use gotmpl::Value;

use super::super::budget::fits;
use super::super::error::Fault;
use super::{Args, Function, Group, made, row};

/// The group.
pub const GROUP: Group = Group {
    title: "Words",
    note: "",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("title", "TEXT"),
        "TEXT with a capital at the beginning of each word.",
        (r#"{{ title "ab cd" }}"#, "Ab Cd"),
        |a| a.map_last(title),
    ),
    row(
        ("untitle", "TEXT"),
        "TEXT with a small letter at the beginning of each word.",
        (r#"{{ untitle "Ab Cd" }}"#, "ab cd"),
        |a| a.map_last(untitle),
    ),
    row(
        ("snakecase", "TEXT"),
        "TEXT as snake_case.",
        (r#"{{ snakecase "FirstName" }}"#, "first_name"),
        |a| a.map_last(|text| words(text).join("_")),
    ),
    row(
        ("kebabcase", "TEXT"),
        "TEXT as kebab-case.",
        (r#"{{ kebabcase "FirstName" }}"#, "first-name"),
        |a| a.map_last(|text| words(text).join("-")),
    ),
    row(
        ("camelcase", "TEXT"),
        "TEXT as CamelCase.",
        (r#"{{ camelcase "first_name" }}"#, "FirstName"),
        |a| a.map_last(camelcase),
    ),
    row(
        ("swapcase", "TEXT"),
        "TEXT with small letters for capitals, and the other way round.",
        (r#"{{ swapcase "aB" }}"#, "Ab"),
        |a| a.map_last(swapcase),
    ),
    row(
        ("initials", "TEXT"),
        "The first letter of each word.",
        (r#"{{ initials "first second" }}"#, "fs"),
        |a| {
            a.map_last(|text| {
                text.split_whitespace()
                    .filter_map(|word| word.chars().next())
                    .collect()
            })
        },
    ),
    row(
        ("abbrev", "LENGTH TEXT"),
        "TEXT cut to LENGTH, with an ellipsis at its end if something is cut off.",
        (r#"{{ abbrev 5 "abcdefgh" }}"#, "ab..."),
        abbrev,
    ),
    row(
        ("abbrevboth", "FROM LENGTH TEXT"),
        "LENGTH bytes of TEXT from a place on, with an ellipsis wherever something is cut off.",
        (r#"{{ abbrevboth 5 10 "1234 5678 9123" }}"#, "...5678..."),
        abbrev_both,
    ),
    row(
        ("wrap", "WIDTH TEXT"),
        "TEXT in lines of at most WIDTH; longer words stay whole.",
        (r#"{{ wrap 5 "aa bb cc" }}"#, "aa bb\ncc"),
        |a| wrap(a, "\n", a.text(1)?, false),
    ),
    row(
        ("wrapWith", "WIDTH BETWEEN TEXT"),
        "TEXT in parts of at most WIDTH with BETWEEN between them; longer words are cut.",
        (r#"{{ wrapWith 3 "-" "abcdef" }}"#, "abc-def"),
        |a| {
            let between = Some(a.text(1)?).filter(|text| !text.is_empty());
            wrap(a, between.unwrap_or("\n"), a.text(2)?, true)
        },
    ),
];

/// Everything but letters, digits and the underscore ends a word, as in Go.
fn title(text: &str) -> String {
    let mut before = ' ';
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        let inside = before.is_alphanumeric() || before == '_';
        let begins = !inside && (before.is_ascii() || before.is_whitespace());
        if begins {
            titled.extend(c.to_uppercase());
        } else {
            titled.push(c);
        }
        before = c;
    }
    titled
}

fn untitle(text: &str) -> String {
    let mut before = ' ';
    let mut untitled = String::with_capacity(text.len());
    for c in text.chars() {
        if before.is_whitespace() {
            untitled.extend(c.to_lowercase());
        } else {
            untitled.push(c);
        }
        before = c;
    }
    untitled
}

/// The words of a name, in small letters: a capital after a small letter or digit begins one, and the last of several capitals
/// before a small letter.
fn words(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut words = vec![String::new()];
    for (index, c) in characters.iter().enumerate() {
        if matches!(c, '_' | '-') || c.is_whitespace() {
            words.push(String::new());
            continue;
        }
        let before = index
            .checked_sub(1)
            .and_then(|before| characters.get(before));
        let after = characters.get(index + 1);
        let begins = c.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_numeric())
                || before.is_some_and(|before| before.is_uppercase())
                    && after.is_some_and(|after| after.is_lowercase()));
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// As sprig does it: of capitals in a row only the first remains one.
fn camelcase(text: &str) -> String {
    let connects = |c: char| c == '_' || c == '-' || c.is_whitespace();
    let mut camel = String::with_capacity(text.len());
    let start = text.find(|c| !connects(c)).unwrap_or(text.len());
    let (leading, rest) = text.split_at(start);
    camel.push_str(leading);
    let (mut begins, mut capitals) = (true, false);
    let mut rest = rest.chars().peekable();
    while let Some(c) = rest.next() {
        if connects(c) {
            if rest.peek().is_none_or(|next| connects(*next)) {
                camel.push(c);
            }
            begins = true;
        } else if begins {
            capitals = c.is_uppercase();
            camel.extend(c.to_uppercase());
            begins = false;
        } else if capitals && c.is_uppercase() {
            camel.extend(c.to_lowercase());
        } else {
            capitals = false;
            camel.push(c);
        }
    }
    camel
}

fn swapcase(text: &str) -> String {
    let swap = |c: char| -> String {
        if c.is_uppercase() {
            c.to_lowercase().collect()
        } else {
            c.to_uppercase().collect()
        }
    };
    text.chars().map(swap).collect()
}

fn abbrev(a: &mut Args<'_>) -> Result<Value, Fault> {
    let (length, text) = (a.size(0)?, a.text(1)?);
    if length < 4 || text.len() <= length {
        return made(text);
    }
    let kept = text.get(..length - 3);
    let kept = kept.ok_or_else(|| a.refuse("the part ends inside of a character"))?;
    made(format!("{kept}..."))
}

fn abbrev_both(a: &mut Args<'_>) -> Result<Value, Fault> {
    let (from, length, text) = (a.size(0)?, a.size(1)?, a.text(2)?);
    if length < 4 || (from > 0 && length < 7) || text.len() <= length {
        return made(text);
    }
    let kept = length - 3;
    let from = from.min(text.len() - kept.min(text.len()));
    let (before, from, to, after) = if from <= 4 {
        ("", 0, kept, "...")
    } else if from + kept < text.len() {
        ("...", from, from + kept - 3, "...")
    } else {
        ("...", text.len() - kept, text.len(), "")
    };
    let part = text.get(from..to).ok_or_else(|| inside(a))?;
    made(format!("{before}{part}{after}"))
}

fn inside(a: &Args<'_>) -> Fault {
    a.refuse("the part begins or ends inside of a character")
}

/// As sprig does it: white space that is no space does not end a line, and spaces before a line go.
fn wrap(a: &Args<'_>, between: &str, text: &str, cuts: bool) -> Result<Value, Fault> {
    let width = a.size(0)?.max(1);
    fits((text.len() / width + text.matches(' ').count() + 1).saturating_mul(between.len()))?;
    let mut wrapped = String::new();
    let mut rest = text;
    while rest.len() > width {
        if let Some(after) = rest.strip_prefix(' ') {
            rest = after;
            continue;
        }
        let space = rest.as_bytes()[..=width]
            .iter()
            .rposition(|byte| *byte == b' ');
        let (end, skipped) = match space {
            Some(space) => (space, 1),
            None if cuts => (width, 0),
            None => match rest.bytes().skip(width).position(|byte| byte == b' ') {
                Some(space) => (width + space, 1),
                None => break,
            },
        };
        wrapped.push_str(rest.get(..end).ok_or_else(|| inside(a))?);
        wrapped.push_str(between);
        rest = &rest[end + skipped..];
    }
    made(wrapped + rest)
}
