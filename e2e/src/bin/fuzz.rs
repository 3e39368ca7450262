//! `fuzz`: throws texts that nobody would write at what reads texts of strangers.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use vaultbridge_e2e::{dice::Dice, fuzz};

/// Throws changed texts at the readers of templates, certificates and keys.
#[derive(Debug, Parser)]
struct Cli {
    /// For how many seconds each target is thrown at
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

fn main() -> Result<()> {
    let Cli { seconds } = Cli::parse();
    let mut dice = Dice::from_env()?;
    let told = fuzz::all(&mut dice, Duration::from_secs(seconds))?;
    writeln!(
        std::io::stdout(),
        "{} (seed {})",
        told.join(", "),
        dice.seed()
    )?;
    Ok(())
}
