//! What can be wrong with a template, in words that no secret can get into.
//!
//! A template works on secrets, and a library that fails likes to quote what it stumbled over. So nothing of what a library says
//! is ever passed on: a [`Fault`] is made of sentences of this program, of names of types, of numbers and of texts that stand in the template itself,
//! which whoever may read the object sees anyway. Its type has no room for a value.

use super::super::error::{MAX_NAMES, only, quoted};

/// The most characters of a template that a message shows.
const MAX_QUOTED: usize = 120;

/// Where and why a template is no good, or did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {fault}")]
pub struct TemplateError {
    /// The line, from 1.
    pub line: usize,
    /// The character of that line, from 1.
    pub column: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong at one place of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text is no template. The words are the parser's; it has seen nothing but the text.
    #[error("{}", cut(words))]
    Syntax {
        /// What the parser said.
        words: String,
    },
    /// A function that is not there.
    #[error("there is no function {}{}", quoted(name), nearest(near.as_deref()))]
    UnknownFunction {
        /// The name in the template.
        name: String,
        /// The most similar one that is there.
        near: Option<String>,
    },
    /// A function that is known from elsewhere, and is not here for a reason.
    #[error("there is no function {} here: {why}", quoted(name))]
    LeftOut {
        /// The name in the template.
        name: String,
        /// Why it is not here, and what to do instead.
        why: &'static str,
    },
    /// A template that the text does not define.
    #[error("there is no template {}; define it in the same text", quoted(name))]
    UnknownTemplate {
        /// The name in the template.
        name: String,
    },
    /// A variable that was not declared.
    #[error("there is no variable {}; declare it with :=", quoted(name))]
    UnknownVariable {
        /// The name in the template.
        name: String,
    },
    /// A source that is not there.
    #[error(
        "{}: there is no source {}{}",
        cut(path),
        quoted(name),
        only(available).replacen("it has", "there is", 1)
    )]
    NoSource {
        /// The path in the template.
        path: String,
        /// The step of it that found nothing.
        name: String,
        /// The sources that are there, at most 20 of them.
        available: Vec<String>,
    },
    /// A field that the source does not have.
    #[error(
        "{}: source {} has no field {}{}",
        cut(path),
        quoted(source_name),
        quoted(name),
        only(available)
    )]
    NoField {
        /// The path in the template.
        path: String,
        /// The source.
        source_name: String,
        /// The step of the path that found nothing.
        name: String,
        /// The fields that the source does have, at most 20 of them.
        available: Vec<String>,
    },
    /// A member that is not there, further inside.
    #[error("{}: there is no {} there", cut(path), quoted(name))]
    NoMember {
        /// The path in the template.
        path: String,
        /// The step of it that found nothing.
        name: String,
    },
    /// A member of something that has none.
    #[error(
        "{}: {} is asked of a {got}, which has no members",
        cut(path),
        quoted(name)
    )]
    NotADict {
        /// The path in the template.
        path: String,
        /// The step of it that cannot be taken.
        name: String,
        /// The type of what it was asked of.
        got: &'static str,
    },
    /// What is to be written is null.
    #[error("this is null, of which nothing can be written; give it a value with default")]
    Null,
    /// What cannot be gone through.
    #[error("range goes over a list, a dict or a whole number, and this is a {got}")]
    NotIterable {
        /// The type of what it is.
        got: &'static str,
    },
    /// A number has no names, only numbers up to it.
    #[error("range over a number has one variable, and not two")]
    Counted,
    /// What cannot be called with arguments.
    #[error("only a function takes arguments, and this is none")]
    NoFunction,
    /// Too few or too many arguments.
    #[error("{function} takes {wanted}, and not {got}")]
    Count {
        /// The function.
        function: &'static str,
        /// How many it takes.
        wanted: String,
        /// How many it got.
        got: usize,
    },
    /// An argument of another type.
    #[error("{function}: argument {argument} must be {wanted}, and is a {got}")]
    Type {
        /// The function.
        function: &'static str,
        /// Which argument, from 1.
        argument: usize,
        /// What it may be.
        wanted: &'static str,
        /// The type that it has.
        got: &'static str,
    },
    /// Arguments with which the function can do nothing.
    #[error("{function}: {why}")]
    Refused {
        /// The function.
        function: &'static str,
        /// Why.
        why: &'static str,
    },
    /// The template itself says stop, in words that stand in it.
    #[error("the template stops here: {}", cut(words))]
    Stopped {
        /// Its words.
        words: String,
    },
    /// The template itself says stop, in words that were made of values.
    #[error(
        "the template stops here; its words are not shown, because only a text between quotes surely holds no secret"
    )]
    StoppedSilently,
    /// A bound of what a template may use up.
    #[error("{what}")]
    Bound {
        /// Which one.
        what: &'static str,
    },
}

impl Fault {
    /// Whether something that the template asks for is not there, rather than the template wrong in itself.
    pub fn is_absence(&self) -> bool {
        match self {
            Self::NoSource { .. } | Self::NoField { .. } | Self::NoMember { .. } => true,
            Self::Syntax { .. }
            | Self::UnknownFunction { .. }
            | Self::LeftOut { .. }
            | Self::UnknownTemplate { .. }
            | Self::UnknownVariable { .. }
            | Self::NotADict { .. }
            | Self::Null
            | Self::NotIterable { .. }
            | Self::Counted
            | Self::NoFunction
            | Self::Count { .. }
            | Self::Type { .. }
            | Self::Refused { .. }
            | Self::Stopped { .. }
            | Self::StoppedSilently
            | Self::Bound { .. } => false,
        }
    }
}

/// Names for a message, not all if there are many.
pub(super) fn names<'a>(all: impl Iterator<Item = &'a str>) -> Vec<String> {
    all.take(MAX_NAMES).map(str::to_owned).collect()
}

fn nearest(near: Option<&str>) -> String {
    near.map_or_else(
        || "; docs/templates.md lists those that there are".to_owned(),
        |near| format!(" (there is {near}); docs/templates.md lists them all"),
    )
}

fn cut(text: &str) -> String {
    let visible: String = text
        .chars()
        .take(MAX_QUOTED)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(MAX_QUOTED).is_some() {
        visible + "…"
    } else {
        visible
    }
}
