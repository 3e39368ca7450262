//! The operator's own keys, the keyed MAC by which it recognises data that it wrote, and the seal on what only it may read.
//!
//! The Secret is the commit record, so its annotation must say what the data was without helping anybody to guess it:
//! a bare digest of a short password can be tried out by whoever may read metadata. A MAC under a key that only the
//! operator holds cannot. The keys live in one Secret in the operator's namespace, each under an id; everything that is
//! made from a key carries the id, so that a key can be replaced while what the old one made is still recognised.

mod sealed;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;

pub use self::sealed::{Sealing, UnsealError};
use crate::sensitive::{SecretBytes, SecretData};

/// The bytes of one key.
pub const KEY_BYTES: usize = 32;

/// The entry of the key Secret that holds the id of the key in use.
pub const CURRENT: &str = "current";

/// The most characters that the id of a key may have.
const MAX_ID_LENGTH: usize = 32;

/// The bytes of a MAC.
const MAC_BYTES: usize = 32;

/// The operator's keys by id. New MACs are made with the current one; the others only recognise what they made.
pub struct Keys {
    current: (KeyId, Keyed),
    ring: BTreeMap<KeyId, Keyed>,
}

/// HMAC-SHA-256 that has taken in its key, and wipes it on drop.
type Keyed = Hmac<Sha256>;

/// Proof that data is what the operator wrote. No secret: it stands in an annotation as `<key id>:<base64url>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mac {
    key: KeyId,
    tag: [u8; MAC_BYTES],
}

/// The name of a key: 1 to 32 characters of `a` to `z` and `0` to `9`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct KeyId(String);

/// Why the key Secret cannot be used or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The entry that names the key in use is not there.
    #[error(
        "find entry \"{CURRENT}\" in the key Secret: restore it with the id of one of the other entries, or delete the Secret to have new keys made (some Secrets are then written once more)"
    )]
    NoCurrent,
    /// The entry that names the key in use names no entry. What it holds is not shown: it may be a key in the wrong place.
    #[error(
        "find the key that entry \"{CURRENT}\" of the key Secret names: make it one of the ids {ids:?}"
    )]
    CurrentUnknown {
        /// The ids that there are, at most 20 of them.
        ids: Vec<String>,
    },
    /// An entry of the key Secret is no id.
    #[error(
        "use {id:?} as the id of a key: an id is 1 to 32 characters of a-z and 0-9; remove or rename the entry of the key Secret"
    )]
    InvalidId {
        /// The id as it stands there, shortened.
        id: String,
    },
    /// The entry is not exactly 32 bytes.
    #[error(
        "use entry {id:?} of the key Secret: a key has {KEY_BYTES} bytes, this one {bytes}; restore or remove the entry"
    )]
    WrongLength {
        /// The id of the key.
        id: String,
        /// How many bytes it has.
        bytes: usize,
    },
    /// The operating system gave no random bytes.
    #[error("make a key: the operating system gave no random bytes")]
    NoRandomness,
}

/// The text is not `<key id>:<base64url>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read a MAC: the text is not <key id>:<base64url of {MAC_BYTES} bytes>")]
pub struct MacError;

/// What a MAC is made for. A MAC for one purpose is never valid for another.
#[derive(Clone, Copy)]
enum Purpose {
    Data,
    Fingerprint,
    Token,
    Values,
}

impl Keys {
    /// Opens the `data` of the key Secret: an entry of 32 bytes per key under its id, and an entry `current` with the
    /// id of the key in use. Fails if any entry is not that, and names it.
    pub fn from_data(data: &SecretData) -> Result<Self, KeysError> {
        let mut ring = BTreeMap::new();
        for (id, key) in data.iter().filter(|(id, _)| *id != CURRENT) {
            let wrong_length = || KeysError::WrongLength {
                id: shortened(id),
                bytes: key.len(),
            };
            let keyed = Some(key.expose()).filter(|key| key.len() == KEY_BYTES);
            let keyed = keyed.and_then(|key| Keyed::new_from_slice(key).ok());
            ring.insert(KeyId::new(id)?, keyed.ok_or_else(wrong_length)?);
        }
        let current = data.get(CURRENT).ok_or(KeysError::NoCurrent)?;
        let current = String::from_utf8_lossy(current.expose());
        // A person who edits the entry easily leaves a newline at its end.
        let id = current.trim();
        let found = ring.iter().find(|(known, _)| known.0 == id);
        let (known, keyed) = found.ok_or_else(|| KeysError::CurrentUnknown {
            ids: ring.keys().take(20).map(|id| id.0.clone()).collect(),
        })?;
        Ok(Self {
            current: (known.clone(), keyed.clone()),
            ring,
        })
    }

    /// The `data` of a key Secret with one new random key under `id`. Fails on an id that is none, and if the
    /// operating system has no randomness to give.
    pub fn generate(id: &str) -> Result<SecretData, KeysError> {
        let id = KeyId::new(id)?;
        let mut key = vec![0; KEY_BYTES];
        fill(&mut key)?;
        let current = SecretBytes::from(id.0.as_str());
        Ok(SecretData::from([
            (CURRENT.to_owned(), current),
            (id.0, SecretBytes::new(key)),
        ]))
    }

    /// Makes the MAC of `data` for one place: `context` says which, for instance owner, namespace, name and type,
    /// always in the same order.
    pub fn mac(&self, context: &[&str], data: &SecretData) -> Mac {
        self.make(Purpose::Data, context, data)
    }

    /// Whether `mac` was made by this function's counterpart for the same context and data, with a key that is still
    /// known. Takes the same time whether or not it is.
    pub fn verify(&self, mac: &Mac, context: &[&str], data: &SecretData) -> bool {
        self.check(mac, Purpose::Data, context, data)
    }

    /// A short text that stands for `text` without telling it, to see later whether it is still the same.
    /// Compare with [`Keys::recognises`]: after a change of keys the same text has another fingerprint.
    pub fn fingerprint(&self, text: &str) -> String {
        self.make(Purpose::Fingerprint, &[text], &SecretData::new())
            .to_string()
    }

    /// Whether `fingerprint` was made of `text`, with a key that is still known.
    pub fn recognises(&self, fingerprint: &str, text: &str) -> bool {
        let mac = fingerprint.parse::<Mac>();
        mac.is_ok_and(|mac| self.check(&mac, Purpose::Fingerprint, &[text], &SecretData::new()))
    }

    fn make(&self, purpose: Purpose, context: &[&str], data: &SecretData) -> Mac {
        let (key, keyed) = &self.current;
        let tag = feed(keyed, purpose, context, data)
            .finalize()
            .into_bytes()
            .into();
        Mac {
            key: key.clone(),
            tag,
        }
    }

    fn check(&self, mac: &Mac, purpose: Purpose, context: &[&str], data: &SecretData) -> bool {
        let Mac { key, tag } = mac;
        let keyed = self.ring.get(key);
        keyed.is_some_and(|keyed| {
            feed(keyed, purpose, context, data)
                .verify_slice(tag)
                .is_ok()
        })
    }
}

/// Fills the bytes with randomness of the operating system.
#[expect(
    clippy::disallowed_methods,
    reason = "a new key, and the salt of a seal, are what must not be repeatable"
)]
fn fill(bytes: &mut [u8]) -> Result<(), KeysError> {
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(bytes).map_err(|_| KeysError::NoRandomness)
}

/// Feeds everything with its length before it, so that no two inputs read the same: `ab`,`c` is not `a`,`bc`.
fn feed(keyed: &Keyed, purpose: Purpose, context: &[&str], data: &SecretData) -> Keyed {
    let mut hmac = keyed.clone();
    let domain: &[u8] = match purpose {
        Purpose::Data => b"vaultbridge.dev/v1/data",
        Purpose::Fingerprint => b"vaultbridge.dev/v1/fingerprint",
        Purpose::Token => b"vaultbridge.dev/v1/token",
        Purpose::Values => b"vaultbridge.dev/v1/values",
    };
    feed_bytes(&mut hmac, domain);
    feed_length(&mut hmac, context.len());
    for part in context {
        feed_bytes(&mut hmac, part.as_bytes());
    }
    feed_length(&mut hmac, data.len());
    for (key, value) in data {
        feed_bytes(&mut hmac, key.as_bytes());
        feed_bytes(&mut hmac, value.expose());
    }
    hmac
}

fn feed_bytes(hmac: &mut Keyed, bytes: &[u8]) {
    feed_length(hmac, bytes.len());
    hmac.update(bytes);
}

fn feed_length(hmac: &mut Keyed, length: usize) {
    hmac.update(&(length as u64).to_be_bytes());
}

/// At most 40 characters of a name, for a message.
fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

impl KeyId {
    fn new(id: &str) -> Result<Self, KeysError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good =
            (1..=MAX_ID_LENGTH).contains(&id.len()) && id.bytes().all(allowed) && id != CURRENT;
        if good {
            Ok(Self(id.to_owned()))
        } else {
            Err(KeysError::InvalidId { id: shortened(id) })
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key: KeyId(key),
            tag,
        } = self;
        write!(f, "{key}:{}", URL_SAFE_NO_PAD.encode(tag))
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let (key, tag) = text.split_once(':').ok_or(MacError)?;
        let key = KeyId::new(key).map_err(|_| MacError)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| MacError)?;
        Ok(Self {
            key,
            tag: tag.try_into().map_err(|_| MacError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Keys with these ids, each a key of its own byte, the last one in use.
    fn keys(ids: &[&str]) -> Keys {
        Keys::from_data(&key_data(ids)).unwrap()
    }

    fn key_data(ids: &[&str]) -> SecretData {
        let key = |id: &&str| {
            (
                (*id).to_owned(),
                SecretBytes::new(vec![id.as_bytes()[1]; KEY_BYTES]),
            )
        };
        let mut data: SecretData = ids.iter().map(key).collect();
        data.insert(CURRENT.to_owned(), SecretBytes::from(*ids.last().unwrap()));
        data
    }

    fn data(entries: &[(&str, &str)]) -> SecretData {
        entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), SecretBytes::from(*value)))
            .collect()
    }

    #[test]
    fn a_mac_is_recognised_for_the_same_context_and_data_only() {
        let keys = keys(&["k1"]);
        let (context, written) = (
            ["uid", "shop", "orders"],
            data(&[("user", "u"), ("password", "p")]),
        );
        let mac = keys.mac(&context, &written);
        assert!(keys.verify(&mac, &context, &written));
        assert!(!keys.verify(&mac, &["uid", "shop", "other"], &written));
        assert!(!keys.verify(&mac, &["uid", "shop"], &written));
        for changed in [
            data(&[("user", "u"), ("password", "P")]),
            data(&[("user", "u"), ("passwor", "dp")]),
            data(&[("user", "u")]),
            data(&[("user", "u"), ("password", "p"), ("x", "")]),
        ] {
            assert!(
                !keys.verify(&mac, &context, &changed),
                "{:?}",
                changed.keys()
            );
        }
    }

    #[test]
    fn the_mac_never_changes_between_versions_of_the_program() {
        let mac = keys(&["k1"]).mac(&["uid", "shop"], &data(&[("user", "u")]));
        insta::assert_snapshot!(mac, @"k1:W-YOGUmZpUraChiifLUG0bNQpKp22b0CwloACAcQOuU");
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }

    #[test]
    fn after_a_change_of_keys_the_old_mac_is_recognised_and_new_ones_use_the_new_key() {
        let (old, both) = (keys(&["k1"]), keys(&["k1", "k2"]));
        let mac = old.mac(&["c"], &data(&[]));
        assert!(both.verify(&mac, &["c"], &data(&[])));
        let new = both.mac(&["c"], &data(&[]));
        assert!(new.to_string().starts_with("k2:"), "{new}");
        assert!(
            !old.verify(&new, &["c"], &data(&[])),
            "an unknown key recognises nothing"
        );
    }

    #[test]
    fn a_mac_of_one_key_is_not_one_of_another() {
        let keys = keys(&["k1", "k2"]);
        let text = keys
            .mac(&["c"], &data(&[]))
            .to_string()
            .replace("k2:", "k1:");
        assert!(!keys.verify(&text.parse().unwrap(), &["c"], &data(&[])));
    }

    #[test]
    fn a_fingerprint_recognises_its_text_also_after_a_change_of_keys() {
        let fingerprint = keys(&["k1"]).fingerprint("body");
        let both = keys(&["k1", "k2"]);
        assert!(both.recognises(&fingerprint, "body"));
        assert!(!both.recognises(&fingerprint, "Body"));
        assert!(!both.recognises("k1:nonsense", "body"));
    }

    #[test]
    fn a_fingerprint_is_never_a_mac_of_data() {
        let keys = keys(&["k1"]);
        let mac = keys.fingerprint("body").parse().unwrap();
        assert!(!keys.verify(&mac, &["body"], &data(&[])));
    }

    #[test]
    fn generated_keys_open_and_are_never_the_same() {
        let (one, two) = (Keys::generate("k1").unwrap(), Keys::generate("k1").unwrap());
        let mac = Keys::from_data(&one).unwrap().mac(&[], &data(&[]));
        assert!(Keys::from_data(&one).unwrap().verify(&mac, &[], &data(&[])));
        assert!(!Keys::from_data(&two).unwrap().verify(&mac, &[], &data(&[])));
        let longest = "k".repeat(33);
        for id in ["", "K1", "k-1", "current", longest.as_str()] {
            assert!(
                matches!(Keys::generate(id), Err(KeysError::InvalidId { .. })),
                "{id:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_the_key_secret_is_named_with_the_fix() {
        let problem = |change: &dyn Fn(&mut SecretData)| {
            let mut data = key_data(&["k1"]);
            change(&mut data);
            Keys::from_data(&data)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        let set = |data: &mut SecretData, key: &str, value: &str| {
            data.insert(key.to_owned(), SecretBytes::from(value));
        };
        insta::assert_snapshot!(problem(&|data| data.clear()), @r#"find entry "current" in the key Secret: restore it with the id of one of the other entries, or delete the Secret to have new keys made (some Secrets are then written once more)"#);
        insta::assert_snapshot!(problem(&|data| set(data, "current", "k7")), @r#"find the key that entry "current" of the key Secret names: make it one of the ids ["k1"]"#);
        insta::assert_snapshot!(problem(&|data| set(data, "k1", "short")), @r#"use entry "k1" of the key Secret: a key has 32 bytes, this one 5; restore or remove the entry"#);
        insta::assert_snapshot!(problem(&|data| set(data, "Old", "12345678901234567890123456789012")), @r#"use "Old" as the id of a key: an id is 1 to 32 characters of a-z and 0-9; remove or rename the entry of the key Secret"#);
        assert_eq!(
            problem(&|data| set(data, "current", "k1\n")),
            "",
            "a newline at the end is forgiven"
        );
    }

    #[test]
    fn only_the_printed_form_is_read_back() {
        let good = keys(&["k1"]).mac(&[], &data(&[])).to_string();
        for bad in [
            "",
            ":",
            "k1",
            "k1:",
            "k1:AAAA",
            &good.replace("k1", "K1"),
            &format!("{good}="),
            &format!("{good}A"),
        ] {
            assert_eq!(bad.parse::<Mac>(), Err(MacError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_mac_that_prints_as_itself_or_an_error(text in "k1:[A-Za-z0-9_-]{42,44}|.{0,60}") {
            if let Ok(mac) = text.parse::<Mac>() {
                prop_assert_eq!(mac.to_string(), text);
            }
        }

        #[test]
        fn different_inputs_have_different_macs(
            one in prop::collection::vec("[ab]{0,2}", 0..4), two in prop::collection::vec("[ab]{0,2}", 0..4),
            data_one in prop::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3),
            data_two in prop::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3),
        ) {
            let keys = keys(&["k1"]);
            let mac = |context: &[String], entries: &BTreeMap<String, String>| {
                let context: Vec<_> = context.iter().map(String::as_str).collect();
                let entries: Vec<_> = entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                keys.mac(&context, &data(&entries))
            };
            prop_assert_eq!(mac(&one, &data_one) == mac(&two, &data_two), (one, data_one) == (two, data_two));
        }
    }
}
