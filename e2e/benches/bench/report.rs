//! The table: what was measured, beside the bare writer and the target, and whether that is met. Nothing fails on a slow machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use vaultbridge_e2e::control_plane::KubeRequests;

use crate::meter::{Cost, Who};
use crate::rounds::Rounds;
use crate::setup::PER_NAMESPACE;

/// How much longer than the bare writer a cold start may take.
const COLD_FACTOR: f64 = 1.5;
/// CPU milliseconds per object from cold, of operator, Vault, API server and etcd.
const CPU_PER_OBJECT: f64 = 6.0;
/// Cores per thousand idle objects, over what the servers use by themselves.
const IDLE_CORES: f64 = 0.04;
/// CPU seconds a minute of the operator per five thousand idle objects.
const IDLE_SECONDS: f64 = 0.5;
/// Seconds from a start in sync until ready.
const RESTART: f64 = 3.0;
/// MiB of memory at the most, for a thousand objects and for ten thousand.
const MEMORY: (f64, f64) = (25.0, 64.0);

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
    let mut rows = cold(rounds);
    rows.extend(restart(rounds));
    rows.extend(idle(rounds));
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
    text.push_str(&by_verb(&rounds.idle.kube));
    text
}

fn cold(rounds: &Rounds) -> Vec<Row> {
    let (cold, bare, objects) = (&rounds.cold, &rounds.bare.best, count(rounds.objects));
    let factor = cold.wall.as_secs_f64() / bare.wall.as_secs_f64();
    let identities = rounds.objects / PER_NAMESPACE;
    let logins = cold.vault.clone().logins().len();
    let reads = cold.vault.clone().below("bench/").reads().len();
    let writes = count(cold.kube.clone().writes().len()) / objects;
    let bare_writes = count(bare.kube.clone().writes().len()) / objects;
    let limit = memory_limit(objects);
    let peak = rounds.restart.peak_before;
    let cpu = cold.total_cpu() / objects;
    vec![
        row(
            "from cold until every Secret and status is right",
            format!("{} ({factor:.2} ×)", seconds(cold.wall)),
        )
        .beside(seconds(bare.wall))
        .target(format!("≤ {COLD_FACTOR} ×"), factor <= COLD_FACTOR),
        row(
            "Kubernetes requests per object, all",
            format!("{:.2}", count(cold.kube.len()) / objects),
        )
        .beside(format!("{:.2}", count(bare.kube.len()) / objects)),
        row("… of these writes", format!("{writes:.2}"))
            .beside(format!("{bare_writes:.2}"))
            .target("2".into(), writes <= 2.005),
        row(
            "Vault reads per object",
            format!("{:.2}", count(reads) / objects),
        )
        .target("1".into(), reads == rounds.objects),
        row(
            "logins, and Vault requests in all",
            format!("{logins}, {}", cold.vault.len()),
        )
        .target(format!("{identities} logins"), logins == identities),
        row("CPU-ms per object, all four", format!("{cpu:.2}"))
            .beside(format!(
                "{:.2}",
                (bare.total_cpu() - own(bare, Who::Vault)) / objects
            ))
            .target(format!("≤ {CPU_PER_OBJECT}"), cpu <= CPU_PER_OBJECT),
        row("… operator, Vault, API server, etcd", shares(cold, objects))
            .beside(shares(bare, objects)),
        row("peak memory of the operator", format!("{peak:.1} MiB"))
            .target(format!("≤ {limit:.0} MiB"), peak <= limit),
    ]
}

fn restart(rounds: &Rounds) -> Vec<Row> {
    let restart = &rounds.restart;
    let kube = &restart.cost.kube;
    let others = kube
        .clone()
        .only(|request| !["list", "watch"].contains(&request.verb.as_str()));
    let writes = kube.clone().writes().len();
    let ready = restart.ready.as_secs_f64();
    vec![
        row("restart in sync until ready", seconds(restart.ready))
            .target(format!("≤ {RESTART} s"), ready <= RESTART),
        row(
            "… Kubernetes requests, of these other than lists and watches, writes",
            format!("{}, {}, {writes}", kube.len(), others.len()),
        )
        .target("0 writes".into(), writes == 0),
        row(
            "… Vault requests within 3 s (polls that fall due are among them)",
            restart.cost.vault.len().to_string(),
        ),
        row(
            "… CPU-ms of the operator",
            format!("{:.0}", own(&restart.cost, Who::Writer)),
        ),
    ]
}

fn idle(rounds: &Rounds) -> Vec<Row> {
    let (idle, objects) = (&rounds.idle, count(rounds.objects));
    let wall = idle.wall.as_secs_f64();
    // Watches are renewed by themselves, and the first look of each identity after the restart needs a token.
    let asked = idle
        .kube
        .clone()
        .only(|request| request.verb != "watch" && request.resource != "serviceaccounts/token");
    let writes = idle.kube.clone().writes().len();
    let reads = idle.vault.clone().below("bench/").reads().len();
    let logins = idle.vault.clone().logins().len();
    let operator = own(idle, Who::Writer) / 1000.0 * 60.0 / wall;
    let allowed = IDLE_SECONDS * objects / 5000.0;
    let still = rounds.still.total_cpu() / 1000.0 / rounds.still.wall.as_secs_f64();
    let cores = (idle.total_cpu() / 1000.0 / wall - still) / (objects / 1000.0);
    vec![
        row(
            &format!("idle {wall:.0} s at 60 s: Kubernetes requests (but watches, and tokens for logins), writes"),
            format!("{}, {writes}", asked.len()),
        )
        .target("0, 0".into(), asked.is_empty()),
        row(
            "… Vault reads per object and minute, logins",
            format!("{:.2}, {logins}", count(reads) / objects * 60.0 / wall),
        )
        .target(
            "1, and the first login of each identity".into(),
            count(reads) / objects * 60.0 / wall <= 1.1,
        ),
        row(
            "… CPU-seconds of the operator a minute",
            format!("{operator:.2}"),
        )
        .target(format!("≤ {allowed:.2}"), operator <= allowed),
        row(
            "… cores per 1,000 objects, all four, over the servers' own",
            format!("{cores:.3}"),
        )
        .target(format!("≤ {IDLE_CORES}"), cores <= IDLE_CORES),
        row(
            "… the servers' own cores without the operator",
            format!("{still:.3}"),
        ),
        row(
            "… peak memory of the operator since the restart",
            format!("{:.1} MiB", rounds.peak),
        )
        .target(
            format!("≤ {:.0} MiB", memory_limit(objects)),
            rounds.peak <= memory_limit(objects),
        ),
    ]
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

/// Between a thousand and ten thousand objects the limit grows with them.
fn memory_limit(objects: f64) -> f64 {
    let (low, high) = MEMORY;
    low + (high - low) * ((objects - 1000.0) / 9000.0).max(0.0)
}

fn shares(cost: &Cost, objects: f64) -> String {
    let shares = [Who::Writer, Who::Vault, Who::ApiServer, Who::Etcd]
        .map(|who| format!("{:.2}", own(cost, who) / objects));
    shares.join(", ")
}

fn own(cost: &Cost, who: Who) -> f64 {
    cost.cpu.get(&who).copied().unwrap_or_default()
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
