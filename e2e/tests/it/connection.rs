//! Connections: who may use one, how the server is trusted and the operator trusted by it; and whatever changes about one reaches
//! those who depend on it, without help.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use vaultbridge_e2e::audit::Place;
use vaultbridge_e2e::certificates::Authority;
use vaultbridge_e2e::operator::Operator;
use vaultbridge_e2e::vault_server::Listener;
use vaultbridge_e2e::{GroundOptions, Tenant, run, run_alone};

/// The members of a spec that uses the connection of the tenant's name.
const BY_OWN: &str = "connectionRef: { name: $tenant }, auth: { role: $tenant }";

/// Fails if a Secret does not hold this password now.
async fn ensure_kept(t: &Tenant, password: &str) -> Result<()> {
    let secret = t.secret_now("app").await?;
    let kept =
        secret.is_some_and(|secret| secret.text("password").is_ok_and(|found| found == password));
    ensure!(kept, "the Secret did not stay as it was");
    Ok(())
}

#[test]
fn an_object_whose_connection_does_not_exist_waits_for_it() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "by a late connection" }))
            .await?;
        t.reader("app", BY_OWN).await?;
        t.complains_with("app", "ConnectionNotFound", &[
                "VaultConnection $tenant does not exist; create it, or correct spec.connectionRef.name",
            ]).await?;
        t.connect(json!({})).await?;
        t.secret_with("app", "password", "by a late connection")
            .await?;
        Ok(())
    })
}

#[test]
fn a_namespace_is_admitted_by_name_as_soon_as_the_list_has_it() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "by name" })).await?;
        t.connect(json!({ "allowedNamespaces": { "names": ["elsewhere"] } }))
            .await?;
        let mark = t.mark().await?;
        t.reader("app", BY_OWN).await?;
        t.complains_with(
            "app",
            "ConnectionNotAllowed",
            &[
                "VaultConnection $tenant does not admit namespace $tenant",
                "can add the namespace, or a label of it, to spec.allowedNamespaces",
            ],
        )
        .await?;
        assert_eq!(
            t.vault_requests(&mark)?.len(),
            0,
            "Vault was asked: {}",
            t.vault_requests(&mark)?
        );
        let tokens = t
            .kube_requests(&mark)
            .await?
            .resource("serviceaccounts/token");
        assert_eq!(tokens.len(), 0, "a token was asked for: {tokens}");
        t.connect(json!({ "allowedNamespaces": { "names": ["elsewhere", t.name()] } }))
            .await?;
        t.secret_with("app", "password", "by name").await?;
        Ok(())
    })
}

#[test]
fn a_namespace_is_admitted_as_long_as_it_has_the_label() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "by label" })).await?;
        let selector = json!({ "matchLabels": { "team": t.name() } });
        t.connect(json!({ "allowedNamespaces": { "selector": selector } }))
            .await?;
        t.reader("app", BY_OWN).await?;
        t.complains("app", "ConnectionNotAllowed").await?;
        let label = |value: Value| json!({ "metadata": { "labels": { "team": value } } });
        t.patch("Namespace", t.name(), &label(t.name().into()))
            .await?;
        t.secret_with("app", "password", "by label").await?;
        t.patch("Namespace", t.name(), &label(Value::Null)).await?;
        t.complains("app", "ConnectionNotAllowed").await?;
        ensure_kept(t, "by label").await?;
        t.connect(json!({ "allowedNamespaces": { "selector": {} } }))
            .await?;
        t.ready("app").await?;
        t.connect(json!({ "allowedNamespaces": {} })).await?;
        t.complains("app", "ConnectionNotAllowed").await?;
        Ok(())
    })
}

#[test]
fn a_connection_brings_the_login_of_objects_that_say_nothing_about_it() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "by default" })).await?;
        t.connect(json!({ "auth": { "method": "JWT", "audiences": ["vault", "another"] } }))
            .await?;
        let mark = t.mark().await?;
        t.reader("app", BY_OWN).await?;
        t.secret_with("app", "password", "by default").await?;
        let logins = t.vault_requests(&mark)?.logins();
        assert_eq!(logins.len(), 1, "{logins}");
        assert_eq!(logins[0].path, "auth/jwt/login");
        let tokens = t
            .kube_requests(&mark)
            .await?
            .resource("serviceaccounts/token");
        assert_eq!(
            tokens[0].body["spec"]["audiences"],
            json!(["vault", "another"])
        );
        Ok(())
    })
}

#[test]
fn a_server_is_trusted_by_the_authority_in_the_connection_and_no_other() -> Result<()> {
    run(async |t| {
        let t = t.neighbour(Listener::Tls).await?;
        t.put("app", json!({ "password": "over TLS" })).await?;
        t.connect(json!({})).await?;
        let message = t.connection_is("False", "VaultUnavailable").await?;
        t.says(
            &message,
            &[
                t.vault().address(),
                "certificate not trusted: no known authority has signed it",
                "spec.tls.caBundle",
            ],
        )?;
        t.reader("app", "auth: { role: $tenant }").await?;
        t.complains_with(
            "app",
            "VaultUnavailable",
            &[
                "VaultConnection $tenant does not answer",
                "See the VaultConnection for the cause",
            ],
        )
        .await?;
        t.connect(json!({ "tls": { "caBundle": t.vault().ca() } }))
            .await?;
        t.connection_is("True", "Connected").await?;
        t.secret_with("app", "password", "over TLS").await?;
        Ok(())
    })
}

/// Takes a connection through the life of the object that its authority lies in.
async fn follows_the_reference(t: &Tenant, kind: &str) -> Result<()> {
    let t = t.neighbour(Listener::Tls).await?;
    t.put("app", json!({ "password": "by reference" })).await?;
    t.connect(json!({ "tls": { "caBundleRef": { "kind": kind, "name": t.name() } } }))
        .await?;
    t.reader("app", "auth: { role: $tenant }, refresh: { interval: 1s }")
        .await?;
    let message = t.connection_is("False", "InvalidSpec").await?;
    let missing = format!(
        "spec.tls.caBundleRef: {kind} $tenant, key ca.crt does not exist in namespace vaultbridge-system; create it there"
    );
    t.says(&message, &[&missing])?;
    t.complains_with(
        "app",
        "VaultUnavailable",
        &[
            "VaultConnection $tenant cannot be used as it stands",
            &missing,
        ],
    )
    .await?;

    t.give_operator(kind, &[("ca.crt", "nonsense")]).await?;
    let words = format!(
        "spec.tls.caBundleRef: {kind} {}, key ca.crt holds no certificate; put one or more PEM certificates there",
        t.name()
    );
    t.connection_says("False", "InvalidSpec", &words).await?;
    t.give_operator(kind, &[("ca.crt", &t.vault().ca())])
        .await?;
    t.secret_with("app", "password", "by reference").await?;
    let stranger = Authority::new("a stranger")?.pem();
    t.give_operator(kind, &[("ca.crt", &stranger)]).await?;
    t.connection_says(
        "False",
        "VaultUnavailable",
        "no known authority has signed it",
    )
    .await?;
    t.reports("app", "Synced", "False", "VaultUnavailable")
        .await?;
    t.put("app", json!({ "password": "trusted again" })).await?;
    t.give_operator(kind, &[("ca.crt", &t.vault().ca())])
        .await?;
    t.secret_with("app", "password", "trusted again").await?;
    Ok(())
}

#[test]
fn an_authority_in_a_config_map_is_followed_as_it_comes_and_changes() -> Result<()> {
    run(async |t| follows_the_reference(t, "ConfigMap").await)
}

#[test]
fn an_authority_in_a_secret_is_followed_as_it_comes_and_changes() -> Result<()> {
    run(async |t| follows_the_reference(t, "Secret").await)
}

#[test]
fn the_name_in_the_certificate_may_be_another_than_the_address() -> Result<()> {
    run(async |t| {
        let t = t.neighbour(Listener::Tls).await?;
        t.put("app", json!({ "password": "by another name" }))
            .await?;
        let tls = |name: &str| json!({ "tls": { "caBundle": t.vault().ca(), "serverName": name } });
        t.connect(tls("other.test")).await?;
        t.reader("app", "auth: { role: $tenant }").await?;
        let message = t.connection_is("False", "VaultUnavailable").await?;
        t.says(
            &message,
            &[
                "certificate not trusted: it is for another name",
                "set spec.tls.serverName",
            ],
        )?;
        t.connect(tls("vault.test")).await?;
        t.secret_with("app", "password", "by another name").await?;
        Ok(())
    })
}

#[test]
fn a_server_that_wants_a_client_certificate_gets_the_referenced_one() -> Result<()> {
    run(async |t| {
        let t = t.neighbour(Listener::MutualTls).await?;
        t.put("app", json!({ "password": "known by certificate" }))
            .await?;
        t.reader("app", "auth: { role: $tenant }").await?;
        let message = t.connection_is("False", "VaultUnavailable").await?;
        t.says(
            &message,
            &[
                "wants a client certificate",
                "set spec.tls.clientCertificateRef",
            ],
        )?;
        t.connect(json!({ "tls": { "caBundle": t.vault().ca(), "clientCertificateRef": { "name": t.name() } } })).await?;
        let message = t.connection_is("False", "InvalidSpec").await?;
        t.says(&message, &[
                "spec.tls.clientCertificateRef: Secret $tenant does not exist in namespace vaultbridge-system; create it there",
            ])?;
        let identity = t.vault().client_identity();
        t.give_operator("Secret", &[("tls.crt", &identity.certificate)])
            .await?;
        t.connection_says(
            "False",
            "InvalidSpec",
            "has no key tls.key; it must be of type kubernetes.io/tls",
        )
        .await?;
        t.give_operator(
            "Secret",
            &[
                ("tls.crt", &identity.certificate),
                ("tls.key", &identity.key),
            ],
        )
        .await?;
        t.connection_is("True", "Connected").await?;
        t.secret_with("app", "password", "known by certificate")
            .await?;
        Ok(())
    })
}

#[test]
fn headers_of_the_connection_reach_the_server() -> Result<()> {
    run(async |t| {
        let header = json!({ "hmac": false });
        t.vault()
            .write("sys/config/auditing/request-headers/X-Team", &header)
            .await?;
        t.put("app", json!({ "password": "with a header" })).await?;
        t.connect(json!({ "headers": { "X-Team": t.name() } }))
            .await?;
        t.reader("app", BY_OWN).await?;
        t.secret_with("app", "password", "with a header").await?;
        let log = t.vault().audit().log().since(Place::START)?;
        let header = format!(r#""x-team":["{}"]"#, t.name());
        for path in [
            "auth/kubernetes/login".to_owned(),
            format!("{}/data/app", t.name()),
        ] {
            let path = format!(r#""path":"{path}""#);
            let found = log
                .lines()
                .any(|line| line.contains(&header) && line.contains(&path));
            ensure!(found, "no request has both {header} and {path}");
        }
        Ok(())
    })
}

#[test]
fn plain_http_is_refused_without_leave() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.operator()?.stop().await?;
        t.reader("app", "auth: { role: $tenant }").await?;
        let spec = json!({ "spec": { "timeout": "20s" } });
        t.patch("VaultConnection", "default", &spec).await?;
        let mark = t.mark().await?;
        let folder = t.ground().folder().join("strict-operator");
        let operator =
            Operator::start_with_exactly(t.ground().control_plane(), &folder, &[]).await?;
        operator.ready().await?;
        t.complains_with("app", "VaultUnavailable", &[
                "VaultConnection default cannot be used as it stands: spec.address: plain http would show every token to the network",
                "use https",
                "--allow-plain-http",
            ]).await?;
        assert_eq!(t.vault_requests(&mark)?.len(), 0);
        let tokens = t
            .kube_requests(&mark)
            .await?
            .resource("serviceaccounts/token");
        assert_eq!(tokens.len(), 0, "{tokens}");
        operator.stop().await
    })
}

#[test]
fn a_connection_tells_version_cluster_and_seal() -> Result<()> {
    run(async |t| {
        let t = t.neighbour(Listener::Plain).await?;
        t.connection_is("True", "Connected").await?;
        let health = t
            .vault()
            .api(Method::GET, "sys/health", &Value::Null)
            .await?;
        let told = |object: Option<Value>| {
            object
                .map(|mut object| object["status"].take())
                .unwrap_or_default()
        };
        let status = told(t.get("VaultConnection", t.name()).await?);
        assert_eq!(status["version"], health["version"], "{status}");
        assert_eq!(status["clusterName"], health["cluster_name"], "{status}");
        assert_eq!(status["sealed"], false, "{status}");
        t.vault().seal().await?;
        t.connect(json!({ "timeout": "20s" })).await?;
        let message = t.connection_is("False", "VaultSealed").await?;
        t.says(&message, &["is sealed: somebody must unseal it"])?;
        let status = told(t.get("VaultConnection", t.name()).await?);
        assert_eq!(status["sealed"], true, "{status}");
        t.vault().unseal().await?;
        t.connection_is("True", "Connected").await?;
        Ok(())
    })
}

#[test]
fn a_change_of_address_moves_everything_to_the_other_server() -> Result<()> {
    run(async |t| {
        let t = t.neighbour(Listener::Plain).await?;
        t.put("app", json!({ "password": "from the first server" }))
            .await?;
        let second = t.ground().vault().clone();
        let data = json!({ "password": "from the second server" });
        second.put_v2(t.name(), "app", &data).await?;
        t.reader("app", "auth: { role: $tenant }").await?;
        t.secret_with("app", "password", "from the first server")
            .await?;
        assert_eq!(t.vault().tokens_of(t.name()).await?.len(), 1);
        t.connect(json!({ "address": second.address() })).await?;
        t.secret_with("app", "password", "from the second server")
            .await?;
        t.vault_tokens_gone().await
    })
}

#[test]
fn a_change_of_address_while_the_operator_is_down_moves_also_what_is_never_polled() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let t = t.neighbour(Listener::Plain).await?;
        t.put("app", json!({ "password": "from the first server" }))
            .await?;
        let second = t.ground().vault().clone();
        let data = json!({ "password": "from the second server" });
        second.put_v2(t.name(), "app", &data).await?;
        let quiet = "auth: { role: $tenant }, refresh: { interval: 0s }";
        t.reader("app", quiet).await?;
        t.secret_with("app", "password", "from the first server")
            .await?;
        t.operator()?.stop().await?;
        t.connect(json!({ "address": second.address() })).await?;
        t.operator()?.start_again()?;
        t.secret_with("app", "password", "from the second server")
            .await?;
        Ok(())
    })
}

#[test]
fn a_change_of_address_to_a_server_without_the_path_takes_nothing_away() -> Result<()> {
    run(async |t| {
        let t = t.neighbour(Listener::Plain).await?;
        t.put("app", json!({ "password": "nowhere else" })).await?;
        let strict = "destination: { missingSourcePolicy: Delete }, auth: { role: $tenant }";
        t.reader("app", strict).await?;
        t.ready("app").await?;
        let empty = t.ground().vault().address();
        t.connect(json!({ "address": empty })).await?;
        t.complains_with(
            "app",
            "PathNotFound",
            &["$tenant/app does not exist in Vault"],
        )
        .await?;
        ensure_kept(&t, "nowhere else").await
    })
}

#[test]
fn deleting_a_connection_ends_its_sessions_and_keeps_the_secrets() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "kept without a connection" }))
            .await?;
        t.connect(json!({})).await?;
        t.reader("app", BY_OWN).await?;
        t.secret_with("app", "password", "kept without a connection")
            .await?;
        t.delete("VaultConnection", t.name()).await?;
        t.complains_with(
            "app",
            "ConnectionNotFound",
            &["VaultConnection $tenant does not exist"],
        )
        .await?;
        t.vault_tokens_gone().await?;
        ensure_kept(t, "kept without a connection").await?;
        t.put("app", json!({ "password": "connected again" }))
            .await?;
        t.connect(json!({})).await?;
        t.secret_with("app", "password", "connected again").await?;
        Ok(())
    })
}

#[test]
fn sources_and_logins_are_found_in_their_vault_namespaces() -> Result<()> {
    run(async |t| {
        if !t.vault().has_namespaces() {
            return Ok(());
        }
        let (vault, team) = (t.vault(), format!("team-of-{}", t.name()));
        let dev = format!("{team}/dev");
        let subject = format!("system:serviceaccount:{}:default", t.name());
        let cluster = t.ground().control_plane();
        for (namespace, reads) in [(&team, "dev/kv/*"), (&dev, "kv/*")] {
            vault.create_namespace(namespace).await?;
            vault
                .admit_in_namespace(namespace, cluster, &subject, (reads, &["read"]))
                .await?;
        }
        vault
            .write(
                &format!("{dev}/sys/mounts/kv"),
                &json!({ "type": "kv", "options": { "version": "1" } }),
            )
            .await?;
        vault
            .write(
                &format!("{dev}/kv/app"),
                &json!({ "password": "deep inside" }),
            )
            .await?;
        t.connect(json!({ "vaultNamespace": dev, "auth": { "method": "JWT" } }))
            .await?;
        let object = "{ kind: VaultSecret, metadata: { name: $name }, spec: { sources: [{ name: app, kv: { path: kv/app } }], $spec } }";
        for (name, spec) in [
            (
                "both",
                "auth: { role: app, method: JWT }, vaultNamespace: team-of-$tenant/dev",
            ),
            (
                "login-above",
                "auth: { role: app, method: JWT, vaultNamespace: team-of-$tenant }, vaultNamespace: team-of-$tenant/dev",
            ),
            (
                "by-connection",
                "auth: { role: app }, connectionRef: { name: $tenant }",
            ),
        ] {
            t.apply(&object.replace("$name", name).replace("$spec", spec))
                .await?;
            t.secret_with(name, "password", "deep inside").await?;
        }
        let nowhere = "auth: { role: app, method: JWT }, vaultNamespace: team-of-$tenant/nowhere";
        t.apply(&object.replace("$name", "nowhere").replace("$spec", nowhere))
            .await?;
        t.complains_with("nowhere", "LoginFailed", &[
                "the Vault namespace does not exist; correct spec.auth.vaultNamespace or spec.vaultNamespace",
            ]).await
    })
}
