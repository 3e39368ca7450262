//! Part of step 5: which entries a source takes of those that are listed.
//!
//! Ten thousand names that are held against thirty expressions can take many seconds, if both were written for that. So long lists are gone through elsewhere, and piece
//! by piece, so that others come in between.

use std::ops::Range;
use std::sync::Arc;

use super::failure::{Failure, Retry};
use super::folders::FolderJob;
use super::paths;
use super::resolve::Job;
use super::source_job::{SourceJob, shown_path};
use crate::api::Reason;
use crate::heavy;
use crate::render::{EFFORT, Names};
use crate::vault::{Listed, Listing};

/// The most entries of a folder that are read, as the schema has it.
const MOST_ENTRIES: usize = 1000;

/// The most characters of a name that a message has.
const MAX_SHOWN: usize = 100;

/// So many bytes of names are gone through at a time: half a second, at the worst.
const PIECE: usize = 64 * 1024;

/// The entries that the source takes of those listed. Each can be asked for as it is named, and there are no more than there may be.
pub async fn choose<'a>(
    job: &Job,
    source: &SourceJob,
    folder: &FolderJob,
    listing: &'a Arc<Listing>,
) -> Result<Vec<&'a (String, Listed)>, Failure> {
    let entries = &listing.entries;
    let mut chosen = Vec::new();
    for (piece, bytes) in pieces(entries) {
        let (names, listing) = (folder.names.clone(), Arc::clone(listing));
        let effort = if names.chooses() { EFFORT } else { 0 };
        let take = move || taken(&names, &listing.entries, piece);
        let taken = heavy::work(&job.key.namespace, bytes * effort, take).await;
        chosen.extend(taken.into_iter().map(|at| &entries[at]));
    }
    check(source, folder, &chosen)?;
    Ok(chosen)
}

/// The same of a list that nobody else waits for, at once.
pub fn choose_here<'a>(
    source: &SourceJob,
    folder: &FolderJob,
    listed: &'a [(String, Listed)],
) -> Result<Vec<&'a (String, Listed)>, Failure> {
    let taken = taken(&folder.names, listed, 0..listed.len());
    let chosen: Vec<_> = taken.into_iter().map(|at| &listed[at]).collect();
    check(source, folder, &chosen)?;
    Ok(chosen)
}

/// Parts of the list, each with the bytes of its names.
fn pieces(entries: &[(String, Listed)]) -> Vec<(Range<usize>, usize)> {
    let (mut pieces, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (at, (name, _)) in entries.iter().enumerate() {
        if bytes > 0 && bytes + name.len() > PIECE {
            pieces.push((from..at, bytes));
            (from, bytes) = (at, 0);
        }
        bytes += name.len();
    }
    pieces.push((from..entries.len(), bytes));
    pieces
}

/// Which of that piece are taken, by their numbers in the list.
fn taken(names: &Names, entries: &[(String, Listed)], piece: Range<usize>) -> Vec<usize> {
    piece.filter(|at| names.takes(&entries[*at].0)).collect()
}

/// Refuses more entries than there may be, and those that cannot be asked for as they are named.
fn check(
    source: &SourceJob,
    folder: &FolderJob,
    chosen: &[&(String, Listed)],
) -> Result<(), Failure> {
    let (name, path) = (&source.name, shown_path(source));
    if chosen.len() > folder.limit {
        let included = if folder.names.chooses() {
            " that are included"
        } else {
            ""
        };
        let mend = if folder.limit < MOST_ENTRIES {
            "raise it, or take fewer with include and exclude"
        } else {
            "take fewer with include and exclude, or share them between several VaultSecrets"
        };
        let message = format!(
            "source {name}: folder {path} has {} entries{included}, and spec.sources[{name}].kvFolder.limit is {}; {mend}",
            chosen.len(),
            folder.limit
        );
        return Err(Failure::invalid(message).retried(Retry::Interval));
    }
    for (entry, _) in chosen {
        if let Err(problem) = paths::check_listed(entry) {
            let entry = shown(entry);
            let message = format!(
                "source {name}: folder {path} has the entry {entry}, whose name {problem}; rename it in Vault, or leave it out with spec.sources[{name}].kvFolder.include or exclude"
            );
            return Err(Failure::new(Reason::InvalidSpec, message).retried(Retry::Interval));
        }
    }
    Ok(())
}

/// The name as a message has it.
pub fn shown(name: &str) -> String {
    match name.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
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
        let chosen = choose_here(&job.sources[0], folder, &listed);
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
        let many: Vec<String> = (0..=1000).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let told = chosen(&json!({ "path": "secret/shop", "limit": 1000 }), &many).unwrap_err();
        let mend = "limit is 1000; take fewer with include and exclude, or share them between several VaultSecrets";
        assert!(
            told.contains(" has 1001 entries, and") && told.ends_with(mend),
            "{told}"
        );
        let told = chosen(&json!({ "path": "secret/shop" }), &many).unwrap_err();
        assert!(told.contains("kvFolder.limit is 500; raise it"), "{told}");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused_unless_it_is_left_out() {
        let long = "a".repeat(100_000);
        for name in [
            "..\\..\\other",
            "a/../../b",
            "./a",
            "a//b",
            "a\nb",
            "",
            &long,
        ] {
            let error = chosen(&json!({ "path": "secret/shop" }), &["ok", name]).unwrap_err();
            assert!(
                error.starts_with("InvalidSpec: source main: folder secret/shop/ has the entry"),
                "{error}"
            );
            assert!(
                error.ends_with("kvFolder.include or exclude")
                    && !error.contains('\n')
                    && error.len() < 500,
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
    fn a_long_list_is_gone_through_in_pieces_that_leave_nothing_out() {
        let name = |number: usize| (format!("{number:0>1000}"), Listed::Name);
        let entries: Vec<_> = (0..500).map(name).collect();
        let pieces = pieces(&entries);
        let mut next = 0;
        for (piece, bytes) in &pieces {
            assert_eq!((piece.start, *bytes), (next, piece.len() * 1000));
            assert!(*bytes <= PIECE, "{bytes}");
            next = piece.end;
        }
        assert_eq!((next, pieces.len()), (500, 8));
        assert_eq!(super::pieces(&[]), [(0..0, 0)]);
        let one = [("a".repeat(2 * PIECE), Listed::Name)];
        assert_eq!(
            super::pieces(&one).len(),
            1,
            "what is too long stands alone"
        );
    }
}
