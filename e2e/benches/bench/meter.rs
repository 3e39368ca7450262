//! What a stretch of time cost: wall time, CPU of each process, requests to each server.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use vaultbridge_e2e::control_plane::KubeRequests;
use vaultbridge_e2e::vault_server::VaultRequests;
use vaultbridge_e2e::{Ground, Mark};

/// Who uses CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The operator, or the bare writer in its place.
    Writer,
    Vault,
    ApiServer,
    Etcd,
}

/// CPU time by process, in milliseconds.
pub type Cpu = BTreeMap<Who, f64>;

/// The beginning of a stretch.
pub struct Meter {
    start: Instant,
    mark: Mark,
    cpu: Cpu,
    machine: f64,
}

/// What a stretch cost.
pub struct Cost {
    pub wall: Duration,
    pub cpu: Cpu,
    /// CPU time of everything on the machine, in milliseconds.
    pub machine: f64,
    pub kube: KubeRequests,
    pub vault: VaultRequests,
}

impl Cost {
    /// CPU time of all processes, in milliseconds.
    pub fn total_cpu(&self) -> f64 {
        self.cpu.values().sum()
    }

    /// How many cores were busy with something else: this program, the controller manager, and strangers.
    pub fn cores_elsewhere(&self) -> f64 {
        (self.machine - self.total_cpu()).max(0.0) / 1000.0 / self.wall.as_secs_f64()
    }
}

impl Meter {
    /// Begins now; `writer` is the process that writes, if it runs already.
    pub async fn start(ground: &Ground, writer: Option<u32>) -> Result<Self> {
        let mark = ground.mark().await?;
        Ok(Self {
            mark,
            cpu: cpu(ground, writer)?,
            machine: cpu_of_machine()?,
            start: Instant::now(),
        })
    }

    /// Ends at once; what is asked of the servers from here on is not counted.
    pub async fn end(self, ground: &Ground, writer: Option<u32>) -> Result<Cost> {
        let (wall, end) = (self.start.elapsed(), cpu(ground, writer)?);
        let machine = cpu_of_machine()? - self.machine;
        let cpu = end.iter().map(|(who, after)| {
            let before = self.cpu.get(who).copied().unwrap_or_default();
            (*who, after - before)
        });
        Ok(Cost {
            wall,
            machine,
            cpu: cpu.collect(),
            kube: ground.kube_requests(&self.mark).await?,
            vault: self.mark.vault_requests()?,
        })
    }
}

fn cpu(ground: &Ground, writer: Option<u32>) -> Result<Cpu> {
    let servers = [
        (Who::Vault, ground.vault().service().id()?),
        (Who::ApiServer, ground.control_plane().apiserver().id()?),
        (Who::Etcd, ground.control_plane().etcd().id()?),
    ];
    let writer = writer.map(|id| (Who::Writer, id));
    servers
        .into_iter()
        .chain(writer)
        .map(|(who, id)| Ok((who, cpu_of(id)?)))
        .collect()
}

/// CPU time that a process has used, in milliseconds.
fn cpu_of(id: u32) -> Result<f64> {
    let file = format!("/proc/{id}/stat");
    let text = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    // The second field is a name in brackets that may hold anything; user and system time are the 14th and 15th.
    let (_, fields) = text
        .rsplit_once(')')
        .with_context(|| format!("read {file}"))?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.map(|field| field.parse::<u32>().unwrap_or(0)).sum();
    Ok(f64::from(ticks) * MILLIS_PER_TICK)
}

/// CPU time that the machine has used, in milliseconds, with what its host took away from it.
fn cpu_of_machine() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    // User, nice and system, then idle and waiting, then both kinds of interrupts, then stolen.
    let ticks = [1, 2, 3, 6, 7, 8].map(|field| {
        let ticks = line.split_whitespace().nth(field);
        ticks
            .and_then(|ticks| ticks.parse::<f64>().ok())
            .unwrap_or_default()
    });
    Ok(ticks.iter().sum::<f64>() * MILLIS_PER_TICK)
}

/// Linux tells times in hundredths of a second, whatever its own clock.
const MILLIS_PER_TICK: f64 = 10.0;

/// The most memory that a process has had, in MiB.
pub fn peak_memory(id: u32) -> Result<f64> {
    status(id, "VmHWM:")
}

/// The memory that a process has, in MiB.
pub fn memory(id: u32) -> Result<f64> {
    status(id, "VmRSS:")
}

fn status(id: u32, line: &str) -> Result<f64> {
    let file = format!("/proc/{id}/status");
    let text = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    let found = text.lines().find_map(|text| text.strip_prefix(line));
    let kibibytes = found.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kibibytes.with_context(|| format!("find {line} in {file}"))? / 1024.0)
}
