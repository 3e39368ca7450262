//! The examples in `deploy/examples` work: the API server accepts each, and what they promise comes about.

mod rarer;

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use vaultbridge_e2e::certificates::Authority;
use vaultbridge_e2e::ground::JWT_AUTH;
use vaultbridge_e2e::operator::{NAMESPACE, project};
use vaultbridge_e2e::vault_server::{DatabaseRole, Listener, Role};
use vaultbridge_e2e::{Tenant, objects, run, says};

fn folder() -> PathBuf {
    project().join("deploy/examples")
}

/// The objects of one example, moved from the namespace `shop`, the role `orders` and the mounts of the text to those of the tenant.
fn example(t: &Tenant, name: &str) -> Result<Vec<Value>> {
    let mut objects = objects::read(&folder().join(format!("{name}.yaml")))?;
    for object in &mut objects {
        if object["metadata"]["namespace"] == "shop" {
            object["metadata"]["namespace"] = t.name().into();
        }
        if object["kind"] == "VaultSecret" {
            object["spec"]["auth"]["role"] = t.name().into();
            for source in object["spec"]["sources"]
                .as_array_mut()
                .into_iter()
                .flatten()
            {
                if source["read"].is_object() {
                    let mount = t.database_mount();
                    source["read"]["path"] = match name {
                        "static-user" => format!("{mount}/static-creds/batch").into(),
                        _ => format!("{mount}/creds/app").into(),
                    };
                    continue;
                }
                if source["pki"].is_object() {
                    source["pki"]["mount"] = format!("{}-pki", t.name()).into();
                    continue;
                }
                if source["write"].is_object() {
                    source["write"]["path"] = secret_id_path(t).into();
                    continue;
                }
                let member = ["kv", "kvFolder"]
                    .into_iter()
                    .find(|name| source[*name].is_object());
                let kv = &mut source[member.unwrap_or("kv")];
                let path = kv["path"].as_str().unwrap_or_default();
                match path.strip_prefix("secret/") {
                    Some(below) => kv["path"] = format!("{}/{below}", t.name()).into(),
                    None if kv["mount"] == "secret" => kv["mount"] = t.name().into(),
                    None => kv["mount"] = v1_mount(t).into(),
                }
            }
        }
    }
    Ok(objects)
}

fn secret_id_path(t: &Tenant) -> String {
    format!("auth/{}-approle/role/ci/secret-id", t.name())
}

fn v1_mount(t: &Tenant) -> String {
    format!("{}-v1", t.name())
}

/// What the examples read.
async fn store(t: &Tenant) -> Result<()> {
    let orders = json!({
        "username": "orders",
        "password": "correct horse",
        "database": { "hosts": ["pg-0.shop", "pg-1.shop"] },
    });
    t.put("shop/orders", orders).await?;
    t.put("shop/smtp", json!({ "password": "battery staple" }))
        .await?;
    t.put(
        "shop/defaults",
        json!({ "color": "dark green", "username": "nobody at all" }),
    )
    .await?;
    t.put(
        "shop/registry",
        json!({ "username": "robot", "password": "shall not rust" }),
    )
    .await?;
    let all = json!({ "db.host": "pg-0.shop", "db.password": "purple ladder", "smtp.host": "mx-0.shop", "test.note": "not to be copied" });
    t.put("shop/all", all).await?;
    let encoded = json!({ "keystore": "Z3JlZW4ga2\nV0dGxl\n", "jwk_secret": "Ymx1ZcO_" });
    t.put("shop/keystore", encoded).await?;
    Ok(())
}

/// Applies the VaultSecret of an example, waits for the Secret of that name, and compares all its keys and values.
async fn becomes(t: &Tenant, name: &str, secret: &str, wanted: &[(&str, &str)]) -> Result<()> {
    let client = t.ground().control_plane().client();
    let mut object = "";
    let objects = example(t, name)?;
    for one in &objects {
        objects::apply(client, one)
            .await
            .with_context(|| format!("apply the example {name}"))?;
        if one["kind"] == "VaultSecret" {
            object = one["metadata"]["name"].as_str().unwrap_or_default();
        }
    }
    t.ready(object)
        .await
        .with_context(|| format!("the example {name}"))?;
    let secret = t.secret(secret).await?;
    let keys: Vec<&str> = wanted.iter().map(|(key, _)| *key).collect();
    assert_eq!(secret.keys(), keys, "the example {name}");
    for (key, value) in wanted {
        assert_eq!(secret.text(key)?, *value, "key {key} of the example {name}");
    }
    Ok(())
}

#[test]
fn the_example_of_a_database_user_becomes_one_that_logs_in() -> Result<()> {
    run(async |t| {
        t.database(&DatabaseRole::default()).await?;
        let client = t.ground().control_plane().client();
        for one in example(t, "database")? {
            objects::apply(client, &one).await?;
        }
        t.ready("orders-db").await?;
        let secret = t.secret("orders-db").await?;
        let (user, password) = (secret.text("DB_USER")?, secret.text("DB_PASSWORD")?);
        t.ground()
            .postgres()
            .await?
            .can_log_in(&user, &password)
            .await
    })
}

#[test]
fn the_example_of_a_template_becomes_an_address_with_a_user_that_logs_in() -> Result<()> {
    run(async |t| {
        t.database(&DatabaseRole::default()).await?;
        store(t).await?;
        let client = t.ground().control_plane().client();
        for one in example(t, "template")? {
            objects::apply(client, &one).await?;
        }
        t.ready("orders-url").await?;
        let url = t.secret("orders-url").await?.text("DATABASE_URL")?;
        let login = url.strip_prefix("postgres://");
        let login = login.and_then(|rest| rest.strip_suffix("@pg-0.shop/orders"));
        let (user, password) = login
            .and_then(|login| login.split_once(':'))
            .context("the address has no user and password")?;
        t.ground()
            .postgres()
            .await?
            .can_log_in(user, password)
            .await
    })
}

#[test]
fn the_example_of_a_secret_id_becomes_one_that_logs_in() -> Result<()> {
    run(async |t| {
        let path = t.approle("ci").await?;
        assert_eq!(path, secret_id_path(t));
        let client = t.ground().control_plane().client();
        for one in example(t, "approle")? {
            objects::apply(client, &one).await?;
        }
        t.ready("orders-ci").await?;
        let secret_id = t.secret("orders-ci").await?.text("SECRET_ID")?;
        t.approle_logs_in("ci", &secret_id).await
    })
}

#[test]
fn the_example_of_a_static_user_becomes_one_that_logs_in() -> Result<()> {
    run(async |t| {
        t.static_database("batch", "24h").await?;
        let client = t.ground().control_plane().client();
        for one in example(t, "static-user")? {
            objects::apply(client, &one).await?;
        }
        t.ready("orders-batch").await?;
        let secret = t.secret("orders-batch").await?;
        let (user, password) = (secret.text("DB_USER")?, secret.text("DB_PASSWORD")?);
        let postgres = t.ground().postgres().await?;
        postgres.can_log_in(&user, &password).await
    })
}

#[test]
fn the_example_of_a_certificate_becomes_one_for_tls() -> Result<()> {
    run(async |t| {
        let mount = t.authority("shop").await?;
        let role = json!({ "allowed_domains": "shop.svc,orders", "allow_subdomains": true, "allow_bare_domains": true });
        t.vault()
            .write(&format!("{mount}/roles/shop"), &role)
            .await?;
        let client = t.ground().control_plane().client();
        for one in example(t, "certificate")? {
            objects::apply(client, &one).await?;
        }
        t.ready("orders-tls").await?;
        let secret = t.secret("orders-tls").await?;
        assert_eq!(secret.kind(), "kubernetes.io/tls");
        assert_eq!(secret.keys(), ["ca.crt", "tls.crt", "tls.key"]);
        let (chain, authority) = (secret.text("tls.crt")?, secret.text("ca.crt")?);
        ensure!(chain.trim().ends_with(authority.trim()), "{chain}");
        Ok(())
    })
}

#[test]
fn the_example_of_a_certificate_with_a_key_of_its_own_becomes_one_for_tls() -> Result<()> {
    run(async |t| {
        t.authority("shop").await?;
        let client = t.ground().control_plane().client();
        for one in example(t, "certificate-own-key")? {
            objects::apply(client, &one).await?;
        }
        t.ready("orders-tls-own-key").await?;
        let secret = t.secret("orders-tls-own-key").await?;
        assert_eq!(secret.kind(), "kubernetes.io/tls");
        assert_eq!(secret.keys(), ["ca.crt", "tls.crt", "tls.key"]);
        let key = secret.text("tls.key")?;
        ensure!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
        Ok(())
    })
}

#[test]
fn the_api_server_accepts_every_example_without_a_warning() -> Result<()> {
    run(async |t| {
        let mut count = 0;
        for entry in fs::read_dir(folder())? {
            let file = entry?.path();
            let name = file.file_stem().and_then(OsStr::to_str).unwrap_or_default();
            for mut object in example(t, name)? {
                if object["kind"] == "VaultConnection" {
                    object["metadata"]["name"] = t.name().into();
                }
                let answer = t.dry_run(&object.to_string()).await?;
                let accepted = answer.code == 201 && answer.warnings.is_empty();
                ensure!(accepted, "the example {name}: {answer:?}");
                count += 1;
            }
        }
        ensure!(
            count >= 14,
            "only {count} objects were found in {}",
            folder().display()
        );
        Ok(())
    })
}

#[test]
fn the_examples_of_sources_become_secrets() -> Result<()> {
    run(async |t| {
        store(t).await?;
        let nested = r#"{"hosts":["pg-0.shop","pg-1.shop"]}"#;
        let orders = [
            ("database", nested),
            ("password", "correct horse"),
            ("username", "orders"),
        ];
        becomes(t, "minimal", "orders", &orders).await?;
        becomes(t, "refresh", "orders-fresh", &orders).await?;
        becomes(t, "rollout", "orders-restarting", &orders).await?;
        becomes(t, "immutable", "orders-fixed", &orders).await?;
        assert!(t.secret("orders-fixed").await?.is_immutable());
        let missing = t.complains("orders-restarting", "RolloutTargetNotFound");
        says(&missing.await?, &["Deployment orders does not exist"])?;
        becomes(t, "optional-source", "orders-with-overrides", &orders).await?;
        t.put("shop/orders", json!({ "username": "a newer name" }))
            .await?;
        becomes(t, "pinned-version", "orders-pinned", &orders).await?;

        let mount = v1_mount(t);
        t.vault().mount_kv(&mount, 1).await?;
        t.vault()
            .put_v1(
                &mount,
                "shop/orders",
                &json!({ "username": "without versions" }),
            )
            .await?;
        t.policy(&[("$tenant/data/*", &["read"]), ("$tenant-v1/*", &["read"])])
            .await?;
        becomes(t, "kv-v1", "orders-v1", &[("username", "without versions")]).await
    })
}

#[test]
fn the_example_of_a_folder_becomes_a_secret() -> Result<()> {
    run(async |t| {
        let (db, smtp) = (
            json!({ "password": "out of the folder" }),
            json!({ "host": "smtp.internal" }),
        );
        t.put("shop/services/db/main", db.clone()).await?;
        t.put(
            "shop/services/db/old",
            json!({ "password": "long gone by" }),
        )
        .await?;
        t.put("shop/services/smtp", smtp.clone()).await?;
        t.policy(&[
            ("$tenant/data/shop/*", &["read"]),
            ("$tenant/metadata/shop/*", &["list"]),
        ])
        .await?;
        let all = json!({ "db/main": db, "smtp": smtp }).to_string();
        let wanted = [
            ("DB_PASSWORD", "out of the folder"),
            ("SMTP_HOST", "smtp.internal"),
            ("services.json", all.as_str()),
        ];
        becomes(t, "folder", "orders-services", &wanted).await
    })
}

#[test]
fn the_examples_of_mappings_become_secrets() -> Result<()> {
    run(async |t| {
        store(t).await?;
        let whole = r#"{"database":{"hosts":["pg-0.shop","pg-1.shop"]},"password":"correct horse","username":"orders"}"#;
        let mapped = [
            ("DB_HOST", "pg-0.shop"),
            ("DB_PASSWORD", "correct horse"),
            ("DB_PORT", "5432"),
            ("everything.json", whole),
        ];
        let config =
            "spring:\n  datasource:\n    username: \"orders\"\n    password: \"correct horse\"\n";
        let config = [("application.yaml", config)];
        becomes(t, "template-from", "orders-config", &config).await?;
        becomes(t, "data-mapping", "orders-mapped", &mapped).await?;
        let both = [
            ("DB_PASSWORD", "correct horse"),
            ("SMTP_PASSWORD", "battery staple"),
        ];
        becomes(t, "several-sources", "orders-and-smtp", &both).await?;
        let merged = [
            ("color", "dark green"),
            ("database", r#"{"hosts":["pg-0.shop","pg-1.shop"]}"#),
            ("environment", "production"),
            ("password", "correct horse"),
            ("username", "orders"),
        ];
        becomes(t, "data-from", "orders-merged", &merged).await?;
        let renamed = [
            ("DB_HOST", "pg-0.shop"),
            ("DB_PASSWORD", "purple ladder"),
            ("app-smtp.host", "mx-0.shop"),
        ];
        becomes(t, "data-from-rename", "orders-renamed", &renamed).await?;
        let decoded = [
            ("orders.p12", "green kettle"),
            ("signing.key", "blue\u{ff}"),
        ];
        becomes(t, "decode", "orders-keystore", &decoded).await
    })
}

#[test]
fn the_example_of_a_destination_makes_a_typed_secret_that_stays() -> Result<()> {
    run(async |t| {
        store(t).await?;
        let login = [("password", "shall not rust"), ("username", "robot")];
        becomes(t, "destination", "registry", &login).await?;
        let secret = t.secret("registry").await?;
        assert_eq!(secret.kind(), "kubernetes.io/basic-auth");
        let metadata = secret.metadata();
        let labels = metadata.labels.clone().unwrap_or_default();
        assert_eq!(
            labels.get("team").map(String::as_str),
            Some("shop"),
            "{labels:?}"
        );
        assert_eq!(
            metadata.owner_references, None,
            "a Secret that stays has no owner"
        );
        Ok(())
    })
}

#[test]
fn the_examples_of_types_become_secrets_of_these_types() -> Result<()> {
    run(async |t| {
        store(t).await?;
        let pair = Authority::new("shop")?.server(&["orders.shop"])?;
        let fields = json!({ "certificate": pair.certificate, "private_key": pair.key });
        t.put("shop/tls", fields).await?;
        t.put("shop/git", json!({ "key": pair.key })).await?;
        t.put("shop/store", json!({ "password": "sesame seeds" }))
            .await?;
        let both = [("tls.crt", &*pair.certificate), ("tls.key", &*pair.key)];
        becomes(t, "tls", "orders-tls-stored", &both).await?;
        becomes(t, "ssh", "orders-git", &[("ssh-privatekey", &pair.key)]).await?;
        let login = r#"{"auths": {"registry.example.com": {"username": "robot", "password": "shall not rust"}}}"#;
        becomes(
            t,
            "docker-config",
            "orders-pull",
            &[(".dockerconfigjson", login)],
        )
        .await?;
        for one in example(t, "keystore")? {
            objects::apply(t.ground().control_plane().client(), &one).await?;
        }
        t.ready("orders-p12").await?;
        let store = t.secret("orders-p12").await?.bytes("keystore.p12");
        let store = store.context("find the key store")?;
        let begins = store.get(..2).unwrap_or_default();
        assert_eq!(begins, [0x30, 0x82], "it is a sequence of some length");
        for (name, kind) in [
            ("orders-tls-stored", "kubernetes.io/tls"),
            ("orders-git", "kubernetes.io/ssh-auth"),
            ("orders-pull", "kubernetes.io/dockerconfigjson"),
        ] {
            assert_eq!(t.secret(name).await?.kind(), kind);
        }
        Ok(())
    })
}

#[test]
fn the_examples_of_ownership_take_over_share_and_keep_secrets() -> Result<()> {
    run(async |t| {
        store(t).await?;
        for name in ["orders-adopted", "orders-shared"] {
            let theirs = format!(
                "{{ kind: Secret, metadata: {{ name: {name} }}, data: {{ theirs: c3RheXM= }} }}"
            );
            t.apply(&theirs).await?;
        }
        let password = [("password", "correct horse")];
        becomes(t, "adopt", "orders-adopted", &password).await?;
        let shared = [("DB_PASSWORD", "correct horse"), ("theirs", "stays")];
        becomes(t, "merge", "orders-shared", &shared).await?;
        let together = [
            ("DB_PASSWORD", "correct horse"),
            ("SMTP_PASSWORD", "battery staple"),
        ];
        becomes(t, "create-or-merge", "orders-together", &together).await?;
        becomes(t, "retain", "orders-kept", &password).await?;
        t.delete("VaultSecret", "orders-kept").await?;
        t.wait_gone("VaultSecret", "orders-kept").await?;
        assert_eq!(t.secret("orders-kept").await?.keys(), ["password"]);
        Ok(())
    })
}

#[test]
fn the_example_of_a_jwt_login_logs_in() -> Result<()> {
    run(async |t| {
        store(t).await?;
        let role = Role {
            name: t.name(),
            namespace: t.name(),
            account: "orders",
            policies: &[t.name()],
            more: json!({}),
        };
        t.vault().jwt_role(JWT_AUTH, &role).await?;
        let nested = r#"{"hosts":["pg-0.shop","pg-1.shop"]}"#;
        let orders = [
            ("database", nested),
            ("password", "correct horse"),
            ("username", "orders"),
        ];
        becomes(t, "jwt-login", "orders-jwt", &orders).await
    })
}

#[test]
fn the_example_of_an_authority_in_a_config_map_reaches_a_server_with_tls() -> Result<()> {
    run(async |t| {
        let vault = t.ground().another_vault(Listener::Tls).await?;
        let client = t.ground().control_plane().client();
        for mut object in example(t, "connection-ca")? {
            object["metadata"]["name"] = t.name().into();
            if object["kind"] == "ConfigMap" {
                assert_eq!(object["metadata"]["namespace"], NAMESPACE);
                object["data"]["ca.crt"] = vault.ca().into();
            } else {
                object["spec"]["address"] = vault.address().into();
                object["spec"]["tls"]["caBundleRef"]["name"] = t.name().into();
            }
            objects::apply(client, &object).await?;
        }
        let ready = t.wait("VaultConnection", t.name(), "to be ready", |object| {
            let conditions = vaultbridge_e2e::tenant::condition(object, "Ready");
            conditions.is_some_and(|ready| ready["status"] == "True")
        });
        let connection = ready.await?;
        assert_eq!(connection["status"]["sealed"], false, "{connection}");
        Ok(())
    })
}
