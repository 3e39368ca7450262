//! Events: what happened to an object, for the people who look at it.

#![expect(clippy::disallowed_methods, reason = "events are written here")]

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::debug;

use crate::api::condition::truncate;
use crate::api::{MANAGER, Reason};

/// The API server refuses longer notes.
const MAX_NOTE_BYTES: usize = 1_024;

/// Publishes events; repeats of the same become a series.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Whether somebody should look.
    pub warning: bool,
    /// Why.
    pub reason: Reason,
    /// What the operator did or tried, one word such as `Sync`.
    pub action: &'static str,
    /// A sentence for a person.
    pub note: String,
}

impl Events {
    /// Publishes in the name of this operator; `instance` is the name of its pod, if it runs in one.
    pub fn new(client: Client, instance: Option<String>) -> Self {
        Self {
            recorder: Recorder::new(
                client,
                Reporter {
                    controller: MANAGER.into(),
                    instance,
                },
            ),
        }
    }

    /// Publishes. A lost event costs visibility and nothing else, so a failure is only logged.
    pub async fn publish(&self, notice: &Notice, about: &ObjectReference) {
        let event = Event {
            type_: if notice.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: notice.reason.as_str().into(),
            note: Some(truncate(&notice.note, MAX_NOTE_BYTES)),
            action: notice.action.into(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, about).await {
            debug!(%error, "event lost");
        }
    }
}
