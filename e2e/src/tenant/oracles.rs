//! What the operator asked of the servers for one tenant, by the servers' own words.

use anyhow::Result;

use super::Tenant;
use crate::control_plane::KubeRequests;
use crate::ground::Mark;
use crate::vault_server::VaultRequests;
use crate::wait::{SOON, until};

impl Tenant {
    /// This moment, once all that was answered before is in the logs.
    pub async fn mark(&self) -> Result<Mark> {
        self.ground().mark_with(self.vault()).await
    }

    /// What the operator has asked of Kubernetes in the tenant's namespace since a mark.
    pub async fn kube_requests(&self, since: &Mark) -> Result<KubeRequests> {
        Ok(self
            .ground()
            .kube_requests(since)
            .await?
            .in_namespace(self.name()))
    }

    /// What the tenant's Vault server was asked as the tenant since a mark, logins included.
    pub fn vault_requests(&self, since: &Mark) -> Result<VaultRequests> {
        Ok(since.vault_requests()?.of(self.name()))
    }

    /// Waits until a secret of the tenant's mount was read at least so many times since a mark: the way to let some
    /// polls go by and then see what they have, or have not, caused.
    pub async fn polls(&self, since: &Mark, path: &str, times: usize) -> Result<()> {
        let path = format!("{}/data/{path}", self.name());
        until(&format!("{times} reads of {path}"), 2 * SOON, async || {
            let reads = since
                .vault_requests()?
                .reads()
                .only(|request| request.path == path);
            Ok((reads.len() >= times).then_some(()))
        })
        .await
    }
}
