//! The API: what cannot be is refused by the API server itself, with the field and the fix; what is left out has the
//! documented value; and people and tools find the kinds where they look for them.

mod refusals;

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use vaultbridge::api::crd;
use vaultbridge_e2e::tenant::conditions;
use vaultbridge_e2e::{Tenant, objects, run};

/// The least that a person writes.
const SMALL: &str = "
kind: VaultSecret
metadata: { name: orders }
spec:
  auth: { role: orders }
  sources:
  - name: app
    kv: { path: secret/shop/orders }
";

/// The least that an administrator writes.
const CONNECTION: &str = "
kind: VaultConnection
metadata: { name: $tenant }
spec: { address: https://vault.example.com:8200 }
";

#[test]
fn what_is_left_out_has_the_documented_value_and_the_stored_object_stays_small() -> Result<()> {
    run(async |t| {
        let answer = t.dry_run(SMALL).await?;
        assert_eq!(answer.warnings, Vec::<String>::new());
        let expected = json!({
            "auth": { "role": "orders", "serviceAccountName": "default" },
            "sources": [{ "name": "app", "kv": { "path": "secret/shop/orders", "engineVersion": "Auto" } }],
            "conflictPolicy": "Error",
        });
        assert_eq!(answer.body["spec"], expected);
        let answer = t.dry_run(CONNECTION).await?;
        assert_eq!(answer.warnings, Vec::<String>::new());
        let expected = json!({ "address": "https://vault.example.com:8200", "timeout": "30s", "maxConcurrentRequests": 64 });
        assert_eq!(answer.body["spec"], expected);
        let opened = SMALL.replace(
            "spec:",
            "spec:\n  refresh: {}\n  destination: {}\n  connectionRef: {}",
        );
        let spec = &t.dry_run(&opened).await?.body["spec"];
        assert_eq!(
            spec["refresh"],
            json!({ "interval": "10m", "jitterPercent": 10, "renewAtPercent": 67 })
        );
        assert_eq!(
            spec["destination"],
            json!({ "type": "Opaque", "creationPolicy": "Create", "adoptionPolicy": "Refuse", "deletionPolicy": "Delete", "missingSourcePolicy": "Retain" })
        );
        assert_eq!(spec["connectionRef"], json!({ "name": "default" }));
        let opened =
            CONNECTION.replace("8200", "8200, auth: {}, tls: { caBundleRef: { name: ca } }");
        let spec = &t.dry_run(&opened).await?.body["spec"];
        assert_eq!(
            spec["auth"],
            json!({ "method": "Kubernetes", "audiences": ["vault"] })
        );
        assert_eq!(
            spec["tls"]["caBundleRef"],
            json!({ "name": "ca", "kind": "ConfigMap", "key": "ca.crt" })
        );
        Ok(())
    })
}

#[test]
fn the_api_server_takes_the_definitions_without_a_warning() -> Result<()> {
    run(async |t| {
        for crd in crd::all()? {
            // Under another group, so that it is new to the server.
            let text =
                serde_json::to_string(&crd)?.replace("vaultbridge.dev", "dry-run.vaultbridge.dev");
            let answer = t.dry_run(&text).await?;
            assert_eq!(
                (answer.code, answer.warnings.len()),
                (201, 0),
                "{:?} {}",
                answer.warnings,
                answer.message()
            );
            let problems = &answer.body["status"]["conditions"];
            assert!(
                !problems.to_string().contains("NonStructuralSchema"),
                "{problems}"
            );
        }
        Ok(())
    })
}

#[test]
fn every_field_is_explained_and_everything_a_person_writes_is_bounded() -> Result<()> {
    let mut missing = Vec::new();
    for crd in crd::all()? {
        let crd = serde_json::to_value(crd)?;
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap_or_default();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        for part in ["spec", "status"] {
            walk(
                &format!("{kind}.{part}"),
                &schema[part],
                part == "spec",
                &mut missing,
            );
        }
    }
    ensure!(missing.is_empty(), "{}", missing.join("\n"));
    Ok(())
}

/// Notes what the schema of a field and of those below it leaves unsaid.
fn walk(field: &str, schema: &Value, bounded: bool, missing: &mut Vec<String>) {
    let lacks = |word: &str| schema[word].is_null();
    let (bound, is_bounded) = match schema["type"].as_str() {
        Some("string") => (
            "maxLength",
            !lacks("maxLength") || !lacks("enum") || !lacks("format"),
        ),
        Some("array") => ("maxItems", !lacks("maxItems")),
        Some("object") => (
            "maxProperties",
            !lacks("properties") || !lacks("maxProperties"),
        ),
        Some("integer") => (
            "minimum and maximum",
            !lacks("minimum") && !lacks("maximum"),
        ),
        Some("boolean") => ("", true),
        other => ("a type that we know", {
            missing.push(format!("{field} is of type {other:?}"));
            true
        }),
    };
    if bounded && !is_bounded {
        missing.push(format!("{field} has no {bound}"));
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    for (name, property) in properties {
        let field = format!("{field}.{name}");
        if property["description"].as_str().is_none_or(str::is_empty) {
            missing.push(format!("{field} has no description"));
        }
        walk(&field, property, bounded, missing);
    }
    for (inner, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if !lacks(inner) {
            walk(&format!("{field}{mark}"), &schema[inner], bounded, missing);
        }
    }
}

/// What `kubectl` prints.
fn kubectl(t: &Tenant, args: &[&str]) -> Result<String> {
    let output = Command::new(t.ground().components().program("kubectl")?)
        .arg("--kubeconfig")
        .arg(t.ground().control_plane().kubeconfig())
        .args(["--namespace", t.name()])
        .args(args)
        .output()
        .context("run kubectl")?;
    ensure!(
        output.status.success(),
        "kubectl {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn kubectl_knows_short_names_category_columns_and_explanations() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "for the columns" }))
            .await?;
        t.apply("{ kind: VaultSecret, metadata: { name: app }, spec: { auth: { role: $tenant }, sources: [{ name: app, kv: { path: $tenant/app } }] } }").await?;
        t.ready("app").await?;
        let words = |text: String| -> Vec<Vec<String>> {
            text.lines()
                .map(|line| line.split_whitespace().map(str::to_owned).collect())
                .collect()
        };
        let table = words(kubectl(t, &["get", "vsec"])?);
        assert_eq!(
            table[0],
            ["NAME", "READY", "REASON", "SECRET", "EXPIRES", "AGE"],
            "{table:?}"
        );
        assert_eq!(table[1][..4], ["app", "True", "Synced", "app"], "{table:?}");
        let wide = words(kubectl(t, &["get", "vaultbridge", "-o", "wide"])?);
        assert!(
            wide.iter().any(|line| line[..]
                == [
                    "NAME", "READY", "REASON", "SECRET", "EXPIRES", "AGE", "ROLE", "REVISION",
                    "NEXT"
                ]),
            "{wide:?}"
        );
        assert!(
            wide.iter()
                .any(|line| line[0].contains("vaultconnection") && line[0].ends_with("/default")),
            "{wide:?}"
        );
        let table = words(kubectl(t, &["get", "vconn", "default"])?);
        assert_eq!(
            table[0],
            ["NAME", "READY", "REASON", "ADDRESS", "VERSION", "AGE"],
            "{table:?}"
        );
        assert_eq!(
            table[1][..4],
            ["default", "True", "Connected", t.vault().address()],
            "{table:?}"
        );
        let text = kubectl(t, &["explain", "vsec.spec.refresh.interval"])?;
        assert!(text.contains("How often to read, such as"), "{text}");
        let text = kubectl(
            t,
            &["wait", "--for=condition=Ready", "vsec/app", "--timeout=5s"],
        )?;
        assert!(text.contains("condition met"), "{text}");
        Ok(())
    })
}

#[test]
fn conditions_tell_of_the_spec_as_it_is_now() -> Result<()> {
    run(async |t| {
        let object = "{ kind: VaultSecret, metadata: { name: app }, spec: { auth: { role: $tenant }, sources: [{ name: app, kv: { path: $tenant/app } }] } }";
        t.put("app", json!({ "password": "for the conditions" }))
            .await?;
        t.apply(object).await?;
        let good = t.ready("app").await?;
        t.apply(&object.replace("role: $tenant", "role: nobody"))
            .await?;
        t.complains("app", "LoginFailed").await?;
        let bad = t
            .get("VaultSecret", "app")
            .await?
            .context("find the object")?;
        for (object, generation) in [(&good, 1), (&bad, 2)] {
            assert_eq!(
                object["status"]["observedGeneration"], generation,
                "{object:#}"
            );
            let types: Vec<&Value> = conditions(object).iter().map(|one| &one["type"]).collect();
            assert_eq!(types, ["Ready", "Authenticated", "Synced"], "{object:#}");
            for one in conditions(object) {
                assert_eq!(one["observedGeneration"], generation, "{one}");
                let texts = ["status", "reason", "message", "lastTransitionTime"]
                    .map(|field| one[field].as_str());
                assert!(
                    texts
                        .iter()
                        .all(|text| text.is_some_and(|text| !text.is_empty())),
                    "{one}"
                );
            }
        }
        Ok(())
    })
}

#[test]
fn what_the_schema_lets_through_ends_in_an_invalid_spec_that_names_field_and_fix() -> Result<()> {
    run(async |t| {
        // Unicode has more control characters than ASCII. The schema's rules do not know of them; the operator does.
        for (name, field, mount, path) in [
            ("path", "path", t.name(), "a\u{9f}b"),
            ("mount", "mount", "a\u{9f}b", "b"),
        ] {
            let kv = json!({ "mount": mount, "path": path });
            let object = json!({
                "apiVersion": "vaultbridge.dev/v1alpha1", "kind": "VaultSecret",
                "metadata": { "name": name, "namespace": t.name() },
                "spec": { "auth": { "role": t.name() }, "sources": [{ "name": "app", "kv": kv }] },
            });
            objects::create(t.ground().control_plane().client(), &object).await?;
            let message = t.complains(name, "InvalidSpec").await?;
            let expected = format!(
                r"spec.sources[app].kv.{field} must not contain %, ?, #, \ or control characters; write the path as it is, unescaped"
            );
            assert_eq!(message, expected);
        }
        let asked = t
            .vault()
            .audit()
            .since(vaultbridge_e2e::audit::Place::START)?
            .only(|request| request.path.contains(t.name()));
        assert!(asked.is_empty(), "Vault was asked: {asked}");
        t.put("b", json!({ "password": "after the fix" })).await?;
        let good = json!([{ "name": "app", "kv": { "mount": t.name(), "path": "b" } }]);
        t.patch(
            "VaultSecret",
            "path",
            &json!({ "spec": { "sources": good } }),
        )
        .await?;
        t.secret_with("path", "password", "after the fix").await?;
        Ok(())
    })
}
