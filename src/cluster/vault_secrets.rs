//! Reading a VaultSecret as it is right now, and putting our finalizers on it or taking them off.

#![expect(clippy::disallowed_methods, reason = "finalizers are written here")]

use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::caches::Key;
use super::patience::in_time;
use super::write_error::WriteError;
use crate::api::{MANAGER, VaultSecret};

/// The object as the API server has it now; `None` if there is none.
pub async fn get(client: &Client, key: &Key) -> Result<Option<VaultSecret>, WriteError> {
    let api: Api<VaultSecret> = Api::namespaced(client.clone(), &key.namespace);
    let mut object = in_time(api.get_opt(&key.name)).await?;
    if let Some(object) = &mut object {
        object.metadata.managed_fields = None;
    }
    Ok(object)
}

/// Puts one of our finalizers on the object, or takes it off, if the object is still as we know it. Returns the object as it is now.
pub async fn protect(
    client: &Client,
    object: &VaultSecret,
    finalizer: &str,
    protected: bool,
) -> Result<VaultSecret, WriteError> {
    let meta = &object.metadata;
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    finalizers.retain(|name| name != finalizer);
    if protected {
        finalizers.push(finalizer.to_owned());
    }
    let patch = json!({"metadata": {
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
        "finalizers": finalizers,
    }});
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let api: Api<VaultSecret> = Api::namespaced(client.clone(), namespace);
    let name = meta.name.as_deref().unwrap_or_default();
    let params = PatchParams {
        field_manager: Some(MANAGER.into()),
        ..PatchParams::default()
    };
    let mut written = in_time(api.patch(name, &params, &Patch::Merge(&patch))).await?;
    written.metadata.managed_fields = None;
    Ok(written)
}
