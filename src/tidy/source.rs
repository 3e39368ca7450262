//! Rust files as the rules of the house see them: without the words in comments and strings, and knowing which lines
//! are production code and where each function starts and ends.
//!
//! A rule that searched the plain text would trip over its own documentation. This is no Rust parser: it knows
//! comments, strings, characters and brackets, which is all that the rules need.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file of the project.
pub struct Source {
    /// Its path from the root of the project, with `/`.
    pub path: String,
    /// The text as it is.
    pub text: String,
    /// The text with everything in comments, strings and characters replaced by spaces.
    pub code: String,
    /// The same, with the items under `#[cfg(test)]` replaced as well; blank for a file that is all tests.
    pub production: String,
    /// How many lines are production code, comments and blank lines included.
    pub production_lines: usize,
}

/// A function with a body.
pub struct Function {
    pub name: String,
    /// The line of `fn`, from 1.
    pub line: usize,
    /// From the line of `fn` to that of the closing bracket, both included.
    pub lines: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let code = blank_text(text);
        let all_tests = path.ends_with("/tests.rs")
            || path.contains("/tests/")
            || path == "src/reconcile/fixture.rs"
            || path.starts_with("src/tidy");
        let (production, production_lines) = if all_tests {
            (blank(&code, 0..code.len()), 0)
        } else {
            without_test_items(&code)
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            production,
            production_lines,
        }
    }

    /// Where in `code` or `production` each `needle` stands as a whole word, as byte offsets.
    pub fn words<'a>(haystack: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        haystack
            .match_indices(needle)
            .map(|(at, _)| at)
            .filter(move |at| {
                let before = haystack[..*at].chars().next_back().is_some_and(in_word);
                let after = haystack[at + needle.len()..]
                    .chars()
                    .next()
                    .is_some_and(in_word);
                let open = |end: Option<char>| end.is_some_and(in_word);
                !(before && open(needle.chars().next())
                    || after && open(needle.chars().next_back()))
            })
    }

    /// The line, from 1, of a byte offset.
    pub fn line(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }

    /// The functions of production code that have a body, nested ones included.
    pub fn functions(&self) -> Vec<Function> {
        let function = |at: usize| {
            let rest = &self.production[at + 2..];
            let name: String = rest
                .trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let end = at + 2 + item_end(rest);
            let has_body = self.production[..end].ends_with('}') && !name.is_empty();
            let (line, last) = (self.line(at), self.line(end - 1));
            has_body.then_some(Function {
                name,
                line,
                lines: last - line + 1,
            })
        };
        Self::words(&self.production, "fn")
            .filter_map(function)
            .collect()
    }
}

/// Every Rust file below these folders of the project, in the order of their paths.
pub fn tree(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in folders {
        collect(&root.join(folder), &mut paths);
    }
    paths.sort();
    let source = |path: &PathBuf| {
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/");
        Source::new(&name, &fs::read_to_string(path).unwrap())
    };
    paths.iter().map(source).collect()
}

/// A folder that does not exist has no files.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Replaces the inside of comments, strings and characters by spaces, and keeps every line and byte where it is.
fn blank_text(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let before = code.chars().next_back();
        let hidden = comment(rest)
            .or_else(|| string(rest, before))
            .or_else(|| character(rest));
        let (kept, length) = match hidden {
            Some(length) => (false, length),
            None => (true, first.len_utf8()),
        };
        let (piece, after) = rest.split_at(length);
        code.push_str(&if kept {
            piece.to_owned()
        } else {
            blank(piece, 0..piece.len())
        });
        rest = after;
    }
    code
}

/// The bytes of the comment that `rest` starts with.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while rest.starts_with("/*") {
        let here = &rest[at..];
        let step = if here.starts_with("/*") {
            depth += 1;
            2
        } else if here.starts_with("*/") {
            depth -= 1;
            2
        } else {
            here.chars().next().map_or(0, char::len_utf8)
        };
        at += step;
        if depth == 0 || step == 0 {
            return Some(at);
        }
    }
    None
}

/// The bytes of the string, raw or not, that `rest` starts with.
fn string(rest: &str, before: Option<char>) -> Option<usize> {
    // The prefixes b and c stay visible, which does no harm.
    if let Some(raw) = rest.strip_prefix('r')
        && !before.is_some_and(|c| (c.is_alphanumeric() && c != 'b' && c != 'c') || c == '_')
    {
        let hashes = raw.bytes().take_while(|byte| *byte == b'#').count();
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = raw[hashes..].strip_prefix('"');
        return inside.map(|inside| {
            2 + hashes + inside.find(&end).map_or(inside.len(), |at| at + end.len())
        });
    }
    let inside = rest.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            '"' if !escaped => return Some(at + 2),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    Some(rest.len())
}

/// The bytes of the character that `rest` starts with, which is no lifetime.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let mut chars = inside.chars();
    let first = chars.next()?;
    if first == '\\' {
        return inside[2..].find('\'').map(|at| at + 4);
    }
    (chars.next() == Some('\'')).then(|| first.len_utf8() + 2)
}

/// `text` with all but line ends in `range` as spaces, one per byte.
fn blank(text: &str, range: std::ops::Range<usize>) -> String {
    let spaces = |c: char| {
        if c == '\n' {
            "\n".to_owned()
        } else {
            " ".repeat(c.len_utf8())
        }
    };
    let hidden: String = text[range.clone()].chars().map(spaces).collect();
    format!("{}{hidden}{}", &text[..range.start], &text[range.end..])
}

/// Production code, and how many lines it has.
fn without_test_items(code: &str) -> (String, usize) {
    const MARK: &str = "#[cfg(test)]";
    let mut production = code.to_owned();
    let mut test_lines = 0;
    while let Some(start) = production.find(MARK) {
        let end = start + MARK.len() + item_end(&production[start + MARK.len()..]);
        test_lines += production[start..end].matches('\n').count() + 1;
        production = blank(&production, start..end);
    }
    let lines = code.lines().count().saturating_sub(test_lines);
    (production, lines)
}

/// The bytes to the end of the item that `rest` is in the middle of: its `;`, or the bracket that closes its body.
fn item_end(rest: &str) -> usize {
    let (mut curly, mut other) = (0_usize, 0_usize);
    for (at, c) in rest.char_indices() {
        match c {
            '(' | '[' => other += 1,
            ')' | ']' => other = other.saturating_sub(1),
            '{' => curly += 1,
            '}' => {
                curly = curly.saturating_sub(1);
                if curly == 0 && other == 0 {
                    return at + 1;
                }
            }
            ';' if curly == 0 && other == 0 => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_comments_strings_and_characters_are_no_code() {
        let text = r##"a // b "c
/* d /* e */ f */ g "h\" i" r#"j " k"# '{' '\'' '\u{7d}' &'l m b"n" br"o""##;
        let words: Vec<String> = blank_text(text)
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        assert_eq!(words, ["a", "g", "&'l", "m", "b", "b"]);
        assert_eq!(blank_text(text).len(), text.len());
    }

    #[test]
    fn test_items_are_no_production_code_wherever_they_stand() {
        let text = "//! Doc.\n#[cfg(test)]\nmod tidy;\nfn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        let source = Source::new("src/x.rs", text);
        assert_eq!(
            source.production.split_whitespace().collect::<String>(),
            "fna(){}"
        );
        assert_eq!(source.production_lines, 2);
        assert_eq!(Source::new("src/x/tests.rs", text).production_lines, 0);
    }

    #[test]
    fn functions_are_found_with_their_lines() {
        let text = "fn a<const N: usize>(x: [u8; 2]) -> u8 {\n    fn b() {}\n    { 1 }\n}\ntrait T {\n    fn c();\n}\ntype F = fn(u8);\n";
        let functions = Source::new("src/x.rs", text).functions();
        let found: Vec<_> = functions
            .iter()
            .map(|f| (f.name.as_str(), f.line, f.lines))
            .collect();
        assert_eq!(found, [("a", 1, 4), ("b", 2, 1)]);
    }
}
