//! The files: objects that people would apply, and among them those that matter here.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use zeroize::Zeroizing;

use super::schema::Schema;
use crate::api::{TEMPLATE_LABEL, VaultSecret};
use crate::cluster::templates::TemplateTexts;
use crate::reconcile::offline::TemplateMaps;

/// The version of the API that is read here.
const VERSION: &str = "vaultbridge.dev/v1alpha1";

/// What the files hold.
pub struct Files {
    /// The VaultSecrets and VaultConnections, in their order.
    pub objects: Vec<Found>,
    /// The ConfigMaps with templates.
    pub templates: Templates,
}

/// An object of a file.
pub struct Found {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace, or empty.
    pub namespace: String,
    /// What stands there, or all that the API server would refuse.
    pub content: Result<Content, Vec<String>>,
}

/// What an object is.
pub enum Content {
    /// It becomes a Secret.
    Secret(Box<VaultSecret>),
    /// There is no more to say of it.
    Connection,
}

/// ConfigMaps with templates, by namespace and name.
#[derive(Default)]
pub struct Templates(BTreeMap<String, TemplateMaps>);

impl Found {
    /// `namespace/name`, or the name alone.
    pub fn place(&self) -> String {
        let name = &self.name;
        match self.namespace.as_str() {
            "" => name.clone(),
            namespace => format!("{namespace}/{name}"),
        }
    }
}

impl Templates {
    /// Those of the object's namespace.
    pub fn of(&self, object: &VaultSecret) -> TemplateMaps {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        self.0.get(namespace).cloned().unwrap_or_default()
    }
}

/// Reads the files. Kinds that are nobody's business here are passed over.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Files> {
    let mut schemas = Schema::all()?;
    let mut files = Files {
        objects: Vec::new(),
        templates: Templates::default(),
    };
    for path in paths {
        let text = text(path)?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
            .map_err(|error| anyhow::anyhow!("read {}: {}", path.display(), no_yaml(&error)))?;
        for document in documents {
            let taken = take(document, &mut schemas, &mut files);
            taken.with_context(|| format!("read {}", path.display()))?;
        }
    }
    Ok(files)
}

/// Where a file is no YAML. The words of the parser would show lines of the file, and there may be a Secret beside the objects.
fn no_yaml(error: &serde_saphyr::Error) -> String {
    let place = error.location().map(|place| {
        let (line, column) = (place.line(), place.column());
        format!(" at line {line}, column {column}")
    });
    let place = place.unwrap_or_default();
    format!(
        "it is no YAML{place}, or a field stands there twice; correct that, with quotes around what begins with a sign"
    )
}

/// The text of a file; `-` is standard input.
pub fn text(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text).map(drop))
    };
    let is_text = !matches!(&read, Err(error) if error.kind() == ErrorKind::InvalidData);
    ensure!(
        is_text,
        "read {}: it is no text in UTF-8; what is no text stands in Vault as Base64, and data[].decode makes bytes of it",
        path.display()
    );
    read.with_context(|| format!("read {}", path.display()))?;
    Ok(text)
}

fn take(document: Value, schemas: &mut [Schema], files: &mut Files) -> anyhow::Result<()> {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let version = text("/apiVersion").unwrap_or_default();
    match (version, text("/kind").unwrap_or_default()) {
        (_, "List") => {
            let items = document["items"].as_array().cloned().unwrap_or_default();
            let mut items = items.into_iter();
            items.try_for_each(|item| take(item, schemas, files))
        }
        ("v1", "ConfigMap") => {
            take_config_map(&document, &mut files.templates);
            Ok(())
        }
        (version, kind) => {
            let kind = kind.to_owned();
            let Some(schema) = schemas.iter_mut().find(|schema| schema.kind() == kind) else {
                return Ok(());
            };
            if version != VERSION {
                bail!(
                    "a {kind} of {version:?} is not one of Vaultbridge; here apiVersion is {VERSION}"
                );
            }
            files.objects.push(found(document, schema)?);
            Ok(())
        }
    }
}

fn take_config_map(document: &Value, templates: &mut Templates) {
    let meta = &document["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (label, wanted) = TEMPLATE_LABEL
        .split_once('=')
        .unwrap_or((TEMPLATE_LABEL, ""));
    if meta["labels"][label] != wanted {
        return;
    }
    let data = document["data"].as_object().into_iter().flatten();
    let data = data.map(|(key, value)| (key.clone(), text(value)));
    let texts = TemplateTexts::of(String::new(), data);
    let of_namespace = templates.0.entry(text(&meta["namespace"])).or_default();
    of_namespace.insert(text(&meta["name"]), Arc::new(texts));
}

fn found(mut document: Value, schema: &mut Schema) -> anyhow::Result<Found> {
    let kind = schema.kind().to_owned();
    let text = |field: &str| {
        let text = document["metadata"][field].as_str();
        text.unwrap_or_default().to_owned()
    };
    let (name, namespace) = (text("name"), text("namespace"));
    if name.is_empty() {
        bail!("a {kind} has no metadata.name; give it one");
    }
    let problems = schema.check(&mut document)?;
    let content = match kind.as_str() {
        _ if !problems.is_empty() => Err(problems),
        "VaultSecret" => {
            let object = serde_json::from_value(document);
            let object = object.with_context(|| format!("read {kind} {name}"))?;
            Ok(Content::Secret(Box::new(object)))
        }
        _ => Ok(Content::Connection),
    };
    Ok(Found {
        kind,
        name,
        namespace,
        content,
    })
}
