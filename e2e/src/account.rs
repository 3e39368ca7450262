//! Another account than root's, for programs that refuse to run as root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use anyhow::{Context as _, Result};

/// Every Linux has it, and it owns nothing.
const NAME: &str = "nobody";

/// A user of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The user's number.
    pub uid: u32,
    /// The number of the user's group.
    pub gid: u32,
}

impl Account {
    /// The account for such programs when this process is root's; nobody else needs one.
    pub(crate) fn instead_of_root() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
        let account = users.lines().find_map(parse);
        account
            .map(Some)
            .with_context(|| format!("find the user {NAME} in /etc/passwd"))
    }

    /// Whether it may enter a folder, or the folder of a file, and all folders above. Home folders are often closed to others,
    /// and root's always.
    pub(crate) fn can_reach(path: &Path) -> bool {
        let open = |folder: &Path| {
            fs::metadata(folder).is_ok_and(|data| !data.is_dir() || data.mode() & 0o001 != 0)
        };
        path.ancestors()
            .filter(|folder| !folder.as_os_str().is_empty())
            .all(open)
    }

    /// Gives it a file or a folder.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("give {} to {NAME}", path.display()))
    }
}

/// The account of a line of `/etc/passwd`, if it is the one that we look for.
fn parse(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [NAME, _, uid, gid, ..] = fields[..] else {
        return None;
    };
    Some(Account {
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let line = "nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin";
        let account = Account {
            uid: 65534,
            gid: 65533,
        };
        assert_eq!(parse(line), Some(account));
        assert_eq!(parse("nobody2:x:7:7::/:/bin/sh"), None);
    }
}
