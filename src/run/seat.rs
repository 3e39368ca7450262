//! The seat of the leader: waited for, kept, and left, by the `Election` if there is one.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::election::{Election, Lost};
use crate::leadership::{Standing, Tenure};

/// The seat of the leader.
pub struct Seat {
    tenure: Arc<Tenure>,
    /// `None` where nobody competes.
    election: Option<Arc<Election>>,
    /// What renews the Lease, once it is this instance's.
    holding: Option<JoinHandle<Lost>>,
}

impl Seat {
    /// A seat that nobody competes for.
    pub fn alone() -> Self {
        Self {
            tenure: Arc::new(Tenure::without_end()),
            election: None,
            holding: None,
        }
    }

    /// A seat that an election is for, which extends that tenure.
    pub fn contested(election: Election, tenure: Arc<Tenure>) -> Self {
        Self {
            tenure,
            election: Some(Arc::new(election)),
            holding: None,
        }
    }

    /// For how long this instance leads.
    pub fn tenure(&self) -> Arc<Tenure> {
        self.tenure.clone()
    }

    /// Waits until this instance leads, and renews the Lease from then on.
    pub async fn take(&mut self, standing: &watch::Sender<Standing>) {
        let Some(election) = self.election.clone() else {
            return;
        };
        let stands_by = |leader| {
            standing.send_replace(Standing::StandingBy(leader));
        };
        let held = election.win(stands_by).await;
        self.holding = Some(tokio::spawn(async move { election.hold(held).await }));
        standing.send_replace(Standing::Starting);
    }

    /// Waits until another instance leads. Tells which one.
    pub async fn lost(&mut self) -> String {
        match &mut self.holding {
            None => pending().await,
            Some(holding) => match holding.await {
                Ok(lost) => lost.to_string(),
                Err(_) => "what renews the Lease ended by itself".into(),
            },
        }
    }

    /// Changes nothing any more, and lets another instance lead at once.
    pub async fn leave(&mut self) {
        self.tenure.end();
        if let Some(holding) = self.holding.take() {
            holding.abort();
        }
        if let Some(election) = &self.election {
            election.resign().await;
        }
    }
}
