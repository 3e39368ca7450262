//! Logs and the clock: the two things that every part of the program looks at.

#![expect(clippy::disallowed_methods, reason = "the clock is read here")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

use crate::fault;

/// Libraries that would log request paths at every refusal, or whole response bodies when one does not parse.
const QUIET: &str = "vaultrs=off,rustify=off,kube_client::client=off,hyper=warn,h2=warn,rustls=warn,reqwest=warn,tower=warn";

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object per line.
    Json,
}

/// Tells the time. Passes read it once, at their start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// The time now.
    pub fn now(self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(fault::clock_error()).unwrap_or(now)
    }

    /// The instant that is `after` from now.
    pub fn deadline(self, after: Duration) -> Instant {
        Instant::now() + after
    }
}

/// Changes what is logged while the program runs.
#[derive(Clone)]
pub struct LogLevel {
    now: Arc<Mutex<String>>,
    install: Arc<dyn Fn(EnvFilter) -> bool + Send + Sync>,
}

impl LogLevel {
    /// What is logged now: a level, or directives.
    pub fn get(&self) -> String {
        self.lock().clone()
    }

    /// Logs as the text says from now on, and returns what it was. Fails as [`init`] does, and changes nothing then.
    pub fn set(&self, text: &str) -> anyhow::Result<String> {
        let filter = checked(text)?;
        let mut now = self.lock();
        anyhow::ensure!((self.install)(filter), "the log is closed");
        Ok(std::mem::replace(&mut *now, text.to_owned()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, String> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends logs to standard error. `filter` is a level, or directives such as `info,vaultbridge::vault=debug`; what is said there of
/// the libraries that talk too much is overruled, save for a directive that names a part inside one of them.
pub fn init(filter: &str, format: LogFormat) -> anyhow::Result<LogLevel> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(checked(filter).context("--log-level")?)
        .with_writer(std::io::stderr);
    let install: Arc<dyn Fn(EnvFilter) -> bool + Send + Sync> = match format {
        LogFormat::Text => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let builder = builder.with_ansi(is_terminal).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            Arc::new(move |filter| handle.reload(filter).is_ok())
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            Arc::new(move |filter| handle.reload(filter).is_ok())
        }
    };
    let now = Arc::new(Mutex::new(filter.to_owned()));
    Ok(LogLevel { now, install })
}

/// The filter that the text means. A bare word would pass for the name of a part of the program, which then logs everything,
/// while nothing else logs at all; whoever mistypes a level is told instead.
fn checked(text: &str) -> anyhow::Result<EnvFilter> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |word: &str| LEVELS.contains(&word.trim().to_ascii_lowercase().as_str());
    let wrong = text
        .split(',')
        .find(|directive| !directive.contains('=') && !is_level(directive));
    let problem = match wrong {
        Some(word) => format!("{word:?} is no level"),
        None => match EnvFilter::try_new(format!("{text},{QUIET}")) {
            Ok(filter) => return Ok(filter),
            Err(error) => format!("{text:?}: {error}"),
        },
    };
    anyhow::bail!(
        "{problem}; use error, warn, info, debug, trace, or directives such as info,vaultbridge::vault=debug"
    )
}
