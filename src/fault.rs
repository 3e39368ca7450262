//! Faults on demand, for the tests of the built program: at one request of the minting protocol it dies, freezes, waits, is refused, or
//! never hears the reply. A released program has none of this.
//!
//! The tests say what is to go wrong by files in a folder that the environment variable `VAULTBRIDGE_FAULTS` names, a fault per file. Its name is
//! the fault, such as `kill after Commit in shop`, and `shop` the namespace of the object that meets it, so that tests go side by side. Each happens
//! once: its file is removed first, so that the next start is spared, and whoever wrote it sees that it has happened. The file `clock` is another matter: it
//! says by how many seconds the clock of a program that starts now is wrong.

use jiff::SignedDuration;

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

/// A moment between two requests that belong together.
#[cfg(not(debug_assertions))]
pub fn between(_requests: &str) {}

/// A moment between two requests that belong together, at which the program dies if that is ordered.
#[cfg(debug_assertions)]
pub fn between(requests: &str) {
    if ordered::take(&format!("kill between {requests}")) {
        std::process::abort();
    }
}

/// A pass over an object of that namespace, which meets the faults that are ordered there.
#[cfg(not(debug_assertions))]
pub fn within<T>(_namespace: String, pass: impl Future<Output = T>) -> impl Future<Output = T> {
    pass
}

/// A pass over an object of that namespace, which meets the faults that are ordered there.
#[cfg(debug_assertions)]
pub fn within<T>(namespace: String, pass: impl Future<Output = T>) -> impl Future<Output = T> {
    ordered::NAMESPACE.scope(namespace, pass)
}

/// By how much the clock is wrong.
#[cfg(not(debug_assertions))]
pub fn clock_error() -> SignedDuration {
    SignedDuration::ZERO
}

/// By how much the clock is wrong.
#[cfg(debug_assertions)]
pub fn clock_error() -> SignedDuration {
    ordered::clock_error()
}

#[cfg(debug_assertions)]
mod ordered {
    use std::io::ErrorKind;
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::OnceLock;
    use std::time::Duration;

    use jiff::SignedDuration;
    use tracing::warn;

    use crate::minting::Stage;

    tokio::task_local! {
        /// The namespace of the object that a pass is about.
        pub static NAMESPACE: String;
    }

    /// The folder with the orders.
    fn folder() -> Option<&'static PathBuf> {
        static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
        #[expect(
            clippy::disallowed_methods,
            reason = "no flag: the released program has no faults to order"
        )]
        let find = || std::env::var_os("VAULTBRIDGE_FAULTS").map(PathBuf::from);
        FOLDER.get_or_init(find).as_ref()
    }

    /// By how much the clock was to be wrong when somebody first looked at it.
    pub fn clock_error() -> SignedDuration {
        static ERROR: OnceLock<SignedDuration> = OnceLock::new();
        *ERROR.get_or_init(|| {
            let file = folder().map(|folder| folder.join("clock"));
            let text = file.and_then(|file| std::fs::read_to_string(file).ok());
            let seconds = text.and_then(|text| text.trim().parse().ok());
            SignedDuration::from_secs(seconds.unwrap_or(0))
        })
    }

    /// Whether this is ordered for the object at hand; if so it is no more.
    pub fn take(order: &str) -> bool {
        let Some(folder) = folder() else {
            return false;
        };
        let Ok(order) = NAMESPACE.try_with(|namespace| format!("{order} in {namespace}")) else {
            return false;
        };
        match std::fs::remove_file(folder.join(&order)) {
            Ok(()) => {
                warn!(order, "a fault that was ordered");
                true
            }
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    warn!(%error, order, "an ordered fault does not happen");
                }
                false
            }
        }
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
