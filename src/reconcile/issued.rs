//! Part of step 2: the sources that Vault issues, and what the object says about their credentials.

use std::collections::BTreeMap;
use std::time::Duration;

use super::failure::Failure;
use super::paths;
use super::pki::{self, PkiRequest};
use crate::api::bounded::BoundedText;
use crate::api::lease::{LeasePolicy, Refresh, ReplacedPolicy, RevokeOnDelete};
use crate::api::source::{
    ONE_MEMBER, ParameterFrom, PkiSource, ReadSource, Source, WriteMethod, WriteResult, WriteSource,
};
use crate::api::{FORCE_SYNC, VaultSecret};
use crate::csr;
use crate::lease::Terms;
use crate::minting::Replaced;
use crate::record::request_hash;
use crate::schedule::{DurationError, parse_duration};
use crate::vault::{AskMethod, AskResult};

/// The least time after which a request is sent again. Each one makes something, and restarts workloads.
const LEAST_REFRESH: Duration = Duration::from_secs(10);

/// A source that is asked for once, in a Vault session of the object's own.
#[derive(Clone)]
pub struct IssuedJob {
    /// Its name.
    pub name: String,
    /// Whether it may be absent.
    pub optional: bool,
    /// What kind of source it is.
    pub kind: Kind,
    /// How to ask.
    pub method: AskMethod,
    /// The path to ask, with its mount in front.
    pub path: String,
    /// Parameters of the request.
    pub parameters: BTreeMap<String, String>,
    /// Further ones, whose values are secrets.
    pub secret_parameters: Vec<SecretParameter>,
    /// The private key that is made for each request, and what is asked for it.
    pub key: Option<csr::Wanted>,
    /// Which part of the answer is the value.
    pub result: AskResult,
    /// For how long Vault keeps the answer, if it is to be wrapped.
    pub wrap_ttl: Option<Duration>,
    /// Stands for all of the above but the name, as the record has it.
    pub place: String,
}

/// The kinds of sources that are asked for once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A GET.
    Read,
    /// A request that makes something.
    Write,
    /// A request for a certificate.
    Certificate,
}

impl Kind {
    /// Whether such a request makes something that stays when the session is revoked.
    pub fn makes(self) -> bool {
        match self {
            Self::Read => false,
            Self::Write | Self::Certificate => true,
        }
    }
}

/// A parameter whose value is a key of a Secret of the object's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretParameter {
    /// Its name.
    pub name: String,
    /// Name of the Secret.
    pub secret: String,
    /// Key of the Secret.
    pub key: String,
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

/// The source, checked; `None` if it is one that is read again and again.
pub fn issued(source: &Source) -> Result<Option<IssuedJob>, Failure> {
    let again = [source.kv.is_some(), source.kv_folder.is_some()];
    let again = again.into_iter().filter(|member| *member).count();
    match (again, &source.read, &source.write, &source.pki) {
        (1, None, None, None) => Ok(None),
        (0, Some(read), None, None) => read_source(source, read).map(Some),
        (0, None, Some(write), None) => write_source(source, write).map(Some),
        (0, None, None, Some(pki)) => pki_source(source, pki).map(Some),
        _ => Err(Failure::invalid(format!(
            "spec.sources[{}]: {ONE_MEMBER}",
            source.name
        ))),
    }
}

fn read_source(source: &Source, read: &ReadSource) -> Result<IssuedJob, Failure> {
    let Source { name, optional, .. } = source;
    let ReadSource { path, parameters } = read;
    paths::check_read(path)
        .map_err(|problem| Failure::invalid(format!("spec.sources[{name}].read.{problem}")))?;
    let parameters = plain(parameters);
    Ok(IssuedJob {
        name: name.clone(),
        optional: *optional,
        kind: Kind::Read,
        method: AskMethod::Get,
        place: place(&format!("{:?}", (path, &parameters))),
        path: path.clone(),
        parameters,
        secret_parameters: Vec::new(),
        key: None,
        result: AskResult::Data,
        wrap_ttl: None,
    })
}

fn write_source(source: &Source, write: &WriteSource) -> Result<IssuedJob, Failure> {
    let Source { name, optional, .. } = source;
    let invalid =
        |problem: String| Failure::invalid(format!("spec.sources[{name}].write.{problem}"));
    let WriteSource {
        path,
        method,
        parameters,
        parameters_from,
        wrap_ttl,
        result,
        refresh_interval,
    } = write;
    paths::check_write(path).map_err(invalid)?;
    let wrap_ttl =
        optional_duration(wrap_ttl).map_err(|error| invalid(format!("wrapTTL: {error}")))?;
    let refresh = optional_duration(refresh_interval)
        .map_err(|error| invalid(format!("refreshInterval: {error}")))?;
    if refresh.is_some_and(|refresh| refresh < LEAST_REFRESH) {
        let problem = "refreshInterval must be at least 10s: each request makes something in Vault";
        return Err(invalid(problem.into()));
    }
    let parameters = plain(parameters);
    let secret_parameters = secret_parameters(&parameters, parameters_from).map_err(invalid)?;
    let (method, result) = (ask_method(*method), ask_result(*result));
    // What the Secrets hold is no part of it: nobody reads them before the request is made.
    let request = (
        "write",
        method,
        path,
        &parameters,
        &secret_parameters,
        wrap_ttl,
        result,
    );
    Ok(IssuedJob {
        name: name.clone(),
        optional: *optional,
        kind: Kind::Write,
        method,
        place: place(&format!("{request:?}")),
        path: path.clone(),
        parameters,
        secret_parameters,
        key: None,
        result,
        wrap_ttl,
    })
}

fn pki_source(source: &Source, pki: &PkiSource) -> Result<IssuedJob, Failure> {
    let Source { name, optional, .. } = source;
    let PkiRequest {
        path,
        parameters,
        key,
        identity,
    } = pki::request(pki)
        .map_err(|problem| Failure::invalid(format!("spec.sources[{name}].pki.{problem}")))?;
    Ok(IssuedJob {
        name: name.clone(),
        optional: *optional,
        kind: Kind::Certificate,
        method: AskMethod::Post,
        place: place(&identity),
        path,
        parameters,
        secret_parameters: Vec::new(),
        key,
        result: AskResult::Data,
        wrap_ttl: None,
    })
}

fn ask_method(method: WriteMethod) -> AskMethod {
    match method {
        WriteMethod::Post => AskMethod::Post,
        WriteMethod::Put => AskMethod::Put,
    }
}

fn ask_result(result: WriteResult) -> AskResult {
    match result {
        WriteResult::Data => AskResult::Data,
        WriteResult::Auth => AskResult::Auth,
    }
}

fn secret_parameters(
    plain: &BTreeMap<String, String>,
    given: &[ParameterFrom],
) -> Result<Vec<SecretParameter>, String> {
    let mut found: Vec<SecretParameter> = Vec::with_capacity(given.len());
    for ParameterFrom {
        name,
        secret_key_ref,
    } in given
    {
        let name = if name.is_empty() {
            &secret_key_ref.key
        } else {
            name
        };
        if plain.contains_key(name) || found.iter().any(|one| one.name == *name) {
            return Err(format!(
                "parametersFrom names parameter {name} a second time; leave one out, or give it another name"
            ));
        }
        found.push(SecretParameter {
            name: name.clone(),
            secret: secret_key_ref.name.clone(),
            key: secret_key_ref.key.clone(),
        });
    }
    Ok(found)
}

fn plain(parameters: &BTreeMap<String, BoundedText<1024>>) -> BTreeMap<String, String> {
    let parameters = parameters.iter();
    parameters
        .map(|(name, value)| (name.clone(), value.0.clone()))
        .collect()
}

fn place(request: &str) -> String {
    let mut place = request_hash(request);
    place.truncate(16);
    place
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
        optional_duration(text).map_err(|error| invalid(&format!("refresh.{field}"), &error))?;
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
        rotate_before: optional_duration(rotate_before).ok().flatten(),
        overlap: parse_duration(&object.spec.lease.overlap).unwrap_or_default(),
        max_age: optional_duration(max_age).ok().flatten(),
        jitter_percent: u8::try_from(*jitter_percent).unwrap_or(0),
        uid: object.metadata.uid.as_deref().unwrap_or_default(),
    }
}

/// After how long the source of that name is asked for anew, if its object says so.
pub fn refresh_interval(object: &VaultSecret, name: &str) -> Option<Duration> {
    let mut sources = object.spec.sources.iter();
    let source = sources.find(|source| source.name == name)?;
    let write = source.write.as_ref()?;
    optional_duration(&write.refresh_interval).ok().flatten()
}

/// How long before its end the certificate of that name is replaced, if its object says so.
pub fn renew_before(object: &VaultSecret, name: &str) -> Option<Duration> {
    let mut sources = object.spec.sources.iter();
    let source = sources.find(|source| source.name == name)?;
    let pki = source.pki.as_ref()?;
    optional_duration(&pki.renew_before).ok().flatten()
}

fn optional_duration(text: &str) -> Result<Option<Duration>, DurationError> {
    if text.is_empty() {
        return Ok(None);
    }
    parse_duration(text).map(Some)
}
