//! `kubernetes.io/ssh-auth`: a private key for SSH, in OpenSSH's own form or in PEM as for TLS.
//!
//! One that is encrypted is taken: its passphrase may lie beside it in the Secret, or be told to the program in another way.

use super::keys;
use super::pem::{self, Block};
use super::{Suits, Unsuitable};
use crate::sensitive::SecretData;

/// The key of the private key.
pub const KEY: &str = "ssh-privatekey";

/// Refuses what no SSH client could read.
pub fn check(data: &SecretData) -> Suits {
    let value = data.get(KEY).map_or(&[][..], |value| value.expose());
    let blocks = pem::blocks(value).map_err(|problem| match other_kind(value) {
        Some(kind) => Unsuitable::new(KEY, kind),
        None => Unsuitable::new(KEY, problem.to_string()),
    })?;
    let is_key = |block: &&Block| block.label.ends_with("PRIVATE KEY");
    let Some(block) = blocks.iter().find(is_key) else {
        let problem =
            "has no private key (-----BEGIN OPENSSH PRIVATE KEY-----), but PEM of another kind";
        return Err(Unsuitable::new(KEY, problem));
    };
    if is_sound(block) {
        Ok(())
    } else {
        Err(Unsuitable::new(
            KEY,
            "cannot be read: it is damaged, or a part of it is missing",
        ))
    }
}

/// What people store by mistake.
fn other_kind(value: &[u8]) -> Option<&'static str> {
    let starts = |prefix: &str| value.trim_ascii_start().starts_with(prefix.as_bytes());
    if starts("PuTTY-User-Key-File-") {
        Some("is a key of PuTTY; convert it with puttygen KEY -O private-openssh")
    } else if starts("ssh-") || starts("ecdsa-sha2-") || starts("sk-") {
        Some("is the public key; store the private one")
    } else {
        None
    }
}

fn is_sound(block: &Block) -> bool {
    match block.label.as_str() {
        "OPENSSH PRIVATE KEY" => openssh(&block.der).is_some(),
        // What is encrypted as a whole looks like nothing.
        _ if block.encrypted => !block.der.is_empty(),
        "ENCRYPTED PRIVATE KEY" | "DSA PRIVATE KEY" => {
            matches!(keys::element(&block.der), Some((0x30, [_, ..], [])))
        }
        _ => keys::public(&block.der).is_some(),
    }
}

/// Goes through OpenSSH's own form (PROTOCOL.key in its sources): names of cipher and derivation, options, public keys, and the private part. Where that is not
/// encrypted, it begins with a number twice.
fn openssh(bytes: &[u8]) -> Option<()> {
    let rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
    let (cipher, rest) = string(rest)?;
    let (_derivation, rest) = string(rest)?;
    let (_options, rest) = string(rest)?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = u32::from_be_bytes(*count);
    if count == 0 {
        return None;
    }
    for _ in 0..count {
        let (_public, after) = string(rest)?;
        rest = after;
    }
    let (private, _) = string(rest)?;
    let (first, after) = private.split_first_chunk::<4>()?;
    let (second, _) = after.split_first_chunk::<4>()?;
    (cipher != b"none" || first == second).then_some(())
}

/// A string with its length in front.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
