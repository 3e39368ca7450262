//! The way along `.source.field`, and what to say where it ends.

use std::sync::Arc;

use gotmpl::Value;
use gotmpl::parse::{Pos, SmolStr};

use super::super::Dict;
use super::super::error::{Fault, names};
use super::super::value::type_of;
use super::{Outcome, Run};

impl Run<'_> {
    /// The value at the end of the names, one inside of the other.
    pub(super) fn fields(
        &mut self,
        pos: Pos,
        mut value: Value,
        of: &str,
        fields: &[SmolStr],
    ) -> Outcome<Value> {
        for (index, name) in fields.iter().enumerate() {
            let found = match &value {
                Value::Map(members) => members.get(name.as_str()).cloned(),
                _ => None,
            };
            let Some(found) = found else {
                let path = fields
                    .iter()
                    .fold(of.to_owned(), |path, name| path + "." + name);
                let before = index.checked_sub(1).and_then(|before| fields.get(before));
                let fault = self.absent(&value, path, name, before);
                return self.fail(pos, fault);
            };
            value = found;
        }
        Ok(value)
    }

    /// Only of the sources themselves are names told: those of a dict that a template has made may be values.
    fn absent(&self, value: &Value, path: String, name: &str, before: Option<&SmolStr>) -> Fault {
        let name = name.to_owned();
        let Value::Map(members) = value else {
            let got = type_of(value);
            return Fault::NotADict { path, name, got };
        };
        let known = |members: &Dict| names(members.keys().map(|name| &**name));
        let Value::Map(sources) = self.root else {
            return Fault::NoMember { path, name };
        };
        if Arc::ptr_eq(sources, members) {
            let available = known(members);
            return Fault::NoSource {
                path,
                name,
                available,
            };
        }
        let same = |one: &Value| matches!(one, Value::Map(other) if Arc::ptr_eq(other, members));
        let mut sources = sources.iter().filter(|(_, value)| same(value));
        let source = sources
            .clone()
            .find(|(source, _)| before.is_some_and(|before| **before == ***source))
            .or_else(|| sources.next());
        match source {
            Some((source, _)) => Fault::NoField {
                path,
                source_name: source.to_string(),
                name,
                available: known(members),
            },
            None => Fault::NoMember { path, name },
        }
    }
}
