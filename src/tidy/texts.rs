//! The texts for people, held against what they speak of.
//!
//! A text that was true once misleads longer than none. What a program can check of it is checked: that an example is shown as
//! it stands in its file, that links, files and functions are there, that every dependency is accounted for.

use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::CommandFactory as _;
use serde_json::{Value, json};

use super::source::{Source, tree};
use crate::api::condition::{SYNCED, Verdict, whole_seconds};
use crate::api::{Reason, VaultSecretStatus, crd};
use crate::cli::Cli;
use crate::metrics::Metrics;

/// A page.
struct Text {
    /// Its path from the root of the project.
    path: String,
    text: String,
}

/// A fenced block of a page.
struct Block {
    /// The line of its opening fence, from 1.
    line: usize,
    /// What stands behind that fence: the language, and for a quoted file its path.
    info: String,
    content: String,
}

impl Text {
    fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn place(&self, line: usize, rule: &str) -> String {
        format!("{}:{line}: {rule}", self.path)
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open = false;
        for (index, line) in self.text.lines().enumerate() {
            match (line.strip_prefix("```"), open) {
                (Some(_), true) => open = false,
                (Some(info), false) => {
                    open = true;
                    blocks.push(Block {
                        line: index + 1,
                        info: info.to_owned(),
                        content: String::new(),
                    });
                }
                (None, true) => {
                    if let Some(block) = blocks.last_mut() {
                        block.content.push_str(line);
                        block.content.push('\n');
                    }
                }
                (None, false) => {}
            }
        }
        blocks
    }

    /// The lines outside of fenced blocks, with their numbers from 1.
    fn prose(&self) -> Vec<(usize, &str)> {
        let mut open = false;
        let lines = self.text.lines().enumerate();
        let mut prose = Vec::new();
        for (index, line) in lines {
            if line.starts_with("```") {
                open = !open;
            } else if !open {
                prose.push((index + 1, line));
            }
        }
        prose
    }

    /// What a link to each heading says behind `#`.
    fn anchors(&self) -> Vec<String> {
        let headings = self
            .prose()
            .into_iter()
            .filter(|(_, line)| line.starts_with('#'));
        headings
            .map(|(_, line)| anchor(line.trim_start_matches('#').trim()))
            .collect()
    }
}

/// As GitHub makes it: lower case, without punctuation, dashes for spaces.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c })
        .collect::<String>()
        .to_lowercase()
}

/// The file of the project, if it is there.
fn file(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

fn names_in(folder: &str, suffix: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    let names = entries.into_iter().flatten().flatten();
    let mut names: Vec<String> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(suffix))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    names.sort();
    names
}

/// Every page of the project.
fn pages() -> Vec<Text> {
    let top = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ];
    let mut paths = names_in("docs", ".md");
    paths.extend(top.map(str::to_owned));
    paths
        .iter()
        .map(|path| Text::new(path, &file(path).unwrap_or_default()))
        .collect()
}

/// The path in the info string of a block that quotes a file.
fn quoted(block: &Block) -> Option<&str> {
    block.info.split_once(' ').map(|(_, path)| path)
}

fn quoted_files_are_shown_as_they_are(pages: &[Text]) -> Vec<String> {
    let mut broken = Vec::new();
    for page in pages {
        for block in page.blocks() {
            let Some(path) = quoted(&block) else { continue };
            if file(path).as_deref() != Some(&block.content) {
                let rule = format!("show {path} as it is, or name the file that this is");
                broken.push(page.place(block.line, &rule));
            }
        }
    }
    broken
}

fn links_lead_somewhere(pages: &[Text]) -> Vec<String> {
    let mut broken = Vec::new();
    for page in pages {
        for (line, text) in page.prose() {
            let links = text
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next());
            for link in links.filter(|link| !link.contains("://")) {
                if !leads_somewhere(page, link) {
                    broken.push(page.place(line, &format!("mend the link {link}")));
                }
            }
        }
    }
    broken
}

fn leads_somewhere(page: &Text, link: &str) -> bool {
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let place = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = match path {
        "" => place.join(&page.path),
        path => place.join(folder).join(path),
    };
    let text = if path.ends_with(&page.path) {
        Some(page.text.clone())
    } else {
        fs::read_to_string(&path).ok()
    };
    let there = path.exists() || text.is_some();
    let heading_is_there = || {
        let anchors = text.map(|text| Text::new("", &text).anchors());
        anchors.is_some_and(|anchors| anchors.iter().any(|anchor| anchor == heading))
    };
    there && (heading.is_empty() || heading_is_there())
}

/// A file is named with its folder, from the root or from where most files of its kind are; a bare name may be any.
fn named_files_are_there(pages: &[Text]) -> Vec<String> {
    let mut broken = Vec::new();
    for page in pages {
        for (line, text) in page.prose() {
            let words = text.split('`').skip(1).step_by(2);
            for word in words.filter(|word| is_file_name(word)) {
                let places = ["", "src/", "e2e/src/"].map(|place| format!("{place}{word}"));
                if !places.iter().any(|path| file(path).is_some()) {
                    broken
                        .push(page.place(line, &format!("name a file that is there, not {word}")));
                }
            }
        }
    }
    broken
}

fn is_file_name(word: &str) -> bool {
    let suffixes = [".rs", ".toml", ".yaml", ".md", ".sh"];
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'));
    plain && word.contains('/') && suffixes.iter().any(|suffix| word.ends_with(suffix))
}

/// Names of functions, and of what belongs to a type, that no Rust file has.
fn named_items_are_there(pages: &[Text]) -> Vec<String> {
    let code: String = tree(&["src", "e2e/src", "e2e/tests"])
        .into_iter()
        .filter(|source| !source.path.starts_with("src/tidy"))
        .map(|source| source.code)
        .collect();
    let mut broken = Vec::new();
    for page in pages {
        for (line, text) in page.prose() {
            for word in text.split('`').skip(1).step_by(2) {
                let last = word.rsplit("::").next().unwrap_or(word);
                if is_item_name(word) && Source::words(&code, last).next().is_none() {
                    let rule = format!("name something that is in the code, not {word}");
                    broken.push(page.place(line, &rule));
                }
            }
        }
    }
    broken
}

/// `a_function`, `Type::method`, `A_CONSTANT`; not a crate, a field of an object or a plain word.
fn is_item_name(word: &str) -> bool {
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
    plain && (word.contains('_') || word.contains("::")) && !word.starts_with('_')
}

/// The names under `[dependencies]` and `[dev-dependencies]` that the text does not mention.
fn unexplained_dependencies(manifest: &str, text: &str) -> Vec<String> {
    let mut section = "";
    let mut missing = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if matches!(section, "[dependencies]" | "[dev-dependencies]")
            && let Some((name, _)) = line.split_once(" = ")
            && !text.contains(&format!("`{name}`"))
        {
            missing.push(name.to_owned());
        }
    }
    missing
}

/// The dotted paths of all fields below a schema. What stands in a map or is Kubernetes' own has no fields of ours.
fn fields(schema: &Value, above: &str, found: &mut Vec<String>) {
    let properties = schema["properties"].as_object().into_iter().flatten();
    for (name, field) in properties {
        let path = format!("{above}.{name}");
        let inner = if field["items"].is_object() {
            &field["items"]
        } else {
            field
        };
        if name != "selector" && name != "conditions" {
            fields(inner, &path, found);
        }
        found.push(path);
    }
}

/// Those of the words that stand nowhere in the text.
fn unsaid(words: &[String], text: &str) -> Vec<String> {
    let said = |word: &&String| {
        let last = word.rsplit('.').next().unwrap_or(word);
        Source::words(text, last).next().is_some()
    };
    words.iter().filter(|word| !said(word)).cloned().collect()
}

/// The pages keep the rule.
#[track_caller]
fn holds(rule: fn(&[Text]) -> Vec<String>) {
    let broken = rule(&pages());
    assert!(
        broken.is_empty(),
        "the texts are wrong:\n{}",
        broken.join("\n")
    );
}

#[test]
fn an_example_is_shown_as_it_stands_in_its_file() {
    holds(quoted_files_are_shown_as_they_are);
    let bad = Text::new(
        "x.md",
        "one\n```yaml deploy/rbac.yaml\nkind: Secret\n```\n```sh\nmake\n```\n",
    );
    let broken = quoted_files_are_shown_as_they_are(&[bad]);
    assert_eq!(
        broken,
        ["x.md:2: show deploy/rbac.yaml as it is, or name the file that this is"]
    );
}

#[test]
fn every_example_is_shown_in_a_text() {
    let pages = pages();
    let shown: Vec<Block> = pages.iter().flat_map(Text::blocks).collect();
    let examples = names_in("deploy/examples", ".yaml");
    assert!(!examples.is_empty(), "there are no examples");
    for example in examples {
        let found = shown.iter().any(|block| quoted(block) == Some(&example));
        assert!(found, "show {example} in README.md or in docs/");
    }
}

#[test]
fn every_link_leads_somewhere() {
    holds(links_lead_somewhere);
    let text = "# A b, c\n[good](#a-b-c) [bad](#a-b) [other](../LICENSE)\n[bad](nowhere.md)";
    let broken = links_lead_somewhere(&[Text::new("docs/x.md", text)]);
    assert_eq!(
        broken,
        [
            "docs/x.md:2: mend the link #a-b",
            "docs/x.md:3: mend the link nowhere.md"
        ]
    );
}

#[test]
fn every_file_that_a_text_names_is_there() {
    holds(named_files_are_there);
    let text = "`src/lib.rs`, `vault/client.rs` and `mod.rs`, but `src/nothing.rs`\n```\n`nothing.rs`\n```\n`*.rs`";
    let broken = named_files_are_there(&[Text::new("x.md", text)]);
    assert_eq!(
        broken,
        ["x.md:1: name a file that is there, not src/nothing.rs"]
    );
}

#[test]
fn everything_that_the_architecture_names_is_in_the_code() {
    let text = file("ARCHITECTURE.md").unwrap_or_default();
    let crates = ["serde_json", "raw_value"].map(|name| format!("`{name}`"));
    let text = crates
        .iter()
        .fold(text, |text, name| text.replace(name, ""));
    let broken = named_items_are_there(&[Text::new("ARCHITECTURE.md", &text)]);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let text = "`wake_dependents` and `Caches::start`, `a word`, but `Caches::beginning` and `_x`";
    assert_eq!(
        named_items_are_there(&[Text::new("x.md", text)]),
        ["x.md:1: name something that is in the code, not Caches::beginning"]
    );
}

#[test]
fn every_field_has_its_place_in_the_documentation() {
    let pages = [
        ("VaultSecret", "docs/vaultsecret.md"),
        ("VaultConnection", "docs/vaultconnection.md"),
    ];
    for definition in crd::all().unwrap() {
        let kind = &definition.spec.names.kind;
        let (_, page) = pages.iter().find(|(of, _)| of == kind).unwrap();
        let definition = serde_json::to_value(&definition).unwrap();
        let mut found = Vec::new();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        fields(schema, kind, &mut found);
        assert!(found.len() > 20, "only these were found: {found:?}");
        let missing = unsaid(&found, &file(page).unwrap_or_default());
        assert!(missing.is_empty(), "describe these in {page}: {missing:?}");
    }
    let schema = json!({ "properties": { "a": { "items": { "properties": { "b": {} } } } } });
    let mut found = Vec::new();
    fields(&schema, "X", &mut found);
    assert_eq!(unsaid(&found, "an a, and bb"), ["X.a.b"]);
}

#[test]
fn every_flag_and_every_metric_has_its_place_in_the_documentation() {
    let page = file("docs/operations.md").unwrap_or_default();
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let mut words: Vec<String> = run
        .get_arguments()
        .filter_map(|flag| flag.get_env()?.to_str().map(str::to_owned))
        .collect();
    assert_eq!(words.len(), 15, "a flag has no variable: {words:?}");
    let metrics = Metrics::new(true);
    let late = Verdict {
        status: Some(false),
        reason: Reason::VaultSealed,
        message: String::new(),
    };
    let late = late.condition(SYNCED, &[], None, jiff::Timestamp::UNIX_EPOCH, None);
    let status = VaultSecretStatus {
        last_change_time: Some(whole_seconds(jiff::Timestamp::UNIX_EPOCH)),
        conditions: vec![late],
        expiration_time: Some(whole_seconds(jiff::Timestamp::UNIX_EPOCH)),
        ..VaultSecretStatus::default()
    };
    metrics.pass(
        "shop",
        "orders",
        "written",
        Reason::Synced,
        true,
        Some(&status),
    );
    metrics.connection("default", true, false);
    metrics.sessions("default", 1);
    metrics.request("default", "read", "ok", Duration::from_millis(1));
    let text = metrics.print().unwrap();
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = families.filter_map(|family| family.split(' ').next());
    words.extend(names.map(|name| match name {
        "vaultbridge_reconcile" | "vaultbridge_vault_requests" => format!("{name}_total"),
        name => name.to_owned(),
    }));
    assert_eq!(
        words.len(),
        32,
        "fifteen variables, seventeen metrics: {words:?}"
    );
    assert_eq!(unsaid(&words, &page), Vec::<String>::new());
}

#[test]
fn every_dependency_is_accounted_for() {
    let (manifest, text) = (file("Cargo.toml"), file("ARCHITECTURE.md"));
    let missing =
        unexplained_dependencies(&manifest.unwrap_or_default(), &text.unwrap_or_default());
    assert!(
        missing.is_empty(),
        "give these a line in ARCHITECTURE.md: {missing:?}"
    );
    let manifest = "[package]\nname = 1\n[dependencies]\na = 1\nb = { workspace = true }\n";
    assert_eq!(unexplained_dependencies(manifest, "`a`"), ["b"]);
}
