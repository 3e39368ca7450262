//! Vault namespaces: servers within the server. OpenBao has them, and the paid editions of Vault.

use anyhow::Result;
use serde_json::json;

use super::{VaultKind, VaultServer};
use crate::control_plane::ControlPlane;

impl VaultServer {
    /// Whether there can be namespaces on this server.
    #[must_use]
    pub fn has_namespaces(&self) -> bool {
        match self.kind() {
            VaultKind::OpenBao => true,
            VaultKind::Vault => false,
        }
    }

    /// Creates a namespace, such as `team` or `team/dev`. Its requests are those of [`api`](Self::api) with `<namespace>/` in front.
    pub async fn create_namespace(&self, namespace: &str) -> Result<()> {
        let path = match namespace.rsplit_once('/') {
            Some((parent, name)) => format!("{parent}/sys/namespaces/{name}"),
            None => format!("sys/namespaces/{namespace}"),
        };
        self.write(&path, &json!({})).await?;
        Ok(())
    }

    /// Lets a service account's default tokens log in within a namespace, at its mount `jwt` with the role `app`, which may do
    /// what the policy says: a path and its capabilities.
    pub async fn admit_in_namespace(
        &self,
        namespace: &str,
        control_plane: &ControlPlane,
        subject: &str,
        (path, capabilities): (&str, &[&str]),
    ) -> Result<()> {
        let policy = json!({ "path": { path: { "capabilities": capabilities } } }).to_string();
        let role = json!({
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_subject": subject,
            "bound_audiences": ["vault"],
            "token_policies": ["app"],
        });
        let config = json!({ "jwt_validation_pubkeys": [control_plane.token_key()] });
        for (path, body) in [
            ("sys/auth/jwt", json!({ "type": "jwt" })),
            ("auth/jwt/config", config),
            ("sys/policies/acl/app", json!({ "policy": policy })),
            ("auth/jwt/role/app", role),
        ] {
            self.write(&format!("{namespace}/{path}"), &body).await?;
        }
        Ok(())
    }
}
