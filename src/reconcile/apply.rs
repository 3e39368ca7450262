//! Step 8: write the Secret as wanted. What is left of earlier names goes after that ([`super::remove`]).

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
use super::resolve::Job;
use crate::api::{MANAGER, Reason};
use crate::cluster::secrets::{self, CARRIER, SecretWrite};
use crate::cluster::{Key, SecretMeta, WriteError, handover, parts, references};
use crate::fault;
use crate::record::Record;
use crate::sensitive::SecretData;

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
    let (wanted, data) = (metadata(job, over), placeholders(job));
    let write = whole(job, &wanted, over, &data);
    let hold = &job.destination.hold;
    let tried = match over.filter(|_| hold.is_shared()) {
        Some(now) => parts::apply(&context.client, &write, now, hold.manager(), true)
            .await
            .map(drop),
        None => secrets::try_out(&context.client, &write, over).await,
    };
    // Such a Secret is made anew.
    let tried = match tried {
        Err(WriteError::Immutable(_)) if !hold.is_shared() => {
            let anew = metadata(job, None);
            secrets::try_anew(&context.client, &whole(job, &anew, None, &data)).await
        }
        tried => tried,
    };
    tried.map_err(|error| conflicts::write_of(job, &error))
}

/// The type is for whoever makes the Secret to choose, and stays theirs.
fn type_to_write(job: &Job, over: Option<&SecretMeta>) -> &'static str {
    if job.destination.hold.is_shared() && over.is_some() {
        ""
    } else {
        job.destination.secret_type.as_str()
    }
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
    // Once it is deleted it is too late to learn that the new one is refused: then there would be none.
    let wanted = noted(job, desired, metadata(job, None))?;
    secrets::try_anew(&context.client, &whole(job, &wanted, None, &desired.data)).await?;
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
    let (hold, key) = (&job.destination.hold, &job.destination.key);
    let metadata = noted(job, desired, metadata)?;
    let over_meta = over.map(|(secret, _)| secret);
    let mut write = whole(job, &metadata, over_meta, &desired.data);
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

/// The metadata with the record of what is written, and the values that are sealed.
fn noted(job: &Job, desired: &Desired, mut metadata: Metadata) -> Result<Metadata, WriteError> {
    let record = desired
        .record
        .print()
        .map_err(|error| WriteError::Invalid(error.to_string()))?;
    let hold = &job.destination.hold;
    let annotations = &mut metadata.annotations;
    annotations.insert(hold.record().to_owned(), record);
    let sealed = desired.sealed.clone();
    annotations.extend(sealed.map(|sealed| (hold.sealed().to_owned(), sealed)));
    Ok(metadata)
}

/// The Secret with that metadata and data, over the one that is there or as a new one.
fn whole<'a>(
    job: &'a Job,
    metadata: &'a Metadata,
    over: Option<&SecretMeta>,
    data: &'a SecretData,
) -> SecretWrite<'a> {
    SecretWrite {
        key: &job.destination.key,
        secret_type: type_to_write(job, over),
        immutable: job.destination.immutable,
        labels: &metadata.labels,
        annotations: &metadata.annotations,
        owner_references: &metadata.owner_references,
        finalizers: &metadata.finalizers,
        managed_fields: None,
        data,
    }
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
