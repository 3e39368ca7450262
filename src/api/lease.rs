//! When a VaultSecret looks at Vault again, and what becomes of the credentials that Vault issued for it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When to look at Vault again, and when credentials are renewed and replaced.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Refresh {
    /// How often to read, such as `90s`, `10m` or `1h30m`. `0s`: never by the clock, but when this object or its connection changes, when the
    /// Secret has to be repaired, when a failure is tried again, or when another object finds something new at the same place.
    #[serde(default = "default_interval")]
    #[schemars(length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$')")
        .message("must be a duration of h, m and s in this order, such as 90s, 10m or 1h30m"))]
    pub interval: String,

    /// By how much of the interval polls may be moved, so that objects do not ask all at once. 0 to 50.
    #[serde(default = "default_jitter_percent")]
    #[schemars(range(min = 0, max = 50))]
    pub jitter_percent: i32,

    /// When a lease is renewed, in percent of what was last granted. 10 to 90.
    #[serde(default = "default_renew_at_percent")]
    #[schemars(range(min = 10, max = 90))]
    pub renew_at_percent: i32,

    /// How long before the end that no renewal can move a new credential is issued. Empty: one tenth of what was granted at first, or
    /// `lease.overlap` if that is longer, at least 30 seconds, at most a third. If it is said, it counts up to half of what was granted at first. Jitter may add
    /// half of that.
    #[serde(default)]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$')")
        .message("must be a duration of h, m and s in this order, such as 90s, 10m or 1h30m, or empty"))]
    pub rotate_before: String,

    /// The age at which a credential is replaced even if it could still be renewed; at least a minute. Empty: none.
    #[serde(default)]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$')")
        .message("must be a duration of h, m and s in this order, such as 90s, 10m or 1h30m, or empty"))]
    pub max_age: String,
}

/// What becomes of credentials that Vault issued, once nobody needs them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LeasePolicy {
    /// What becomes of them when this object is deleted.
    #[serde(default)]
    pub revoke_on_delete: RevokeOnDelete,

    /// What becomes of the old ones when new ones have replaced them, after the overlap.
    #[serde(default)]
    pub replaced: ReplacedPolicy,

    /// How long replaced credentials are kept alive after the restart of what uses them; without anything to restart, after the new ones were written.
    /// The end that no renewal can move is not moved by this either.
    #[serde(default = "default_overlap")]
    #[schemars(length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$')")
        .message("must be a duration of h, m and s in this order, such as 90s, 10m or 1h30m"))]
    pub overlap: String,
}

/// What becomes of credentials when the VaultSecret is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RevokeOnDelete {
    /// They are revoked.
    #[default]
    Revoke,
    /// They are left to their end.
    Leave,
}

/// What becomes of credentials that were replaced.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReplacedPolicy {
    /// They are renewed no more and end by themselves.
    #[default]
    Expire,
    /// They are revoked.
    Revoke,
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            interval: default_interval(),
            jitter_percent: default_jitter_percent(),
            renew_at_percent: default_renew_at_percent(),
            rotate_before: String::new(),
            max_age: String::new(),
        }
    }
}

impl Default for LeasePolicy {
    fn default() -> Self {
        Self {
            revoke_on_delete: RevokeOnDelete::default(),
            replaced: ReplacedPolicy::default(),
            overlap: default_overlap(),
        }
    }
}

fn default_interval() -> String {
    "10m".into()
}

fn default_jitter_percent() -> i32 {
    10
}

fn default_renew_at_percent() -> i32 {
    67
}

fn default_overlap() -> String {
    "10m".into()
}
