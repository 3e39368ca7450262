//! Certificate requests (PKCS#10). One that a person brings is looked at before Vault is asked to sign it; others are made here, each with a private key
//! of its own, which Vault then never sees.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType, SignatureAlgorithm};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use zeroize::Zeroizing;

use crate::sensitive::SecretText;

/// A request that can be made, again and again, with another key each time.
#[derive(Clone)]
pub struct Wanted {
    algorithm: Algorithm,
    common_name: String,
    names: Vec<SanType>,
}

/// What kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on the curve P-256.
    EcdsaP256,
    /// ECDSA on the curve P-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
}

/// Whom a certificate is for, as a person wrote it.
pub struct Names<'a> {
    /// The common name, or none.
    pub common_name: &'a str,
    /// Host names; those with an `@` are addresses of mail, as Vault reads them.
    pub dns_names: &'a [String],
    /// IP addresses.
    pub ip_addresses: &'a [String],
    /// URIs.
    pub uris: &'a [String],
}

/// A request, and the key that it was made with.
pub struct Made {
    /// The request, in PEM.
    pub request: String,
    /// The private key, as PKCS#8 in PEM.
    pub key: SecretText,
    /// What Vault calls such a key.
    pub key_type: &'static str,
}

/// Keys cannot be made, or names do not fit into a request.
#[derive(Debug, thiserror::Error)]
#[error("make a private key and a request for its certificate: {0}")]
pub struct MakeError(#[from] rcgen::Error);

impl Wanted {
    /// Checks the names. The problem begins with the name of the field.
    pub fn new(algorithm: Algorithm, names: &Names<'_>) -> Result<Self, String> {
        let mut all = Vec::new();
        for name in names.dns_names {
            let name_of = ascii("dnsNames", name)?;
            all.push(if name.contains('@') {
                SanType::Rfc822Name(name_of)
            } else {
                SanType::DnsName(name_of)
            });
        }
        for address in names.ip_addresses {
            let parsed: IpAddr = address
                .parse()
                .map_err(|_| format!("ipAddresses: {address:?} is no IP address; correct it"))?;
            all.push(SanType::IpAddress(parsed));
        }
        for uri in names.uris {
            all.push(SanType::URI(ascii("uris", uri)?));
        }
        Ok(Self {
            algorithm,
            common_name: names.common_name.to_owned(),
            names: all,
        })
    }

    /// What kind of key is made.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Makes a new key and a request for its certificate.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where keys of certificates are made"
    )]
    pub fn make(&self) -> Result<Made, MakeError> {
        let (algorithm, key_type) = self.algorithm.details();
        let key = Zeroizing::new(KeyPair::generate_for(algorithm)?);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if !self.common_name.is_empty() {
            let name = self.common_name.as_str();
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names.clone_from(&self.names);
        let request = params.serialize_request(&*key)?;
        Ok(Made {
            request: pem("CERTIFICATE REQUEST", request.der()),
            key: SecretText::new(pem("PRIVATE KEY", key.serialized_der())),
            key_type,
        })
    }
}

impl Algorithm {
    fn details(self) -> (&'static SignatureAlgorithm, &'static str) {
        match self {
            Self::EcdsaP256 => (&rcgen::PKCS_ECDSA_P256_SHA256, "ec"),
            Self::EcdsaP384 => (&rcgen::PKCS_ECDSA_P384_SHA384, "ec"),
            Self::Ed25519 => (&rcgen::PKCS_ED25519, "ed25519"),
        }
    }
}

/// Checks a request that a person brought: that it is one, and no more than that. None of its text gets into the problem.
pub fn check(text: &str) -> Result<(), &'static str> {
    if text.contains("PRIVATE KEY-----") {
        return Err(
            "must not hold a private key: that stays where the request was made; take it out, and make a new key and request, since this one may have been read here",
        );
    }
    let mut blocks = Pem::iter_from_buffer(text.as_bytes());
    let Some(Ok(block)) = blocks.next() else {
        return Err(
            "is not PEM; put the whole text of the request there, from -----BEGIN CERTIFICATE REQUEST----- to -----END CERTIFICATE REQUEST-----",
        );
    };
    if blocks.next().is_some() {
        return Err("must be one certificate request alone; leave the other parts out");
    }
    if !["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"].contains(&block.label.as_str()) {
        return Err(
            "is PEM of something else than a CERTIFICATE REQUEST; put the request there, as `openssl req -new` makes it",
        );
    }
    match X509CertificationRequest::from_der(&block.contents) {
        Ok(([], _)) => Ok(()),
        _ => Err(
            "is not a certificate request that can be read (PKCS#10); make it anew, such as with `openssl req -new`",
        ),
    }
}

fn ascii(field: &str, name: &str) -> Result<Ia5String, String> {
    Ia5String::try_from(name).map_err(|_| {
        format!("{field}: {name:?} is not ASCII; write it as certificates do (xn--…, or percent-encoded)")
    })
}

/// How many bytes go into a line of PEM.
const LINE: usize = 48;

/// The text has the room that it needs from the beginning, so that no copy is left behind by growing.
fn pem(label: &str, der: &[u8]) -> String {
    let lines = der.chunks(LINE);
    let room: usize = lines
        .clone()
        .map(|line| line.len().div_ceil(3) * 4 + 1)
        .sum();
    let frame = "-----BEGIN -----\n-----END -----\n".len() + 2 * label.len();
    let mut text = String::with_capacity(room + frame);
    for piece in ["-----BEGIN ", label, "-----\n"] {
        text.push_str(piece);
    }
    for line in lines {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    for piece in ["-----END ", label, "-----\n"] {
        text.push_str(piece);
    }
    text
}

#[cfg(test)]
mod tests;
