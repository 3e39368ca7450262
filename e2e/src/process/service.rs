//! A child that is stopped, killed, frozen and started again in the course of a test.

use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{Launch, Process};

/// How long a server may take to end when asked to: what a pod is given.
const PATIENCE: Duration = Duration::from_secs(30);

/// A launch, and the process that came of it if it runs.
#[derive(Debug)]
pub struct Service {
    launch: Launch,
    process: Mutex<Option<Process>>,
}

impl Service {
    /// A service that does not run yet.
    #[must_use]
    pub fn new(launch: Launch) -> Self {
        Self {
            launch,
            process: Mutex::default(),
        }
    }

    /// What it runs.
    #[must_use]
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Starts it. Fails when it already runs.
    pub fn start(&self) -> Result<()> {
        let mut process = self.lock();
        ensure!(
            process.is_none(),
            "start {}: it already runs",
            self.launch.name
        );
        *process = Some(Process::start(&self.launch)?);
        Ok(())
    }

    /// Asks it to end (SIGTERM), waits, and returns how it ended.
    pub async fn terminate(&self) -> Result<ExitStatus> {
        let process = self.lock().take();
        process
            .with_context(|| self.absent())?
            .terminate(PATIENCE)
            .await
    }

    /// Asks it to end (SIGTERM), and kills it when it has not after that time.
    pub async fn terminate_or_kill(&self, patience: Duration) -> Result<()> {
        let process = self.lock().take();
        let process = process.with_context(|| self.absent())?;
        match process.terminate(patience).await {
            Ok(_) => Ok(()),
            Err(_) => process.kill(),
        }
    }

    /// Interrupts it (SIGINT, as by Ctrl-C), waits, and returns how it ended.
    pub async fn interrupt(&self) -> Result<ExitStatus> {
        let process = self.lock().take();
        let process = process.with_context(|| self.absent())?;
        process.signal(Signal::INT)?;
        process.wait(PATIENCE).await
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&self) -> Result<()> {
        let process = self.lock().take();
        process.with_context(|| self.absent())?.kill()
    }

    /// Freezes it (SIGSTOP).
    pub fn freeze(&self) -> Result<()> {
        self.lock()
            .as_ref()
            .with_context(|| self.absent())?
            .signal(Signal::STOP)
    }

    /// Lets it go on after [`freeze`](Self::freeze) (SIGCONT).
    pub fn thaw(&self) -> Result<()> {
        self.lock()
            .as_ref()
            .with_context(|| self.absent())?
            .signal(Signal::CONT)
    }

    /// Fails with the end of the log when it does not run.
    pub fn ensure_running(&self) -> Result<()> {
        self.lock()
            .as_ref()
            .with_context(|| self.absent())?
            .ensure_running()
    }

    /// Its process id. Fails when it does not run.
    pub fn id(&self) -> Result<u32> {
        Ok(self.lock().as_ref().with_context(|| self.absent())?.id())
    }

    fn absent(&self) -> String {
        format!("{} does not run", self.launch.name)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
