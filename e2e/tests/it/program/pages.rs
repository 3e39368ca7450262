//! Its pages, its log, and its events.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use vaultbridge_e2e::program::call;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, run, run_alone};

/// Reads the text as a strict reader of metrics would, and returns the names of its families. Fails on whatever is not in form.
fn families(text: &str) -> Result<BTreeSet<String>> {
    let (mut families, mut current) = (BTreeSet::new(), (String::new(), String::new()));
    let body = text.strip_suffix("# EOF\n").context("find the end mark")?;
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').context("read a type")?;
            ensure!(families.insert(name.to_owned()), "{name} comes twice");
            current = (name.to_owned(), kind.to_owned());
        } else if line.starts_with("# ") {
            let known = ["# HELP ", "# UNIT "]
                .iter()
                .any(|word| line.starts_with(word));
            ensure!(known, "a comment of no kind: {line}");
        } else {
            let (series, value) = line.rsplit_once(' ').context("read a sample")?;
            value
                .parse::<f64>()
                .with_context(|| format!("read {line}"))?;
            let name = series.split('{').next().unwrap_or_default();
            let suffix = name.strip_prefix(&current.0);
            let allowed: &[&str] = match current.1.as_str() {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            let fits = suffix.is_some_and(|suffix| allowed.contains(&suffix));
            ensure!(fits, "{line} does not belong to {current:?}");
        }
    }
    Ok(families)
}

#[test]
fn the_metrics_are_openmetrics_and_count_what_the_product_promises() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "1s").await?;
        let url = format!("http://{}/metrics", t.operator()?.address());
        let answer = reqwest::get(url).await?;
        let kind = answer.headers()["content-type"].to_str()?.to_owned();
        assert!(
            kind.starts_with("application/openmetrics-text; version=1.0.0"),
            "{kind}"
        );
        let text = answer.text().await?;
        let families = families(&text).with_context(|| text.clone())?;
        for family in [
            "vaultbridge_build_info",
            "vaultbridge_connection_sealed",
            "vaultbridge_leases",
            "vaultbridge_queue_duration_seconds",
            "vaultbridge_reconcile_duration_seconds",
            "vaultbridge_vaultsecrets",
            "vaultbridge_reconcile",
            "vaultbridge_vault_requests",
            "vaultbridge_vault_request_duration_seconds",
            "vaultbridge_connection_up",
            "vaultbridge_vaultsecret_ready",
            "vaultbridge_vaultsecret_last_change_timestamp_seconds",
        ] {
            assert!(families.contains(family), "{family} is not in {families:?}");
        }
        let ours = format!("{{namespace=\"{}\",name=\"app\"}}", t.name());
        assert!(
            text.contains(&format!("vaultbridge_vaultsecret_ready{ours} 1\n")),
            "{text}"
        );
        assert!(
            text.contains("connection=\"default\",operation=\"login\",outcome=\"ok\""),
            "{text}"
        );
        t.delete("VaultSecret", "app").await?;
        until("the metrics to forget the object", SOON, async || {
            let text = t.operator()?.metrics().await?;
            Ok((!text.contains(&ours)).then_some(()))
        })
        .await
    })
}

#[test]
fn an_object_that_fails_is_seen_in_the_metrics() -> Result<()> {
    run(async |t| {
        t.apply_app("app", "10m").await?;
        t.complains("app", "PathNotFound").await?;
        let ours = format!("{{namespace=\"{}\",name=\"app\"}}", t.name());
        let ready = format!("vaultbridge_vaultsecret_ready{ours}");
        assert_eq!(t.operator()?.metric(&ready).await?, Some(0.0));
        let failed = "vaultbridge_reconcile_total{outcome=\"failed\",reason=\"PathNotFound\"}";
        assert!(t.operator()?.metric(failed).await? >= Some(1.0));
        Ok(())
    })
}

#[test]
fn it_is_healthy_and_ready_and_has_no_other_pages() -> Result<()> {
    run(async |t| {
        assert_eq!(t.operator()?.healthz().await?, 200);
        assert_eq!(t.operator()?.readyz().await?, 200);
        let url = format!("http://{}/debug", t.operator()?.address());
        assert_eq!(reqwest::get(url).await?.status(), 404);
        Ok(())
    })
}

#[test]
fn an_idle_operator_logs_nothing() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.app("app", "first password", "1s").await?;
        let before = t.operator()?.log()?.len();
        let mark = t.mark().await?;
        t.polls(&mark, "app", 5).await?;
        let log = t.operator()?.log()?;
        let loud = |line: &&str| {
            [" INFO ", " WARN ", " ERROR "]
                .iter()
                .any(|level| line.contains(level))
        };
        let lines: Vec<_> = log[before..].lines().filter(loud).collect();
        assert!(
            lines.is_empty(),
            "it has nothing to tell, and tells {lines:?}"
        );
        Ok(())
    })
}

#[test]
fn what_it_logs_can_be_changed_while_it_runs() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let pid = t.operator()?.service().id()?.to_string();
        let level = async |args: &[&str]| {
            let args = [&["log-level", "--pid", &pid], args].concat();
            call::<&str>(&args, &[]).await
        };
        let written = |t: &Tenant| -> Result<usize> {
            let log = t.operator()?.log()?;
            Ok(log.matches("Secret written").count())
        };
        t.app("loud", "first password", "10m").await?;
        let before = level(&[]).await?.output;
        let quiet = level(&["warn"]).await?;
        ensure!(quiet.code == Some(0), "{quiet:?}");
        let told = format!("warn (it was {})", before.trim());
        assert_eq!(quiet.output.trim(), told);

        let seen = written(t)?;
        ensure!(seen > 0, "the first Secret is not in the log");
        t.app("quiet", "first password", "10m").await?;
        assert_eq!(written(t)?, seen, "{}", t.operator()?.log_tail(20));

        let wrong = level(&["loud"]).await?;
        assert_eq!(wrong.code, Some(1), "{wrong:?}");
        ensure!(wrong.output.contains("\"loud\" is no level"), "{wrong:?}");
        assert_eq!(level(&[]).await?.output.trim(), "warn");
        level(&[before.trim()]).await?;
        t.app("again", "first password", "10m").await?;
        until("the third Secret in the log", SOON, async || {
            Ok((written(t)? > seen).then_some(()))
        })
        .await
    })
}

#[test]
fn a_vault_that_is_down_does_not_make_the_operator_unready() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.app("app", "first password", "1s").await?;
        t.vault().stop().await?;
        t.reports("app", "Synced", "False", "VaultUnavailable")
            .await?;
        assert_eq!(t.operator()?.readyz().await?, 200);
        t.operator()?.stop().await?;
        t.operator()?.start_again()?;
        t.operator()?.ready().await?;
        assert_eq!(t.operator()?.healthz().await?, 200);
        Ok(())
    })
}
