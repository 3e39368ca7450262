//! Private and public keys: from JSON Web Keys, and from the forms that they have in PEM.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gotmpl::Value;

use super::super::value::{Dict, from_json};
use super::der::{self, OCTETS, OID, Reader, SEQUENCE, bits, element, integer, tagged};
use super::pem::Block;
use crate::sensitive::SecretJson;
use zeroize::Zeroizing;

/// The names of algorithms and curves.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// A key of RFC 7517.
struct Jwk(Dict);

/// The public key of a JSON Web Key, as DER.
pub fn jwk_public(text: &str) -> Option<Vec<u8>> {
    let jwk = Jwk::parse(text)?;
    let (algorithm, key) = match jwk.text("kty")? {
        "RSA" => {
            let numbers = [integer(&jwk.bytes("n")?), integer(&jwk.bytes("e")?)];
            let key = element(SEQUENCE, &[&numbers[0], &numbers[1]]);
            (rsa(), key)
        }
        "EC" => {
            let (curve, size) = jwk.curve()?;
            (ec(curve), jwk.point(size)?)
        }
        "OKP" => (jwk.edwards()?, jwk.sized("x", 32)?),
        _ => return None,
    };
    Some(element(SEQUENCE, &[&algorithm, &bits(&key)]))
}

/// The private key of a JSON Web Key, in PKCS#8.
pub fn jwk_private(text: &str) -> Option<Vec<u8>> {
    let jwk = Jwk::parse(text)?;
    match jwk.text("kty")? {
        "RSA" => {
            let mut numbers = vec![integer(&[0])];
            for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
                numbers.push(integer(&jwk.bytes(name)?));
            }
            let numbers: Vec<&[u8]> = numbers.iter().map(Vec::as_slice).collect();
            Some(pkcs8(&rsa(), &element(SEQUENCE, &numbers)))
        }
        "EC" => {
            let (curve, size) = jwk.curve()?;
            let point = element(tagged(1), &[&bits(&jwk.point(size)?)]);
            let secret = element(OCTETS, &[&jwk.sized("d", size)?]);
            let key = element(SEQUENCE, &[&integer(&[1]), &secret, &point]);
            Some(pkcs8(&ec(curve), &key))
        }
        "OKP" => {
            let secret = element(OCTETS, &[&jwk.sized("d", 32)?]);
            Some(pkcs8(&jwk.edwards()?, &secret))
        }
        _ => None,
    }
}

/// A private key out of PEM, in PKCS#8.
pub fn private(block: &Block) -> Option<Vec<u8>> {
    let bytes = &block.bytes;
    let mut whole = Reader(bytes);
    let mut inside = whole.open(SEQUENCE)?;
    if !whole.is_empty() {
        return None;
    }
    match block.label.as_str() {
        "PRIVATE KEY" => {
            inside.number()?;
            inside.take(SEQUENCE)?;
            inside.take(OCTETS)?;
            Some(bytes.clone())
        }
        "RSA PRIVATE KEY" => Some(pkcs8(&rsa(), bytes)),
        "EC PRIVATE KEY" => {
            inside.number()?;
            inside.take(OCTETS)?;
            let curve = inside.open(tagged(0))?.take(OID)?;
            Some(pkcs8(&ec(curve), bytes))
        }
        _ => None,
    }
}

fn pkcs8(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let key = element(OCTETS, &[key]);
    element(SEQUENCE, &[&integer(&[0]), algorithm, &key])
}

fn rsa() -> Vec<u8> {
    let nothing = element(der::NULL, &[]);
    element(SEQUENCE, &[&element(OID, &[RSA]), &nothing])
}

fn ec(curve: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&element(OID, &[EC]), &element(OID, &[curve])])
}

impl Jwk {
    fn parse(text: &str) -> Option<Self> {
        let document = SecretJson::parse(Zeroizing::new(text.to_owned())).ok()?;
        match from_json(document.root()?) {
            Value::Map(members) => Some(Self((*members).clone())),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(self.text(name)?).ok()?;
        (!bytes.is_empty()).then_some(bytes)
    }

    fn sized(&self, name: &str, size: usize) -> Option<Vec<u8>> {
        self.bytes(name).filter(|bytes| bytes.len() == size)
    }

    fn curve(&self) -> Option<(&'static [u8], usize)> {
        match self.text("crv")? {
            "P-256" => Some((P256, 32)),
            "P-384" => Some((P384, 48)),
            "P-521" => Some((P521, 66)),
            _ => None,
        }
    }

    fn point(&self, size: usize) -> Option<Vec<u8>> {
        Some([vec![4], self.sized("x", size)?, self.sized("y", size)?].concat())
    }

    fn edwards(&self) -> Option<Vec<u8>> {
        let known = self.text("crv")? == "Ed25519";
        known.then(|| element(SEQUENCE, &[&element(OID, &[ED25519])]))
    }
}
