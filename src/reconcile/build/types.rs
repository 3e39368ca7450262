//! Part of step 7: whether the values suit the type of the Secret, said before anything is written, and without a word of any value.
//!
//! The API server asks for keys only, and quotes what it stumbles over. Whoever uses such a Secret asks for more: a key that does not fit its certificate takes
//! a server down, and one that was cut off on its way into Vault is found out at the next restart. So each type is read here as its users read it, and what they
//! take is taken.

mod docker;
mod keys;
mod pem;
mod ssh;
mod tls;

use crate::api::destination::SecretType;
use crate::reconcile::failure::Failure;
use crate::reconcile::refusals;
use crate::render::{Content, Mapping};
use crate::sensitive::SecretData;

/// The key of the credentials of registries.
pub const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// The same in the older form.
pub const DOCKER_CFG: &str = ".dockercfg";

/// What is wrong with the value of a key.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsuitable {
    key: &'static str,
    problem: String,
}

/// The same of every value.
type Suits = Result<(), Unsuitable>;

impl Unsuitable {
    fn new(key: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { key, problem }
    }
}

/// Refuses values that do not suit the type.
pub fn check(secret_type: SecretType, data: &SecretData, mapping: &Mapping) -> Result<(), Failure> {
    let keys: Vec<&str> = data.keys().map(String::as_str).collect();
    check_names(secret_type, &keys)?;
    suits(secret_type, data).map_err(|Unsuitable { key, problem }| {
        let (origin, mend) = origin(mapping, key);
        refusals::unsuitable(secret_type, key, (&origin, mend), &problem)
    })
}

/// Refuses a mapping whose keys are all known beforehand, and are not those of the type.
pub fn check_mapping(secret_type: SecretType, mapping: &Mapping) -> Result<(), Failure> {
    if mapping.entries.is_empty() || !mapping.copies.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = mapping.entries.iter().map(|one| one.key.as_str()).collect();
    check_names(secret_type, &keys)
}

/// The keys that a type must have: all of a list, or one of it.
fn check_names(secret_type: SecretType, keys: &[&str]) -> Result<(), Failure> {
    let has = |key: &str| keys.contains(&key);
    let missing = |wanted: &[&'static str]| {
        let wanted = wanted.iter().copied();
        wanted.filter(|key| !has(key)).collect()
    };
    let missing: Vec<&'static str> = match secret_type {
        SecretType::Opaque => Vec::new(),
        SecretType::Tls => missing(&[tls::CERTIFICATE, tls::KEY]),
        SecretType::DockerConfigJson => missing(&[DOCKER_CONFIG]),
        SecretType::DockerCfg => missing(&[DOCKER_CFG]),
        SecretType::BasicAuth if has("username") || has("password") => Vec::new(),
        SecretType::BasicAuth => vec!["username or password"],
        SecretType::SshAuth => missing(&[ssh::KEY]),
    };
    if missing.is_empty() {
        return Ok(());
    }
    Err(refusals::missing_keys(secret_type, &missing, keys))
}

fn suits(secret_type: SecretType, data: &SecretData) -> Suits {
    match secret_type {
        SecretType::Opaque | SecretType::BasicAuth => Ok(()),
        SecretType::Tls => tls::check(data),
        SecretType::DockerConfigJson => docker::check(data, DOCKER_CONFIG),
        SecretType::DockerCfg => docker::check(data, DOCKER_CFG),
        SecretType::SshAuth => ssh::check(data),
    }
}

/// Where the value of a key comes from, as far as the mapping tells, and how to mend it.
fn origin(mapping: &Mapping, key: &str) -> (String, &'static str) {
    const IN_VAULT: &str = "correct it in Vault, or name another field under spec.data";
    let entry = mapping.entries.iter().find(|entry| entry.key == key);
    match entry.map(|entry| &entry.content) {
        Some(Content::Field { source, field, .. }) if field.is_empty() => {
            (format!("all fields of source {source:?}"), IN_VAULT)
        }
        Some(Content::Field { source, field, .. }) => {
            (format!("field {field:?} of source {source:?}"), IN_VAULT)
        }
        Some(Content::Literal(_)) => (format!("spec.data[{key}].value"), "correct it there"),
        Some(Content::Template { shared, .. }) => {
            let place = shared.as_deref();
            let place = place.map_or_else(|| format!("spec.data[{key}].template"), str::to_owned);
            let mend = "correct the template, or what it takes from Vault";
            (format!("made by {place}"), mend)
        }
        None => match mapping.copies.as_slice() {
            [] => ("copied from a source".to_owned(), IN_VAULT),
            [copy] => (format!("copied from source {:?}", copy.source), IN_VAULT),
            _ => ("copied by spec.dataFrom".to_owned(), IN_VAULT),
        },
    }
}

#[cfg(test)]
mod tests;
