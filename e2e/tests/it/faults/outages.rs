//! Vault is sealed, gone, frozen, slow or killed; the API server restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use vaultbridge_e2e::proxy::{Proxy, Way};
use vaultbridge_e2e::stopwatch::Stopwatch;
use vaultbridge_e2e::tenant::{condition, in_words};
use vaultbridge_e2e::vault_server::Listener;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, run, run_alone};

/// The objects that are due while the server is away.
const NAMES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

/// A tenant with a server of its own, which gives up on a request after two seconds, and with objects that poll it each second.
async fn furnish(t: &Tenant) -> Result<Tenant> {
    let tenant = Tenant::new(t.ground().clone(), t.name())
        .await?
        .with_own_vault(Listener::Plain)
        .await?;
    let spec = json!({ "address": tenant.vault().address(), "timeout": "2s" });
    tenant.ground().connect(tenant.name(), &spec).await?;
    for name in NAMES {
        tenant.password(name, "first password").await?;
        tenant.apply_app(name, "1s").await?;
    }
    for name in NAMES {
        tenant.ready(name).await?;
    }
    Ok(tenant)
}

async fn versions(t: &Tenant) -> Result<BTreeMap<&'static str, String>> {
    let mut versions = BTreeMap::new();
    for name in NAMES {
        let secret = t.secret(name).await?;
        versions.insert(name, secret.resource_version().to_owned());
    }
    Ok(versions)
}

/// Waits until the connection's own condition has this reason, and returns its message.
async fn connection_says(t: &Tenant, reason: &str) -> Result<String> {
    let what = format!("to say {reason}");
    let object = t.wait("VaultConnection", t.name(), &what, |object| {
        condition(object, "Ready").is_some_and(|ready| ready["reason"] == reason)
    });
    let object = object.await?;
    let message = condition(&object, "Ready").and_then(|ready| ready["message"].as_str());
    Ok(message.unwrap_or_default().to_owned())
}

/// Waits until the server was probed in vain so many times more: the way to let an outage last.
async fn lasts(t: &Tenant, probes: f64) -> Result<()> {
    let failed = async || -> Result<f64> {
        let text = t.operator()?.metrics().await?;
        let ours = format!("connection=\"{}\",operation=\"health\"", t.name());
        let counts = text.lines().filter(|line| line.contains(&ours));
        Ok(counts
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    };
    let start = failed().await?;
    until("the server to be probed again", SOON, async || {
        Ok((failed().await? >= start + probes).then_some(()))
    })
    .await
}

/// All objects are in sync again, without anybody's help. How soon, it tells; the benchmark measures it.
async fn recovers(t: &Tenant, since: Stopwatch) -> Result<()> {
    for name in NAMES {
        t.reports(name, "Synced", "True", "Synced").await?;
    }
    since.tell("all objects were in sync again after");
    Ok(())
}

/// The whole of an outage as a person sees it. `writes` is how often each object's status may tell of it.
async fn outage(
    t: &Tenant,
    reason: &str,
    begin: impl AsyncFnOnce() -> Result<()>,
    end: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let (before, mark) = (versions(t).await?, t.mark().await?);
    begin().await?;
    for name in NAMES {
        let message = t.reports(name, "Synced", "False", reason).await?;
        assert!(
            message.contains("the Secret keeps its value") && message.contains("by itself"),
            "{message}"
        );
    }
    connection_says(t, reason).await?;
    lasts(t, 4.0).await?;
    for name in NAMES {
        t.reports(name, "Ready", "True", "Synced")
            .await
            .context("an outage spoils no Secret")?;
    }
    assert_eq!(versions(t).await?, before, "the Secrets were left alone");
    let writes = t.writes(&mark).await?;
    assert_eq!(
        in_words(&writes),
        vec!["update vaultsecrets/status"; NAMES.len()],
        "one word of each object, and no event: {writes}"
    );
    let back = Stopwatch::start();
    end().await?;
    recovers(t, back).await?;
    connection_says(t, "Connected").await?;
    let writes = t.writes(&mark).await?;
    assert_eq!(writes.len(), 2 * NAMES.len(), "{writes}");
    assert_eq!(versions(t).await?, before, "the Secrets were left alone");
    t.password("one", "second password").await?;
    t.secret_with("one", "password", "second password").await?;
    Ok(())
}

/// The words of the events about the tenant's connection, each once.
async fn told(t: &Tenant) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for event in t.events("VaultConnection", t.name()).await? {
        ensure!(event.count == 1, "told more than once: {event}");
        told.push(event.reason);
    }
    Ok(told)
}

#[test]
fn a_sealed_vault_changes_no_secret_and_is_told_once() -> Result<()> {
    run(async |t| {
        let t = &furnish(t).await?;
        outage(t, "VaultSealed", || t.vault().seal(), || t.vault().unseal()).await?;
        assert_eq!(told(t).await?, ["VaultSealed", "Connected"]);
        let event = t
            .event("VaultConnection", t.name(), "VaultSealed", &["unseal it"])
            .await?;
        assert!(event.warning, "{event}");
        Ok(())
    })
}

#[test]
fn a_stopped_vault_changes_no_secret_and_is_told() -> Result<()> {
    run(async |t| {
        let t = &furnish(t).await?;
        let (before, mark) = (versions(t).await?, t.mark().await?);
        t.vault().stop().await?;
        for name in NAMES {
            let message = t
                .reports(name, "Synced", "False", "VaultUnavailable")
                .await?;
            assert!(message.contains("does not answer"), "{message}");
        }
        let words = [t.vault().address()];
        t.event("VaultConnection", t.name(), "VaultUnavailable", &words)
            .await?;
        lasts(t, 4.0).await?;
        for name in NAMES {
            t.reports(name, "Ready", "True", "Synced").await?;
        }
        // A server that is being stopped may be sealed for a moment before it is gone.
        let writes = t.writes(&mark).await?;
        let words = in_words(&writes);
        assert!(words.len() <= 2 * NAMES.len(), "{writes}");
        assert!(
            words
                .iter()
                .all(|word| word == "update vaultsecrets/status"),
            "{writes}"
        );
        t.vault().start_sealed().await?;
        let back = Stopwatch::start();
        t.vault().unseal().await?;
        recovers(t, back).await?;
        assert_eq!(versions(t).await?, before, "the Secrets were left alone");
        Ok(())
    })
}

#[test]
fn a_frozen_vault_changes_no_secret_and_is_told_once() -> Result<()> {
    run(async |t| {
        let t = &furnish(t).await?;
        let service = t.vault().service();
        let (freeze, thaw) = (async || service.freeze(), async || service.thaw());
        outage(t, "VaultUnavailable", freeze, thaw).await?;
        assert_eq!(told(t).await?, ["VaultUnavailable", "Connected"]);
        Ok(())
    })
}

#[test]
fn a_killed_vault_that_comes_back_sealed_is_told_as_both() -> Result<()> {
    run(async |t| {
        let t = &furnish(t).await?;
        let before = versions(t).await?;
        t.vault().kill()?;
        connection_says(t, "VaultUnavailable").await?;
        t.vault().start_sealed().await?;
        let message = connection_says(t, "VaultSealed").await?;
        assert!(message.contains("is sealed"), "{message}");
        for name in NAMES {
            t.reports(name, "Ready", "True", "Synced").await?;
        }
        let back = Stopwatch::start();
        t.vault().unseal().await?;
        recovers(t, back).await?;
        assert_eq!(versions(t).await?, before, "the Secrets were left alone");
        assert_eq!(
            told(t).await?,
            ["VaultUnavailable", "VaultSealed", "Connected"]
        );
        Ok(())
    })
}

#[test]
fn an_object_made_in_an_outage_waits_and_syncs_when_it_is_over() -> Result<()> {
    run(async |t| {
        let t = &furnish(t).await?;
        t.password("late", "first password").await?;
        t.vault().seal().await?;
        connection_says(t, "VaultSealed").await?;
        t.apply_app("late", "10m").await?;
        let message = t.complains("late", "VaultSealed").await?;
        assert!(
            message.contains("by itself once it is unsealed"),
            "{message}"
        );
        t.reports("late", "Ready", "False", "VaultSealed").await?;
        let back = Stopwatch::start();
        t.vault().unseal().await?;
        t.secret_with("late", "password", "first password").await?;
        back.tell("the Secret was there after");
        Ok(())
    })
}

#[test]
fn what_people_do_to_a_secret_in_an_outage_is_mended_after_it() -> Result<()> {
    run(async |t| {
        let t = &furnish(t).await?;
        t.vault().seal().await?;
        connection_says(t, "VaultSealed").await?;
        let harm = json!({ "stringData": { "password": "tampered with" } });
        t.patch("Secret", "one", &harm).await?;
        t.delete("Secret", "two").await?;
        lasts(t, 2.0).await?;
        let back = Stopwatch::start();
        t.vault().unseal().await?;
        t.secret_with("one", "password", "first password").await?;
        t.secret_with("two", "password", "first password").await?;
        back.tell("both Secrets were right after");
        Ok(())
    })
}

#[test]
fn a_token_revoked_in_an_outage_is_replaced_without_a_word() -> Result<()> {
    run(async |t| {
        let t = &furnish(t).await?;
        let mark = t.mark().await?;
        revoke_all_tokens(t).await?;
        t.vault().restart().await?;
        connection_says(t, "Connected").await?;
        t.password("one", "second password").await?;
        t.secret_with("one", "password", "second password").await?;
        for name in NAMES {
            t.reports(name, "Synced", "True", "Synced").await?;
            assert_eq!(t.events("VaultSecret", name).await?, vec![], "{name}");
        }
        let asked = t.vault_requests(&mark)?;
        let logins = asked.clone().logins();
        assert_eq!(logins.len(), 1, "one login for all: {asked}");
        Ok(())
    })
}

/// Revokes whatever token was not made by the harness, as a careful administrator would after an incident.
async fn revoke_all_tokens(t: &Tenant) -> Result<()> {
    let list = reqwest::Method::from_bytes(b"LIST")?;
    let accessors = t
        .vault()
        .api(list, "auth/token/accessors", &Value::Null)
        .await?;
    let accessors = accessors["data"]["keys"].as_array().cloned();
    for accessor in accessors.context("list the tokens")? {
        let body = json!({ "accessor": accessor });
        let token = t.vault().write("auth/token/lookup-accessor", &body).await?;
        if token["data"]["display_name"] != "root" {
            t.vault().write("auth/token/revoke-accessor", &body).await?;
        }
    }
    Ok(())
}

#[test]
fn a_server_that_swallows_everything_delays_nobody_elses_objects() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let slow = Tenant::new(t.ground().clone(), "slow").await?;
        let proxy = Proxy::start(t.vault().address()).await?;
        let spec = json!({ "address": proxy.address(), "timeout": "2m" });
        t.ground().connect("swallowed", &spec).await?;
        for number in 0..50 {
            let name = format!("app-{number}");
            slow.password(&name, "first password").await?;
            slow.apply_app(&name, "1s").await?;
            let elsewhere = json!({ "spec": { "connectionRef": { "name": "swallowed" } } });
            slow.patch("VaultSecret", &name, &elsewhere).await?;
        }
        for number in 0..50 {
            slow.ready(&format!("app-{number}")).await?;
        }
        t.app("app", "first password", "1s").await?;
        let mark = t.mark().await?;
        proxy.set(Way::BlackHole);
        // A request that is swallowed lasts longer than any of these waits: whoever stood behind one would miss them all.
        t.polls(&mark, "app", 3).await?;
        t.password("app", "second password").await?;
        t.secret_with("app", "password", "second password").await?;
        t.app("new", "first password", "1s").await?;
        proxy.set(Way::Open);
        for number in 0..50 {
            let name = format!("app-{number}");
            slow.reports(&name, "Synced", "True", "Synced").await?;
        }
        Ok(())
    })
}

#[test]
fn a_slow_server_is_slow_and_nothing_else() -> Result<()> {
    run(async |t| {
        let t = &furnish(t).await?;
        let proxy = Proxy::start(t.vault().address()).await?;
        proxy.set(Way::Slow(Duration::from_millis(500)));
        let spec = json!({ "address": proxy.address(), "timeout": "10s" });
        t.ground().connect(t.name(), &spec).await?;
        let mark = t.mark().await?;
        t.polls(&mark, "one", 2).await?;
        t.password("one", "second password").await?;
        t.secret_with("one", "password", "second password").await?;
        for name in NAMES {
            t.reports(name, "Synced", "True", "Synced").await?;
            assert_eq!(t.events("VaultSecret", name).await?, vec![], "{name}");
        }
        Ok(())
    })
}

#[test]
fn the_api_server_restarts_while_objects_change_and_nothing_is_lost() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        for name in NAMES {
            t.app(name, "first password", "1s").await?;
        }
        let (operator, control_plane) = (t.operator()?.service().id()?, t.ground().control_plane());
        // With a client that watches, an orderly end may take a minute; a machine that fails does not wait either.
        control_plane.apiserver().kill()?;
        for name in NAMES {
            t.password(name, "second password").await?;
        }
        let asked = t.vault().audit().log().end()?;
        until("some polls without an API server", SOON, async || {
            let reads = t.vault().audit().since(asked)?.reads();
            Ok((reads.len() > 2 * NAMES.len()).then_some(()))
        })
        .await?;
        control_plane.start_apiserver().await?;
        let back = Stopwatch::start();
        for name in NAMES {
            t.secret_with(name, "password", "second password").await?;
        }
        back.tell("all Secrets had the new values after");
        t.patch("Secret", "one", &json!({ "data": { "password": null } }))
            .await?;
        t.secret_with("one", "password", "second password").await?;
        t.app("new", "first password", "1s").await?;
        for name in NAMES {
            let object = t.ready(name).await?;
            let status = &object["status"];
            assert_eq!(status["revision"], 2, "{name}: {status}");
        }
        assert_eq!(t.operator()?.service().id()?, operator, "the same process");
        Ok(())
    })
}
