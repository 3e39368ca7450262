//! Types, names of fields, lengths and bounds. No message shows a value: it may be one that somebody put into the wrong field.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::below;

/// The fields of `metadata`, which no CRD describes.
const METADATA: &[&str] = &[
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The keywords of schemas that are heeded here or in the rules, or say nothing of what is allowed.
#[cfg(test)]
pub const KEYWORDS: &[&str] = &[
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "properties",
    "required",
    "title",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
];

/// All that is wrong with an object of that kind, each with its field.
pub fn check(schema: &Value, kind: &str, object: &Value) -> Vec<String> {
    let mut found = Found {
        kind,
        problems: Vec::new(),
    };
    let mut object = object.clone();
    if let Value::Object(members) = &mut object {
        members.remove("apiVersion");
        members.remove("kind");
        found.metadata(&members.remove("metadata").unwrap_or_default());
    }
    found.look(schema, "", &object);
    found.problems
}

struct Found<'a> {
    kind: &'a str,
    problems: Vec<String>,
}

impl Found<'_> {
    fn say(&mut self, path: &str, problem: &str) {
        self.problems.push(format!("{path}: {problem}"));
    }

    fn unknown(&mut self, path: &str) {
        let kind = self.kind;
        self.problems.push(format!(
            "{path} is no field of a {kind}; correct or remove it"
        ));
    }

    fn metadata(&mut self, metadata: &Value) {
        for name in metadata.as_object().into_iter().flatten().map(|(k, _)| k) {
            if !METADATA.contains(&name.as_str()) {
                self.unknown(&below("metadata", name));
            }
        }
        for (field, longest, dots) in [("name", 253, true), ("namespace", 63, false)] {
            let text = match &metadata[field] {
                Value::Null => continue,
                Value::String(text) => text.as_str(),
                _ => "",
            };
            if !is_name(text, longest, dots) {
                let problem = "must be the name of an object: lower-case letters, digits and '-', starting and ending with a letter or digit";
                self.say(&below("metadata", field), problem);
            }
        }
        for field in ["labels", "annotations"] {
            let path = below("metadata", field);
            match &metadata[field] {
                Value::Null => {}
                Value::Object(texts) => {
                    for (name, value) in texts.iter().filter(|(_, value)| !value.is_string()) {
                        self.say(&format!("{path}[{name}]"), &is_not("string", value));
                    }
                }
                other => self.say(&path, &is_not("object", other)),
            }
        }
    }

    fn look(&mut self, schema: &Value, path: &str, value: &Value) {
        let wanted = schema["type"].as_str().unwrap_or_default();
        if !is_a(wanted, value) {
            let place = if path.is_empty() { "the object" } else { path };
            self.say(place, &is_not(wanted, value));
            return;
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            self.say(path, &format!("must be one of {}", allowed.join(", ")));
        }
        match value {
            Value::Object(members) => self.members(schema, path, members),
            Value::Array(elements) => self.elements(schema, path, elements),
            Value::String(text) => self.count(
                schema,
                path,
                text.chars().count(),
                ["minLength", "maxLength", "characters"],
            ),
            Value::Number(number) => self.bounds(schema, path, number.as_f64().unwrap_or(0.0)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn members(&mut self, schema: &Value, path: &str, members: &Map<String, Value>) {
        let words = ["minProperties", "maxProperties", "entries"];
        self.count(schema, path, members.len(), words);
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !members.contains_key(name) {
                self.say(&below(path, name), "is missing; set it");
            }
        }
        for (name, value) in members {
            let path = below(path, name);
            let known = &schema["properties"][name];
            match (known, &schema["additionalProperties"]) {
                (Value::Null, Value::Null) => self.unknown(&path),
                (Value::Null, more) => self.look(more, &path, value),
                (known, _) => self.look(known, &path, value),
            }
        }
    }

    fn elements(&mut self, schema: &Value, path: &str, elements: &[Value]) {
        self.count(
            schema,
            path,
            elements.len(),
            ["minItems", "maxItems", "items"],
        );
        let mut seen = BTreeSet::new();
        let keys = schema["x-kubernetes-list-map-keys"].as_array();
        for (index, element) in elements.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.look(&schema["items"], &path, element);
            let Some(keys) = keys else { continue };
            let keys = keys.iter().filter_map(Value::as_str);
            let keys: Vec<&str> = keys.collect();
            let own: Vec<String> = keys.iter().map(|key| element[*key].to_string()).collect();
            if !seen.insert(own) {
                let problem = format!(
                    "is there twice: no two may have the same {}",
                    keys.join(", ")
                );
                self.say(&path, &problem);
            }
        }
    }

    fn count(&mut self, schema: &Value, path: &str, count: usize, [least, most, what]: [&str; 3]) {
        let bound = |name: &str| schema[name].as_u64().and_then(|n| usize::try_from(n).ok());
        match (bound(least), bound(most)) {
            (Some(1), _) if count == 0 => self.say(path, "must not be empty"),
            (Some(least), _) if count < least => {
                self.say(
                    path,
                    &format!("must have at least {least} {what}, not {count}"),
                );
            }
            (_, Some(most)) if count > most => {
                self.say(
                    path,
                    &format!("must have at most {most} {what}, not {count}"),
                );
            }
            _ => {}
        }
    }

    fn bounds(&mut self, schema: &Value, path: &str, number: f64) {
        let widest = match schema["format"].as_str() {
            Some("int32") => f64::from(i32::MAX),
            _ => 9.0e18,
        };
        let least = schema["minimum"].as_f64().unwrap_or(-widest);
        let most = schema["maximum"].as_f64().unwrap_or(widest);
        if number < least {
            self.say(path, &format!("must be at least {least}"));
        }
        if number > most {
            self.say(path, &format!("must be at most {most}"));
        }
    }
}

fn is_a(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    }
}

fn is_not(wanted: &str, value: &Value) -> String {
    let wanted = match wanted {
        "object" => "an object with fields",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        _ => "true or false",
    };
    let (found, hint) = match value {
        Value::Object(_) => ("an object", ""),
        Value::Array(_) => ("a list", ""),
        Value::String(_) => ("text", ""),
        Value::Number(_) if wanted == "text" => ("a number", "; put it in quotes"),
        Value::Bool(_) if wanted == "text" => ("true or false", "; put it in quotes"),
        Value::Number(number) if number.is_f64() => ("a fraction", ""),
        Value::Number(_) => ("a number", ""),
        Value::Bool(_) => ("true or false", ""),
        Value::Null => ("nothing", ""),
    };
    format!("must be {wanted}, not {found}{hint}")
}

fn is_name(text: &str, longest: usize, dots: bool) -> bool {
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(plain)
            && part.ends_with(plain)
            && part.chars().all(|c| plain(c) || c == '-')
    };
    text.len() <= longest
        && if dots {
            text.split('.').all(part)
        } else {
            part(text)
        }
}
