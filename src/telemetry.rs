//! Logs and the clock: the two things that every part of the program looks at.

#![expect(clippy::disallowed_methods, reason = "the clock is read here")]

use std::time::Duration;

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

/// Sends logs to standard error. `filter` is a level, or directives such as `info,vaultbridge::vault=debug`; what is said there of
/// the libraries that talk too much is overruled, save for a directive that names a part inside one of them.
pub fn init(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = checked(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
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
        "--log-level: {problem}; use error, warn, info, debug, trace, or directives such as info,vaultbridge::vault=debug"
    )
}
