//! Watches objects and notes when each change arrived, so that a round can tell afterwards how long something took.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::TryStreamExt as _;
use kube::api::{ListParams, WatchParams};
use kube::core::WatchEvent;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

/// Seconds after which the API server ends a watch: the longest it admits, and longer than any round.
const WATCH: u32 = 294;

/// How long a round waits for the next change that it needs.
const PATIENCE: Duration = Duration::from_mins(4);

/// What is seen of some objects from now on.
pub struct Sight<K> {
    changes: mpsc::UnboundedReceiver<(Instant, K)>,
}

impl<K> Sight<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Begins to look at the objects with these labels; at all, if there are none.
    pub async fn open(api: Api<K>, labels: &str) -> Result<Self> {
        let now = api.list_metadata(&ListParams::default().limit(1)).await?;
        let version = now.metadata.resource_version.unwrap_or_default();
        let mut params = WatchParams::default().timeout(WATCH);
        if !labels.is_empty() {
            params = params.labels(labels);
        }
        let mut events = Box::pin(api.watch(&params, &version).await?);
        let (sender, changes) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // When the watch ends, or nobody looks any more, the channel closes; whoever waits for a change is told.
            while let Ok(Some(event)) = events.try_next().await {
                if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event
                    && sender.send((Instant::now(), object)).is_err()
                {
                    break;
                }
            }
        });
        Ok(Self { changes })
    }

    /// The next change, and when it arrived.
    pub async fn next(&mut self) -> Result<(Instant, K)> {
        match tokio::time::timeout(PATIENCE, self.changes.recv()).await {
            Ok(change) => change.context("the watch ended before the round did"),
            Err(_) => bail!("waited {PATIENCE:?} for another change"),
        }
    }

    /// The changes that have arrived by now.
    pub fn so_far(&mut self) -> Vec<(Instant, K)> {
        std::iter::from_fn(|| self.changes.try_recv().ok()).collect()
    }
}

/// The time that so many percent of all took at most.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}
