//! Child processes that die with this one, log into a file, and obey signals.
//!
//! Each child leads a process group of its own, is known to the [`janitor`] before its program starts, and so cannot
//! outlive this process, not even when that is killed between two instructions.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

pub(crate) mod janitor;
mod service;

pub use service::Service;

use crate::account::Account;
use janitor::janitor;

/// Waits for one line before it becomes the program, so that no program runs of which the janitor does not know.
const GATE: &str = r#"read -r go && [ "$go" = go ] && exec "$@" </dev/null"#;

/// How long a process gets that is told to quit before it is killed.
const FAREWELL: Duration = Duration::from_secs(2);

/// What to start, and where its output goes.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The name a person reads in errors.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment, beside `PATH`, `HOME` and `TMPDIR`.
    pub env: BTreeMap<String, OsString>,
    /// Whether it also sees the rest of this process's environment. Servers do not: nothing of a developer's machine
    /// may change what a test finds.
    pub inherit_env: bool,
    /// Where it is started; the current folder when absent.
    pub folder: Option<PathBuf>,
    /// Who runs it, when that is not the user of this process.
    pub account: Option<Account>,
    /// Whether it leaves something in the kernel when it is killed, and removes that when it is told to quit. Then its end is
    /// a SIGQUIT, and what is killed is what does not follow it.
    pub quits: bool,
    /// The file that gets standard output and error, appended.
    pub log: PathBuf,
}

impl Launch {
    /// A program with arguments, logging into `log`.
    pub fn new<A: Into<OsString>>(
        name: &str,
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = A>,
        log: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            inherit_env: false,
            folder: None,
            account: None,
            quits: false,
            log: log.into(),
        }
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    fn command(&self) -> Result<Command> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("open the log {}", self.log.display()))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", GATE, &self.name])
            .arg(&self.program)
            .args(&self.args);
        if !self.inherit_env {
            command.env_clear();
            for name in ["PATH", "HOME", "TMPDIR"] {
                if let Some(value) = std::env::var_os(name) {
                    command.env(name, value);
                }
            }
        }
        command.envs(&self.env);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        Ok(command)
    }
}

/// A process that should run does not any more.
#[derive(Debug)]
pub struct Ended(String);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Ended {}

/// A running child. Dropping it kills its whole process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    pid: Pid,
    quits: bool,
    child: Mutex<Child>,
}

impl Process {
    /// Starts the program. Fails when it does not exist or the log cannot be written.
    pub fn start(launch: &Launch) -> Result<Self> {
        ensure!(
            launch.program.is_file(),
            "start {}: there is no program {}",
            launch.name,
            launch.program.display()
        );
        let janitor = janitor()?;
        let mut child = launch
            .command()?
            .spawn()
            .with_context(|| format!("start {}", launch.name))?;
        let pid = Pid::from_child(&child);
        janitor.watch(child.id(), launch.quits)?;
        child
            .stdin
            .take()
            .context("reach the child")?
            .write_all(b"go\n")
            .context("let the child go")?;
        Ok(Self {
            name: launch.name.clone(),
            log: launch.log.clone(),
            pid,
            quits: launch.quits,
            child: Mutex::new(child),
        })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The file with its output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Sends a signal to the process itself.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid, signal).with_context(|| format!("send {signal:?} to {}", self.name))
    }

    /// How it ended, if it has.
    pub fn exited(&self) -> Result<Option<ExitStatus>> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child
            .try_wait()
            .with_context(|| format!("look at {}", self.name))
    }

    /// Fails with the end of the log when the process has ended.
    pub fn ensure_running(&self) -> Result<()> {
        match self.exited()? {
            None => Ok(()),
            Some(status) => {
                let (name, log) = (&self.name, self.log.display());
                let end = tail(&self.log, 30);
                Err(Ended(format!("{name} ended ({status}); the end of {log}:\n{end}")).into())
            }
        }
    }

    /// Waits until the process has ended by itself.
    pub async fn wait(&self, deadline: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            ensure!(
                start.elapsed() < deadline,
                "{} still runs after {deadline:?}",
                self.name
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks the process to end (SIGTERM) and waits for it.
    pub async fn terminate(&self, deadline: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.exited()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        self.wait(deadline).await
    }

    /// Kills the process and its children (SIGKILL) and waits until it is gone.
    pub fn kill(&self) -> Result<()> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // Only a group that is surely still ours is killed: once the leader was reaped its number may be another's.
        if child.try_wait()?.is_none() {
            kill_process_group(self.pid, Signal::KILL)
                .with_context(|| format!("kill {}", self.name))?;
            child
                .wait()
                .with_context(|| format!("wait for {}", self.name))?;
        }
        Ok(())
    }

    /// Tells it to quit (SIGQUIT), and waits for a moment. Blocks, for it is what a destructor does.
    fn quit(&self) -> Result<()> {
        let start = Instant::now();
        if self.exited()?.is_none() {
            self.signal(Signal::QUIT)?;
        }
        while self.exited()?.is_none() && start.elapsed() < FAREWELL {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.quits {
            // Whatever comes of it, it is killed next.
            drop(self.quit());
        }
        // A child that cannot be killed here is still the janitor's.
        if self.kill().is_ok() {
            drop(janitor().and_then(|janitor| janitor.forget(self.id())));
        }
    }
}

/// The last `lines` lines of a file; empty when it cannot be read.
#[must_use]
pub fn tail(file: &Path, lines: usize) -> String {
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
