//! Faults on demand, for the tests of the built program: at one request of the minting protocol it dies, freezes, waits, is refused, or
//! never hears the reply. A released program has none of this.
//!
//! The tests say what is to go wrong in a file that the environment variable `VAULTBRIDGE_FAULTS` names, a fault per line, such as
//! `kill after Commit`. Each happens once: its line is removed first, so that the next start is spared, and whoever wrote the file sees that it
//! has happened.

use crate::minting::{Reply, Stage};

/// Makes a request, unless a fault is ordered for it. `instead` is what the caller is told when the reply is not the request's own.
#[cfg(not(debug_assertions))]
pub async fn around<T>(
    _stage: Stage,
    request: impl Future<Output = T>,
    _instead: impl FnOnce(Reply) -> T,
) -> T {
    request.await
}

/// Makes a request, unless a fault is ordered for it. `instead` is what the caller is told when the reply is not the request's own.
#[cfg(debug_assertions)]
pub async fn around<T>(
    stage: Stage,
    request: impl Future<Output = T>,
    instead: impl FnOnce(Reply) -> T,
) -> T {
    if ordered::take(&format!("refuse {stage:?}")) {
        return instead(Reply::Refused);
    }
    ordered::at("before", stage).await;
    let reply = request.await;
    ordered::at("after", stage).await;
    if ordered::take(&format!("lose {stage:?}")) {
        return instead(Reply::Lost);
    }
    reply
}

#[cfg(debug_assertions)]
mod ordered {
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    use tracing::warn;

    use crate::minting::Stage;

    /// The file with the orders.
    fn file() -> Option<&'static PathBuf> {
        static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
        #[expect(
            clippy::disallowed_methods,
            reason = "no flag: the released program has no faults to order"
        )]
        let find = || std::env::var_os("VAULTBRIDGE_FAULTS").map(PathBuf::from);
        FILE.get_or_init(find).as_ref()
    }

    /// Whether this is ordered; if so it is no more.
    pub fn take(order: &str) -> bool {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let Some(file) = file() else {
            return false;
        };
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = std::fs::read_to_string(file).unwrap_or_default();
        let mut left: Vec<&str> = orders.lines().collect();
        let Some(at) = left.iter().position(|one| *one == order) else {
            return false;
        };
        left.remove(at);
        if let Err(error) = std::fs::write(file, left.join("\n")) {
            warn!(%error, order, "an ordered fault does not happen");
            return false;
        }
        warn!(order, "a fault that was ordered");
        true
    }

    /// What is ordered for before or after the request.
    pub async fn at(side: &str, stage: Stage) {
        let place = format!("{side} {stage:?}");
        if take(&format!("kill {place}")) {
            std::process::abort();
        }
        if take(&format!("freeze {place}")) {
            // The whole program stands still here, until somebody lets it go on.
            let stopped = Command::new("sh").args(["-c", "kill -STOP $PPID"]).status();
            warn!(?stopped, place, "awake again");
        }
        if take(&format!("hold {place}")) {
            let done = format!("let {place} go on");
            while !take(&done) {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "somebody changes the world meanwhile, and then says so"
                )]
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
