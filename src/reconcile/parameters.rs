//! Part of step 5 where Vault issues: parameters of requests that are secrets themselves. They are read before a session is begun, so that one that is
//! missing costs nothing, and forgotten with the pass.

use std::collections::BTreeMap;

use super::Context;
use super::failure::Failure;
use super::issued::{IssuedJob, SecretParameter};
use super::refusals;
use super::resolve::Job;
use crate::cluster::{Key, references};
use crate::sensitive::{SecretData, SecretText};

/// The values of secret parameters, by source and name.
pub type Given = BTreeMap<String, BTreeMap<String, SecretText>>;

/// Reads every Secret that a source takes parameters from, once.
pub async fn read(job: &Job, context: &Context) -> Result<Given, Failure> {
    let mut secrets: BTreeMap<&str, Option<SecretData>> = BTreeMap::new();
    let mut given = Given::new();
    for source in &job.issued {
        let mut values = BTreeMap::new();
        for parameter in &source.secret_parameters {
            let name = parameter.secret.as_str();
            if !secrets.contains_key(name) {
                let key = Key::new(&job.key.namespace, name);
                let found = references::secret_data(&context.client, &key).await;
                let found = found.map_err(|error| refusals::write(name, &error))?;
                secrets.insert(name, found);
            }
            let secret = secrets.get(name).and_then(Option::as_ref);
            values.insert(parameter.name.clone(), value(source, parameter, secret)?);
        }
        given.insert(source.name.clone(), values);
    }
    Ok(given)
}

fn value(
    source: &IssuedJob,
    parameter: &SecretParameter,
    secret: Option<&SecretData>,
) -> Result<SecretText, Failure> {
    let refuse = |problem| Err(refusals::parameter(source, parameter, problem));
    let Some(secret) = secret else {
        return refuse("which does not exist; create it");
    };
    let Some(value) = secret.get(&parameter.key) else {
        return refuse("which has no such key; add it");
    };
    match std::str::from_utf8(value.expose()) {
        Ok(text) => Ok(SecretText::new(text.to_owned())),
        Err(_) => refuse("which is not text; encode it"),
    }
}

/// All parameters of a request.
pub fn of(source: &IssuedJob, given: &Given) -> BTreeMap<String, SecretText> {
    let plain = source.parameters.iter();
    let plain = plain.map(|(name, value)| (name.clone(), SecretText::new(value.clone())));
    let secret = given.get(&source.name).cloned().unwrap_or_default();
    plain.chain(secret).collect()
}

/// The values of the parameters that are secrets.
pub fn secrets<'a>(source: &IssuedJob, given: &'a Given) -> Vec<&'a SecretText> {
    let values = given.get(&source.name);
    values.into_iter().flat_map(BTreeMap::values).collect()
}

#[cfg(test)]
mod tests;
