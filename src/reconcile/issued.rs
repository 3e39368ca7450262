//! Part of step 2: the sources that Vault issues, and what the object says about their credentials.

use std::collections::BTreeMap;
use std::time::Duration;

use super::failure::Failure;
use super::paths;
use crate::api::lease::{LeasePolicy, Refresh, ReplacedPolicy, RevokeOnDelete};
use crate::api::source::{ReadSource, Source};
use crate::api::{FORCE_SYNC, VaultSecret};
use crate::lease::Terms;
use crate::minting::Replaced;
use crate::record::request_hash;
use crate::schedule::{DurationError, parse_duration};

/// A source that is asked for once, in a Vault session of the object's own.
#[derive(Clone)]
pub struct IssuedJob {
    /// Its name.
    pub name: String,
    /// Whether it may be absent.
    pub optional: bool,
    /// The path to ask, with its mount in front.
    pub path: String,
    /// Parameters of the request.
    pub parameters: BTreeMap<String, String>,
    /// Stands for all of the above but the name, as the record has it.
    pub place: String,
}

/// What the object says about its credentials.
#[derive(Clone)]
pub struct LeaseJob {
    /// Whether they are revoked when the object is deleted.
    pub revoke_on_delete: bool,
    /// What becomes of replaced ones.
    pub replaced: Replaced,
    /// How long replaced ones are kept alive.
    pub overlap: Duration,
}

/// The source, checked.
pub fn issued(source: &Source, read: &ReadSource) -> Result<IssuedJob, Failure> {
    let Source { name, optional, .. } = source;
    let ReadSource { path, parameters } = read;
    paths::check_read(path)
        .map_err(|problem| Failure::invalid(format!("spec.sources[{name}].read.{problem}")))?;
    let parameters: BTreeMap<String, String> = parameters
        .iter()
        .map(|(name, value)| (name.clone(), value.0.clone()))
        .collect();
    let mut place = request_hash(&format!("{:?}", (path, &parameters)));
    place.truncate(16);
    Ok(IssuedJob {
        name: name.clone(),
        optional: *optional,
        path: path.clone(),
        parameters,
        place,
    })
}

/// Hash of what is to be issued, and as whom. What is made of it, and how long it is kept, is no part of it.
pub fn asked(object: &VaultSecret, sources: &[IssuedJob]) -> String {
    let spec = &object.spec;
    let sources: Vec<_> = sources
        .iter()
        .map(|source| (&source.name, source.optional, &source.place))
        .collect();
    let parts = (
        &spec.connection_ref,
        &spec.vault_namespace,
        &spec.auth,
        sources,
    );
    // Plain structs and lists always serialize; if they ever did not, the hash would only be coarser.
    request_hash(&serde_json::to_string(&parts).unwrap_or_default())
}

/// Hash of the demand for everything anew; empty if there is none.
pub fn forced(object: &VaultSecret) -> String {
    let annotations = object.metadata.annotations.as_ref();
    let demand = annotations.and_then(|annotations| annotations.get(FORCE_SYNC));
    demand
        .filter(|demand| !demand.is_empty())
        .map(|demand| request_hash(demand))
        .unwrap_or_default()
}

/// What the object says about its credentials, checked.
pub fn lease(object: &VaultSecret) -> Result<LeaseJob, Failure> {
    let LeasePolicy {
        revoke_on_delete,
        replaced,
        overlap,
    } = &object.spec.lease;
    let invalid =
        |field: &str, error: &DurationError| Failure::invalid(format!("spec.{field}: {error}"));
    let overlap = parse_duration(overlap).map_err(|error| invalid("lease.overlap", &error))?;
    let Refresh {
        rotate_before,
        max_age,
        ..
    } = &object.spec.refresh;
    for (field, text) in [("rotateBefore", rotate_before), ("maxAge", max_age)] {
        optional(text).map_err(|error| invalid(&format!("refresh.{field}"), &error))?;
    }
    Ok(LeaseJob {
        revoke_on_delete: *revoke_on_delete == RevokeOnDelete::Revoke,
        replaced: match replaced {
            ReplacedPolicy::Expire => Replaced::Expire,
            ReplacedPolicy::Revoke => Replaced::Revoke,
        },
        overlap,
    })
}

/// When the object's credentials are renewed and replaced. What cannot be read counts as not said: renewals go on for an object
/// that is invalid otherwise.
pub fn terms(object: &VaultSecret) -> Terms<'_> {
    let Refresh {
        interval: _,
        jitter_percent,
        renew_at_percent,
        rotate_before,
        max_age,
    } = &object.spec.refresh;
    Terms {
        renew_at_percent: u8::try_from(*renew_at_percent).unwrap_or(67),
        rotate_before: optional(rotate_before).ok().flatten(),
        max_age: optional(max_age).ok().flatten(),
        jitter_percent: u8::try_from(*jitter_percent).unwrap_or(0),
        uid: object.metadata.uid.as_deref().unwrap_or_default(),
    }
}

fn optional(text: &str) -> Result<Option<Duration>, DurationError> {
    if text.is_empty() {
        return Ok(None);
    }
    parse_duration(text).map(Some)
}
