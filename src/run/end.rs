//! Why the operator ends, and what it ends with.

use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::cluster::caches::Watches;

/// Why the operator ends.
pub enum End {
    /// It was asked to.
    Asked,
    /// A part of it was lost: better no operator than one that looks alive and does nothing. Whoever runs it starts it again.
    Broken,
    /// Another instance leads, as these words tell. What is known here may be out of date: the next start stands by.
    Replaced(String),
}

impl End {
    /// What the program ends with.
    pub fn outcome(self) -> anyhow::Result<()> {
        match self {
            Self::Asked => Ok(()),
            Self::Broken => {
                anyhow::bail!("a part of the operator ended by itself; the log above has the cause")
            }
            Self::Replaced(why) => anyhow::bail!("{why}; the next start stands by"),
        }
    }
}

/// Waits until the operator has to end.
pub async fn end(
    asked: impl Future<Output = &'static str>,
    controllers: &mut JoinHandle<()>,
    watches: &mut Watches,
    replaced: impl Future<Output = String>,
) -> End {
    tokio::select! {
        signal = asked => {
            info!(signal, "stopping: finishing passes under way, then revoking Vault tokens");
            End::Asked
        }
        ended = controllers => {
            error!(?ended, "a part of the operator ended by itself; stopping");
            End::Broken
        }
        lost = watches.lost() => {
            error!(%lost, "a part of the operator ended by itself; stopping");
            End::Broken
        }
        why = replaced => {
            error!(why, "this instance does not lead any more; stopping");
            End::Replaced(why)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn the_operator_ends_as_lost_when_a_part_of_it_is_and_in_good_order_when_asked_to() {
        let runs = || tokio::spawn(pending());
        let mut all_well = Watches::default();
        let asked = end(ready("SIGTERM"), &mut runs(), &mut all_well, pending()).await;
        assert!(asked.outcome().is_ok());
        let mut ends = tokio::spawn(async {});
        let broken = end(pending(), &mut ends, &mut all_well, pending()).await;
        assert!(matches!(broken, End::Broken));
        let mut one_gone = Watches::with_lost("Secret");
        let broken = end(pending(), &mut runs(), &mut one_gone, pending()).await;
        assert!(broken.outcome().is_err());
        let another = ready("two leads now".to_owned());
        let replaced = end(pending(), &mut runs(), &mut all_well, another).await;
        let told = replaced.outcome().unwrap_err().to_string();
        assert_eq!(told, "two leads now; the next start stands by");
    }
}
