//! Private keys as they come in PEM: PKCS#1, PKCS#8 and SEC1; and whether one belongs to a certificate.
//!
//! What the TLS library can read, it reads. What it does not take, such as a key of an uncommon curve or a short one of RSA, is some program's key all the
//! same, so that is read just so far as to compare it. Nothing is copied that is secret.

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// The public key within a key of SEC1.
const SEC1_PUBLIC: u8 = 0xa1;

/// The public half of a private key, as far as it is known.
#[derive(Debug, PartialEq, Eq)]
pub enum Public {
    /// Of RSA: modulus and exponent.
    Rsa(Vec<u8>, Vec<u8>),
    /// Of another kind: what a certificate has for it.
    Bits(Vec<u8>),
    /// The key does not tell, and it is of a kind that we cannot calculate with.
    Unknown,
}

/// The longest private key in bytes; one of RSA with 16384 bits has less than 10,000.
const MAX_KEY: usize = 64 * 1024;

/// The public half; `None` if that is no private key.
pub fn public(der: &[u8]) -> Option<Public> {
    half(der, false).filter(|_| der.len() <= MAX_KEY)
}

/// The same of a key that may stand `within` one of PKCS#8. None of that form stands in another: whoever wrote the value decides how deep it
/// goes, and each level would take stack.
fn half(der: &[u8], within: bool) -> Option<Public> {
    let (SEQUENCE, whole, []) = element(der)? else {
        return None;
    };
    let (INTEGER, _, rest) = element(whole)? else {
        return None;
    };
    let (kind, inner, rest) = element(rest)?;
    match kind {
        INTEGER => rsa(inner, rest),
        OCTETS => Some(calculated(der).unwrap_or_else(|| told(rest))),
        SEQUENCE if !within => {
            let (OCTETS, inner, _) = element(rest)? else {
                return None;
            };
            match half(inner, true) {
                Some(Public::Rsa(modulus, exponent)) => Some(Public::Rsa(modulus, exponent)),
                within => Some(calculated(der).or(within).unwrap_or(Public::Unknown)),
            }
        }
        _ => None,
    }
}

/// Whether the certificate's key is that public half. What is not known may be, but is not of RSA, whose keys always tell.
pub fn fits(public: &Public, certificate: &SubjectPublicKeyInfo<'_>) -> bool {
    let bits = certificate.subject_public_key.data.as_ref();
    match public {
        Public::Unknown => rsa_of(bits).is_none(),
        Public::Rsa(modulus, exponent) => {
            rsa_of(bits).as_ref() == Some(&(modulus.clone(), exponent.clone()))
        }
        Public::Bits(known) => known == bits || is_compressed(bits, known),
    }
}

/// Whether a point of a curve is the other one, of which only the half is told that decides, but for a sign.
fn is_compressed(bits: &[u8], point: &[u8]) -> bool {
    let Some((2 | 3, half)) = bits.split_first() else {
        return false;
    };
    point.get(1..=half.len()) == Some(half)
}

/// What the TLS library makes of the key, if it takes it.
fn calculated(der: &[u8]) -> Option<Public> {
    let key = PrivateKeyDer::try_from(der).ok()?;
    let key = any_supported_type(&key).ok()?;
    let public = key.public_key()?;
    let (_, public) = SubjectPublicKeyInfo::from_der(&public).ok()?;
    Some(Public::Bits(public.subject_public_key.data.to_vec()))
}

/// What a key of SEC1 tells of its public half, behind its secret.
fn told(mut rest: &[u8]) -> Public {
    while let Some((tag, content, after)) = element(rest) {
        if tag == SEC1_PUBLIC
            && let Some((BITS, [0, bits @ ..], _)) = element(content)
        {
            return Public::Bits(bits.to_vec());
        }
        rest = after;
    }
    Public::Unknown
}

/// A key of PKCS#1 behind its version and modulus: seven more numbers.
fn rsa(modulus: &[u8], mut rest: &[u8]) -> Option<Public> {
    let (INTEGER, exponent, _) = element(rest)? else {
        return None;
    };
    for _ in 0..7 {
        let (INTEGER, [_, ..], after) = element(rest)? else {
            return None;
        };
        rest = after;
    }
    Some(Public::Rsa(number(modulus), number(exponent)))
}

/// The numbers of a public key of RSA.
fn rsa_of(bits: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (SEQUENCE, whole, _) = element(bits)? else {
        return None;
    };
    let (INTEGER, modulus, rest) = element(whole)? else {
        return None;
    };
    let (INTEGER, exponent, _) = element(rest)? else {
        return None;
    };
    Some((number(modulus), number(exponent)))
}

/// A number without the zeros in front.
fn number(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes[zeros..].to_vec()
}

/// One element of DER: its tag, its content, and what follows it.
pub fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}
