//! `vaultbridge log-level`

use std::io::Write as _;

use clap::Args;

use crate::backstage;

/// Tell what a running operator logs, or change it.
///
/// Inside the operator's container: `kubectl -n vaultbridge-system exec deploy/vaultbridge -- /vaultbridge log-level debug`. It lasts until it is
/// changed again or the operator ends.
#[derive(Args)]
pub struct LogLevel {
    /// A level, error to trace, or directives such as `info,vaultbridge::vault=debug`. Without it nothing changes.
    level: Option<String>,

    /// Process id of the operator. In its container that is 1.
    #[arg(long, default_value_t = 1)]
    pid: u32,
}

impl LogLevel {
    /// Prints what is logged from now on.
    pub fn execute(&self) -> anyhow::Result<()> {
        let said = backstage::ask(self.pid, self.level.as_deref().unwrap_or_default())?;
        writeln!(std::io::stdout(), "{said}")?;
        Ok(())
    }
}
