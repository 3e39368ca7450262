//! Audit logs as oracles: files of JSON lines that a server appends to while tests read them.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;

/// One audit log.
#[derive(Debug, Clone)]
pub struct AuditLog {
    file: PathBuf,
}

/// A place in an audit log: what comes later is what happened since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u64);

/// Requests, to be narrowed down step by step: `requests.writes().resource("secrets").in_namespace("shop")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requests<T>(pub(crate) Vec<T>);

impl<T> Requests<T> {
    /// Those that a condition holds for.
    #[must_use]
    pub fn only(mut self, condition: impl Fn(&T) -> bool) -> Self {
        self.0.retain(condition);
        self
    }
}

impl<T> Default for Requests<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for Requests<T> {
    type Target = [T];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: fmt::Display> fmt::Display for Requests<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|request| writeln!(f, "{request}"))
    }
}

impl Place {
    /// Before everything.
    pub const START: Self = Self(0);
}

impl AuditLog {
    /// The log in that file, which need not exist yet.
    #[must_use]
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The present end of the log.
    pub fn end(&self) -> Result<Place> {
        if !self.file.exists() {
            return Ok(Place::START);
        }
        let length = self
            .file
            .metadata()
            .with_context(|| format!("look at {}", self.file.display()))?
            .len();
        Ok(Place(length))
    }

    /// Everything after a place, up to the last complete line. A server may have been in the middle of a line when the place was
    /// noted: that line belongs to what was before.
    pub fn since(&self, place: Place) -> Result<String> {
        if !self.file.exists() {
            return Ok(String::new());
        }
        let mut file =
            File::open(&self.file).with_context(|| format!("open {}", self.file.display()))?;
        file.seek(SeekFrom::Start(place.0.saturating_sub(1)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let lines = whole_lines(bytes, place == Place::START);
        String::from_utf8(lines).with_context(|| format!("read {}", self.file.display()))
    }

    /// The entries after a place, parsed.
    pub(crate) fn entries<T: DeserializeOwned>(&self, place: Place) -> Result<Vec<T>> {
        let text = self.since(place)?;
        text.lines()
            .map(|line| {
                serde_json::from_str(line).with_context(|| format!("read the audit line {line}"))
            })
            .collect()
    }
}

/// The whole lines among bytes that begin with a line, or else with the last byte of what was before.
fn whole_lines(mut bytes: Vec<u8>, begins: bool) -> Vec<u8> {
    let after = |end: Option<usize>| end.map(|end| end + 1);
    let is_end = |&byte: &u8| byte == b'\n';
    let complete = after(bytes.iter().rposition(is_end)).unwrap_or_default();
    bytes.truncate(complete);
    let begin = if begins {
        0
    } else {
        after(bytes.iter().position(is_end)).unwrap_or(complete)
    };
    bytes.split_off(begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_being_written_at_a_place_is_of_before_and_an_incomplete_one_of_later() {
        for (bytes, begins, expected) in [
            ("", true, ""),
            ("", false, ""),
            ("one\ntw", true, "one\n"),
            ("\n", false, ""),
            ("\ntwo\nthree\nfo", false, "two\nthree\n"),
            ("w", false, ""),
            ("wo\nthree\nfo", false, "three\n"),
        ] {
            let lines = whole_lines(bytes.into(), begins);
            assert_eq!(String::from_utf8_lossy(&lines), expected, "{bytes:?}");
        }
    }
}
