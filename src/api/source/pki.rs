//! A source that is a certificate: issued or signed by Vault's PKI engine, and replaced before it ends.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::path::{NO_DOTS, NO_DOTS_FIX, NO_SYSTEM_MOUNT};
use crate::api::bounded::BoundedText;

/// What is wrong with a source that says twice where its key is from.
pub const ONE_KEY: &str = "set at most one of csr and privateKey: either the request was made elsewhere, with its key, or the operator makes both";

/// What is wrong with a source that chooses the format of a key that Vault does not make.
pub const NO_KEY_FORMAT: &str = "leave private_key_format out of parameters: Vault makes no key where csr or privateKey is set, and a key of privateKey is always PKCS#8 in PEM";

/// What to do about parameters that have fields of their own.
pub const PKI_FIELDS_FIX: &str =
    "use the fields commonName, dnsNames, ipAddresses, uris, csr and ttl; the format is always pem";

/// A certificate of a PKI engine, issued for this object alone and replaced before it ends. Its private key is Vault's work, unless `csr` or `privateKey`
/// says otherwise.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.csr) || self.csr == '' || !has(self.privateKey)").message(ONE_KEY))]
#[x_kube(validation = Rule::new("!has(self.parameters) || !('private_key_format' in self.parameters) || ((!has(self.csr) || self.csr == '') && !has(self.privateKey))").message(NO_KEY_FORMAT))]
pub struct PkiSource {
    /// The mount of the engine, such as `pki_int`.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new(r"self.matches('^[^/%?#\\\\\\x00-\\x1f\\x7f]+(/[^/%?#\\\\\\x00-\\x1f\\x7f]+)*$')")
        .message("must be a mount such as pki or teams/pki, without slashes at the ends and without %, ?, #, \\ or control characters"))]
    #[x_kube(validation = Rule::new(NO_DOTS).message(NO_DOTS_FIX))]
    #[x_kube(validation = Rule::new(NO_SYSTEM_MOUNT).message("must be the mount of a PKI engine, not sys, auth, identity or cubbyhole"))]
    pub mount: String,

    /// The role of the engine that says what may be issued.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new(r"self.matches('^[^/%?#\\\\\\x00-\\x1f\\x7f]+$') && self != '.' && self != '..'").message("must be the name of a role, without /, %, ?, #, \\ or control characters"))]
    pub role: String,

    /// The issuer that signs it, by name or id. Empty: the role's.
    #[serde(default)]
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new(r"self.matches('^[^/%?#\\\\\\x00-\\x1f\\x7f]*$') && self != '.' && self != '..'").message("must be the name or id of an issuer, without /, %, ?, #, \\ or control characters"))]
    pub issuer_ref: String,

    /// The common name.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub common_name: String,

    /// Further names.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(validation = Rule::new("self.all(name, !name.contains(','))").message("name one per entry, without commas"))]
    pub dns_names: Vec<String>,

    /// IP addresses.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64)))]
    #[x_kube(validation = Rule::new("self.all(address, !address.contains(','))").message("name one per entry, without commas"))]
    pub ip_addresses: Vec<String>,

    /// URIs, such as SPIFFE ids.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 512)))]
    #[x_kube(validation = Rule::new("self.all(uri, !uri.contains(','))").message("name one per entry, without commas"))]
    pub uris: Vec<String>,

    /// How long it is to live. Empty: as long as the role says.
    #[serde(default)]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$')")
        .message("must be a duration of h, m and s in this order, such as 90s, 10m or 1h30m, or empty"))]
    pub ttl: String,

    /// How long before its end it is replaced, at most half of its life. Empty: one third of it.
    #[serde(default)]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$')")
        .message("must be a duration of h, m and s in this order, such as 90s, 10m or 1h30m, or empty"))]
    pub renew_before: String,

    /// A certificate request in PEM, which Vault is asked to sign. The Secret then has no private key: that stays where the request was made.
    // Left out of what is hashed where it is not set, so that an object from before there was this field asks for the same as ever.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 16384))]
    pub csr: String,

    /// Has the operator make a private key for each certificate, and Vault sign a request for it: Vault never has the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKey>,

    /// Further parameters of the request, such as `private_key_format`.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) <= 128 && k.matches('^[A-Za-z0-9_.-]+$'))").message("names of parameters have at most 128 letters, digits, '_', '.' and '-'"))]
    #[x_kube(validation = Rule::new("self.all(k, !(k in ['common_name', 'alt_names', 'ip_sans', 'uri_sans', 'ttl', 'not_after', 'csr', 'format']))").message(PKI_FIELDS_FIX))]
    pub parameters: BTreeMap<String, BoundedText<1024>>,
}

/// What kind of private key the operator makes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.size) || self.algorithm == 'ECDSA'").message(SIZE_WITH_ECDSA))]
pub struct PrivateKey {
    /// The algorithm.
    #[serde(default)]
    pub algorithm: KeyAlgorithm,

    /// Its size in bits, of an ECDSA key: 256 or 384. Left out: 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [256, 384]), range(min = 256, max = 384))]
    pub size: Option<i32>,
}

/// What is wrong with the size of a key that has but one.
pub const SIZE_WITH_ECDSA: &str = "size goes with ECDSA; leave it out, or set algorithm: ECDSA";

/// The algorithm of a private key.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeyAlgorithm {
    /// On the curves P-256 and P-384.
    #[default]
    #[serde(rename = "ECDSA")]
    Ecdsa,
    /// Ed25519, which not every client takes.
    Ed25519,
}
