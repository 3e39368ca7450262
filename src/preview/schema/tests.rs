//! The schemas are heeded as a whole: each keyword, each rule, each default.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;

fn kind(kind: &str) -> Schema {
    let mut all = Schema::all().unwrap().into_iter();
    all.find(|schema| schema.kind == kind).unwrap()
}

fn small() -> Value {
    json!({
        "apiVersion": "vaultbridge.dev/v1alpha1", "kind": "VaultSecret", "metadata": { "name": "orders" },
        "spec": { "auth": { "role": "orders" }, "sources": [{ "name": "app", "kv": { "path": "secret/shop/orders" } }] },
    })
}

fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut object = small();
    change(&mut object);
    kind("VaultSecret").check(&mut object).unwrap()
}

/// Every part of a schema, by its path, `[]` for the elements of a list and `{}` for the values of a map.
fn parts<'a>(path: &str, schema: &'a Value, all: &mut BTreeMap<String, &'a Value>) {
    all.insert(path.to_owned(), schema);
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        parts(&below(path, name), schema, all);
    }
    if schema["items"].is_object() {
        parts(&format!("{path}[]"), &schema["items"], all);
    }
    if schema["additionalProperties"].is_object() {
        parts(&format!("{path}{{}}"), &schema["additionalProperties"], all);
    }
}

#[test]
fn every_keyword_of_the_schemas_is_heeded() {
    for schema in Schema::all().unwrap() {
        let mut all = BTreeMap::new();
        parts("", &schema.root, &mut all);
        for (path, part) in all {
            for keyword in part.as_object().unwrap().keys() {
                let known = structure::KEYWORDS.contains(&keyword.as_str());
                assert!(known, "{path}: what does {keyword} ask for?");
            }
            for rule in part["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let members: Vec<&String> = rule.as_object().unwrap().keys().collect();
                assert_eq!(members, ["message", "rule"], "{path}");
            }
            let list = part["x-kubernetes-list-type"].as_str();
            assert_ne!(list, Some("set"), "{path}");
        }
    }
}

/// `rules.yaml` has values for every part that has rules: good ones, for which all rules hold, and bad ones. Each rule has to be broken by one of the bad
/// ones at least, so none is passed over, and none is true of whatever comes.
#[test]
fn every_rule_is_told_true_once_and_false_once() {
    let table: BTreeMap<String, BTreeMap<String, [Vec<Value>; 2]>> =
        serde_saphyr::from_str(include_str!("tests/rules.yaml")).unwrap();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for mut schema in Schema::all().unwrap() {
        let root = schema.root.clone();
        let mut all = BTreeMap::new();
        parts("", &root, &mut all);
        for (path, part) in all {
            let rules: Vec<_> = rules::of(part).collect();
            if rules.is_empty() {
                continue;
            }
            let name = format!("{} {path}", schema.kind);
            seen.insert(name.clone());
            let Some([good, bad]) = table.get(&schema.kind).and_then(|kind| kind.get(&path)) else {
                wrong.push(format!("{name}: has no values in the table"));
                continue;
            };
            for (rule, _) in rules {
                for value in good {
                    let told = schema.rules.holds(rule, value);
                    if !matches!(told, Ok(true)) {
                        wrong.push(format!("{name}: {rule} of the good {value}: {told:?}"));
                    }
                }
                let broken = |value| matches!(schema.rules.holds(rule, value), Ok(false));
                if !bad.iter().any(broken) {
                    wrong.push(format!("{name}: no bad value breaks {rule}"));
                }
            }
        }
    }
    for (kind, parts) in &table {
        let stale = parts.keys().map(|path| format!("{kind} {path}"));
        wrong.extend(
            stale
                .filter(|name| !seen.contains(name))
                .map(|name| format!("{name}: has no rules")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_left_out_has_its_default_and_null_is_nothing() {
    let mut object = small();
    object["spec"]["refresh"] = json!({ "interval": null });
    object["spec"]["suspend"] = Value::Null;
    assert_eq!(
        kind("VaultSecret").check(&mut object).unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(
        object["spec"],
        json!({
            "auth": { "role": "orders", "serviceAccountName": "default" },
            "sources": [{ "name": "app", "kv": { "path": "secret/shop/orders", "engineVersion": "Auto" } }],
            "refresh": { "interval": "10m", "jitterPercent": 10, "renewAtPercent": 67 },
            "conflictPolicy": "Error",
        })
    );
}

#[test]
fn the_structure_is_checked_with_the_field_and_no_value() {
    let long = "hunter2".repeat(100);
    for (at, value, told) in [
        (
            "/spec/sources",
            json!(7),
            "spec.sources: must be a list, not a number",
        ),
        (
            "/spec/auth/role",
            json!(7),
            "spec.auth.role: must be text, not a number; put it in quotes",
        ),
        (
            "/spec/auth",
            json!({}),
            "spec.auth.role: is missing; set it",
        ),
        (
            "/spec/auth/rolle",
            json!("x"),
            "spec.auth.rolle is no field of a VaultSecret; correct or remove it",
        ),
        (
            "/spec/auth/method",
            json!("hunter2"),
            "spec.auth.method: must be one of Kubernetes, JWT",
        ),
        (
            "/spec/auth/role",
            json!(""),
            "spec.auth.role: must not be empty",
        ),
        (
            "/spec/sources/0/kv/path",
            json!(long),
            "spec.sources[0].kv.path: must have at most 512 characters, not 700",
        ),
        (
            "/spec/sources/0/kv/version",
            json!(-1),
            "spec.sources[0].kv.version: must be at least 0",
        ),
        (
            "/spec/refresh",
            json!({ "jitterPercent": 51 }),
            "spec.refresh.jitterPercent: must be at most 50",
        ),
        (
            "/spec/sources",
            json!([]),
            "spec.sources: must not be empty",
        ),
        (
            "/spec/destination",
            json!({ "labels": { "team": true } }),
            "spec.destination.labels.team: must be text, not true or false; put it in quotes",
        ),
        ("/spec", json!(null), "spec: is missing; set it"),
        (
            "/sepc",
            json!({}),
            "sepc is no field of a VaultSecret; correct or remove it",
        ),
        (
            "/metadata/lables",
            json!({}),
            "metadata.lables is no field of a VaultSecret; correct or remove it",
        ),
        (
            "/metadata/name",
            json!("Orders"),
            "metadata.name: must be the name of an object: lower-case letters, digits and '-', starting and ending with a letter or digit",
        ),
        (
            "/metadata/labels",
            json!({ "a": 1 }),
            "metadata.labels[a]: must be text, not a number; put it in quotes",
        ),
    ] {
        let found = problems(|object| {
            let (parent, name) = at.rsplit_once('/').unwrap();
            object.pointer_mut(parent).unwrap()[name] = value;
        });
        assert_eq!(found, [told]);
    }
    let twice = problems(|object| {
        let first = object["spec"]["sources"][0].clone();
        object["spec"]["sources"] = json!([first.clone(), first]);
    });
    assert_eq!(
        twice,
        ["spec.sources[1]: is there twice: no two may have the same name"]
    );
}

#[test]
fn a_rule_that_does_not_hold_is_told_in_its_own_words_with_its_field() {
    let found = problems(|object| {
        object["spec"]["destination"] =
            json!({ "immutable": true, "creationPolicy": "Merge", "adoptionPolicy": "Adopt" });
    });
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("spec.destination: immutable goes with creationPolicy: Create"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("spec.destination: adoptionPolicy: Adopt takes over whole Secrets"),
        "{found:?}"
    );
}

#[test]
fn rules_that_compare_with_what_was_are_left_to_the_api_server() {
    let schema = json!({ "x-kubernetes-validations": [{ "rule": "self == oldSelf", "message": "stays" }, { "rule": "self != ''", "message": "is there" }] });
    assert_eq!(
        rules::of(&schema).collect::<Vec<_>>(),
        [("self != ''", "is there")]
    );
}
