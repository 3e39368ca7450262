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
    check_names(secret_type, |key| data.contains_key(key))?;
    suits(secret_type, data).map_err(|Unsuitable { key, problem }| {
        refusals::unsuitable(secret_type, key, &origin(mapping, key), &problem)
    })
}

/// Refuses a mapping whose keys are all known beforehand, and are not those of the type.
pub fn check_mapping(secret_type: SecretType, mapping: &Mapping) -> Result<(), Failure> {
    if mapping.entries.is_empty() || !mapping.copies.is_empty() {
        return Ok(());
    }
    let named = |key: &str| mapping.entries.iter().any(|entry| entry.key == key);
    check_names(secret_type, named)
}

/// The keys that a type must have: all of a list, or one of it.
fn check_names(secret_type: SecretType, has: impl Fn(&str) -> bool) -> Result<(), Failure> {
    let missing = match secret_type {
        SecretType::Opaque => None,
        SecretType::Tls => {
            (!has(tls::CERTIFICATE) || !has(tls::KEY)).then_some("the keys tls.crt and tls.key")
        }
        SecretType::DockerConfigJson => {
            (!has(DOCKER_CONFIG)).then_some("the key .dockerconfigjson")
        }
        SecretType::DockerCfg => (!has(DOCKER_CFG)).then_some("the key .dockercfg"),
        SecretType::BasicAuth => {
            (!has("username") && !has("password")).then_some("the key username or password")
        }
        SecretType::SshAuth => (!has(ssh::KEY)).then_some("the key ssh-privatekey"),
    };
    match missing {
        Some(missing) => Err(refusals::missing_keys(secret_type, missing)),
        None => Ok(()),
    }
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

/// Where the value of a key comes from, as far as the mapping tells.
fn origin(mapping: &Mapping, key: &str) -> String {
    let entry = mapping.entries.iter().find(|entry| entry.key == key);
    match entry.map(|entry| &entry.content) {
        Some(Content::Field { source, field, .. }) if field.is_empty() => {
            format!("all fields of source {source:?}")
        }
        Some(Content::Field { source, field, .. }) => {
            format!("field {field:?} of source {source:?}")
        }
        Some(Content::Literal(_)) => format!("spec.data[{key}].value"),
        Some(Content::Template(_)) => format!("made by spec.data[{key}].template"),
        None => match mapping.copies.as_slice() {
            [] => "copied from a source".to_owned(),
            [copy] => format!("copied from source {:?}", copy.source),
            _ => "copied by spec.dataFrom".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
