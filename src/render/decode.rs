//! Values that lie in Vault as Base64, because they are no text: decoded, or refused without a word of them.
//!
//! Line ends are passed over, since many programs break long lines, and the padding may be left out as a whole, as in JSON Web Keys. Everything else that is
//! not of the alphabet is an error: a value that was cut off or mixed up must not become another value.

use base64::alphabet::{self, Alphabet};
use base64::engine::general_purpose::NO_PAD;
use base64::engine::{Engine, GeneralPurpose};
use zeroize::Zeroizing;

use crate::sensitive::{JsonRef, SecretBytes};

/// How a value is written in Vault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decode {
    /// As it is.
    #[default]
    None,
    /// In Base64.
    Base64,
    /// In Base64 with the alphabet for addresses and file names: `-` and `_` instead of `+` and `/`.
    Base64Url,
}

/// Why a value cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeProblem {
    /// It is no text.
    #[error(
        "it is {kind}, and only text can be decoded; leave it out, point into it with a field that starts with \"/\", or set decode: None"
    )]
    NoText {
        /// What it is.
        kind: &'static str,
    },
    /// A character is not of the alphabet.
    #[error(
        "its character {at} is none of {name}; only line ends may stand in between. Correct the value in Vault, or set decode: None if it is not encoded"
    )]
    Character {
        /// Its place, from 1.
        at: usize,
        /// How it was to be decoded.
        name: &'static str,
    },
    /// A character is of the other alphabet.
    #[error("its character {at} is none of {name} but of {other}; set decode: {other}")]
    OtherAlphabet {
        /// Its place, from 1.
        at: usize,
        /// How it was to be decoded.
        name: &'static str,
        /// How it may be.
        other: &'static str,
    },
    /// The padding is neither right nor left out.
    #[error(
        "its padding is wrong: at its end are either no \"=\", or as many as make its length a multiple of four; correct the value in Vault"
    )]
    Padding,
    /// It ends within a byte.
    #[error(
        "it ends in the middle of a byte, so a part of it is missing; correct the value in Vault"
    )]
    CutOff,
}

impl Decode {
    /// How people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Base64 => "Base64",
            Self::Base64Url => "Base64URL",
        }
    }

    /// The bytes of a value; `None` of `null`.
    pub fn bytes(self, value: JsonRef<'_>) -> Result<Option<SecretBytes>, DecodeProblem> {
        if self == Self::None || value.is_null() {
            return Ok(value.to_bytes());
        }
        let text = value
            .string()
            .ok_or(DecodeProblem::NoText { kind: value.kind() })?;
        self.text(&text).map(Some)
    }

    /// The bytes of a text.
    pub fn text(self, text: &str) -> Result<SecretBytes, DecodeProblem> {
        let alphabet = match self {
            Self::None => return Ok(SecretBytes::from(text)),
            Self::Base64 => &alphabet::STANDARD,
            Self::Base64Url => &alphabet::URL_SAFE,
        };
        let bare = self.bare(text, alphabet)?;
        let mut bytes = Zeroizing::new(vec![0; bare.len()]);
        let engine = GeneralPurpose::new(alphabet, NO_PAD);
        let length = engine
            .decode_slice(&*bare, &mut bytes)
            .map_err(|_| DecodeProblem::CutOff)?;
        Ok(SecretBytes::new(bytes[..length].to_vec()))
    }

    /// The text without line ends and padding, if it has nothing else that is not of the alphabet.
    fn bare(self, text: &str, alphabet: &Alphabet) -> Result<Zeroizing<Vec<u8>>, DecodeProblem> {
        let symbols = alphabet.as_str().as_bytes();
        let mut bare = Zeroizing::new(Vec::with_capacity(text.len()));
        let mut padding = 0;
        for (at, char) in text.chars().enumerate() {
            let byte = u8::try_from(char).ok();
            match byte {
                Some(b'\r' | b'\n') => {}
                Some(b'=') => padding += 1,
                Some(byte) if padding == 0 && symbols.contains(&byte) => bare.push(byte),
                Some(_) | None => return Err(self.stranger(at + 1, char)),
            }
        }
        let whole = (bare.len() + padding) % 4 == 0 && padding <= 2;
        if padding > 0 && !whole {
            return Err(DecodeProblem::Padding);
        }
        Ok(bare)
    }

    fn stranger(self, at: usize, char: char) -> DecodeProblem {
        let name = self.as_str();
        let other = match (self, char) {
            (Self::Base64, '-' | '_') => Self::Base64Url,
            (Self::Base64Url, '+' | '/') => Self::Base64,
            (_, '=') => return DecodeProblem::Padding,
            (_, _) => return DecodeProblem::Character { at, name },
        };
        let other = other.as_str();
        DecodeProblem::OtherAlphabet { at, name, other }
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn decoded(decode: Decode, text: &str) -> Result<Vec<u8>, DecodeProblem> {
        decode.text(text).map(|bytes| bytes.expose().to_vec())
    }

    #[test]
    fn line_ends_are_passed_over_and_the_padding_may_be_left_out() {
        for text in ["/+8B", "/+\r\n8B\n", "\n/+8B"] {
            let bytes = decoded(Decode::Base64, text).unwrap();
            assert_eq!(bytes, [0xff, 0xef, 0x01], "{text:?}");
        }
        for text in ["_-8", "_-8="] {
            let bytes = decoded(Decode::Base64Url, text).unwrap();
            assert_eq!(bytes, [0xff, 0xef], "{text:?}");
        }
        assert_eq!(decoded(Decode::Base64, "").unwrap(), b"");
        assert_eq!(decoded(Decode::None, "a b").unwrap(), b"a b");
    }

    #[test]
    fn what_is_not_of_the_alphabet_is_told_by_its_place_and_not_by_itself() {
        let problem = |decode, text| decoded(decode, text).unwrap_err().to_string();
        insta::assert_snapshot!(problem(Decode::Base64, "YWJj ZGVm"), @r#"its character 5 is none of Base64; only line ends may stand in between. Correct the value in Vault, or set decode: None if it is not encoded"#);
        insta::assert_snapshot!(problem(Decode::Base64, "YWJjä"), @r#"its character 5 is none of Base64; only line ends may stand in between. Correct the value in Vault, or set decode: None if it is not encoded"#);
        insta::assert_snapshot!(problem(Decode::Base64, "_-8="), @"its character 1 is none of Base64 but of Base64URL; set decode: Base64URL");
        insta::assert_snapshot!(problem(Decode::Base64Url, "/+8="), @"its character 1 is none of Base64URL but of Base64; set decode: Base64");
        insta::assert_snapshot!(problem(Decode::Base64, "YWJj="), @r#"its padding is wrong: at its end are either no "=", or as many as make its length a multiple of four; correct the value in Vault"#);
        insta::assert_snapshot!(problem(Decode::Base64, "YWJjZ"), @"it ends in the middle of a byte, so a part of it is missing; correct the value in Vault");
        for text in ["YQ=", "Y===", "====", "YQ==YQ==", "=YWJj"] {
            assert!(decoded(Decode::Base64, text).is_err(), "{text:?}");
        }
        // Bits that would be dropped are those of a byte that is not there.
        assert_eq!(decoded(Decode::Base64, "YR"), Err(DecodeProblem::CutOff));
    }

    proptest! {
        #[test]
        fn whatever_was_encoded_comes_out_as_it_was(bytes: Vec<u8>) {
            let lines: Vec<String> = STANDARD.encode(&bytes).as_bytes().chunks(4).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
            prop_assert_eq!(decoded(Decode::Base64, &lines.join("\r\n")).unwrap(), bytes.clone());
            prop_assert_eq!(decoded(Decode::Base64Url, &URL_SAFE.encode(&bytes)).unwrap(), bytes.clone());
            prop_assert_eq!(decoded(Decode::Base64Url, &URL_SAFE_NO_PAD.encode(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn no_text_makes_it_fail_otherwise_than_by_an_error(text in "\\PC{0,20}|[A-Za-z0-9+/=\r\n _-]{0,12}") {
            for decode in [Decode::Base64, Decode::Base64Url] {
                let _ = decoded(decode, &text);
            }
        }
    }
}
