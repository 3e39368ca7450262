//! Whom we trust, and as whom we present ourselves, in TLS.
//!
//! The configuration is made here and not by the HTTP library, because that one panics where no cryptography
//! was chosen for the process, and lets environment variables decide which certificates the machine trusts.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::settings::{Settings, SettingsError};

/// Where systems keep the authorities that they trust; the first that exists counts.
const PLATFORM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The TLS configuration that these settings ask for. Reads the machine's authorities from disk if none are given.
pub(super) fn configuration(settings: &Settings) -> Result<ClientConfig, SettingsError> {
    let roots = match &settings.ca_bundle {
        Some(bundle) => given_authorities(bundle)?,
        None => platform_authorities()?,
    };
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| SettingsError::Other)?
            .with_root_certificates(roots);
    let mut configuration = match &settings.client_identity {
        Some(identity) => {
            let (chain, key) = client_identity(identity.expose())?;
            builder.with_client_auth_cert(chain, key).map_err(|_| {
                SettingsError::ClientCertificate("the key does not belong to the certificate")
            })?
        }
        None => builder.with_no_client_auth(),
    };
    configuration.alpn_protocols = protocols(settings.server_name.is_some());
    Ok(configuration)
}

/// In HTTP/2 the name in the URL is also the authority that the server sees. Where the URL carries the name to
/// expect in the certificate, only HTTP/1.1 lets us tell the server its real address.
fn protocols(renamed: bool) -> Vec<Vec<u8>> {
    let http1 = b"http/1.1".to_vec();
    if renamed {
        vec![http1]
    } else {
        vec![b"h2".to_vec(), http1]
    }
}

/// Every certificate that a person gave must be usable: one that is silently skipped would be missed later.
fn given_authorities(bundle: &str) -> Result<RootCertStore, SettingsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        let certificate = certificate.map_err(|_| SettingsError::CaBundle("is not PEM"))?;
        roots
            .add(certificate)
            .map_err(|_| SettingsError::CaBundle("holds a certificate that cannot be read"))?;
    }
    if roots.is_empty() {
        Err(SettingsError::CaBundle("holds no certificate"))
    } else {
        Ok(roots)
    }
}

fn platform_authorities() -> Result<RootCertStore, SettingsError> {
    let mut roots = RootCertStore::empty();
    for path in PLATFORM_BUNDLES {
        if let Ok(bundle) = std::fs::read(path) {
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bundle).flatten());
        }
        if !roots.is_empty() {
            return Ok(roots);
        }
    }
    Err(SettingsError::NoAuthorities)
}

fn client_identity(
    pem: &str,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), SettingsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain =
        chain.map_err(|_| SettingsError::ClientCertificate("the certificate is not PEM"))?;
    if chain.is_empty() {
        return Err(SettingsError::ClientCertificate(
            "tls.crt holds no certificate",
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        SettingsError::ClientCertificate("tls.key holds no private key in PEM that can be read")
    })?;
    Ok((chain, key))
}

/// The configuration of a connection without TLS: it trusts nobody, so that no redirect can start TLS after all.
pub(super) fn none() -> Result<ClientConfig, SettingsError> {
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| SettingsError::Other)?;
    Ok(builder
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}
