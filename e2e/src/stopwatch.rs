//! Times that a test tells and holds the operator to.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// Runs from its making on.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Prints how long `what` took, and fails when that was longer than `limit`.
    #[expect(
        clippy::print_stdout,
        reason = "the times are what a person wants to see of a test that passes"
    )]
    pub fn within(self, limit: Duration, what: &str) -> Result<()> {
        let took = self.0.elapsed();
        println!("{what}: {:.2} s", took.as_secs_f64());
        ensure!(took < limit, "{what} took {took:?}, longer than {limit:?}");
        Ok(())
    }
}
