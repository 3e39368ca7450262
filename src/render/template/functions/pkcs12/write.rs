//! Putting a key store together.

use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};

use super::super::chains::Certificate;
use super::super::der::{BMP, NULL, OCTETS, OID, SEQUENCE, SET, element, integer, tagged};
use super::crypt::{Purpose, derive, encrypt, wide};
use super::oid;

/// What goes into a key store: a key with its chain, the leaf first; or, without a key, certificates to trust.
pub struct Store<'a> {
    pub key: Option<Vec<u8>>,
    pub certificates: &'a [Certificate],
}

/// As many rounds as Java, `OpenSSL` and Go take.
const ROUNDS: u32 = 2048;

/// The key store.
pub fn write(store: &Store<'_>, password: &str) -> Vec<u8> {
    let seed = seed(store, password);
    let leaf = store.certificates.first();
    let mark = leaf.map(|leaf| {
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &leaf.der);
        let mark = element(OCTETS, &[digest.as_ref()]);
        attribute(oid::LOCAL_KEY_ID, &mark)
    });
    let mark = mark.filter(|_| store.key.is_some()).unwrap_or_default();
    let bags = store.certificates.iter().enumerate().map(|(index, one)| {
        let attributes = match (&store.key, index) {
            (Some(_), 0) => element(SET, &[&mark]),
            (Some(_), _) => Vec::new(),
            (None, _) => trusted(one),
        };
        let inside = element(OCTETS, &[&one.der]);
        let inside = [name(oid::X509), element(tagged(0), &[&inside])].concat();
        bag(3, &element(SEQUENCE, &[&inside]), &attributes)
    });
    let bags = element(SEQUENCE, &[&bags.collect::<Vec<_>>().concat()]);
    let (algorithm, text) = shroud(&seed, password, "certificates", &bags);
    let content = [name(oid::DATA), algorithm, element(0x80, &[&text])].concat();
    let content = [integer(&[0]), element(SEQUENCE, &[&content])].concat();
    let content = element(tagged(0), &[&element(SEQUENCE, &[&content])]);
    let mut safe = element(SEQUENCE, &[&name(oid::ENCRYPTED), &content]);
    if let Some(key) = &store.key {
        let (algorithm, text) = shroud(&seed, password, "key", key);
        let shrouded = element(SEQUENCE, &[&algorithm, &element(OCTETS, &[&text])]);
        let bags = element(SEQUENCE, &[&bag(2, &shrouded, &element(SET, &[&mark]))]);
        safe.extend(plain(&bags));
    }
    let safe = element(SEQUENCE, &[&safe]);
    let mac = mac(&seed, password, &safe);
    element(SEQUENCE, &[&integer(&[3]), &plain(&safe), &mac])
}

fn name(oid: &[u8]) -> Vec<u8> {
    element(OID, &[oid])
}

fn plain(content: &[u8]) -> Vec<u8> {
    let content = element(tagged(0), &[&element(OCTETS, &[content])]);
    element(SEQUENCE, &[&name(oid::DATA), &content])
}

fn bag(number: u8, value: &[u8], attributes: &[u8]) -> Vec<u8> {
    let kind = name(&[oid::BAGS, &[number]].concat());
    element(
        SEQUENCE,
        &[&kind, &element(tagged(0), &[value]), attributes],
    )
}

fn attribute(oid: &[u8], value: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&name(oid), &element(SET, &[value])])
}

/// What Java looks for in a store of certificates to trust. In a set the smaller comes first.
fn trusted(certificate: &Certificate) -> Vec<u8> {
    let units: Vec<u8> = certificate
        .subject
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    let mut attributes = [
        attribute(oid::FRIENDLY_NAME, &element(BMP, &[&units])),
        attribute(oid::TRUSTED, &name(oid::ANY_USAGE)),
    ];
    attributes.sort();
    element(SET, &[&attributes.concat()])
}

/// What all salts are made of. It takes as many rounds as the key of the store itself, so that a salt, which everybody sees, tells
/// whoever guesses passwords nothing sooner than the store would.
fn seed(store: &Store<'_>, password: &str) -> hmac::Key {
    let mut content = digest::Context::new(&digest::SHA256);
    let certificates = store.certificates.iter().map(|one| &one.der);
    for part in store.key.iter().chain(certificates) {
        content.update(&part.len().to_be_bytes());
        content.update(part);
    }
    let mut seed = [0; 32];
    let count = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
    let function = pbkdf2::PBKDF2_HMAC_SHA256;
    let content = content.finish();
    pbkdf2::derive(
        function,
        count,
        content.as_ref(),
        password.as_bytes(),
        &mut seed,
    );
    hmac::Key::new(hmac::HMAC_SHA256, &seed)
}

fn salt(seed: &hmac::Key, purpose: &str) -> [u8; 16] {
    let mut salt = [0; 16];
    salt.copy_from_slice(&hmac::sign(seed, purpose.as_bytes()).as_ref()[..16]);
    salt
}

/// The algorithm and the encrypted text.
fn shroud(seed: &hmac::Key, password: &str, purpose: &str, content: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let salt = &salt(seed, &format!("salt of {purpose}"));
    let vector = self::salt(seed, &format!("vector of {purpose}"));
    let function = [name(&[oid::HMAC, &[9]].concat()), element(NULL, &[])].concat();
    let derivation = [
        element(OCTETS, &[salt.as_slice()]),
        integer(&ROUNDS.to_be_bytes()),
        element(SEQUENCE, &[&function]),
    ];
    let derivation = element(SEQUENCE, &[&derivation.concat()]);
    let derivation = element(SEQUENCE, &[&name(oid::PBKDF2), &derivation]);
    let cipher = name(&[oid::AES, &[42]].concat());
    let cipher = element(SEQUENCE, &[&cipher, &element(OCTETS, &[&vector])]);
    let parameters = element(SEQUENCE, &[&derivation, &cipher]);
    let algorithm = element(SEQUENCE, &[&name(oid::PBES2), &parameters]);
    (algorithm, encrypt(password, salt, &vector, ROUNDS, content))
}

fn mac(seed: &hmac::Key, password: &str, safe: &[u8]) -> Vec<u8> {
    let salt = &salt(seed, "salt of mac");
    let wanted = (Purpose::Mac, ROUNDS, 32);
    let key = derive(&digest::SHA256, &wide(password), salt, wanted);
    let value = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), safe);
    let digest = [name(&[oid::SHA2, &[1]].concat()), element(NULL, &[])].concat();
    let digest = [
        element(SEQUENCE, &[&digest]),
        element(OCTETS, &[value.as_ref()]),
    ];
    let digest = element(SEQUENCE, &[&digest.concat()]);
    let rounds = integer(&ROUNDS.to_be_bytes());
    element(
        SEQUENCE,
        &[&digest, &element(OCTETS, &[salt.as_slice()]), &rounds],
    )
}
