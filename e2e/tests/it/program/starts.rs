//! What a person who starts it gets to read.

use std::net::TcpListener;

use anyhow::{Context as _, Result};
use serde_json::json;
use vaultbridge_e2e::program::{Ending, call};
use vaultbridge_e2e::{GroundOptions, Tenant, block_on, operator, run, run_alone};

/// Calls `vaultbridge run` with what the operator has, but for these.
async fn start(t: &Tenant, args: &[&str], environment: &[(&str, &str)]) -> Result<Ending> {
    let kubeconfig = t
        .ground()
        .control_plane()
        .kubeconfig_of(operator::NAMESPACE, operator::ACCOUNT)
        .await?;
    let kubeconfig = kubeconfig.to_string_lossy().into_owned();
    let mut usual = vec![
        ("KUBECONFIG", kubeconfig.as_str()),
        ("POD_NAMESPACE", operator::NAMESPACE),
        ("HOME", "/nonexistent"),
    ];
    usual.retain(|(name, _)| environment.iter().all(|(other, _)| name != other));
    usual.extend(environment.iter().filter(|(_, value)| !value.is_empty()));
    let args = [&["run", "--http-address", "127.0.0.1:0"], args].concat();
    call(&args, &usual).await
}

/// Fails unless the program ended by itself, not with success, and said all these words.
fn refused(ending: &Ending, words: &[&str]) {
    let Ending { code, output } = ending;
    assert!(
        code.is_some_and(|code| code > 0),
        "it ended with {code:?}: {output}"
    );
    assert!(!output.contains("panicked"), "{output}");
    for word in words {
        assert!(
            output.contains(word),
            "it does not say {word:?}, but: {output}"
        );
    }
}

#[test]
fn help_documents_every_flag_with_its_variable() -> Result<()> {
    let help = block_on(call::<&str>(&["run", "--help"], &[]))??;
    assert_eq!(help.code, Some(0), "{}", help.output);
    let flags: Vec<&str> = help.output.split("\n      --").skip(1).collect();
    assert!(flags.len() >= 7, "{}", help.output);
    for flag in flags {
        assert!(flag.contains("[env: "), "no variable is named: --{flag}");
        let sentence = flag.lines().nth(1).unwrap_or_default().trim();
        assert!(sentence.len() > 20, "no sentence explains it: --{flag}");
    }
    for word in ["SIGTERM", "KUBECONFIG", "POD_NAMESPACE", "vaultbridge-keys"] {
        assert!(help.output.contains(word), "{word}: {}", help.output);
    }
    Ok(())
}

#[test]
fn wrong_flags_and_variables_are_told_at_the_start() -> Result<()> {
    run(async |t| {
        for (args, environment, words) in [
            (
                &[][..],
                &[("POD_NAMESPACE", "")][..],
                &["--pod-namespace"][..],
            ),
            (
                &["--pod-namespace", "Shop!"],
                &[],
                &["Shop!", "name of a namespace"],
            ),
            (
                &["--http-address", "nowhere"],
                &[],
                &["nowhere", "--http-address"],
            ),
            (
                &[],
                &[("VAULTBRIDGE_LOG_LEVEL", "loud")],
                &["loud", "--log-level", "debug"],
            ),
            (
                &["--log-level", "info,vaultbridge=loud"],
                &[],
                &["loud", "--log-level", "debug"],
            ),
            (&["--log-format", "xml"], &[], &["xml", "text", "json"]),
            (&["--concurrency", "0"], &[], &["--concurrency", "1..=1024"]),
            (&["--frobnicate"], &[], &["--frobnicate", "--help"]),
        ] {
            let ending = if args.first() == Some(&"--http-address") {
                call(&[&["run"], args].concat(), &[("POD_NAMESPACE", "shop")]).await?
            } else {
                start(t, args, environment).await?
            };
            refused(&ending, words);
        }
        Ok(())
    })
}

#[test]
fn a_port_in_use_is_told_at_the_start() -> Result<()> {
    run(async |t| {
        let taken = TcpListener::bind("127.0.0.1:0")?;
        let address = taken.local_addr()?.to_string();
        let kubeconfig = t
            .ground()
            .control_plane()
            .kubeconfig_of(operator::NAMESPACE, operator::ACCOUNT)
            .await?;
        let environment = [
            ("KUBECONFIG", kubeconfig.as_os_str()),
            ("POD_NAMESPACE", operator::NAMESPACE.as_ref()),
        ];
        let ending = call(&["run", "--http-address", &address], &environment).await?;
        refused(
            &ending,
            &[&address, "--http-address", "is another program using it"],
        );
        Ok(())
    })
}

#[test]
fn an_api_server_that_cannot_be_used_is_told_at_the_start() -> Result<()> {
    run(async |t| {
        let ending = start(t, &[], &[("KUBECONFIG", "")]).await?;
        refused(&ending, &["find the API server", "KUBECONFIG"]);
        let ending = start(t, &[], &[("KUBECONFIG", "/nonexistent/config")]).await?;
        refused(&ending, &["find the API server", "/nonexistent/config"]);

        t.service_account("nobody").await?;
        let control_plane = t.ground().control_plane();
        let file = control_plane.kubeconfig_of(t.name(), "nobody").await?;
        let text = std::fs::read_to_string(&file)?;
        let nobody = file.to_string_lossy().into_owned();
        let ending = start(t, &[], &[("KUBECONFIG", &nobody)]).await?;
        refused(&ending, &["may not list", "namespaces", "deploy/rbac.yaml"]);

        let away = text.replace(&control_plane.address(), "https://127.0.0.1:9");
        let away_file = file.with_extension("away");
        std::fs::write(&away_file, away)?;
        let away = away_file.to_string_lossy().into_owned();
        let ending = start(t, &[], &[("KUBECONFIG", &away)]).await?;
        refused(
            &ending,
            &[
                "cannot be reached: Connection refused",
                "127.0.0.1:9",
                "KUBECONFIG",
            ],
        );
        Ok(())
    })
}

#[test]
fn a_missing_namespace_and_a_spoilt_key_are_told_at_the_start() -> Result<()> {
    run(async |t| {
        let ending = start(t, &[], &[("POD_NAMESPACE", "no-such-place")]).await?;
        refused(
            &ending,
            &["namespace no-such-place does not exist", "POD_NAMESPACE"],
        );
        let spoilt = |data: serde_json::Value| json!({ "kind": "Secret", "metadata": { "name": "vaultbridge-keys" }, "stringData": data });
        for (data, words) in [
            (json!({}), ["current", "delete the Secret"]),
            (json!({ "current": "k1" }), ["current", "ids"]),
            (
                json!({ "current": "k1", "k1": "too short" }),
                ["k1", "32 bytes"],
            ),
        ] {
            t.delete("Secret", "vaultbridge-keys").await?;
            t.apply(&spoilt(data).to_string()).await?;
            let ending = start(t, &[], &[("POD_NAMESPACE", t.name())]).await?;
            let secret = format!("{}/vaultbridge-keys", t.name());
            refused(&ending, &[&secret, words[0], words[1]]);
        }
        Ok(())
    })
}

#[test]
fn missing_definitions_are_told_at_the_start() -> Result<()> {
    let bare = GroundOptions {
        operator: false,
        ..GroundOptions::default()
    };
    run_alone(&bare, async |t| {
        operator::install(t.ground().control_plane()).await?;
        let ending = start(t, &[], &[]).await?;
        refused(
            &ending,
            &[
                "VaultSecret",
                "install the CRDs first",
                "vaultbridge crd | kubectl apply -f -",
            ],
        );
        Ok(())
    })
}

#[test]
fn the_key_is_made_at_the_first_start_and_used_ever_after() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.app("app", "first password", "1000h").await?;
        let keys = || t.ground().operator_secret("vaultbridge-keys");
        let before = keys().await?.context("find the key Secret")?;
        t.operator()?.stop().await?;
        t.operator()?.start_again()?;
        t.operator()?.ready().await?;
        let mark = t.mark().await?;
        let foreign = json!({ "metadata": { "labels": { "foreign": "label" } } });
        t.patch("Secret", "app", &foreign).await?;
        t.app("fence", "first password", "1s").await?;
        t.polls(&mark, "fence", 2).await?;
        let written = t.writes(&mark).await?.only(|request| request.name == "app");
        assert_eq!(
            written.len(),
            0,
            "what it wrote before the restart is its own: {written}"
        );
        let after = keys().await?.context("find the key Secret")?;
        assert_eq!(before["metadata"], after["metadata"]);
        let log = t.operator()?.log()?;
        assert_eq!(log.matches("made the key of the MACs").count(), 1);
        Ok(())
    })
}
