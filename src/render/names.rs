//! Which names are taken: expressions that must match a whole name.
//!
//! Whoever may write an object writes the expressions, and whoever may write into Vault the names. So both are bounded, and the expressions are of the
//! class whose time grows with the text only.

use regex::{RegexBuilder, RegexSet, RegexSetBuilder};

/// The most bytes of one expression; the schema counts 256 characters.
const MAX_TEXT: usize = 4 * 256;

/// The most bytes that the expressions of one list take in memory.
const MAX_COMPILED: usize = 512 * 1024;

/// The most bytes of a name; no path in Vault is that long.
const MAX_NAME: usize = 2048;

/// What is taken, and what is not.
#[derive(Clone, Debug, Default)]
pub struct Names {
    include: Option<RegexSet>,
    exclude: Option<RegexSet>,
}

/// An expression that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{list}[{index}] {problem}")]
pub struct NamesError {
    /// The list: include or exclude.
    list: &'static str,
    /// Its place there.
    index: usize,
    /// What is wrong with it.
    problem: String,
}

impl Names {
    /// With an empty `include` every name is taken; what `exclude` matches never is.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, NamesError> {
        Ok(Self {
            include: set("include", include)?,
            exclude: set("exclude", exclude)?,
        })
    }

    /// Whether anything is left out.
    pub fn chooses(&self) -> bool {
        self.include.is_some() || self.exclude.is_some()
    }

    /// Whether the name is taken.
    pub fn takes(&self, name: &str) -> bool {
        let is_in = |set: &RegexSet| name.len() <= MAX_NAME && set.is_match(name);
        self.include.as_ref().is_none_or(is_in) && !self.exclude.as_ref().is_some_and(is_in)
    }
}

fn set(list: &'static str, expressions: &[String]) -> Result<Option<RegexSet>, NamesError> {
    for (index, text) in expressions.iter().enumerate() {
        let problem = match compiled(std::slice::from_ref(text)) {
            _ if text.len() > MAX_TEXT => format!("is longer than {MAX_TEXT} bytes"),
            Err(regex::Error::CompiledTooBig(_)) => "is too large; write it shorter".to_owned(),
            Err(_) => "is no regular expression of RE2's kind; there is no looking ahead or back, and what is meant as it stands is escaped by a backslash".to_owned(),
            Ok(_) => continue,
        };
        return Err(NamesError {
            list,
            index,
            problem,
        });
    }
    if expressions.is_empty() {
        return Ok(None);
    }
    let all = compiled(expressions).map_err(|_| NamesError {
        list,
        index: 0,
        problem: "and what follows are too large together; write fewer or shorter ones".to_owned(),
    })?;
    Ok(Some(all))
}

/// Each one anchored at both ends. An expression is whole in itself: what closes the group that is put around it is no expression.
fn compiled(expressions: &[String]) -> Result<RegexSet, regex::Error> {
    for text in expressions {
        check(text)?;
    }
    let anchored = expressions.iter().map(|text| format!(r"\A(?:{text})\z"));
    RegexSetBuilder::new(anchored)
        .size_limit(MAX_COMPILED)
        .build()
}

fn check(text: &str) -> Result<(), regex::Error> {
    RegexBuilder::new(text)
        .size_limit(MAX_COMPILED)
        .build()
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(include: &[&str], exclude: &[&str]) -> Result<Names, NamesError> {
        let owned = |list: &[&str]| {
            list.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        Names::new(&owned(include), &owned(exclude))
    }

    #[test]
    fn an_expression_matches_the_whole_name_and_exclude_wins() {
        let all = names(&[], &[]).unwrap();
        assert!(all.takes("db/main") && all.takes("ü %?"));
        let some = names(&["db/.*", "smtp|imap"], &[".*/replica"]).unwrap();
        for (name, taken) in [
            ("db/main", true),
            ("db/replica", false),
            ("smtp", true),
            ("imap", true),
            ("smtp2", false),
            ("my/db/main", false),
            ("smtp\n", false),
        ] {
            assert_eq!(some.takes(name), taken, "{name:?}");
        }
        assert!(!names(&[], &["a.*"]).unwrap().takes("abc"));
    }

    #[test]
    fn an_expression_that_cannot_be_used_is_named_by_its_place() {
        for (text, words) in [
            ("a(", "is no regular expression"),
            ("a)|(b", "is no regular expression"),
            ("a(?=b)", "is no regular expression"),
            ("(a{1000}){1000}", "is too large"),
        ] {
            let error = names(&["ok"], &["ok", text]).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("exclude[1] {words}")),
                "{text}: {error}"
            );
        }
        let long = "a".repeat(MAX_TEXT + 1);
        let error = names(&[&long], &[]).unwrap_err().to_string();
        assert_eq!(error, "include[0] is longer than 1024 bytes");
    }
}
