//! A Secret as a test looks at it.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;

/// A Secret at one moment.
#[derive(Clone)]
pub struct SecretView(pub(super) Secret);

impl SecretView {
    /// The value of a key as text. Fails when the key is absent or not UTF-8.
    pub fn text(&self, key: &str) -> Result<String> {
        let bytes = self
            .bytes(key)
            .with_context(|| format!("find the key {key}; there are {:?}", self.keys()))?;
        String::from_utf8(bytes).with_context(|| format!("read the key {key} as text"))
    }

    /// Whether it is immutable.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        self.0.immutable == Some(true)
    }

    /// The value of a key.
    #[must_use]
    pub fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        self.0.data.as_ref()?.get(key).map(|value| value.0.clone())
    }

    /// The keys in their order.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        self.0
            .data
            .iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect()
    }

    /// The metadata.
    #[must_use]
    pub fn metadata(&self) -> &ObjectMeta {
        &self.0.metadata
    }

    /// The UID: another one means that the Secret was deleted and created.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.0.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The resource version: the same means that nothing was written.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        self.0
            .metadata
            .resource_version
            .as_deref()
            .unwrap_or_default()
    }

    /// `Opaque`, `kubernetes.io/tls`, …
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.type_.as_deref().unwrap_or_default()
    }
}
