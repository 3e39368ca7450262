//! Keys out of passwords, and the ciphers of key stores.

use std::num::NonZeroU32;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use cbc::{Decryptor, Encryptor};
use des::TdesEde3;
use rc2::Rc2;
use ring::{digest, hmac, pbkdf2};

use super::super::der::{OCTETS, OID, Reader, SEQUENCE};
use super::{MAX_ROUNDS, MAX_TOGETHER, Refusal, oid};

/// The password as the old derivation takes it: UTF-16, with a zero at its end.
pub fn wide(password: &str) -> Vec<u8> {
    let units = password.encode_utf16().chain([0]);
    units.flat_map(u16::to_be_bytes).collect()
}

/// What a derivation by RFC 7292, appendix B, is for.
#[derive(Clone, Copy)]
pub enum Purpose {
    Key = 1,
    Vector = 2,
    Mac = 3,
}

/// The derivation of RFC 7292, appendix B.
pub fn derive(
    algorithm: &'static digest::Algorithm,
    password: &[u8],
    salt: &[u8],
    (purpose, rounds, size): (Purpose, u32, usize),
) -> Vec<u8> {
    let block = algorithm.block_len();
    let filled = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.len().div_ceil(block) * block;
        bytes.iter().cycle().take(length).copied().collect()
    };
    let mut input = [filled(salt), filled(password)].concat();
    let mut derived = Vec::new();
    while derived.len() < size {
        let first = [&vec![purpose as u8; block][..], &input].concat();
        let mut round = digest::digest(algorithm, &first);
        for _ in 1..rounds {
            round = digest::digest(algorithm, round.as_ref());
        }
        derived.extend_from_slice(round.as_ref());
        let adding = filled(round.as_ref());
        for part in input.chunks_mut(block) {
            let mut carry = 1;
            for (byte, more) in part.iter_mut().zip(&adding[..block]).rev() {
                carry += u16::from(*byte) + u16::from(*more);
                *byte = u8::try_from(carry & 0xff).unwrap_or(0);
                carry >>= 8;
            }
        }
    }
    derived.truncate(size);
    derived
}

/// The digest of that name.
pub fn digest_of(name: &[u8]) -> Option<(&'static digest::Algorithm, hmac::Algorithm)> {
    if name == oid::SHA1 {
        return Some((
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        ));
    }
    match name.strip_prefix(oid::SHA2)? {
        [1] => Some((&digest::SHA256, hmac::HMAC_SHA256)),
        [2] => Some((&digest::SHA384, hmac::HMAC_SHA384)),
        [3] => Some((&digest::SHA512, hmac::HMAC_SHA512)),
        _ => None,
    }
}

/// Decrypts by the algorithm that is named, and adds its rounds.
pub fn decrypt(
    mut algorithm: Reader<'_>,
    password: &str,
    text: &[u8],
    rounds: &mut usize,
) -> Result<Vec<u8>, Refusal> {
    let name = algorithm.take(OID).ok_or(Refusal::Form)?;
    let parameters = algorithm.open(SEQUENCE).ok_or(Refusal::Form)?;
    if name == oid::PBES2 {
        return pbes2(parameters, password, text, rounds);
    }
    let number = name.strip_prefix(oid::PBES1).ok_or(Refusal::Form)?;
    let mut parameters = parameters;
    let salt = parameters.take(OCTETS).ok_or(Refusal::Form)?;
    let wide = wide(password);
    let count = counted(parameters.number(), wide.len() + salt.len(), rounds)?;
    let make = |purpose, size| {
        let sha1 = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        derive(sha1, &wide, salt, (purpose, count, size))
    };
    let vector = make(Purpose::Vector, 8);
    let open = match number {
        [3] => cbc::<Decryptor<TdesEde3>>(&make(Purpose::Key, 24), &vector, text),
        [5] => rc2(&make(Purpose::Key, 16), &vector, text),
        [6] => rc2(&make(Purpose::Key, 5), &vector, text),
        _ => return Err(Refusal::Form),
    };
    open.ok_or(Refusal::Password)
}

fn pbes2(
    mut parameters: Reader<'_>,
    password: &str,
    text: &[u8],
    rounds: &mut usize,
) -> Result<Vec<u8>, Refusal> {
    let mut derivation = parameters.open(SEQUENCE).ok_or(Refusal::Form)?;
    let mut cipher = parameters.open(SEQUENCE).ok_or(Refusal::Form)?;
    if derivation.take(OID) != Some(oid::PBKDF2) {
        return Err(Refusal::Form);
    }
    let mut derivation = derivation.open(SEQUENCE).ok_or(Refusal::Form)?;
    let salt = derivation.take(OCTETS).ok_or(Refusal::Form)?;
    let bytes = password.len() + salt.len();
    let count = counted(derivation.number(), bytes, rounds)?;
    if derivation.peek() == Some(super::super::der::INTEGER) {
        derivation.number().ok_or(Refusal::Form)?; // the length of the key, which the cipher tells as well
    }
    let function = match derivation.open(SEQUENCE) {
        None => 7,
        Some(mut function) => match function
            .take(OID)
            .and_then(|name| name.strip_prefix(oid::HMAC))
        {
            Some([number]) => *number,
            _ => return Err(Refusal::Form),
        },
    };
    let function = match function {
        7 => pbkdf2::PBKDF2_HMAC_SHA1,
        9 => pbkdf2::PBKDF2_HMAC_SHA256,
        10 => pbkdf2::PBKDF2_HMAC_SHA384,
        11 => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Err(Refusal::Form),
    };
    let name = cipher.take(OID).ok_or(Refusal::Form)?;
    let vector = cipher.take(OCTETS).ok_or(Refusal::Form)?;
    let make = |size: usize| {
        let mut key = vec![0; size];
        let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(function, count, salt, password.as_bytes(), &mut key);
        key
    };
    let open = match name.strip_prefix(oid::AES) {
        Some([2]) => cbc::<Decryptor<Aes128>>(&make(16), vector, text),
        Some([22]) => cbc::<Decryptor<Aes192>>(&make(24), vector, text),
        Some([42]) => cbc::<Decryptor<Aes256>>(&make(32), vector, text),
        None if name == oid::DES3 => cbc::<Decryptor<TdesEde3>>(&make(24), vector, text),
        _ => return Err(Refusal::Form),
    };
    open.ok_or(Refusal::Password)
}

/// So many rounds, if that is not too many. However few they are, each derivation goes through password and salt, of so many `bytes`, several times.
pub fn counted(count: Option<u32>, bytes: usize, rounds: &mut usize) -> Result<u32, Refusal> {
    let count = count.filter(|count| *count > 0).ok_or(Refusal::Form)?;
    let round = usize::try_from(count).unwrap_or(usize::MAX);
    *rounds = rounds.saturating_add(round).saturating_add(bytes / 8);
    if count > MAX_ROUNDS || *rounds > MAX_TOGETHER {
        return Err(Refusal::Rounds);
    }
    Ok(count)
}

fn cbc<D: KeyIvInit + BlockModeDecrypt>(key: &[u8], vector: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let cipher = D::new_from_slices(key, vector).ok()?;
    cipher.decrypt_padded_vec::<Pkcs7>(text).ok()
}

fn rc2(key: &[u8], vector: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let cipher = Rc2::new_with_eff_key_len(key, key.len() * 8);
    let vector: [u8; 8] = vector.try_into().ok()?;
    let cipher =
        <Decryptor<Rc2> as cbc::cipher::InnerIvInit>::inner_iv_init(cipher, &vector.into());
    cipher.decrypt_padded_vec::<Pkcs7>(text).ok()
}

/// Encrypts with AES-256 and a key of PBKDF2 with HMAC-SHA-256.
pub fn encrypt(
    password: &str,
    salt: &[u8],
    vector: &[u8; 16],
    rounds: u32,
    text: &[u8],
) -> Vec<u8> {
    let mut key = [0; 32];
    let count = NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN);
    let function = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(function, count, salt, password.as_bytes(), &mut key);
    Encryptor::<Aes256>::new(&key.into(), &(*vector).into()).encrypt_padded_vec::<Pkcs7>(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_many_parts_is_given_up_however_few_rounds_each_wants() {
        let (mut rounds, mut parts) = (0, 0);
        let long = 2 * 1024;
        while counted(Some(1), long, &mut rounds) == Ok(1) {
            parts += 1;
        }
        assert!((1000..5000).contains(&parts), "{parts} parts");
        let told = |count, rounds| counted(count, 0, &mut { rounds }).err();
        assert!(told(Some(200_000), 300_000).is_none());
        assert!(told(Some(200_001), 0) == Some(Refusal::Rounds));
        assert!(told(Some(200_000), 300_001) == Some(Refusal::Rounds));
        assert!(told(Some(0), 0) == Some(Refusal::Form) && told(None, 0) == Some(Refusal::Form));
    }
}
