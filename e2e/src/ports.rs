//! Free ports of the loopback interface.
//!
//! They are taken below the range from which the kernel serves outgoing connections, so that a server which is stopped
//! and started again finds its port free.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

const FIRST: u16 = 18_000;
const COUNT: u16 = 14_000;

/// Picks a port that nobody listens on, and that this process has not picked before.
pub fn pick() -> Result<u16> {
    static PICKED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut picked = PICKED.lock().unwrap_or_else(PoisonError::into_inner);
    // Processes that run side by side begin at different places.
    let start = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(COUNT))?;
    let free = |port: &u16| {
        !picked.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
    };
    let port = (0..COUNT)
        .map(|step| FIRST + (start + step) % COUNT)
        .find(free)
        .context("find a free port")?;
    picked.insert(port);
    Ok(port)
}
