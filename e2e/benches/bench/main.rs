//! Measures the operator on real servers, beside a bare writer that makes the same Secrets and statuses and does nothing else.
//!
//! What a person may conclude: the API server is the bottleneck, so an operator is as good as the requests that it does not make.
//! Every number is taken from outside: from the audit logs of both servers, and from what the system says of each process.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use vaultbridge_e2e::{Ground, GroundOptions, block_on};

mod bare;
mod calm;
mod harm;
mod machine;
mod meter;
mod report;
mod rounds;
mod setup;
mod shared;
mod sight;

/// Measures, and prints a table.
#[derive(Debug, Parser)]
struct Cli {
    /// How many VaultSecrets there are, ten to a namespace
    #[arg(long, default_value_t = 1000)]
    objects: usize,
    /// How long the operator is watched while nothing happens, in seconds
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// How long Vault is sealed, in seconds; 0 leaves that round out
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(..=240))]
    outage: u64,
    /// What cargo adds by itself
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    ensure!(
        cli.objects >= 10 && cli.objects.is_multiple_of(10),
        "--objects must be a multiple of ten"
    );
    block_on(bench(&cli))??;
    Ok(ExitCode::SUCCESS)
}

async fn bench(cli: &Cli) -> Result<()> {
    report::say(&format!(
        "starting the servers, with fsync, and making {} objects …",
        cli.objects
    ));
    let machine = machine::describe()?;
    let options = GroundOptions {
        fsync: true,
        fences: false,
        flags: vec!["--log-level", "info"],
        ..GroundOptions::default()
    };
    let ground = Ground::own(&options).await?;
    ground.operator()?.stop().await?;
    let shop = setup::furnish(&ground, "bench", cli.objects).await?;
    calm::wait(&ground).await?;
    let rounds = measure(cli, &ground, &shop).await?;
    report::say(&report::table(&rounds));
    report::say(&machine::tell(&machine, &ground).await?);
    Ok(())
}

/// Round by round, in an order in which no round pays for the one before it.
async fn measure(cli: &Cli, ground: &Ground, shop: &setup::Shop) -> Result<rounds::Rounds> {
    let still = rounds::still(ground).await?;
    report::say("from cold …");
    let cold = rounds::cold(ground, shop).await?;
    report::say("restarting …");
    let restart = rounds::restart(ground).await?;
    report::say(&format!("idle for {} s …", cli.idle));
    let idle = rounds::idle(ground, cli.idle).await?;
    report::say("editing Secrets …");
    let repairs = harm::repair(ground, shop).await?;
    let outage = if cli.outage > 0 {
        report::say(&format!("sealing Vault for {} s …", cli.outage));
        Some(harm::outage(ground, Duration::from_secs(cli.outage)).await?)
    } else {
        None
    };
    report::say("changing a path that many objects use …");
    let shared = shared::change(ground, cli.objects).await?;
    ground.operator()?.stop().await?;
    report::say("the bare writer …");
    let bare = bare::run(ground, shop).await?;
    Ok(rounds::Rounds {
        objects: cli.objects,
        still,
        cold,
        restart,
        idle,
        repairs,
        outage,
        shared,
        bare,
    })
}
