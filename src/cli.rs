//! The command line: one file per subcommand.

mod crd;
mod run;

use std::io::Write;

use clap::{Parser, Subcommand};

/// Carries secrets from HashiCorp Vault and OpenBao into Kubernetes Secrets and keeps them alive.
#[derive(Parser)]
#[command(name = "vaultbridge", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

// What each does, and all that `--help` says of it, stands at its arguments: a comment here would take its place.
#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Crd(crd::Crd),
}

impl Cli {
    /// Does what was asked for.
    pub fn dispatch(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run(run) => run.execute(),
            Command::Crd(crd) => crd.execute(),
        }
    }
}

/// Tells on standard error why the program ends, with the chain of causes.
pub fn complain(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "vaultbridge: {error:#}");
}
