//! The files: objects that people would apply, and among them those that matter here.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::api::{TEMPLATE_LABEL, VaultSecret};
use crate::cluster::templates::TemplateTexts;
use crate::reconcile::offline::TemplateMaps;

/// What the files hold.
pub struct Files {
    /// The VaultSecrets, in their order.
    pub objects: Vec<Found>,
    /// The ConfigMaps with templates.
    pub templates: Templates,
}

/// A VaultSecret of a file.
pub struct Found {
    /// The object.
    pub object: VaultSecret,
    /// Fields that no VaultSecret has, each with its path.
    pub strange: Vec<String>,
}

/// ConfigMaps with templates, by namespace and name.
#[derive(Default)]
pub struct Templates(BTreeMap<String, TemplateMaps>);

impl Found {
    /// `namespace/name`, or the name alone.
    pub fn place(&self) -> String {
        let meta = &self.object.metadata;
        let name = meta.name.as_deref().unwrap_or_default();
        match meta.namespace.as_deref().unwrap_or_default() {
            "" => name.to_owned(),
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
    let mut files = Files {
        objects: Vec::new(),
        templates: Templates::default(),
    };
    for path in paths {
        let text = text(path)?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
            .map_err(|error| anyhow::anyhow!("read {}: {error}", path.display()))?;
        for document in documents {
            let taken = take(&document, &mut files);
            taken.with_context(|| format!("read {}", path.display()))?;
        }
    }
    Ok(files)
}

/// The text of a file; `-` is standard input.
pub fn text(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text).map(drop))
    };
    read.with_context(|| format!("read {}", path.display()))?;
    Ok(text)
}

fn take(document: &Value, files: &mut Files) -> anyhow::Result<()> {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    match (version, document["kind"].as_str().unwrap_or_default()) {
        ("v1", "List") => {
            let mut items = document["items"].as_array().into_iter().flatten();
            items.try_for_each(|item| take(item, files))
        }
        ("v1", "ConfigMap") => {
            take_config_map(document, &mut files.templates);
            Ok(())
        }
        (version, "VaultSecret") if version.starts_with("vaultbridge.dev/") => {
            files.objects.push(vault_secret(document)?);
            Ok(())
        }
        (version, "VaultSecret") => bail!(
            "a VaultSecret of {version:?} is of another operator; here apiVersion is vaultbridge.dev/v1alpha1"
        ),
        _ => Ok(()),
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

fn vault_secret(document: &Value) -> anyhow::Result<Found> {
    let name = document["metadata"]["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        bail!("a VaultSecret has no metadata.name");
    }
    let name = name.to_owned();
    let object: VaultSecret = serde_json::from_value(document.clone())
        .with_context(|| format!("read VaultSecret {name}"))?;
    let mut strange = Vec::new();
    // What was read and is not there when it is written again, nobody knows.
    let known = serde_json::to_value(&object.spec).context("compare the fields")?;
    unknown("spec", &document["spec"], &known, &mut strange);
    Ok(Found { object, strange })
}

fn unknown(path: &str, written: &Value, known: &Value, strange: &mut Vec<String>) {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => {
            for (name, value) in written.iter().filter(|(_, value)| !value.is_null()) {
                let path = format!("{path}.{name}");
                match known.get(name) {
                    Some(known) => unknown(&path, value, known, strange),
                    None => strange.push(path),
                }
            }
        }
        (Value::Array(written), Value::Array(known)) => {
            for (index, (written, known)) in written.iter().zip(known).enumerate() {
                unknown(&format!("{path}[{index}]"), written, known, strange);
            }
        }
        _ => {}
    }
}
