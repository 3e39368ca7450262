//! Paths with slashes, taken apart: words alone, no file is looked at.

use gotmpl::Value;

use super::super::error::Fault;
use super::{Args, Function, Group, made, row, truth};

/// The group.
pub const GROUP: Group = Group {
    title: "Paths",
    note: "Of texts with slashes. No file is looked at.",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("base", "PATH"),
        "The last part.",
        (r#"{{ base "a/b.txt" }}"#, "b.txt"),
        |a| changed(a, base),
    )
    .also(&["osBase"]),
    row(
        ("dir", "PATH"),
        "All but the last part.",
        (r#"{{ dir "a/b.txt" }}"#, "a"),
        |a| {
            changed(a, |path| {
                clean(&path[..path.rfind('/').map_or(0, |at| at + 1)])
            })
        },
    )
    .also(&["osDir"]),
    row(
        ("ext", "PATH"),
        "The end of the last part, from its last dot on.",
        (r#"{{ ext "a/b.txt" }}"#, ".txt"),
        |a| {
            changed(a, |path| {
                let last = path.rsplit('/').next().unwrap_or_default();
                last.rfind('.').map_or("", |at| &last[at..]).to_owned()
            })
        },
    )
    .also(&["osExt"]),
    row(
        ("clean", "PATH"),
        "The shortest way to write PATH.",
        (r#"{{ clean "a//b/../c/." }}"#, "a/c"),
        |a| changed(a, clean),
    )
    .also(&["osClean"]),
    row(
        ("isAbs", "PATH"),
        "Whether PATH begins with a slash.",
        (r#"{{ isAbs "/a" }}"#, "true"),
        |a| truth(a.text(0)?.starts_with('/')),
    )
    .also(&["osIsAbs"]),
];

fn changed(a: &Args<'_>, change: fn(&str) -> String) -> Result<Value, Fault> {
    made(change(a.text(0)?))
}

fn base(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    match (path, trimmed) {
        ("", _) => ".".to_owned(),
        (_, "") => "/".to_owned(),
        (_, trimmed) => trimmed.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if rooted => {}
            part => kept.push(part),
        }
    }
    let joined = kept.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}
