//! Lists. None is ever changed: each function makes another one.

use gotmpl::Value;

use super::super::error::Fault;
use super::super::value::{is_true, weight};
use super::{Args, Function, Group, list, row, truth};

/// The group.
pub const GROUP: Group = Group {
    title: "Lists",
    note: "`slice`, `len` and `index` are above, `join` and `sortAlpha` with the texts.",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("list", "X…"),
        "A list of the arguments.",
        (r#"{{ list 1 "a" | toJson }}"#, r#"[1,"a"]"#),
        |a| list(a.all().iter().cloned()),
    )
    .also(&["tuple"]),
    row(
        ("first", "LIST"),
        "The first element; of an empty list, null.",
        ("{{ first (list 1 2) }}", "1"),
        |a| Ok(a.list(0)?.first().cloned().unwrap_or(Value::Nil)),
    )
    .also(&["mustFirst"]),
    row(
        ("last", "LIST"),
        "The last element; of an empty list, null.",
        ("{{ last (list 1 2) }}", "2"),
        |a| Ok(a.list(0)?.last().cloned().unwrap_or(Value::Nil)),
    )
    .also(&["mustLast"]),
    row(
        ("rest", "LIST"),
        "All but the first.",
        ("{{ rest (list 1 2 3) | toJson }}", "[2,3]"),
        |a| list(a.list(0)?.iter().skip(1).cloned()),
    )
    .also(&["mustRest"]),
    row(
        ("initial", "LIST"),
        "All but the last.",
        ("{{ initial (list 1 2 3) | toJson }}", "[1,2]"),
        |a| {
            let all = a.list(0)?;
            list(all.iter().take(all.len().saturating_sub(1)).cloned())
        },
    )
    .also(&["mustInitial"]),
    row(
        ("append", "LIST X"),
        "LIST with X at its end.",
        ("{{ append (list 1) 2 | toJson }}", "[1,2]"),
        |a| list(a.list(0)?.iter().chain([a.any(1)]).cloned()),
    )
    .also(&["mustAppend", "push", "mustPush"]),
    row(
        ("prepend", "LIST X"),
        "LIST with X at its beginning.",
        ("{{ prepend (list 1) 2 | toJson }}", "[2,1]"),
        |a| {
            let all = a.list(0)?;
            list([a.any(1)].into_iter().chain(all).cloned())
        },
    )
    .also(&["mustPrepend"]),
    row(
        ("concat", "LIST…"),
        "All lists as one.",
        ("{{ concat (list 1) (list 2) | toJson }}", "[1,2]"),
        concat,
    ),
    row(
        ("reverse", "LIST"),
        "LIST from its end to its beginning.",
        ("{{ reverse (list 1 2) | toJson }}", "[2,1]"),
        |a| list(a.list(0)?.iter().rev().cloned()),
    )
    .also(&["mustReverse"]),
    row(
        ("uniq", "LIST"),
        "LIST with each element once.",
        ("{{ uniq (list 1 2 1) | toJson }}", "[1,2]"),
        uniq,
    )
    .also(&["mustUniq"]),
    row(
        ("without", "LIST X…"),
        "LIST without those elements.",
        ("{{ without (list 1 2 3) 2 | toJson }}", "[1,3]"),
        without,
    )
    .also(&["mustWithout"]),
    row(
        ("has", "X LIST"),
        "Whether X is in LIST.",
        ("{{ has 2 (list 1 2) }}", "true"),
        |a| truth(a.list(1)?.contains(a.any(0))),
    )
    .also(&["mustHas"]),
    row(
        ("compact", "LIST"),
        "LIST without what is empty.",
        (r#"{{ compact (list "" "a") | toJson }}"#, r#"["a"]"#),
        |a| list(a.list(0)?.iter().filter(|value| is_true(value)).cloned()),
    )
    .also(&["mustCompact"]),
    row(
        ("chunk", "SIZE LIST"),
        "LIST in lists of that size.",
        ("{{ chunk 2 (list 1 2 3) | toJson }}", "[[1,2],[3]]"),
        chunk,
    )
    .also(&["mustChunk"]),
];

fn concat(a: &mut Args<'_>) -> Result<Value, Fault> {
    let mut all = Vec::new();
    for index in 0..a.all().len() {
        all.extend_from_slice(a.list(index)?);
    }
    list(all)
}

/// Comparing each with each takes its time.
fn charge(a: &mut Args<'_>, times: usize) -> Result<(), Fault> {
    let bytes: usize = a
        .all()
        .iter()
        .filter_map(|value| weight(value, usize::MAX))
        .sum();
    a.work(bytes.saturating_mul(times) / 8)
}

fn uniq(a: &mut Args<'_>) -> Result<Value, Fault> {
    let all = a.list(0)?;
    charge(a, all.len())?;
    let mut unique: Vec<Value> = Vec::new();
    for element in all {
        if !unique.contains(element) {
            unique.push(element.clone());
        }
    }
    list(unique)
}

fn without(a: &mut Args<'_>) -> Result<Value, Fault> {
    charge(a, a.all().len())?;
    let unwanted = &a.all()[1..];
    list(
        a.list(0)?
            .iter()
            .filter(|value| !unwanted.contains(value))
            .cloned(),
    )
}

fn chunk(a: &mut Args<'_>) -> Result<Value, Fault> {
    let (size, all) = (a.size(0)?, a.list(1)?);
    if size == 0 {
        return Err(a.refuse("a part has at least one element"));
    }
    list(all.chunks(size).map(|part| part.to_vec().into()))
}
