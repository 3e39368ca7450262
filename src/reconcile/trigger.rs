//! Why a pass asks Vault. It is decided in step 4, and what it means for the steps after it is theirs: how fresh a reading must be, whether
//! the Secret is written, what is told.

use std::time::Duration;

use crate::minting::Cause;

/// Why Vault is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// There is no Secret yet.
    FirstSync,
    /// The object asks for something else than the Secret was made of.
    SpecChanged,
    /// The Secret was deleted.
    TargetMissing,
    /// Somebody else changed the Secret.
    TargetChanged,
    /// The last attempt failed, so long ago; zero if something that it depended on has changed.
    Retry(Duration),
    /// New credentials are issued, for that reason.
    Issued(Cause),
    /// A person asked for everything anew.
    Requested,
    /// It is time to look, or somebody found out that there is something new.
    RefreshDue,
}
