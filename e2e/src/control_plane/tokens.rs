//! Tokens of service accounts by TokenRequest, and kubeconfigs that carry them.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};

use super::{ControlPlane, kubeconfig};

/// How long the harness's own tokens live: longer than any run.
pub const TOKEN_LIFETIME: Duration = Duration::from_hours(24);

/// How many kubeconfigs were written, for names that nobody else uses.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

impl ControlPlane {
    /// A token of a service account for an audience; the API server's own audience when `None`.
    pub async fn token(
        &self,
        namespace: &str,
        account: &str,
        audience: Option<&str>,
        lifetime: Duration,
    ) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: audience.into_iter().map(str::to_owned).collect(),
                expiration_seconds: Some(i64::try_from(lifetime.as_secs())?),
                bound_object_ref: None,
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await;
        let answer = answer.with_context(|| format!("ask for a token of {namespace}/{account}"))?;
        Ok(answer.status.context("find the token in the answer")?.token)
    }

    /// A kubeconfig with which a program is that service account, and has its rights only.
    pub async fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let token = self.token(namespace, account, None, TOKEN_LIFETIME).await?;
        let config = kubeconfig::with_token(&self.address(), &self.authority.pem(), &token);
        let file = self
            .folder
            .join(format!("{namespace}-{account}.kubeconfig"));
        // Tests side by side ask for the same file: none may ever be read half written.
        let turn = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let half = file.with_extension(format!("kubeconfig.{turn}"));
        fs::write(&half, config.to_string())
            .and_then(|()| fs::rename(&half, &file))
            .with_context(|| format!("write {}", file.display()))?;
        Ok(file)
    }

    /// A client that is that service account.
    pub async fn client_of(&self, namespace: &str, account: &str) -> Result<Client> {
        kubeconfig::client(&self.kubeconfig_of(namespace, account).await?).await
    }

    /// A client that shows this token.
    pub async fn client_with(&self, token: &str) -> Result<Client> {
        let config = kubeconfig::with_token(&self.address(), &self.authority.pem(), token);
        kubeconfig::connect(serde_json::from_value(config)?).await
    }
}
