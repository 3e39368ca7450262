//! A source that is a certificate: issued by Vault's PKI engine and renewed before it ends.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::bounded::BoundedText;

/// A certificate of a PKI engine, with its private key, issued for this object alone and replaced before it ends.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PkiSource {
    /// The mount of the engine, such as `pki_int`.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new(r"self.matches('^[^/%?#\\\\\\x00-\\x1f\\x7f]+(/[^/%?#\\\\\\x00-\\x1f\\x7f]+)*$')")
        .message("must be a mount such as pki or teams/pki, without slashes at the ends and without %, ?, #, \\ or control characters"))]
    #[x_kube(validation = Rule::new("!self.split('/').exists(s, s == '.' || s == '..')").message("must not contain . or .. as a segment"))]
    #[x_kube(validation = Rule::new("!self.split('/').exists(s, s in ['sys', 'auth', 'identity', 'cubbyhole'])").message("must be the mount of a PKI engine, not sys, auth, identity or cubbyhole"))]
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

    /// Further parameters of the request, such as `private_key_format`.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) <= 128 && k.matches('^[A-Za-z0-9_.-]+$'))").message("names of parameters have at most 128 letters, digits, '_', '.' and '-'"))]
    #[x_kube(validation = Rule::new("self.all(k, !(k in ['common_name', 'alt_names', 'ip_sans', 'uri_sans', 'ttl', 'not_after', 'format']))").message("use the fields commonName, dnsNames, ipAddresses, uris and ttl; the format is always pem"))]
    pub parameters: BTreeMap<String, BoundedText<1024>>,
}
