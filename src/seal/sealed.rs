//! Sealing: what only the operator itself may read again, such as the token of a session that is written down in a status.
//!
//! Each text is sealed with a key of its own, which is derived from the current key of the ring and from random bytes that stand
//! before the sealed ones. So no pair of key and nonce is ever used twice, however much is sealed. What is sealed is bound to its
//! place (`context`): moved elsewhere, it does not open.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{KeyId, Keyed, Keys, KeysError, Purpose, feed, feed_bytes};
use crate::sensitive::SecretData;

/// The random bytes before what is sealed.
const SALT_BYTES: usize = 24;

/// What is sealed. What was sealed as one thing never opens as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// The Vault token of a session.
    Token,
    /// Values that cannot be read from Vault a second time.
    Values,
}

/// Why something does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// The key is not in the key Secret (any more).
    #[error(
        "it was sealed with key {id:?}, which the key Secret does not have; restore that entry if it still exists somewhere"
    )]
    UnknownKey {
        /// Id of the key.
        id: String,
    },
    /// It was changed, moved from elsewhere, or never sealed by this operator.
    #[error("it is damaged, or was sealed for another place")]
    Damaged,
}

impl Keys {
    /// Seals `plain` for the place that `context` names. Fails only if the operating system has no randomness to give.
    pub fn seal(&self, what: Sealing, context: &[&str], plain: &[u8]) -> Result<String, KeysError> {
        let (id, keyed) = &self.current;
        let mut sealed = Zeroizing::new(vec![0; SALT_BYTES]);
        super::fill(&mut sealed)?;
        let key = derive(keyed, what, context, &sealed).ok_or(KeysError::NoRandomness)?;
        let mut body = Zeroizing::new(plain.to_vec());
        key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut *body)
            .map_err(|_| KeysError::NoRandomness)?;
        sealed.extend_from_slice(&body);
        Ok(format!("{}:{}", id.0, URL_SAFE_NO_PAD.encode(&*sealed)))
    }

    /// Opens what [`Keys::seal`] made of the same thing for the same place, with any key that is still known.
    pub fn unseal(
        &self,
        what: Sealing,
        context: &[&str],
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let (id, text) = sealed.split_once(':').ok_or(UnsealError::Damaged)?;
        let id = KeyId::new(id).map_err(|_| UnsealError::Damaged)?;
        let unknown = || UnsealError::UnknownKey { id: id.0.clone() };
        let keyed = self.ring.get(&id).ok_or_else(unknown)?;
        let bytes = URL_SAFE_NO_PAD.decode(text);
        let bytes = bytes.map_err(|_| UnsealError::Damaged)?;
        let (salt, body) = bytes
            .split_at_checked(SALT_BYTES)
            .ok_or(UnsealError::Damaged)?;
        let key = derive(keyed, what, context, salt).ok_or(UnsealError::Damaged)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain = key.open_in_place(nonce(), Aad::empty(), &mut body);
        let length = plain.map_err(|_| UnsealError::Damaged)?.len();
        body.truncate(length);
        Ok(body)
    }
}

/// The key for one sealed text. The place goes into it, so it needs not be authenticated beside the text.
fn derive(keyed: &Keyed, what: Sealing, context: &[&str], salt: &[u8]) -> Option<LessSafeKey> {
    let purpose = match what {
        Sealing::Token => Purpose::Token,
        Sealing::Values => Purpose::Values,
    };
    let mut hmac = feed(keyed, purpose, context, &SecretData::new());
    feed_bytes(&mut hmac, salt);
    let key = Zeroizing::new(<[u8; 32]>::from(hmac.finalize().into_bytes()));
    let key = UnboundKey::new(&CHACHA20_POLY1305, &*key).ok()?;
    Some(LessSafeKey::new(key))
}

/// Always the same: no two texts have the same key.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sensitive::SecretBytes;

    fn keys(ids: &[&str]) -> Keys {
        let key = |id: &&str| {
            let key = SecretBytes::new(vec![id.as_bytes()[1]; super::super::KEY_BYTES]);
            ((*id).to_owned(), key)
        };
        let mut data: SecretData = ids.iter().map(key).collect();
        let current = SecretBytes::from(*ids.last().unwrap());
        data.insert(super::super::CURRENT.to_owned(), current);
        Keys::from_data(&data).unwrap()
    }

    const PLACE: [&str; 2] = ["uid", "accessor"];

    fn opened(
        keys: &Keys,
        what: Sealing,
        place: &[&str],
        text: &str,
    ) -> Result<String, UnsealError> {
        let plain = keys.unseal(what, place, text)?;
        Ok(String::from_utf8(plain.to_vec()).unwrap())
    }

    #[test]
    fn what_was_sealed_opens_for_the_same_thing_and_place_only() {
        let keys = keys(&["k1"]);
        let text = keys.seal(Sealing::Token, &PLACE, b"s.token").unwrap();
        assert_eq!(
            opened(&keys, Sealing::Token, &PLACE, &text).unwrap(),
            "s.token"
        );
        let elsewhere = opened(&keys, Sealing::Token, &["uid", "other"], &text);
        assert_eq!(elsewhere, Err(UnsealError::Damaged));
        let otherwise = opened(&keys, Sealing::Values, &PLACE, &text);
        assert_eq!(otherwise, Err(UnsealError::Damaged));
    }

    #[test]
    fn the_sealed_form_of_an_earlier_version_still_opens() {
        let text = "k1:DeFFtvmdhwcjN8BPf0QNhEd35kIedXOVVCCVlpHhG9TDA9bZBEBxhmwR9o7lYlY";
        let keys = keys(&["k1"]);
        assert_eq!(
            opened(&keys, Sealing::Token, &PLACE, text).as_deref(),
            Ok("s.token")
        );
    }

    #[test]
    fn the_same_text_is_never_sealed_the_same_way_twice() {
        let keys = keys(&["k1"]);
        let seal = || keys.seal(Sealing::Values, &PLACE, b"same").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn after_a_change_of_keys_the_old_seal_opens_and_without_its_key_says_which_is_missing() {
        let (old, both, new) = (keys(&["k1"]), keys(&["k1", "k2"]), keys(&["k2"]));
        let text = old.seal(Sealing::Token, &PLACE, b"s.token").unwrap();
        assert_eq!(
            opened(&both, Sealing::Token, &PLACE, &text).unwrap(),
            "s.token"
        );
        let fresh = both.seal(Sealing::Token, &PLACE, b"s.token").unwrap();
        assert!(fresh.starts_with("k2:"), "{fresh}");
        let lost = opened(&new, Sealing::Token, &PLACE, &text).unwrap_err();
        insta::assert_snapshot!(lost, @r#"it was sealed with key "k1", which the key Secret does not have; restore that entry if it still exists somewhere"#);
    }

    proptest! {
        #[test]
        fn no_damage_opens_and_none_is_fatal(at: prop::sample::Index, to in "[A-Za-z0-9_:-]", any in ".{0,80}") {
            let keys = keys(&["k1"]);
            let text = keys.seal(Sealing::Token, &PLACE, b"s.token").unwrap();
            let at = at.index(text.len());
            let damaged = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            // The last character carries bits that nobody reads.
            if damaged != text && at + 1 < text.len() {
                prop_assert!(keys.unseal(Sealing::Token, &PLACE, &damaged).is_err(), "{}", damaged);
            }
            prop_assert!(keys.unseal(Sealing::Token, &PLACE, &any).is_err());
        }
    }
}
