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

    /// Everything after a place, up to the last complete line.
    pub fn since(&self, place: Place) -> Result<String> {
        if !self.file.exists() {
            return Ok(String::new());
        }
        let mut file =
            File::open(&self.file).with_context(|| format!("open {}", self.file.display()))?;
        file.seek(SeekFrom::Start(place.0))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let complete = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        bytes.truncate(complete);
        String::from_utf8(bytes).with_context(|| format!("read {}", self.file.display()))
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
