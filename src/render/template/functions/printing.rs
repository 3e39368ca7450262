//! Values as text, by Go's rules for `print` and `printf`.

use std::sync::LazyLock;

use gotmpl::{Template, Value};

use super::super::budget::Output;
use super::super::error::Fault;
use super::super::value::text;
use super::{Args, Dict, made};

/// All of them, with spaces between those that are no texts.
pub fn print(values: &[Value]) -> String {
    let mut all = String::new();
    let mut before_is_text = true;
    for value in values {
        let is_text = matches!(value, Value::String(_));
        if !before_is_text && !is_text {
            all.push(' ');
        }
        all.push_str(&text(value));
        before_is_text = is_text;
    }
    all
}

/// All of them, with spaces between.
pub fn joined(values: &[Value]) -> String {
    values.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// The most arguments that `printf` fills in.
const PRINTED: usize = 16;

/// The engine has Go's formats, and no other door to them than a template.
static PRINTF: LazyLock<Vec<Option<Template>>> = LazyLock::new(|| {
    let with = |count: usize| {
        let names = (0..count).fold(String::new(), |names, index| format!("{names} .a{index}"));
        let text = format!("{{{{ printf .format{names} }}}}");
        Template::new("printf").parse(&text).ok()
    };
    (0..=PRINTED).map(with).collect()
});

/// Refuses what would not be filled in, or with what is not of that kind: Go writes such a mistake into the text.
pub fn printf(a: &mut Args<'_>) -> Result<Value, Fault> {
    let format = a.text(0)?;
    if directives(format).any(is_unknown) {
        return Err(a.refuse("the format has a flag or a width that is not known for its letter"));
    }
    // A width is at most 65535, and a format can have many of them.
    a.work(format.matches('%').count() * 65_536 / 8)?;
    let template = PRINTF.get(a.all().len() - 1).and_then(Option::as_ref);
    let template = template.ok_or_else(|| a.refuse("it fills in at most 16 arguments"))?;
    let mut members = Dict::from([("format".into(), format.into())]);
    for (index, value) in a.all().iter().skip(1).enumerate() {
        members.insert(format!("a{index}").into(), value.clone());
    }
    let mut output = Bounded(Output::default());
    template
        .execute_fmt(&mut output, &Value::Map(members.into()))
        .map_err(|_| a.refuse("the format cannot be filled in with these arguments"))?;
    let written = output.text();
    let mistakes = |text: &str| text.matches("%!").count();
    let own = a.all().iter().map(|value| mistakes(&text(value)));
    if mistakes(&written) > own.sum() {
        return Err(a.refuse("the arguments do not fit the format, in their number or their types"));
    }
    made(written)
}

/// The flags, width and letter of each directive of a format.
fn directives(format: &str) -> impl Iterator<Item = (&str, char)> {
    let mut rest = format;
    std::iter::from_fn(move || {
        let after = &rest[rest.find('%')? + 1..];
        let end = after.find(|c: char| !"+-# 0123456789.*[]".contains(c))?;
        let letter = after[end..].chars().next()?;
        rest = &after[end + letter.len_utf8()..];
        Some((&after[..end], letter))
    })
}

/// What Go has and the engine does otherwise.
fn is_unknown((flags, letter): (&str, char)) -> bool {
    let padded = flags.starts_with('0') || flags.starts_with("-0") || flags.starts_with("+0");
    match letter {
        'x' | 'X' => flags.contains(' '),
        'q' => flags.contains('+') || padded,
        'v' => flags.contains('#') || padded,
        'c' => !flags.is_empty(),
        's' => padded,
        'T' | 'p' | 'w' => true,
        _ => false,
    }
}

/// The text between quotes, with everything escaped as in Go.
pub fn quoted(a: &Args<'_>, text: &str) -> Result<String, Fault> {
    let template = PRINTF.get(1).and_then(Option::as_ref);
    let members = Dict::from([
        ("format".into(), "%q".into()),
        ("a0".into(), Value::from(text)),
    ]);
    let mut output = Bounded(Output::default());
    let written = template.map(|one| one.execute_fmt(&mut output, &Value::Map(members.into())));
    match written {
        Some(Ok(())) => Ok(output.text()),
        Some(Err(_)) | None => Err(a.refuse("the text becomes too long")),
    }
}

/// The engine's own writing, within our bounds.
struct Bounded(Output);

impl Bounded {
    fn text(self) -> String {
        String::from_utf8_lossy(&self.0.0).into_owned()
    }
}

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.push(text.as_bytes()).map_err(|_| std::fmt::Error)
    }
}
