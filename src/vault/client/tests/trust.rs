//! Trust and names, against a TLS server in this process. What Vault answers is tested on real servers elsewhere.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::super::*;
use super::settings;

const HEALTH: &str =
    r#"{"initialized":true,"sealed":false,"standby":false,"version":"2.7.2","cluster_name":"one"}"#;

/// What the server saw of a request.
struct Seen {
    sni: Option<String>,
    request: String,
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key for `name`, both PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()])
            .unwrap()
            .signed_by(&key, &self.0)
            .unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Serves health checks until the test ends, on a free port of the loopback address.
fn serve(authority: &Authority, name: &str, wants_client: bool) -> (SocketAddr, Receiver<Seen>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
        .unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if wants_client {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let (certificate, key) = authority.issue(name);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, seen) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(tls, connection);
            let mut buffer = [0; 4096];
            // A client that does not trust us ends the handshake, and this read with it.
            let Ok(length) = stream.read(&mut buffer) else {
                continue;
            };
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                HEALTH.len()
            );
            let _ = stream.write_all(format!("{head}{HEALTH}").as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
            let sni = stream.conn.server_name().map(str::to_owned);
            if sender.send(Seen { sni, request }).is_err() {
                return;
            }
        }
    });
    (address, seen)
}

async fn health(settings: &Settings) -> Result<Health, String> {
    let client = Client::new(settings, None).map_err(|error| error.to_string())?;
    client.health().await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_for_the_address_is_trusted() {
    let authority = Authority::new();
    let (address, seen) = serve(&authority, "localhost", false);
    let health = health(&settings(
        format!("https://localhost:{}", address.port()),
        Some(authority.pem()),
    ))
    .await
    .unwrap();
    assert_eq!(
        (
            health.version.as_str(),
            health.cluster_name.as_str(),
            health.sealed
        ),
        ("2.7.2", "one", false)
    );
    let Seen { sni, request } = seen.recv().unwrap();
    assert_eq!(sni.as_deref(), Some("localhost"));
    let request = request.to_lowercase();
    assert!(
        request.starts_with("get /v1/sys/health?standbyok=true&"),
        "{request}"
    );
    assert!(
        request.contains("x-vault-request: true\r\n") && request.contains("x-team: shop\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_trusted() {
    let (address, _seen) = serve(&Authority::new(), "localhost", false);
    let stranger = Authority::new();
    let error = health(&settings(
        format!("https://localhost:{}", address.port()),
        Some(stranger.pem()),
    ))
    .await
    .unwrap_err();
    assert_eq!(
        error,
        "reach vault: certificate not trusted: no known authority has signed it; put its authority into spec.tls.caBundle or spec.tls.caBundleRef"
    );
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let authority = Authority::new();
    let (address, _seen) = serve(&authority, "vault.internal", false);
    let error = health(&settings(
        format!("https://{address}"),
        Some(authority.pem()),
    ))
    .await
    .unwrap_err();
    assert_eq!(
        error,
        "reach vault: certificate not trusted: it is for another name; set spec.tls.serverName to a name that is in it"
    );
}

#[tokio::test]
async fn a_server_name_is_asked_for_and_expected_while_the_host_stays_the_address() {
    let authority = Authority::new();
    let (address, seen) = serve(&authority, "vault.internal", false);
    let mut settings = settings(format!("https://{address}"), Some(authority.pem()));
    settings.server_name = Some("vault.internal".to_owned());
    health(&settings).await.unwrap();
    let Seen { sni, request } = seen.recv().unwrap();
    assert_eq!(sni.as_deref(), Some("vault.internal"));
    assert!(
        request
            .to_lowercase()
            .contains(&format!("\r\nhost: {address}\r\n")),
        "{request}"
    );
}

#[tokio::test]
async fn a_server_that_asks_for_a_client_certificate_gets_the_given_one() {
    let authority = Authority::new();
    let (address, _seen) = serve(&authority, "localhost", true);
    let mut settings = settings(
        format!("https://localhost:{}", address.port()),
        Some(authority.pem()),
    );
    let without = health(&settings).await.unwrap_err();
    assert_eq!(
        without,
        "reach vault: the server wants a client certificate; set spec.tls.clientCertificateRef"
    );
    let (certificate, key) = authority.issue("operator");
    settings.client_identity = Some(SecretText::new(format!("{certificate}{key}")));
    assert!(health(&settings).await.is_ok());
}

#[test]
fn certificates_and_keys_that_cannot_be_used_are_refused_with_their_field() {
    let authority = Authority::new();
    let ((certificate, _), (_, other_key)) =
        (authority.issue("operator"), authority.issue("other"));
    let refused = |ca: &str, identity: Option<String>| {
        let mut settings = settings("https://vault".to_owned(), None);
        settings.ca_bundle = Some(ca.to_owned());
        settings.client_identity = identity.map(SecretText::new);
        Client::new(&settings, None)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let ca = authority.pem();
    let cases = [
        (refused("", None), "spec.tls.caBundle holds no certificate;"),
        (
            refused("nonsense", None),
            "spec.tls.caBundle holds no certificate;",
        ),
        (
            refused(
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                None,
            ),
            "spec.tls.caBundle holds a certificate",
        ),
        (
            refused(&ca, Some("nonsense".into())),
            "spec.tls.clientCertificateRef: tls.crt holds no certificate",
        ),
        (
            refused(&ca, Some(certificate.clone())),
            "spec.tls.clientCertificateRef: tls.key holds no private key",
        ),
        (
            refused(&ca, Some(certificate + &other_key)),
            "spec.tls.clientCertificateRef: the key does not belong",
        ),
    ];
    for (error, expected) in cases {
        assert!(
            error.starts_with(expected),
            "{error:?} does not start with {expected:?}"
        );
    }
}
