//! `soak`: lets issued credentials live for a long time while everything goes wrong, and counts what was lost.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use vaultbridge_e2e::{block_on, soak};

/// Logs in with whatever the Secrets hold, and kills the operator at random moments.
#[derive(Debug, Parser)]
struct Cli {
    /// For how many minutes logins are tried
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// How many credentials are kept alive meanwhile
    #[arg(long, default_value_t = 50)]
    credentials: usize,
    /// How often the operator is killed then
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// How many objects people work with meanwhile
    #[arg(long, default_value_t = 12)]
    objects: usize,
}

fn main() -> Result<ExitCode> {
    let Cli {
        minutes,
        credentials,
        kills,
        objects,
    } = Cli::parse();
    let time = Duration::from_secs(60 * minutes);
    let well = block_on(async {
        let alive = minutes == 0 || soak::logins(credentials, time).await?;
        let clean = kills == 0 || soak::storm(objects, kills).await?;
        anyhow::Ok(alive && clean)
    })??;
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
