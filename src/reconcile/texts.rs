//! Part of step 2: the texts of templates, of the object itself or of ConfigMaps.

use super::failure::Failure;
use super::observe::TemplateMaps;
use crate::api::template_from::{ConfigMapKeyRef, TemplateFrom};
use crate::api::{TEMPLATE_LABEL, VaultSecret};
use crate::cluster::templates::MAX_TEMPLATE_BYTES;
use crate::render::Template;

/// A template that stands in the object. What is wrong with it whatever the values are is found here, before Vault is asked for anything.
pub fn own(key: &str, text: &str, delimiters: Option<[&str; 2]>) -> Result<Template, Failure> {
    if text.len() > MAX_TEMPLATE_BYTES {
        return Err(Failure::invalid(format!(
            "spec.data[{key}].template is longer than {MAX_TEMPLATE_BYTES} bytes"
        )));
    }
    Template::parse(text, delimiters)
        .map_err(|error| Failure::invalid(format!("spec.data[{key}].template: {error}")))
}

/// Where the text of a ConfigMap stands, in words.
pub fn place(from: &TemplateFrom) -> String {
    let ConfigMapKeyRef { name, key } = &from.config_map_key_ref;
    format!("key {key} of ConfigMap {name}")
}

/// A template of a ConfigMap. Whatever is wrong with it may be mended there, and is then seen at once.
pub fn shared(
    key: &str,
    from: &TemplateFrom,
    templates: &TemplateMaps,
    delimiters: Option<[&str; 2]>,
) -> Result<Template, Failure> {
    let place = format!("spec.data[{key}].templateFrom");
    let refused = |words: String| Failure::invalid(format!("{place}: {words}"));
    let ConfigMapKeyRef { name, key } = &from.config_map_key_ref;
    let Some(map) = templates.get(name) else {
        return Err(refused(format!(
            "there is no ConfigMap {name} in this namespace that bears the label {TEMPLATE_LABEL}; create it, label it (kubectl label configmap {name} {TEMPLATE_LABEL}), or correct the name"
        )));
    };
    if map.too_long.contains(key) {
        return Err(refused(format!(
            "key {key} of ConfigMap {name} is longer than {MAX_TEMPLATE_BYTES} bytes; shorten it"
        )));
    }
    let Some(text) = map.texts.get(key) else {
        return Err(refused(format!(
            "ConfigMap {name} has no text under key {key}{}; add it, or correct the key",
            only(map.texts.keys())
        )));
    };
    Template::parse(text, delimiters)
        .map_err(|error| refused(format!("key {key} of ConfigMap {name}, {error}")))
}

/// The first of the keys that there are; the API server has seen to it that they are words.
fn only<'a>(keys: impl Iterator<Item = &'a String>) -> String {
    match keys
        .take(20)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ")
        .as_str()
    {
        "" => String::new(),
        keys => format!(" (it has {keys})"),
    }
}

/// The most bytes of all templates of an object: no Secret holds more. A text of a ConfigMap counts each time that it is named, because each time it is read.
const MAX_TOGETHER: usize = 1024 * 1024;

/// Refuses more templates than a Secret could hold, before the first is read.
pub fn check_length(object: &VaultSecret, templates: &TemplateMaps) -> Result<(), Failure> {
    let own = object
        .spec
        .data
        .iter()
        .filter_map(|entry| entry.template.as_ref());
    let shared = texts_of(object, templates);
    let shared = shared.iter().filter_map(|(_, text)| *text);
    let bytes = own
        .map(String::len)
        .chain(shared.map(str::len))
        .sum::<usize>();
    if bytes > MAX_TOGETHER {
        return Err(Failure::invalid(format!(
            "spec.data: its templates have {bytes} bytes together, each text of a ConfigMap as often as it is named, and may have {MAX_TOGETHER}; use fewer or shorter ones, or several objects"
        )));
    }
    Ok(())
}

/// The texts that the object takes from ConfigMaps, by its keys.
pub fn texts_of<'a>(
    object: &'a VaultSecret,
    templates: &'a TemplateMaps,
) -> Vec<(&'a str, Option<&'a str>)> {
    let entries = object.spec.data.iter();
    let shared = entries.filter_map(|entry| {
        let ConfigMapKeyRef { name, key } = &entry.template_from.as_ref()?.config_map_key_ref;
        let text = templates.get(name).and_then(|map| map.texts.get(key));
        Some((entry.key.as_str(), text.map(AsRef::as_ref)))
    });
    shared.collect()
}

/// What begins and ends an action, where that is not `{{` and `}}`.
pub fn delimiters(both: &[String]) -> Result<Option<[&str; 2]>, Failure> {
    let sign = |c: char| !c.is_alphanumeric() && !c.is_whitespace() && !"_.$".contains(c);
    let usable = |text: &String| (1..=8).contains(&text.len()) && text.chars().all(sign);
    match both {
        [] => Ok(None),
        [left, right] if left != right && usable(left) && usable(right) => Ok(Some([left, right])),
        _ => Err(Failure::invalid(
            "spec.templateDelimiters: set two that differ, of at most 8 signs each, such as [[ and ]]",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::templates::TemplateTexts;
    use crate::reconcile::fixture::{edit, fresh};

    fn of(data: &[Value]) -> Result<(), Failure> {
        let mut observed = fresh();
        edit(&mut observed, "/data", json!(data));
        let texts = TemplateTexts {
            texts: BTreeMap::from([("long".to_owned(), "x".repeat(60_000).into())]),
            ..TemplateTexts::default()
        };
        let templates = BTreeMap::from([("texts".to_owned(), Arc::new(texts))]);
        check_length(&observed.object, &templates)
    }

    #[test]
    fn a_text_of_a_config_map_counts_as_often_as_it_is_named() {
        let entry = |at: usize| json!({ "key": format!("k{at}"), "templateFrom": { "configMapKeyRef": { "name": "texts", "key": "long" } } });
        let some: Vec<Value> = (0..17).map(entry).collect();
        assert_eq!(of(&some), Ok(()));
        let more: Vec<Value> = (0..18).map(entry).collect();
        let failure = of(&more).unwrap_err();
        assert!(
            failure
                .message
                .starts_with("spec.data: its templates have 1080000 bytes together")
                && failure.reason.to_string() == "InvalidSpec",
            "{failure:?}"
        );
        let own = json!({ "key": "own", "template": "x".repeat(50_000) });
        assert!(
            of(&[some, vec![own]].concat()).is_err(),
            "with one of the object's own"
        );
    }
}
