//! A folder, listed name by name: what a pass does where the list tells no versions, and `vaultbridge render` always.

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
}

/// The names of the entries at `path` below the mount, folder by folder.
pub async fn walk(
    client: &Client,
    namespace: &str,
    token: &SecretText,
    mount: &Mount,
    path: &str,
    recursive: bool,
) -> Result<Entries, WalkError> {
    let mut entries = Entries::new();
    let mut folders = vec![String::new()];
    let mut asked = 0;
    while let Some(folder) = folders.pop() {
        asked += 1;
        if asked > MAX_FOLDERS {
            let what = format!("more than {MAX_FOLDERS} folders");
            return Err(WalkError::Unbounded(what));
        }
        let path = [path, &folder].join("/");
        let list = vault::list(client, namespace, token, mount, path.trim_matches('/'));
        let names = list.await.map_err(|error| WalkError::List {
            below: folder.clone(),
            error,
        })?;
        let names = names.unwrap_or_default();
        if names.len().saturating_mul(folder.len()) > MAX_NAMES_BYTES {
            let what = format!("names of more than {MAX_NAMES_BYTES} bytes together");
            return Err(WalkError::Unbounded(what));
        }
        for name in names {
            let is_folder = name.ends_with('/');
            let name = format!("{folder}{name}");
            if !is_folder {
                entries.push((name, Listed::Name));
            } else if recursive {
                if name.matches('/').count() > MAX_DEPTH {
                    let what = format!("folders more than {MAX_DEPTH} deep");
                    return Err(WalkError::Unbounded(what));
                }
                folders.push(name);
            }
        }
        entries = bounded(entries)?;
    }
    Ok(entries)
}

/// The entries, if there are no more than are looked through.
pub fn bounded(entries: Entries) -> Result<Entries, WalkError> {
    let bytes: usize = entries.iter().map(|(name, _)| name.len()).sum();
    if bytes > MAX_NAMES_BYTES {
        let what = format!("names of more than {MAX_NAMES_BYTES} bytes together");
        return Err(WalkError::Unbounded(what));
    }
    if entries.len() > MAX_NAMES {
        return Err(WalkError::Unbounded(format!(
            "more than {MAX_NAMES} entries"
        )));
    }
    Ok(entries)
}
