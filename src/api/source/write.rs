//! A source that is written to: one request with parameters, whose answer becomes the value.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::path::{AS_IT_IS, NO_DOTS, NO_DOTS_FIX, NO_EMPTY_SEGMENT, NO_EMPTY_SEGMENT_FIX};
use crate::api::bounded::{BoundedText, OBJECT_NAME, OBJECT_NAME_FIX};

/// A request that makes something: it is sent once for each distinct request, in a Vault session of this object's own, and never by a poll.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WriteSource {
    /// The path as in the vault CLI, such as `auth/approle/role/ci/secret-id`.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.contains('/') && !self.startsWith('/') && !self.endsWith('/')").message("must be a path with its mount in front, such as auth/approle/role/ci/secret-id, without a slash at its start or end"))]
    #[x_kube(validation = Rule::new(NO_EMPTY_SEGMENT).message(NO_EMPTY_SEGMENT_FIX))]
    #[x_kube(validation = Rule::new(NO_DOTS).message(NO_DOTS_FIX))]
    #[x_kube(validation = Rule::new(AS_IT_IS).message("must not contain %, ?, #, \\ or control characters; write the path as it is, unescaped, and what follows a ? as parameters"))]
    #[x_kube(validation = Rule::new("!self.matches('(^|/)(sys|cubbyhole)/')").message("must not lead to sys/ or cubbyhole/"))]
    #[x_kube(validation = Rule::new("!self.matches('(^|/)auth/token/[a-z-]*-self$')").message("must not lead to auth/token/…-self, which is about the operator's own session; ask for a token of its own with auth/token/create"))]
    pub path: String,

    /// How it is sent. To Vault both are the same.
    #[serde(default)]
    pub method: WriteMethod,

    /// Parameters of the request, such as `metadata`.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) <= 128 && k.matches('^[A-Za-z0-9_.-]+$'))").message("names of parameters have at most 128 letters, digits, '_', '.' and '-'"))]
    pub parameters: BTreeMap<String, BoundedText<1024>>,

    /// Parameters whose values are secrets: keys of Secrets of this namespace, read when the request is sent.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub parameters_from: Vec<ParameterFrom>,

    /// How long Vault keeps the answer for whoever unwraps it. If set, the value is a wrapping token with its `token`, `accessor` and `ttl`, and the
    /// answer itself never passes through the operator or the Secret. Empty: no wrapping.
    #[serde(default, rename = "wrapTTL")]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$')")
        .message("must be a duration of h, m and s in this order, such as 90s, 10m or 1h30m, or empty"))]
    pub wrap_ttl: String,

    /// Which part of the answer is the value.
    #[serde(default)]
    pub result: WriteResult,

    /// After how long the request is sent again, at least 10s. Empty: only if the request itself is another one, or if what it brought ends.
    #[serde(default)]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$')")
        .message("must be a duration of h, m and s in this order, such as 90s, 10m or 1h30m, or empty"))]
    pub refresh_interval: String,
}

/// How a request is sent.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WriteMethod {
    /// As most engines document it.
    #[default]
    #[serde(rename = "POST")]
    Post,
    /// As some document it.
    #[serde(rename = "PUT")]
    Put,
}

/// Which part of an answer is the value.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WriteResult {
    /// Its `data`.
    #[default]
    Data,
    /// Its `auth`, as of `auth/token/create` and of logins: a token, under `client_token`.
    Auth,
}

/// A parameter whose value is a secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ParameterFrom {
    /// Name of the parameter. Empty: the key.
    #[serde(default)]
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_.-]*$')").message("names of parameters have at most 128 letters, digits, '_', '.' and '-'"))]
    pub name: String,

    /// Where its value is.
    pub secret_key_ref: SecretKeyRef,
}

/// A key of a Secret of this namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(OBJECT_NAME).message(OBJECT_NAME_FIX))]
    pub name: String,

    /// Its key. The value must be text.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$')").message("must be a key of a Secret: letters, digits, '-', '_' and '.'"))]
    pub key: String,
}
