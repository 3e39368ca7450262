//! Secret values, in types that cannot be printed.
//!
//! Everything that came from Vault, and every token that we hold, lives in one of these types. They have no
//! `Debug`, no `Display` and no `Serialize`, so that a value cannot reach a log, an event, a status or an error
//! by accident: the one way out is a method called `expose`, which is easy to search for. All are wiped on drop.
//!
//! What we cannot promise: buffers inside the HTTP and TLS libraries are theirs, and are not wiped.

mod compact;
mod json;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

pub use json::{Children, JsonError, JsonRef, SecretJson, is_pointer};

/// The `data` of a Secret, by key, in key order.
pub type SecretData = BTreeMap<String, SecretBytes>;

/// A secret that is text: a Vault token, a service account's token, a password.
#[derive(Clone)]
pub struct SecretText(SecretString);

/// A secret of arbitrary bytes: one value of a Secret.
#[derive(Clone)]
pub struct SecretBytes(SecretSlice<u8>);

impl SecretText {
    /// Takes ownership of `text`, which is wiped when the last clone goes.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself. Never pass it to anything that prints.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl SecretBytes {
    /// Takes ownership of `bytes`, which are wiped when the last clone goes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(SecretSlice::from(bytes))
    }

    /// The bytes themselves. Never pass them to anything that prints.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// How many bytes there are, which is no secret: the API server tells it too.
    pub fn len(&self) -> usize {
        self.expose().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl From<&str> for SecretBytes {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }
}
