//! Free ports of the loopback interface.
//!
//! They are taken below the range from which the kernel serves outgoing connections, so that a server which is stopped
//! and started again finds its port free. Runs side by side do not take each other's: a picked port is reserved by a
//! socket in the kernel's abstract namespace, which has no file and is gone with the process.

use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

const FIRST: u16 = 18_000;
const COUNT: u16 = 14_000;

/// Picks a port that nobody listens on, and that nobody else picks as long as this process lives.
pub fn pick() -> Result<u16> {
    static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    // Processes begin at different places, so they seldom meet.
    let start = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(COUNT))?;
    let ports = (0..COUNT).map(|step| FIRST + (start + step) % COUNT);
    let free = |port: u16| {
        let reservation = reserve(port).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some((port, reservation))
    };
    let (port, reservation) = ports
        .into_iter()
        .find_map(free)
        .context("find a free port")?;
    RESERVED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(reservation);
    Ok(port)
}

fn reserve(port: u16) -> Result<UnixListener> {
    let name = format!("vaultbridge-port-{port}");
    Ok(UnixListener::bind_addr(&SocketAddr::from_abstract_name(
        name,
    )?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_picked_once() {
        let ports: Vec<u16> = (0..5).map(|_| pick().unwrap()).collect();
        let mut distinct = ports.clone();
        distinct.dedup();
        assert_eq!(ports, distinct);
        assert!(
            reserve(ports[0]).is_err(),
            "port {} can be reserved twice",
            ports[0]
        );
    }
}
