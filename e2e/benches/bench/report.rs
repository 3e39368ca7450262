//! The table: what was measured, beside the bare writer and the target, and whether that is met. Nothing fails on a slow machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use vaultbridge_e2e::control_plane::KubeRequests;

use crate::rounds::Rounds;

mod rows;

struct Row {
    what: String,
    ours: String,
    bare: String,
    target: String,
    met: Option<bool>,
}

/// Tells the person who waits.
#[expect(
    clippy::print_stdout,
    reason = "this program's output is what it is for"
)]
pub fn say(text: &str) {
    println!("{text}");
    drop(std::io::stdout().flush());
}

/// Everything that was measured, as Markdown.
pub fn table(rounds: &Rounds) -> String {
    let parts = [
        rows::cold,
        rows::restart,
        rows::idle,
        rows::harm,
        rows::shared,
    ];
    let rows: Vec<Row> = parts.iter().flat_map(|part| part(rounds)).collect();
    let mut text = format!(
        "\n| {} objects | Vaultbridge | bare writer | target | |\n|---|---|---|---|---|\n",
        rounds.objects
    );
    for row in &rows {
        let met = match row.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {met} |",
            row.what, row.ours, row.bare, row.target
        );
    }
    let walls: Vec<_> = rounds
        .bare
        .walls
        .iter()
        .map(|wall| seconds(*wall))
        .collect();
    let _ = writeln!(
        text,
        "\nThe bare writer took {}; the best round counts.",
        walls.join(", ")
    );
    let _ = writeln!(text, "\nKubernetes requests of the operator from cold:\n");
    text.push_str(&by_verb(&rounds.cold.kube));
    let _ = writeln!(text, "\nand while idle:\n");
    text.push_str(&by_verb(&rounds.idle.cost.kube));
    text
}

fn row(what: &str, ours: String) -> Row {
    Row {
        what: what.into(),
        ours,
        bare: String::new(),
        target: String::new(),
        met: None,
    }
}

impl Row {
    fn beside(self, bare: String) -> Self {
        Self { bare, ..self }
    }

    fn target(self, target: String, met: bool) -> Self {
        Self {
            target,
            met: Some(met),
            ..self
        }
    }
}

fn by_verb(requests: &KubeRequests) -> String {
    let mut counts = BTreeMap::<(String, String, u16), usize>::new();
    for request in requests.iter() {
        let kind = (request.verb.clone(), request.resource.clone(), request.code);
        *counts.entry(kind).or_default() += 1;
    }
    let mut text = "| verb | resource | answer | requests |\n|---|---|---|---|\n".to_owned();
    for ((verb, resource, code), count) in counts {
        let _ = writeln!(text, "| {verb} | {resource} | {code} | {count} |");
    }
    text
}

fn seconds(wall: Duration) -> String {
    format!("{:.2} s", wall.as_secs_f64())
}

/// A count, to be divided; exact as far as any bench goes.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
