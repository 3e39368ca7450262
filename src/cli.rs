//! The command line: one file per subcommand.

mod crd;
mod log_level;
mod ready;
mod render;
mod run;

use std::io::Write;
use std::process::ExitCode;

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
    Render(render::Render),
    Crd(crd::Crd),
    LogLevel(log_level::LogLevel),
    Ready(ready::Ready),
}

impl Cli {
    /// Does what was asked for.
    pub fn dispatch(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(run) => run.execute().map(|()| ExitCode::SUCCESS),
            Command::Render(render) => render.execute(),
            Command::Ready(ready) => ready.execute().map(|()| ExitCode::SUCCESS),
            Command::LogLevel(level) => level.execute().map(|()| ExitCode::SUCCESS),
            Command::Crd(crd) => crd.execute().map(|()| ExitCode::SUCCESS),
        }
    }
}

/// Tells on standard error why the program ends, with the chain of causes.
pub fn complain(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "vaultbridge: {error:#}");
}
