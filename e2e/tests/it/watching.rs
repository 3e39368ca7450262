//! What people watch the operator with works on what it really says: alerts fire and clear, and the dashboard has data.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use vaultbridge_e2e::prometheus::{Prometheus, rules, test_rules};
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, operator, run, run_alone};

use crate::leases::database_user;
use crate::leases::faults::PROMPT;

#[test]
fn the_alerts_fire_when_they_should_and_not_when_they_should_not() -> Result<()> {
    run(async |t| {
        let said = test_rules(&t.ground().folder().join("rules")).await?;
        ensure!(said.contains("SUCCESS"), "{said}");
        Ok(())
    })
}

#[test]
fn the_chart_has_the_alerts_and_the_dashboard_of_the_project_and_each_alert_has_its_page()
-> Result<()> {
    let project = operator::project();
    for (own, charts) in [
        ("prometheusrule.yaml", "prometheusrule.yaml"),
        ("vaultbridge.json", "dashboard.json"),
    ] {
        let own = fs::read_to_string(project.join("deploy/dashboards").join(own))?;
        let folder = project.join("deploy/chart/files/monitoring");
        assert_eq!(
            own,
            fs::read_to_string(folder.join(charts))?,
            "copy {charts}"
        );
    }
    let rules = rules()?;
    let mut count = 0;
    for rule in rules["groups"][0]["rules"].as_array().into_iter().flatten() {
        let name = rule["alert"].as_str().context("read its name")?;
        let page = format!("docs/runbooks/{name}.md");
        assert_eq!(rule["annotations"]["runbook_url"], page.as_str());
        let text = fs::read_to_string(project.join(&page)).context(page)?;
        let expression = rule["expr"].as_str().unwrap_or_default();
        ensure!(
            text.contains(expression),
            "{name}: its page has another expression"
        );
        count += 1;
    }
    ensure!(count >= 10, "only {count} alerts were found");
    Ok(())
}

/// The queries of the dashboard, with its variables filled in, by the titles of their panels.
fn queries() -> Result<Vec<(String, String)>> {
    let file = operator::project().join("deploy/dashboards/vaultbridge.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().into_iter().flatten() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().context("read a title")?;
            let query = target["expr"].as_str().context("read a query")?;
            let query = query
                .replace("$__rate_interval", "10s")
                .replace("$namespace", ".*");
            queries.push((title.to_owned(), query));
        }
    }
    Ok(queries)
}

/// Waits until exactly these alerts fire.
async fn fires(prometheus: &Prometheus, wanted: &[&str]) -> Result<()> {
    let wanted: BTreeSet<String> = wanted.iter().map(|&name| name.to_owned()).collect();
    until(&format!("{wanted:?} to fire"), SOON, async || {
        let firing: BTreeSet<String> = prometheus.firing().await?.into_iter().collect();
        Ok((firing == wanted).then_some(()))
    })
    .await
}

/// What each query brought, for the documentation, where that is asked for.
fn put_down(lines: &[String]) -> Result<()> {
    if let Some(file) = std::env::var_os("VAULTBRIDGE_PANELS") {
        fs::write(file, lines.join("\n") + "\n")?;
    }
    Ok(())
}

async fn every_panel_has_data(prometheus: &Prometheus) -> Result<()> {
    let mut lines = Vec::new();
    for (title, query) in queries()? {
        let result = until(&format!("data of {title}: {query}"), SOON, async || {
            let result = prometheus.query(&query).await?;
            Ok((!result.is_empty()).then_some(result))
        })
        .await?;
        for series in result.iter().take(3) {
            let labels = series["metric"].as_object().into_iter().flatten();
            let labels: Vec<_> = labels.filter_map(|(_, value)| value.as_str()).collect();
            let value = series["value"][1].as_str().unwrap_or_default();
            lines.push(format!("| {title} | {} | {value} |", labels.join(" ")));
        }
    }
    ensure!(lines.len() > 15, "{lines:?}");
    put_down(&lines)
}

async fn with_credentials(t: &Tenant) -> Result<()> {
    let role = DatabaseRole {
        default_ttl: "15s",
        ..DatabaseRole::default()
    };
    let path = t.database(&role).await?;
    database_user(t, "db", &path, PROMPT).await?;
    Ok(())
}

#[test]
fn a_credential_that_dies_fires_its_alerts_and_one_that_is_replaced_clears_them() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let folder = t.ground().folder().join("prometheus");
        let prometheus = Prometheus::start(&folder, t.operator()?.address()).await?;
        t.app("app", "first password", "2s").await?;
        with_credentials(t).await?;
        // Whoever runs alone does not compete for the lead, and leads.
        fires(&prometheus, &[]).await?;
        t.apply_app("nothing", "10m").await?;
        t.complains("nothing", "PathNotFound").await?;
        every_panel_has_data(&prometheus).await?;
        t.delete("VaultSecret", "nothing").await?;
        fires(&prometheus, &[]).await?;

        t.vault().seal().await?;
        t.reports("db", "Ready", "False", "LeaseLost").await?;
        until("the alerts of a dead credential", SOON, async || {
            let firing = prometheus.firing().await?;
            let all = [
                "VaultbridgeConnectionDown",
                "VaultbridgeCredentialDead",
                "VaultbridgeNotReady",
            ];
            Ok(all
                .iter()
                .all(|name| firing.iter().any(|one| one == name))
                .then_some(()))
        })
        .await?;
        let sealed = prometheus
            .query("vaultbridge_connection_sealed == 1")
            .await?;
        assert_eq!(sealed.len(), 1, "{sealed:?}");
        t.vault().unseal().await?;
        t.ready("db").await?;
        fires(&prometheus, &[]).await
    })
}
