//! `vaultbridge render`: what Secret an object would become, without a cluster. The code that a pass runs, on files.

mod files;
mod print;
mod schema;
mod values;
mod vault;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::api::{Reason, VaultSecret};
use crate::reconcile::offline::{Given, Of, Plan, Refused, Rendered, Wanted, plan};
use files::{Content, Files, Found};
pub use print::{Format, Shown, print};
use values::Values;
pub use vault::Server;
use vault::{Answer, Asking};

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
    /// The Secret, or all that is known of why there is none.
    pub result: Result<Rendered, Vec<Refused>>,
}

/// Renders every object. Fails where it could not find out what becomes of one: files that cannot be read, a Vault that does not answer.
pub async fn render(options: &Options) -> anyhow::Result<Vec<Outcome>> {
    let standard = options.files.iter().chain(&options.values);
    if standard.filter(|path| path.as_os_str() == "-").count() > 1 {
        bail!("standard input can be read once only: name a file for all but one -");
    }
    let Files { objects, templates } = files::read(&options.files)?;
    let given = match &options.values {
        Some(path) => values::read(path)?,
        None => Values::new(),
    };
    check_names(&objects, &given)?;
    let is_meant = |found: &Found| match &options.only {
        Some(name) => found.kind == "VaultSecret" && found.name == *name,
        None => true,
    };
    let objects: Vec<Found> = objects.into_iter().filter(is_meant).collect();
    if objects.is_empty() {
        let which = options.only.iter().map(|name| format!(" {name}"));
        let files = options.files.iter().map(|path| path.display().to_string());
        bail!(
            "there is no VaultSecret{} in {}; name the files that you would apply",
            which.collect::<String>(),
            files.collect::<Vec<_>>().join(", ")
        );
    }
    let mut outcomes = Vec::with_capacity(objects.len());
    for found in objects {
        let object = found.place();
        let result = match &found.content {
            Err(problems) => Err(problems.iter().map(|problem| refused(problem)).collect()),
            Ok(Content::Connection) => continue,
            Ok(Content::Secret(secret)) => match plan(secret, &templates.of(secret)) {
                Ok(plan) => make(plan, &object, secret, &given, options.server.as_ref())
                    .await?
                    .map_err(|refused| vec![refused]),
                Err(refused) => Err(vec![refused]),
            },
        };
        outcomes.push(Outcome { object, result });
    }
    Ok(outcomes)
}

/// What the API server would not take.
fn refused(problem: &str) -> Refused {
    Refused {
        reason: Reason::InvalidSpec,
        message: problem.to_owned(),
    }
}

/// Finds the values, and makes the Secret of them.
async fn make(
    plan: Plan,
    place: &str,
    object: &VaultSecret,
    given: &Values,
    server: Option<&Server>,
) -> anyhow::Result<Result<Rendered, Refused>> {
    let mut values = BTreeMap::new();
    for wanted in plan.wanted() {
        let value = match (given.get(&wanted.name), server) {
            (Some(text), _) => values::given(wanted, text.as_ref())?,
            (None, Some(server)) => ask(wanted, place, object, server).await?,
            (None, None) if wanted.optional => Ok(None),
            (None, None) => bail!(
                "{place}: source {} has no value; give it one with --values, such as {}, or read it with --from-vault",
                wanted.name,
                values::such_as(wanted)
            ),
        };
        match value {
            Ok(value) => values.extend(value.map(|value| (wanted.name.clone(), value))),
            Err(refused) => return Ok(Err(refused)),
        }
    }
    Ok(plan.make(values))
}

/// Has a value from Vault.
async fn ask(
    wanted: &Wanted,
    place: &str,
    object: &VaultSecret,
    server: &Server,
) -> Answer<Option<Given>> {
    let asking = Asking {
        server,
        namespace: &object.spec.vault_namespace,
        source: &wanted.name,
    };
    let answer = match &wanted.of {
        Of::Entry(place) => match asking.entry(place).await {
            Ok(Ok(json)) => Ok(Ok(Some(Given::One(json)))),
            Ok(Err(_)) if wanted.optional => Ok(Ok(None)),
            Ok(Err(refused)) => Ok(Err(refused)),
            Err(error) => Err(error),
        },
        Of::Folder(folder) => asking.folder(folder).await,
        Of::Issued => bail!(
            "{place}: source {} is issued by Vault, and a preview must not have anything issued; give it a value with --values, such as {}",
            wanted.name,
            values::such_as(wanted)
        ),
    };
    answer.with_context(|| place.to_owned())
}

/// A name among the values that no object knows is a typing error, and the value would be missed silently where its source is optional. It cannot be told
/// while an object is not known as a whole.
fn check_names(objects: &[Found], given: &Values) -> anyhow::Result<()> {
    let mut names = BTreeSet::new();
    for found in objects {
        match &found.content {
            Ok(Content::Secret(object)) => {
                names.extend(object.spec.sources.iter().map(|source| &*source.name));
            }
            Ok(Content::Connection) => {}
            Err(_) => return Ok(()),
        }
    }
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
