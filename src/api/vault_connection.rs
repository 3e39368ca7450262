//! `VaultConnection`: where Vault is, how to trust it, and which namespaces may use it. It belongs to no namespace, since the
//! tokens of all who use it go to the address that stands here.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{BoundedText, VAULT_NAMESPACE, VAULT_NAMESPACE_FIX, bounded_selector};
use super::vault_secret::AuthMethod;

/// Where Vault is, how to trust it, and who may use it.
#[expect(
    clippy::duplicated_attributes,
    reason = "columns of one type are no duplicates"
)]
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "vaultbridge.dev",
    version = "v1alpha1",
    kind = "VaultConnection",
    plural = "vaultconnections",
    shortname = "vconn",
    category = "vaultbridge",
    status = "VaultConnectionStatus",
    derive = "PartialEq",
    doc = "A VaultConnection says where a Vault or OpenBao server is, how to trust it, and which namespaces may use it.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.address"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct VaultConnectionSpec {
    /// Address of the server, such as `https://vault.example.com:8200`. Plain http is refused unless the operator runs with --allow-plain-http.
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = Rule::new(r"self.matches('^https?://[^/?#@\\s]+(/[^?#\\s]*)?$')")
        .message("must be an http or https address such as https://vault.example.com:8200, without user, query or fragment"))]
    pub address: String,

    /// Vault namespace of logins and reads that name none.
    #[serde(default)]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new(VAULT_NAMESPACE).message(VAULT_NAMESPACE_FIX))]
    pub vault_namespace: String,

    /// How to trust the server, and how it shall trust us.
    #[serde(default)]
    pub tls: Tls,

    /// Defaults of the login for VaultSecrets.
    #[serde(default)]
    pub auth: ConnectionAuth,

    /// Namespaces whose VaultSecrets may use this connection. Left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub allowed_namespaces: Option<AllowedNamespaces>,

    /// Headers to send with every request, for proxies that want them.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) <= 128 && k.matches('^[A-Za-z0-9-]+$'))").message("header names consist of letters, digits and '-', at most 128"))]
    #[x_kube(validation = Rule::new("self.all(k, !k.lowerAscii().startsWith('x-vault-') && !(k.lowerAscii() in ['accept-encoding', 'authorization', 'connection', 'content-encoding', 'content-length', 'content-type', 'cookie', 'expect', 'host', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade']))")
        .message("X-Vault-*, and Accept-Encoding, Authorization, Connection, Content-Encoding, Content-Length, Content-Type, Cookie, Expect, Host, Proxy-Authorization, TE, Trailer, Transfer-Encoding and Upgrade are reserved: remove them"))]
    #[x_kube(validation = Rule::new(r"self.all(k, !self[k].matches('[\\x00-\\x08\\x0a-\\x1f\\x7f]'))").message("header values must not contain control characters"))]
    pub headers: BTreeMap<String, BoundedText<1024>>,

    /// How long one request may take, such as `30s`. 1s to 2m.
    #[serde(default = "default_timeout")]
    #[schemars(length(min = 2, max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,3}m)?([0-9]{1,4}s)?$') && !self.matches('^0*m?0*s?$')")
        .message("must be a duration such as 30s or 1m, at least 1s"))]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]{1,3}m)?([0-9]{1,4}s)?$') || duration(self) <= duration('2m')")
        .message("must be at most 2m: a longer wait would outlast the pass over an object, which could then not tell why"))]
    pub timeout: String,

    /// How many requests may be under way at once.
    #[serde(default = "default_max_concurrent_requests")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_concurrent_requests: i32,
}

/// How to trust the server, and how it shall trust us.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.caBundleRef) && has(self.caBundle) && self.caBundle != '')").message("set at most one of caBundle and caBundleRef"))]
pub struct Tls {
    /// PEM certificates to trust, instead of the system's.
    #[serde(default)]
    #[schemars(length(max = 131_072))]
    #[x_kube(validation = Rule::new("self == '' || self.contains('-----BEGIN CERTIFICATE-----')").message("must hold PEM certificates (-----BEGIN CERTIFICATE-----)"))]
    pub ca_bundle: String,

    /// A ConfigMap or Secret in the operator's namespace that holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_ref: Option<CaBundleRef>,

    /// Name to expect in the server's certificate, where it is not the host of the address.
    #[serde(default)]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self == '' || self.matches('^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$')").message("must be a DNS name"))]
    pub server_name: String,

    /// A Secret of type kubernetes.io/tls in the operator's namespace, shown to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<ClientCertificateRef>,
}

/// A key of a ConfigMap or Secret in the operator's namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct CaBundleRef {
    /// ConfigMap or Secret.
    #[serde(default)]
    pub kind: CaBundleKind,

    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Key that holds the PEM certificates.
    #[serde(default = "default_ca_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// What kind of object holds the certificates.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CaBundleKind {
    /// A ConfigMap.
    #[default]
    ConfigMap,
    /// A Secret.
    Secret,
}

/// A Secret of type kubernetes.io/tls in the operator's namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ClientCertificateRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Defaults of the login for VaultSecrets.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ConnectionAuth {
    /// The auth method in Vault.
    #[serde(default)]
    pub method: AuthMethod,

    /// Where it is mounted. Empty: `kubernetes` or `jwt`.
    #[serde(default)]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new(r"self.matches('^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$') || self == ''")
        .message("must be the mount of the auth method, such as kubernetes or clusters/prod, without auth/ and without slashes at the ends"))]
    #[x_kube(validation = Rule::new("!self.split('/').exists(s, s == '.' || s == '..')").message("must not contain . or .. as a segment"))]
    #[x_kube(validation = Rule::new("!self.startsWith('auth/')").message("must be given without the leading auth/"))]
    pub mount: String,

    /// Audiences of the service accounts' tokens.
    #[serde(default = "default_audiences")]
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 256)))]
    pub audiences: Vec<String>,
}

/// Namespaces by name or by label. A namespace that either one admits is admitted; `{}` admits none.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct AllowedNamespaces {
    /// Names of namespaces.
    #[serde(default)]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)))]
    pub names: Vec<String>,

    /// Labels of namespaces. As everywhere in Kubernetes, an empty selector `{}` matches every namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "bounded_selector")]
    pub selector: Option<LabelSelector>,
}

/// What the operator last saw of the server.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct VaultConnectionStatus {
    /// Generation of the spec that this status tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Version that the server tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// Name of its cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,

    /// Whether it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<bool>,

    /// `Ready`: the server answers and is unsealed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl Default for ConnectionAuth {
    fn default() -> Self {
        Self {
            method: AuthMethod::default(),
            mount: String::new(),
            audiences: default_audiences(),
        }
    }
}

fn default_audiences() -> Vec<String> {
    vec![super::DEFAULT_AUDIENCE.into()]
}

fn default_timeout() -> String {
    "30s".into()
}

fn default_max_concurrent_requests() -> i32 {
    64
}

fn default_ca_key() -> String {
    "ca.crt".into()
}
