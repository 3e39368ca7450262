//! Workloads that use a Secret: looked at when a restart is due, and restarted by a mark on their pod template.
//!
//! Nothing of them is watched or kept: in a large cluster they are many and change all the time, and what is asked of them is
//! asked seldom. Of each answer only the few fields are read that a decision needs, and they are alike enough in all four kinds.

#![expect(clippy::disallowed_methods, reason = "workloads are restarted here")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{ApiResource, ListParams, Object, Patch, PatchParams};
use kube::core::{GroupVersionKind, Selector};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::caches::Key;
use super::patience::in_time;
use super::write_error::WriteError;
use crate::api::MANAGER;
use crate::api::rollout::{MAX_WORKLOADS, WorkloadKind};

/// A workload as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Its resource version: the condition of a write.
    pub resource_version: String,
    /// Its generation: which spec its status must tell of.
    pub generation: i64,
    /// What it shall be.
    pub spec: WorkloadSpec,
    /// What its controller says of it.
    pub status: WorkloadStatus,
}

/// What a workload shall be, as far as a restart is concerned.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSpec {
    /// How many pods; one if nobody says. A `DaemonSet` has no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// Whether its controller is to let it be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// What its pods are made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// How pods are replaced. Of a Deployment and a Rollout this is `strategy`, which replaces them by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,
    /// Rollout: the workload that the template is taken from, instead of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_ref: Option<WorkloadRef>,
}

/// What pods are made of.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct Template {
    /// Their metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMeta>,
}

/// The metadata of pods.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct TemplateMeta {
    /// Their annotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// How pods are replaced.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateStrategy {
    /// `RollingUpdate` or `OnDelete`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The details of the former.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdate>,
}

/// How pods are replaced one after the other.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct RollingUpdate {
    /// `StatefulSet`: pods with a lower number than this are left as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i64>,
}

/// Another workload.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct WorkloadRef {
    /// Its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What the controller of a workload says of it. Each kind has some of these.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadStatus {
    /// Generation that the rest tells of. Argo Rollouts write it as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<Value>,
    /// Pods that there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// Of these, pods of the present template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_replicas: Option<i64>,
    /// Pods that are available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_replicas: Option<i64>,
    /// `DaemonSet`: nodes that shall run a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_number_scheduled: Option<i64>,
    /// `DaemonSet`: of these, nodes with a pod of the present template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_number_scheduled: Option<i64>,
    /// `DaemonSet`: nodes whose pod is available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_available: Option<i64>,
    /// Rollout: `Healthy`, `Progressing`, `Paused` or `Degraded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<WorkloadCondition>>,
}

/// A condition of a workload.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct WorkloadCondition {
    /// Which.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
}

impl Workload {
    /// The value of an annotation of the pod template.
    pub fn mark(&self, annotation: &str) -> Option<&str> {
        let metadata = self.spec.template.as_ref()?.metadata.as_ref()?;
        metadata
            .annotations
            .as_ref()?
            .get(annotation)
            .map(String::as_str)
    }

    fn reduce(object: Raw) -> Self {
        Self {
            name: object.metadata.name.unwrap_or_default(),
            resource_version: object.metadata.resource_version.unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default(),
            spec: object.spec,
            status: object.status.unwrap_or_default(),
        }
    }
}

type Raw = Object<WorkloadSpec, WorkloadStatus>;

/// Why no workload was found.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// There is none of that name.
    #[error("it does not exist")]
    Missing,
    /// The cluster has no such kind.
    #[error("this cluster does not have the kind")]
    NoSuchKind,
    /// There are more than [`MAX_WORKLOADS`].
    #[error("there are too many")]
    TooMany,
    /// The request failed.
    #[error("{0}")]
    Failed(WriteError),
}

/// The workload of that name.
pub async fn get(client: &Client, kind: WorkloadKind, key: &Key) -> Result<Workload, LookError> {
    let found = in_time(api(client, kind, &key.namespace).get(&key.name)).await;
    found.map(Workload::reduce).map_err(look_error)
}

/// The workloads with these labels, at most [`MAX_WORKLOADS`].
pub async fn list(
    client: &Client,
    kind: WorkloadKind,
    namespace: &str,
    labels: &LabelSelector,
) -> Result<Vec<Workload>, LookError> {
    let selector = Selector::try_from(labels.clone())
        .map_err(|error| LookError::Failed(WriteError::Invalid(error.to_string())))?;
    let one_more = u32::try_from(MAX_WORKLOADS + 1).unwrap_or(u32::MAX);
    let params = ListParams::default().labels_from(&selector).limit(one_more);
    let found = in_time(api(client, kind, namespace).list(&params)).await;
    let found = found.map_err(look_error)?;
    if found.items.len() > MAX_WORKLOADS {
        return Err(LookError::TooMany);
    }
    Ok(found.items.into_iter().map(Workload::reduce).collect())
}

/// Sets an annotation of the pod template, if the workload is still as it was seen; otherwise [`WriteError::Conflict`]. Returns it as it
/// is then.
pub async fn mark(
    client: &Client,
    kind: WorkloadKind,
    namespace: &str,
    seen: &Workload,
    (annotation, value): (&str, &str),
) -> Result<Workload, WriteError> {
    let params = PatchParams {
        field_manager: Some(MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({
        "metadata": { "resourceVersion": seen.resource_version },
        "spec": { "template": { "metadata": { "annotations": { annotation: value } } } },
    }));
    let patched = in_time(api(client, kind, namespace).patch(&seen.name, &params, &patch)).await;
    Ok(Workload::reduce(patched?))
}

fn api(client: &Client, kind: WorkloadKind, namespace: &str) -> Api<Raw> {
    let (group, version, plural) = match kind {
        WorkloadKind::Deployment => ("apps", "v1", "deployments"),
        WorkloadKind::StatefulSet => ("apps", "v1", "statefulsets"),
        WorkloadKind::DaemonSet => ("apps", "v1", "daemonsets"),
        WorkloadKind::Rollout => ("argoproj.io", "v1alpha1", "rollouts"),
    };
    let named = GroupVersionKind::gvk(group, version, kind.as_str());
    let resource = ApiResource::from_gvk_with_plural(&named, plural);
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// An object that is missing is named in the answer; a kind that is missing is not even understood.
fn look_error(error: kube::Error) -> LookError {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            let details = status.details.as_ref();
            if details.is_some_and(|details| !details.name.is_empty()) {
                LookError::Missing
            } else {
                LookError::NoSuchKind
            }
        }
        error => LookError::Failed(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_workload_that_is_read_only_what_matters_is_kept_and_nothing_need_be_there() {
        let text = r#"{
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": { "name": "orders", "resourceVersion": "7", "generation": 3 },
            "spec": { "strategy": { "canary": { "steps": [] } }, "replicas": 2, "paused": null,
                "template": { "metadata": { "annotations": { "a": "b" } }, "spec": { "containers": [{ "name": "x" }] } } },
            "status": { "phase": "Healthy", "observedGeneration": "3", "canary": {}, "conditions": null }
        }"#;
        let workload = Workload::reduce(serde_json::from_str(text).unwrap());
        assert_eq!((workload.mark("a"), workload.mark("b")), (Some("b"), None));
        assert_eq!((workload.name.as_str(), workload.generation), ("orders", 3));
        let bare = r#"{ "metadata": { "name": "x" }, "spec": {} }"#;
        let bare = Workload::reduce(serde_json::from_str(bare).unwrap());
        assert_eq!(bare.mark("a"), None);
    }

    #[test]
    fn a_missing_object_is_told_from_a_missing_kind() {
        let error = |text: &str| {
            let status: kube::core::Status = serde_json::from_str(text).unwrap();
            look_error(kube::Error::Api(Box::new(status)))
        };
        let object = r#"{"status":"Failure","message":"deployments.apps \"x\" not found","reason":"NotFound","details":{"name":"x","group":"apps","kind":"deployments"},"code":404}"#;
        assert!(matches!(error(object), LookError::Missing));
        for kind in [
            r#"{"status":"Failure","message":"404 page not found","reason":"Failed to parse error data","code":404}"#,
            r#"{"status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","details":{},"code":404}"#,
        ] {
            assert!(matches!(error(kind), LookError::NoSuchKind), "{kind}");
        }
    }
}
