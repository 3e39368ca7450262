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
use crate::fault;
use crate::metrics::Metrics;
use crate::minting::Stage;
use crate::objects::Objects;

/// Tells the world what the pass came to.
pub async fn publish(observed: &Observed, report: Report, context: &Context) -> Action {
    let Report {
        status,
        notice,
        trouble,
        untidy,
        rollout,
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
    let untidy = untidy.and_then(|(trouble, notice)| {
        log_untidy(&key, &trouble);
        notice
    });
    let pause = match status {
        Some(status) => write_status(observed, status, context).await,
        None => None,
    };
    if pause.is_none() {
        context.memories.status_written(uid);
    }
    // An event about trouble goes with its status: it would be told again with each try. What was done is done, and told now.
    let mut told = notice.into_iter().chain(rollout).collect::<Vec<_>>();
    told.retain(|notice| pause.is_none() || !notice.warning);
    for notice in told.into_iter().chain(untidy) {
        context
            .events
            .publish(&notice, &observed.object.object_ref(&()))
            .await;
    }
    let next =
        next.map(|time| Duration::try_from(time.duration_since(observed.now)).unwrap_or_default());
    let next = [next, pause].into_iter().flatten().min();
    if let Some(next) = next {
        context.queue.wants(&key, context.clock.deadline(next));
    }
    next.map_or_else(Action::await_change, Action::requeue)
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

/// The same for a Secret under an earlier name that could not be deleted.
fn log_untidy(key: &Key, trouble: &Trouble) {
    let Trouble { message, repeated } = trouble;
    let (Key { namespace, name }, why) = (key, message);
    if *repeated {
        debug!(namespace, name, why, "not cleaned up, as before");
    } else {
        warn!(namespace, name, why, "not cleaned up");
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
    let written = status::replace_vault_secret(&context.client, &wanted);
    let instead = |_| {
        Err(WriteError::Unavailable(
            "a fault that a test ordered".into(),
        ))
    };
    match fault::around(Stage::Report, written, instead).await {
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

/// Counts the pass over an object that cannot be read. It is not ready, which those must see who watch for that.
fn tally_unreadable(key: &Key, objects: &Objects, metrics: &Metrics) {
    let Key { namespace, name } = key;
    metrics.pass(namespace, name, "failed", Reason::InvalidSpec, false, None);
    // It may have been deleted since the pass began, which must not bring it back.
    if !objects.is_unreadable(key) {
        metrics.forget_object(namespace, name);
    }
}

/// An object that this program cannot read: told on the object itself, once, and passed over.
pub async fn undecodable(why: &str, object: &Guarded<VaultSecret>, context: &Context) -> Action {
    let key = Key::of(object.meta());
    tally_unreadable(&key, &context.objects, &context.metrics);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_cannot_be_read_counts_as_not_ready_until_it_is_gone() {
        let (objects, metrics) = (Objects::default(), Metrics::new(true));
        let key = Key::new("shop", "strange");
        let line = r#"vaultbridge_vaultsecret_ready{namespace="shop",name="strange"}"#;
        objects.set_unreadable(&key, true);
        tally_unreadable(&key, &objects, &metrics);
        let text = metrics.print().unwrap();
        assert!(text.contains(&format!("{line} 0")), "{text}");
        let counted = r#"vaultbridge_reconcile_total{outcome="failed",reason="InvalidSpec"} 1"#;
        assert!(text.contains(counted), "{text}");

        objects.set_unreadable(&key, false);
        tally_unreadable(&key, &objects, &metrics);
        let text = metrics.print().unwrap();
        assert!(!text.contains(line), "{text}");
    }
}
