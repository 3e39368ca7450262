//! The examples of what fewer people need.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use vaultbridge_e2e::audit::Place;
use vaultbridge_e2e::vault_server::{DatabaseRole, Listener};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{READ, Tenant, objects, run};

use super::{becomes, example, secret_id_path, store};

/// Applies all objects of an example.
async fn apply(t: &Tenant, name: &str) -> Result<()> {
    let client = t.ground().control_plane().client();
    for one in example(t, name)? {
        objects::apply(client, &one).await?;
    }
    Ok(())
}

#[test]
fn the_example_of_a_flat_folder_becomes_a_secret() -> Result<()> {
    run(async |t| {
        t.put("shop/parts/db", json!({ "password": "part of a folder" }))
            .await?;
        t.put("shop/parts/smtp", json!({ "host": "smtp.shop" }))
            .await?;
        t.put("shop/parts/other", json!({ "host": "mx-9.shop" }))
            .await?;
        t.policy(&[
            ("$tenant/data/shop/*", READ),
            ("$tenant/metadata/shop/*", &["list"]),
        ])
        .await?;
        let wanted = [("host", "smtp.shop"), ("password", "part of a folder")];
        becomes(t, "folder-flatten", "orders-flat", &wanted).await
    })
}

#[test]
fn the_examples_of_other_delimiters_and_of_other_operators_become_secrets() -> Result<()> {
    run(async |t| {
        store(t).await?;
        let url = "postgres://orders:correct+horse@db.shop/orders";
        becomes(
            t,
            "template-delimiters",
            "orders-charted",
            &[("DATABASE_URL", url)],
        )
        .await?;
        let both = [("DATABASE_URL", url), ("SMTP_PASSWORD", "battery staple")];
        becomes(t, "from-external-secrets", "orders-config", &both).await?;
        let fields = [
            ("login", "orders:correct horse"),
            ("password", "correct horse"),
            ("username", "orders"),
        ];
        becomes(t, "from-vault-secrets-operator", "orders-from-vso", &fields).await?;
        let file = [("config", "user=orders\npassword=correct horse\n")];
        becomes(t, "from-vault-agent", "orders-from-agent", &file).await
    })
}

#[test]
fn the_example_of_a_missing_source_loses_the_keys_of_that_source_alone() -> Result<()> {
    run(async |t| {
        store(t).await?;
        t.put("shop/beta", json!({ "flag": "switched on" })).await?;
        let both = [
            ("BETA_FLAG", "switched on"),
            ("DB_PASSWORD", "correct horse"),
        ];
        becomes(t, "missing-source", "orders-pruned", &both).await?;
        t.forget("shop/beta").await?;
        let sync = json!({ "metadata": { "annotations": { "vaultbridge.dev/force-sync": "1" } } });
        t.patch("VaultSecret", "orders-pruned", &sync).await?;
        until("the key to go", SOON, async || {
            let secret = t.secret("orders-pruned").await?;
            Ok((secret.keys() == ["DB_PASSWORD"]).then_some(()))
        })
        .await
    })
}

#[test]
fn the_example_of_a_wrapped_secret_id_unwraps_to_one_that_logs_in() -> Result<()> {
    run(async |t| {
        assert_eq!(t.approle("ci").await?, secret_id_path(t));
        apply(t, "wrapped").await?;
        t.ready("orders-wrapped").await?;
        let token = t.secret("orders-wrapped").await?.text("WRAPPING_TOKEN")?;
        let path = "sys/wrapping/unwrap";
        let answer = t
            .vault()
            .api_as(&token, Method::POST, path, &Value::Null)
            .await?;
        let secret_id = answer["data"]["secret_id"].as_str().unwrap_or_default();
        t.approle_logs_in("ci", secret_id).await
    })
}

#[test]
fn the_example_of_a_request_for_a_certificate_has_no_private_key() -> Result<()> {
    run(async |t| {
        t.authority("shop").await?;
        apply(t, "certificate-csr").await?;
        t.ready("orders-signed").await?;
        let secret = t.secret("orders-signed").await?;
        assert_eq!(secret.keys(), ["ca.crt", "tls.crt"]);
        ensure!(
            secret
                .text("tls.crt")?
                .starts_with("-----BEGIN CERTIFICATE-----")
        );
        Ok(())
    })
}

#[test]
fn the_example_of_a_vault_namespace_reads_there() -> Result<()> {
    run(async |t| {
        if !t.vault().has_namespaces() {
            return Ok(());
        }
        let (vault, team) = (t.vault(), format!("team-a-{}", t.name()));
        let subject = format!("system:serviceaccount:{}:default", t.name());
        vault.create_namespace(&team).await?;
        vault
            .admit_in_namespace(
                &team,
                t.ground().control_plane(),
                &subject,
                ("kv/*", &["read"]),
            )
            .await?;
        let engine = json!({ "type": "kv", "options": { "version": "1" } });
        vault
            .write(&format!("{team}/sys/mounts/kv"), &engine)
            .await?;
        let fields = json!({ "password": "of a team" });
        vault.write(&format!("{team}/kv/app"), &fields).await?;
        let client = t.ground().control_plane().client();
        for mut one in example(t, "vault-namespace")? {
            one["spec"]["auth"]["role"] = "app".into();
            one["spec"]["vaultNamespace"] = team.clone().into();
            one["spec"]["sources"][0]["kv"] = json!({ "path": "kv/app" });
            objects::apply(client, &one).await?;
        }
        t.secret_with("orders-team", "password", "of a team")
            .await?;
        Ok(())
    })
}

#[test]
fn the_example_of_a_suspended_object_begins_when_it_is_resumed() -> Result<()> {
    run(async |t| {
        store(t).await?;
        apply(t, "suspend").await?;
        t.reports("orders-paused", "Synced", "False", "Suspended")
            .await?;
        ensure!(t.get("Secret", "orders-paused").await?.is_none());
        let resume = json!({ "spec": { "suspend": false } });
        t.patch("VaultSecret", "orders-paused", &resume).await?;
        t.secret_with("orders-paused", "password", "correct horse")
            .await?;
        Ok(())
    })
}

#[test]
fn the_example_of_a_lease_becomes_a_user_that_logs_in() -> Result<()> {
    run(async |t| {
        t.database(&DatabaseRole::default()).await?;
        apply(t, "lease").await?;
        t.ready("orders-db-paced").await?;
        let secret = t.secret("orders-db-paced").await?;
        let (user, password) = (secret.text("DB_USER")?, secret.text("DB_PASSWORD")?);
        let postgres = t.ground().postgres().await?;
        postgres.can_log_in(&user, &password).await
    })
}

#[test]
fn the_example_of_a_client_certificate_reaches_a_server_that_wants_one() -> Result<()> {
    run(async |t| {
        let t = t.neighbour(Listener::MutualTls).await?;
        let identity = t.vault().client_identity();
        let pair = [
            ("tls.crt", &*identity.certificate),
            ("tls.key", &*identity.key),
        ];
        t.give_operator("Secret", &pair).await?;
        let mut object = example(&t, "connection-client-certificate")?
            .pop()
            .context("find the connection")?;
        object["metadata"]["name"] = t.name().into();
        object["spec"]["address"] = t.vault().address().into();
        object["spec"]["tls"]["caBundle"] = t.vault().ca().into();
        object["spec"]["tls"]["clientCertificateRef"]["name"] = t.name().into();
        objects::apply(t.ground().control_plane().client(), &object).await?;
        t.connection_is("True", "Connected").await?;
        Ok(())
    })
}

#[test]
fn the_example_of_headers_shows_them_to_the_server() -> Result<()> {
    run(async |t| {
        let header = json!({ "hmac": false });
        let path = "sys/config/auditing/request-headers/X-Team";
        t.vault().write(path, &header).await?;
        t.put("app", json!({ "password": "behind a proxy" }))
            .await?;
        let mut object = example(t, "connection-headers")?
            .pop()
            .context("find the connection")?;
        assert_eq!(object["spec"]["headers"]["X-Team"], "shop");
        object["metadata"]["name"] = t.name().into();
        object["spec"]["address"] = t.vault().address().into();
        object["spec"]["headers"]["X-Team"] = format!("shop-of-{}", t.name()).into();
        objects::apply(t.ground().control_plane().client(), &object).await?;
        t.reader(
            "app",
            "auth: { role: $tenant }, connectionRef: { name: $tenant }",
        )
        .await?;
        t.secret_with("app", "password", "behind a proxy").await?;
        let log = t.vault().audit().log().since(Place::START)?;
        let header = format!(r#""x-team":["shop-of-{}"]"#, t.name());
        ensure!(log.contains(&header), "no request has {header}");
        Ok(())
    })
}
