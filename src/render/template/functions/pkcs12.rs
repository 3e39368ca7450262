//! PKCS#12 (RFC 7292), the key stores of Java and Windows.
//!
//! Reading takes what `OpenSSL`, Java and Go write, old ciphers included. Writing is the way that is recommended today: PBES2 with
//! PBKDF2, HMAC-SHA-256 and AES-256. A template is a function of its sources, so salts and vectors are no dice here: they
//! are derived from the password and the content. The same content yields the same bytes, another content other salts.

mod crypt;
mod read;
mod write;

pub use read::read;
pub use write::{Store, write};

/// What can be wrong with a key store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is none, or one in a form that is not read here.
    Form,
    /// Its MAC does not fit.
    Password,
    /// It wants more rounds than anybody needs.
    Rounds,
}

/// What is in a key store.
#[derive(Default)]
pub struct Contents {
    /// Private keys in PKCS#8, each with the mark of its certificate.
    pub keys: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Certificates, each with its mark.
    pub certificates: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// How many rounds its derivations took, those for long passwords and salts included.
    pub rounds: usize,
}

/// The most rounds of one derivation. The most that is in use is 100,000.
const MAX_ROUNDS: u32 = 200_000;

/// The most rounds of all derivations of one store together. Most stores have three.
const MAX_TOGETHER: usize = 500_000;

/// The names of what is in it.
mod oid {
    pub const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
    pub const ENCRYPTED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
    /// Followed by the number of the bag.
    pub const BAGS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01];
    pub const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
    pub const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14];
    pub const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x15];
    /// Java's mark of a certificate that is trusted, and what it is trusted for: anything.
    pub const TRUSTED: &[u8] = &[
        0x60, 0x86, 0x48, 0x01, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 0x01, 0x01,
    ];
    pub const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
    pub const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
    pub const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
    /// Followed by the number: 3 is 3DES, 5 and 6 are RC2 with 128 and 40 bits.
    pub const PBES1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];
    /// Followed by 2, 22 and 42 for 128, 192 and 256 bits with CBC.
    pub const AES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];
    pub const DES3: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07];
    /// Followed by 7 for SHA-1, 9, 10 and 11 for SHA-256, 384 and 512.
    pub const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
    pub const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
    /// Followed by 1, 2 and 3 for SHA-256, 384 and 512.
    pub const SHA2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
}
