//! Templates make values of what was read, and one that fails harms nobody.

use anyhow::Result;
use serde_json::json;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::{run, says, source};

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
            ("{{ .app.password | atoi }}", vec!["atoi", "a text"]),
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
