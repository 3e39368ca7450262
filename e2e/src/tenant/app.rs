//! What most stories begin with: an application with a password in Vault, and the object that brings it.

use anyhow::{Context as _, Result};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{SecretView, Tenant};
use crate::control_plane::KubeRequests;
use crate::ground::Mark;

impl Tenant {
    /// Stores `password` for an application in Vault, applies its object, and waits until it is ready. The object polls at
    /// this interval, exactly. Both have the application's name, and so has the Secret.
    pub async fn app(&self, name: &str, password: &str, interval: &str) -> Result<SecretView> {
        self.password(name, password).await?;
        self.apply_app(name, interval).await?;
        self.ready(name).await?;
        self.secret(name).await
    }

    /// Stores another password for an application in Vault.
    pub async fn password(&self, name: &str, password: &str) -> Result<u64> {
        // No value is also a name: those are in plain sight everywhere.
        let data = json!({ "username": format!("user of {name}"), "password": password });
        self.put(name, data).await
    }

    /// Applies the object of an application, and does not wait.
    pub async fn apply_app(&self, name: &str, interval: &str) -> Result<Value> {
        let text = format!(
            "
kind: VaultSecret
metadata: {{ name: {name} }}
spec:
  auth: {{ role: $tenant }}
  sources: [{{ name: app, kv: {{ path: $tenant/{name} }} }}]
  destination: {{ labels: {{ team: shop }}, annotations: {{ note: kept }} }}
  refresh: {{ interval: {interval}, jitterPercent: 0 }}"
        );
        self.apply(&text).await
    }

    /// Changes an object by a JSON merge patch in the name of this field manager.
    pub async fn patch_as(
        &self,
        manager: &str,
        kind: &str,
        name: &str,
        change: &Value,
    ) -> Result<()> {
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        let patched = self
            .api(kind)
            .await?
            .patch(name, &params, &Patch::Merge(change))
            .await;
        patched.with_context(|| format!("patch {kind} {name} as {manager}"))?;
        Ok(())
    }

    /// What the operator has written in the tenant's namespace since a mark: Secrets, status, events, everything.
    pub async fn writes(&self, since: &Mark) -> Result<KubeRequests> {
        let requests = self.ground().kube_requests(since).await?;
        Ok(requests.writes().in_namespace(self.name()))
    }
}

/// The verb and the resource of each request, in their order: `update vaultsecrets/status`.
#[must_use]
pub fn in_words(requests: &KubeRequests) -> Vec<String> {
    requests
        .iter()
        .map(|request| format!("{} {}", request.verb, request.resource))
        .collect()
}
