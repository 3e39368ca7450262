//! A folder, listed name by name: what a pass does where the list tells no versions, and `vaultbridge render` always.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};

use super::choose::shown;
use super::paths;
use crate::sensitive::SecretText;
use crate::vault::{self, Client, Entries, Listed, Mount};

/// The most names that a folder may have, taken or not.
const MAX_NAMES: usize = 10_000;

/// Names stand behind those of their folders, so few bytes of a reply may become many.
const MAX_NAMES_BYTES: usize = 2 * 1024 * 1024;

/// The most folders that are listed one by one for one source.
const MAX_FOLDERS: usize = 250;

/// How deep folders below a folder are followed.
const MAX_DEPTH: usize = 16;

/// How many folders of one source are listed at once, so that others come in between.
const AT_ONCE: usize = 8;

/// How long the listing of all folders may take: well within a pass, which has the entries to read as well.
const LONGEST: Duration = Duration::from_mins(1);

/// Why there is no list.
#[derive(Debug)]
pub enum WalkError {
    /// Vault did not tell.
    List {
        /// The folder below the source's that was listed; empty for that itself.
        below: String,
        /// Why.
        error: vault::Error,
    },
    /// There is more than is looked through.
    Unbounded(String),
    /// It took too long; so many folders had been listed by then.
    Slow(usize),
}

/// The names of the entries at `path` below the mount, in their order.
pub async fn walk(
    client: &Client,
    namespace: &str,
    token: &SecretText,
    mount: &Mount,
    path: &str,
    recursive: bool,
) -> Result<Entries, WalkError> {
    let list = |folder: String| {
        let path = [path, &folder].join("/");
        let list = async move {
            let path = path.trim_matches('/');
            vault::list(client, namespace, token, mount, path).await
        };
        list.boxed()
    };
    let listed = AtomicUsize::new(0);
    in_time(level_by_level(list, recursive, &listed), &listed).await
}

async fn in_time(
    walk: impl Future<Output = Result<Entries, WalkError>>,
    listed: &AtomicUsize,
) -> Result<Entries, WalkError> {
    let walked = tokio::time::timeout(LONGEST, walk).await;
    walked.unwrap_or_else(|_| Err(WalkError::Slow(listed.load(Ordering::Relaxed))))
}

/// Lists the folders of each level side by side, and counts those that are listed.
async fn level_by_level<'a>(
    list: impl Fn(String) -> BoxFuture<'a, Result<Option<Vec<String>>, vault::Error>>,
    recursive: bool,
    listed: &AtomicUsize,
) -> Result<Entries, WalkError> {
    let (mut entries, mut level, mut asked) = (Entries::new(), vec![String::new()], 0);
    while !level.is_empty() {
        asked += level.len();
        if asked > MAX_FOLDERS {
            let what = format!("more than {MAX_FOLDERS} folders");
            return Err(WalkError::Unbounded(what));
        }
        let counted = |folder| {
            let list = list(folder);
            list.inspect(|_| {
                listed.fetch_add(1, Ordering::Relaxed);
            })
            .boxed()
        };
        let lists: Vec<BoxFuture<'_, _>> = level.iter().cloned().map(counted).collect();
        let mut lists = stream::iter(lists).buffered(AT_ONCE);
        let mut next = Vec::new();
        for folder in &level {
            let Some(names) = lists.next().await else {
                break;
            };
            let names = names.map_err(|error| WalkError::List {
                below: folder.clone(),
                error,
            })?;
            let names = names.unwrap_or_default();
            add(names, folder, recursive, &mut entries, &mut next)?;
            entries = bounded(entries)?;
        }
        level = next;
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}

/// Sorts the names in one folder into entries and folders to be listed.
fn add(
    names: Vec<String>,
    folder: &str,
    recursive: bool,
    entries: &mut Entries,
    folders: &mut Vec<String>,
) -> Result<(), WalkError> {
    if names.len().saturating_mul(folder.len()) > MAX_NAMES_BYTES {
        return Err(too_long());
    }
    for name in names {
        let is_folder = name.ends_with('/');
        let name = format!("{folder}{name}");
        if !is_folder {
            entries.push((name, Listed::Name));
        } else if recursive {
            let below = name.strip_suffix('/').unwrap_or(&name);
            if let Err(problem) = paths::check_listed(below) {
                let what = format!(
                    "the folder {}, which cannot be listed, as its name {problem}",
                    shown(below)
                );
                return Err(WalkError::Unbounded(what));
            }
            if name.matches('/').count() > MAX_DEPTH {
                let what = format!("folders more than {MAX_DEPTH} deep");
                return Err(WalkError::Unbounded(what));
            }
            folders.push(name);
        }
    }
    Ok(())
}

fn too_long() -> WalkError {
    let what = format!("names of more than {MAX_NAMES_BYTES} bytes together");
    WalkError::Unbounded(what)
}

/// The entries, if there are no more than are looked through.
pub fn bounded(entries: Entries) -> Result<Entries, WalkError> {
    let bytes: usize = entries.iter().map(|(name, _)| name.len()).sum();
    if bytes > MAX_NAMES_BYTES {
        return Err(too_long());
    }
    if entries.len() > MAX_NAMES {
        return Err(WalkError::Unbounded(format!(
            "more than {MAX_NAMES} entries"
        )));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::future::{pending, ready};
    use serde_json::json;

    use super::*;
    use crate::api::Reason;
    use crate::reconcile::fixture::{edit, fresh, job};
    use crate::reconcile::refusals::Refusal;

    fn told(error: WalkError) -> String {
        let mut observed = fresh();
        let source = json!({ "name": "main", "kvFolder": { "path": "secret/shop" } });
        edit(&mut observed, "/sources/0", source);
        let job = job(&observed);
        let failure = Refusal::from(error).failure(&job, &job.sources[0]);
        assert_eq!(failure.reason, Reason::InvalidSpec);
        failure.message
    }

    fn added(names: Vec<String>, folder: &str) -> Result<(Entries, Vec<String>), String> {
        let (mut entries, mut folders) = (Entries::new(), Vec::new());
        add(names, folder, true, &mut entries, &mut folders).map_err(told)?;
        let entries = bounded(entries).map_err(told)?;
        Ok((entries, folders))
    }

    #[test]
    fn names_that_have_no_room_together_are_refused_with_the_way_out() {
        let long = "a".repeat(500);
        let name = |number: usize| format!("{long}{number:0>4}");
        let some: Vec<String> = (0..4000).map(name).collect();
        let (entries, _) = added(some.clone(), "").unwrap();
        assert_eq!(entries.len(), 4000);
        let refused = "source main: folder secret/shop/ has names of more than 2097152 bytes together; name a folder further down in spec.sources[main].kvFolder.path";
        let more: Vec<String> = (0..4200).map(name).collect();
        assert_eq!(added(more, "").unwrap_err(), refused);
        // Each name stands behind that of its folder.
        assert_eq!(added(some, &format!("{long}/")).unwrap_err(), refused);
        let many = (0..=MAX_NAMES).map(|number| number.to_string()).collect();
        let many = added(many, "").unwrap_err();
        assert!(
            many.contains(" has more than 10000 entries; name a folder"),
            "{many}"
        );
    }

    #[test]
    fn folders_are_followed_unless_their_names_lead_elsewhere() {
        let names = ["db/", "db", "ü %/"].map(str::to_owned).to_vec();
        let (entries, folders) = added(names, "below/").unwrap();
        assert_eq!(entries, [("below/db".to_owned(), Listed::Name)]);
        assert_eq!(folders, ["below/db/", "below/ü %/"]);
        for name in [
            "../",
            "a\nb/",
            "a//",
            "/",
            &format!("{}/", "a".repeat(2000)),
        ] {
            let told = added(vec![name.to_owned()], "").unwrap_err();
            let begins = told.starts_with("source main: folder secret/shop/ has the folder \"");
            assert!(begins && told.contains(", as its name "), "{told}");
            assert!(!told.contains('\n') && told.len() < 500, "{told}");
        }
        let deep = added(vec!["a/".to_owned()], &"a/".repeat(MAX_DEPTH)).unwrap_err();
        assert!(
            deep.contains("folders more than 16 deep; name a folder"),
            "{deep}"
        );
    }

    /// A tree of folders, with the names in each.
    fn tree() -> BTreeMap<String, Vec<&'static str>> {
        let folders = [
            ("", vec!["b/", "a/", "c"]),
            ("a/", vec!["2", "1", "deep/"]),
            ("a/deep/", vec!["x"]),
            ("b/", vec!["y"]),
        ];
        folders
            .map(|(folder, names)| (folder.to_owned(), names))
            .into()
    }

    fn names_of(folder: &str) -> Option<Vec<String>> {
        let tree = tree();
        let names = tree.get(folder).map(|names| names.iter());
        names.map(|names| names.map(|name| (*name).to_owned()).collect())
    }

    #[tokio::test]
    async fn folders_are_listed_level_by_level_and_entries_are_in_their_order() {
        let listed = AtomicUsize::new(0);
        let list = |folder: String| ready(Ok(names_of(&folder))).boxed();
        let entries = level_by_level(list, true, &listed).await.unwrap();
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a/1", "a/2", "a/deep/x", "b/y", "c"]);
        assert_eq!(listed.into_inner(), 4);
        let many = |_: String| ready(Ok(Some(vec!["a/".into(), "b/".into(), "c/".into()]))).boxed();
        let refused = level_by_level(many, true, &AtomicUsize::new(0)).await;
        let told = told(refused.unwrap_err());
        assert!(
            told.contains(" has more than 250 folders; name a folder"),
            "{told}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_folder_that_is_never_listed_is_told_in_words_with_how_far_it_got() {
        let listed = AtomicUsize::new(0);
        let list = |folder: String| {
            if folder == "b/" {
                pending().boxed()
            } else {
                ready(Ok(names_of(&folder))).boxed()
            }
        };
        let error = in_time(level_by_level(list, true, &listed), &listed).await;
        let mut observed = fresh();
        let source = json!({ "name": "main", "kvFolder": { "path": "secret/shop" } });
        edit(&mut observed, "/sources/0", source);
        let job = job(&observed);
        let failure = Refusal::from(error.unwrap_err()).failure(&job, &job.sources[0]);
        assert_eq!(failure.reason, Reason::VaultUnavailable);
        let words = "the folders of secret/shop/ were not all listed within a minute, 2 of them were; if that lasts, name a folder further down";
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}
