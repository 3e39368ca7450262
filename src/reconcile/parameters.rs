//! Part of step 5 where Vault issues: parameters of requests that are secrets themselves. They are read before a session is begun, so that one that is
//! missing costs nothing, and forgotten with the pass.
//!
//! Whoever writes the object decides how often a key is named, so what is copied is bounded before it is copied.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use super::failure::Failure;
use super::issued::{IssuedJob, SecretParameter};
use super::refusals;
use super::resolve::Job;
use crate::cluster::{Key, references};
use crate::sensitive::{SecretBytes, SecretData, SecretText};

/// The most bytes of one value.
const MAX_VALUE: usize = 32 * 1024;

/// The most bytes of all values of an object, each counted as often as it is named.
const MAX_VALUES: usize = 256 * 1024;

/// The values of secret parameters, by source and name.
pub type Given = BTreeMap<String, BTreeMap<String, SecretText>>;

/// Reads every Secret that a source takes parameters from, once, and one after the other: a Secret may be large, and only what is named is kept.
pub async fn read(job: &Job, context: &Context) -> Result<Given, Failure> {
    let parameters = job.issued.iter().flat_map(|one| &one.secret_parameters);
    let names: BTreeSet<&str> = parameters.map(|one| one.secret.as_str()).collect();
    let (mut given, mut room) = (Given::new(), MAX_VALUES);
    for name in names {
        let key = Key::new(&job.key.namespace, name);
        let found = references::secret_data(&context.client, &key).await;
        let found = found.map_err(|error| refusals::write(name, &error))?;
        take(&job.issued, name, found.as_ref(), &mut given, &mut room)?;
    }
    Ok(given)
}

/// Takes out of one Secret what the sources want of it.
fn take(
    sources: &[IssuedJob],
    name: &str,
    secret: Option<&SecretData>,
    given: &mut Given,
    room: &mut usize,
) -> Result<(), Failure> {
    for source in sources {
        for parameter in &source.secret_parameters {
            if parameter.secret != name {
                continue;
            }
            let refuse = |problem: &str| refusals::parameter(source, parameter, problem);
            let text = value(parameter, secret, room).map_err(refuse)?;
            let values = given.entry(source.name.clone()).or_default();
            values.insert(parameter.name.clone(), text);
        }
    }
    Ok(())
}

/// The value of a parameter; or what is wrong with it, and what mends that. How long it is exactly is nobody's business.
fn value(
    parameter: &SecretParameter,
    secret: Option<&SecretData>,
    room: &mut usize,
) -> Result<SecretText, &'static str> {
    let secret = secret.ok_or("which does not exist; create it")?;
    let value = secret.get(&parameter.key);
    let value = value.ok_or("which has no such key; add it")?;
    if value.len() > MAX_VALUE {
        return Err("which has more than 32768 bytes there; shorten it");
    }
    let rest = room.checked_sub(value.len());
    *room = rest.ok_or(
        "with which such parameters of the object have more than 262144 bytes together; shorten it",
    )?;
    text(value).ok_or("which is not text; encode it")
}

fn text(value: &SecretBytes) -> Option<SecretText> {
    let text = std::str::from_utf8(value.expose()).ok()?;
    Some(SecretText::new(text.to_owned()))
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
