//! Kubeconfigs as JSON, which is YAML too, and clients made of them.

use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::certificates::Identity;

/// For a user with a client certificate.
pub(super) fn with_certificate(server: &str, ca: &str, identity: &Identity) -> Value {
    let user = json!({
        "client-certificate-data": STANDARD.encode(&identity.certificate),
        "client-key-data": STANDARD.encode(&identity.key),
    });
    kubeconfig(server, ca, &user)
}

/// For a user with a token.
pub(super) fn with_token(server: &str, ca: &str, token: &str) -> Value {
    kubeconfig(server, ca, &json!({ "token": token }))
}

fn kubeconfig(server: &str, ca: &str, user: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "test",
            "cluster": { "server": server, "certificate-authority-data": STANDARD.encode(ca) },
        }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "user" } }],
        "current-context": "test",
    })
}

/// A client for what a kubeconfig says.
pub(super) async fn client(file: &Path) -> Result<Client> {
    let kubeconfig =
        Kubeconfig::read_from(file).with_context(|| format!("read {}", file.display()))?;
    connect(kubeconfig).await
}

/// A client for a kubeconfig.
pub(super) async fn connect(kubeconfig: Kubeconfig) -> Result<Client> {
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
