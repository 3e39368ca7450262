//! Logging in: as the object's own service account, once per identity, with a token that lives as long as it is needed and no
//! longer; and a refusal says what mends it.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use vaultbridge_e2e::ground::{JWT_AUTH, Mark};
use vaultbridge_e2e::vault_server::Role;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, run, run_alone};

const LOGIN: &str = "auth/kubernetes/login";
const RENEWAL: &str = "auth/token/renew-self";

/// How many logins of the tenant succeeded since a mark.
fn logins(t: &Tenant, since: &Mark) -> Result<usize> {
    Ok(t.vault_requests(since)?.logins().len())
}

/// A role of the JWT mount for the tenant's default account.
async fn jwt_role(t: &Tenant, name: &str, more: Value) -> Result<()> {
    let role = Role {
        name,
        namespace: t.name(),
        account: "default",
        policies: &[t.name()],
        more,
    };
    t.vault().jwt_role(JWT_AUTH, &role).await
}

#[test]
fn a_service_account_logs_in_by_token_review_or_by_signature() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "for both methods" }))
            .await?;
        let mark = t.mark().await?;
        for (name, method, path) in [
            ("review", "Kubernetes", LOGIN),
            ("signature", "JWT", "auth/jwt/login"),
        ] {
            t.reader(
                name,
                &format!("auth: {{ role: $tenant, method: {method} }}"),
            )
            .await?;
            t.secret_with(name, "password", "for both methods").await?;
            let message = t.reports(name, "Authenticated", "True", "LoggedIn").await?;
            t.says(&message, &["accepts the service account for role $tenant"])?;
            let asked = t
                .vault_requests(&mark)?
                .only(|request| request.path == path);
            assert_eq!(asked.len(), 1, "{asked}");
        }
        Ok(())
    })
}

#[test]
fn a_login_at_another_mount_is_made_there() -> Result<()> {
    run(async |t| {
        let mount = format!("clusters/{}", t.name());
        t.vault()
            .enable_kubernetes_auth(t.ground().control_plane(), &mount)
            .await?;
        let role = Role {
            name: "app",
            namespace: t.name(),
            account: "default",
            policies: &[t.name()],
            more: json!({}),
        };
        t.vault().kubernetes_role(&mount, &role).await?;
        t.put("app", json!({ "password": "from another mount" }))
            .await?;
        let mark = t.mark().await?;
        t.reader("app", "auth: { role: app, mount: clusters/$tenant }")
            .await?;
        t.secret_with("app", "password", "from another mount")
            .await?;
        let asked = t.vault_requests(&mark)?.logins();
        assert_eq!(asked.len(), 1, "{asked}");
        assert_eq!(asked[0].path, format!("auth/{mount}/login"));
        Ok(())
    })
}

#[test]
fn the_token_shown_to_vault_is_for_vault_alone_and_for_ten_minutes() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "for the token" })).await?;
        let mark = t.mark().await?;
        t.reader("app", "auth: { role: $tenant }").await?;
        t.ready("app").await?;
        let requests = t.kube_requests(&mark).await?;
        let requests = requests.resource("serviceaccounts/token");
        assert_eq!(requests.len(), 1, "one token for one login:\n{requests}");
        let spec = &requests[0].body["spec"];
        assert_eq!(spec["audiences"], json!(["vault"]), "{spec}");
        assert_eq!(spec["expirationSeconds"], 600, "{spec}");
        Ok(())
    })
}

#[test]
fn objects_of_one_identity_share_one_login_and_another_account_has_its_own() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "shared by twenty" }))
            .await?;
        t.service_account("robot").await?;
        t.role("robot", "robot", json!({})).await?;
        let mark = t.mark().await?;
        for number in 0..20 {
            t.reader(&format!("app-{number}"), "auth: { role: $tenant }")
                .await?;
        }
        for number in 0..20 {
            t.ready(&format!("app-{number}")).await?;
        }
        assert_eq!(logins(t, &mark)?, 1, "{}", t.vault_requests(&mark)?);
        t.reader("robot", "auth: { role: robot, serviceAccountName: robot }")
            .await?;
        t.ready("robot").await?;
        assert_eq!(logins(t, &mark)?, 2, "{}", t.vault_requests(&mark)?);
        let requests = t.kube_requests(&mark).await?;
        let requests = requests.resource("serviceaccounts/token");
        let accounts: Vec<&str> = requests
            .iter()
            .map(|request| request.name.as_str())
            .collect();
        assert_eq!(accounts, ["default", "robot"], "{requests}");
        Ok(())
    })
}

#[test]
fn a_missing_service_account_is_named_and_its_creation_heals() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "for a robot" })).await?;
        t.role("robot", "robot", json!({})).await?;
        let mark = t.mark().await?;
        t.reader("app", "auth: { role: robot, serviceAccountName: robot }")
            .await?;
        t.complains_with(
            "app",
            "ServiceAccountNotFound",
            &[
                "service account robot does not exist in namespace $tenant",
                "create it, or correct spec.auth.serviceAccountName",
            ],
        )
        .await?;
        let asked = t.kube_requests(&mark).await?;
        let asked = asked.resource("serviceaccounts/token");
        assert_eq!(asked.len(), 0, "a token was asked for: {asked}");
        t.service_account("robot").await?;
        t.secret_with("app", "password", "for a robot").await?;
        Ok(())
    })
}

#[test]
fn a_refused_token_request_is_told_in_the_api_servers_words_and_heals() -> Result<()> {
    run(async |t| {
        let resource = "serviceaccounts/token";
        t.refuse("CREATE", resource, &[("false", "no tokens on Sundays")])
            .await?;
        until("the policy to be in force", SOON, async || {
            let lifetime = Duration::from_mins(10);
            let cluster = t.ground().control_plane();
            let token = cluster.token(t.name(), "default", Some("vault"), lifetime);
            Ok(token.await.is_err().then_some(()))
        })
        .await?;
        t.put("app", json!({ "password": "on Mondays" })).await?;
        t.reader("app", "auth: { role: $tenant }").await?;
        let words = "the API server refuses a token for service account default";
        t.complains_with(
            "app",
            "TokenRequestDenied",
            &[words, "no tokens on Sundays"],
        )
        .await?;
        t.refuse_no_more().await?;
        t.secret_with("app", "password", "on Mondays").await?;
        Ok(())
    })
}

#[test]
fn a_role_that_does_not_exist_is_named_and_its_creation_heals() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "for a late role" }))
            .await?;
        for (method, mount) in [("Kubernetes", "kubernetes"), ("JWT", "jwt")] {
            let name = format!("late-{mount}");
            t.reader(
                &name,
                &format!("auth: {{ role: {name}, method: {method} }}"),
            )
            .await?;
            let message = t.complains(&name, "LoginFailed").await?;
            let role = format!("vault write auth/{mount}/role/{name}");
            let log_in = format!(
                "log in at auth/{mount} with role {name} as service account $tenant/default"
            );
            t.says(
                &message,
                &[
                    &log_in,
                    "the role does not exist there; create it",
                    &role,
                    "correct spec.auth.role",
                ],
            )?;
            t.reports(&name, "Authenticated", "False", "LoginFailed")
                .await?;
        }
        t.role("late-kubernetes", "default", json!({})).await?;
        jwt_role(t, "late-jwt", json!({})).await?;
        t.secret_with("late-kubernetes", "password", "for a late role")
            .await?;
        t.secret_with("late-jwt", "password", "for a late role")
            .await?;
        Ok(())
    })
}

#[test]
fn a_role_for_another_audience_is_told_with_the_command_that_mends_it() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "for an audience" }))
            .await?;
        t.role("other", "default", json!({ "audience": "other" }))
            .await?;
        jwt_role(t, "other", json!({ "bound_audiences": ["other"] })).await?;
        for (name, method, command) in [
            (
                "review",
                "Kubernetes",
                "vault write auth/kubernetes/role/other audience=vault",
            ),
            (
                "signature",
                "JWT",
                "vault write auth/jwt/role/other bound_audiences=vault",
            ),
        ] {
            t.reader(name, &format!("auth: {{ role: other, method: {method} }}"))
                .await?;
            t.complains_with(
                name,
                "LoginFailed",
                &["audience", command, "or set spec.auth.audiences"],
            )
            .await?;
        }
        t.role("other", "default", json!({})).await?;
        jwt_role(t, "other", json!({})).await?;
        t.secret_with("review", "password", "for an audience")
            .await?;
        t.secret_with("signature", "password", "for an audience")
            .await?;
        Ok(())
    })
}

#[test]
fn a_role_without_an_audience_is_told_with_the_command_that_mends_it() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "for no audience" }))
            .await?;
        jwt_role(t, "none", json!({ "bound_audiences": [] })).await?;
        t.reader("app", "auth: { role: none, method: JWT }").await?;
        let command = "vault write auth/jwt/role/none bound_audiences=vault";
        t.complains_with("app", "LoginFailed", &["made for audience vault", command])
            .await?;
        jwt_role(t, "none", json!({})).await?;
        t.secret_with("app", "password", "for no audience").await?;
        Ok(())
    })
}

#[test]
fn audiences_of_an_object_come_before_those_of_its_connection() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "for elsewhere" })).await?;
        jwt_role(t, "elsewhere", json!({ "bound_audiences": ["elsewhere"] })).await?;
        t.reader("app", "auth: { role: elsewhere, method: JWT }")
            .await?;
        t.complains_with(
            "app",
            "LoginFailed",
            &["or set spec.auth.audiences to what the role expects"],
        )
        .await?;
        let auth = json!({ "spec": { "auth": { "audiences": ["elsewhere"] } } });
        t.patch("VaultSecret", "app", &auth).await?;
        t.secret_with("app", "password", "for elsewhere").await?;
        Ok(())
    })
}

#[test]
fn a_role_for_others_is_told_by_what_it_lacks() -> Result<()> {
    run(async |t| {
        t.role("account", "somebody", json!({})).await?;
        t.role(
            "namespace",
            "default",
            json!({ "bound_service_account_namespaces": ["elsewhere"] }),
        )
        .await?;
        for (role, words) in [
            ("account", "add default to its bound_service_account_names"),
            (
                "namespace",
                "add $tenant to its bound_service_account_namespaces",
            ),
        ] {
            t.reader(role, &format!("auth: {{ role: {role} }}")).await?;
            t.complains_with(role, "LoginFailed", &[words]).await?;
        }
        Ok(())
    })
}

#[test]
fn a_policy_that_forbids_is_told_with_path_and_capability_and_mended_without_a_login() -> Result<()>
{
    run(async |t| {
        t.put("app", json!({ "password": "allowed at last" }))
            .await?;
        t.policy(&[("$tenant/data/else", &["read"])]).await?;
        let mark = t.mark().await?;
        t.reader("app", "auth: { role: $tenant }").await?;
        t.complains_with(
            "app",
            "PermissionDenied",
            &[
                "source app: role $tenant may not read $tenant/app",
                "capability \"read\" on",
                "\"$tenant/data/app\"",
            ],
        )
        .await?;
        t.reports("app", "Authenticated", "True", "LoggedIn")
            .await?;
        t.policy(&[("$tenant/data/*", &["read"])]).await?;
        t.secret_with("app", "password", "allowed at last").await?;
        assert_eq!(logins(t, &mark)?, 1, "{}", t.vault_requests(&mark)?);
        Ok(())
    })
}

#[test]
fn a_token_revoked_behind_our_back_is_replaced_at_the_next_poll_and_nobody_notices() -> Result<()> {
    run(async |t| {
        let version = t
            .put("app", json!({ "password": "before the revocation" }))
            .await?;
        t.reader("app", "auth: { role: $tenant }, refresh: { interval: 2s }")
            .await?;
        let before = t.ready("app").await?;
        let mark = t.mark().await?;
        assert_eq!(t.vault().revoke_tokens_of(t.name()).await?, 1);
        t.asks(&mark, LOGIN, 1).await?;
        let reads = format!("{}/data/app", t.name());
        let refused = t
            .vault_requests(&mark)?
            .only(|request| request.path == reads)
            .len();
        t.asks(&mark, &reads, refused + 2).await?;
        assert_eq!(logins(t, &mark)?, 1, "{}", t.vault_requests(&mark)?);
        assert_eq!(t.status_writes(&mark).await?, 0);
        assert_eq!(
            t.get("VaultSecret", "app")
                .await?
                .map(|mut now| now["status"].take())
                .as_ref(),
            before.get("status")
        );
        assert_eq!(
            t.put("app", json!({ "password": "after the revocation" }))
                .await?,
            version + 1
        );
        t.secret_with("app", "password", "after the revocation")
            .await?;
        Ok(())
    })
}

#[test]
fn a_token_is_renewed_before_it_ends() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "renewed" })).await?;
        t.role("short", "default", json!({ "token_ttl": "9s" }))
            .await?;
        let mark = t.mark().await?;
        t.reader("app", "auth: { role: short }, refresh: { interval: 1s }")
            .await?;
        t.asks(&mark, RENEWAL, 2).await?;
        assert_eq!(logins(t, &mark)?, 1, "{}", t.vault_requests(&mark)?);
        t.ensure_nothing_refused(&mark)?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_token_near_its_hard_end_is_replaced_before_it_is_refused() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "a replaced value" }))
            .await?;
        t.role(
            "ending",
            "default",
            json!({ "token_ttl": "9s", "token_max_ttl": "12s" }),
        )
        .await?;
        let mark = t.mark().await?;
        t.reader("app", "auth: { role: ending }, refresh: { interval: 1s }")
            .await?;
        t.asks(&mark, LOGIN, 3).await?;
        let renewals = t
            .vault_requests(&mark)?
            .only(|request| request.path == RENEWAL);
        ensure!(!renewals.is_empty(), "it was never renewed");
        t.ensure_nothing_refused(&mark)?;
        Ok(())
    })
}

#[test]
fn a_batch_token_is_replaced_in_time_and_neither_renewed_nor_revoked() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "in batches" })).await?;
        t.role(
            "batch",
            "default",
            json!({ "token_ttl": "9s", "token_type": "batch" }),
        )
        .await?;
        let mark = t.mark().await?;
        t.reader("app", "auth: { role: batch }, refresh: { interval: 1s }")
            .await?;
        t.asks(&mark, LOGIN, 3).await?;
        let asked = t
            .vault_requests(&mark)?
            .only(|request| request.path.starts_with("auth/token/"));
        ensure!(asked.is_empty(), "a batch token can only be used:\n{asked}");
        t.ensure_nothing_refused(&mark)?;
        Ok(())
    })
}

#[test]
fn a_clean_end_gives_all_tokens_back() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.put("app", json!({ "password": "until the end" })).await?;
        t.service_account("robot").await?;
        t.role("robot", "robot", json!({})).await?;
        t.reader("app", "auth: { role: $tenant }").await?;
        t.reader("robot", "auth: { role: robot, serviceAccountName: robot }")
            .await?;
        t.ready("app").await?;
        t.ready("robot").await?;
        assert_eq!(t.vault().tokens_of(t.name()).await?.len(), 2);
        t.operator()?.stop().await?;
        let left = t.vault().tokens_of(t.name()).await?;
        ensure!(left.is_empty(), "these tokens are still alive: {left:?}");
        assert_eq!(t.secret("app").await?.text("password")?, "until the end");
        Ok(())
    })
}
