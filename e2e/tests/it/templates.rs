//! Templates make values of what was read, and one that fails harms nobody.

use anyhow::Result;
use serde_json::{Value, json};
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::{Tenant, objects, run, says, source};

use crate::leases::issues;

#[test]
fn a_template_makes_an_address_of_several_sources_and_follows_edits_without_another_user()
-> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        t.put("app", json!({ "host": "pg.shop" })).await?;
        let mark = t.mark().await?;
        let spec = |end: &str| {
            format!(
                "sources: [{{ name: app, kv: {{ path: $tenant/app }} }}, {{ name: db, read: {{ path: {path} }} }}]
data:
- {{ key: DB_USER, source: db, field: username }}
- {{ key: DB_PASSWORD, source: db, field: password }}
- key: DATABASE_URL
  template: 'postgres://{{{{ .db.username | urlquery }}}}:{{{{ .db.password | urlquery }}}}@{{{{ .app.host }}}}/{end}'"
            )
        };
        t.carry("db", &spec("orders")).await?;
        t.ready("db").await?;
        let secret = t.secret("db").await?;
        let user = secret.text("DB_USER")?;
        let url = secret.text("DATABASE_URL")?;
        assert!(
            url.starts_with(&format!("postgres://{user}:")) && url.ends_with("@pg.shop/orders"),
            "the address has the user and the host"
        );
        t.carry("db", &spec("other")).await?;
        let edited = t
            .secret_when("db", "to follow the edit of the template", |secret| {
                secret
                    .text("DATABASE_URL")
                    .is_ok_and(|url| url.ends_with("/other"))
            })
            .await?;
        assert_eq!(edited.text("DB_USER")?, user);
        assert_eq!(issues(t, &mark, &path)?, 1);
        Ok(())
    })
}

#[test]
fn other_delimiters_leave_the_braces_to_helm() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "user": "orders" })).await?;
        let spec = format!(
            "{}\ntemplateDelimiters: ['[[', ']]']\ndata: [{{ key: text, template: '[[ .app.user | upper ]] {{{{ .Values }}}}' }}]",
            source("app")
        );
        t.carry("app", &spec).await?;
        t.ready("app").await?;
        assert_eq!(t.secret("app").await?.text("text")?, "ORDERS {{ .Values }}");
        Ok(())
    })
}

#[test]
fn a_template_that_fails_says_where_and_what_there_is_and_leaves_the_secret_as_it_was() -> Result<()>
{
    run(async |t| {
        t.put(
            "app",
            json!({ "user": "orders", "password": "hunter2-secret" }),
        )
        .await?;
        let spec = |template: &str| {
            format!(
                "{}\ndata: [{{ key: text, template: '{template}' }}]",
                source("app")
            )
        };
        t.carry("app", &spec("{{ .app.user }}")).await?;
        t.ready("app").await?;
        for (template, words) in [
            (
                "a {{ .app.pasword }}",
                vec![
                    r#"key "text""#,
                    "line 1, column 6",
                    r#"no field "pasword""#,
                    r#""password", "user""#,
                ],
            ),
            (
                "{{ .app.password | atoi }}",
                vec!["atoi", "no whole number"],
            ),
            ("{{ range 999999999 }}{{ end }}", vec!["100000 steps"]),
            (
                "{{ range 90000 }}0123456789abcdef{{ end }}",
                vec!["1048576 bytes"],
            ),
        ] {
            t.carry("app", &spec(template)).await?;
            let told = t.complains("app", "TemplateFailed").await?;
            says(&told, &words)?;
            assert!(!told.contains("hunter2"), "{told}");
            assert_eq!(t.secret("app").await?.text("text")?, "orders");
        }
        // Another object goes on meanwhile.
        t.carry("other", &source("app")).await?;
        t.ready("other").await?;
        Ok(())
    })
}

#[test]
fn what_is_no_template_is_refused_before_vault_is_asked() -> Result<()> {
    run(async |t| {
        let mark = t.mark().await?;
        let spec = format!(
            "{}\ndata: [{{ key: text, template: '{{{{ .app.user | b64encode }}}}' }}]",
            source("app")
        );
        t.carry("app", &spec).await?;
        let told = t.complains("app", "InvalidSpec").await?;
        says(&told, &["line 1, column 16", "b64encode", "b64enc"])?;
        assert_eq!(t.vault_requests(&mark)?.len(), 0);
        Ok(())
    })
}

/// A `ConfigMap` with that text, with the label or without.
async fn texts(t: &Tenant, labels: Value, text: &str) -> Result<Value> {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "texts", "namespace": t.name(), "labels": labels },
        "data": { "greeting": text },
    });
    let client = t.ground().control_plane().client();
    Ok(serde_json::to_value(objects::apply(client, &map).await?)?)
}

fn shared(field: &str) -> String {
    format!(
        "{}\ndata:\n- key: text\n  templateFrom: {{ configMapKeyRef: {{ name: texts, key: {field} }} }}",
        source("app")
    )
}

#[test]
fn a_text_of_a_config_map_is_a_template_for_all_who_name_it_and_its_edits_are_followed()
-> Result<()> {
    run(async |t| {
        t.put("app", json!({ "user": "Otto Normal" })).await?;
        let labels = json!({ "vaultbridge.dev/templates": "true" });
        texts(t, labels.clone(), "Dear {{ .app.user }}").await?;
        for name in ["one", "two"] {
            t.carry(name, &shared("greeting")).await?;
            t.ready(name).await?;
            assert_eq!(t.secret(name).await?.text("text")?, "Dear Otto Normal");
        }
        texts(t, labels, "Hail {{ .app.user | upper }}").await?;
        for name in ["one", "two"] {
            t.secret_with(name, "text", "Hail OTTO NORMAL").await?;
            t.ready(name).await?;
        }
        Ok(())
    })
}

#[test]
fn a_text_that_is_missing_or_no_template_is_named_and_the_secret_waits_for_it_as_it_is()
-> Result<()> {
    run(async |t| {
        t.put("app", json!({ "user": "Otto Normal" })).await?;
        let labels = json!({ "vaultbridge.dev/templates": "true" });
        t.carry("app", &shared("greeting")).await?;
        let told = t.complains("app", "InvalidSpec").await?;
        says(
            &told,
            &[
                "spec.data[text].templateFrom",
                "ConfigMap texts",
                "vaultbridge.dev/templates=true",
            ],
        )?;
        texts(t, json!({}), "Dear {{ .app.user }}").await?;
        texts(t, labels.clone(), "Dear {{ .app.user }}").await?;
        t.secret_with("app", "text", "Dear Otto Normal").await?;
        t.ready("app").await?;

        texts(t, labels.clone(), "Dear\n{{ .app.user | uper }}").await?;
        let told = t.complains("app", "InvalidSpec").await?;
        says(
            &told,
            &["ConfigMap texts", "line 2, column", "uper", "upper"],
        )?;
        texts(t, labels.clone(), "Hail {{ .app.user }}").await?;
        t.secret_with("app", "text", "Hail Otto Normal").await?;

        t.carry("app", &shared("farewell")).await?;
        let told = t.complains("app", "InvalidSpec").await?;
        says(&told, &["farewell", "it has greeting"])?;
        t.delete("ConfigMap", "texts").await?;
        t.carry("app", &shared("greeting")).await?;
        t.complains("app", "InvalidSpec").await?;
        assert_eq!(t.secret("app").await?.text("text")?, "Hail Otto Normal");
        Ok(())
    })
}

#[test]
fn an_edit_of_a_shared_text_costs_one_reading_and_no_new_credentials() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let labels = json!({ "vaultbridge.dev/templates": "true" });
        texts(t, labels.clone(), "user {{ .db.username }}").await?;
        let mark = t.mark().await?;
        let spec = format!(
            "sources: [{{ name: db, read: {{ path: {path} }} }}]
data:
- {{ key: DB_USER, source: db, field: username }}
- key: text
  templateFrom: {{ configMapKeyRef: {{ name: texts, key: greeting }} }}"
        );
        t.carry("db", &spec).await?;
        t.ready("db").await?;
        let user = t.secret("db").await?.text("DB_USER")?;
        texts(t, labels, "login {{ .db.username }}").await?;
        t.secret_with("db", "text", &format!("login {user}"))
            .await?;
        assert_eq!(issues(t, &mark, &path)?, 1);
        Ok(())
    })
}
