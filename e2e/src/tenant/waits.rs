//! Waiting for what should come about, on watches and with a deadline.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::watch_object;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{SecretView, Tenant};
use crate::wait::SOON;

impl Tenant {
    /// Waits until an object is there and the condition holds; `what` completes "waited for".
    pub async fn wait(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        condition: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let api = self.api(kind).await?;
        let goal = format!("{kind} {name} {what}");
        watch(api, name, &goal, SOON, |object| {
            let object = serde_json::to_value(object?).ok()?;
            condition(&object).then_some(object)
        })
        .await
    }

    /// Waits until an object is gone.
    pub async fn wait_gone(&self, kind: &str, name: &str) -> Result<()> {
        let goal = format!("{kind} {name} to be gone");
        watch(self.api(kind).await?, name, &goal, SOON, |object| {
            object.is_none().then_some(())
        })
        .await
    }

    /// Waits until a `VaultSecret` is ready, in its present generation.
    pub async fn ready(&self, name: &str) -> Result<Value> {
        self.wait("VaultSecret", name, "to be ready", |object| {
            current(object)
                && condition(object, "Ready").is_some_and(|ready| ready["status"] == "True")
        })
        .await
    }

    /// Waits until a `VaultSecret` has a condition that is `False` with this reason, in its present generation, and returns
    /// the condition's message.
    pub async fn complains(&self, name: &str, reason: &str) -> Result<String> {
        let matches = |one: &Value| one["status"] == "False" && one["reason"] == reason;
        let what = format!("to complain of {reason}");
        let object = self.wait("VaultSecret", name, &what, |object| {
            current(object) && conditions(object).iter().any(matches)
        });
        let object = object.await?;
        let found = conditions(&object)
            .iter()
            .find(|one| matches(one))
            .map(|one| one["message"].clone());
        Ok(found
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned())
    }

    /// Waits until a `VaultSecret` has a condition of this type with this status and reason, and returns its message.
    pub async fn reports(
        &self,
        name: &str,
        r#type: &str,
        status: &str,
        reason: &str,
    ) -> Result<String> {
        let what = format!("to report {type}={status}, {reason}");
        let object = self.wait("VaultSecret", name, &what, |object| {
            condition(object, r#type)
                .is_some_and(|one| one["status"] == status && one["reason"] == reason)
        });
        let object = object.await?;
        let message = condition(&object, r#type).and_then(|one| one["message"].as_str());
        Ok(message.unwrap_or_default().to_owned())
    }

    /// Waits until a Secret is there.
    pub async fn secret(&self, name: &str) -> Result<SecretView> {
        self.secret_when(name, "to be there", |_| true).await
    }

    /// Waits until a Secret is there and the condition holds; `what` completes "waited for the Secret".
    pub async fn secret_when(
        &self,
        name: &str,
        what: &str,
        condition: impl Fn(&SecretView) -> bool,
    ) -> Result<SecretView> {
        let api: Api<Secret> =
            Api::namespaced(self.ground().control_plane().client().clone(), self.name());
        let goal = format!("the Secret {name} {what}");
        watch(api, name, &goal, SOON, |secret| {
            secret.map(SecretView).filter(&condition)
        })
        .await
    }

    /// Waits until a key of a Secret has this text.
    pub async fn secret_with(&self, name: &str, key: &str, text: &str) -> Result<SecretView> {
        let what = format!("to have {key}={text}");
        self.secret_when(name, &what, |secret| {
            secret.text(key).is_ok_and(|found| found == text)
        })
        .await
    }

    /// A Secret as it is now, if it is there.
    pub async fn secret_now(&self, name: &str) -> Result<Option<SecretView>> {
        let api: Api<Secret> =
            Api::namespaced(self.ground().control_plane().client().clone(), self.name());
        Ok(api.get_opt(name).await?.map(SecretView))
    }
}

/// The conditions in the status of an object.
#[must_use]
pub fn conditions(object: &Value) -> &[Value] {
    object["status"]["conditions"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

/// One condition of an object, by its type.
#[must_use]
pub fn condition<'a>(object: &'a Value, r#type: &str) -> Option<&'a Value> {
    conditions(object).iter().find(|one| one["type"] == r#type)
}

/// Whether the status speaks of the spec as it is now.
fn current(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// Follows one object until `look` finds what it looks for. `None` means that the object is not there.
async fn watch<K, T>(
    api: Api<K>,
    name: &str,
    goal: &str,
    deadline: Duration,
    look: impl Fn(Option<K>) -> Option<T>,
) -> Result<T>
where
    K: kube::Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let follow = async {
        let mut states = std::pin::pin!(watch_object(api, name).default_backoff());
        while let Some(state) = states.next().await {
            // An error heals by itself: the API server may be restarting.
            let Ok(object) = state else { continue };
            if let Some(found) = look(object) {
                return Ok(found);
            }
        }
        bail!("the watch of {name} ended")
    };
    tokio::time::timeout(deadline, follow)
        .await
        .with_context(|| format!("waited {deadline:?} for {goal}"))?
}
