//! What was found at the sources: plain data between the step that asks and the step that says what it means.

use std::sync::Arc;

use super::failure::{Failure, Retry};
use super::folders::FolderJob;
use super::paths;
use super::source_job::{SourceJob, shown_path};
use crate::api::Reason;
use crate::record::request_hash;
use crate::vault::{KvOutcome, KvSecret, Listed};

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

/// The entries that the source takes of those listed. Each can be asked for as it is named, and there are no more than there may be.
pub fn choose<'a>(
    source: &SourceJob,
    folder: &FolderJob,
    listed: &'a [(String, Listed)],
) -> Result<Vec<&'a (String, Listed)>, Failure> {
    let (name, path) = (&source.name, shown_path(source));
    let listed = listed.iter();
    let chosen: Vec<_> = listed
        .filter(|(entry, _)| folder.names.takes(entry))
        .collect();
    if chosen.len() > folder.limit {
        let message = format!(
            "source {name}: folder {path} has {} entries{}, and spec.sources[{name}].kvFolder.limit is {}; raise it, or take fewer with include and exclude",
            chosen.len(),
            if folder.names.chooses() {
                " that are included"
            } else {
                ""
            },
            folder.limit
        );
        return Err(Failure::invalid(message).retried(Retry::Interval));
    }
    for (entry, _) in &chosen {
        if let Err(problem) = paths::check_listed(entry) {
            let message = format!(
                "source {name}: folder {path} has the entry {entry:?}, whose name {problem}; rename it in Vault, or leave it out with spec.sources[{name}].kvFolder.exclude"
            );
            return Err(Failure::new(Reason::InvalidSpec, message).retried(Retry::Interval));
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::reconcile::fixture::{edit, fresh, job};
    use crate::reconcile::source_job::SourceKind;

    fn chosen(kv_folder: &Json, names: &[&str]) -> Result<Vec<String>, String> {
        let mut observed = fresh();
        let source = json!({ "name": "main", "kvFolder": kv_folder });
        edit(&mut observed, "/sources/0", source);
        let job = job(&observed);
        let SourceKind::Folder(folder) = &job.sources[0].kind else {
            panic!("it is a folder")
        };
        let listed: Vec<_> = names
            .iter()
            .map(|name| ((*name).to_owned(), Listed::Name))
            .collect();
        let chosen = choose(&job.sources[0], folder, &listed);
        let chosen =
            chosen.map_err(|failure| format!("{}: {}", failure.reason, failure.message))?;
        Ok(chosen.into_iter().map(|(name, _)| name.clone()).collect())
    }

    #[test]
    fn no_more_entries_are_taken_than_there_may_be_and_those_left_out_do_not_count() {
        let folder = json!({ "path": "secret/shop/", "limit": 2, "exclude": ["c"] });
        assert_eq!(chosen(&folder, &["a", "b", "c"]).unwrap(), ["a", "b"]);
        assert_eq!(
            chosen(&folder, &["a", "b", "c", "d"]).unwrap_err(),
            "InvalidSpec: source main: folder secret/shop/ has 3 entries that are included, and spec.sources[main].kvFolder.limit is 2; raise it, or take fewer with include and exclude"
        );
        let all = json!({ "path": "secret/shop", "limit": 1 });
        let told = chosen(&all, &["a", "b"]).unwrap_err();
        assert!(told.contains(" has 2 entries, and"), "{told}");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused_unless_it_is_left_out() {
        for name in ["..\\..\\other", "a/../../b", "./a", "a//b", "a\nb"] {
            let error = chosen(&json!({ "path": "secret/shop" }), &["ok", name]).unwrap_err();
            assert!(
                error.starts_with("InvalidSpec: source main: folder secret/shop/ has the entry"),
                "{error}"
            );
            assert!(
                error.ends_with("kvFolder.exclude") && !error.contains('\n'),
                "{error}"
            );
            let without = json!({ "path": "secret/shop", "include": ["ok"] });
            assert_eq!(chosen(&without, &["ok", name]).unwrap(), ["ok"]);
        }
        for name in ["50%", "why?", "#1", "a b/ü", "..a"] {
            assert_eq!(
                chosen(&json!({ "path": "secret/shop" }), &[name]).unwrap(),
                [name]
            );
        }
    }

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
