//! What the numbers were measured on, and what else that machine was doing: a table without it says little.

use std::fs;

use anyhow::{Context as _, Result};
use vaultbridge_e2e::Ground;

/// The machine when the run began.
pub struct Machine {
    cores: usize,
    model: String,
    memory: f64,
    kernel: String,
    load: String,
}

/// Looks at the machine.
pub fn describe() -> Result<Machine> {
    let cpus = read("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let memory = read("/proc/meminfo")?;
    let total = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(Machine {
        cores: std::thread::available_parallelism()?.get(),
        model: model
            .map(|text| text.trim_matches([' ', '\t', ':']).to_owned())
            .unwrap_or_default(),
        memory: kibibytes.unwrap_or_default() / 1024.0 / 1024.0,
        kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        load: load()?,
    })
}

/// Everything in a sentence, with the load at the end of the run and the servers' own words about their versions.
pub async fn tell(machine: &Machine, ground: &Ground) -> Result<String> {
    let Machine {
        cores,
        model,
        memory,
        kernel,
        load: before,
    } = machine;
    let cluster = ground.control_plane().client().apiserver_version().await?;
    let vault = ground.vault();
    let health = vault.api(reqwest::Method::GET, "sys/health", &serde_json::Value::Null);
    let version = health.await?["version"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    Ok(format!(
        "{} {version}, kube-apiserver {}; {cores} cores ({model}), {memory:.0} GiB, Linux {kernel}; load average (1, 5, 15 minutes) before the run {before}, after it {}.",
        vault.kind().name(),
        cluster.git_version.trim_start_matches('v'),
        load()?,
    ))
}

/// The load of the last one, five and fifteen minutes.
fn load() -> Result<String> {
    let text = read("/proc/loadavg")?;
    let numbers: Vec<_> = text.split(' ').take(3).collect();
    Ok(numbers.join(", "))
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("read {file}"))
}
