//! The rows of the table: what a round showed, and what we want it to show.

use std::time::Duration;

use super::{Row, count, row, seconds};
use crate::harm::EDITS;
use crate::meter::{Cost, Who};
use crate::rounds::Rounds;
use crate::setup::PER_NAMESPACE;
use crate::sight::percentile;

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
/// Seconds from an edit of a Secret until it is right again: "about a second".
const REPAIR: f64 = 1.0;
/// Seconds from the end of an outage until everything is fresh, for 500 due objects and for 5,000.
const FRESH: (f64, f64) = (5.0, 15.0);
/// Seconds that a change may take beyond the interval until it is everywhere.
const SPREAD: f64 = 1.5;

pub(super) fn cold(rounds: &Rounds) -> Vec<Row> {
    let (cold, bare, objects) = (&rounds.cold, &rounds.bare.best, count(rounds.objects));
    let factor = cold.wall.as_secs_f64() / bare.wall.as_secs_f64();
    let identities = rounds.objects / PER_NAMESPACE;
    let logins = cold.vault.clone().logins().len();
    let reads = cold.vault.clone().below("bench/").reads().len();
    let writes = count(cold.kube.clone().writes().len()) / objects;
    let bare_writes = count(bare.kube.clone().writes().len()) / objects;
    let peak = rounds.restart.peak_before;
    let cpu = cold.total_cpu() / objects;
    let bare_cpu = (bare.total_cpu() - own(bare, Who::Vault)) / objects;
    vec![
        row(
            "from cold until every Secret and status is right",
            format!("{} ({factor:.2} ×)", seconds(cold.wall)),
        )
        .beside(seconds(bare.wall))
        .target(format!("≤ {COLD_FACTOR} ×"), factor <= COLD_FACTOR),
        elsewhere(cold.cores_elsewhere()).beside(format!("{:.2}", bare.cores_elsewhere())),
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
            .beside(format!("{bare_cpu:.2}"))
            .target(format!("≤ {CPU_PER_OBJECT}"), cpu <= CPU_PER_OBJECT),
        row("… operator, Vault, API server, etcd", shares(cold, objects))
            .beside(shares(bare, objects)),
        memory("peak memory of the operator", peak, objects),
    ]
}

pub(super) fn restart(rounds: &Rounds) -> Vec<Row> {
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

pub(super) fn idle(rounds: &Rounds) -> Vec<Row> {
    let (idle, objects) = (&rounds.idle.cost, count(rounds.objects));
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
    let polls = count(reads) / objects * 60.0 / wall;
    vec![
        row(
            &format!("idle {wall:.0} s at 60 s: Kubernetes requests (but watches, and tokens for logins), writes"),
            format!("{}, {writes}", asked.len()),
        )
        .target("0, 0".into(), asked.is_empty()),
        row(
            "… Vault reads per object and minute, logins",
            format!("{polls:.2}, {logins}"),
        )
        .target("1, and the first login of each identity".into(), polls <= 1.1),
        row("… CPU-seconds of the operator a minute", format!("{operator:.2}"))
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
        elsewhere(idle.cores_elsewhere()),
        memory(
            "… peak memory of the operator since the restart",
            rounds.idle.peak,
            objects,
        ),
        row(
            "… memory of the operator at the end",
            format!("{:.1} MiB", rounds.idle.memory),
        ),
    ]
}

pub(super) fn harm(rounds: &Rounds) -> Vec<Row> {
    let half = percentile(&rounds.repairs, 50).as_secs_f64();
    let most = percentile(&rounds.repairs, 99).as_secs_f64();
    let mut rows = vec![
        row(
            &format!("a Secret is edited until it is right again ({EDITS} times): p50, p99"),
            format!("{half:.3}, {most:.3} s"),
        )
        .target(format!("p99 ≤ {REPAIR} s"), most <= REPAIR),
    ];
    let Some(outage) = &rounds.outage else {
        return rows;
    };
    let (objects, fresh) = (count(rounds.objects), outage.fresh.as_secs_f64());
    let allowed = between(FRESH, (500.0, 5000.0), count(outage.due));
    let each = count(outage.writes) / objects;
    let sealed = outage.sealed.as_secs();
    rows.extend([
        row(
            &format!(
                "Vault sealed for {sealed} s: objects due meanwhile, Kubernetes writes per object"
            ),
            format!("{}, {each:.2}", outage.due),
        )
        .target("≤ 1 write".into(), each <= 1.0),
        row(
            "… from Vault being active again until the last of them is fresh",
            seconds(outage.fresh),
        )
        .target(format!("≤ {allowed:.1} s"), fresh <= allowed),
        elsewhere(outage.elsewhere),
        row(
            "… Kubernetes writes from then on per due object",
            format!(
                "{:.2}",
                count(outage.writes_after) / count(outage.due).max(1.0)
            ),
        ),
    ]);
    rows
}

pub(super) fn shared(rounds: &Rounds) -> Vec<Row> {
    let shared = &rounds.shared;
    let (first, last) = (percentile(&shared.times, 0), percentile(&shared.times, 100));
    let most = percentile(&shared.times, 99);
    let allowed = shared.interval + Duration::from_secs_f64(SPREAD);
    let each = count(shared.writes) / count(shared.objects);
    vec![
        row(
            &format!(
                "a path that {} objects look at every {} s changes: reads until all have it",
                shared.objects,
                shared.interval.as_secs()
            ),
            shared.reads.to_string(),
        )
        .target("1".into(), shared.reads == 1),
        row("… until the first Secret has it", seconds(first)),
        row(
            "… until 99 % have it, all have it",
            format!("{}, {}", seconds(most), seconds(last)),
        )
        .target(
            format!("99 % ≤ {:.1} s", allowed.as_secs_f64()),
            most <= allowed,
        ),
        elsewhere(shared.elsewhere),
        row("… Kubernetes writes per object", format!("{each:.2}"))
            .target("2".into(), each <= 2.005),
    ]
}

fn elsewhere(cores: f64) -> Row {
    row(
        "… cores that everything else on the machine used meanwhile",
        format!("{cores:.2}"),
    )
}

fn memory(what: &str, mebibytes: f64, objects: f64) -> Row {
    let limit = between(MEMORY, (1000.0, 10_000.0), objects);
    row(what, format!("{mebibytes:.1} MiB")).target(format!("≤ {limit:.0} MiB"), mebibytes <= limit)
}

/// What may be between two sizes that a target is set for; below the smaller one it is that one's.
fn between((low, high): (f64, f64), (few, many): (f64, f64), objects: f64) -> f64 {
    low + (high - low) * ((objects - few) / (many - few)).max(0.0)
}

fn shares(cost: &Cost, objects: f64) -> String {
    let shares = [Who::Writer, Who::Vault, Who::ApiServer, Who::Etcd]
        .map(|who| format!("{:.2}", own(cost, who) / objects));
    shares.join(", ")
}

fn own(cost: &Cost, who: Who) -> f64 {
    cost.cpu.get(&who).copied().unwrap_or_default()
}
