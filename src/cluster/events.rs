//! Events: what happened to an object, for the people who look at it.

#![expect(clippy::disallowed_methods, reason = "events are written here")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::warn;

use super::patience::in_time;
use crate::api::condition::truncate;
use crate::api::{MANAGER, Reason};

/// The API server refuses longer notes.
const MAX_NOTE_BYTES: usize = 1_024;

/// How many different events are remembered, so that a repeat becomes a series. Beyond it all are forgotten, and a
/// repeat is told as a new event once.
const MAX_REMEMBERED: usize = 2_000;

/// Publishes events; repeats of the same become a series.
#[derive(Clone)]
pub struct Events {
    client: Client,
    reporter: Reporter,
    /// A recorder takes two events of one object, reason and action for the same and repeats the first one's note,
    /// whatever the second says. So each different note has a recorder of its own.
    recorders: Arc<Mutex<HashMap<String, Recorder>>>,
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
        let reporter = Reporter {
            controller: MANAGER.into(),
            instance,
        };
        Self {
            client,
            reporter,
            recorders: Arc::default(),
        }
    }

    /// Publishes. A lost event costs visibility and nothing else, so a failure is only logged: there are few events, and without a right
    /// to write them nobody would see that there are none.
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
        let recorder = self.recorder(about.uid.as_deref().unwrap_or_default(), &notice.note);
        if let Err(error) = in_time(recorder.publish(&event, about)).await {
            let (namespace, name) = (about.namespace.as_deref(), about.name.as_deref());
            warn!(namespace, name, %error, "event lost");
        }
    }

    fn recorder(&self, uid: &str, note: &str) -> Recorder {
        let mut recorders = self
            .recorders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if recorders.len() >= MAX_REMEMBERED {
            recorders.clear();
        }
        let new = || Recorder::new(self.client.clone(), self.reporter.clone());
        recorders
            .entry(format!("{uid} {note}"))
            .or_insert_with(new)
            .clone()
    }
}
