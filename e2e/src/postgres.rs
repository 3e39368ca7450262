//! A real PostgreSQL server: the database for which Vault issues users, and the judge of whether they can log in.
//!
//! It refuses to run as root. Where this process is root's, the server runs as `nobody`, who may enter neither root's home nor
//! the cache of components below it: then the programs are copied into the server's own folder first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::account::Account;
use crate::components::{Components, POSTGRES};
use crate::ports;
use crate::process::{Launch, Process, Service};
use crate::wait::until;

mod sql;

/// How long a server may take until it takes logins. A loaded machine needs a while for a new database.
const START: Duration = Duration::from_mins(1);

/// The one user of a new server, who may do everything, and the password. No secret: only loopback leads there.
pub const ADMIN: (&str, &str) = ("vault", "vault administers this database");

/// A running server, on loopback, without TLS; every login needs its password. It ends when dropped, and with this process.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    service: Service,
}

impl Postgres {
    /// Starts a server in a folder of its own. Its programs are fetched if the machine has none, which blocks nobody else.
    pub async fn start(folder: &Path) -> Result<Self> {
        let port = ports::pick()?;
        let place = folder.to_path_buf();
        let (programs, account) = tokio::task::spawn_blocking(move || prepare(&place)).await??;
        let data = folder.join("data");
        let log = folder.join("server.log");
        let launch = |program: &str, args: Vec<PathBuf>| {
            let mut launch = Launch::new("PostgreSQL", programs.join(program), args, &log)
                .env("LC_ALL", "C")
                .env("TZ", "UTC");
            launch.account = account;
            // Where we are the account may not be, and older versions look where they are.
            launch.folder = Some(folder.to_path_buf());
            launch
        };
        let new = Process::start(&launch("initdb", initdb(folder, &data)))?;
        let status = new.wait(START).await?;
        if !status.success() {
            new.ensure_running()?;
        }
        let mut server = launch("postgres", settings(&data, port));
        server.quits = true;
        let this = Self {
            folder: folder.to_path_buf(),
            port,
            service: Service::new(server),
        };
        this.start_again().await?;
        Ok(this)
    }

    /// The folder with its log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The port of 127.0.0.1 on which it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process, to freeze it, to let it go on, or to kill it.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Stops it: it ends all sessions, and nothing listens on its port any more.
    pub async fn stop(&self) -> Result<()> {
        // A SIGTERM would wait until all clients have left.
        let status = self.service.interrupt().await?;
        ensure!(status.success(), "PostgreSQL ended with {status}");
        Ok(())
    }

    /// Starts it after [`stop`](Self::stop), and waits until it takes logins. Its users are still there.
    pub async fn start_again(&self) -> Result<()> {
        self.service.start()?;
        until("PostgreSQL to take logins", START, async || {
            self.service.ensure_running()?;
            self.can_log_in(ADMIN.0, ADMIN.1).await.map(Some)
        })
        .await
    }
}

/// Everything that must be there before the first program runs: the folder where the programs are, and who runs them.
fn prepare(folder: &Path) -> Result<(PathBuf, Option<Account>)> {
    let components = Components::ensure(&[&POSTGRES])?;
    let account = Account::instead_of_root()?;
    let data = folder.join("data");
    fs::create_dir_all(&data).with_context(|| format!("create {}", data.display()))?;
    fs::write(folder.join("password"), ADMIN.1).context("write the administrator's password")?;
    let bin = components
        .program("postgres")?
        .parent()
        .context("find the folder of PostgreSQL's programs")?;
    let Some(account) = account else {
        return Ok((bin.to_path_buf(), None));
    };
    account.own(&data)?;
    ensure!(
        Account::can_reach(&data),
        "PostgreSQL refuses to run as root, and others may not enter {}: set TMPDIR to a folder that everybody may enter",
        folder.display()
    );
    if Account::can_reach(&fs::canonicalize(bin)?) {
        return Ok((bin.to_path_buf(), Some(account)));
    }
    let part = bin.parent().context("find the part of PostgreSQL")?;
    let copy = folder.join("programs");
    command("cp", &["-R".as_ref(), part, &copy])?;
    command("chmod", &["-R".as_ref(), "a+rX".as_ref(), &copy])?;
    Ok((copy.join("bin"), Some(account)))
}

fn command(program: &str, args: &[&Path]) -> Result<()> {
    let status = Command::new(program).args(args).status();
    let status = status.with_context(|| format!("start {program}"))?;
    ensure!(status.success(), "{program} {args:?} ended with {status}");
    Ok(())
}

/// What makes a new database.
fn initdb(folder: &Path, data: &Path) -> Vec<PathBuf> {
    let mut args: Vec<PathBuf> = ["--username", ADMIN.0, "--auth", "scram-sha-256"]
        .into_iter()
        .chain(["--encoding", "UTF8", "--locale", "C", "--no-sync"])
        .map(PathBuf::from)
        .collect();
    args.extend(["--pwfile".into(), folder.join("password")]);
    args.extend(["--pgdata".into(), data.to_path_buf()]);
    args
}

/// The server's settings. What is lost when the machine loses power was a test's.
fn settings(data: &Path, port: u16) -> Vec<PathBuf> {
    let port = format!("port={port}");
    let settings = [
        "listen_addresses=127.0.0.1",
        &port,
        // No file outside of the folder.
        "unix_socket_directories=",
        "dynamic_shared_memory_type=mmap",
        "fsync=off",
        "full_page_writes=off",
        "synchronous_commit=off",
        // Each tenant's engine holds a few connections.
        "max_connections=400",
        "shared_buffers=16MB",
    ];
    let mut args = vec!["-D".into(), data.to_path_buf()];
    args.extend(settings.iter().flat_map(|one| ["-c".into(), one.into()]));
    args
}
