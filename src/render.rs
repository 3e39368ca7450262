//! From what Vault answered to the bytes of the Secret.
//!
//! A Secret is one flat map of keys to bytes, and the API server is strict about both. This module knows how the
//! fields of JSON documents become such a map, and refuses beforehand what Kubernetes would refuse, in words that
//! name the key and the fix. It knows neither Vault nor Kubernetes: sources come in by name, `SecretData` goes out.

mod decode;
mod error;
pub mod folder;
mod mapping;
mod names;
mod rename;
mod sound;
pub mod template;

pub use decode::{Decode, DecodeProblem};
pub use error::{KeyNameProblem, MappingError};
pub use mapping::{ConflictPolicy, Content, Copy, Entry, Mapping, Sources, render};
pub use names::{EFFORT, Names, WordingError};
pub use rename::{Case, Effort, Selection, Wording};
pub use template::Template;

use crate::sensitive::SecretData;

/// The most bytes that all values of a Secret may have together. The keys do not count.
pub const MAX_SECRET_BYTES: usize = 1_048_576;

/// The most characters that the name of a key may have.
pub const MAX_KEY_LENGTH: usize = 253;

/// Says whether Kubernetes takes `key` as the name of a key of a Secret, and what is wrong if it does not.
pub fn check_key_name(key: &str) -> Result<(), KeyNameProblem> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if key.is_empty() {
        Err(KeyNameProblem::Empty)
    } else if key.len() > MAX_KEY_LENGTH {
        Err(KeyNameProblem::TooLong)
    } else if !key.bytes().all(allowed) {
        Err(KeyNameProblem::Characters)
    } else if key == "." || key.starts_with("..") {
        Err(KeyNameProblem::Dots)
    } else {
        Ok(())
    }
}

/// Refuses data that is more than a Secret can hold.
pub fn check_size(data: &SecretData) -> Result<(), MappingError> {
    if bytes_of(data) <= MAX_SECRET_BYTES {
        Ok(())
    } else {
        Err(too_large(data))
    }
}

/// The refusal of data that is too large.
fn too_large(data: &SecretData) -> MappingError {
    // Of equally large values the first key is named, so that the message does not change from pass to pass.
    let largest = data.iter().rev().max_by_key(|(_, value)| value.len());
    let (largest_key, largest_bytes) =
        largest.map_or_else(Default::default, |(key, value)| (key.clone(), value.len()));
    MappingError::SecretTooLarge {
        bytes: bytes_of(data),
        limit: MAX_SECRET_BYTES,
        largest_key,
        largest_bytes,
    }
}

fn bytes_of(data: &SecretData) -> usize {
    data.values().map(crate::sensitive::SecretBytes::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensitive::SecretBytes;

    fn data(sizes: &[(&str, usize)]) -> SecretData {
        let value = |size: usize| SecretBytes::new(vec![b'x'; size]);
        sizes
            .iter()
            .map(|(key, size)| ((*key).to_owned(), value(*size)))
            .collect()
    }

    #[test]
    fn key_names_follow_the_rule_of_kubernetes() {
        let longest = "k".repeat(253);
        for good in [
            "a",
            "tls.crt",
            ".dockerconfigjson",
            "A_b-C.9",
            "a..b",
            "-",
            "_",
            longest.as_str(),
        ] {
            assert_eq!(check_key_name(good), Ok(()), "{good:?}");
        }
        let too_long = "k".repeat(254);
        for (bad, problem) in [
            ("", KeyNameProblem::Empty),
            (too_long.as_str(), KeyNameProblem::TooLong),
            ("a b", KeyNameProblem::Characters),
            ("a/b", KeyNameProblem::Characters),
            ("schlüssel", KeyNameProblem::Characters),
            ("a\n", KeyNameProblem::Characters),
            (".", KeyNameProblem::Dots),
            ("..", KeyNameProblem::Dots),
            ("..data", KeyNameProblem::Dots),
        ] {
            assert_eq!(check_key_name(bad), Err(problem), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_of_exactly_the_limit_fits() {
        assert!(check_size(&data(&[("a", 1_048_000), ("b", 576)])).is_ok());
    }

    #[test]
    fn a_secret_one_byte_larger_does_not_fit_and_its_largest_key_is_named() {
        let error = check_size(&data(&[("a", 576), ("b", 1_048_000), ("c", 1)])).unwrap_err();
        insta::assert_snapshot!(error, @r#"write at most 1048576 bytes: the values have 1048577 together, key "b" alone 1048000; map fewer or smaller fields, or split them over several objects"#);
    }

    #[test]
    fn of_two_equally_large_keys_the_first_is_named() {
        let error = check_size(&data(&[("b", 600_000), ("a", 600_000)])).unwrap_err();
        assert!(error.to_string().contains(r#"key "a" alone"#), "{error}");
    }
}
