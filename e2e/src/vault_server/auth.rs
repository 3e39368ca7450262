//! Authentication of service accounts: by token review at the API server, and by the tokens' signature.

use anyhow::Result;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use serde_json::{Value, json};

use super::VaultServer;
use crate::control_plane::{ControlPlane, TOKEN_LIFETIME};
use crate::objects;

/// The namespace and service account with which the server reviews tokens.
const REVIEWER: (&str, &str) = ("vault", "reviewer");

/// A role of an authentication mount.
#[derive(Debug, Clone)]
pub struct Role<'a> {
    /// Its name.
    pub name: &'a str,
    /// The namespace whose service accounts may use it.
    pub namespace: &'a str,
    /// The service account; `*` for any.
    pub account: &'a str,
    /// The policies its tokens get.
    pub policies: &'a [&'a str],
    /// Anything else: `{"audience": "…", "token_ttl": "1h", "token_type": "batch"}`. Overrides what the harness sets.
    pub more: Value,
}

impl VaultServer {
    /// Lets service accounts of the control plane log in at the mount `kubernetes`, with real token reviews.
    pub async fn enable_kubernetes_auth(
        &self,
        control_plane: &ControlPlane,
        mount: &str,
    ) -> Result<()> {
        let (namespace, name) = REVIEWER;
        let (core, rbac) = ("v1", "rbac.authorization.k8s.io");
        for object in [
            json!({ "apiVersion": core, "kind": kind::<Namespace>(), "metadata": { "name": namespace } }),
            json!({
                "apiVersion": core,
                "kind": kind::<ServiceAccount>(),
                "metadata": { "name": name, "namespace": namespace },
            }),
            json!({
                "apiVersion": format!("{rbac}/v1"),
                "kind": kind::<ClusterRoleBinding>(),
                "metadata": { "name": "vault-reviewer" },
                "roleRef": { "apiGroup": rbac, "kind": "ClusterRole", "name": "system:auth-delegator" },
                "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": namespace }],
            }),
        ] {
            objects::apply(control_plane.client(), &object).await?;
        }
        let reviewer = control_plane
            .token(namespace, name, None, TOKEN_LIFETIME)
            .await?;
        self.write(
            &format!("sys/auth/{mount}"),
            &json!({ "type": "kubernetes" }),
        )
        .await?;
        let config = json!({
            "kubernetes_host": control_plane.address(),
            "kubernetes_ca_cert": control_plane.authority().pem(),
            "token_reviewer_jwt": reviewer,
            "disable_local_ca_jwt": true,
        });
        self.write(&format!("auth/{mount}/config"), &config).await?;
        Ok(())
    }

    /// Lets service accounts log in at the mount by the signature of their tokens alone.
    pub async fn enable_jwt_auth(&self, control_plane: &ControlPlane, mount: &str) -> Result<()> {
        self.write(&format!("sys/auth/{mount}"), &json!({ "type": "jwt" }))
            .await?;
        let config = json!({ "jwt_validation_pubkeys": [control_plane.token_key()] });
        self.write(&format!("auth/{mount}/config"), &config).await?;
        Ok(())
    }

    /// A role of a Kubernetes mount, with the audience `vault`.
    pub async fn kubernetes_role(&self, mount: &str, role: &Role<'_>) -> Result<()> {
        let body = json!({
            "bound_service_account_names": [role.account],
            "bound_service_account_namespaces": [role.namespace],
            "audience": "vault",
            "token_policies": role.policies,
            "token_ttl": "1h",
        });
        self.role(mount, role, body).await
    }

    /// A role of a JWT mount, with the audience `vault`.
    pub async fn jwt_role(&self, mount: &str, role: &Role<'_>) -> Result<()> {
        let body = json!({
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_subject": format!("system:serviceaccount:{}:{}", role.namespace, role.account),
            "bound_audiences": ["vault"],
            "token_policies": role.policies,
            "token_ttl": "1h",
        });
        self.role(mount, role, body).await
    }

    async fn role(&self, mount: &str, role: &Role<'_>, mut body: Value) -> Result<()> {
        if let (Some(body), Some(more)) = (body.as_object_mut(), role.more.as_object()) {
            body.extend(more.clone());
        }
        self.write(&format!("auth/{mount}/role/{}", role.name), &body)
            .await?;
        Ok(())
    }
}

fn kind<K: k8s_openapi::Resource>() -> &'static str {
    K::KIND
}
