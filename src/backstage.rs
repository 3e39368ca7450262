//! A door for whoever is inside the operator's container: `vaultbridge log-level` comes through it.
//!
//! It is a Unix socket without a file, since the container's file system is read-only, under a name of the operator's process. Such a name
//! belongs to the network namespace, which a pod on the host's network shares with others; so only the operator's own user is let in.

use std::io::{Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener as Listener, UnixStream as Caller};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tracing::{info, warn};

use crate::telemetry::LogLevel;

/// How long a caller may take, and how long it waits for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most bytes of what a caller says.
const LONGEST: u64 = 4096;

/// Where the operator with that process id listens.
fn address(pid: u32) -> std::io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("vaultbridge-{pid}"))
}

/// Listens, in a task of its own, for those who ask for the level of the log or change it.
pub fn listen(level: LogLevel) -> anyhow::Result<()> {
    let listener = address(std::process::id())
        .and_then(|address| Listener::bind_addr(&address))
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .and_then(UnixListener::from_std)
        .context("listen for `vaultbridge log-level`")?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // One after another: who is let in is the operator's own user, and is done with in time.
            let _ = tokio::time::timeout(PATIENCE, answer(stream, &level)).await;
        }
        warn!("`vaultbridge log-level` is not heard any more");
    });
    Ok(())
}

/// Does what the caller asks for and tells what came of it, in a line that begins with `ok` or `no`.
async fn answer(mut stream: UnixStream, level: &LogLevel) -> std::io::Result<()> {
    if stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
        return stream
            .write_all(b"no only the user that the operator runs as may do this")
            .await;
    }
    let mut asked = String::new();
    (&mut stream)
        .take(LONGEST)
        .read_to_string(&mut asked)
        .await?;
    let said = match asked.trim() {
        "" => format!("ok {}", level.get()),
        wanted => match level.set(wanted) {
            Ok(before) => {
                info!(from = before, to = wanted, "log level changed");
                format!("ok {wanted} (it was {before})")
            }
            Err(error) => format!("no {error:#}"),
        },
    };
    stream.write_all(said.as_bytes()).await
}

/// Asks the operator with that process id for the level of its log; with a text, sets it. Returns what it says.
pub fn ask(pid: u32, wanted: &str) -> anyhow::Result<String> {
    let mut stream = address(pid)
        .and_then(|address| Caller::connect_addr(&address))
        .with_context(|| {
            format!("reach the operator with process id {pid}: run this inside its container, or give its --pid")
        })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut said = String::new();
    stream
        .write_all(wanted.as_bytes())
        .and_then(|()| stream.shutdown(std::net::Shutdown::Write))
        .and_then(|()| stream.read_to_string(&mut said))
        .context("talk to the operator")?;
    match said.split_once(' ') {
        Some(("ok", answer)) => Ok(answer.to_owned()),
        Some(("no", why)) => anyhow::bail!("{why}"),
        _ => anyhow::bail!("the operator gave no answer"),
    }
}
