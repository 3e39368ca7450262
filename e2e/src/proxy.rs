//! A small TCP proxy between the operator and a server: it passes everything on, until a test makes the way bad.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to what comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It goes through.
    Open,
    /// It goes through, each piece so much later.
    Slow(Duration),
    /// It is taken and never arrives; nobody is told.
    BlackHole,
    /// It goes through, but for what has this word in it, such as a path: that is held until the way is another.
    Without(&'static str),
}

/// A proxy on a free port of the loopback interface. It ends when dropped.
pub struct Proxy {
    address: String,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of a server, given as `http://host:port`.
    pub async fn start(server: &str) -> Result<Self> {
        let (scheme, target) = server
            .split_once("://")
            .context("read the server's address")?;
        let (scheme, target) = (scheme.to_owned(), target.to_owned());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("{scheme}://{}", listener.local_addr()?);
        let (way, now) = watch::channel(Way::Open);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, target.clone(), now.clone()));
            }
        });
        Ok(Self { address, way, task })
    }

    /// Where it listens, with the server's scheme.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Changes the way for everything that comes by from now on, on open connections as well.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, way) = (&self.address, *self.way.borrow());
        write!(f, "Proxy {{ {address}, {way:?} }}")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries one connection until either side closes it.
async fn connect(client: TcpStream, target: String, way: watch::Receiver<Way>) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        carry(from_client, to_server, way.clone()),
        carry(from_server, to_client, way)
    );
}

/// Carries one direction. A connection that breaks is simply over, as on a network.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let now = *way.borrow_and_update();
        match now {
            Way::Open => {}
            Way::Slow(delay) => tokio::time::sleep(delay).await,
            Way::BlackHole => continue,
            Way::Without(word) => {
                if contains(&piece[..length], word) {
                    drop(way.changed().await);
                }
            }
        }
        if to.write_all(&piece[..length]).await.is_err() {
            break;
        }
    }
}

fn contains(piece: &[u8], word: &str) -> bool {
    piece
        .windows(word.len())
        .any(|window| window == word.as_bytes())
}
