//! The steps of a pass use each other one way: a reader who follows them from any file comes to an end.
//!
//! The compiler does not mind modules that use each other in a circle. A person does: none of them can be understood, or changed, before
//! the others.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, tree};
use super::{names_below, place};

/// The folder whose modules must not form circles.
const FOLDER: &str = "src/reconcile/";

/// The module of the folder that a file belongs to: `report` for `src/reconcile/report.rs` and all that is below `src/reconcile/report/`.
fn module(source: &Source) -> Option<&str> {
    let path = source.path.strip_prefix(FOLDER)?.strip_suffix(".rs")?;
    path.split('/').next()
}

/// One module that uses another, and where.
struct Use<'a> {
    from: &'a str,
    to: String,
    source: &'a Source,
    line: usize,
}

fn uses(sources: &[Source]) -> Vec<Use<'_>> {
    let modules: BTreeSet<&str> = sources.iter().filter_map(module).collect();
    let mut uses = Vec::new();
    for source in sources {
        let Some(from) = module(source) else { continue };
        let depth = source.path.matches('/').count() - 1;
        let upwards = "super::".repeat(depth);
        for root in [upwards.as_str(), "crate::reconcile::"] {
            let names = names_below(source, root);
            let others = names
                .into_iter()
                .filter(|(_, to)| to != from && modules.contains(to.as_str()));
            uses.extend(others.map(|(line, to)| Use {
                from,
                to,
                source,
                line,
            }));
        }
    }
    uses
}

/// All that a module reaches by what it uses, and what that uses, and so on.
fn reached<'a>(from: &'a str, by_user: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for next in by_user.get(module).into_iter().flatten() {
            if reached.insert(*next) {
                open.push(next);
            }
        }
    }
    reached
}

fn no_circles(sources: &[Source]) -> Vec<String> {
    let uses = uses(sources);
    let mut by_user: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Use { from, to, .. } in &uses {
        by_user.entry(from).or_default().insert(to);
    }
    let in_a_circle = |one: &&Use<'_>| reached(&one.to, &by_user).contains(one.from);
    uses.iter()
        .filter(in_a_circle)
        .map(|Use { from, to, source, line }| {
            let rule = format!("{from} uses {to}, which uses {from}, if by others: move what both need into a file of its own");
            place(source, *line, &rule)
        })
        .collect()
}

#[test]
fn the_steps_of_a_pass_use_each_other_one_way() {
    let broken = no_circles(&tree(&["src"]));
    assert!(
        broken.is_empty(),
        "modules of {FOLDER} form circles:\n{}",
        broken.join("\n")
    );
}

#[test]
fn a_circle_is_found_and_what_only_tests_use_is_none() {
    let file = |path: &str, text: &str| Source::new(&format!("{FOLDER}{path}.rs"), text);
    let sources = [
        file("a", "use super::{Context, b::X};"),
        file("b", "use super::Context;\nuse crate::reconcile::c;"),
        file("c", "#[cfg(test)]\nmod tests { use super::super::b; }"),
        file("c/d", "use super::super::a;"),
        file(
            "e",
            "use super::a;\n#[cfg(test)]\nmod tests { use crate::reconcile::f; }",
        ),
        file("f", "use super::e;"),
    ];
    let broken = no_circles(&sources);
    let places = ["a.rs:1: ", "b.rs:2: ", "c/d.rs:1: "];
    assert_eq!(broken.len(), places.len(), "{broken:#?}");
    for (line, place) in broken.iter().zip(places) {
        assert!(line.starts_with(&format!("{FOLDER}{place}")), "{line}");
    }
}
