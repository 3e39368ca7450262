//! `kubernetes.io/tls`: a certificate with those above it, and the private key of the first.

use x509_parser::prelude::{FromDer, X509Certificate};

use super::keys::{self, Public};
use super::pem::{self, Block};
use super::{Suits, Unsuitable};
use crate::sensitive::SecretData;

/// The key of the certificates.
pub const CERTIFICATE: &str = "tls.crt";

/// The key of the private key.
pub const KEY: &str = "tls.key";

/// The key of the authorities' certificates, which may be left out.
const AUTHORITY: &str = "ca.crt";

/// Refuses what a server could not start with.
pub fn check(data: &SecretData) -> Suits {
    let value = |key: &str| data.get(key).map_or(&[][..], |value| value.expose());
    let chain = blocks(CERTIFICATE, value(CERTIFICATE))?;
    let chain = certificates(CERTIFICATE, &chain)?;
    let key = private_key(value(KEY))?;
    let fits = |one: &X509Certificate<'_>| keys::fits(&key, &one.tbs_certificate.subject_pki);
    match chain.iter().position(fits) {
        Some(0) => {}
        Some(at) => {
            let problem = format!(
                "has the certificate of the private key in tls.key at place {}; the first must be the server's own, followed by the one that signed it",
                at + 1
            );
            return Err(Unsuitable::new(CERTIFICATE, problem));
        }
        None => {
            let problem = "does not fit the certificate in tls.crt: they are of different pairs";
            return Err(Unsuitable::new(KEY, problem));
        }
    }
    if data.contains_key(AUTHORITY) {
        certificates(AUTHORITY, &blocks(AUTHORITY, value(AUTHORITY))?)?;
    }
    Ok(())
}

fn blocks(key: &'static str, value: &[u8]) -> Result<Vec<Block>, Unsuitable> {
    pem::blocks(value).map_err(|problem| Unsuitable::new(key, problem.to_string()))
}

/// The certificates among the blocks; others are passed over, as servers do.
fn certificates<'b>(
    key: &'static str,
    blocks: &'b [Block],
) -> Result<Vec<X509Certificate<'b>>, Unsuitable> {
    let found = blocks.iter().filter(|block| block.label == "CERTIFICATE");
    let read = |(at, block): (usize, &'b Block)| {
        let whole = X509Certificate::from_der(&block.der).ok();
        let whole = whole.filter(|(rest, _)| rest.is_empty());
        whole.map(|(_, certificate)| certificate).ok_or_else(|| {
            let problem = format!("cannot be read: its certificate {} is no X.509", at + 1);
            Unsuitable::new(key, problem)
        })
    };
    let certificates = found.enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        let problem = "has no certificate (-----BEGIN CERTIFICATE-----), but PEM of another kind";
        return Err(Unsuitable::new(key, problem));
    }
    Ok(certificates)
}

/// The first private key among the blocks.
fn private_key(value: &[u8]) -> Result<Public, Unsuitable> {
    let problem = |problem: &str| Unsuitable::new(KEY, problem);
    let blocks = blocks(KEY, value)?;
    let is_key = |block: &&Block| block.label.ends_with("PRIVATE KEY");
    let block = blocks.iter().find(is_key).ok_or_else(|| {
        problem("has no private key (-----BEGIN PRIVATE KEY-----), but PEM of another kind")
    })?;
    if block.encrypted || block.label.starts_with("ENCRYPTED") {
        return Err(problem(
            "is encrypted with a passphrase, which no server is told; store it without one",
        ));
    }
    keys::public(&block.der)
        .ok_or_else(|| problem("cannot be read: it is no private key of PKCS#1, PKCS#8 or SEC1"))
}
