//! Which fields of a source a bulk copy takes, and under which keys.
//!
//! Whoever may write an object writes the expressions, and whoever may write into Vault the names that they are held against. So both are bounded, and the
//! expressions are of the class whose time grows with the text only. What is wrong with one is found when it is read, before any name is there.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use regex::{Regex, RegexBuilder};

use super::MAX_KEY_LENGTH;
use super::error::quoted;
use super::names::{MAX_COMPILED, MAX_NAME, MAX_TEXT, Names, WordingError, check, place, too_much};
use super::sound::Sound;

/// The choice as a person wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wording {
    /// Expressions of which one must match the whole name of a field; none: every field is taken.
    pub include: Vec<String>,
    /// Expressions of which none may match the whole name.
    pub exclude: Vec<String>,
    /// What to look for in the name, and what to put in its place each time, with `$1` for a group.
    pub rename: Option<(String, String)>,
    /// What becomes of the letters of the result.
    pub case: Case,
}

/// What becomes of the letters `a` to `z`; other letters cannot be in a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// They stay as they are.
    #[default]
    None,
    /// They become capitals.
    Upper,
    /// They become small.
    Lower,
}

/// The choice, ready for use. Two are equal if they are worded alike.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    wording: Wording,
    names: Names,
    rename: Option<Arc<Renaming>>,
}

/// How many bytes of names may be gone through for all copies of one object: each name counts once for the expressions that choose, and for the one that renames once, and
/// once more for each of its matches, because the rest of it is searched again. The worst expressions take seven microseconds a byte, so that is fifteen
/// seconds at most; sixteen copies of a thousand fields with names of thirty bytes are half of it.
const MOST: usize = 2 * 1024 * 1024;

/// What of that is left; at first all of it.
#[derive(Debug)]
pub struct Effort(usize);

impl Default for Effort {
    fn default() -> Self {
        Self(MOST)
    }
}

impl Effort {
    /// Takes so much of it; `None` if that is not there.
    pub fn spend(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.checked_sub(bytes)?;
        Some(())
    }

    /// The most that there is.
    pub fn most() -> usize {
        MOST
    }
}

/// A renaming that is sound. What it looks for is compiled when the first name is there.
#[derive(Debug)]
struct Renaming {
    find: String,
    regex: OnceLock<Option<Regex>>,
    put: Arc<[Piece]>,
}

/// A piece of what a match is replaced with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

impl PartialEq for Selection {
    fn eq(&self, other: &Self) -> bool {
        self.wording == other.wording
    }
}

impl Eq for Selection {}

impl Selection {
    /// Reads the expressions.
    pub fn new(wording: Wording) -> Result<Self, WordingError> {
        let rename = wording.rename.as_ref();
        let rename = rename.map(|(find, put)| renaming(find, put)).transpose()?;
        Ok(Self {
            names: Names::new(&wording.include, &wording.exclude)?,
            rename,
            wording,
        })
    }

    /// As it was worded.
    pub fn wording(&self) -> &Wording {
        &self.wording
    }

    /// Whether names are held against expressions.
    pub fn has_expressions(&self) -> bool {
        self.names.chooses() || self.rename.is_some()
    }

    /// Whether fields have to be named to be taken.
    pub fn is_narrow(&self) -> bool {
        self.names.is_narrow()
    }

    /// Whether a field of that name is among those that are to be taken, if it is not excluded.
    pub fn includes(&self, name: &str) -> bool {
        self.names.includes(name)
    }

    /// Whether a field of that name is left out in spite of that.
    pub fn excludes(&self, name: &str) -> bool {
        self.names.excludes(name)
    }

    /// What choosing a field of that name costs.
    pub fn cost(&self, name: &str) -> usize {
        if self.names.chooses() {
            name.len().min(MAX_NAME)
        } else {
            0
        }
    }

    /// The key for a field of that name. It is cut off where it is longer than any key may be, and still too long then. `None` if it takes more than there is left.
    pub fn key<'n>(&self, name: &'n str, effort: &mut Effort) -> Option<Cow<'n, str>> {
        let key = match &self.rename {
            Some(rename) if name.len() <= MAX_NAME => Cow::Owned(rename.apply(name, effort)?),
            Some(_) | None => Cow::Borrowed(name),
        };
        Some(match self.wording.case {
            Case::None => key,
            Case::Upper => Cow::Owned(key.to_ascii_uppercase()),
            Case::Lower => Cow::Owned(key.to_ascii_lowercase()),
        })
    }
}

impl Renaming {
    /// The name with each match replaced.
    fn apply(&self, name: &str, effort: &mut Effort) -> Option<String> {
        let compile = || compiled(&self.find).ok();
        // It was compiled before, when it was checked.
        let Some(regex) = self.regex.get_or_init(compile) else {
            return Some(name.to_owned());
        };
        effort.spend(name.len())?;
        let (mut key, mut done) = (String::new(), 0);
        for groups in regex.captures_iter(name) {
            effort.spend(name.len())?;
            let Some(whole) = groups.get(0) else { continue };
            key.push_str(&name[done..whole.start()]);
            done = whole.end();
            for piece in &*self.put {
                match piece {
                    Piece::Text(text) => key.push_str(text),
                    // A group that took no part is empty.
                    Piece::Group(group) => {
                        key.push_str(groups.get(*group).map_or("", |found| found.as_str()));
                    }
                }
                if key.len() > MAX_KEY_LENGTH {
                    return Some(key);
                }
            }
        }
        key.push_str(&name[done..]);
        Some(key)
    }
}

fn renaming(find: &str, put: &str) -> Result<Arc<Renaming>, WordingError> {
    static SOUND: Sound<Arc<[Piece]>> = Sound::new();
    let (find, put) = (find.to_owned(), put.to_owned());
    let put = SOUND.check(&[&[find.clone(), put.clone()]], || {
        let error = |field: &str, problem| WordingError {
            field: format!("rename.{field}"),
            problem,
        };
        check(&find).map_err(|problem| error("match", problem))?;
        let regex = compiled(&find).map_err(|problem| error("match", too_much(&problem)))?;
        let put = pieces(&put, &regex).map_err(|problem| error("replace", problem))?;
        Ok(put.into())
    })?;
    Ok(Arc::new(Renaming {
        find,
        regex: OnceLock::new(),
        put,
    }))
}

fn compiled(find: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(find).size_limit(MAX_COMPILED).build()
}

/// Reads what is put in the place of a match: `$1`, `${1}`, `$name` and `${name}` are groups, and `$$` a dollar sign.
fn pieces(put: &str, find: &Regex) -> Result<Vec<Piece>, String> {
    if put.len() > MAX_TEXT {
        return Err(format!("write at most {MAX_TEXT} bytes"));
    }
    let mut pieces = Vec::new();
    let mut rest = put;
    while let Some(at) = rest.find('$') {
        let (text, reference) = (&rest[..at], &rest[at + 1..]);
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let offset = put.len() - rest.len() + at;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (piece, after) = if let Some(after) = reference.strip_prefix('$') {
            (Piece::Text("$".to_owned()), after)
        } else if let Some(braced) = reference.strip_prefix('{') {
            let (name, after) = braced.split_once('}').ok_or_else(|| {
                format!(
                    "close the brace that opens at character {}",
                    place(put, offset) + 1
                )
            })?;
            (group(name, find)?, after)
        } else {
            let end = reference.find(|c| !is_name(c)).unwrap_or(reference.len());
            let (name, after) = reference.split_at(end);
            if name.is_empty() {
                return Err(format!(
                    "write $1 or ${{name}} for a group at character {}, or $$ for a dollar sign",
                    place(put, offset)
                ));
            }
            (group(name, find)?, after)
        };
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// The group of that name or number, or what is wrong with it.
fn group(name: &str, find: &Regex) -> Result<Piece, String> {
    let number = || {
        let number = name.parse().ok()?;
        (number < find.captures_len()).then_some(number)
    };
    let named = || find.capture_names().position(|known| known == Some(name));
    if let Some(group) = number().or_else(named) {
        return Ok(Piece::Group(group));
    }
    let known = find.capture_names().enumerate().skip(1);
    let known = known.map(|(at, name)| name.map_or_else(|| at.to_string(), str::to_owned));
    let known: Vec<String> = known.take(9).collect();
    let has = match known.as_slice() {
        [] => "has none: put parentheses around what to keep".to_owned(),
        known => format!("has {}", known.join(", ")),
    };
    let digits = name.trim_start_matches(|c: char| c.is_ascii_digit());
    let (front, end) = name.split_at(name.len() - digits.len());
    let hint = match (front, end) {
        ("", _) | (_, "") => String::new(),
        (number, end) => format!("; write ${{{number}}}{end} if group {number} is meant"),
    };
    Err(format!(
        "name a group that match has: there is no {}, it {has}{hint}",
        quoted(name)
    ))
}

#[cfg(test)]
mod tests;
