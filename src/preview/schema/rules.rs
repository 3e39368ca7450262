//! The rules of the schema (`x-kubernetes-validations`), which are written in CEL.
//!
//! A rule with `oldSelf` compares an object with what it was. In files there is nothing that it was, so such rules are left to the API server.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use cel::extractors::This;
use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError, Program, Value as Cel, extensions};
use regex::Regex;
use serde_json::Value;

use super::below;

/// The rules, each read once.
pub struct Rules {
    env: Arc<Env>,
    programs: BTreeMap<String, Program>,
}

impl Rules {
    /// No rule is read yet.
    pub fn new() -> anyhow::Result<Self> {
        let mut env = Env::stdlib();
        env.add_extension(extensions::strings)
            .context("make the language of rules")?;
        Ok(Self {
            env: Arc::new(env),
            programs: BTreeMap::new(),
        })
    }

    /// Adds the messages of the rules that do not hold, each with its field.
    pub fn check(
        &mut self,
        schema: &Value,
        path: &str,
        value: &Value,
        problems: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        for (rule, message) in of(schema) {
            if !self.holds(rule, value)? {
                problems.push(format!("{path}: {message}"));
            }
        }
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let known = &schema["properties"][name];
                    let schema = if known.is_null() {
                        &schema["additionalProperties"]
                    } else {
                        known
                    };
                    self.check(schema, &below(path, name), value, problems)?;
                }
            }
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.check(&schema["items"], &path, element, problems)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(())
    }

    /// Whether a rule holds for a value. One that cannot be told is a mistake of ours.
    pub fn holds(&mut self, rule: &str, value: &Value) -> anyhow::Result<bool> {
        if !self.programs.contains_key(rule) {
            let program = self.env.compile(rule);
            let program = program.map_err(|error| anyhow!("read the rule {rule}: {error}"))?;
            self.programs.insert(rule.to_owned(), program);
        }
        let program = self.programs.get(rule).context("find a rule")?;
        let mut context = Context::with_env(self.env.clone());
        let matches =
            |This(text): This<Arc<String>>, expression: Arc<String>| matches(&text, &expression);
        let added = context
            .add_function("matches", matches)
            .and_then(|()| context.add_function("duration", |text: Arc<String>| seconds(&text)));
        added.context("add functions to the rules")?;
        context.add_variable_from_value("self", cel(value));
        match program.execute(&context) {
            Ok(Cel::Bool(holds)) => Ok(holds),
            Ok(_) => Err(anyhow!("the rule {rule} is neither true nor false")),
            // Its words may show the value.
            Err(_) => Err(anyhow!("the rule {rule} cannot be told")),
        }
    }
}

/// The rules of that part of a schema with their messages, without those that compare with what was.
pub fn of(schema: &Value) -> impl Iterator<Item = (&str, &str)> {
    let rules = schema["x-kubernetes-validations"].as_array();
    let rules = rules.into_iter().flatten().filter_map(|one| {
        let message = one["message"].as_str().unwrap_or("breaks a rule");
        Some((one["rule"].as_str()?, message))
    });
    rules.filter(|(rule, _)| !rule.contains("oldSelf"))
}

/// Whole numbers are what CEL calls `int`, whatever their sign: a rule compares them with others of that kind only.
fn cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cel::Int(whole),
            None => Cel::Float(number.as_f64().unwrap_or(f64::MAX)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(elements) => Cel::List(Arc::new(elements.iter().map(cel).collect())),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (Key::from(name.as_str()), cel(value)));
            Cel::Map(Map {
                map: Arc::new(members.collect::<HashMap<_, _>>()),
            })
        }
    }
}

/// `matches` of CEL, with expressions as the API server's language reads them: there `\s` is a blank of ASCII.
fn matches(text: &str, expression: &str) -> Result<bool, ExecutionError> {
    let expression = expression.replace(r"\s", r"\t\n\x0c\r\x20");
    let regex = Regex::new(&expression);
    let regex = regex.map_err(|_| ExecutionError::function_error("matches", "no expression"))?;
    Ok(regex.is_match(text))
}

/// `duration` of CEL in whole seconds, which is all that rules compare.
fn seconds(text: &str) -> Result<i64, ExecutionError> {
    let wrong = || ExecutionError::function_error("duration", "no duration");
    let (mut sum, mut number) = (0_i64, String::new());
    for sign in text.chars() {
        let unit = match sign {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            digit => {
                number.push(digit);
                continue;
            }
        };
        let count: i64 = number.parse().map_err(|_| wrong())?;
        sum = count
            .checked_mul(unit)
            .and_then(|more| sum.checked_add(more))
            .ok_or_else(wrong)?;
        number.clear();
    }
    if number.is_empty() {
        Ok(sum)
    } else {
        Err(wrong())
    }
}
