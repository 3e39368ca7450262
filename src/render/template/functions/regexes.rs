//! Regular expressions. They are of the kind whose time grows with the text and not faster, as Go's are.

use std::borrow::Cow;

use gotmpl::Value;
use regex::{NoExpand, Regex, RegexBuilder, Replacer};

use super::super::budget::fits;
use super::super::error::Fault;
use super::{Args, Function, Group, list, made, row, truth};

/// The group.
pub const GROUP: Group = Group {
    title: "Regular expressions",
    note: "RE2's language, with `$1` and `${name}` for groups in what replaces. Texts have at most 64 KiB here.",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("regexMatch", "REGEX TEXT"),
        "Whether the expression is found in TEXT.",
        (r#"{{ regexMatch "^a+$" "aaa" }}"#, "true"),
        |a| {
            let Matching {
                regex,
                text,
                cost: _,
            } = both(a, 1)?;
            truth(regex.is_match(text))
        },
    )
    .also(&["mustRegexMatch"]),
    row(
        ("regexFind", "REGEX TEXT"),
        "The first place that it matches; an empty text if there is none.",
        (r#"{{ regexFind "[0-9]+" "ab12c" }}"#, "12"),
        |a| {
            let Matching {
                regex,
                text,
                cost: _,
            } = both(a, 1)?;
            made(regex.find(text).map_or("", |found| found.as_str()))
        },
    )
    .also(&["mustRegexFind"]),
    row(
        ("regexFindAll", "REGEX TEXT COUNT"),
        "At most COUNT places as a list; all of them if COUNT is negative.",
        (r#"{{ regexFindAll "[0-9]" "a1b2" -1 | join "," }}"#, "1,2"),
        find_all,
    )
    .also(&["mustRegexFindAll"]),
    row(
        ("regexReplaceAll", "REGEX TEXT NEW"),
        "TEXT with each match replaced.",
        (r#"{{ regexReplaceAll "a(b)" "ab ab" "<$1>" }}"#, "<b> <b>"),
        |a| replace(a, false),
    )
    .also(&["mustRegexReplaceAll"]),
    row(
        ("regexReplaceAllLiteral", "REGEX TEXT NEW"),
        "The same, with `$` meaning nothing but itself.",
        (r#"{{ regexReplaceAllLiteral "a(b)" "ab" "$1" }}"#, "$1"),
        |a| replace(a, true),
    )
    .also(&["mustRegexReplaceAllLiteral"]),
    row(
        ("regexSplit", "REGEX TEXT COUNT"),
        "The parts of TEXT between the matches, at most COUNT if that is not negative.",
        (
            r#"{{ regexSplit ", *" "a, b,c" -1 | toJson }}"#,
            r#"["a","b","c"]"#,
        ),
        split,
    )
    .also(&["mustRegexSplit"]),
    row(
        ("regexQuoteMeta", "TEXT"),
        "An expression that matches TEXT and nothing else.",
        (r#"{{ regexQuoteMeta "a.b" }}"#, r"a\.b"),
        |a| a.map_last(quote_meta),
    ),
];

/// The longest text: matching again and again may take its length squared.
const MAX_TEXT: usize = 64 * 1024;

/// The longest expression.
const MAX_REGEX: usize = 1024;

/// The largest programs that one becomes, and what holding it against a byte costs then, in bytes gone through. At worst each part of the program is
/// looked at for each byte. A program is as large as it is, so the smallest bound that it fits into tells how large; most fit into the first.
const PROGRAMS: [(usize, usize); 3] = [(8 * 1024, 16), (32 * 1024, 64), (128 * 1024, 256)];

/// An expression with the text that it is held against.
struct Matching<'a> {
    regex: Regex,
    text: &'a str,
    /// What a byte costs.
    cost: usize,
}

/// The expression, and the text that it is held against.
fn both<'a>(a: &mut Args<'a>, index: usize) -> Result<Matching<'a>, Fault> {
    let (pattern, text) = (a.text(0)?, a.text(index)?);
    if text.len() > MAX_TEXT || pattern.len() > MAX_REGEX {
        return Err(a.refuse("an expression has at most 1 KiB here, and a text 64 KiB"));
    }
    for (size, cost) in PROGRAMS {
        // Making the program costs more than a walk through a short text.
        a.work(size * 4)?;
        let built = RegexBuilder::new(pattern)
            .size_limit(size)
            .dfa_size_limit(size.max(MIN_STATES))
            .build();
        if let Ok(regex) = built {
            a.work(text.len() * cost)?;
            return Ok(Matching { regex, text, cost });
        }
    }
    Err(a.refuse("the expression is none, or is too large"))
}

/// Less memory than this for the states of a text, and none are kept at all, which is slower for expressions of every kind.
const MIN_STATES: usize = 128 * 1024;

impl Matching<'_> {
    /// Charges for a match: looking for the next one goes through the rest of the text.
    fn charge(&self, a: &mut Args<'_>, at: usize) -> Result<(), Fault> {
        a.work((self.text.len() - at) * self.cost / 16 + 1)
    }
}

fn limit(a: &Args<'_>, index: usize) -> Result<usize, Fault> {
    Ok(usize::try_from(a.int(index)?).unwrap_or(usize::MAX))
}

fn find_all(a: &mut Args<'_>) -> Result<Value, Fault> {
    let matching = both(a, 1)?;
    let text = matching.text;
    let most = limit(a, 2)?;
    let mut found = Vec::new();
    for one in matching.regex.find_iter(text).take(most) {
        matching.charge(a, one.end())?;
        found.push(one.as_str().into());
    }
    list(found)
}

fn replace(a: &mut Args<'_>, literal: bool) -> Result<Value, Fault> {
    let matching = both(a, 1)?;
    let text = matching.text;
    let new = a.text(2)?;
    let mut replaced = String::with_capacity(text.len());
    let mut end = 0;
    for found in matching.regex.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        matching.charge(a, whole.end())?;
        replaced.push_str(&text[end..whole.start()]);
        if literal {
            NoExpand(new).replace_append(&found, &mut replaced);
        } else {
            found.expand(new, &mut replaced);
        }
        fits(replaced.len())?;
        end = whole.end();
    }
    replaced.push_str(&text[end..]);
    made(replaced)
}

/// As in Go: an empty match at the beginning makes no part, and the last part is the rest.
fn split(a: &mut Args<'_>) -> Result<Value, Fault> {
    let matching = both(a, 1)?;
    let text = matching.text;
    let most = limit(a, 2)?;
    let mut parts: Vec<Value> = Vec::new();
    let (mut begin, mut last_begin) = (0, 0);
    for found in matching.regex.find_iter(text) {
        matching.charge(a, found.end())?;
        if most == 0 || parts.len() + 1 == most {
            break;
        }
        last_begin = found.start();
        if found.end() != 0 {
            parts.push(text[begin..found.start()].into());
        }
        begin = found.end();
    }
    if most > 0 && (last_begin != text.len() || text.is_empty()) {
        parts.push(text[begin..].into());
    }
    list(parts)
}

fn quote_meta(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        let escaped: Cow<'_, str> = match c {
            '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                format!("\\{c}").into()
            }
            other => other.to_string().into(),
        };
        quoted.push_str(&escaped);
    }
    quoted
}
