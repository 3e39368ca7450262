//! The program under test as a person calls it: with arguments and an environment, until it ends by itself.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::operator::binary;

/// No call may take longer: a program that cannot do its work says so and ends.
const LONGEST: Duration = Duration::from_secs(30);

/// How a call ended.
#[derive(Debug, Clone)]
pub struct Ending {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output and then standard error.
    pub output: String,
}

/// Calls the program with these arguments and nothing but this environment. Fails when it does not end.
pub async fn call<S: AsRef<OsStr>>(args: &[&str], environment: &[(&str, S)]) -> Result<Ending> {
    let child = Command::new(binary()?)
        .args(args)
        .env_clear()
        .envs(
            environment
                .iter()
                .map(|(name, value)| (name, value.as_ref())),
        )
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LONGEST, child)
        .await
        .with_context(|| format!("vaultbridge {args:?} still runs after {LONGEST:?}"))??;
    let text = [output.stdout, output.stderr].concat();
    Ok(Ending {
        code: output.status.code(),
        output: String::from_utf8_lossy(&text).into_owned(),
    })
}
