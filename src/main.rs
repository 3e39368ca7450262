//! The `vaultbridge` program: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use vaultbridge::cli::Cli;

fn main() -> ExitCode {
    // One TLS provider for the whole process: a second one in the tree would make the libraries panic at their first use.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Cli::parse().dispatch() {
        Ok(code) => code,
        Err(error) => {
            vaultbridge::cli::complain(&error);
            ExitCode::FAILURE
        }
    }
}
