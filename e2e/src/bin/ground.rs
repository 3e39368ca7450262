//! `ground`: the servers of the tests, for people. Builds them, shows the operator at work on them, or leaves them running.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use vaultbridge_e2e::components::{ALL, Components, Part};
use vaultbridge_e2e::{block_on, demo};

/// The real ground of Vaultbridge's tests.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Builds the servers and tools that are not in the cache yet
    Components {
        /// Parts by name; all when none is named
        parts: Vec<String>,
    },
    /// Runs a program of the components, which is built first when it is missing
    Exec {
        /// The program: kubectl, bao, vault, etcd, cargo-deny, …
        program: String,
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Shows the operator at work, in numbered steps, and cleans up
    Demo,
    /// Starts everything with the operator and leaves it running until Ctrl-C
    Dev,
    /// Starts the servers without the operator and leaves them running until Ctrl-C
    Servers {
        /// PostgreSQL as well
        #[arg(long)]
        postgres: bool,
    },
}

fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Task::Components { parts } => components(&parts)?,
        Task::Exec { program, args } => return exec(&program, &args),
        Task::Demo => block_on(demo::demo())??,
        Task::Dev => block_on(demo::hold(true, false))??,
        Task::Servers { postgres } => block_on(demo::hold(false, postgres))??,
    }
    Ok(ExitCode::SUCCESS)
}

fn components(names: &[String]) -> Result<()> {
    let mut parts: Vec<&'static Part> = Vec::new();
    for name in names {
        let Some(part) = ALL.into_iter().find(|part| part.name == name) else {
            let known: Vec<_> = ALL.iter().map(|part| part.name).collect();
            bail!("there is no part {name}; there are {}", known.join(", "));
        };
        parts.push(part);
    }
    if parts.is_empty() {
        parts.extend(ALL);
    }
    Components::ensure(&parts)?;
    Ok(())
}

fn exec(program: &str, args: &[String]) -> Result<ExitCode> {
    let part = Part::with_program(program)
        .with_context(|| format!("no part brings the program {program}"))?;
    let components = Components::ensure(&[part])?;
    let status = Command::new(components.program(program)?)
        .args(args)
        .status()?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
