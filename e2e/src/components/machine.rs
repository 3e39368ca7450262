//! What the machine must bring, and how to get what it lacks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::account::Account;

/// The oldest Go that can build the parts.
const GO: (u32, u32, u32) = (1, 26, 7);

/// The oldest Python whose pip understands the pins.
const PYTHON: (u32, u32) = (3, 9);

/// The oldest PostgreSQL that keeps passwords as all later ones do without being told.
const POSTGRES: (u32, u32) = (14, 0);

/// Where Debian keeps it, a folder per version: not on the PATH.
const POSTGRES_OF_DEBIAN: &str = "/usr/lib/postgresql";

/// Fails with everything that is missing and how to get it, rather than with the first thing only.
pub(super) fn check() -> Result<()> {
    let mut missing = Vec::new();
    let python = first_line(
        "python3",
        &[
            "-c",
            "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])",
        ],
    );
    if python
        .as_deref()
        .and_then(version)
        .is_none_or(|found| found < PYTHON)
    {
        let (major, minor) = PYTHON;
        missing.push(format!(
            "python3 of at least {major}.{minor} with venv (Debian: apt-get install python3-venv)"
        ));
    }
    if first_line("cc", &["--version"]).is_none() {
        missing.push("a C compiler named cc (Debian: apt-get install gcc)".to_owned());
    }
    if !missing.is_empty() {
        bail!("this machine lacks:\n- {}", missing.join("\n- "));
    }
    Ok(())
}

/// The machine's own Go, when it is new enough. Where it is not, one comes from a wheel.
pub(super) fn go() -> Option<PathBuf> {
    let text = first_line("go", &["env", "GOVERSION"])?;
    let text = text.strip_prefix("go")?;
    let (major, minor) = version(text)?;
    let patch = text.split('.').nth(2).and_then(|patch| patch.parse().ok());
    let found = (major, minor, patch.unwrap_or(0));
    let root = first_line("go", &["env", "GOROOT"])?;
    (found >= GO)
        .then(|| Path::new(&root).join("bin/go"))
        .filter(|program| program.is_file())
}

/// The folder with the programs of the machine's own PostgreSQL, when it is new enough and can be run by another account than
/// root's, as it must be where this is root.
pub(super) fn postgres() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).collect::<Vec<_>>();
    let versions = fs::read_dir(POSTGRES_OF_DEBIAN).into_iter().flatten();
    let debian = versions.flatten().map(|entry| entry.path().join("bin"));
    on_path.into_iter().chain(debian).find_map(|folder| {
        // What is on the PATH may be a link, with its companions where it leads.
        let program = fs::canonicalize(folder.join("postgres")).ok()?;
        let folder = program.parent()?;
        let text = first_line(program.to_str()?, &["--version"])?;
        let found = version(text.split_whitespace().nth(2)?)?;
        let fits =
            found >= POSTGRES && folder.join("initdb").is_file() && Account::can_reach(folder);
        fits.then(|| folder.to_path_buf())
    })
}

/// The first two numbers of a version: `1.26.8` is (1, 26).
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?;
    let digits = minor
        .find(|c: char| !c.is_ascii_digit())
        .map_or(minor, |end| &minor[..end]);
    Some((major, digits.parse().ok()?))
}

fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .env("GOTOOLCHAIN", "local")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        assert_eq!(version("1.26.8"), Some((1, 26)));
        assert_eq!(version("1.27rc1"), Some((1, 27)));
        assert!(version("3.11") > version("3.9"));
        assert_eq!(version("devel"), None);
    }
}
