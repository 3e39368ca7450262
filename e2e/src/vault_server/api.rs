//! The administrator's way to the server: any request, with the root token.

use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::VaultServer;
use crate::certificates::{Authority, Identity};

/// A client that trusts this authority only, and shows its certificate when asked.
pub(super) fn client(authority: &Authority, identity: &Identity) -> Result<reqwest::Client> {
    let ca = reqwest::Certificate::from_pem(authority.pem().as_bytes())?;
    let pem = format!("{}{}", identity.certificate, identity.key);
    let identity = reqwest::Identity::from_pem(pem.as_bytes())?;
    Ok(reqwest::Client::builder()
        .tls_certs_only([ca])
        .identity(identity)
        .no_proxy()
        .build()?)
}

impl VaultServer {
    /// Sends a request with the root token; `path` is what comes after `/v1/`, `Null` means no body. Returns the whole
    /// answer, `Null` when it has no body. Fails with the status and the server's errors.
    pub async fn api(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        self.api_as(&self.root.token, method, path, body).await
    }

    /// The same with another token; none when empty.
    pub async fn api_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value> {
        let what = format!("{method} {path}");
        let mut request = self
            .http
            .request(method, format!("{}/v1/{path}", self.address()));
        if !token.is_empty() {
            request = request.header("X-Vault-Token", token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| what.clone())?;
        let status = answer.status();
        let bytes = answer.bytes().await.with_context(|| what.clone())?;
        let value: Value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)?
        };
        if !status.is_success() {
            bail!("{what}: {status} {}", value["errors"]);
        }
        Ok(value)
    }

    /// `GET` of a path: its `data`.
    pub async fn read(&self, path: &str) -> Result<Value> {
        Ok(self.api(Method::GET, path, &Value::Null).await?["data"].take())
    }

    /// `POST` to a path.
    pub async fn write(&self, path: &str, body: &Value) -> Result<Value> {
        self.api(Method::POST, path, body).await
    }

    /// `POST` of a JSON text to a path, as it stands.
    pub async fn write_text(&self, path: &str, body: String) -> Result<()> {
        let url = format!("{}/v1/{path}", self.address());
        let request = self
            .http
            .post(url)
            .header("X-Vault-Token", &self.root.token);
        let answer = request.body(body).send().await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("POST {path}: {status} {}", answer.text().await?);
        }
        Ok(())
    }

    /// `DELETE` of a path.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.api(Method::DELETE, path, &Value::Null).await?;
        Ok(())
    }

    /// Writes an access policy: `[("secret/data/*", &["read"])]`.
    pub async fn policy(&self, name: &str, rules: &[(&str, &[&str])]) -> Result<()> {
        let paths: serde_json::Map<String, Value> = rules
            .iter()
            .map(|(path, can)| ((*path).to_owned(), json!({ "capabilities": can })))
            .collect();
        let policy = json!({ "path": paths }).to_string();
        self.api(
            Method::PUT,
            &format!("sys/policies/acl/{name}"),
            &json!({ "policy": policy }),
        )
        .await?;
        Ok(())
    }

    /// Logs in at an authentication mount and returns the token.
    pub async fn login(&self, mount: &str, body: &Value) -> Result<String> {
        let answer = self
            .api_as("", Method::POST, &format!("auth/{mount}/login"), body)
            .await?;
        let token = answer["auth"]["client_token"].as_str();
        token
            .map(str::to_owned)
            .ok_or_else(|| anyhow!("find the token in the answer of auth/{mount}/login"))
    }
}
