//! Encodings, digests, and addresses taken apart and put together.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gotmpl::Value;
use ring::digest;

use super::super::budget::fits;
use super::super::error::Fault;
use super::super::value::{binary, text};
use super::{Args, Dict, Function, Group, dict, made, row};

/// The group.
pub const GROUP: Group = Group {
    title: "Encodings, digests, addresses",
    note: "What decodes to no UTF-8 is a binary value. It can be written, encoded, digested, measured with `len`, chosen by `default` and the like, and given to `pkcs12key` and its kin; functions of texts refuse it. To carry a value that is Base64 in Vault as the bytes that it stands for, no template is needed: an entry with `source`, `field` and `decode: Base64` does.",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("b64enc", "TEXT"),
        "TEXT in Base64.",
        (r#"{{ b64enc "user:pass" }}"#, "dXNlcjpwYXNz"),
        |a| made(STANDARD.encode(a.bytes(0)?)),
    )
    .of_bytes(),
    row(
        ("b64dec", "TEXT"),
        "What Base64 stands for.",
        (r#"{{ b64dec "YWJj" }}"#, "abc"),
        |a| {
            let bytes = STANDARD.decode(lines(a.text(0)?)).ok();
            decoded(a, bytes, "the argument is not Base64")
        },
    ),
    row(
        ("b32enc", "TEXT"),
        "TEXT in Base32.",
        (r#"{{ b32enc "abc" }}"#, "MFRGG==="),
        |a| made(to_base32(&a.bytes(0)?)),
    )
    .of_bytes(),
    row(
        ("b32dec", "TEXT"),
        "What Base32 stands for.",
        (r#"{{ b32dec "MFRGG===" }}"#, "abc"),
        |a| {
            let bytes = from_base32(&lines(a.text(0)?));
            decoded(a, bytes, "the argument is not Base32")
        },
    ),
    row(
        ("hexenc", "TEXT"),
        "The bytes of TEXT in hexadecimal digits.",
        (r#"{{ hexenc "abc" }}"#, "616263"),
        |a| made(hex(&a.bytes(0)?)),
    )
    .of_bytes(),
    row(
        ("hexdec", "TEXT"),
        "What hexadecimal digits stand for.",
        (r#"{{ hexdec "616263" }}"#, "abc"),
        |a| {
            let bytes = from_hex(a.text(0)?);
            decoded(a, bytes, "the argument is not hexadecimal")
        },
    ),
    row(
        ("sha1sum", "TEXT"),
        "The SHA-1 of TEXT, in hexadecimal digits. For what is old; it protects nothing.",
        (
            r#"{{ sha1sum "abc" }}"#,
            "a9993e364706816aba3e25717850c26c9cd0d89d",
        ),
        |a| digest_of(a, &digest::SHA1_FOR_LEGACY_USE_ONLY),
    )
    .of_bytes(),
    row(
        ("sha256sum", "TEXT"),
        "The SHA-256 of TEXT.",
        (r#"{{ sha256sum "abc" | trunc 16 }}"#, "ba7816bf8f01cfea"),
        |a| digest_of(a, &digest::SHA256),
    )
    .of_bytes(),
    row(
        ("sha512sum", "TEXT"),
        "The SHA-512 of TEXT.",
        (r#"{{ sha512sum "abc" | trunc 16 }}"#, "ddaf35a193617aba"),
        |a| digest_of(a, &digest::SHA512),
    )
    .of_bytes(),
    row(
        ("adler32sum", "TEXT"),
        "The Adler-32 of TEXT, as a decimal number.",
        (r#"{{ adler32sum "abc" }}"#, "38600999"),
        |a| made(adler32(&a.bytes(0)?).to_string()),
    )
    .of_bytes(),
    row(
        ("urlParse", "URL"),
        "The parts of a URL as a dict: `scheme`, `host` (with the port), `hostname`, `path`, `query`, `fragment`, `userinfo` and `opaque`.",
        (r#"{{ (urlParse "http://db:5432/x?y=1").host }}"#, "db:5432"),
        url_parse,
    ),
    row(
        ("urlJoin", "DICT"),
        "A URL of such parts.",
        (
            r#"{{ urlJoin (dict "scheme" "https" "host" "db" "path" "/x") }}"#,
            "https://db/x",
        ),
        url_join,
    ),
];

/// Go's decoders pass over the ends of lines.
fn lines(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect()
}

fn decoded(a: &Args<'_>, bytes: Option<Vec<u8>>, why: &'static str) -> Result<Value, Fault> {
    let bytes = bytes.ok_or_else(|| a.refuse(why))?;
    fits(bytes.len())?;
    Ok(binary(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok())
        .collect()
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn to_base32(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut block = [0_u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let letters = (chunk.len() * 8).div_ceil(5);
        for place in 0..8 {
            let letter = usize::try_from(bits >> (35 - place * 5) & 31).unwrap_or(0);
            encoded.push(if place < letters {
                char::from(BASE32[letter])
            } else {
                '='
            });
        }
    }
    encoded
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let letters = text.trim_end_matches('=');
    if !text.len().is_multiple_of(8) || text.len() - letters.len() > 6 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 8 * 5);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in letters.bytes() {
        let value = BASE32.iter().position(|known| *known == letter)?;
        bits = (bits << 5 | u32::try_from(value).ok()?) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    matches!(letters.len() % 8, 0 | 2 | 4 | 5 | 7).then_some(bytes)
}

fn digest_of(a: &Args<'_>, algorithm: &'static digest::Algorithm) -> Result<Value, Fault> {
    made(hex(digest::digest(algorithm, &a.bytes(0)?).as_ref()))
}

fn adler32(bytes: &[u8]) -> u32 {
    let sums = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    sums.1 << 16 | sums.0
}

fn url_parse(a: &mut Args<'_>) -> Result<Value, Fault> {
    let refused = || a.refuse("the argument is not a URL with a scheme and a host");
    let url = a.text(0)?;
    let (scheme, rest) = url.split_once("://").ok_or_else(refused)?;
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    if !named || url.contains(|c: char| c.is_control()) {
        return Err(refused());
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (userinfo, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let after_bracket = host.rfind(']').unwrap_or(0);
    let port = host[after_bracket..].find(':').map(|at| at + after_bracket);
    let is_port = |at: usize| host[at + 1..].bytes().all(|byte| byte.is_ascii_digit());
    if !port.is_none_or(is_port) {
        return Err(refused());
    }
    let hostname = &host[..port.unwrap_or(host.len())];
    let hostname = hostname.trim_start_matches('[').trim_end_matches(']');
    let members = [
        ("scheme", scheme.to_ascii_lowercase()),
        ("host", host.to_owned()),
        ("hostname", hostname.to_owned()),
        ("path", unescaped(path).ok_or_else(refused)?),
        ("query", query.to_owned()),
        ("fragment", unescaped(fragment).ok_or_else(refused)?),
        ("userinfo", userinfo.to_owned()),
        ("opaque", String::new()),
    ];
    let members = members.map(|(name, part)| (Arc::from(name), part.into()));
    dict(Dict::from(members))
}

fn unescaped(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        bytes.extend(from_hex(piece.get(..2)?)?);
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

fn url_join(a: &mut Args<'_>) -> Result<Value, Fault> {
    let members = a.dict(0)?;
    let part = |name: &str| members.get(name).map(text).unwrap_or_default();
    let around = |before: &str, part: String, after: &str| {
        if part.is_empty() {
            part
        } else {
            format!("{before}{part}{after}")
        }
    };
    let host = part("host");
    let path = escaped(&part("path"));
    let slash = if host.is_empty() || path.is_empty() || path.starts_with('/') {
        ""
    } else {
        "/"
    };
    let authority = around("", part("userinfo"), "@") + &host;
    let url = format!(
        "{}{}{slash}{path}{}{}",
        around("", part("scheme"), ":"),
        around("//", authority, ""),
        around("?", part("query"), ""),
        around("#", escaped(&part("fragment")), ""),
    );
    fits(url.len())?;
    made(url)
}

/// As Go escapes a path.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push_str(&hex(&[byte]).to_uppercase());
        }
    }
    escaped
}
