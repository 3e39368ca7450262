//! Part of step 5: one reading of one path, shared with whoever reads it as the same identity.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::Context;
use super::failure::Failure;
use super::refusals::Refusal;
use super::resolve::Job;
use super::source_job::{SourceJob, full_path};
use crate::cluster::tokens;
use crate::vault::{
    self, KvOutcome, KvReply, KvSecret, Mount, ReadKey, Token, Told, Verdict, Want,
};

/// What is wanted of a reading.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Whether it is what it was.
    Fingerprints,
    /// The values.
    Values,
}

/// What will do for a reading.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// How old it may be.
    pub max_age: Duration,
    /// How old it may be at a poll: older than that, an attempt after a failure takes nothing for what is there.
    pub regular: Duration,
    /// For how long this object may come back to compare.
    pub useful: Duration,
    /// What a list has just told of it.
    pub told: Option<Told<'a>>,
    /// The fingerprint of what the Secret was made of, if it was made of this place.
    pub known: Option<&'a str>,
    /// What is wanted of it.
    pub need: Need,
}

/// A reading of the path, on these terms. Tells others of news.
pub async fn read(
    job: &Job,
    source: &SourceJob,
    terms: Terms<'_>,
    context: &Context,
) -> Result<KvOutcome, Failure> {
    let Terms {
        max_age,
        regular: _,
        useful,
        told,
        known,
        need,
    } = terms;
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
        told,
        useful,
        fingerprint: &fingerprint,
    };
    let read = context
        .reads
        .read(&key, &want, Box::pin(ask(job, source, context)))
        .await;
    let (reading, news) = read.map_err(|refusal| refusal.failure(job, source))?;
    if news {
        let place = full_path(source);
        context.nudge_others(&job.key, &place);
        for (end, _) in place.match_indices('/') {
            context.nudge_others(&job.key, &place[..=end].to_owned());
        }
    }
    Ok(reading.outcome)
}

/// What the reading is shared by. A place that can be written in several ways has one key: where Vault is asked for the mount,
/// what a person said of it decides nothing.
pub fn key(job: &Job, source: &SourceJob) -> ReadKey {
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
        version: source.version(),
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

/// One read, with one new login if the token turns out to be dead.
async fn ask(job: &Job, source: &SourceJob, context: &Context) -> Result<KvReply, Refusal> {
    let token = log_in(job, context).await?;
    match ask_with(&token, job, source, context).await {
        Err(refusal) if refusal.is_forbidden() => {
            let token = log_in_again(&token, refusal, job, context).await?;
            ask_with(&token, job, source, context).await
        }
        answered => answered,
    }
}

/// Another token, if the one that was refused turns out to be dead; the refusal itself if it is not.
pub async fn log_in_again(
    token: &Arc<Token>,
    refusal: Refusal,
    job: &Job,
    context: &Context,
) -> Result<Arc<Token>, Refusal> {
    let verdict = context.sessions.refused(&job.login.identity, token);
    match verdict.await.map_err(Refusal::Read)? {
        Verdict::LogInAgain => log_in(job, context).await,
        Verdict::Denied => Err(refusal),
    }
}

/// The token of the object's identity.
pub async fn log_in(job: &Job, context: &Context) -> Result<Arc<Token>, Refusal> {
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
pub struct Located {
    /// The mount to read at, of the version that a person said, if one did.
    pub mount: Mount,
    /// The path below it.
    pub path: String,
    /// What Vault said of the mount, if it was asked.
    pub found: Option<Mount>,
    /// Whether it was asked earlier, and not for this read.
    pub remembered: bool,
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
        source.version(),
    )
    .await
}

/// The mount of the source and the path below it.
pub async fn locate(
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
