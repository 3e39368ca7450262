//! What the people of a namespace do with objects: apply, edit, delete, and be refused.

use anyhow::{Context as _, Result, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::Value;

use super::{Tenant, says};
use crate::objects;

/// Kinds without a namespace, as far as tests write them.
const CLUSTER_WIDE: [&str; 7] = [
    "CustomResourceDefinition",
    "VaultConnection",
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

impl Tenant {
    /// Creates an object or changes it to what the YAML says, and returns it as stored.
    ///
    /// In the text `$tenant` stands for the tenant's name, `$connection` for its connection and `$vault` for the address of
    /// its Vault. `apiVersion` may be left out of our own kinds and of the core ones, `namespace` of everything, and
    /// `connectionRef` is filled in when the tenant has a Vault of its own.
    pub async fn apply(&self, yaml: &str) -> Result<Value> {
        let object = self.object(yaml)?;
        let stored = objects::apply(self.ground.control_plane().client(), &object).await;
        let stored = stored.with_context(|| format!("apply\n{yaml}"))?;
        Ok(serde_json::to_value(stored)?)
    }

    /// The message with which the API server refuses the YAML. Fails when it is accepted.
    pub async fn refusal(&self, yaml: &str) -> Result<String> {
        let object = self.object(yaml)?;
        objects::refusal(self.ground.control_plane().client(), &object)
            .await
            .with_context(|| format!("apply\n{yaml}"))
    }

    /// Fails unless the API server refuses the YAML with a message that contains all these words.
    pub async fn expect_refusal(&self, yaml: &str, words: &[&str]) -> Result<()> {
        let message = self.refusal(yaml).await?;
        says(&message, words)
    }

    /// Changes an object by a JSON merge patch, as a person with `kubectl patch`.
    pub async fn patch(&self, kind: &str, name: &str, change: &Value) -> Result<Value> {
        let api = self.api(kind).await?;
        let params = PatchParams {
            field_manager: Some(objects::MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let stored = api.patch(name, &params, &Patch::Merge(change)).await;
        Ok(serde_json::to_value(
            stored.with_context(|| format!("patch {kind} {name}"))?,
        )?)
    }

    /// Deletes an object, which need not be there.
    pub async fn delete(&self, kind: &str, name: &str) -> Result<()> {
        match self
            .api(kind)
            .await?
            .delete(name, &kube::api::DeleteParams::default())
            .await
        {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error).with_context(|| format!("delete {kind} {name}")),
        }
    }

    /// An object as it is now, if it is there.
    pub async fn get(&self, kind: &str, name: &str) -> Result<Option<Value>> {
        let object = self.api(kind).await?.get_opt(name).await?;
        Ok(object.map(serde_json::to_value).transpose()?)
    }

    /// The API of a kind in the tenant's namespace: `VaultSecret`, `Secret`, or with its version `apps/v1/Deployment`.
    pub async fn api(&self, kind: &str) -> Result<Api<DynamicObject>> {
        let (version, kind) = kind.rsplit_once('/').unwrap_or((version(kind), kind));
        objects::api(
            self.ground.control_plane().client(),
            version,
            kind,
            &self.name,
        )
        .await
    }

    /// The object that the YAML means.
    pub(super) fn object(&self, yaml: &str) -> Result<Value> {
        let text = outdented(yaml)
            .replace("$tenant", &self.name)
            .replace("$connection", &self.connection)
            .replace("$vault", self.vault.address());
        let mut documents = objects::parse(&text)?;
        ensure!(
            documents.len() == 1,
            "read one object, but there are {} in\n{text}",
            documents.len()
        );
        let mut object = documents.remove(0);
        let kind = object["kind"]
            .as_str()
            .with_context(|| format!("find the kind in\n{text}"))?
            .to_owned();
        if object["apiVersion"].is_null() {
            object["apiVersion"] = version(&kind).into();
        }
        if object["metadata"]["namespace"].is_null() && !CLUSTER_WIDE.contains(&kind.as_str()) {
            object["metadata"]["namespace"] = self.name.clone().into();
        }
        if kind == "VaultSecret"
            && self.connection != "default"
            && object["spec"]["connectionRef"].is_null()
        {
            object["spec"]["connectionRef"] = serde_json::json!({ "name": self.connection });
        }
        Ok(object)
    }
}

/// YAML that stands in Rust code begins beside the quotation mark and goes on at the code's own indentation: the
/// indentation that all lines but the first share is taken away.
fn outdented(yaml: &str) -> String {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let rest = yaml.lines().skip(1).filter(|line| !line.trim().is_empty());
    let common = rest.map(indentation).min().unwrap_or_default();
    let lines = yaml.lines().enumerate().map(|(number, line)| {
        if number == 0 {
            line
        } else {
            line.get(common..).unwrap_or_default()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The version of a kind that is named without one.
fn version(kind: &str) -> &'static str {
    if kind.starts_with("Vault") {
        objects::API_VERSION
    } else {
        "v1"
    }
}

#[cfg(test)]
mod tests {
    use super::outdented;

    #[test]
    fn yaml_in_code_is_moved_to_the_margin() {
        let margin = "kind: A\nmetadata:\n  name: b";
        assert_eq!(outdented("kind: A\n    metadata:\n      name: b\n"), margin);
        assert_eq!(
            outdented("\n  kind: A\n  metadata:\n    name: b\n").trim_start(),
            margin
        );
        assert_eq!(outdented(margin), margin);
    }
}
