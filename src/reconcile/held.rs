//! What was issued earlier and is in use: had again from beside the record on the Secret, where it lies sealed.

use super::Context;
use super::build::Issued;
use super::entries;
use super::failure::Failure;
use super::observe::Observed;
use super::refusals;
use super::resolve::Job;
use super::values;
use crate::cluster::secrets;

/// What was issued for the Secret that stands, from beside its record; or why that cannot be had.
pub async fn held(
    job: &Job,
    observed: &Observed,
    context: &Context,
) -> Result<Result<Option<Issued>, String>, Failure> {
    let Some(accessor) = entries::live(observed).filter(|_| !job.issued.is_empty()) else {
        return Ok(Ok(None));
    };
    let key = &job.destination.key;
    let sealed = secrets::sealed(&context.client, key, observed.hold.sealed()).await;
    let sealed = sealed.map_err(|error| refusals::write(&key.name, &error))?;
    Ok(values::unseal(job, accessor, sealed, &context.keys).map(Some))
}
