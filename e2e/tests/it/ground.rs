//! The ground itself can be trusted: logins are real, the oracles see what happens, and nothing stays behind.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use vaultbridge_e2e::audit::Place;
use vaultbridge_e2e::vault_server::Listener;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, block_on, run, run_alone};

mod leases;
mod postgres;

const LIFETIME: Duration = Duration::from_mins(10);

async fn jwt(tenant: &Tenant, audience: &str) -> Result<String> {
    tenant
        .ground()
        .control_plane()
        .token(tenant.name(), "default", Some(audience), LIFETIME)
        .await
}

#[test]
fn a_service_account_logs_in_by_token_review_and_by_signature() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "open sesame" })).await?;
        for mount in ["kubernetes", "jwt"] {
            let body = json!({ "role": t.name(), "jwt": jwt(t, "vault").await? });
            let token = t.vault().login(mount, &body).await?;
            let path = format!("{}/data/app", t.name());
            let answer = t
                .vault()
                .api_as(&token, reqwest::Method::GET, &path, &json!(null))
                .await?;
            assert_eq!(
                answer["data"]["data"]["password"], "open sesame",
                "logged in at {mount}"
            );
            let other = t
                .vault()
                .api_as(&token, reqwest::Method::GET, "sys/mounts", &json!(null))
                .await;
            assert!(
                format!("{other:?}").contains("403"),
                "the policy of {mount} is too wide: {other:?}"
            );

            let body =
                json!({ "role": t.name(), "jwt": jwt(t, "https://kubernetes.default.svc").await? });
            let refused = t.vault().login(mount, &body).await;
            assert!(
                refused.is_err(),
                "{mount} took a token for another audience"
            );
        }
        Ok(())
    })
}

#[test]
fn a_token_for_vault_is_no_token_for_the_api_server() -> Result<()> {
    run(async |t| {
        let control_plane = t.ground().control_plane();
        let answer = async |audience: &str| {
            let client = control_plane.client_with(&jwt(t, audience).await?).await?;
            let secrets: Api<Secret> = Api::namespaced(client, t.name());
            Ok::<_, anyhow::Error>(format!("{:?}", secrets.list(&ListParams::default()).await))
        };
        let own = answer("https://kubernetes.default.svc").await?;
        assert!(
            own.contains("403"),
            "its own token is known, and may list nothing: {own}"
        );
        let foreign = answer("vault").await?;
        assert!(
            foreign.contains("401"),
            "a token for Vault was taken: {foreign}"
        );
        Ok(())
    })
}

#[test]
fn the_audit_logs_tell_who_asked_for_what() -> Result<()> {
    run(async |t| {
        let control_plane = t.ground().control_plane();
        let client = control_plane.client_of(t.name(), "default").await?;
        let body = json!({ "role": t.name(), "jwt": jwt(t, "vault").await? });

        let mark = t.mark().await?;
        let kube = control_plane.audit().log().end()?;
        for _ in 0..3 {
            let denied = Api::<Secret>::namespaced(client.clone(), t.name())
                .list(&ListParams::default())
                .await;
            ensure!(
                denied.is_err(),
                "the account may list Secrets: it has more rights than it was given"
            );
        }
        t.vault().login("kubernetes", &body).await?;
        control_plane.audit().settle(control_plane.client()).await?;

        let requests = control_plane
            .audit()
            .since(kube)?
            .of_account(t.name(), "default");
        assert_eq!(requests.len(), 3, "{requests}");
        let lists = requests
            .clone()
            .verb("list")
            .resource("secrets")
            .in_namespace(t.name());
        assert_eq!(lists.len(), 3, "{requests}");
        assert!(
            lists.iter().all(|request| request.code == 403),
            "{requests}"
        );
        assert_eq!(requests.writes().len(), 0);
        let asked = t.vault_requests(&mark)?;
        assert_eq!(asked.clone().logins().len(), 1, "{asked}");
        assert_eq!(asked.len(), 1, "{asked}");
        Ok(())
    })
}

#[test]
fn a_tenant_with_its_own_server_can_seal_kill_and_restart_it() -> Result<()> {
    run(async |t| {
        let vault = t.ground().another_vault(Listener::Tls).await?;
        vault.mount_kv("kept", 1).await?;
        vault
            .put_v1("kept", "app", &json!({ "value": "still here" }))
            .await?;
        vault.seal().await?;
        let sealed = vault.read("kept/app").await;
        assert!(format!("{sealed:?}").contains("503"), "{sealed:?}");
        vault.unseal().await?;
        vault.kill()?;
        ensure!(
            vault.read("kept/app").await.is_err(),
            "a killed server answers"
        );
        vault.start_sealed().await?;
        vault.unseal().await?;
        vault.restart().await?;
        assert_eq!(vault.read("kept/app").await?["value"], "still here");
        Ok(())
    })
}

#[test]
fn the_api_server_restarts_and_a_watch_goes_on() -> Result<()> {
    run_alone(
        &GroundOptions {
            operator: false,
            ..GroundOptions::default()
        },
        async |t| {
            let control_plane = t.ground().control_plane();
            let map = "{ kind: ConfigMap, metadata: { name: note }, data: { state: before } }";
            t.apply(map).await?;
            let later = t.wait("ConfigMap", "note", "to say after", |map| {
                map["data"]["state"] == "after"
            });
            let restart = async {
                control_plane.stop_apiserver().await?;
                control_plane.start_apiserver().await?;
                t.apply(&map.replace("before", "after")).await
            };
            let (later, restarted) = tokio::join!(later, restart);
            restarted?;
            assert_eq!(later?["data"]["state"], "after");
            t.expect_refusal(
                "{ kind: ConfigMap, metadata: { name: Note } }",
                &["metadata.name", "RFC 1123"],
            )
            .await
        },
    )
}

#[test]
fn a_killed_or_interrupted_run_leaves_nothing_behind() -> Result<()> {
    for signal in ["KILL", "INT"] {
        let mut ground = Servers::start(&[])?;
        let held = processes_with(&ground.folder)?;
        ensure!(
            held.len() >= 4,
            "there should be four servers with {} in their arguments: {held:?}",
            ground.folder
        );
        ground.signal(signal)?;
        block_on(until("everything to be gone", SOON, async || {
            let gone = processes_with(&ground.folder)?.is_empty() && !fs::exists(&ground.folder)?;
            Ok(gone.then_some(()))
        }))??;
    }
    Ok(())
}

/// A process that holds a ground without an operator.
struct Servers {
    child: Child,
    folder: String,
    /// Held open, because a process that cannot print ends by itself.
    _output: BufReader<ChildStdout>,
}

impl Servers {
    fn start(flags: &[&str]) -> Result<Self> {
        let program = env!("CARGO_BIN_EXE_ground");
        let mut child = Command::new(program)
            .arg("servers")
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("read its output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let folder = line.trim_end().strip_prefix("folder ");
        let folder = folder
            .with_context(|| format!("find the folder in {line:?}"))?
            .to_owned();
        Ok(Self {
            child,
            folder,
            _output: output,
        })
    }

    fn signal(&mut self, signal: &str) -> Result<()> {
        let sent = Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status()?;
        ensure!(sent.success(), "kill -s {signal}: {sent}");
        let status = self.child.wait()?;
        let clean = status.success();
        ensure!(
            clean == (signal == "INT"),
            "it ended with {status} after SIG{signal}"
        );
        Ok(())
    }
}

/// The processes whose command line speaks of a folder or that live in it, by their numbers; but for the janitor that removes it.
fn processes_with(folder: &str) -> Result<Vec<(u32, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // A process may end while its neighbours are being read.
        let path = entry?.path();
        let Ok(bytes) = fs::read(path.join("cmdline")) else {
            continue;
        };
        let mut line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        // The children of a database server do not have its command line.
        if let Ok(home) = fs::read_link(path.join("cwd")) {
            line = format!("{line}in {}", home.display());
        }
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        if let Some(number) = number.filter(|_| line.contains(folder)) {
            found.push((number, line));
        }
    }
    Ok(found)
}

#[test]
fn a_place_in_a_log_divides_before_from_after() -> Result<()> {
    run(async |t| {
        let log = t.vault().audit().log();
        // Other tests are being logged as well.
        let mine = |text: &str| text.lines().filter(|line| line.contains(t.name())).count();
        let all = log.since(Place::START)?;
        assert!(mine(&all) > 0, "the log of the set-up is empty");
        let end = log.end()?;
        assert_eq!(mine(&log.since(end)?), 0);
        t.put("app", json!({ "password": "never in plain sight" }))
            .await?;
        let new = log.since(end)?;
        assert!(new.contains(&format!("{}/data/app", t.name())), "{new}");
        assert!(
            !new.contains("never in plain sight"),
            "the audit log shows values: {new}"
        );
        Ok(())
    })
}

#[test]
fn the_evidence_of_a_failure_tells_everything_but_values() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "not for the evidence" }))
            .await?;
        t.apply(
            "kind: VaultSecret
             metadata: { name: evident }
             spec:
               auth: { role: $tenant }
               sources: [{ name: app, kv: { path: $tenant/app } }]",
        )
        .await?;
        t.secret_with("evident", "password", "not for the evidence")
            .await?;
        let evidence = t.ground().evidence(t.name()).await;
        let path = format!("read {}/data/app", t.name());
        for part in [
            "\"kind\": \"VaultSecret\"",
            "\"name\": \"evident\"",
            &path,
            "all logs: ",
        ] {
            assert!(evidence.contains(part), "{part} is not in\n{evidence}");
        }
        assert!(
            !evidence.contains("not for the evidence"),
            "it shows a value:\n{evidence}"
        );
        assert!(!evidence.contains("not to be had"), "{evidence}");
        t.ground().ensure_no_leak().await
    })
}
