//! What a VaultSecret reads: one source per path, each of one engine.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::BoundedText;

mod folder;
mod path;
mod pki;
mod write;

pub use folder::KvFolderSource;
use path::{
    AS_IT_IS, AS_IT_IS_FIX, MOUNT, MOUNT_FIX, NO_DOTS, NO_DOTS_FIX, NO_EMPTY_SEGMENT,
    NO_EMPTY_SEGMENT_FIX, NO_SYSTEM_MOUNT, NO_SYSTEM_MOUNT_FIX,
};
pub use pki::{
    KeyAlgorithm, NO_KEY_FORMAT, ONE_KEY, PKI_FIELDS_FIX, PkiSource, PrivateKey, SIZE_WITH_ECDSA,
};
pub use write::{ParameterFrom, SecretKeyRef, WriteMethod, WriteResult, WriteSource};

/// What is wrong with a source that has no engine member, or more than one.
pub const ONE_MEMBER: &str = "set exactly one engine member: kv, kvFolder, read, write or pki";

/// One thing to read from Vault.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("[has(self.kv), has(self.kvFolder), has(self.read), has(self.write), has(self.pki)].filter(member, member).size() == 1").message(ONE_MEMBER))]
pub struct Source {
    /// Name of the source within this object: a letter, then letters, digits and underscores, at most 31 in all.
    #[schemars(length(min = 1, max = 31))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z][A-Za-z0-9_]{0,30}$')")
        .message("must be a letter followed by letters, digits and underscores, at most 31 characters"))]
    pub name: String,

    /// If true, a path that does not exist contributes nothing, instead of being an error.
    #[serde(default)]
    pub optional: bool,

    /// A secret of a KV engine, version 1 or 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv: Option<KvSource>,

    /// All entries of a folder of a KV engine, version 1 or 2.
    #[serde(default, rename = "kvFolder", skip_serializing_if = "Option::is_none")]
    pub kv_folder: Option<KvFolderSource>,

    /// Any path that answers a GET: credentials of a dynamic engine, such as `database/creds/orders`, which Vault issues with a lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadSource>,

    /// A request that makes something, such as an AppRole's secret-id: sent once, and again only if it becomes another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<WriteSource>,

    /// A certificate of a PKI engine, replaced before it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pki: Option<PkiSource>,
}

/// A secret of a KV engine.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.mount) && self.mount != '') || self.path.contains('/')")
    .message("kv.path needs its mount in front, as in the vault CLI (secret/shop/orders), or set kv.mount"))]
#[x_kube(validation = Rule::new("(has(self.mount) && self.mount != '') || !self.path.matches('^(sys|auth|identity|cubbyhole)/')")
    .message("kv.path must be a path of a KV engine, not of sys/, auth/, identity/ or cubbyhole/"))]
#[x_kube(validation = Rule::new("!has(self.version) || self.version == 0 || !has(self.engineVersion) || self.engineVersion != 'V1'")
    .message("kv.version pins a version of KV v2; KV v1 keeps none, so leave it out or set engineVersion to V2"))]
pub struct KvSource {
    /// The path as in the vault CLI, mount first; or below the mount, if mount is set.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("!self.startsWith('/') && !self.endsWith('/')").message("must not start or end with a slash"))]
    #[x_kube(validation = Rule::new(NO_EMPTY_SEGMENT).message(NO_EMPTY_SEGMENT_FIX))]
    #[x_kube(validation = Rule::new(NO_DOTS).message(NO_DOTS_FIX))]
    #[x_kube(validation = Rule::new(AS_IT_IS).message(AS_IT_IS_FIX))]
    pub path: String,

    /// The mount of the engine. Set it, and engineVersion, to spare the look-up of the mount.
    #[serde(default)]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new(MOUNT).message(MOUNT_FIX))]
    #[x_kube(validation = Rule::new(NO_DOTS).message(NO_DOTS_FIX))]
    #[x_kube(validation = Rule::new(NO_SYSTEM_MOUNT).message(NO_SYSTEM_MOUNT_FIX))]
    pub mount: String,

    /// Version of the engine. Auto asks Vault.
    #[serde(default)]
    pub engine_version: KvEngineVersion,

    /// KV v2 only: the version to read, which polls then do not ask for again. 0 is the newest.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub version: i64,
}

/// Version of a KV engine.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KvEngineVersion {
    /// Ask Vault.
    #[default]
    Auto,
    /// Without versions.
    V1,
    /// With versions.
    V2,
}

/// Any path of Vault that answers a GET. It is read in a Vault session of this object's own, once; what Vault issues with a lease is renewed,
/// and replaced in time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ReadSource {
    /// The path as in the vault CLI, such as `database/creds/orders`.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.contains('/') && !self.startsWith('/') && !self.endsWith('/')").message("must be a path with its mount in front, such as database/creds/orders, without a slash at its start or end"))]
    #[x_kube(validation = Rule::new(NO_EMPTY_SEGMENT).message(NO_EMPTY_SEGMENT_FIX))]
    #[x_kube(validation = Rule::new(NO_DOTS).message(NO_DOTS_FIX))]
    #[x_kube(validation = Rule::new(AS_IT_IS).message("must not contain %, ?, #, \\ or control characters; write the path as it is, unescaped, and what follows a ? as parameters"))]
    #[x_kube(validation = Rule::new("!self.matches('(^|/)(sys|cubbyhole)/')").message("must not lead to sys/ or cubbyhole/"))]
    #[x_kube(validation = Rule::new("!self.matches('(^|/)auth/token/')").message("must not lead to auth/token/: the Secret would hold the operator's own session"))]
    pub path: String,

    /// Parameters of the request, such as `common_name`.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) <= 128 && k.matches('^[A-Za-z0-9_.-]+$'))").message("names of parameters have at most 128 letters, digits, '_', '.' and '-'"))]
    pub parameters: BTreeMap<String, BoundedText<1024>>,
}
