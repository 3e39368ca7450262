//! PEM: texts that carry keys and certificates, read as their users do, and with what usually goes wrong on the way into Vault told apart.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What stands between two lines of dashes.
pub struct Block {
    /// What it is called there. Never shown: anything may stand in a value.
    pub label: String,
    /// Whether lines in front of it say that it is encrypted.
    pub encrypted: bool,
    /// What it carries.
    pub der: Zeroizing<Vec<u8>>,
}

/// Why a text has no such blocks, or not whole ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is something else.
    #[error("has no line such as -----BEGIN ...-----: it is no PEM")]
    Nothing,
    /// Its line ends are gone.
    #[error(
        "has lost its line ends: PEM has lines of its own, so store it from a file, such as with vault kv put ... name=@file"
    )]
    OneLine,
    /// Its line ends are spelt out.
    #[error(
        "has line ends that are written as \\n: store it from a file, such as with vault kv put ... name=@file"
    )]
    SpeltLines,
    /// Its end is missing.
    #[error("is cut off: a line -----END ...----- is missing")]
    CutOff,
    /// What is in between is no Base64.
    #[error("is damaged: what stands between its lines of dashes is no Base64")]
    Damaged,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// All blocks of a text; whatever stands between them is a comment. There is at least one.
pub fn blocks(text: &[u8]) -> Result<Vec<Block>, Problem> {
    let text = std::str::from_utf8(text).map_err(|_| Problem::Nothing)?;
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix(BEGIN) else {
            continue;
        };
        let label = rest.strip_suffix(DASHES);
        let label = label.filter(|label| !label.contains(DASHES));
        let label = label.ok_or_else(|| spoilt(line))?;
        blocks.push(block(label, &mut lines)?);
    }
    if blocks.is_empty() {
        let begins = text.contains(BEGIN);
        return Err(if begins {
            spoilt(text)
        } else {
            Problem::Nothing
        });
    }
    Ok(blocks)
}

fn spoilt(text: &str) -> Problem {
    if text.contains("\\n") {
        Problem::SpeltLines
    } else {
        Problem::OneLine
    }
}

/// The rest of the block whose first line was read.
fn block<'t>(label: &str, lines: &mut impl Iterator<Item = &'t str>) -> Result<Block, Problem> {
    let (mut encrypted, mut text) = (false, Zeroizing::new(String::with_capacity(8192)));
    for line in lines {
        if let Some(rest) = line.strip_prefix(END) {
            let whole = rest.strip_suffix(DASHES) == Some(label);
            let der = STANDARD.decode(text.as_bytes()).ok().filter(|_| whole);
            let der = Zeroizing::new(der.ok_or(Problem::Damaged)?);
            let label = label.to_owned();
            return Ok(Block {
                label,
                encrypted,
                der,
            });
        }
        if line.contains(':') {
            encrypted |= line.starts_with("Proc-Type:") && line.ends_with("ENCRYPTED");
        } else {
            text.push_str(line);
        }
    }
    Err(Problem::CutOff)
}
