//! Where built parts are kept: one folder per part and state of its pins, complete or absent.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use super::Part;

/// The cache folder of this user.
#[derive(Debug)]
pub(super) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `VAULTBRIDGE_COMPONENTS`, or `vaultbridge` in the user's cache folder.
    pub(super) fn open() -> Result<Self> {
        let set = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = set("VAULTBRIDGE_COMPONENTS")
            .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("vaultbridge")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/vaultbridge")))
            .context("find a cache folder: set HOME, XDG_CACHE_HOME or VAULTBRIDGE_COMPONENTS")?;
        let root = std::path::absolute(root)?;
        fs::create_dir_all(root.join("logs"))
            .with_context(|| format!("create {}", root.display()))?;
        Ok(Self { root })
    }

    /// The folder of a part; it exists only when the part is complete.
    pub(super) fn folder(&self, part: &Part) -> Result<PathBuf> {
        let mut hash = Sha256::new();
        hash.update(format!(
            "{} {:?} {}",
            part.name,
            part.recipe,
            std::env::consts::ARCH
        ));
        for pin in part.pins {
            let file = part.source().join(pin);
            let content = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
            hash.update(format!("\n{pin} {}\n", content.len()));
            hash.update(content);
        }
        let digest = hash.finalize();
        let short = digest.iter().take(8).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(self.root.join(format!("{}-{short}", part.name)))
    }

    /// The file with the output of a part's build.
    pub(super) fn log(&self, part: &Part) -> PathBuf {
        self.root.join("logs").join(format!("{}.log", part.name))
    }

    /// Holds the cache alone until the guard is dropped or this process ends. Says so when it must wait for another.
    pub(super) fn lock(&self) -> Result<File> {
        let file =
            File::create(self.root.join("lock")).context("open the lock of the component cache")?;
        if file.try_lock().is_err() {
            writeln!(
                std::io::stderr(),
                "components  waiting for another build of them to end"
            )?;
            file.lock().context("lock the component cache")?;
        }
        Ok(file)
    }

    /// An empty folder to build a part in; whatever a killed build left there is removed. Needs the lock.
    pub(super) fn workshop(&self, part: &Part) -> Result<PathBuf> {
        let folder = self.root.join(format!(".building-{}", part.name));
        remove(&folder)?;
        fs::create_dir_all(folder.join("bin"))
            .with_context(|| format!("create {}", folder.display()))?;
        Ok(folder)
    }

    /// Puts a finished part in its place, in one step.
    pub(super) fn publish(&self, part: &Part, workshop: &Path) -> Result<()> {
        fs::rename(workshop, self.folder(part)?).with_context(|| format!("keep {}", part.name))
    }
}

/// Removes a folder with everything in it, if it is there.
pub(super) fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}
