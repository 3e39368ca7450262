//! The plainest `VaultSecret`, for tests that are about everything but what it reads.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::Tenant;
use crate::ground::Mark;
use crate::wait::{SOON, until};

impl Tenant {
    /// Applies a `VaultSecret` that copies the secret `app` of the tenant's mount; `spec` holds the other members of the spec:
    /// `auth: { role: $tenant }, refresh: { interval: 1s }`.
    pub async fn reader(&self, name: &str, spec: &str) -> Result<Value> {
        let object = format!(
            "{{ kind: VaultSecret, metadata: {{ name: {name} }}, spec: {{ {spec}, sources: [{{ name: app, kv: {{ path: $tenant/app }} }}] }} }}"
        );
        self.apply(&object).await
    }

    /// Waits until the tenant's service accounts have asked Vault for `path` at least so many times since a mark.
    pub async fn asks(&self, since: &Mark, path: &str, times: usize) -> Result<()> {
        let what = format!("{times} requests for {path}");
        until(&what, 2 * SOON, async || {
            let asked = self
                .vault_requests(since)?
                .only(|request| request.path == path);
            Ok((asked.len() >= times).then_some(()))
        })
        .await
    }

    /// Fails unless Vault has allowed every request of the tenant since a mark.
    pub fn ensure_nothing_refused(&self, since: &Mark) -> Result<()> {
        let refused = self
            .vault_requests(since)?
            .only(|request| !request.error.is_empty());
        ensure!(refused.is_empty(), "Vault refused:\n{refused}");
        Ok(())
    }

    /// How often the operator has written the status of the tenant's objects since a mark.
    pub async fn status_writes(&self, since: &Mark) -> Result<usize> {
        let requests = self.kube_requests(since).await?;
        Ok(requests.resource("vaultsecrets/status").writes().len())
    }
}
