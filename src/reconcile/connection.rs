//! One pass over a VaultConnection: resolve what it refers to, ask the server for its health, and report.
//!
//! This is the only place that finds out whether a server answers. Everybody else who meets an outage asks for a
//! pass here, and is woken from here when it is over.

mod report;
mod resolve;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use kube::runtime::controller::Action;
use tracing::{debug, error, info, warn};

use self::resolve::Resolved;
use super::Context;
use super::orphans;
use crate::api::Reason;
use crate::api::condition::Verdict;
use crate::api::vault_connection::VaultConnection;
use crate::cluster::events::Notice;
use crate::cluster::{Guarded, WriteError};
use crate::connections::{Connection, Entry, News, Outage, Reachability, probe};
use crate::schedule;
use crate::vault::{self, Client, Health};

/// How often a server that answers is asked for its health.
const HEALTHY_INTERVAL: Duration = Duration::from_mins(1);

/// The longest pause between two probes of a server that does not answer: recovery is a matter of seconds.
const LONGEST_PROBE_PAUSE: Duration = Duration::from_secs(1);

/// How long a pass may take, its report and the end of old sessions included.
const PASS_LIMIT: Duration = Duration::from_mins(1);

/// How long a probe may take, whatever the timeout of other requests.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many looks in a row may fail to read what the spec refers to before the status tells of it.
const PASSING_ATTEMPTS: u32 = 2;

/// How long old tokens of changed settings may take to be revoked.
const FAREWELL: Duration = Duration::from_secs(5);

/// One pass over one VaultConnection, a task of its own, within bounds: whatever happens in it, the server is probed again.
pub async fn reconcile(
    object: Arc<Guarded<VaultConnection>>,
    context: Arc<Context>,
) -> Result<Action, Infallible> {
    let connection = object.meta().name.clone().unwrap_or_default();
    let name = connection.clone();
    let pass = async move {
        let action = whole(&object, &context).await;
        // It may have been deleted while the pass was under way, which must not bring it back.
        if !context.connection_exists(&name) {
            forget(&name, &context).await;
        }
        // On its own: a server that hangs must not keep the next probe waiting.
        tokio::spawn(async move { orphans::drain(&context).await });
        action
    };
    match tokio::spawn(tokio::time::timeout(PASS_LIMIT, pass)).await {
        Ok(Ok(action)) => Ok(action),
        Ok(Err(_)) => {
            error!(
                connection,
                "a pass over a VaultConnection hung and was given up"
            );
            Ok(Action::requeue(LONGEST_PROBE_PAUSE))
        }
        Err(error) => {
            error!(connection, %error, "a pass over a VaultConnection failed");
            Ok(Action::requeue(LONGEST_PROBE_PAUSE))
        }
    }
}

async fn whole(object: &Guarded<VaultConnection>, context: &Context) -> Action {
    let object = match &object.0 {
        Ok(object) => object,
        Err(invalid) => return undecodable(&invalid.error, object, context).await,
    };
    let name = object.metadata.name.clone().unwrap_or_default();
    let known = match context.connections.get(&name) {
        Some(Entry::Usable(known)) => Some(known),
        Some(Entry::Unusable { .. }) | None => None,
    };
    let wait = known
        .as_ref()
        .and_then(|known| known.probes().wait(context.clock.now()));
    if let Some(wait) = wait {
        return Action::requeue(wait);
    }
    match resolve::resolve(object, context).await {
        Resolved::Unusable(message) => unusable(object, message, context).await,
        Resolved::Usable(connection) => {
            let (verdict, health, pause) = probe(connection, context).await;
            report::publish(object, &verdict, health.as_ref(), Some(pause), context).await
        }
        Resolved::Unknown(error) => unread(object, known, &error, context).await,
    }
}

/// Asks the server how it is, takes the answer down, and makes the connection known.
async fn probe(
    connection: Arc<Connection>,
    context: &Context,
) -> (Verdict, Option<Health>, Duration) {
    connection.probes().begin(context.clock.now());
    let answer = ask(&connection.client).await;
    let outage = probe::outage(&connection.address, &answer);
    let name = connection.name.clone();
    let (verdict, pause) = note(&name, &connection, outage, context);
    replace(&name, Entry::Usable(connection), context).await;
    (verdict, answer.ok(), pause)
}

/// A connection whose references cannot be read just now. The server is watched all the same, with the settings that it was last used
/// with: whoever depends on it still does, and an outage or its end matters to them as ever.
async fn unread(
    object: &VaultConnection,
    known: Option<Arc<Connection>>,
    error: &WriteError,
    context: &Context,
) -> Action {
    let name = object.metadata.name.clone().unwrap_or_default();
    let message = format!(
        "what spec.tls refers to cannot be read: {error}; until it can, earlier settings stay in use"
    );
    let attempts = context.connections.unread(&name);
    if attempts == 1 {
        warn!(connection = name, message, "VaultConnection not looked at");
    } else {
        debug!(
            connection = name,
            message, "VaultConnection not looked at, as before"
        );
    }
    let (mut told, mut pause) = (None, HEALTHY_INTERVAL);
    if let Some(known) = known {
        // Of a spec that was never looked at the answer says nothing.
        let speaks = known.speaks_of(object.metadata.generation);
        let (verdict, health, next) = probe(known, context).await;
        pause = next;
        if speaks {
            told = Some((verdict, health));
        }
    }
    let lasts = attempts > PASSING_ATTEMPTS;
    let lasting = || {
        let verdict = Verdict {
            status: Some(false),
            reason: Reason::KubernetesUnavailable,
            message,
        };
        (verdict, None)
    };
    // Sooner in an outage: its end is a matter of seconds.
    let pause = retry(attempts, &name).min(pause);
    match told.or_else(|| lasts.then(lasting)) {
        Some((verdict, health)) => {
            report::publish(object, &verdict, health.as_ref(), Some(pause), context).await
        }
        None => Action::requeue(pause),
    }
}

/// A connection that cannot be used as it stands.
async fn unusable(object: &VaultConnection, message: String, context: &Context) -> Action {
    let name = object.metadata.name.clone().unwrap_or_default();
    let entry = Entry::Unusable {
        message: message.clone(),
    };
    replace(&name, entry, context).await;
    context.metrics.connection(&name, false, false);
    let verdict = Verdict {
        status: Some(false),
        reason: Reason::InvalidSpec,
        message,
    };
    report::publish(object, &verdict, None, None, context).await
}

/// The server's health. A server that takes longer than this for the simplest of all questions serves nobody.
async fn ask(client: &Client) -> Result<Health, vault::Error> {
    let answer = tokio::time::timeout(PROBE_TIMEOUT, client.health()).await;
    answer.unwrap_or_else(|_| {
        let reason = format!("timed out after {} s", PROBE_TIMEOUT.as_secs());
        Err(vault::Error::Unreachable { reason })
    })
}

/// A connection that this program cannot read: told on it, once, and unusable for all who name it.
async fn undecodable(why: &str, object: &Guarded<VaultConnection>, context: &Context) -> Action {
    let name = object.meta().name.clone().unwrap_or_default();
    let message =
        format!("it cannot be read: {why}; compare the installed CRDs with the operator's version");
    warn!(connection = name, message, "VaultConnection not usable");
    context.metrics.connection(&name, false, false);
    let notice = Notice {
        warning: true,
        reason: Reason::InvalidSpec,
        action: "Decode",
        note: message.clone(),
    };
    replace(&name, Entry::Unusable { message }, context).await;
    context
        .events
        .publish(&notice, &object.object_ref(&()))
        .await;
    Action::await_change()
}

/// Forgets a VaultConnection that was deleted, and ends its sessions.
pub async fn forget(name: &str, context: &Context) {
    context.metrics.forget_connection(name);
    if let Some(Entry::Usable(old)) = context.connections.remove(name) {
        end(&old, context).await;
    }
    wake_dependents(name, context);
}

/// Takes down what the probe found, wakes those who waited for a recovery, and says when to probe again.
fn note(
    name: &str,
    connection: &Connection,
    outage: Option<Outage>,
    context: &Context,
) -> (Verdict, Duration) {
    let up = outage.is_none();
    let sealed = outage
        .as_ref()
        .is_some_and(|outage| outage.reason == Reason::VaultSealed);
    let verdict = match &outage {
        None => Verdict {
            status: Some(true),
            reason: Reason::Connected,
            message: "the server answers and is unsealed".into(),
        },
        Some(Outage { reason, message }) => Verdict {
            status: Some(false),
            reason: *reason,
            message: message.clone(),
        },
    };
    context.metrics.connection(name, up, sealed);
    match connection.note(outage) {
        Some(News::Outage) => {
            let Verdict {
                reason, message, ..
            } = &verdict;
            warn!(connection = name, %reason, message, "the server cannot be used");
        }
        Some(News::Recovery) => {
            info!(connection = name, "the server answers again");
            wake_dependents(name, context);
        }
        None => {}
    }
    let Reachability { failed_probes, .. } = connection.reachability();
    let pause = if up {
        HEALTHY_INTERVAL
    } else {
        schedule::backoff(failed_probes.saturating_sub(1), name).min(LONGEST_PROBE_PAUSE)
    };
    (verdict, pause)
}

/// How long to wait for the API server after so many attempts in vain: longer and longer, but not so long that its server is not watched.
fn retry(attempts: u32, name: &str) -> Duration {
    schedule::backoff(attempts.saturating_sub(1), name).min(HEALTHY_INTERVAL)
}

/// Makes the entry known, and wakes those who depend on it if it differs from what was known.
async fn replace(name: &str, entry: Entry, context: &Context) {
    let before = context.connections.get(name);
    let changed = match (&before, &entry) {
        (Some(Entry::Usable(old)), Entry::Usable(new)) => !Arc::ptr_eq(old, new),
        (Some(Entry::Unusable { message: old }), Entry::Unusable { message: new }) => old != new,
        (Some(Entry::Usable(_)), Entry::Unusable { .. })
        | (Some(Entry::Unusable { .. }), Entry::Usable(_))
        | (None, _) => true,
    };
    if !changed {
        return;
    }
    let same_server = match (&before, &entry) {
        (Some(Entry::Usable(old)), Entry::Usable(new)) => old.identity == new.identity,
        _ => false,
    };
    let moved = match (&before, &entry) {
        (Some(Entry::Usable(old)), Entry::Usable(new)) => !old.means_the_same_as(new),
        _ => false,
    };
    context.connections.set(name, entry);
    if moved {
        // Their Secrets were made from what lies elsewhere: have them look before their next poll is due.
        for (_, uid) in context.objects.with_connection(name) {
            context.memories.nudge(&uid);
        }
    }
    wake_dependents(name, context);
    if let (Some(Entry::Usable(old)), false) = (before, same_server) {
        end(&old, context).await;
    }
}

/// Ends the sessions of a server that is not used any more and forgets what was read from it.
async fn end(old: &Connection, context: &Context) {
    context.reads.forget(&old.identity);
    context.listings.forget(&old.identity);
    context.mounts.forget(&old.identity);
    let ended = context
        .sessions
        .forget(&old.identity, context.clock.deadline(FAREWELL))
        .await;
    info!(
        connection = old.name,
        revoked = ended.revoked,
        failed = ended.failed,
        "sessions of earlier settings ended"
    );
}

fn wake_dependents(name: &str, context: &Context) {
    for (key, _) in context.objects.with_connection(name) {
        let _ = context.wake.send(key);
    }
}

#[cfg(test)]
mod tests;
