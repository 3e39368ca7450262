//! `VaultSecret`: one per application, in the application's namespace.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{OBJECT_NAME, OBJECT_NAME_FIX, VAULT_NAMESPACE, VAULT_NAMESPACE_FIX};
use super::copy::{DataFrom, Decode};
use super::destination::Destination;
use super::lease::{LeasePolicy, Refresh};
use super::rollout::Rollout;
use super::source::Source;
use super::status::VaultSecretStatus;
use super::template_from::TemplateFrom;

/// Which Vault paths become which Secret, and as whom they are read.
#[expect(
    clippy::duplicated_attributes,
    reason = "columns of one type are no duplicates"
)]
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "vaultbridge.dev",
    version = "v1alpha1",
    kind = "VaultSecret",
    plural = "vaultsecrets",
    shortname = "vsec",
    category = "vaultbridge",
    namespaced,
    status = "VaultSecretStatus",
    derive = "PartialEq",
    doc = "A VaultSecret carries values from Vault into a Secret of the same namespace and keeps that Secret true.",
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
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.secretName"),
    printcolumn(
        name = "Expires",
        type_ = "string",
        json_path = ".status.expirationTime"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Role",
        type_ = "string",
        json_path = ".spec.auth.role",
        priority = 1
    ),
    printcolumn(
        name = "Revision",
        type_ = "integer",
        json_path = ".status.revision",
        priority = 1
    ),
    printcolumn(
        name = "Next",
        type_ = "string",
        json_path = ".status.nextAction",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.data) || self.data.all(d, !has(d.source) || self.sources.exists(s, s.name == d.source))")
        .message("data[].source must be the name of one of spec.sources"),
    validation = Rule::new("!has(self.dataFrom) || self.dataFrom.all(d, self.sources.exists(s, s.name == d.source))")
        .message("dataFrom[].source must be the name of one of spec.sources"),
    validation = Rule::new("!has(self.destination) || !has(self.destination.deletionPolicy) || self.destination.deletionPolicy != 'Retain' || self.sources.all(s, has(s.kv) || has(s.kvFolder)) || (has(self.lease) && has(self.lease.revokeOnDelete) && self.lease.revokeOnDelete == 'Leave')")
        .message("a Secret that stays (destination.deletionPolicy: Retain) must not hold credentials that are revoked: set lease.revokeOnDelete to Leave")
)]
pub struct VaultSecretSpec {
    /// If true, nothing is read or written any more. The Secret stays as it is, and the credentials in it are renewed as long as they can be.
    #[serde(default)]
    pub suspend: bool,

    /// The VaultConnection to use. It must admit this namespace.
    #[serde(default)]
    pub connection_ref: ConnectionRef,

    /// Vault namespace of the sources (Vault Enterprise, OpenBao). Empty: the connection's.
    #[serde(default)]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new(VAULT_NAMESPACE).message(VAULT_NAMESPACE_FIX))]
    pub vault_namespace: String,

    /// As whom to log in to Vault.
    pub auth: Auth,

    /// What to read, 1 to 16 sources, each with a name of its own.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub sources: Vec<Source>,

    /// The keys of the Secret, one by one. With dataFrom empty as well, every field of every source is copied.
    #[serde(default)]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["key".into()]))]
    pub data: Vec<DataEntry>,

    /// Sources of which all fields, or many, become keys of the Secret.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub data_from: Vec<DataFrom>,

    /// What happens when two bulk copies bring the same key. An entry of data always wins over both.
    #[serde(default)]
    pub conflict_policy: ConflictPolicy,

    /// What begins and ends an action in the templates of data, instead of `{{` and `}}`: two texts that differ, such as `[[` and `]]`. For objects that are shipped in a Helm chart.
    #[serde(default)]
    #[schemars(length(max = 2), inner(length(min = 1, max = 8)))]
    #[x_kube(validation = Rule::new("self.size() == 0 || (self.size() == 2 && self[0] != self[1])").message("templateDelimiters are two that differ, such as [[ and ]]"))]
    #[x_kube(validation = Rule::new(r"self.all(d, d.matches('^[^\\sA-Za-z0-9_.$]+$'))").message("templateDelimiters must consist of signs, without letters, digits, white space, '_', '.' and '$'"))]
    pub template_delimiters: Vec<String>,

    /// The Secret to write.
    #[serde(default)]
    pub destination: Destination,

    /// When to look at Vault again, and when credentials are renewed and replaced.
    #[serde(default)]
    pub refresh: Refresh,

    /// What becomes of credentials that Vault issued.
    #[serde(default)]
    pub lease: LeasePolicy,

    /// What to restart when the content of the Secret changes.
    #[serde(default)]
    pub rollout: Rollout,
}

/// The VaultConnection to use.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ConnectionRef {
    /// Name of the VaultConnection.
    #[serde(default = "default_connection")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(OBJECT_NAME).message(OBJECT_NAME_FIX))]
    pub name: String,
}

/// As whom to log in to Vault: always as a service account of this namespace, never as the operator.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// The auth method in Vault. Left out: the connection's, which is Kubernetes unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<AuthMethod>,

    /// Where the auth method is mounted in Vault. Empty: the connection's, if the method is the connection's as well, or else `kubernetes` or `jwt`.
    #[serde(default)]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new(r"self.matches('^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$') || self == ''")
        .message("must be the mount of the auth method, such as kubernetes or clusters/prod, without auth/ and without slashes at the ends"))]
    #[x_kube(validation = Rule::new("!self.split('/').exists(s, s == '.' || s == '..')").message("must not contain . or .. as a segment"))]
    #[x_kube(validation = Rule::new("!self.startsWith('auth/')").message("must be given without the leading auth/"))]
    pub mount: String,

    /// The role of the auth method in Vault.
    #[schemars(length(min = 1, max = 256))]
    pub role: String,

    /// The service account of this namespace whose token is shown to Vault.
    #[serde(default = "default_service_account")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(OBJECT_NAME).message(OBJECT_NAME_FIX))]
    pub service_account_name: String,

    /// Audiences of that token. Empty: the connection's, which are `vault` unless it says otherwise.
    #[serde(default)]
    #[schemars(length(max = 8), inner(length(min = 1, max = 256)))]
    pub audiences: Vec<String>,

    /// Vault namespace of the login, where it is another than that of the sources.
    #[serde(default)]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new(VAULT_NAMESPACE).message(VAULT_NAMESPACE_FIX))]
    pub vault_namespace: String,
}

/// An auth method in Vault.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AuthMethod {
    /// Vault asks the API server whose token it is (TokenReview).
    #[default]
    Kubernetes,
    /// Vault checks the token's signature itself, with the cluster's public keys.
    #[serde(rename = "JWT")]
    Jwt,
}

/// One key of the Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.source), has(self.value), has(self.template), has(self.templateFrom)].filter(set, set).size() == 1").message("set exactly one of source, value, template and templateFrom"))]
#[x_kube(validation = Rule::new("has(self.source) || !has(self.field) || self.field == ''").message("field goes with source, not with value, template or templateFrom"))]
#[x_kube(validation = Rule::new("!has(self.decode) || self.decode == 'None' || (has(self.source) && has(self.field) && self.field != '')").message("decode goes with source and field: a value, a template and all fields together are text already"))]
pub struct DataEntry {
    /// Key in the Secret: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')")
        .message("must consist of letters, digits, '-', '_' and '.', and not be '.' or start with '..'"))]
    pub key: String,

    /// The source that the value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 31))]
    pub source: Option<String>,

    /// The field of the source: its name, or a JSON pointer if it starts with `/`. Empty: all fields as one JSON object.
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub field: String,

    /// How the text of the field is written in Vault: `Base64` and `Base64URL` are decoded.
    #[serde(default, skip_serializing_if = "Decode::is_none")]
    pub decode: Decode,

    /// A literal, instead of source and field. Not for secrets: whoever may read this object reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub value: Option<String>,

    /// A Go template, instead of source and field, with `.NAME.field` for the field of a source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32_768))]
    pub template: Option<String>,

    /// A Go template that several objects share, instead of source and field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_from: Option<TemplateFrom>,

    /// If true, the key is left out when the field, or what the template asks for, does not exist, instead of that being an error.
    #[serde(default)]
    pub optional: bool,
}

/// What happens when two bulk copies bring the same key.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ConflictPolicy {
    /// It is an error, and the Secret keeps its last value.
    #[default]
    Error,
    /// The earlier one in the list wins.
    FirstWins,
    /// The later one in the list wins.
    LastWins,
}

impl Default for ConnectionRef {
    fn default() -> Self {
        Self {
            name: default_connection(),
        }
    }
}

impl VaultSecret {
    /// Name of the Secret that this object wants to write.
    pub fn target_name(&self) -> &str {
        match self.spec.destination.name.as_str() {
            "" => self.metadata.name.as_deref().unwrap_or_default(),
            name => name,
        }
    }

    /// The ConfigMaps that it takes templates from, each as often as it is named.
    pub fn template_maps(&self) -> impl Iterator<Item = &str> {
        let named = self.spec.data.iter();
        let named = named.filter_map(|entry| entry.template_from.as_ref());
        named.map(|from| from.config_map_key_ref.name.as_str())
    }
}

fn default_connection() -> String {
    super::DEFAULT_CONNECTION.into()
}

fn default_service_account() -> String {
    "default".into()
}
