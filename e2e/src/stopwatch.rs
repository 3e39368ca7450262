//! Times that a test tells. It never fails for them: how fast the product is, the benchmark measures.

use std::time::{Duration, Instant};

/// Runs from its making on.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has been running.
    #[must_use]
    pub fn time(self) -> Duration {
        self.0.elapsed()
    }

    /// Prints how long `what` took, for the person who reads what a test printed.
    #[expect(
        clippy::print_stdout,
        reason = "the times are what a person wants to see of a test that passes"
    )]
    pub fn tell(self, what: &str) {
        println!("{what}: {:.2} s", self.0.elapsed().as_secs_f64());
    }
}
