//! From the spec of a VaultConnection, and what it refers to, to the settings of an HTTP client.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::api::VaultConnectionSpec;
use crate::record::request_hash;
use crate::schedule::parse_duration;
use crate::sensitive::{SecretData, SecretText};
use crate::vault::{Settings, SettingsError, is_plain};

/// The bounds of `spec.timeout`, which the schema states as well. A pass over an object ends after 150 s: whoever waited longer for
/// one answer would never hear why it did not come.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
const LONGEST_TIMEOUT: Duration = Duration::from_mins(2);

/// What a VaultConnection refers to, as it was found in the operator's namespace.
#[derive(Default)]
pub struct References {
    /// The certificates of `spec.tls.caBundleRef`, if it is set.
    pub ca_bundle: Option<Found<String>>,
    /// The Secret of `spec.tls.clientCertificateRef`, if it is set.
    pub client_certificate: Option<Found<SecretData>>,
}

/// An object that was looked up, and what it is called in messages.
pub struct Found<T> {
    /// Such as `ConfigMap vault-ca, key ca.crt`.
    pub what: String,
    /// What was there.
    pub content: Option<T>,
}

/// Why a VaultConnection cannot be used. Names the field and the fix.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionProblem {
    /// Plain http, without the operator's leave.
    #[error(
        "spec.address: plain http would show every token to the network; use https, or run the operator with --allow-plain-http if this is a test"
    )]
    PlainHttp,
    /// A reference that leads nowhere.
    #[error("{field}: {what} does not exist in namespace {namespace}; create it there")]
    Missing {
        /// The field of the spec.
        field: &'static str,
        /// What was looked for.
        what: String,
        /// The operator's namespace.
        namespace: String,
    },
    /// A Secret without the keys of a certificate.
    #[error(
        "spec.tls.clientCertificateRef: {what} has no key {key}; it must be of type kubernetes.io/tls"
    )]
    NoKey {
        /// What was looked at.
        what: String,
        /// The key that is not there.
        key: &'static str,
    },
    /// A timeout that is no duration.
    #[error("spec.timeout: {0}")]
    Timeout(String),
    /// What a reference leads to are no certificates.
    #[error("spec.tls.caBundleRef: {what} {why}; put one or more PEM certificates there")]
    NoCertificates {
        /// What was looked at.
        what: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The HTTP client refuses.
    #[error("{0}")]
    Settings(SettingsError),
}

impl ConnectionProblem {
    /// Why the HTTP client refuses, with the place where a person wrote what it refuses.
    pub fn of_client(error: SettingsError, references: &References) -> Self {
        match (error, &references.ca_bundle) {
            (SettingsError::CaBundle(why), Some(found)) => Self::NoCertificates {
                what: found.what.clone(),
                why,
            },
            (error, _) => Self::Settings(error),
        }
    }
}

/// The settings, checked as far as that goes without building a client. `namespace` is the operator's.
pub fn settings(
    spec: &VaultConnectionSpec,
    references: &References,
    allow_plain_http: bool,
    namespace: &str,
) -> Result<Settings, ConnectionProblem> {
    if is_plain(&spec.address).map_err(ConnectionProblem::Settings)? && !allow_plain_http {
        return Err(ConnectionProblem::PlainHttp);
    }
    let timeout = parse_duration(&spec.timeout)
        .map_err(|error| ConnectionProblem::Timeout(error.to_string()))?;
    Ok(Settings {
        address: spec.address.clone(),
        namespace: spec.vault_namespace.clone(),
        ca_bundle: ca_bundle(spec, references, namespace)?,
        server_name: Some(spec.tls.server_name.clone()).filter(|name| !name.is_empty()),
        client_identity: references
            .client_certificate
            .as_ref()
            .map(|found| client_identity(found, namespace))
            .transpose()?,
        headers: spec
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.0.clone()))
            .collect(),
        timeout: timeout.clamp(SHORTEST_TIMEOUT, LONGEST_TIMEOUT),
        max_concurrent_requests: usize::try_from(spec.max_concurrent_requests)
            .unwrap_or(1)
            .max(1),
    })
}

/// A hash of everything that a client is made of, to see whether it must be made anew. The client's key enters by the
/// hash of its public certificate, which changes with it.
pub fn settings_hash(settings: &Settings) -> String {
    let Settings {
        address,
        namespace,
        ca_bundle,
        server_name,
        client_identity,
        headers,
        timeout,
        max_concurrent_requests,
    } = settings;
    let certificate = client_identity.as_ref().map(|pem| {
        pem.expose()
            .split("PRIVATE KEY")
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    request_hash(&format!(
        "{address:?}{namespace:?}{ca_bundle:?}{server_name:?}{certificate:?}{headers:?}{timeout:?}{max_concurrent_requests}"
    ))
}

fn ca_bundle(
    spec: &VaultConnectionSpec,
    references: &References,
    namespace: &str,
) -> Result<Option<String>, ConnectionProblem> {
    let Some(found) = &references.ca_bundle else {
        return Ok(Some(spec.tls.ca_bundle.clone()).filter(|pem| !pem.is_empty()));
    };
    match &found.content {
        Some(pem) => Ok(Some(pem.clone())),
        None => Err(ConnectionProblem::Missing {
            field: "spec.tls.caBundleRef",
            what: found.what.clone(),
            namespace: namespace.into(),
        }),
    }
}

fn client_identity(
    found: &Found<SecretData>,
    namespace: &str,
) -> Result<SecretText, ConnectionProblem> {
    let what = found.what.clone();
    let Some(data) = &found.content else {
        return Err(ConnectionProblem::Missing {
            field: "spec.tls.clientCertificateRef",
            what,
            namespace: namespace.into(),
        });
    };
    let mut pem = Zeroizing::new(String::new());
    for key in ["tls.crt", "tls.key"] {
        let part = data
            .get(key)
            .and_then(|bytes| std::str::from_utf8(bytes.expose()).ok());
        pem.push_str(part.ok_or_else(|| ConnectionProblem::NoKey {
            what: what.clone(),
            key,
        })?);
        pem.push('\n');
    }
    Ok(SecretText::new(pem.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings_of(spec: serde_json::Value, allow: bool) -> Result<Settings, String> {
        let spec: VaultConnectionSpec = serde_json::from_value(spec).unwrap();
        let settings = settings(&spec, &References::default(), allow, "vaultbridge-system");
        settings.map_err(|problem| problem.to_string())
    }

    #[test]
    fn plain_http_needs_leave_whatever_the_case_of_its_letters() {
        for address in [
            "http://vault:8200",
            "HTTP://vault:8200",
            "hTTp://vault:8200",
        ] {
            let refused = settings_of(json!({ "address": address }), false).err();
            let refused = refused.unwrap_or_else(|| panic!("{address} was accepted"));
            assert!(refused.contains("--allow-plain-http"), "{refused}");
            assert!(settings_of(json!({ "address": address }), true).is_ok());
        }
        assert!(settings_of(json!({ "address": "HTTPS://vault:8200" }), false).is_ok());
        let spaced = settings_of(json!({ "address": " http://vault:8200" }), false).err();
        assert!(spaced.unwrap().starts_with("spec.address has a space"));
    }

    #[test]
    fn a_timeout_that_the_schema_did_not_see_is_kept_within_its_bounds() {
        for (written, seconds) in [("0s", 1), ("30s", 30), ("2m", 120), ("999m", 120)] {
            let spec = json!({ "address": "https://vault:8200", "timeout": written });
            let timeout = settings_of(spec, false).map(|settings| settings.timeout.as_secs());
            assert_eq!(timeout, Ok(seconds), "{written}");
        }
    }
}
