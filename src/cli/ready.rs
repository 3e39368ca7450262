//! `vaultbridge ready`

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ask a running operator whether it is ready.
///
/// Prints what it says of itself, and fails if that is not that it works or stands by. `helm test` calls this.
#[derive(Args)]
pub struct Ready {
    /// Where the operator serves /readyz.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    address: String,
}

impl Ready {
    /// Asks once.
    pub fn execute(&self) -> anyhow::Result<()> {
        let address = &self.address;
        let mut found = address
            .to_socket_addrs()
            .with_context(|| format!("find {address}"))?;
        let first = found.next().with_context(|| format!("find {address}"))?;
        let mut stream = TcpStream::connect_timeout(&first, PATIENCE)
            .with_context(|| format!("reach {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: vaultbridge\r\n\r\n")?;
        let mut answer = String::new();
        // It says little, and whatever else answers there may say anything.
        stream
            .take(16 * 1024)
            .read_to_string(&mut answer)
            .with_context(|| format!("hear {address}"))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        if !head.starts_with("HTTP/1.1 200 ") {
            bail!("not ready: {}", body.trim());
        }
        writeln!(std::io::stdout(), "{}", body.trim())?;
        Ok(())
    }
}
