//! Step 10: tell the world what a pass came to, as its [`Report`] says: metrics, log, status, event, next visit.

use std::time::Duration;

use kube::Resource;
use kube::runtime::controller::Action;
use tracing::{debug, info, warn};

use super::Context;
use super::observe::Observed;
use super::report::{Report, Trouble};
use crate::api::{Reason, VaultSecret, VaultSecretStatus};
use crate::cluster::events::Notice;
use crate::cluster::{Guarded, Key, WriteError, status};

/// Tells the world what the pass came to.
pub async fn publish(observed: &Observed, report: Report, context: &Context) -> Action {
    let Report {
        status,
        notice,
        trouble,
        outcome,
        reason,
        ready,
        next,
        memory,
    } = report;
    let (uid, key) = (observed.uid(), Key::of(&observed.object.metadata));
    context.memories.set(uid, memory);
    context.metrics.pass(
        &key.namespace,
        &key.name,
        outcome,
        reason,
        ready,
        status.as_ref().or(observed.object.status.as_ref()),
    );
    if outcome == "written" {
        info!(namespace = key.namespace, name = key.name, "Secret written");
    }
    if let Some(trouble) = trouble {
        log(&key, reason, &trouble);
    }
    let pause = match status {
        Some(status) => write_status(observed, status, context).await,
        None => None,
    };
    if pause.is_none() {
        context.memories.status_written(uid);
    }
    // An event about trouble goes with its status: it would be told again with each try. What was done is done, and told now.
    if let Some(notice) = notice.filter(|notice| pause.is_none() || !notice.warning) {
        context
            .events
            .publish(&notice, &observed.object.object_ref(&()))
            .await;
    }
    let next =
        next.map(|time| Duration::try_from(time.duration_since(observed.now)).unwrap_or_default());
    [next, pause]
        .into_iter()
        .flatten()
        .min()
        .map_or_else(Action::await_change, Action::requeue)
}

/// The log has every failure, and a lasting one only once at its usual level.
fn log(key: &Key, reason: Option<Reason>, trouble: &Trouble) {
    let Trouble { message, repeated } = trouble;
    let (Key { namespace, name }, why) = (key, message);
    let reason = reason.map(Reason::as_str);
    if *repeated {
        debug!(namespace, name, reason, why, "not synced, as before");
    } else {
        warn!(namespace, name, reason, why, "not synced");
    }
}

/// Writes the status; if that fails, says when to look again.
async fn write_status(
    observed: &Observed,
    status: VaultSecretStatus,
    context: &Context,
) -> Option<Duration> {
    let wanted = VaultSecret {
        status: Some(status),
        ..VaultSecret::clone(&observed.object)
    };
    match status::replace_vault_secret(&context.client, &wanted).await {
        Ok(written) => {
            context.overlay.wrote(observed.uid(), written);
            None
        }
        // The object is gone, or newer than we knew: its own event brings us back, and if it was lost, the pause does.
        Err(WriteError::NotFound | WriteError::Conflict) => {
            Some(context.memories.status_lost(observed.uid()))
        }
        Err(error) => {
            let meta = &observed.object.metadata;
            warn!(namespace = meta.namespace, name = meta.name, %error, "status not written");
            Some(context.memories.status_lost(observed.uid()))
        }
    }
}

/// An object that this program cannot read: told on the object itself, once, and passed over.
pub async fn undecodable(why: &str, object: &Guarded<VaultSecret>, context: &Context) -> Action {
    let key = Key::of(object.meta());
    warn!(
        namespace = key.namespace,
        name = key.name,
        error = why,
        "the object cannot be read"
    );
    let note = format!(
        "this object cannot be read by the operator, which passes over it: {why}; compare the installed CRDs with the operator's version"
    );
    let notice = Notice {
        warning: true,
        reason: Reason::InvalidSpec,
        action: "Decode",
        note,
    };
    context
        .events
        .publish(&notice, &object.object_ref(&()))
        .await;
    Action::await_change()
}
