//! Measures the operator on real servers, beside a bare writer that makes the same Secrets and statuses and does nothing else.
//!
//! What a person may conclude: the API server is the bottleneck, so an operator is as good as the requests that it does not make.
//! Every number is taken from outside: from the audit logs of both servers, and from what the system says of each process.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use vaultbridge_e2e::{Ground, GroundOptions, block_on};

mod bare;
mod meter;
mod report;
mod rounds;
mod setup;

/// Measures, and prints a table.
#[derive(Debug, Parser)]
struct Cli {
    /// How many VaultSecrets there are, ten to a namespace
    #[arg(long, default_value_t = 1000)]
    objects: usize,
    /// How long the operator is watched while nothing happens, in seconds
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// How many objects the operator, and the bare writer, work on at once
    #[arg(long, default_value_t = 32)]
    concurrency: u16,
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
    let concurrency: &'static str = cli.concurrency.to_string().leak();
    let options = GroundOptions {
        fsync: true,
        flags: vec!["--log-level", "info", "--concurrency", concurrency],
        ..GroundOptions::default()
    };
    let ground = Ground::own(&options).await?;
    ground.operator()?.stop().await?;
    let shop = setup::furnish(&ground, "bench", cli.objects).await?;
    let still = rounds::still(&ground).await?;
    report::say("from cold …");
    let cold = rounds::cold(&ground, &shop).await?;
    report::say("restarting …");
    let restart = rounds::restart(&ground).await?;
    report::say(&format!("idle for {} s …", cli.idle));
    let idle = rounds::idle(&ground, cli.idle).await?;
    let peak = rounds::peak(&ground)?;
    ground.operator()?.stop().await?;
    report::say("the bare writer …");
    let bare = bare::run(&ground, &shop, usize::from(cli.concurrency)).await?;
    let rounds = rounds::Rounds {
        objects: cli.objects,
        still,
        cold,
        restart,
        idle,
        peak,
        bare,
    };
    report::say(&report::table(&rounds));
    Ok(())
}
