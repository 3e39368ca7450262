//! DER, the bytes that keys and certificates are made of: just enough to take them apart and to put them together.

/// Tags of DER.
pub const INTEGER: u8 = 0x02;
pub const BITS: u8 = 0x03;
pub const OCTETS: u8 = 0x04;
pub const NULL: u8 = 0x05;
pub const OID: u8 = 0x06;
pub const BMP: u8 = 0x1e;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
/// The tag of a constructed member that is told by its number.
pub const fn tagged(number: u8) -> u8 {
    0xa0 | number
}

/// An element of these parts.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut made = vec![tag];
    let bytes = length.to_be_bytes();
    let digits = bytes.iter().skip_while(|byte| **byte == 0);
    let digits: Vec<u8> = digits.copied().collect();
    match (length, u8::try_from(digits.len())) {
        (0x80.., Ok(count)) => {
            made.push(0x80 | count);
            made.extend(digits);
        }
        (_, _) => made.push(u8::try_from(length).unwrap_or(0)),
    }
    for part in parts {
        made.extend_from_slice(part);
    }
    made
}

/// A number that is not negative, of its bytes.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0);
    let bytes = start.map_or(&[0][..], |start| &bytes[start..]);
    let sign: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
    element(INTEGER, &[sign, bytes])
}

/// A string of whole bytes.
pub fn bits(bytes: &[u8]) -> Vec<u8> {
    element(BITS, &[&[0], bytes])
}

/// What is left to take apart.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Whether nothing is left.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub fn peek(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The content of the next element, which must have that tag.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.any()?;
        (found == tag).then_some(content)
    }

    /// The same, to be taken apart itself.
    pub fn open(&mut self, tag: u8) -> Option<Self> {
        self.take(tag).map(Reader)
    }

    /// The tag and the content of the next element.
    pub fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match usize::from(*first) {
            short @ ..0x80 => (short, rest),
            long => {
                let count = long & 0x7f;
                let (digits, rest) = rest.split_at_checked(count)?;
                if !(1..=4).contains(&count) {
                    return None;
                }
                let digits = digits.iter();
                let length = digits.fold(0, |length, digit| length << 8 | usize::from(*digit));
                (length, rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The next element as a small number.
    pub fn number(&mut self) -> Option<u32> {
        let bytes = self.take(INTEGER)?;
        if bytes.is_empty() || bytes.len() > 4 || bytes[0] >= 0x80 {
            return None;
        }
        Some(
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u32::from(*byte)),
        )
    }
}
