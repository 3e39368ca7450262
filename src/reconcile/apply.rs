//! Step 8: make the cluster as wanted: first the Secret, then what is left of earlier names.

use std::sync::Arc;

use tracing::warn;

use super::Context;
use super::build::{Desired, Metadata, mac_context, metadata, placeholders};
use super::claim::Claim;
use super::failure::Failure;
use super::observe::Observed;
use super::refusals;
use super::resolve::Job;
use crate::api::{MANAGER, Reason, SEALED_ANNOTATION};
use crate::cluster::secrets::{self, CARRIER, SecretWrite};
use crate::cluster::{Key, SecretMeta, WriteError};
use crate::fault;
use crate::record::{ANNOTATION, Record};

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
    let name = &job.destination.key.name;
    let written = match (claim, desired.write) {
        (Claim::Refused(failure), _) => return Err(failure.clone()),
        (Claim::Create, _) => Some(write(job, &desired, None, context).await),
        (Claim::Update(secret), true) if has_other_type(&desired, observed) => {
            Some(make_anew(job, &desired, secret, context).await)
        }
        (Claim::Update(secret), true) => match write(job, &desired, Some(secret), context).await {
            Err(WriteError::Immutable(_)) => Some(make_anew(job, &desired, secret, context).await),
            written => Some(written),
        },
        (Claim::Update(_), false) => None,
    };
    let before = observed
        .target
        .as_ref()
        .map(|secret| secret.resource_version.clone());
    let resource_version = match written {
        Some(Ok(meta)) => meta.resource_version,
        Some(Err(error)) => return Err(refusals::write(name, &error)),
        None => before.clone().unwrap_or_default(),
    };
    Ok(Applied {
        written: before.as_ref() != Some(&resource_version),
        resource_version,
        record: desired.record,
    })
}

/// Asks the API server whether it would take the Secret, with nothing in the place of each value. What it refuses then, such as for want of quota, need not be
/// issued for.
pub async fn try_out(job: &Job, claim: &Claim, context: &Context) -> Result<(), Failure> {
    let over = match claim {
        Claim::Create => None,
        Claim::Update(secret) => Some(secret.as_ref()),
        Claim::Refused(failure) => return Err(failure.clone()),
    };
    let (wanted, key) = (metadata(job, over), &job.destination.key);
    let write = SecretWrite {
        key,
        secret_type: job.destination.secret_type.as_str(),
        immutable: job.destination.immutable,
        labels: &wanted.labels,
        annotations: &wanted.annotations,
        owner_references: &wanted.owner_references,
        finalizers: &wanted.finalizers,
        data: &placeholders(job),
    };
    match secrets::try_out(&context.client, &write, over).await {
        // Such a Secret is made anew, and that cannot be tried out while it stands.
        Ok(()) | Err(WriteError::Immutable(_)) => Ok(()),
        Err(error) => Err(refusals::write(&key.name, &error)),
    }
}

/// Deletes the Secret, as `missingSourcePolicy: Delete` asks when a path is gone.
pub async fn delete_target(job: &Job, claim: &Claim, context: &Context) -> Result<(), Failure> {
    match claim {
        Claim::Update(secret) => remove(&job.destination.key, secret, context).await,
        Claim::Create | Claim::Refused(_) => Ok(()),
    }
}

/// Deletes what was written for the object under earlier names, now that the Secret under the present one stands. Tells of one that it
/// could not delete: the object has what it asks for all the same.
pub async fn tidy_up(observed: &Observed, context: &Context) -> Option<Failure> {
    let mut first = None;
    for (key, secret) in &observed.leftovers {
        if let Err(Failure {
            reason, message, ..
        }) = remove(key, secret, context).await
        {
            let message = format!("delete the earlier Secret {}: {message}", key.name);
            first = first.or(Some(Failure::new(reason, message)));
        }
    }
    first
}

/// The type of a Secret cannot be changed in place. An unreadable record leaves the type unknown; the API server then
/// refuses the change, as it does for a Secret that somebody made immutable.
fn has_other_type(desired: &Desired, observed: &Observed) -> bool {
    observed
        .record
        .as_ref()
        .is_some_and(|record| record.secret_type != desired.record.secret_type)
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

async fn remove(key: &Key, secret: &Arc<SecretMeta>, context: &Context) -> Result<(), Failure> {
    let deleted = secrets::delete(&context.client, key, secret).await;
    deleted.map_err(|error| refusals::write(&key.name, &error))?;
    context.caches.secrets.deleted(key, &secret.uid);
    // The cache knows already, so the watch's event will be no change: whoever else waits for the name is told here.
    for other in context.objects.with_target(key) {
        let _ = context.wake.send(other);
    }
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
    let (metadata, over) = (metadata(job, over), over.map(|secret| (secret, MANAGER)));
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
    annotations.insert(ANNOTATION.into(), record);
    annotations.extend(
        desired
            .sealed
            .clone()
            .map(|sealed| (SEALED_ANNOTATION.to_owned(), sealed)),
    );
    let write = SecretWrite {
        key: &job.destination.key,
        secret_type: job.destination.secret_type.as_str(),
        immutable: job.destination.immutable,
        labels: &labels,
        annotations: &annotations,
        owner_references: &owner_references,
        finalizers: &finalizers,
        data: &desired.data,
    };
    let meta = match over {
        Some((secret, manager)) => {
            secrets::replace(&context.client, &write, secret, manager).await?
        }
        None => secrets::create(&context.client, &write).await?,
    };
    context
        .caches
        .secrets
        .wrote(job.destination.key.clone(), meta.clone());
    Ok(meta)
}

/// Reads the Secret and compares its values with the MAC of the record. Tells whether they are what we wrote.
pub async fn verify(job: &Job, record: &Record, context: &Context) -> Result<bool, Failure> {
    let key = &job.destination.key;
    let unavailable = |error: WriteError| {
        Failure::new(
            Reason::KubernetesUnavailable,
            format!("read Secret {}: {error}", key.name),
        )
    };
    let data = crate::cluster::references::secret_data(&context.client, key)
        .await
        .map_err(unavailable)?;
    Ok(data.is_some_and(|data| context.keys.verify(&record.mac, &mac_context(job), &data)))
}
