//! Counts the requests to the server of one connection.

use std::time::Duration;

use crate::metrics::Metrics;
use crate::vault::Observer;

/// Passes what the client of that connection tells on to the metrics.
pub struct RequestObserver {
    /// Where to count.
    pub metrics: Metrics,
    /// Name of the VaultConnection.
    pub connection: String,
}

impl Observer for RequestObserver {
    fn request(&self, operation: &'static str, outcome: &'static str, elapsed: Duration) {
        self.metrics
            .request(&self.connection, operation, outcome, elapsed);
    }
}
