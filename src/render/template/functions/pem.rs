//! PEM, the text around keys and certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A block of PEM.
pub struct Block {
    /// What it says it is, such as `CERTIFICATE`.
    pub label: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// How many blocks without an end are passed over.
const MAX_OPEN: usize = 100;

/// All blocks of a text; what stands between them means nothing, and a block that is none is passed over.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let (mut rest, mut open) = (text, 0);
    while let Some(at) = rest.find("-----BEGIN ") {
        rest = &rest[at + 11..];
        let Some((label, after)) = rest.split_once("-----") else {
            break;
        };
        let end = format!("-----END {label}-----");
        let Some((inside, after)) = after.split_once(&end) else {
            // Each of these is looked for up to the end of the text.
            open += 1;
            if open > MAX_OPEN {
                break;
            }
            continue;
        };
        // Lines with a colon are headers, which say something about the block.
        let lines = inside.lines().filter(|line| !line.contains(':'));
        let digits: String = lines.flat_map(str::split_whitespace).collect();
        if let Ok(bytes) = STANDARD.decode(digits) {
            let label = label.to_owned();
            found.push(Block { label, bytes });
            rest = after;
        }
    }
    found
}

/// A block as text.
pub fn block(label: &str, bytes: &[u8]) -> String {
    let digits = STANDARD.encode(bytes);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text + &format!("-----END {label}-----\n")
}
