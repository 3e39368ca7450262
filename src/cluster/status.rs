//! Writing status: the whole of it at once, and only over the object that it was worked out from.

#![expect(clippy::disallowed_methods, reason = "status is written here")]

use kube::api::PostParams;
use kube::{Api, Client};

use super::patience::in_time;
use super::write_error::WriteError;
use crate::api::{MANAGER, VaultConnection, VaultSecret};

/// Replaces the status of `object`, whose `resourceVersion` is the precondition. Returns the object as it is now, without its
/// `managedFields`, which are as long as the rest.
pub async fn replace_vault_secret(
    client: &Client,
    object: &VaultSecret,
) -> Result<VaultSecret, WriteError> {
    let api: Api<VaultSecret> = Api::namespaced(
        client.clone(),
        object.metadata.namespace.as_deref().unwrap_or_default(),
    );
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let mut written = in_time(api.replace_status(name, &params(), object)).await?;
    written.metadata.managed_fields = None;
    Ok(written)
}

/// Replaces the status of `object`, whose `resourceVersion` is the precondition.
pub async fn replace_vault_connection(
    client: &Client,
    object: &VaultConnection,
) -> Result<VaultConnection, WriteError> {
    let api: Api<VaultConnection> = Api::all(client.clone());
    let name = object.metadata.name.as_deref().unwrap_or_default();
    Ok(in_time(api.replace_status(name, &params(), object)).await?)
}

fn params() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.into()),
        ..PostParams::default()
    }
}
