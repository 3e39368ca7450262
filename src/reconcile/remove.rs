//! The end of a Secret, or of what an object has in one: as `missingSourcePolicy: Delete` asks, under earlier names, and when the object goes.

use std::sync::Arc;

use super::Context;
use super::claim::Claim;
use super::conflicts;
use super::failure::{Failure, Retry};
use super::hold::Hold;
use super::observe::Observed;
use super::refusals;
use super::resolve::Job;
use crate::api::Reason;
use crate::cluster::managed_fields::Owners;
use crate::cluster::{Key, SecretMeta, WriteError, parts, secrets};

/// Deletes the Secret, as `missingSourcePolicy: Delete` asks when a path is gone.
pub async fn delete_target(job: &Job, claim: &Claim, context: &Context) -> Result<(), Failure> {
    match claim {
        Claim::Update(secret) => {
            let hold = &job.destination.hold;
            if hold.is_shared() && hold.share(secret).is_none() {
                return Ok(()); // it was taken out when the path went
            }
            let place = (&job.destination.key, secret);
            let removed = remove(place, hold, &job.uid, context).await;
            removed.map_err(|error| conflicts::write_of(job, &error))
        }
        Claim::Create | Claim::LookAt(_) | Claim::Refused(_) => Ok(()),
    }
}

/// Deletes what was written for the object under earlier names, now that the Secret under the present one stands. Tells of one that it
/// could not delete: the object has what it asks for all the same.
pub async fn tidy_up(observed: &Observed, context: &Context) -> Option<Failure> {
    let mut first = None;
    for (key, secret) in &observed.leftovers {
        let hold = Hold::standing(&observed.object, Some(secret));
        let removed = remove((key, secret), &hold, observed.uid(), context).await;
        let failed = removed.err().map(|error| staying(&key.name, &error));
        first = first.or(failed);
    }
    first
}

/// Why what an object has under an earlier name is still there.
fn staying(name: &str, error: &WriteError) -> Failure {
    if let WriteError::Immutable(_) = error {
        // Of a part only: a Secret that is an object's own can be deleted. No waiting makes it another one.
        let message = format!(
            "the earlier Secret {name} keeps what this object has put into it: it has become immutable, and is not this object's to delete"
        );
        return Failure::new(Reason::SecretConflict, message).retried(Retry::OnChange);
    }
    let failure = refusals::write(name, error);
    let message = format!("delete the earlier Secret {name}: {}", failure.message);
    Failure { message, ..failure }
}

/// Deletes the Secret, or takes out of it what the object of that UID has in it. Whoever waits for either is told: the cache knows already, so the watch's event
/// will be no change.
pub async fn remove(
    (key, secret): (&Key, &Arc<SecretMeta>),
    hold: &Hold,
    uid: &str,
    context: &Context,
) -> Result<(), WriteError> {
    take_away((key, secret), hold, uid, context).await?;
    context.wake_others(key, uid);
    Ok(())
}

async fn take_away(
    (key, secret): (&Key, &Arc<SecretMeta>),
    hold: &Hold,
    uid: &str,
    context: &Context,
) -> Result<(), WriteError> {
    let last = match hold {
        // Others have merged keys into what was ours alone: those are not ours to delete.
        Hold::Exclusive if secret.owners.parts.is_empty() => secret.clone(),
        Hold::Exclusive | Hold::GivenUp(_) | Hold::Shared(_) => {
            let made = hold.own_record(secret).is_some_and(|record| record.made);
            let made = made || matches!(hold, Hold::GivenUp(_));
            let whose = (hold.manager(), uid);
            let left = Arc::new(parts::take_out(&context.client, key, secret, whose).await?);
            let meta = SecretMeta::clone(&left);
            context.caches.secrets.wrote(key.clone(), meta);
            if !made || left.owners != Owners::default() {
                return Ok(());
            }
            // Nobody's name is left on what this operator made. Is anything?
            let found = secrets::get(&context.client, key).await?;
            let empty = found.filter(|found| {
                let is_bare = found.labels.is_empty()
                    && found.annotations.is_empty()
                    && found.owner_references.is_empty()
                    && found.finalizers.is_empty();
                found.keys == Some(0) && is_bare && found.resource_version == left.resource_version
            });
            if empty.is_none() {
                return Ok(());
            }
            left
        }
    };
    secrets::delete(&context.client, key, &last).await?;
    context.caches.secrets.deleted(key, &secret.uid);
    Ok(())
}
