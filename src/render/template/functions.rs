//! The functions that templates may call: one table, from which the engine, the page docs/templates.md and a test of each example are made.
//!
//! They have the names and the order of arguments of Go's own and of sprig, Helm and External Secrets, where people know them from. What
//! needs a clock, randomness, the environment or a network is not among them.

#![expect(
    clippy::unnecessary_wraps,
    reason = "what makes a value has one shape, whether it can fail or not"
)]

mod basics;
mod certificates;
mod chains;
mod dates;
mod decimals;
mod der;
mod dicts;
mod encoding;
mod formats;
mod keys;
mod layouts;
mod lists;
mod numbers;
mod paths;
mod pem;
mod pkcs12;
mod printing;
mod regexes;
mod strings;
mod versions;
mod words;

use std::sync::Arc;

use gotmpl::Value;

use super::budget::{Budget, fits};
use super::error::Fault;
use super::value::{self, Dict, text, type_of};

/// Functions that belong together.
pub struct Group {
    /// The heading above them.
    pub title: &'static str,
    /// What to know of all of them, if anything.
    pub note: &'static str,
    /// They themselves.
    pub functions: &'static [Function],
}

/// A function.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Other names of it. Those with `must` are sprig's for functions that fail where the others yield nothing; here all fail.
    pub also: &'static [&'static str],
    /// Its arguments: `[X]` may be left out, `X…` may be any number, none included.
    pub arguments: &'static str,
    /// One sentence about it.
    pub says: &'static str,
    /// A template that shows it.
    pub example: &'static str,
    /// What that writes.
    pub result: &'static str,
    /// What it does.
    pub body: Body,
    /// Whether in Go it changes its first argument.
    pub changes: bool,
    /// Whether it takes binary values as well.
    pub binary: bool,
}

/// What a function does.
pub type Body = fn(&mut Args<'_>) -> Result<Value, Fault>;

/// A row of the table: name and arguments, the sentence, the example and its result, what it does.
const fn row(
    (name, arguments): (&'static str, &'static str),
    says: &'static str,
    (example, result): (&'static str, &'static str),
    body: Body,
) -> Function {
    Function {
        name,
        also: &[],
        arguments,
        says,
        example,
        result,
        body,
        changes: false,
        binary: false,
    }
}

/// All of them.
pub const GROUPS: &[Group] = &[
    basics::GROUP,
    strings::GROUP,
    words::GROUP,
    encoding::GROUP,
    formats::GROUP,
    numbers::GROUP,
    lists::GROUP,
    dicts::GROUP,
    regexes::GROUP,
    versions::GROUP,
    paths::GROUP,
    dates::GROUP,
    certificates::GROUP,
];

/// All of them, one after the other.
pub fn all() -> impl Iterator<Item = &'static Function> {
    GROUPS.iter().flat_map(|group| group.functions)
}

/// The function of that name.
pub fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name || function.also.contains(&name))
}

/// The function whose name is most like that one, if any is.
pub fn nearest(name: &str) -> Option<&'static str> {
    let names =
        all().flat_map(|function| [function.name].into_iter().chain(function.also.to_vec()));
    let scored = names.map(|known| (distance(name, known), known));
    let (score, found) = scored.min()?;
    // Of three letters nearly every name is made by changing one.
    let letters = name.chars().count();
    (letters > 3 && score <= 1 + letters / 3).then_some(found)
}

/// How many letters have to be changed, added or taken away.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().take(40).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

impl Function {
    /// Gives it other names beside its own.
    const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    /// Marks a function that in Go changes its first argument.
    const fn that_changes(self) -> Self {
        Self {
            changes: true,
            ..self
        }
    }

    /// Marks a function that takes binary values as well.
    const fn of_bytes(self) -> Self {
        Self {
            binary: true,
            ..self
        }
    }

    /// The fewest and the most arguments.
    fn bounds(&self) -> (usize, Option<usize>) {
        let words = || self.arguments.split_whitespace();
        let least = words()
            .filter(|word| !word.starts_with('[') && !word.ends_with('…'))
            .count();
        let open = words().any(|word| word.ends_with('…'));
        (least, (!open).then(|| words().count()))
    }

    /// Refuses another number of arguments.
    pub fn count(&self, got: usize) -> Result<(), Fault> {
        let (least, most) = self.bounds();
        if got >= least && most.is_none_or(|most| got <= most) {
            return Ok(());
        }
        let wanted = match most {
            Some(1) if least == 1 => "one argument".to_owned(),
            Some(most) if most == least => format!("{least} arguments"),
            Some(most) => format!("{least} to {most} arguments"),
            None => format!("at least {least} arguments"),
        };
        Err(Fault::Count {
            function: self.name,
            wanted,
            got,
        })
    }
}

/// The arguments of a call. What a function finds wrong with them is said here, in words that have no value in them.
pub struct Args<'a> {
    function: &'static Function,
    values: &'a [Value],
    /// The first argument, if it is a text that stands in the template.
    spoken: Option<&'a str>,
    budget: &'a mut Budget,
}

impl<'a> Args<'a> {
    /// Refuses another number than the function takes.
    pub fn new(
        function: &'static Function,
        values: &'a [Value],
        spoken: Option<&'a str>,
        budget: &'a mut Budget,
    ) -> Result<Self, Fault> {
        function.count(values.len())?;
        let args = Self {
            function,
            values,
            spoken,
            budget,
        };
        let binary = |value: &Value| matches!(value, Value::Function(_));
        match values.iter().position(binary) {
            Some(index) if !function.binary => Err(args.wrong(index, &values[index], "text")),
            Some(_) | None => Ok(args),
        }
    }

    /// All of them.
    fn all(&self) -> &'a [Value] {
        self.values
    }

    /// The last, which is what a pipe brings.
    fn last(&self) -> &'a Value {
        self.values.last().unwrap_or(&Value::Nil)
    }

    fn has(&self, index: usize) -> bool {
        index < self.values.len()
    }

    fn any(&self, index: usize) -> &'a Value {
        self.values.get(index).unwrap_or(&Value::Nil)
    }

    fn text(&self, index: usize) -> Result<&'a str, Fault> {
        match self.any(index) {
            Value::String(text) => Ok(text),
            other => Err(self.wrong(index, other, "a text")),
        }
    }

    /// A text or a binary value.
    fn bytes(&self, index: usize) -> Result<Vec<u8>, Fault> {
        let value = self.any(index);
        value::bytes(value).ok_or_else(|| self.wrong(index, value, "a text or binary"))
    }

    /// Any value as text, as `toString` makes it.
    fn as_text(&self, index: usize) -> String {
        text(self.any(index))
    }

    fn list(&self, index: usize) -> Result<&'a [Value], Fault> {
        match self.any(index) {
            Value::List(list) => Ok(list),
            other => Err(self.wrong(index, other, "a list")),
        }
    }

    fn dict(&self, index: usize) -> Result<&'a Dict, Fault> {
        match self.any(index) {
            Value::Map(dict) => Ok(dict),
            other => Err(self.wrong(index, other, "a dict")),
        }
    }

    /// A whole number, also as text; a fraction is cut off, true is 1.
    fn int(&self, index: usize) -> Result<i64, Fault> {
        let value = self.any(index);
        numbers::whole(value).ok_or_else(|| self.wrong(index, value, "a whole number of 64 bits"))
    }

    /// A number, also as text.
    fn float(&self, index: usize) -> Result<f64, Fault> {
        let value = self.any(index);
        numbers::float(value).ok_or_else(|| self.wrong(index, value, "a number"))
    }

    /// How many of something: not negative.
    fn size(&self, index: usize) -> Result<usize, Fault> {
        usize::try_from(self.int(index)?).map_err(|_| self.refuse("a number must not be negative"))
    }

    fn wrong(&self, index: usize, value: &Value, wanted: &'static str) -> Fault {
        Fault::Type {
            function: self.function.name,
            argument: index + 1,
            wanted,
            got: type_of(value),
        }
    }

    fn refuse(&self, why: &'static str) -> Fault {
        Fault::Refused {
            function: self.function.name,
            why,
        }
    }

    /// Charges for work beyond going through the arguments once.
    fn work(&mut self, bytes: usize) -> Result<(), Fault> {
        self.budget.work(bytes)
    }

    /// Turns the last argument into another text.
    fn map_last(&self, map: impl FnOnce(&str) -> String) -> Result<Value, Fault> {
        let text = self.text(self.values.len().saturating_sub(1))?;
        made(map(text))
    }
}

/// A text as a value, unless it is too long.
fn made(text: impl Into<String>) -> Result<Value, Fault> {
    let text = text.into();
    fits(text.len())?;
    Ok(Value::String(Arc::from(text)))
}

fn list(elements: impl IntoIterator<Item = Value>) -> Result<Value, Fault> {
    Ok(elements.into_iter().collect::<Vec<_>>().into())
}

fn dict(members: Dict) -> Result<Value, Fault> {
    Ok(Value::Map(Arc::new(members)))
}

fn truth(value: bool) -> Result<Value, Fault> {
    Ok(Value::Bool(value))
}

fn number(value: i64) -> Result<Value, Fault> {
    Ok(Value::Int(value))
}

fn count(value: usize) -> Result<Value, Fault> {
    number(i64::try_from(value).unwrap_or(i64::MAX))
}
