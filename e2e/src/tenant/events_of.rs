//! Events as a test looks at them.

use std::fmt;

use anyhow::Result;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;

use super::Tenant;
use crate::wait::{SOON, until};

/// One event, or a series of the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventView {
    /// Whether it is a warning.
    pub warning: bool,
    /// One of the operator's reasons.
    pub reason: String,
    /// The sentence for a person.
    pub note: String,
    /// How often it happened.
    pub count: i32,
}

impl Tenant {
    /// The events about a `VaultSecret` of the tenant, or about a `VaultConnection`, oldest first.
    pub async fn events(&self, kind: &str, name: &str) -> Result<Vec<EventView>> {
        let events: Api<Event> = Api::all(self.ground().control_plane().client().clone());
        let mut found = events.list(&ListParams::default()).await?.items;
        found.retain(|event| {
            event.regarding.as_ref().is_some_and(|about| {
                let here = about
                    .namespace
                    .as_deref()
                    .is_none_or(|namespace| namespace == self.name());
                about.kind.as_deref() == Some(kind) && about.name.as_deref() == Some(name) && here
            })
        });
        found.sort_by_key(|event| event.event_time.clone());
        Ok(found.into_iter().map(EventView::from).collect())
    }

    /// Waits until there is an event about an object with this reason and all these words.
    pub async fn event(
        &self,
        kind: &str,
        name: &str,
        reason: &str,
        words: &[&str],
    ) -> Result<EventView> {
        let goal = format!("an event {reason} about {kind} {name} that says {words:?}");
        until(&goal, SOON, async || {
            let events = self.events(kind, name).await?;
            Ok(events.into_iter().find(|event| {
                event.reason == reason && words.iter().all(|word| event.note.contains(word))
            }))
        })
        .await
    }
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        Self {
            warning: event.type_.as_deref() == Some("Warning"),
            reason: event.reason.unwrap_or_default(),
            note: event.note.unwrap_or_default(),
            count: event.series.map_or(1, |series| series.count),
        }
    }
}

impl fmt::Display for EventView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ×{}: {}", self.reason, self.count, self.note)
    }
}
