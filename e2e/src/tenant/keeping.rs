//! What a tenant keeps in Vault, and the objects that carry it into Secrets: the sentences that most tests begin with.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::{SecretView, Tenant};
use crate::ground::Mark;
use crate::wait::until;

/// What a tenant's own policy lets read, and what its tests take away or add to.
pub const READ: &[&str] = &["read"];

impl Tenant {
    /// Applies a `VaultSecret` of that name. `spec` is the YAML of its spec, not indented; where it has no `auth` the
    /// tenant's role is used, and where it has no `refresh` Vault is asked every two seconds.
    pub async fn carry(&self, name: &str, spec: &str) -> Result<Value> {
        let mut text = format!("kind: VaultSecret\nmetadata: {{ name: {name} }}\nspec:\n");
        for (field, usual) in [
            ("auth:", "auth: { role: $tenant }"),
            ("refresh:", "refresh: { interval: 2s }"),
        ] {
            if !spec.lines().any(|line| line.starts_with(field)) {
                writeln!(text, "  {usual}")?;
            }
        }
        for line in spec.lines() {
            writeln!(text, "  {line}")?;
        }
        self.apply(&text).await
    }

    /// Applies so many equal `VaultSecret`s, named `<prefix>-<number>`, several at a time.
    pub async fn carry_many(&self, prefix: &str, count: usize, spec: &str) -> Result<()> {
        futures::stream::iter(0..count)
            .map(|number| async move { self.carry(&format!("{prefix}-{number}"), spec).await })
            .buffer_unordered(8)
            .try_for_each(|_| async { Ok(()) })
            .await
    }

    /// Waits until so many Secrets whose name begins with `prefix` have this text under the key.
    pub async fn all_with(
        &self,
        prefix: &str,
        count: usize,
        key: &str,
        text: &str,
        deadline: Duration,
    ) -> Result<()> {
        let what = format!("{count} Secrets {prefix}… with {key}={text}");
        until(&what, deadline, async || {
            let found = self.secrets_now(prefix).await?;
            let right = found
                .iter()
                .filter(|secret| secret.text(key).is_ok_and(|found| found == text))
                .count();
            ensure!(right == count, "{right} of {} have it", found.len());
            Ok(Some(()))
        })
        .await
    }

    /// The Secrets whose name begins with `prefix`, as they are now.
    pub async fn secrets_now(&self, prefix: &str) -> Result<Vec<SecretView>> {
        let client = self.ground().control_plane().client().clone();
        let api: Api<Secret> = Api::namespaced(client, self.name());
        let list = api.list(&ListParams::default()).await?;
        let named = list.into_iter().filter(|secret| {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            name.starts_with(prefix)
        });
        Ok(named.map(SecretView).collect())
    }

    /// How often a path of the tenant's mount was read since a mark.
    pub fn reads_of(&self, path: &str, since: &Mark) -> Result<usize> {
        let path = format!("{}/data/{path}", self.name());
        let requests = self.vault_requests(since)?.reads();
        Ok(requests.only(|request| request.path == path).len())
    }

    /// Stores a secret as the very JSON text that is given, as a new version.
    pub async fn put_text(&self, path: &str, fields: &str) -> Result<()> {
        let body = format!(r#"{{"data":{fields}}}"#);
        self.vault()
            .write_text(&format!("{}/data/{path}", self.name()), body)
            .await
    }

    /// Deletes the newest version of a secret, so that it can be undeleted.
    pub async fn forget(&self, path: &str) -> Result<()> {
        self.vault()
            .delete(&format!("{}/data/{path}", self.name()))
            .await
    }

    /// Undeletes a version.
    pub async fn undelete(&self, path: &str, version: u64) -> Result<()> {
        self.versions("undelete", path, version).await
    }

    /// Destroys a version for good.
    pub async fn destroy(&self, path: &str, version: u64) -> Result<()> {
        self.versions("destroy", path, version).await
    }

    async fn versions(&self, verb: &str, path: &str, version: u64) -> Result<()> {
        let path = format!("{}/{verb}/{path}", self.name());
        self.vault()
            .write(&path, &json!({ "versions": [version] }))
            .await?;
        Ok(())
    }

    /// Removes a secret with all its versions, as if it had never been.
    pub async fn vanish(&self, path: &str) -> Result<()> {
        self.vault()
            .delete(&format!("{}/metadata/{path}", self.name()))
            .await
    }

    /// Mounts a KV engine of version 1 beside the tenant's own, with the tenant's name and `-v1` at its end, which the
    /// tenant's policy lets read as well.
    pub async fn mount_v1(&self) -> Result<String> {
        let mount = format!("{}-v1", self.name());
        self.vault().mount_kv(&mount, 1).await?;
        self.policy(&[("$tenant/data/*", READ), ("$tenant-v1/*", READ)])
            .await?;
        Ok(mount)
    }

    /// Stores a secret in a mount of version 1.
    pub async fn put_v1(&self, mount: &str, path: &str, data: &Value) -> Result<()> {
        self.ground().canaries().remember(data);
        self.vault().put_v1(mount, path, data).await
    }

    /// Waits for a complaint and fails unless its message has all these words in it; `$tenant` is the tenant's name.
    pub async fn complains_with(&self, name: &str, reason: &str, words: &[&str]) -> Result<()> {
        let message = self.complains(name, reason).await?;
        self.says(&message, words)
            .with_context(|| format!("VaultSecret {name}, {reason}"))
    }

    /// Fails unless the message has all these words in it; `$tenant` is the tenant's name.
    pub fn says(&self, message: &str, words: &[&str]) -> Result<()> {
        let words: Vec<String> = words
            .iter()
            .map(|word| word.replace("$tenant", self.name()))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        says(message, &words)
    }

    /// The notes of the events about an object of this namespace.
    pub async fn notes(&self, about: &str) -> Result<Vec<String>> {
        let client = self.ground().control_plane().client().clone();
        let api: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(client, self.name());
        let events = api.list(&ListParams::default()).await?;
        let about = events.into_iter().filter(|event| {
            let regarding = event.regarding.as_ref();
            regarding.and_then(|object| object.name.as_deref()) == Some(about)
        });
        Ok(about.filter_map(|event| event.note).collect())
    }
}

/// The YAML of one source, `app`, of the tenant's mount.
#[must_use]
pub fn source(path: &str) -> String {
    format!("sources: [{{ name: app, kv: {{ path: $tenant/{path} }} }}]")
}

/// Fails unless the message has all these words in it.
pub fn says(message: &str, words: &[&str]) -> Result<()> {
    let missing: Vec<_> = words
        .iter()
        .filter(|word| !message.contains(**word))
        .collect();
    ensure!(
        missing.is_empty(),
        "the message does not say {missing:?}; it says: {message}"
    );
    Ok(())
}
