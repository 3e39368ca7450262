//! One look at a server: what its health says, and what follows from it.

use crate::api::Reason;
use crate::connections::Outage;
use crate::vault::{self, Health};

/// What the server's answer means for those who want to use it.
pub fn outage(address: &str, answer: &Result<Health, vault::Error>) -> Option<Outage> {
    match answer {
        Ok(health) if !health.initialized => Some(Outage {
            reason: Reason::VaultSealed,
            message: format!(
                "{address} answers, but was never initialized: run `vault operator init`"
            ),
        }),
        Ok(health) if health.sealed => Some(Outage {
            reason: Reason::VaultSealed,
            message: format!(
                "{address} is sealed: somebody must unseal it, then everything goes on by itself"
            ),
        }),
        Ok(_) => None,
        Err(error) => Some(Outage {
            reason: Reason::VaultUnavailable,
            message: format!("{address}: {error}"),
        }),
    }
}
