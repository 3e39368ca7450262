//! `spec.rollout` of a VaultSecret: which workloads use the Secret and are restarted when it changes, and what came of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::bounded::{OBJECT_NAME, OBJECT_NAME_FIX, selector};

/// The most workloads that the targets of one object may be together. A selector that matches more restarts none of them.
pub const MAX_WORKLOADS: usize = 64;

/// What to restart when the content of the Secret changes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// A workload is restarted at most once in this time, such as `30s`, `1m` or `1h30m`; changes that come meanwhile lead to one
    /// restart when it is over. `0s`: no limit.
    #[serde(default = "default_min_interval")]
    #[schemars(length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$')")
        .message("must be a duration of h, m and s in this order, such as 30s, 1m or 1h30m"))]
    pub min_interval: String,

    /// The workloads of this namespace that use the Secret, by name or by label; at most 64 together.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub targets: Vec<RolloutTarget>,
}

/// A workload by its name, or all of a kind by their labels.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("has(self.name) != has(self.selector)").message("set exactly one of name and selector"))]
pub struct RolloutTarget {
    /// Kind of the workload. A Rollout is that of Argo Rollouts.
    pub kind: WorkloadKind,

    /// Name of the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(OBJECT_NAME).message(OBJECT_NAME_FIX))]
    pub name: Option<String>,

    /// Labels of workloads (of the workloads themselves, not of their pods). It must ask for something: an empty selector would be
    /// every workload of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "workload_selector")]
    #[x_kube(validation = Rule::new("(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)")
        .message("must have matchLabels or matchExpressions: an empty selector would be every workload of the kind"))]
    pub selector: Option<LabelSelector>,
}

/// A kind of workload that is restarted by a change of its pod template.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum WorkloadKind {
    /// `apps/v1`.
    Deployment,
    /// `apps/v1`.
    StatefulSet,
    /// `apps/v1`.
    DaemonSet,
    /// `argoproj.io/v1alpha1`.
    Rollout,
}

/// What a workload was last restarted for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct RolloutStatus {
    /// Kind of the workload.
    pub kind: WorkloadKind,

    /// Name of the workload.
    pub name: String,

    /// Revision of the Secret that it was restarted for; or, if it never was, the one that it was found with.
    pub revision: i64,

    /// When it was last restarted; absent if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}

/// A look at all workloads.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
pub struct RolloutLook {
    /// Revision of the Secret then.
    pub revision: i64,

    /// Stands for the targets as they were asked for then: a hash.
    pub targets: String,
}

impl WorkloadKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Rollout => "Rollout",
        }
    }

    /// Its API group.
    pub fn group(self) -> &'static str {
        match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps",
            Self::Rollout => "argoproj.io",
        }
    }
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            min_interval: default_min_interval(),
            targets: Vec::new(),
        }
    }
}

fn workload_selector(_: &mut SchemaGenerator) -> Schema {
    selector("workload", "an empty selector is refused")
}

fn default_min_interval() -> String {
    "1m".into()
}
