//! Step 8: make the cluster as wanted: first the Secret, then what is left of earlier names.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use tracing::warn;

use super::Context;
use super::build::{Desired, mac_context, placeholders};
use super::claim::Claim;
use super::conflicts;
use super::dress::{Metadata, metadata};
use super::failure::Failure;
use super::hold::Hold;
use super::observe::Observed;
use super::refusals;
use super::resolve::Job;
use crate::api::{MANAGER, Reason};
use crate::cluster::managed_fields::Owners;
use crate::cluster::secrets::{self, CARRIER, SecretWrite};
use crate::cluster::{Key, SecretMeta, WriteError, handover, parts, references};
use crate::fault;
use crate::record::Record;

/// The Secret as it stands now.
pub struct Applied {
    /// Resource version at which it holds what was wanted.
    pub resource_version: String,
    /// Its record.
    pub record: Record,
    /// Whether that changed anything: the API server stores nothing when all is as it was.
    pub written: bool,
}

/// Writes what has to be written, and nothing else.
pub async fn apply(
    job: &Job,
    claim: &Claim,
    desired: Desired,
    observed: &Observed,
    context: &Context,
) -> Result<Applied, Failure> {
    let written = match (claim, desired.write) {
        (Claim::Refused(failure), _) => return Err(failure.clone()),
        (Claim::Create, _) => Some(write(job, &desired, None, context).await),
        (Claim::Update(secret) | Claim::LookAt(secret), true) => {
            let has_other_type = has_other_type(job, &desired, observed);
            Some(change(job, &desired, secret, has_other_type, context).await)
        }
        (Claim::Update(_) | Claim::LookAt(_), false) => None,
    };
    let before = observed
        .target
        .as_ref()
        .map(|secret| secret.resource_version.clone());
    let resource_version = match written {
        Some(Ok(meta)) => meta.resource_version,
        Some(Err(error)) => return Err(conflicts::write_of(job, &error)),
        None => before.clone().unwrap_or_default(),
    };
    Ok(Applied {
        written: before.as_ref() != Some(&resource_version),
        resource_version,
        record: desired.record,
    })
}

/// Writes over the Secret that is there, or makes it anew where it cannot be changed.
async fn change(
    job: &Job,
    desired: &Desired,
    secret: &Arc<SecretMeta>,
    has_other_type: bool,
    context: &Context,
) -> Result<SecretMeta, WriteError> {
    if has_other_type {
        return make_anew(job, desired, secret, context).await;
    }
    match write(job, desired, Some(secret), context).await {
        // What others share is not ours to make anew.
        Err(WriteError::Immutable(_)) if !job.destination.hold.is_shared() => {
            make_anew(job, desired, secret, context).await
        }
        written => written,
    }
}

/// Asks the API server whether it would take the Secret, with nothing in the place of each value. What it refuses then, such as for want of quota, need not be
/// issued for.
pub async fn try_out(job: &Job, claim: &Claim, context: &Context) -> Result<(), Failure> {
    let over = match claim {
        Claim::Create => None,
        Claim::Update(secret) | Claim::LookAt(secret) => Some(secret.as_ref()),
        Claim::Refused(failure) => return Err(failure.clone()),
    };
    let (wanted, key) = (metadata(job, over), &job.destination.key);
    let write = SecretWrite {
        key,
        secret_type: type_to_write(job, over),
        immutable: job.destination.immutable,
        labels: &wanted.labels,
        annotations: &wanted.annotations,
        owner_references: &wanted.owner_references,
        finalizers: &wanted.finalizers,
        managed_fields: None,
        data: &placeholders(job),
    };
    let hold = &job.destination.hold;
    let tried = match over.filter(|_| hold.is_shared()) {
        Some(now) => parts::apply(&context.client, &write, now, hold.manager(), true)
            .await
            .map(drop),
        None => secrets::try_out(&context.client, &write, over).await,
    };
    match tried {
        Ok(()) => Ok(()),
        // Such a Secret is made anew, and that cannot be tried out while it stands.
        Err(WriteError::Immutable(_)) if !hold.is_shared() => Ok(()),
        Err(error) => Err(conflicts::write_of(job, &error)),
    }
}

/// The type is for whoever makes the Secret to choose, and stays theirs.
fn type_to_write(job: &Job, over: Option<&SecretMeta>) -> &'static str {
    if job.destination.hold.is_shared() && over.is_some() {
        ""
    } else {
        job.destination.secret_type.as_str()
    }
}

/// Deletes the Secret, as `missingSourcePolicy: Delete` asks when a path is gone.
pub async fn delete_target(job: &Job, claim: &Claim, context: &Context) -> Result<(), Failure> {
    match claim {
        Claim::Update(secret) => {
            let hold = &job.destination.hold;
            if hold.is_shared() && hold.share(secret).is_none() {
                return Ok(()); // it was taken out when the path went
            }
            let place = (&job.destination.key, secret);
            remove(place, hold, &job.uid, context).await
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
        if let Err(Failure {
            reason, message, ..
        }) = remove((key, secret), &hold, observed.uid(), context).await
        {
            let message = format!("delete the earlier Secret {}: {message}", key.name);
            first = first.or(Some(Failure::new(reason, message)));
        }
    }
    first
}

/// The type of a Secret cannot be changed in place. An unreadable record leaves the type unknown; the API server then
/// refuses the change, as it does for a Secret that somebody made immutable.
fn has_other_type(job: &Job, desired: &Desired, observed: &Observed) -> bool {
    let looked_at = observed.target.as_ref();
    let looked_at = looked_at.and_then(|secret| secret.secret_type.as_ref());
    let recorded = observed.record.as_ref().map(|record| &record.secret_type);
    let found = looked_at.or(recorded);
    !job.destination.hold.is_shared()
        && found.is_some_and(|found| *found != desired.record.secret_type)
}

/// Deletes the Secret and creates it as wanted. What others had put on it is put back by a second write, in another manager's name than
/// ours: created with the rest, it would count as ours, and go with the next update.
async fn make_anew(
    job: &Job,
    desired: &Desired,
    secret: &Arc<SecretMeta>,
    context: &Context,
) -> Result<SecretMeta, WriteError> {
    let key = &job.destination.key;
    secrets::delete(&context.client, key, secret).await?;
    context.caches.secrets.deleted(key, &secret.uid);
    fault::between("deletion and creation");
    let created = write(job, desired, None, context).await?;
    let carried = Metadata {
        finalizers: Vec::new(), // whoever had set one has seen the deletion, and let go
        ..metadata(job, Some(secret))
    };
    if carried == metadata(job, None) {
        return Ok(created);
    }
    let put_back = send(job, desired, carried, Some((&created, CARRIER)), context);
    Ok(put_back.await.unwrap_or_else(|error| {
        let Key { namespace, name } = key;
        warn!(namespace, name, %error, "labels and annotations of others were lost when the Secret was made anew");
        created
    }))
}

/// Deletes the Secret, or takes out of it what the object of that UID has in it. Whoever waits for either is told: the cache knows already, so the watch's event
/// will be no change.
pub async fn remove(
    (key, secret): (&Key, &Arc<SecretMeta>),
    hold: &Hold,
    uid: &str,
    context: &Context,
) -> Result<(), Failure> {
    take_away((key, secret), hold, uid, context).await?;
    context.wake_others(key, uid);
    Ok(())
}

async fn take_away(
    (key, secret): (&Key, &Arc<SecretMeta>),
    hold: &Hold,
    uid: &str,
    context: &Context,
) -> Result<(), Failure> {
    let failed = |error| refusals::write(&key.name, &error);
    let last = match hold {
        // Others have merged keys into what was ours alone: those are not ours to delete.
        Hold::Exclusive if secret.owners.parts.is_empty() => secret.clone(),
        Hold::Exclusive | Hold::GivenUp(_) | Hold::Shared(_) => {
            let made = hold.own_record(secret).is_some_and(|record| record.made);
            let made = made || matches!(hold, Hold::GivenUp(_));
            let whose = (hold.manager(), uid);
            let left = parts::take_out(&context.client, key, secret, whose).await;
            let left = Arc::new(left.map_err(failed)?);
            let meta = SecretMeta::clone(&left);
            context.caches.secrets.wrote(key.clone(), meta);
            if !made || left.owners != Owners::default() {
                return Ok(());
            }
            // Nobody's name is left on what this operator made. Is anything?
            let found = secrets::get(&context.client, key).await.map_err(failed)?;
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
    let deleted = secrets::delete(&context.client, key, &last).await;
    deleted.map_err(failed)?;
    context.caches.secrets.deleted(key, &secret.uid);
    Ok(())
}

/// Writes the Secret in our own name, over the one that is there or as a new one.
async fn write(
    job: &Job,
    desired: &Desired,
    over: Option<&Arc<SecretMeta>>,
    context: &Context,
) -> Result<SecretMeta, WriteError> {
    let over = over.map(AsRef::as_ref);
    let manager = job.destination.hold.manager();
    let (metadata, over) = (metadata(job, over), over.map(|secret| (secret, manager)));
    send(job, desired, metadata, over, context).await
}

/// Sends the Secret. `over` is the one to replace, and in whose name that is done.
async fn send(
    job: &Job,
    desired: &Desired,
    metadata: Metadata,
    over: Option<(&SecretMeta, &str)>,
    context: &Context,
) -> Result<SecretMeta, WriteError> {
    let Metadata {
        labels,
        mut annotations,
        owner_references,
        finalizers,
    } = metadata;
    let record = desired
        .record
        .print()
        .map_err(|error| WriteError::Invalid(error.to_string()))?;
    let (hold, key) = (&job.destination.hold, &job.destination.key);
    annotations.insert(hold.record().to_owned(), record);
    let sealed = desired.sealed.clone();
    annotations.extend(sealed.map(|sealed| (hold.sealed().to_owned(), sealed)));
    let over_meta = over.map(|(secret, _)| secret);
    let mut write = SecretWrite {
        key,
        secret_type: type_to_write(job, over_meta),
        immutable: job.destination.immutable,
        labels: &labels,
        annotations: &annotations,
        owner_references: &owner_references,
        finalizers: &finalizers,
        managed_fields: None,
        data: &desired.data,
    };
    let client = &context.client;
    let meta = match (over, hold.is_shared()) {
        (Some((secret, manager)), true) => {
            let meta = parts::apply(client, &write, secret, manager, false).await?;
            if meta.resource_version != secret.resource_version {
                context.caches.secrets.wrote(key.clone(), meta.clone());
                // What is applied no more may be what others wait for.
                context.wake_others(key, &job.uid);
            }
            meta
        }
        (Some((secret, manager)), false) => {
            if manager == MANAGER && is_new_to_us(secret) {
                write.managed_fields = Some(taken_over(job, &write, secret, context).await?);
            }
            secrets::replace(client, &write, secret, manager).await?
        }
        (None, false) => secrets::create(client, &write, MANAGER).await?,
        (None, true) => make_shared(&write, hold, context).await?,
    };
    let cache = &context.caches.secrets;
    cache.wrote(key.clone(), meta.clone());
    Ok(meta)
}

/// Makes a Secret in which others may put their keys as well.
async fn make_shared(
    write: &SecretWrite<'_>,
    hold: &Hold,
    context: &Context,
) -> Result<SecretMeta, WriteError> {
    let (client, key) = (&context.client, write.key);
    let made = secrets::create(client, write, hold.manager()).await?;
    let cache = &context.caches.secrets;
    cache.wrote(key.clone(), made.clone());
    // What was not applied would stay when it is applied no more. If this fails, the next pass begins with it.
    let managers = (hold.manager(), hold.manager());
    let handed = parts::hand_over(client, key, &made, managers).await;
    Ok(handed.unwrap_or(made))
}

/// Whether not all of the Secret was ours so far.
fn is_new_to_us(secret: &SecretMeta) -> bool {
    // Its own part, or what others have left that are gone.
    !secret.owners.parts.is_empty() || Hold::Exclusive.own_record(secret).is_none()
}

/// Who owns what once the Secret is ours: all its data is, whatever stands there already.
async fn taken_over(
    job: &Job,
    write: &SecretWrite<'_>,
    secret: &SecretMeta,
    context: &Context,
) -> Result<Vec<ManagedFieldsEntry>, WriteError> {
    let found = secrets::metadata(&context.client, write.key, secret).await?;
    let asked = &job.destination;
    Ok(handover::taken_over(
        found.managed_fields.unwrap_or_default(),
        write.data.keys(),
        asked.labels.keys(),
        asked.annotations.keys(),
    ))
}

/// Reads the Secret and compares its values with the MAC of the record. Tells whether they are what we wrote.
pub async fn verify(job: &Job, record: &Record, context: &Context) -> Result<bool, Failure> {
    let (key, hold) = (&job.destination.key, &job.destination.hold);
    let unavailable = |error: WriteError| {
        Failure::new(
            Reason::KubernetesUnavailable,
            format!("read Secret {}: {error}", key.name),
        )
    };
    let part = Some(hold.manager()).filter(|_| hold.is_shared());
    let data = references::data_of(&context.client, key, part).await;
    let data = data.map_err(unavailable)?;
    Ok(data.is_some_and(|data| context.keys.verify(&record.mac, &mac_context(job), &data)))
}
