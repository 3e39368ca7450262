//! What was found at the sources: plain data between the step that asks and the step that says what it means.

use std::sync::Arc;

use super::folders::FolderJob;
use crate::record::request_hash;
use crate::vault::{KvOutcome, KvSecret};

/// What a source was found to be.
pub enum Found {
    /// One path.
    Entry(KvOutcome),
    /// A folder.
    Folder(FolderFound),
}

/// What a folder was found to hold.
#[derive(Default)]
pub struct FolderFound {
    /// How many entries were listed.
    pub listed: usize,
    /// How many of these were chosen.
    pub chosen: usize,
    /// Those of them that are there, in the order of their names.
    pub entries: Vec<FolderEntry>,
}

/// An entry of a folder.
pub struct FolderEntry {
    /// Its name, relative to the folder.
    pub name: String,
    /// Differs when the content may differ.
    pub fingerprint: Arc<str>,
    /// The content, if it was wanted.
    pub value: Option<Arc<KvSecret>>,
}

/// A value that was read.
#[derive(Clone)]
pub enum Value {
    /// Of one path.
    Entry(Arc<KvSecret>),
    /// Of a folder.
    Folder(Arc<FolderValue>),
}

/// The values of the entries of a folder.
pub struct FolderValue {
    /// In the order of their names.
    pub entries: Vec<(String, Arc<KvSecret>)>,
    /// Whether their fields stand side by side.
    pub flatten: bool,
}

impl From<KvOutcome> for Found {
    fn from(outcome: KvOutcome) -> Self {
        Self::Entry(outcome)
    }
}

impl FolderFound {
    /// Stands for all names and contents; empty if nothing is there. However many there are, it is short.
    pub fn fingerprint(&self) -> String {
        if self.entries.is_empty() {
            return String::new();
        }
        let all = self.entries.iter();
        let all: Vec<(&str, &str)> = all
            .map(|entry| (entry.name.as_str(), &*entry.fingerprint))
            .collect();
        // Lists of texts always serialize; if they ever did not, the hash would only be coarser.
        request_hash(&serde_json::to_string(&all).unwrap_or_default())
    }

    /// The values; `None` if they were not asked for, or there are none.
    pub fn value(&self, folder: &FolderJob) -> Option<Value> {
        let entries = self.entries.iter();
        let entries: Option<Vec<_>> = entries
            .map(|entry| Some((entry.name.clone(), entry.value.clone()?)))
            .collect();
        let value = FolderValue {
            entries: entries.filter(|entries| !entries.is_empty())?,
            flatten: folder.flatten,
        };
        Some(Value::Folder(Arc::new(value)))
    }
}

impl Value {
    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Entry(secret) => secret.data.expose().len(),
            Self::Folder(folder) => {
                let entries = folder.entries.iter();
                entries.map(|(_, secret)| secret.data.expose().len()).sum()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_tells_names_and_contents_apart_and_stays_short() {
        let found = |entries: &[(&str, &str)]| {
            let entry = |(name, fingerprint): &(&str, &str)| FolderEntry {
                name: (*name).to_owned(),
                fingerprint: (*fingerprint).into(),
                value: None,
            };
            let entries = entries.iter().map(entry).collect();
            FolderFound {
                entries,
                ..FolderFound::default()
            }
            .fingerprint()
        };
        let one = found(&[("a", "1:1"), ("b", "1:1")]);
        assert_eq!(one, found(&[("a", "1:1"), ("b", "1:1")]));
        for other in [
            found(&[("a", "1:1")]),
            found(&[("a", "1:1"), ("c", "1:1")]),
            found(&[("a", "2:1"), ("b", "1:1")]),
            found(&[("a\",\"1:1", "b"), ("b", "1:1")]),
        ] {
            assert_ne!(one, other);
        }
        let many: Vec<String> = (0..1000).map(|number| format!("entry {number}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1:1")).collect();
        assert_eq!(found(&many).len(), one.len());
        assert_eq!(found(&[]), "");
    }
}
