//! `vaultbridge render`: what Secret an object would become, without a cluster. The code that a pass runs, on files.

mod files;
mod print;
mod vault;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use crate::api::Reason;
use crate::reconcile::offline::{Of, Plan, Refused, Rendered, plan};
use crate::sensitive::{JsonRef, SecretJson};
use files::{Files, Found};
pub use print::{Format, Shown, print};
pub use vault::Server;

/// What to render, and of what.
pub struct Options {
    /// The files with the objects; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The only object to render, by its name.
    pub only: Option<String>,
    /// The file with values, by the names of sources; `-` is standard input.
    pub values: Option<PathBuf>,
    /// Where the other values are read.
    pub server: Option<Server>,
}

/// What became of one object.
pub struct Outcome {
    /// The object, as `namespace/name`.
    pub object: String,
    /// The Secret, or why there is none.
    pub result: Result<Rendered, Refused>,
}

/// Renders every object. Fails where it could not find out what becomes of one: files that cannot be read, a Vault that does not answer.
pub async fn render(options: &Options) -> anyhow::Result<Vec<Outcome>> {
    let Files { objects, templates } = files::read(&options.files)?;
    let given = match &options.values {
        Some(path) => values(path)?,
        None => BTreeMap::new(),
    };
    let named = |found: &Found| match &options.only {
        Some(name) => found.object.metadata.name.as_ref() == Some(name),
        None => true,
    };
    check_names(&objects, &given)?;
    let objects: Vec<Found> = objects.into_iter().filter(named).collect();
    if objects.is_empty() {
        match &options.only {
            Some(name) => bail!("there is no VaultSecret {name} in these files"),
            None => bail!("there is no VaultSecret in these files"),
        }
    }
    let mut outcomes = Vec::with_capacity(objects.len());
    for found in objects {
        let result = match found.strange.first() {
            Some(field) => Err(Refused {
                reason: Reason::InvalidSpec,
                message: format!("{field} is no field of a VaultSecret; correct or remove it"),
            }),
            None => match plan(&found.object, &templates.of(&found.object)) {
                Ok(plan) => make(plan, &found, &given, options.server.as_ref()).await?,
                Err(refused) => Err(refused),
            },
        };
        outcomes.push(Outcome {
            object: found.place(),
            result,
        });
    }
    Ok(outcomes)
}

/// Finds the values, and makes the Secret of them.
async fn make(
    plan: Plan,
    found: &Found,
    given: &BTreeMap<String, Option<Zeroizing<String>>>,
    server: Option<&Server>,
) -> anyhow::Result<Result<Rendered, Refused>> {
    let mut values = BTreeMap::new();
    for wanted in plan.wanted() {
        let value = match (given.get(&wanted.name), &wanted.of, server) {
            (Some(None), _, _) => None,
            (Some(Some(text)), _, _) => Some(document(&wanted.name, text)?),
            (None, Of::Entry(place), Some(server)) => {
                let namespace = &found.object.spec.vault_namespace;
                match vault::read(server, namespace, &wanted.name, place).await? {
                    Ok(value) => Some(value),
                    Err(_) if wanted.optional => None,
                    Err(refused) => return Ok(Err(refused)),
                }
            }
            (None, Of::Folder, Some(_)) => bail!(
                "{}: source {name} is a folder, which a preview does not read; give it a value with --values, such as {{\"{name}\": {{\"smtp\": {{\"password\": \"…\"}}}}}}",
                found.place(),
                name = wanted.name
            ),
            (None, Of::Issued, Some(_)) => bail!(
                "{}: source {name} is issued by Vault, and a preview must not have anything issued; give it a value with --values, such as {{\"{name}\": {{\"username\": \"…\"}}}}",
                found.place(),
                name = wanted.name
            ),
            (None, _, None) if wanted.optional => None,
            (None, _, None) => bail!(
                "{}: source {name} has no value; give it one with --values, such as {{\"{name}\": {{\"password\": \"…\"}}}}, or read it with --from-vault",
                found.place(),
                name = wanted.name
            ),
        };
        values.extend(value.map(|value| (wanted.name.clone(), value)));
    }
    Ok(plan.make(values))
}

/// A name among the values that no object knows is a typing error, and the value would be missed silently where its source is optional.
fn check_names(
    objects: &[Found],
    given: &BTreeMap<String, Option<Zeroizing<String>>>,
) -> anyhow::Result<()> {
    let sources = objects.iter().flat_map(|found| &found.object.spec.sources);
    let names: BTreeSet<&str> = sources.map(|source| source.name.as_str()).collect();
    for name in given.keys() {
        if !names.contains(name.as_str()) {
            let known: Vec<&str> = names.iter().copied().collect();
            bail!(
                "the values name the source {name:?}, which no object has; they have {}",
                known.join(", ")
            );
        }
    }
    Ok(())
}

/// The values by the names of sources, each as the text that it is; `null` is a source that is absent.
fn values(path: &Path) -> anyhow::Result<BTreeMap<String, Option<Zeroizing<String>>>> {
    let text = files::text(path)?;
    let whole = SecretJson::parse(text);
    let whole = whole.map_err(|error| anyhow::anyhow!("read {}: {error}", path.display()))?;
    let members = whole.root().and_then(JsonRef::members);
    let members = members.with_context(|| {
        format!(
            "read {}: it must be one JSON object with a member for each source, such as {{\"app\": {{\"password\": \"…\"}}}}",
            path.display()
        )
    })?;
    let text = |value: JsonRef<'_>| {
        let json = value.to_json();
        let text = String::from_utf8_lossy(json.expose()).into_owned();
        (!value.is_null()).then(|| Zeroizing::new(text))
    };
    Ok(members
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect())
}

fn document(name: &str, text: &Zeroizing<String>) -> anyhow::Result<SecretJson> {
    let document = SecretJson::parse(text.clone());
    document.map_err(|error| anyhow::anyhow!("use the value of source {name}: {error}"))
}
