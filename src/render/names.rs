//! Which names are taken: expressions that must match a whole name.
//!
//! Whoever may write an object writes the expressions, and whoever may write into Vault the names that they are held against. So both are bounded, and the
//! expressions are of the class whose time grows with the text only. What is wrong with one is found when it is read, before any name is there.

use std::sync::{Arc, OnceLock};

use regex::{RegexSet, RegexSetBuilder};

use super::error::quoted;
use super::sound::Sound;

/// The most bytes of an expression, or of what a name becomes by it: the schema allows 256 characters.
pub(super) const MAX_TEXT: usize = 4 * 256;

/// The most expressions in one list.
const MAX_EXPRESSIONS: usize = 32;

/// The most bytes that one expression, or all of one list, may take in memory.
pub(super) const MAX_COMPILED: usize = 512 * 1024;

/// The same of all expressions of a folder together, which are held against thousands of names: ordinary ones take one to three thousand bytes each, and a `\w` as many as fifty thousand.
const MAX_TOGETHER: usize = 128 * 1024;

/// A byte of a name that is held against expressions takes as long as so many bytes of other work: seven microseconds, with the worst that are taken.
pub const EFFORT: usize = 16;

/// The most bytes of a name that expressions are held against. A longer one matches none: it could hardly become a key or a path, and somebody has to wait meanwhile.
pub(super) const MAX_NAME: usize = 1024;

/// What is taken, and what is not.
#[derive(Clone, Debug, Default)]
pub struct Names {
    include: Option<Arc<Expressions>>,
    exclude: Option<Arc<Expressions>>,
}

/// Expressions that are sound, each as it is held against a whole name. They are compiled when the first name is there.
#[derive(Debug)]
struct Expressions {
    whole: Vec<String>,
    set: OnceLock<Option<RegexSet>>,
}

/// What is wrong with the wording: the field below the copy, and the problem with its fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct WordingError {
    pub(super) field: String,
    pub(super) problem: String,
}

impl Names {
    /// With an empty `include` every name is taken; what `exclude` matches never is.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, WordingError> {
        static SOUND: Sound<()> = Sound::new();
        SOUND.check(&[include, exclude], || {
            check_list("include", include)?;
            check_list("exclude", exclude)
        })?;
        Ok(Self {
            include: Expressions::new(include),
            exclude: Expressions::new(exclude),
        })
    }

    /// The same for the names of a folder, of which there may be thousands.
    pub fn of_many(include: &[String], exclude: &[String]) -> Result<Self, WordingError> {
        static SOUND: Sound<()> = Sound::new();
        let names = Self::new(include, exclude)?;
        SOUND.check(&[include, exclude], || {
            let all: Vec<String> = include.iter().chain(exclude).cloned().collect();
            compiled(&whole(&all), MAX_TOGETHER).map_err(|problem| WordingError {
                field: "include and exclude".to_owned(),
                problem: too_much(&problem),
            })?;
            Ok(())
        })?;
        Ok(names)
    }

    /// Whether anything is left out.
    pub fn chooses(&self) -> bool {
        self.include.is_some() || self.exclude.is_some()
    }

    /// Whether names have to be included to be taken.
    pub fn is_narrow(&self) -> bool {
        self.include.is_some()
    }

    /// Whether the name is among those that are to be taken, if it is not excluded.
    pub fn includes(&self, name: &str) -> bool {
        self.include
            .as_ref()
            .is_none_or(|include| include.match_any(name) == Some(true))
    }

    /// Whether the name is left out in spite of that.
    pub fn excludes(&self, name: &str) -> bool {
        self.exclude
            .as_ref()
            .is_some_and(|exclude| exclude.match_any(name) != Some(false))
    }

    /// Whether the name is taken.
    pub fn takes(&self, name: &str) -> bool {
        self.includes(name) && !self.excludes(name)
    }
}

impl Expressions {
    fn new(expressions: &[String]) -> Option<Arc<Self>> {
        let expressions = Some(expressions).filter(|list| !list.is_empty())?;
        Some(Arc::new(Self {
            whole: whole(expressions),
            set: OnceLock::new(),
        }))
    }

    /// Whether one of them matches; `None` if they cannot be compiled, which was tried before.
    fn match_any(&self, name: &str) -> Option<bool> {
        if name.len() > MAX_NAME {
            return Some(false);
        }
        let compile = || compiled(&self.whole, MAX_COMPILED).ok();
        let set = self.set.get_or_init(compile).as_ref();
        set.map(|set| set.is_match(name))
    }
}

/// Each is sound alone, so nothing in it can end the group around it.
fn whole(expressions: &[String]) -> Vec<String> {
    let whole = expressions.iter().map(|text| format!(r"\A(?:{text})\z"));
    whole.collect()
}

fn compiled(whole: &[String], room: usize) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(whole).size_limit(room).build()
}

fn check_list(field: &str, expressions: &[String]) -> Result<(), WordingError> {
    let error = |problem: String| WordingError {
        field: field.to_owned(),
        problem,
    };
    if expressions.len() > MAX_EXPRESSIONS {
        let problem = format!("write at most {MAX_EXPRESSIONS} expressions");
        return Err(error(problem));
    }
    for (at, expression) in expressions.iter().enumerate() {
        check(expression).map_err(|problem| WordingError {
            field: format!("{field}[{at}]"),
            problem,
        })?;
    }
    match compiled(&whole(expressions), MAX_COMPILED) {
        Ok(_) => Ok(()),
        Err(problem) => Err(error(too_much(&problem))),
    }
}

/// Says what is wrong with an expression, and where.
pub(super) fn check(expression: &str) -> Result<(), String> {
    if expression.is_empty() || expression.len() > MAX_TEXT {
        return Err(format!("write an expression of 1 to {MAX_TEXT} bytes"));
    }
    let (problem, at) = match regex_syntax::parse(expression) {
        Ok(_) => return Ok(()),
        Err(regex_syntax::Error::Parse(error)) => {
            (error.kind().to_string(), error.span().start.offset)
        }
        Err(regex_syntax::Error::Translate(error)) => {
            (error.kind().to_string(), error.span().start.offset)
        }
        Err(_) => ("it cannot be read".to_owned(), 0),
    };
    let problem = problem.trim_end_matches('.');
    let at = place(expression, at);
    Err(format!(
        "correct the expression {} at its character {at}: {problem}; the syntax is that of RE2, where a sign that stands for itself has a backslash in front",
        quoted(expression)
    ))
}

/// Of a text, the number of the character that begins at that byte, from 1.
pub(super) fn place(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count() + 1
}

/// Of expressions that are sound each: what is wrong with them all the same.
pub(super) fn too_much(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            "write simpler expressions: these take too much memory, which mostly comes of a count such as {1000} or of \\w and its like within one; [A-Za-z0-9_] is smaller".to_owned()
        }
        _ => "write the expressions without comments: one of them hides the end of its own group".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(include: &[&str], exclude: &[&str]) -> Result<Names, WordingError> {
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
            ("a(", "unclosed group"),
            ("a)|(b", "unopened group"),
            ("a(?=b)", "look-around"),
            ("(a{1000}){1000}", "too much memory"),
        ] {
            let error = names(&["ok"], &["ok", text]).unwrap_err().to_string();
            let is_named = error.starts_with("exclude[1]: ") || error.starts_with("exclude: ");
            assert!(is_named && error.contains(words), "{text}: {error}");
        }
        let long = "a".repeat(MAX_TEXT + 1);
        let error = names(&[&long], &[]).unwrap_err().to_string();
        assert_eq!(error, "include[0]: write an expression of 1 to 1024 bytes");
    }

    #[test]
    fn expressions_are_compiled_when_a_name_is_there_and_not_before() {
        let some = names(&["db/.*"], &[]).unwrap();
        let compiled = |names: &Names| {
            let include = names.include.as_ref();
            include.is_some_and(|include| include.set.get().is_some())
        };
        assert!(!compiled(&some));
        assert!(some.takes("db/main") && compiled(&some));
    }

    #[test]
    fn the_expressions_of_a_folder_may_take_less_memory_together_and_ordinary_ones_do() {
        let of_many = |include: &[String], exclude: &[&str]| {
            let exclude: Vec<String> = exclude.iter().map(|&text| text.into()).collect();
            Names::of_many(include, &exclude).map_err(|error| error.to_string())
        };
        let teams: Vec<String> = (0..32)
            .map(|team| format!("services/team-{team}/[a-z0-9-]+/(?:main|replica|.*)"))
            .collect();
        let ordinary = of_many(&teams, &[r".*-\d{4}", ".*/old", "(?i).*[.]bak"]);
        assert_eq!(ordinary.err(), None);
        let words = of_many(&[r"\w+/\w+".to_owned()], &[]);
        assert_eq!(words.err(), None);
        let wide = of_many(&[r"\w+/\w+".to_owned()], &[r"\w+"]).err();
        let wide = wide.unwrap_or_default();
        assert!(
            wide.starts_with("include and exclude: write simpler expressions"),
            "{wide}"
        );
        assert!(names(&[r"\w+/\w+"], &[r"\w+"]).is_ok(), "of a copy");
    }
}
