//! Texts: cut, trimmed, joined, looked at.

use std::collections::BTreeSet;

use gotmpl::Value;

use super::super::budget::fits;
use super::super::error::Fault;
use super::super::value::text;
use super::printing::quoted;
use super::{Args, Dict, Function, Group, dict, list, made, row, truth};

/// The group.
pub const GROUP: Group = Group {
    title: "Texts",
    note: "Places and lengths are counted in bytes, as in Go; a part that would begin or end inside of a character is refused.",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("trim", "TEXT"),
        "TEXT without white space at its ends.",
        (r#"{{ trim " a " }}"#, "a"),
        |a| a.map_last(|text| text.trim().to_owned()),
    ),
    row(
        ("trimAll", "CHARACTERS TEXT"),
        "TEXT without any of the characters at its ends.",
        (r#"{{ trimAll "/" "/a/" }}"#, "a"),
        |a| cut(a),
    )
    .also(&["trimall"]),
    row(
        ("trimPrefix", "PREFIX TEXT"),
        "TEXT without PREFIX at its beginning.",
        (r#"{{ trimPrefix "a" "abc" }}"#, "bc"),
        |a| {
            let prefix = a.text(0)?;
            a.map_last(|text| text.strip_prefix(prefix).unwrap_or(text).to_owned())
        },
    ),
    row(
        ("trimSuffix", "SUFFIX TEXT"),
        "TEXT without SUFFIX at its end.",
        (r#"{{ trimSuffix "c" "abc" }}"#, "ab"),
        |a| {
            let suffix = a.text(0)?;
            a.map_last(|text| text.strip_suffix(suffix).unwrap_or(text).to_owned())
        },
    ),
    row(
        ("upper", "TEXT"),
        "TEXT in capitals.",
        (r#"{{ upper "abc" }}"#, "ABC"),
        |a| a.map_last(|text| text.chars().map(upper).collect()),
    ),
    row(
        ("lower", "TEXT"),
        "TEXT in small letters.",
        (r#"{{ lower "ABC" }}"#, "abc"),
        |a| a.map_last(|text| text.chars().map(lower).collect()),
    ),
    row(
        ("repeat", "COUNT TEXT"),
        "TEXT as many times.",
        (r#"{{ repeat 3 "ab" }}"#, "ababab"),
        repeat,
    ),
    row(
        ("substr", "FROM TO TEXT"),
        "The part of TEXT from a place up to another; a negative TO is the end.",
        (r#"{{ substr 1 3 "abcd" }}"#, "bc"),
        substr,
    ),
    row(
        ("trunc", "LENGTH TEXT"),
        "The first bytes of TEXT; of a negative LENGTH, the last.",
        (r#"{{ trunc 2 "abcd" }}"#, "ab"),
        trunc,
    ),
    row(
        ("contains", "PART TEXT"),
        "Whether PART is in TEXT.",
        (r#"{{ contains "b" "abc" }}"#, "true"),
        |a| truth(a.text(1)?.contains(a.text(0)?)),
    ),
    row(
        ("hasPrefix", "PREFIX TEXT"),
        "Whether TEXT begins so.",
        (r#"{{ hasPrefix "a" "abc" }}"#, "true"),
        |a| truth(a.text(1)?.starts_with(a.text(0)?)),
    ),
    row(
        ("hasSuffix", "SUFFIX TEXT"),
        "Whether TEXT ends so.",
        (r#"{{ hasSuffix "a" "abc" }}"#, "false"),
        |a| truth(a.text(1)?.ends_with(a.text(0)?)),
    ),
    row(
        ("replace", "OLD NEW TEXT"),
        "TEXT with NEW wherever OLD was.",
        (r#"{{ replace "b" "x" "abcb" }}"#, "axcx"),
        replace,
    ),
    row(
        ("quote", "X…"),
        "Each argument between double quotes, with everything escaped that Go escapes.",
        (r#"{{ quote "a\"b" }}"#, r#""a\"b""#),
        |a| quote(a),
    ),
    row(
        ("squote", "X…"),
        "Each argument between single quotes, with nothing escaped.",
        (r#"{{ squote "a" 1 }}"#, "'a' '1'"),
        |a| {
            made(
                present(a)
                    .map(|value| format!("'{}'", text(value)))
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        },
    ),
    row(
        ("cat", "X…"),
        "All arguments with spaces between them.",
        (r#"{{ cat "a" 1 "b" }}"#, "a 1 b"),
        |a| made(present(a).map(text).collect::<Vec<_>>().join(" ").trim()),
    ),
    row(
        ("indent", "SPACES TEXT"),
        "TEXT with as many spaces before each line.",
        (r#"{{ indent 2 "a\nb" }}"#, "  a\n  b"),
        |a| indent(a, ""),
    ),
    row(
        ("nindent", "SPACES TEXT"),
        "The same after the end of a line.",
        (r#"a:{{ nindent 2 "b" }}"#, "a:\n  b"),
        |a| indent(a, "\n"),
    ),
    row(
        ("nospace", "TEXT"),
        "TEXT without any white space.",
        (r#"{{ nospace "a b" }}"#, "ab"),
        |a| a.map_last(|text| text.split_whitespace().collect()),
    ),
    row(
        ("join", "BETWEEN LIST"),
        "The elements of LIST as one text with BETWEEN between them.",
        (r#"{{ list "a" "b" | join "," }}"#, "a,b"),
        join,
    ),
    row(
        ("splitList", "BETWEEN TEXT"),
        "The parts of TEXT as a list.",
        (r#"{{ splitList "," "a,b" | last }}"#, "b"),
        |a| {
            let parts = parts(a.text(1)?, a.text(0)?, usize::MAX);
            list(parts.into_iter().map(Value::from))
        },
    ),
    row(
        ("split", "BETWEEN TEXT"),
        "The parts of TEXT as a dict with the names `_0`, `_1` and so on.",
        (r#"{{ (split "," "a,b")._1 }}"#, "b"),
        |a| numbered(&parts(a.text(1)?, a.text(0)?, usize::MAX)),
    ),
    row(
        ("splitn", "BETWEEN COUNT TEXT"),
        "The same with COUNT parts at most, the last of which is the rest.",
        (r#"{{ (splitn "," 2 "a,b,c")._1 }}"#, "b,c"),
        |a| {
            let most = a.size(1)?;
            numbered(&parts(a.text(2)?, a.text(0)?, most))
        },
    ),
    row(
        ("toStrings", "LIST"),
        "The elements of LIST as texts.",
        ("{{ list 1 2 | toStrings | toJson }}", r#"["1","2"]"#),
        |a| list(a.list(0)?.iter().map(|value| text(value).into())),
    ),
    row(
        ("sortAlpha", "LIST"),
        "The elements of LIST as texts, in their order.",
        (r#"{{ list "b" "a" | sortAlpha | join "," }}"#, "a,b"),
        |a| {
            let mut texts: Vec<String> = a.list(0)?.iter().map(text).collect();
            texts.sort();
            list(texts.into_iter().map(Value::from))
        },
    ),
    row(
        ("plural", "ONE MANY COUNT"),
        "ONE if COUNT is 1, else MANY.",
        (r#"{{ plural "key" "keys" 2 }}"#, "keys"),
        |a| {
            made(if a.int(2)? == 1 {
                a.text(0)?
            } else {
                a.text(1)?
            })
        },
    ),
];

/// As in Go, a letter becomes one letter: `ß` has no capital.
fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    upper.next().filter(|_| upper.next().is_none()).unwrap_or(c)
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn present<'a>(a: &Args<'a>) -> impl Iterator<Item = &'a Value> + use<'a> {
    a.all().iter().filter(|value| **value != Value::Nil)
}

fn cut(a: &Args<'_>) -> Result<Value, Fault> {
    let (characters, text) = (a.text(0)?, a.text(1)?);
    // As a set: both are as long as somebody wants.
    let characters: BTreeSet<char> = characters.chars().collect();
    made(text.trim_matches(|c| characters.contains(&c)))
}

fn repeat(a: &mut Args<'_>) -> Result<Value, Fault> {
    let (count, text) = (a.size(0)?, a.text(1)?);
    fits(text.len().saturating_mul(count))?;
    made(text.repeat(count))
}

fn substr(a: &mut Args<'_>) -> Result<Value, Fault> {
    let text = a.text(2)?;
    let place = |index: usize| Ok(usize::try_from(a.int(index)?).ok());
    let from = place(0)?.unwrap_or(0);
    let to = place(1)?
        .filter(|to| *to <= text.len())
        .unwrap_or(text.len());
    made(text.get(from..to).ok_or_else(|| outside(a))?)
}

fn outside(a: &Args<'_>) -> Fault {
    a.refuse("the part lies outside of the text, or begins or ends inside of a character")
}

fn trunc(a: &mut Args<'_>) -> Result<Value, Fault> {
    let (length, text) = (a.int(0)?, a.text(1)?);
    let size = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    if size >= text.len() {
        return made(text);
    }
    let part = if length < 0 {
        text.get(text.len() - size..)
    } else {
        text.get(..size)
    };
    made(part.ok_or_else(|| outside(a))?)
}

fn replace(a: &mut Args<'_>) -> Result<Value, Fault> {
    let (old, new, text) = (a.text(0)?, a.text(1)?, a.text(2)?);
    let count = if old.is_empty() {
        text.chars().count() + 1
    } else {
        text.matches(old).count()
    };
    fits(count.saturating_mul(new.len()).saturating_add(text.len()))?;
    made(text.replace(old, new))
}

fn quote(a: &Args<'_>) -> Result<Value, Fault> {
    let quoted: Result<Vec<String>, Fault> =
        present(a).map(|value| quoted(a, &text(value))).collect();
    made(quoted?.join(" "))
}

fn indent(a: &Args<'_>, before: &str) -> Result<Value, Fault> {
    let (spaces, text) = (a.size(0)?, a.text(1)?);
    let lines = text.matches('\n').count() + 1;
    fits(lines.saturating_mul(spaces).saturating_add(text.len()))?;
    let pad = " ".repeat(spaces);
    made(format!(
        "{before}{pad}{}",
        text.replace('\n', &format!("\n{pad}"))
    ))
}

fn join(a: &mut Args<'_>) -> Result<Value, Fault> {
    let between = a.text(0)?;
    let elements = match a.any(1) {
        Value::List(elements) => elements
            .iter()
            .filter(|value| **value != Value::Nil)
            .map(text)
            .collect(),
        other => vec![text(other)],
    };
    let length: usize = elements.iter().map(String::len).sum();
    fits(
        elements
            .len()
            .saturating_mul(between.len())
            .saturating_add(length),
    )?;
    made(elements.join(between))
}

/// As in Go: nothing between the parts means a part for each character.
fn parts<'t>(text: &'t str, between: &str, most: usize) -> Vec<&'t str> {
    if most == 0 {
        return Vec::new();
    }
    if !between.is_empty() {
        return text.splitn(most, between).collect();
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if parts.len() + 1 == most {
            parts.push(rest);
            break;
        }
        let (one, others) = rest.split_at(first.len_utf8());
        parts.push(one);
        rest = others;
    }
    parts
}

fn numbered(parts: &[&str]) -> Result<Value, Fault> {
    let members = parts.iter().enumerate();
    let members = members.map(|(index, part)| (format!("_{index}").into(), Value::from(*part)));
    dict(members.collect::<Dict>())
}
