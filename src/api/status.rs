//! What the operator reports on a VaultSecret.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rollout::{RolloutLook, RolloutStatus};

/// What the operator last reported. Everything here can be rebuilt from the Secret and from Vault.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct VaultSecretStatus {
    /// Generation of the spec that this status tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Counts the contents that the Secret has had: +1 whenever the written bytes change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,

    /// Name of the Secret that this object writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,

    /// Stands for the value of the annotation `vaultbridge.dev/force-sync` that was last met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub force_sync: Option<String>,

    /// When the content of the Secret last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change_time: Option<Time>,

    /// When the first of the credentials in the Secret ends, unless it is renewed again; absent if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<Time>,

    /// What is due next for the credentials in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<NextAction>,

    /// When that is due. As renewals come and go, this is brought up to date every five minutes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action_time: Option<Time>,

    /// What the Secret's content was made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub sources: Vec<SourceStatus>,

    /// The Vault sessions of this object's own that credentials were issued in. Written down before the first credential is issued, so that none
    /// is ever forgotten; removed once revoked or over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["accessor".into()]))]
    #[schemars(length(max = 16))]
    pub sessions: Vec<SessionStatus>,

    /// What each workload of spec.rollout was last restarted for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    pub rollouts: Vec<RolloutStatus>,

    /// What the workloads of spec.rollout were compared with when all of them were last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_look: Option<RolloutLook>,

    /// `Ready`: the Secret holds what this object asks for. `Authenticated`: Vault lets us in. `Synced`: the last attempt succeeded.
    /// `RolledOut`: all workloads of spec.rollout run with what the Secret holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What one source last was.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Name of the source.
    pub name: String,

    /// Kind of value: Static values and those of a Folder have neither lease nor expiry; a Lease ends unless it is renewed; a Token and a Certificate end; what was Written stays.
    #[serde(rename = "type")]
    pub source_type: SourceType,

    /// KV v2: version of the secret that the Secret was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,

    /// Folder: number of entries that the Secret was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<i64>,

    /// True if the path does not exist in Vault (any more) and the Secret does without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,

    /// Lease: its id in Vault.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "leaseID")]
    pub lease_id: Option<String>,

    /// Lease: whether Vault renews it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewable: Option<bool>,

    /// Token: its accessor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accessor: Option<String>,

    /// Certificate: its serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,

    /// When it was issued, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue_time: Option<Time>,

    /// When it ends: a Lease, unless it is renewed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<Time>,

    /// Lease: when the token of its session ends, and every lease of it, unless that is renewed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expiration_time: Option<Time>,
}

/// Kind of value.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SourceType {
    /// Without lease and expiry; read at intervals.
    #[default]
    Static,
    /// The entries of a KV folder; read at intervals.
    Folder,
    /// Issued by Vault for this object alone, with a lease.
    Lease,
    /// A token that Vault issued for this object alone, or one that unwraps what it issued.
    Token,
    /// A certificate, with the private key.
    Certificate,
    /// The answer to a request that was made once.
    Written,
}

/// What is due next.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextAction {
    /// The credentials are renewed.
    Renew,
    /// New credentials are issued.
    Rotate,
    /// Replaced credentials are let go.
    Revoke,
    /// A failed attempt is made again.
    Retry,
}

/// A Vault session of an object's own: a token, and every credential that was issued with it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SessionStatus {
    /// Names the token without being one.
    #[schemars(length(min = 1, max = 256))]
    pub accessor: String,

    /// The token, sealed with the operator's key.
    #[schemars(length(max = 65_536))]
    pub sealed: String,

    /// The VaultConnection that it was made at.
    #[schemars(length(max = 253))]
    pub connection: String,

    /// Resource version of the Secret that the credentials were to be written over; empty: there was to be none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    pub against: String,

    /// Whether the Secret was seen to hold credentials of this session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub committed: bool,

    /// Ids of the leases of a session that the Secret was seen to hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "leaseIDs")]
    #[schemars(length(max = 16))]
    pub lease_ids: Vec<String>,

    /// When the token was issued.
    pub issue_time: Time,

    /// When it ends unless it is renewed again; absent if it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<Time>,

    /// When a session whose credentials were replaced is let go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire_time: Option<Time>,
}
