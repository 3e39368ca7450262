//! What a person may set about a connection, checked before the first request.
//!
//! Everything that could change the meaning of a request is refused here with the name of the field: an address
//! that carries a password, a header that replaces the token, a newline in a value.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use url::{Host, Url};

use crate::sensitive::SecretText;

/// One Vault, and how to talk to it.
pub struct Settings {
    /// `http` or `https`, host, optional port and path prefix. Whether plain http is acceptable is for the caller to decide.
    pub address: String,
    /// The Vault namespace of requests that name none; empty for the root namespace.
    pub namespace: String,
    /// PEM certificates: the only authorities to trust. Without it, those that the machine trusts.
    pub ca_bundle: Option<String>,
    /// The name to ask for and to expect in the server's certificate, where it differs from the address.
    pub server_name: Option<String>,
    /// PEM: a certificate with its chain, and its private key.
    pub client_identity: Option<SecretText>,
    /// Additional headers of every request.
    pub headers: BTreeMap<String, String>,
    /// The longest that one request may take, from connecting to the last byte of the reply.
    pub timeout: Duration,
    /// How many requests may be under way at once; at least one always may.
    pub max_concurrent_requests: usize,
}

/// What is wrong with the settings, in terms of the object in which a person wrote them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The address is not one.
    #[error("spec.address {0}; write it like https://vault.example.com:8200")]
    Address(&'static str),
    /// The namespace cannot be a header.
    #[error("spec.vaultNamespace has a character that a header cannot carry; use printable ASCII")]
    Namespace,
    /// No authority can be read.
    #[error("spec.tls.caBundle {0}; put one or more PEM certificates there")]
    CaBundle(&'static str),
    /// The machine has no authorities.
    #[error("no trusted certificates are installed on this machine; set spec.tls.caBundle")]
    NoAuthorities,
    /// The name cannot stand in a certificate.
    #[error("spec.tls.serverName is not a DNS name; write it like vault.example.com")]
    ServerName,
    /// Certificate or key cannot be used.
    #[error("spec.tls.clientCertificateRef: {0}")]
    ClientCertificate(&'static str),
    /// The header cannot be sent.
    #[error("spec.headers[{name:?}] {why}")]
    Header {
        /// The header's name as written.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No request could ever be answered.
    #[error("spec.timeout is zero; allow at least a second")]
    Timeout,
    /// The HTTP client cannot be built for a reason that none of the others names.
    #[error("cannot set up the connection with these settings")]
    Other,
}

/// Headers that are ours or HTTP's own; replacing one would change whom we are or what we say.
const RESERVED: [&str; 14] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Where the requests go.
pub(super) struct Target {
    /// Scheme and authority that requests name: that of the address, or the server name with the address' port.
    pub base: String,
    /// The path before every request's own: the address' prefix and the API's version.
    pub prefix: String,
    /// The `Host` to tell when it is not that of `base`.
    pub host_header: Option<HeaderValue>,
    /// The host to look up and connect to.
    pub host: String,
    /// Whether TLS is spoken.
    pub secure: bool,
}

/// Checks the address and combines it with the server name.
pub(super) fn target(address: &str, server_name: Option<&str>) -> Result<Target, SettingsError> {
    let url = checked_address(address)?;
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(ip)) => ip.to_string(),
        Some(Host::Ipv6(ip)) => ip.to_string(),
        Some(Host::Domain(_)) | None => return Err(SettingsError::Address("names no host")),
    };
    let secure = url.scheme() == "https";
    let prefix = format!("{}/v1", url.path().trim_end_matches('/'));
    let Some(name) = server_name.filter(|_| secure) else {
        let base = url.origin().ascii_serialization();
        return Ok(Target {
            base,
            prefix,
            host_header: None,
            host,
            secure,
        });
    };
    let mut named = url.clone();
    check_server_name(name)?;
    named
        .set_host(Some(name))
        .map_err(|_| SettingsError::ServerName)?;
    let authority = url.authority().to_owned();
    Ok(Target {
        base: named.origin().ascii_serialization(),
        prefix,
        host_header: Some(
            HeaderValue::from_str(&authority)
                .map_err(|_| SettingsError::Address("is not printable"))?,
        ),
        host,
        secure,
    })
}

/// Whether everybody on the way could read what is sent to that address. Fails where it is no address.
pub fn is_plain(address: &str) -> Result<bool, SettingsError> {
    Ok(checked_address(address)?.scheme() == "http")
}

fn checked_address(address: &str) -> Result<Url, SettingsError> {
    if address.contains(|character: char| character.is_control() || character.is_whitespace()) {
        return Err(SettingsError::Address("has a space or control character"));
    }
    let url = Url::parse(address).map_err(|_| SettingsError::Address("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SettingsError::Address("is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SettingsError::Address(
            "carries a user name or password, which would be printed",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(SettingsError::Address("has a query or fragment"));
    }
    Ok(url)
}

/// An IP address is not a name to ask for: a client never sends one, and would connect to it instead.
fn check_server_name(name: &str) -> Result<(), SettingsError> {
    match rustls::pki_types::ServerName::try_from(name) {
        Ok(rustls::pki_types::ServerName::DnsName(_)) => Ok(()),
        _ => Err(SettingsError::ServerName),
    }
}

/// The headers of every request.
pub(super) fn headers(written: &BTreeMap<String, String>) -> Result<HeaderMap, SettingsError> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let refuse = |why| SettingsError::Header {
            name: name.clone(),
            why,
        };
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| refuse("is not a header's name; use letters, digits and dashes"))?;
        if RESERVED.contains(&key.as_str()) || key.as_str().starts_with("x-vault-") {
            return Err(refuse(
                "belongs to the operator or to HTTP itself; remove it",
            ));
        }
        let value = HeaderValue::from_str(value).map_err(|_| {
            refuse("has a character that a header cannot carry; use printable ASCII")
        })?;
        headers.insert(key, value);
    }
    Ok(headers)
}

/// The value of the namespace header; `None` for the root namespace.
pub(super) fn namespace(written: &str) -> Result<Option<HeaderValue>, SettingsError> {
    if written.is_empty() {
        return Ok(None);
    }
    HeaderValue::from_str(written)
        .map(Some)
        .map_err(|_| SettingsError::Namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target_of(address: &str) -> Result<(String, String, String), String> {
        let target = target(address, None).map_err(|error| error.to_string())?;
        Ok((target.base, target.prefix, target.host))
    }

    #[test]
    fn an_address_may_have_a_port_and_a_path_prefix() {
        let plain = target_of("https://vault.example.com:8200/").unwrap();
        assert_eq!(
            plain,
            (
                "https://vault.example.com:8200".into(),
                "/v1".into(),
                "vault.example.com".into()
            )
        );
        let prefixed = target_of("http://[::1]:80/some/vault/").unwrap();
        assert_eq!(
            prefixed,
            ("http://[::1]".into(), "/some/vault/v1".into(), "::1".into())
        );
    }

    #[test]
    fn an_address_that_could_leak_or_mislead_is_refused_with_the_reason() {
        let cases = [
            ("vault:8200", "is neither http nor https"),
            ("ftp://vault", "is neither http nor https"),
            ("//vault", "is not a URL"),
            (
                "https://user:hunter2@vault",
                "carries a user name or password",
            ),
            ("https://vault/?a=b", "has a query or fragment"),
            ("https://vault/#a", "has a query or fragment"),
            (
                "https://vault\n.example",
                "has a space or control character",
            ),
            ("https://", "is not a URL"),
        ];
        for (address, why) in cases {
            let error = target_of(address).unwrap_err();
            assert!(
                error.starts_with("spec.address ") && error.contains(why),
                "{address:?}: {error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn plain_http_is_recognised_however_it_is_written() {
        for address in [
            "http://vault",
            "HTTP://vault",
            "hTtp:vault",
            r"http:\\vault",
        ] {
            assert_eq!(is_plain(address), Ok(true), "{address:?}");
        }
        assert_eq!(is_plain("HTTPS://vault"), Ok(false));
        for address in [" http://vault", "\thttp://vault", "ht\ntp://vault", "vault"] {
            assert!(is_plain(address).is_err(), "{address:?}");
        }
    }

    #[test]
    fn a_server_name_takes_the_place_of_the_host_and_the_address_stays_the_host_header() {
        let target = target("https://10.0.0.7:8200/x", Some("vault.internal"))
            .ok()
            .unwrap();
        assert_eq!(target.base, "https://vault.internal:8200");
        assert_eq!(target.host, "10.0.0.7");
        assert_eq!(target.host_header.unwrap(), "10.0.0.7:8200");
        assert_eq!(target.prefix, "/x/v1");
    }

    #[test]
    fn a_server_name_that_is_an_address_or_no_name_is_refused() {
        for name in ["10.0.0.7", "a b", "", "vault\n", "https://vault"] {
            let refused = target("https://vault", Some(name)).err();
            assert_eq!(refused, Some(SettingsError::ServerName), "{name:?}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_sent_or_is_ours_is_refused_by_name() {
        for (name, value) in [
            ("X-Vault-Token", "x"),
            ("x-vault-namespace", "x"),
            ("HOST", "x"),
            ("a b", "x"),
            ("X-A", "x\r\nX-Vault-Token: y"),
        ] {
            let error = headers(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("spec.headers[{name:?}] ")),
                "{error}"
            );
        }
        assert_eq!(
            headers(&BTreeMap::from([("X-Team".to_owned(), "shop".to_owned())]))
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn a_namespace_with_a_newline_is_refused() {
        assert_eq!(namespace("a\nb"), Err(SettingsError::Namespace));
        assert_eq!(namespace(""), Ok(None));
    }
}
