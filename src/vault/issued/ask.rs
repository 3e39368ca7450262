//! What is asked of Vault when it shall issue something, and how that becomes a request.
//!
//! Parameters may be secrets. So they are written into memory that is wiped and large enough from the start.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderValue;
use rustify::enums::RequestMethod;
use zeroize::Zeroizing;

use crate::sensitive::SecretText;
use crate::vault::endpoint::Free;

/// What is asked of Vault, once.
pub struct Ask<'a> {
    /// How.
    pub method: AskMethod,
    /// The path below `/v1/`, not encoded.
    pub path: &'a str,
    /// In a GET the query string, otherwise the members of a JSON object. Vault reads numbers, switches and lists with commas
    /// out of texts.
    pub parameters: &'a BTreeMap<String, SecretText>,
    /// Which part of the reply is wanted.
    pub result: AskResult,
    /// Have Vault keep the reply for so long and hand out a token that fetches it, once.
    pub wrap_ttl: Option<Duration>,
}

/// The methods of HTTP that make something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskMethod {
    /// As engines for users of databases and clouds have it.
    Get,
    /// As most others have it.
    Post,
    /// The same to Vault.
    Put,
}

/// Where in a reply the credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskResult {
    /// Under `data`, as engines answer.
    Data,
    /// Under `auth`, as everything answers that makes tokens.
    Auth,
}

/// The HTTP request that asks so.
pub(super) fn request(ask: &Ask<'_>) -> Free {
    let Ask {
        method,
        path,
        parameters,
        result: _,
        wrap_ttl,
    } = ask;
    let (method, query, body) = match method {
        AskMethod::Get => (RequestMethod::GET, query(parameters), Zeroizing::default()),
        AskMethod::Post => (RequestMethod::POST, None, members(parameters)),
        AskMethod::Put => (RequestMethod::PUT, None, members(parameters)),
    };
    Free {
        method,
        path: (*path).to_owned(),
        query,
        body,
        wrap_ttl: wrap_ttl.map(|wait| HeaderValue::from(wait.as_secs().max(1))),
    }
}

pub(super) fn query(parameters: &BTreeMap<String, SecretText>) -> Option<Zeroizing<String>> {
    // Room for the longest encoding, so that no copy is left behind by growing.
    let mut out = Zeroizing::new(String::with_capacity(room(parameters, 3)));
    for (name, value) in parameters {
        if !out.is_empty() {
            out.push('&');
        }
        encode(name, &mut out);
        out.push('=');
        encode(value.expose(), &mut out);
    }
    (!out.is_empty()).then_some(out)
}

fn encode(text: &str, out: &mut String) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |half: u8| DIGITS[usize::from(half)];
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

pub(super) fn members(parameters: &BTreeMap<String, SecretText>) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(room(parameters, 6)));
    for (name, value) in parameters {
        let before = if out.is_empty() { b'{' } else { b',' };
        out.push(before);
        // Writing a text into memory cannot fail.
        let _ = serde_json::to_writer(&mut *out, name);
        out.push(b':');
        let _ = serde_json::to_writer(&mut *out, value.expose());
    }
    if out.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    out
}

/// How many bytes the parameters take at most, if each of theirs takes `each`.
pub(super) fn room(parameters: &BTreeMap<String, SecretText>, each: usize) -> usize {
    let length = |(name, value): (&String, &SecretText)| name.len() + value.expose().len();
    let all = parameters.iter().map(length).sum::<usize>();
    all * each + parameters.len() * 6 + 2
}
