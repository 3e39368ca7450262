//! Kubernetes objects as the YAML that users write, applied, read and deleted whatever their kind.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::{self, Scope};
use kube::{Api, Client};
use serde_json::Value;

/// The field manager of the harness: a person with `kubectl`, as far as the cluster knows.
pub const MANAGER: &str = "a-person";

/// The version of the API under test.
pub const API_VERSION: &str = "vaultbridge.dev/v1alpha1";

/// The documents of a YAML text.
pub fn parse(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).with_context(|| format!("read the YAML:\n{text}"))?;
    Ok(documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect())
}

/// All documents of a YAML file, or of all YAML files of a folder in the order of their names.
pub fn read(path: &Path) -> Result<Vec<Value>> {
    let mut files: Vec<PathBuf> = if path.is_dir() {
        fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?
    } else {
        vec![path.to_path_buf()]
    };
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    ensure!(!files.is_empty(), "find YAML files in {}", path.display());
    let mut objects = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        objects.extend(parse(&text)?);
    }
    Ok(objects)
}

/// Creates the object or changes it to what it says, by server-side apply, taking fields over as a stubborn person
/// would. Waits for a custom resource definition to be served.
pub async fn apply(client: &Client, object: &Value) -> Result<DynamicObject> {
    let (api, name) = api_for(client, object).await?;
    let params = PatchParams::apply(MANAGER).force();
    let stored = api.patch(&name, &params, &Patch::Apply(object)).await?;
    if object["kind"] == "CustomResourceDefinition" {
        crate::wait::until("the new kind to be served", crate::wait::SOON, async || {
            let conditions = api.get(&name).await?.data["status"]["conditions"].clone();
            let all = conditions.as_array().cloned().unwrap_or_default();
            Ok(all
                .iter()
                .any(|one| one["type"] == "Established" && one["status"] == "True")
                .then_some(()))
        })
        .await?;
    }
    Ok(stored)
}

/// Creates the object. Fails when it is there already, or is refused.
pub async fn create(client: &Client, object: &Value) -> Result<DynamicObject> {
    let (api, _) = api_for(client, object).await?;
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    Ok(api.create(&PostParams::default(), &object).await?)
}

/// The API server's refusal of an object, as its message. Fails when it is accepted.
pub async fn refusal(client: &Client, object: &Value) -> Result<String> {
    let (api, name) = api_for(client, object).await?;
    let params = PatchParams::apply(MANAGER).force();
    match api.patch(&name, &params, &Patch::Apply(object)).await {
        Err(kube::Error::Api(status)) => Ok(status.message.clone()),
        Err(error) => Err(error.into()),
        Ok(_) => bail!(
            "the API server accepted {} {name}, which it should refuse",
            object["kind"]
        ),
    }
}

/// Deletes an object, which need not be there.
pub async fn delete(client: &Client, object: &Value) -> Result<()> {
    let (api, name) = api_for(client, object).await?;
    match api.delete(&name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The API for a kind, found out by asking the server; for all namespaces when `namespace` is empty.
pub async fn api(
    client: &Client,
    api_version: &str,
    kind: &str,
    namespace: &str,
) -> Result<Api<DynamicObject>> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = GroupVersionKind::gvk(group, version, kind);
    let (resource, capabilities) = discovery::pinned_kind(client, &kind)
        .await
        .with_context(|| format!("find the kind {kind:?}"))?;
    Ok(match capabilities.scope {
        Scope::Namespaced if namespace.is_empty() => Api::all_with(client.clone(), &resource),
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
    })
}

async fn api_for(client: &Client, object: &Value) -> Result<(Api<DynamicObject>, String)> {
    let text = |value: &Value, what: &str| {
        value
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("find {what} in the object {object}"))
    };
    let namespace = object["metadata"]["namespace"]
        .as_str()
        .unwrap_or("default");
    let api = api(
        client,
        &text(&object["apiVersion"], "apiVersion")?,
        &text(&object["kind"], "kind")?,
        namespace,
    )
    .await?;
    Ok((api, text(&object["metadata"]["name"], "metadata.name")?))
}
