//! Step 5: ask Vault, as the object's own service account, for what may be read again and again.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use zeroize::Zeroizing;

use super::Context;
use super::failure::Failure;
use super::refusals::{self, Refusal};
use super::resolve::{Job, SourceJob};
use super::settle::{Before, full_path};
use super::trigger::Trigger;
use crate::api::Reason;
use crate::cluster::tokens;
use crate::connections::Reachability;
use crate::vault::{self, KvOutcome, KvReply, KvSecret, Mount, ReadKey, Token, Verdict, Want};

/// How old a reading may be that a new or repaired Secret is made of: a hundred objects that start together share it.
const SHARED_FOR: Duration = Duration::from_secs(30);

/// How old it may be where a person is waiting: somebody edited the object, or mends what failed.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// How long an answer may take before the connection is suspected.
const SLOW: Duration = Duration::from_secs(3);

/// What is wanted of a reading.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Whether it is what it was.
    Fingerprints,
    /// The values.
    Values,
}

/// Reads every source, side by side. Tells the connection of an outage, and others of news.
pub async fn fetch(
    job: &Job,
    trigger: Trigger,
    need: Need,
    before: Before<'_>,
    context: &Context,
) -> Result<Vec<KvOutcome>, Failure> {
    let Reachability { outage, .. } = job.connection.reachability();
    let is_asked = !job.sources.is_empty() || matches!(trigger, Trigger::Issued(_));
    if let Some(outage) = outage.filter(|_| is_asked) {
        return Err(refusals::outage(job, outage.reason));
    }
    let readings = job.sources.iter().map(|source| {
        let max_age = max_age(job, source, trigger);
        let known = before.fingerprint(job, source);
        read(job, source, (max_age, known), need, context)
    });
    let result = unless_outage(job, Box::pin(try_join_all(readings)), context).await;
    if let Err(failure) = &result
        && matches!(
            failure.reason,
            Reason::VaultUnavailable | Reason::VaultSealed
        )
    {
        context.suspect(&job.connection);
    }
    result
}

/// Waits for Vault, but not for one that the connection's probe finds dead meanwhile: a server that hangs would keep
/// workers busy that other servers' objects need.
async fn unless_outage<T>(
    job: &Job,
    mut reading: impl Future<Output = Result<T, Failure>> + Unpin,
    context: &Context,
) -> Result<T, Failure> {
    loop {
        match tokio::time::timeout(SLOW, &mut reading).await {
            Ok(result) => return result,
            Err(_) => context.suspect(&job.connection),
        }
        if let Reachability {
            outage: Some(outage),
            ..
        } = job.connection.reachability()
        {
            return Err(refusals::outage(job, outage.reason));
        }
    }
}

/// A poll may share a reading that is younger than the shortest pause between two polls; then one read per interval
/// serves everybody, and nobody skips a turn because of its own last reading.
fn max_age(job: &Job, source: &SourceJob, trigger: Trigger) -> Duration {
    if source.version > 0 && trigger == Trigger::RefreshDue {
        return Duration::MAX; // a pinned version does not change
    }
    let interval = job.interval.unwrap_or(SHARED_FOR);
    match trigger {
        Trigger::RefreshDue => interval
            .mul_f64(1.0 - f64::from(job.jitter_percent) / 100.0)
            .mul_f64(0.95),
        Trigger::FirstSync
        | Trigger::TargetMissing
        | Trigger::TargetChanged
        | Trigger::Issued(_) => interval.min(SHARED_FOR),
        // Nobody's reading from before the failure will do, and everybody who failed at about the same time shares the next.
        Trigger::Retry(waited) if !waited.is_zero() => interval.min(waited.mul_f64(0.8)),
        Trigger::SpecChanged | Trigger::Retry(_) => interval.min(FRESH_FOR),
        // Whoever asks has seen that something is out of date, perhaps in the last reading.
        Trigger::Requested => Duration::ZERO,
    }
}

/// For how long this object may come back to compare: until its next poll, which may be late; without polls, some day.
fn useful(job: &Job) -> Duration {
    job.interval
        .map_or(Duration::MAX, |interval| interval.saturating_mul(2))
}

/// What the reading is shared by. A place that can be written in several ways has one key: where Vault is asked for the mount,
/// what a person said of it decides nothing.
fn key(job: &Job, source: &SourceJob) -> ReadKey {
    let (mount, path) = match stated(source) {
        Some(Mount { path, .. }) => (path, source.path.clone()),
        None => (String::new(), full_path(source)),
    };
    ReadKey {
        identity: job.login.identity.clone(),
        namespace: job.vault_namespace.clone(),
        mount,
        engine: source.engine,
        path,
        version: source.version,
    }
}

/// The mount, if a person said all there is to know about it.
fn stated(source: &SourceJob) -> Option<Mount> {
    let version = source.engine.filter(|_| !source.mount.is_empty())?;
    Some(Mount {
        path: source.mount.clone(),
        version,
    })
}

async fn read(
    job: &Job,
    source: &SourceJob,
    (max_age, known): (Duration, Option<&str>),
    need: Need,
    context: &Context,
) -> Result<KvOutcome, Failure> {
    let key = key(job, source);
    // Bound to the place, so that equal values elsewhere look different and a guess written to one's own path proves nothing.
    let place = format!(
        "{:?}",
        (&job.key.namespace, &key.namespace, full_path(source))
    );
    let fingerprint = |secret: &KvSecret| {
        let text = Zeroizing::new([place.as_str(), secret.data.expose()].join("\n"));
        context.keys.fingerprint(&text)
    };
    let want = Want {
        max_age,
        value: need == Need::Values,
        known,
        useful: useful(job),
        fingerprint: &fingerprint,
    };
    let read = context
        .reads
        .read(&key, &want, Box::pin(ask(job, source, context)))
        .await;
    let (reading, news) = read.map_err(|refusal| refusal.failure(job, source))?;
    if news {
        context.nudge_others(&job.key, &full_path(source));
    }
    Ok(reading.outcome)
}

/// One read, with one new login if the token turns out to be dead.
async fn ask(job: &Job, source: &SourceJob, context: &Context) -> Result<KvReply, Refusal> {
    let token = log_in(job, context).await?;
    match ask_with(&token, job, source, context).await {
        Err(refusal) if refusal.is_forbidden() => {
            match context
                .sessions
                .refused(&job.login.identity, &token)
                .await
                .map_err(Refusal::Read)?
            {
                Verdict::LogInAgain => {
                    ask_with(&*log_in(job, context).await?, job, source, context).await
                }
                Verdict::Denied => Err(refusal),
            }
        }
        answered => answered,
    }
}

async fn log_in(job: &Job, context: &Context) -> Result<Arc<Token>, Refusal> {
    let login = &job.login;
    let jwt = tokens::request(
        &context.client,
        &login.service_account,
        &login.identity.audiences,
    );
    context
        .sessions
        .token(&login.identity, &job.client, jwt)
        .await
        .map_err(Refusal::Login)
}

async fn ask_with(
    token: &Token,
    job: &Job,
    source: &SourceJob,
    context: &Context,
) -> Result<KvReply, Refusal> {
    let located = locate(token, job, source, context).await?;
    let reply = read_at(&located, token, job, source).await;
    let doubtful = match &reply {
        // The place itself is missing: the mount may have been made anew as another kind since we asked.
        Err(vault::Error::NotFound { .. }) => true,
        // A mount that was made anew without versions says of every path that there is no entry, and a Secret may go for that.
        Ok(KvReply::Absent) => located.remembered,
        Ok(KvReply::Found(_) | KvReply::Deleted { .. } | KvReply::Destroyed) | Err(_) => false,
    };
    if let Some(found) = located.found.as_ref().filter(|_| doubtful) {
        let (connection, namespace) = (&job.connection.identity, &job.vault_namespace);
        context.mounts.doubt(connection, namespace, found);
    }
    if !matches!(reply, Ok(KvReply::Absent)) || !located.remembered {
        return reply.map_err(Refusal::Read);
    }
    let anew = locate(token, job, source, context).await?;
    if anew.mount == located.mount {
        return reply.map_err(Refusal::Read);
    }
    let reply = read_at(&anew, token, job, source).await;
    reply.map_err(Refusal::Read)
}

/// Where a source is.
struct Located {
    /// The mount to read at, of the version that a person said, if one did.
    mount: Mount,
    /// The path below it.
    path: String,
    /// What Vault said of the mount, if it was asked.
    found: Option<Mount>,
    /// Whether it was asked earlier, and not for this read.
    remembered: bool,
}

async fn read_at(
    located: &Located,
    token: &Token,
    job: &Job,
    source: &SourceJob,
) -> Result<KvReply, vault::Error> {
    vault::read_kv(
        &job.client,
        &job.vault_namespace,
        &token.value,
        &located.mount,
        &located.path,
        source.version,
    )
    .await
}

/// The mount of the source and the path below it.
async fn locate(
    token: &Token,
    job: &Job,
    source: &SourceJob,
    context: &Context,
) -> Result<Located, Refusal> {
    if let Some(mount) = stated(source) {
        return Ok(Located {
            mount,
            path: source.path.clone(),
            found: None,
            remembered: false,
        });
    }
    let full = full_path(source);
    let (connection, namespace) = (&job.connection, &job.vault_namespace);
    let (found, remembered) = context
        .mounts
        .find(
            &connection.identity,
            &job.client,
            namespace,
            &token.value,
            &full,
        )
        .await
        .map_err(Refusal::Mount)?;
    Ok(Located {
        mount: Mount {
            version: source.engine.unwrap_or(found.version),
            ..found.clone()
        },
        path: found.below(&full).unwrap_or_default().to_owned(),
        found: Some(found),
        remembered,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reconcile::fixture::{edit, fresh, job};

    #[test]
    fn spellings_of_one_place_share_a_reading_unless_the_mount_is_taken_at_its_word() {
        let key_of = |kv| {
            let mut observed = fresh();
            edit(&mut observed, "/sources/0/kv", kv);
            let job = job(&observed);
            key(&job, &job.sources[0])
        };
        let plain = key_of(json!({ "path": "secret/shop/orders" }));
        for mount in ["secret", "secret/shop"] {
            let path = "secret/shop/orders"[mount.len() + 1..].to_owned();
            let spelt = key_of(json!({ "mount": mount, "path": path }));
            assert!(spelt == plain, "{spelt:?}");
            let stated = key_of(json!({ "mount": mount, "path": path, "engineVersion": "V2" }));
            assert!(stated.mount == mount && stated.path == path, "{stated:?}");
        }
    }
}
