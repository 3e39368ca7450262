//! `vaultbridge crd`

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::api::crd;

/// Print the CustomResourceDefinitions, to be installed before the operator runs.
#[derive(Args)]
pub struct Crd {
    /// Write one file per kind into this directory instead of printing.
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

impl Crd {
    /// Prints or writes them.
    pub fn execute(self) -> anyhow::Result<()> {
        for (name, text) in crd::files()? {
            match &self.dir {
                Some(dir) => {
                    let path = dir.join(name);
                    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
                }
                None => std::io::stdout()
                    .write_all(format!("---\n{text}").as_bytes())
                    .context("print")?,
            }
        }
        Ok(())
    }
}
