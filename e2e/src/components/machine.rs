//! What the machine must bring, and how to get what it lacks.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// The oldest Go that can build the parts.
const GO: (u32, u32) = (1, 26);

/// The oldest Python whose pip understands the pins.
const PYTHON: (u32, u32) = (3, 9);

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
    let found = version(text.strip_prefix("go")?)?;
    let root = first_line("go", &["env", "GOROOT"])?;
    (found >= GO)
        .then(|| Path::new(&root).join("bin/go"))
        .filter(|program| program.is_file())
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
