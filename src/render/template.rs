//! Go templates: texts with values in them, such as the address of a database with user and password.
//!
//! The language is that of Go's `text/template`, with the functions of [`functions`]. The crate `gotmpl` reads it; the carrying out is our own
//! (`run`), because here it has to know for each step where it stands in the text, what it may use up, and that no word of an error is a value.
//!
//! A template is a function of the sources and of nothing else: no clock, no randomness, no environment, no file, no network. So it can be
//! made again at any time, and yields the same.

mod budget;
mod check;
mod error;
pub mod functions;
pub mod known;
pub mod page;
mod run;
mod value;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use gotmpl::Value;
use gotmpl::parse::{DefineNode, ListNode, Node, Parser, Pos};

use super::mapping::Sources;
use super::sound::Sound;
use crate::sensitive::{SecretBytes, SecretJson};
pub use error::{Fault, TemplateError};
use run::Run;
use value::Dict;

/// A template that was found to be one. It is read when it is carried out: most passes over an object carry out nothing, and texts are long.
#[derive(Clone)]
pub struct Template {
    text: Arc<str>,
    delimiters: [Arc<str>; 2],
    parsed: OnceLock<Arc<Parsed>>,
}

/// Which templates are known to be some.
static SOUND: Sound<()> = Sound::new();

struct Parsed {
    text: String,
    main: ListNode,
    defines: BTreeMap<String, ListNode>,
}

/// What a template may ask for: the sources by their names, each with its fields. `null` is absent, and so is every field of a source that is.
pub struct Context {
    sources: Value,
    /// How many bytes all templates that are carried out with it may still go through.
    room: Cell<usize>,
}

impl Template {
    /// Reads a template. Everything that can be known without the values is checked: what is no template, functions that are not there, or take another number of
    /// arguments.
    pub fn parse(text: &str, delimiters: Option<[&str; 2]>) -> Result<Self, TemplateError> {
        let [left, right] = delimiters.unwrap_or(["{{", "}}"]);
        let template = Self {
            text: text.into(),
            delimiters: [left.into(), right.into()],
            parsed: OnceLock::new(),
        };
        let wording = [left, right, text].map(str::to_owned);
        SOUND.check(&[&wording], || template.parsed().map(drop))?;
        Ok(template)
    }

    /// What the text says.
    fn parsed(&self) -> Result<Arc<Parsed>, TemplateError> {
        if let Some(parsed) = self.parsed.get() {
            return Ok(parsed.clone());
        }
        let [left, right] = &self.delimiters;
        let parsed = Arc::new(Parsed::read(&self.text, left, right)?);
        Ok(self.parsed.get_or_init(|| parsed).clone())
    }

    /// What carrying it out may cost, in bytes gone through. What goes through its text once costs that; whoever loops, repeats, matches or
    /// derives keys may go through as much as a template is allowed.
    pub fn weight(&self) -> usize {
        let long = [
            "range", "template", "repeat", "until", "seq", "regex", "ndent", "p12", "kcs12",
            "KCS12",
        ];
        let text = &self.text;
        if long.iter().any(|word| text.contains(word)) {
            budget::WORK
        } else {
            // A function call costs something, however short it is written.
            text.len() * 4
        }
    }

    /// Carries the template out.
    pub fn render(&self, context: &Context) -> Result<SecretBytes, TemplateError> {
        let parsed = self.parsed()?;
        let run = Run::new(&parsed, &context.sources, context.room.get());
        let (made, room) = run.whole();
        context.room.set(room);
        made
    }
}

impl Context {
    /// The values of the sources.
    pub fn new(sources: &Sources<'_>) -> Self {
        let source = |secret: &SecretJson| secret.root().map(value::from_json);
        let dict: Dict = sources
            .iter()
            .map(|(name, secret)| {
                let value = secret.and_then(source);
                (Arc::from(name.as_str()), without_null(value))
            })
            .collect();
        Self {
            sources: Value::Map(Arc::new(dict)),
            room: Cell::new(budget::TOGETHER),
        }
    }
}

fn without_null(source: Option<Value>) -> Value {
    match source {
        None | Some(Value::Nil) => Value::Map(Arc::default()),
        Some(Value::Map(fields)) => {
            let fields = fields.iter().filter(|(_, value)| **value != Value::Nil);
            let fields = fields.map(|(name, value)| (name.clone(), value.clone()));
            Value::Map(Arc::new(fields.collect::<Dict>()))
        }
        Some(other) => other,
    }
}

impl Parsed {
    fn read(text: &str, left: &str, right: &str) -> Result<Self, TemplateError> {
        let (main, defines) = read(text, left, right)?;
        let mut parsed = Self {
            text: text.to_owned(),
            main,
            defines: BTreeMap::new(),
        };
        for define in defines {
            let name = define.name.to_string();
            let empty = define.body.is_empty_tree();
            if parsed.defines.contains_key(&name) && !empty {
                let words = "this template is defined a second time".to_owned();
                return Err(parsed.at(define.pos, Fault::Syntax { words }));
            }
            parsed.defines.entry(name).or_insert(define.body);
        }
        check::check(&parsed)?;
        Ok(parsed)
    }

    /// An error at that place.
    fn at(&self, pos: Pos, fault: Fault) -> TemplateError {
        let before = self.text.get(..pos.offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        TemplateError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            fault,
        }
    }
}

/// Reads the text. The engine's parser takes a block without its end for one that ends with the text, and an `end` too many for the end of it; so
/// the text gets an action of ours at its end, which has to come out there again.
fn read(text: &str, left: &str, right: &str) -> Result<(ListNode, Vec<DefineNode>), TemplateError> {
    let read = Parser::new(text, left, right).and_then(Parser::parse);
    let (main, defines) = read.map_err(|error| syntax(&error))?;
    // Between them the end of a line: the last sign of the text must not become a part of ours.
    let marked = format!("{text}\n{left} nil {right}");
    let marked = Parser::new(&marked, left, right).and_then(Parser::parse);
    let (mut marked, _) = marked.map_err(|error| syntax(&error))?;
    match marked.nodes.pop() {
        Some(Node::Action(mark)) if mark.pos.offset >= text.len() => Ok((main, defines)),
        Some(_) | None => {
            let words = "a block has no end, or there is an end or else too many".to_owned();
            let fault = Fault::Syntax { words };
            let (line, column) = (text.lines().count().max(1), 1);
            Err(TemplateError {
                line,
                column,
                fault,
            })
        }
    }
}

/// The parser has seen the text of the template and nothing else, so its words are no secret.
fn syntax(error: &gotmpl::TemplateError) -> TemplateError {
    use gotmpl::TemplateError as Engine;
    let (line, column, words) = match error {
        Engine::Parse {
            line, col, message, ..
        }
        | Engine::Lex {
            line, col, message, ..
        } => ((*line).max(1), (*col).max(1), message.clone()),
        other => (1, 1, other.to_string()),
    };
    TemplateError {
        line,
        column,
        fault: Fault::Syntax { words },
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.delimiters) == (&other.text, &other.delimiters)
    }
}

impl Eq for Template {}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests;
