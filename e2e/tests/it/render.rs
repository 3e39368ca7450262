//! `vaultbridge render` makes of files what the operator makes in a cluster, and says by its exit code whether that works.

mod broken;
mod folders;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vaultbridge_e2e::certificates::Authority;
use vaultbridge_e2e::operator::project;
use vaultbridge_e2e::program::{Ending, call};
use vaultbridge_e2e::{Tenant, objects, run, says};

/// A folder of this test's own.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("vaultbridge-render-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn put(&self, name: &str, text: &str) -> Result<String> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// No environment.
const NOTHING: &[(&str, &str)] = &[];

fn example(name: &str) -> String {
    let path = project()
        .join("deploy/examples")
        .join(format!("{name}.yaml"));
    path.display().to_string()
}

fn object(spec: &str) -> String {
    let spec = spec.replace('\n', "\n  ");
    format!(
        "apiVersion: vaultbridge.dev/v1alpha1\nkind: VaultSecret\nmetadata: {{ name: orders, namespace: shop }}\nspec:\n  auth: {{ role: orders }}\n  {spec}\n"
    )
}

/// Sources `app` and `extra`, the second of which may be absent.
const SOURCES: &str = "sources: [{ name: app, kv: { path: secret/app } }, { name: extra, optional: true, kv: { path: secret/extra } }]";

async fn render(files: &Files, spec: &str, values: &Value, more: &[&str]) -> Result<Ending> {
    let file = files.put("object.yaml", &object(spec))?;
    let values = files.put("values.json", &values.to_string())?;
    let args = ["render", "--file", &file, "--values", &values];
    call(&[&args, more].concat(), NOTHING).await
}

/// The same, of what the tenant's server has.
async fn from_vault(t: &Tenant, files: &Files, spec: &str) -> Result<Ending> {
    let file = files.put("object.yaml", &object(spec))?;
    let environment = [
        ("VAULT_ADDR", t.vault().address().to_owned()),
        ("VAULT_TOKEN", t.vault().root_token().to_owned()),
        ("VAULT_CACERT", files.put("ca.pem", &t.vault().ca())?),
    ];
    let args = [
        "render",
        "-f",
        &file,
        "--from-vault",
        "--show-values",
        "-o",
        "json",
        "--allow-plain-http",
    ];
    call(&args, &environment).await
}

/// The values that were printed, in the form of a Secret.
fn data_of(ending: &Ending) -> Result<Value> {
    let rendered: Value = serde_json::from_str(&ending.output).context("read the output")?;
    let texts = rendered["stringData"].as_object().into_iter().flatten();
    let encoded = texts.map(|(key, text)| {
        let text = text.as_str().unwrap_or_default();
        (key.clone(), STANDARD.encode(text).into())
    });
    Ok(Value::Object(encoded.collect()))
}

#[test]
fn a_preview_shows_no_value_unless_it_is_asked_to_and_can_then_be_applied() -> Result<()> {
    run(async |t| {
        let files = Files::new("shown")?;
        let spec = format!(
            "{SOURCES}\ndestination: {{ labels: {{ team: orders }} }}\ndata:\n- {{ key: PASSWORD, source: app, field: password }}\n- key: URL\n  template: 'pg://{{{{ .app.password | urlquery }}}}@db'"
        );
        let values = json!({ "app": { "password": "s3cret stuff" } });
        let redacted = render(&files, &spec, &values, &[]).await?;
        assert_eq!(redacted.code, Some(0), "{redacted:?}");
        says(
            &redacted.output,
            &["PASSWORD: (12 bytes)", "URL: (20 bytes)"],
        )?;
        assert!(!redacted.output.contains("s3cret"), "{redacted:?}");
        let told = t.refusal(&redacted.output).await?;
        says(&told, &["illegal base64"])?;

        let shown = render(&files, &spec, &values, &["--show-values"]).await?;
        let applied = shown.output.replace("  namespace: shop\n", "");
        t.apply(&applied).await?;
        let secret = t.secret("orders").await?;
        assert_eq!(secret.text("PASSWORD")?, "s3cret stuff");
        assert_eq!(secret.text("URL")?, "pg://s3cret+stuff@db");
        Ok(())
    })
}

#[test]
fn the_exit_code_tells_an_object_that_cannot_be_from_files_that_cannot_be_read() -> Result<()> {
    run(async |_| {
        let files = Files::new("codes")?;
        let values = json!({ "app": { "password": "s3cret stuff" } });
        let data = |entry: &str| format!("{SOURCES}\ndata: [{entry}]");
        for (spec, code, words) in [
            (
                data("{ key: A, source: app, field: pasword }"),
                1,
                vec!["shop/orders: FieldNotFound", "pasword", "password"],
            ),
            (
                data("{ key: A, template: '{{ .app.password | uper }}' }"),
                1,
                vec!["InvalidSpec", "line 1, column 20", "upper"],
            ),
            (
                data("{ key: A, template: '{{ .app.pasword }}' }"),
                1,
                vec!["TemplateFailed", "line 1, column 4"],
            ),
            (
                data("{ key: A, source: app, feild: password }"),
                1,
                vec!["InvalidSpec", "spec.data[0].feild is no field"],
            ),
            (
                format!("{SOURCES}\ndestination: {{ type: kubernetes.io/tls }}"),
                1,
                vec!["tls.crt"],
            ),
            (
                data("{ key: A, templateFrom: { configMapKeyRef: { name: texts, key: a } } }"),
                1,
                vec!["InvalidSpec", "ConfigMap texts"],
            ),
            (
                format!("{SOURCES}\nnonsense: 1"),
                1,
                vec!["spec.nonsense is no field"],
            ),
            (
                "sources: 7".to_owned(),
                1,
                vec!["spec.sources: must be a list, not a number"],
            ),
            (
                format!(
                    "{SOURCES}\ndestination: {{ immutable: true, creationPolicy: Merge, adoptionPolicy: Adopt }}"
                ),
                1,
                vec![
                    "shop/orders: InvalidSpec: spec.destination: immutable goes with creationPolicy: Create",
                    "shop/orders: InvalidSpec: spec.destination: adoptionPolicy: Adopt takes over whole Secrets",
                ],
            ),
        ] {
            let ending = render(&files, &spec, &values, &[]).await?;
            assert_eq!(ending.code, Some(code), "{spec}\n{ending:?}");
            says(&ending.output, &words).with_context(|| spec.clone())?;
            assert!(!ending.output.contains("s3cret"), "{ending:?}");
        }
        let nothing = render(&files, SOURCES, &json!({}), &[]).await?;
        assert_eq!(nothing.code, Some(2), "{nothing:?}");
        says(
            &nothing.output,
            &["source app has no value", "--values", "--from-vault"],
        )?;
        let typo = render(&files, SOURCES, &json!({ "app": {}, "exrta": {} }), &[]).await?;
        assert_eq!(typo.code, Some(2), "{typo:?}");
        says(&typo.output, &["exrta", "they have app, extra"])?;
        let gone = call(&["render", "-f", "/nowhere/at-all.yaml"], NOTHING).await?;
        assert_eq!(gone.code, Some(2), "{gone:?}");
        says(&gone.output, &["/nowhere/at-all.yaml", "No such file"])?;
        let unknown = render(&files, SOURCES, &values, &["nobody"]).await?;
        assert_eq!(unknown.code, Some(2), "{unknown:?}");
        says(&unknown.output, &["there is no VaultSecret nobody"])
    })
}

#[test]
fn null_is_a_source_that_is_absent_and_each_object_of_the_files_is_told_of() -> Result<()> {
    run(async |_| {
        let files = Files::new("absent")?;
        let values = json!({ "app": { "password": "s3cret stuff" }, "extra": null });
        let one = render(&files, SOURCES, &values, &[]).await?;
        assert_eq!(one.code, Some(0), "{one:?}");
        let none = render(&files, SOURCES, &json!({ "app": null }), &[]).await?;
        assert_eq!(none.code, Some(1), "{none:?}");
        says(&none.output, &["PathNotFound", "source app"])?;

        let both = format!(
            "{}---\n{}",
            object(SOURCES),
            object(&format!(
                "{SOURCES}\ndata: [{{ key: A, source: app, field: none }}]"
            ))
            .replace("name: orders", "name: broken")
        );
        let both = files.put("both.yaml", &both)?;
        let values = files.put("values.json", &values.to_string())?;
        let ending = call(
            &["render", "-f", &both, "--values", &values, "-o", "json"],
            NOTHING,
        )
        .await?;
        assert_eq!(ending.code, Some(1), "{ending:?}");
        says(
            &ending.output,
            &[r#""name":"orders""#, "shop/broken: FieldNotFound"],
        )
    })
}

#[test]
fn what_it_reads_from_vault_with_ones_own_token_is_what_the_operator_writes() -> Result<()> {
    run(async |t| {
        let orders = json!({ "username": "orders", "password": "correct horse", "number": 1e2, "nested": { "a": [1, null] } });
        t.put("app", orders).await?;
        let spec = format!(
            "sources: [{{ name: app, kv: {{ path: {}/app }} }}]\ndataFrom: [{{ source: app }}]\ndata:\n- key: URL\n  template: 'pg://{{{{ .app.username }}}}:{{{{ .app.password | urlquery }}}}@db'",
            t.name()
        );
        t.carry("orders", &spec).await?;
        t.ready("orders").await?;
        let secret = t
            .get("Secret", "orders")
            .await?
            .context("find the Secret")?;

        let files = Files::new("vault")?;
        let file = files.put("object.yaml", &object(&spec))?;
        let ca = files.put("ca.pem", &t.vault().ca())?;
        let environment = [
            ("VAULT_ADDR", t.vault().address().to_owned()),
            ("VAULT_TOKEN", t.vault().root_token().to_owned()),
            ("VAULT_CACERT", ca),
        ];
        let mut args = vec![
            "render",
            "-f",
            &file,
            "--from-vault",
            "--show-values",
            "-o",
            "json",
        ];
        if t.vault().address().starts_with("http:") {
            let refused = call(&args, &environment).await?;
            assert_eq!(refused.code, Some(2), "{refused:?}");
            says(&refused.output, &["plain http", "--allow-plain-http"])?;
            args.push("--allow-plain-http");
        }
        let ending = call(&args, &environment).await?;
        assert_eq!(ending.code, Some(0), "{}", ending.output);
        assert_eq!(data_of(&ending)?, secret["data"]);

        let missing = files.put("object.yaml", &object(&spec.replace("/app }", "/none }")))?;
        args[2] = &missing;
        let ending = call(&args, &environment).await?;
        assert_eq!(ending.code, Some(1), "{ending:?}");
        says(&ending.output, &["PathNotFound", "does not exist in Vault"])?;
        let denied = [
            environment[0].clone(),
            ("VAULT_TOKEN", "nobody's".to_owned()),
            environment[2].clone(),
        ];
        let ending = call(&args, &denied).await?;
        assert_eq!(ending.code, Some(2), "{ending:?}");
        says(&ending.output, &["source app: read ", "permission denied"])
    })
}

#[test]
fn nothing_is_issued_for_a_preview() -> Result<()> {
    run(async |t| {
        let files = Files::new("issued")?;
        let spec = "sources: [{ name: db, read: { path: database/creds/orders } }]";
        let file = files.put("object.yaml", &object(spec))?;
        let environment = [
            ("VAULT_ADDR", t.vault().address().to_owned()),
            ("VAULT_TOKEN", t.vault().root_token().to_owned()),
        ];
        let args = ["render", "-f", &file, "--from-vault", "--allow-plain-http"];
        let ending = call(&args, &environment).await?;
        assert_eq!(ending.code, Some(2), "{ending:?}");
        says(
            &ending.output,
            &["source db is issued by Vault", "--values"],
        )
    })
}

#[test]
fn every_example_becomes_a_secret_without_a_cluster() -> Result<()> {
    run(async |_| {
        let pair = Authority::new("shop")?.server(&["orders.shop"])?;
        let fields = json!({
            "username": "orders", "password": "correct horse", "color": "green", "secret_id": "id", "database": { "hosts": ["pg-0.shop"] },
            "certificate": pair.certificate, "private_key": pair.key, "key": pair.key, "issuing_ca": pair.certificate, "chain": pair.certificate,
            "token": "hvs.a", "flag": "on", "keystore": "AAEC", "jwk_secret": "AAEC", "db.host": "pg", "host": "mail.shop",
        });
        let values = |source: &Value| match &source["kvFolder"] {
            Value::Null => fields.clone(),
            _ => json!({ "db/main": fields, "smtp": fields }),
        };
        let files = Files::new("examples")?;
        let mut seen = 0;
        for entry in fs::read_dir(project().join("deploy/examples"))? {
            let path = entry?.path();
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let objects = objects::read(&path)?;
            let sources = objects
                .iter()
                .filter(|object| object["kind"] == "VaultSecret");
            let sources: Vec<&Value> = sources
                .filter_map(|object| object["spec"]["sources"].as_array())
                .flatten()
                .collect();
            if sources.is_empty() {
                continue;
            }
            let members = sources.iter().map(|source| {
                (
                    source["name"].as_str().unwrap_or_default().to_owned(),
                    values(source),
                )
            });
            let mut members: serde_json::Map<String, Value> = members.collect();
            if name == "folder-flatten" {
                members["parts"] = json!({ "db": { "password": "a" }, "smtp": { "host": "b" } });
            }
            let values = files.put("values.json", &Value::Object(members).to_string())?;
            let ending = call(
                &["render", "-f", &example(&name), "--values", &values],
                NOTHING,
            )
            .await?;
            ensure!(ending.code == Some(0), "the example {name}: {ending:?}");
            seen += 1;
        }
        ensure!(seen > 25, "only {seen} examples were seen");
        Ok(())
    })
}
