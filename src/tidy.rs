//! The rules of the house, as tests.
//!
//! What ARCHITECTURE.md says about the shape of the code holds only as long as something checks it. Each rule here is
//! one function from the Rust files of the project to a list of places that break it, each with the file, the line and
//! what to do. Each rule is also shown something bad, so that a rule that sees nothing is found out.

mod circles;
mod source;
mod texts;

use source::{Source, tree};

/// The most lines of production code in a file.
const FILE_LINES: usize = 400;

/// The most lines of a function.
const FUNCTION_LINES: usize = 60;

/// Which parts of the library each part may use beside itself.
const LAYERS: &[(&str, &str)] = &[
    ("main", "cli"),
    (
        "cli",
        "api backstage cluster leadership preview run schedule sensitive telemetry",
    ),
    ("preview", "api cluster reconcile sensitive vault"),
    (
        "run",
        "api backstage cluster connections controller holdings http leadership metrics objects queue reconcile retry schedule seal sensitive telemetry vault",
    ),
    (
        "controller",
        "api cluster connections metrics objects reconcile schedule shares",
    ),
    (
        "reconcile",
        "api cluster connections csr fault heavy holdings leadership lease metrics minting objects queue record render retry schedule seal sensitive telemetry vault",
    ),
    (
        "connections",
        "api cluster metrics record retry schedule sensitive vault",
    ),
    ("objects", "api cluster"),
    ("csr", "sensitive"),
    ("shares", "cluster"),
    ("queue", "cluster"),
    ("vault", "heavy limit retry sensitive"),
    ("cluster", "api leadership retry sensitive"),
    ("http", "leadership metrics"),
    ("backstage", "telemetry"),
    ("holdings", "lease sensitive"),
    ("metrics", "api"),
    ("record", "seal sensitive"),
    ("seal", "sensitive"),
    ("minting", ""),
    ("fault", "minting"),
    ("leadership", ""),
    ("lease", "schedule"),
    ("schedule", "sensitive"),
    ("render", "sensitive"),
    ("heavy", "limit"),
    ("api", ""),
    ("limit", ""),
    ("retry", ""),
    ("sensitive", ""),
    ("telemetry", "fault"),
];

/// The files of `src/reconcile/` that decide, and so are pure.
const PURE_STEPS: &[&str] = &[
    "resolve",
    "mapping",
    "texts",
    "offline",
    "issued",
    "paths",
    "folders",
    "source_job",
    "found",
    "pki",
    "claim",
    "conflicts",
    "hold",
    "certificate",
    "ends",
    "entries",
    "tended",
    "wish",
    "decide",
    "settle",
    "values",
    "refusals",
    "failure",
    "build",
    "build/types",
    "dress",
    "report",
    "status",
    "rollout",
    "rolled_out",
];

/// What pure steps may use. Of `cluster`, `connections`, `objects` and `vault` that is plain data: what a watch brought, what
/// Vault answered. They cannot act on it, since they may not wait for anything.
const PURE_LAYER: &str = "api cluster connections csr holdings lease minting objects record render schedule seal sensitive vault";

/// Crates that speak to the world, and the only parts that may name them.
const FOREIGN: &[(&str, &str)] = &[
    ("vaultrs rustify reqwest", "vault"),
    ("rcgen", "csr"),
    ("cel", "preview"),
    (
        "kube k8s_openapi",
        "api cli cluster connections controller objects reconcile run",
    ),
];

/// Types that hold secret values, and the part that defines them.
const SECRET_TYPES: &[(&str, &str)] = &[
    ("SecretText", "sensitive"),
    ("SecretBytes", "sensitive"),
    ("SecretJson", "sensitive"),
    ("JsonRef", "sensitive"),
    ("Keys", "seal"),
];

/// Traits that turn a value into text.
const PRINTING: &[&str] = &[
    "Debug",
    "Display",
    "Serialize",
    "ToString",
    "LowerHex",
    "UpperHex",
];

/// A rule: the places that break it, one line each.
type Rule = fn(&[Source]) -> Vec<String>;

/// `path:line: what to do`.
fn place(source: &Source, line: usize, rule: &str) -> String {
    format!("{}:{line}: {rule}", source.path)
}

/// Whether `name` is one of these names between spaces.
fn lists(names: &str, name: &str) -> bool {
    names.split(' ').any(|listed| listed == name)
}

/// The part of the library that a file belongs to; `None` outside `src/` and for the crate's own root.
fn layer(source: &Source) -> Option<&str> {
    let path = source.path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let part = path.split('/').next()?;
    (part != "lib" && part != "tidy").then_some(part)
}

/// The names of the parts that production code reaches for through `crate::` (or `vaultbridge::`), with their places.
fn uses(source: &Source) -> Vec<(usize, String)> {
    let roots = ["crate::", "vaultbridge::"];
    roots
        .iter()
        .flat_map(|root| names_below(source, root))
        .collect()
}

/// The names that stand behind `root` in production code, with their lines: of `super::{a, b::c}` those are `a` and `b`.
fn names_below(source: &Source, root: &str) -> Vec<(usize, String)> {
    let code = &source.production;
    let mut found = Vec::new();
    for at in Source::words(code, root) {
        let rest = &code[at + root.len()..];
        let names = match rest.trim_start().strip_prefix('{') {
            Some(group) => first_names(group),
            None => vec![first_name(rest)],
        };
        found.extend(names.into_iter().map(|name| (source.line(at), name)));
    }
    found
}

fn first_name(path: &str) -> String {
    let path = path.trim_start();
    path.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The first name of each path of a group such as `a::b, c::{d, e}}`.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut start) = (0_usize, 0);
    let mut names = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(first_name(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn layers_are_kept(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let Some(own) = layer(source) else { continue };
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == own) else {
            broken.push(place(
                source,
                1,
                "give this part of the library a line in LAYERS of src/tidy.rs",
            ));
            continue;
        };
        let step = source
            .path
            .strip_prefix("src/reconcile/")
            .and_then(|path| path.strip_suffix(".rs"));
        let pure = step.is_some_and(|step| PURE_STEPS.contains(&step));
        let allowed = if pure { PURE_LAYER } else { allowed };
        for (line, name) in uses(source) {
            if name != own && !lists(allowed, &name) {
                let rule = format!("do not use crate::{name} here: it may use only {allowed}");
                broken.push(place(source, line, &rule));
            }
        }
        // `super` once too often is another way to the root, past this rule.
        let depth = source.path.matches('/').count();
        for at in Source::words(&source.production, &"super::".repeat(depth)) {
            broken.push(place(
                source,
                source.line(at),
                "write crate:: for what lies outside this part",
            ));
        }
    }
    broken
}

fn foreign_crates_stay_where_they_belong(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        let Some(own) = layer(source) else { continue };
        for (crates, parts) in FOREIGN.iter().filter(|(_, parts)| !lists(parts, own)) {
            for name in crates.split(' ') {
                for at in Source::words(&source.production, &format!("{name}::")) {
                    let rule = format!("do not use {name} here: only {parts} may");
                    broken.push(place(source, source.line(at), &rule));
                }
            }
        }
    }
    broken
}

fn files_start_by_saying_what_they_are_for(sources: &[Source]) -> Vec<String> {
    let silent = sources
        .iter()
        .filter(|source| !source.text.starts_with("//! "));
    silent
        .map(|source| {
            place(
                source,
                1,
                "start with a //! paragraph: which problem does this file solve?",
            )
        })
        .collect()
}

fn files_and_functions_are_small(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        if source.production_lines > FILE_LINES {
            let lines = source.production_lines;
            let rule = format!(
                "split this file: {lines} lines of production code, at most {FILE_LINES} are allowed"
            );
            broken.push(place(source, 1, &rule));
        }
        for function in source.functions() {
            if function.lines > FUNCTION_LINES {
                let rule = format!(
                    "split fn {}: {} lines, at most {FUNCTION_LINES} are allowed",
                    function.name, function.lines
                );
                broken.push(place(source, function.line, &rule));
            }
        }
    }
    broken
}

fn modules_are_files_of_their_own_name(sources: &[Source]) -> Vec<String> {
    // A folder below tests/ is the one place where cargo itself asks for a main.rs, and none asks for a mod.rs.
    let badly_named = sources
        .iter()
        .filter(|source| source.path.ends_with("/mod.rs"));
    badly_named
        .map(|source| place(source, 1, "rename x/mod.rs to x.rs"))
        .collect()
}

fn lints_are_expected_with_a_reason_and_never_allowed(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        for open in ["#[allow(", "#![allow("] {
            for (at, _) in source.code.match_indices(open) {
                broken.push(place(
                    source,
                    source.line(at),
                    "write #[expect(lint, reason = \"...\")] instead of allow",
                ));
            }
        }
        for open in ["#[expect(", "#![expect("] {
            for (at, _) in source.code.match_indices(open) {
                let attribute = source.code[at..].split(']').next().unwrap_or_default();
                if !attribute.contains("reason") {
                    broken.push(place(
                        source,
                        source.line(at),
                        "say why: #[expect(lint, reason = \"...\")]",
                    ));
                }
            }
        }
    }
    broken
}

fn pure_steps_await_nothing(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for step in PURE_STEPS {
        let path = format!("src/reconcile/{step}.rs");
        for source in sources.iter().filter(|source| source.path == path) {
            for word in ["async", "await"] {
                for at in Source::words(&source.production, word) {
                    let rule = format!("decide here and act elsewhere: no {word} in a pure step");
                    broken.push(place(source, source.line(at), &rule));
                }
            }
        }
    }
    broken
}

fn secret_types_cannot_be_printed(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, part) in SECRET_TYPES {
        let mut defined = false;
        for source in sources {
            let line_of = |at: usize| source.line(at);
            let rule = format!("keep {name} unprintable: it holds secret values");
            for at in type_definitions(source, name).filter(|_| layer(source) == Some(*part)) {
                defined = true;
                if PRINTING.iter().any(|word| {
                    Source::words(attributes_before(source, at), word)
                        .next()
                        .is_some()
                }) {
                    broken.push(place(source, line_of(at), &rule));
                }
            }
            broken.extend(printing_impls(source, name).map(|at| place(source, line_of(at), &rule)));
        }
        if !defined && sources.iter().any(|source| layer(source) == Some(*part)) {
            broken.push(format!(
                "src/{part}.rs:1: define {name} there, or correct SECRET_TYPES of src/tidy.rs"
            ));
        }
    }
    broken
}

/// Where a struct or enum of this name is defined.
fn type_definitions<'a>(source: &'a Source, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    Source::words(&source.code, name).filter(|at| {
        let before = source.code[..*at].trim_end();
        before.ends_with("struct") || before.ends_with("enum")
    })
}

/// The attributes of the item at `at`: the text since the item before it ended.
fn attributes_before(source: &Source, at: usize) -> &str {
    let before = &source.code[..at];
    before.rsplit(['}', ';']).next().unwrap_or(before)
}

/// Where `impl SomePrintingTrait for Name` stands.
fn printing_impls<'a>(source: &'a Source, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    Source::words(&source.code, "impl").filter(move |at| {
        let head = source.code[*at..].split('{').next().unwrap_or_default();
        let Some((what, for_what)) = head.split_once(" for ") else {
            return false;
        };
        let prints = PRINTING
            .iter()
            .any(|word| Source::words(what, word).next().is_some());
        prints && Source::words(for_what, name).next().is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every Rust file of the project keeps the rule.
    #[track_caller]
    fn holds(rule: Rule, folders: &[&str]) {
        let sources = tree(folders);
        assert!(!sources.is_empty(), "no Rust file was found in {folders:?}");
        let broken = rule(&sources);
        assert!(
            broken.is_empty(),
            "{} places break a rule of the house:\n{}",
            broken.len(),
            broken.join("\n")
        );
    }

    /// A tree of these files breaks the rule at exactly these places.
    #[track_caller]
    fn breaks(rule: Rule, files: &[(&str, &str)], places: &[&str]) {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect();
        let broken = rule(&sources);
        let same = broken.len() == places.len()
            && broken
                .iter()
                .zip(places)
                .all(|(line, place)| line.starts_with(place));
        assert!(same, "expected {places:?}, found {broken:#?}");
    }

    const ALL: &[&str] = &["src", "e2e/src", "e2e/tests", "e2e/benches"];

    #[test]
    fn every_part_uses_only_the_parts_below_it() {
        holds(layers_are_kept, &["src"]);
        let bad = "use crate::{sensitive::{A, B}, vault::C};\nfn f() { crate::cluster::g() }\n// crate::api\n#[cfg(test)]\nmod tests { use crate::api::X; }\n";
        breaks(
            layers_are_kept,
            &[("src/render/x.rs", bad)],
            &[
                "src/render/x.rs:1: do not use crate::vault",
                "src/render/x.rs:2: do not use crate::cluster",
            ],
        );
        breaks(
            layers_are_kept,
            &[("src/reconcile/decide.rs", "use crate::metrics::X;")],
            &["src/reconcile/decide.rs:1"],
        );
        breaks(
            layers_are_kept,
            &[("src/reconcile/fetch.rs", "use crate::vault::X;")],
            &[],
        );
        breaks(
            layers_are_kept,
            &[("src/vault/a.rs", "use super::b;\nuse super::super::api;")],
            &["src/vault/a.rs:2"],
        );
        breaks(
            layers_are_kept,
            &[("src/main.rs", "vaultbridge::run::x()")],
            &["src/main.rs:1"],
        );
        breaks(
            layers_are_kept,
            &[("src/novel.rs", "")],
            &["src/novel.rs:1: give this part"],
        );
    }

    #[test]
    fn only_the_parts_that_speak_to_the_world_name_its_crates() {
        holds(foreign_crates_stay_where_they_belong, &["src"]);
        let bad = "use kube::Api;\nuse vaultrs::kv2;\n";
        breaks(
            foreign_crates_stay_where_they_belong,
            &[("src/vault/x.rs", bad)],
            &["src/vault/x.rs:1: do not use kube"],
        );
        breaks(
            foreign_crates_stay_where_they_belong,
            &[("src/cluster.rs", bad)],
            &["src/cluster.rs:2: do not use vaultrs"],
        );
    }

    #[test]
    fn every_file_says_what_it_is_for() {
        holds(files_start_by_saying_what_they_are_for, ALL);
        breaks(
            files_start_by_saying_what_they_are_for,
            &[("src/x.rs", "use a;"), ("src/y.rs", "//! Y.")],
            &["src/x.rs:1"],
        );
    }

    #[test]
    fn no_file_and_no_function_is_too_long() {
        holds(files_and_functions_are_small, &["src", "e2e/src"]);
        let function = |name: &str, lines: usize| {
            format!("fn {name}() {{\n{}}}\n", "x();\n".repeat(lines - 2))
        };
        let long = function("a", 60) + &function("b", 61);
        breaks(
            files_and_functions_are_small,
            &[("src/x.rs", &long)],
            &["src/x.rs:61: split fn b: 61 lines"],
        );
        let (full, more) = ("use a;\n".repeat(400), "use a;\n".repeat(401));
        breaks(
            files_and_functions_are_small,
            &[("e2e/src/x.rs", &full), ("e2e/src/y.rs", &more)],
            &["e2e/src/y.rs:1: split this file: 401"],
        );
    }

    #[test]
    fn no_module_hides_in_a_mod_rs() {
        holds(modules_are_files_of_their_own_name, ALL);
        breaks(
            modules_are_files_of_their_own_name,
            &[("src/x/mod.rs", "")],
            &["src/x/mod.rs:1"],
        );
    }

    #[test]
    fn no_lint_is_silenced_without_a_reason() {
        holds(lints_are_expected_with_a_reason_and_never_allowed, ALL);
        let bad = "#[allow(dead_code)]\n#[expect(dead_code)]\n#[expect(dead_code, reason = \"r\")]\n#![allow(x)]\n// #[allow(y)]";
        let rule = lints_are_expected_with_a_reason_and_never_allowed;
        breaks(
            rule,
            &[("src/x.rs", bad)],
            &["src/x.rs:1", "src/x.rs:4", "src/x.rs:2"],
        );
    }

    #[test]
    fn a_step_that_decides_awaits_nothing() {
        holds(pure_steps_await_nothing, &["src"]);
        let bad = "async fn f() {}\nfn g() { h().await }\nfn asynchronous() {}";
        breaks(
            pure_steps_await_nothing,
            &[("src/reconcile/claim.rs", bad)],
            &["src/reconcile/claim.rs:1", "src/reconcile/claim.rs:2"],
        );
        breaks(
            pure_steps_await_nothing,
            &[("src/reconcile/apply.rs", bad)],
            &[],
        );
    }

    #[test]
    fn a_secret_has_no_way_to_become_text_by_accident() {
        holds(secret_types_cannot_be_printed, &["src"]);
        let good = "#[derive(Debug)]\nstruct Other;\n#[derive(Clone)]\nstruct SecretText(u8);\nimpl Debug for Other {}\n";
        let others = "struct SecretBytes;\nstruct SecretJson;\nstruct JsonRef;\n";
        let with = |text: &str| format!("{good}{others}{text}");
        let rule = secret_types_cannot_be_printed;
        breaks(rule, &[("src/sensitive.rs", &with(""))], &[]);
        breaks(
            rule,
            &[("src/sensitive.rs", good)],
            &[
                "src/sensitive.rs:1",
                "src/sensitive.rs:1",
                "src/sensitive.rs:1",
            ],
        );
        let derived = with("").replace("derive(Clone)", "derive(Clone, Debug)");
        breaks(
            rule,
            &[("src/sensitive.rs", &derived)],
            &["src/sensitive.rs:4: keep SecretText"],
        );
        let written = with(
            "\nimpl fmt::Display for SecretJson {}\nimpl<S: Serializer> serde::Serialize for JsonRef<'_> {}",
        );
        breaks(
            rule,
            &[("src/sensitive.rs", &written)],
            &[
                "src/sensitive.rs:10: keep SecretJson",
                "src/sensitive.rs:11: keep JsonRef",
            ],
        );
    }
}
