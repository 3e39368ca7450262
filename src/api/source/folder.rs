//! All entries of a folder of a KV engine.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::KvEngineVersion;
use super::path::{
    AS_IT_IS, AS_IT_IS_FIX, MOUNT, MOUNT_FIX, NO_DOTS, NO_DOTS_FIX, NO_EMPTY_SEGMENT,
    NO_EMPTY_SEGMENT_FIX, NO_SYSTEM_MOUNT, NO_SYSTEM_MOUNT_FIX,
};
use crate::api::bounded::BoundedText;

/// What a person did not say: so many entries are plenty.
fn default_limit() -> i64 {
    500
}

/// Every entry of a folder of a KV engine.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.mount) && self.mount != '') || !self.path.matches('^(sys|auth|identity|cubbyhole)(/|$)')")
    .message("kvFolder.path must be a folder of a KV engine, not of sys/, auth/, identity/ or cubbyhole/"))]
pub struct KvFolderSource {
    /// The folder as in the vault CLI, mount first, such as `secret/shop/`; or below the mount, if mount is set. The slash at its end may be left out.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("!self.startsWith('/')").message("must not start with a slash"))]
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

    /// If true, the entries of all folders below it are read as well.
    #[serde(default)]
    pub recursive: bool,

    /// Regular expressions of which one must match the whole name of an entry, relative to the folder, such as `db/.*`. Without any, every entry is read. Compiled, they and those of exclude take at most 128 KiB of memory together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub include: Vec<BoundedText<256>>,

    /// Regular expressions of which none may match the whole name of an entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub exclude: Vec<BoundedText<256>>,

    /// If true, the fields of all entries stand side by side, and no two entries may have the same one. Otherwise each entry is one field, under its name.
    #[serde(default)]
    pub flatten: bool,

    /// How many entries there may be at most. If there are more, nothing is written.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: i64,
}
