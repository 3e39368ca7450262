//! Taking a key store apart.

use ring::hmac;

use super::super::der::{OCTETS, OID, Reader, SEQUENCE, SET, tagged};
use super::crypt::{Purpose, counted, decrypt, derive, digest_of, wide};
use super::{Contents, Refusal, oid};

/// What is in the key store.
pub fn read(store: &[u8], password: &str) -> Result<Contents, Refusal> {
    let mut contents = Contents::default();
    let mut whole = Reader(store).open(SEQUENCE).ok_or(Refusal::Form)?;
    if whole.number() != Some(3) {
        return Err(Refusal::Form);
    }
    let mut safe = whole.open(SEQUENCE).ok_or(Refusal::Form)?;
    let safe = data(&mut safe).ok_or(Refusal::Form)?;
    if !whole.is_empty() {
        check(whole, safe, password, &mut contents.rounds)?;
    }
    let mut parts = Reader(safe).open(SEQUENCE).ok_or(Refusal::Form)?;
    while !parts.is_empty() {
        let mut part = parts.open(SEQUENCE).ok_or(Refusal::Form)?;
        if part.0.get(2..2 + oid::ENCRYPTED.len()) == Some(oid::ENCRYPTED) {
            let open = encrypted(&mut part, password, &mut contents.rounds)?;
            bags(&open, password, &mut contents)?;
        } else {
            let open = data(&mut part).ok_or(Refusal::Form)?;
            bags(open, password, &mut contents)?;
        }
    }
    Ok(contents)
}

/// What is plain.
fn data<'a>(part: &mut Reader<'a>) -> Option<&'a [u8]> {
    (part.take(OID)? == oid::DATA).then_some(())?;
    part.open(tagged(0))?.take(OCTETS)
}

fn encrypted(
    part: &mut Reader<'_>,
    password: &str,
    rounds: &mut usize,
) -> Result<Vec<u8>, Refusal> {
    let found = (|| {
        part.take(OID)?;
        let mut inside = part.open(tagged(0))?.open(SEQUENCE)?;
        inside.number()?;
        let mut content = inside.open(SEQUENCE)?;
        content.take(OID)?;
        Some((content.open(SEQUENCE)?, content.take(0x80)?))
    })();
    let (algorithm, text) = found.ok_or(Refusal::Form)?;
    decrypt(algorithm, password, text, rounds)
}

/// Compares the MAC.
fn check(
    mut rest: Reader<'_>,
    safe: &[u8],
    password: &str,
    rounds: &mut usize,
) -> Result<(), Refusal> {
    let found = (|| {
        let mut mac = rest.open(SEQUENCE)?;
        let mut digest = mac.open(SEQUENCE)?;
        let name = digest.open(SEQUENCE)?.take(OID)?;
        let value = digest.take(OCTETS)?;
        let salt = mac.take(OCTETS)?;
        let count = if mac.is_empty() { 1 } else { mac.number()? };
        Some((digest_of(name)?, value, salt, count))
    })();
    let ((digest, mac), value, salt, count) = found.ok_or(Refusal::Form)?;
    let bytes = 2 * password.len() + salt.len();
    let count = counted(Some(count), bytes, rounds)?;
    let fits = |password: &[u8]| {
        let size = digest.output_len();
        let key = derive(digest, password, salt, (Purpose::Mac, count, size));
        hmac::verify(&hmac::Key::new(mac, &key), safe, value).is_ok()
    };
    // No password is written in two ways.
    if fits(&wide(password)) || password.is_empty() && fits(&[]) {
        Ok(())
    } else {
        Err(Refusal::Password)
    }
}

fn bags(safe: &[u8], password: &str, contents: &mut Contents) -> Result<(), Refusal> {
    let mut bags = Reader(safe).open(SEQUENCE).ok_or(Refusal::Form)?;
    while !bags.is_empty() {
        let mut bag = bags.open(SEQUENCE).ok_or(Refusal::Form)?;
        let name = bag.take(OID).ok_or(Refusal::Form)?;
        let value = bag.take(tagged(0)).ok_or(Refusal::Form)?;
        let mark = bag.open(SET).and_then(mark);
        match name.strip_prefix(oid::BAGS) {
            Some([1]) => contents.keys.push((value.to_vec(), mark)),
            Some([2]) => {
                let found = (|| {
                    let mut inside = Reader(value).open(SEQUENCE)?;
                    Some((inside.open(SEQUENCE)?, inside.take(OCTETS)?))
                })();
                let (algorithm, text) = found.ok_or(Refusal::Form)?;
                let key = decrypt(algorithm, password, text, &mut contents.rounds)?;
                contents.keys.push((key, mark));
            }
            Some([3]) => {
                let found = (|| {
                    let mut inside = Reader(value).open(SEQUENCE)?;
                    (inside.take(OID)? == oid::X509).then_some(())?;
                    inside.open(tagged(0))?.take(OCTETS)
                })();
                let certificate = found.ok_or(Refusal::Form)?;
                contents.certificates.push((certificate.to_vec(), mark));
            }
            // Lists of revoked certificates and secrets of other kinds.
            Some(_) => {}
            None => return Err(Refusal::Form),
        }
    }
    Ok(())
}

/// What a key and its certificate have in common.
fn mark(mut attributes: Reader<'_>) -> Option<Vec<u8>> {
    while !attributes.is_empty() {
        let mut attribute = attributes.open(SEQUENCE)?;
        if attribute.take(OID)? == oid::LOCAL_KEY_ID {
            return attribute.open(SET)?.take(OCTETS).map(<[u8]>::to_vec);
        }
    }
    None
}
