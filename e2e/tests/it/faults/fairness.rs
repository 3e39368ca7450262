//! One namespace asks a server for more than it gives, and the others have their turn.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use vaultbridge_e2e::proxy::{Proxy, Way};
use vaultbridge_e2e::tenant::source;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{Tenant, run};

/// How many objects the one namespace has. Each asks every second, and the server answers two or three in a second: there are
/// always nearly as many that wait.
const MANY: usize = 50;

#[test]
fn a_namespace_with_many_slow_objects_leaves_the_places_of_a_connection_to_others() -> Result<()> {
    run(async |t| {
        let greedy = Tenant::new(t.ground().clone(), "greedy").await?;
        let proxy = Proxy::start(t.vault().address()).await?;
        let narrow = json!({ "address": proxy.address(), "maxConcurrentRequests": 2 });
        t.ground().connect(t.name(), &narrow).await?;
        let spec = |path: &str| {
            let (connection, source) = (t.name(), source(path));
            format!(
                "connectionRef: {{ name: {connection} }}\nrefresh: {{ interval: 1s, jitterPercent: 0 }}\n{source}"
            )
        };
        for number in 0..MANY {
            let name = format!("app-{number}");
            greedy.password(&name, "first password").await?;
            greedy.carry(&name, &spec(&name)).await?;
        }
        for number in 0..MANY {
            greedy.ready(&format!("app-{number}")).await?;
        }
        t.password("modest", "first password").await?;

        let mark = t.mark().await?;
        proxy.set(Way::Slow(Duration::from_millis(400)));
        let paths = format!("{}/data/", greedy.name());
        until("the many to stand in line", SOON, async || {
            let reads = mark.vault_requests()?.below(&paths);
            Ok((reads.len() > MANY / 5).then_some(()))
        })
        .await?;
        t.carry("modest", &spec("modest")).await?;
        t.secret_with("modest", "password", "first password")
            .await?;

        // Between its login and its read it asks for the mount as well. Whoever stood at the end of the line each time would see all
        // of the others pass, twice.
        let asked = mark.vault_requests()?;
        let login = asked
            .iter()
            .position(|one| one.path.ends_with("/login") && one.display_name.contains(t.name()));
        let path = format!("{}/data/modest", t.name());
        let read = asked.iter().position(|one| one.path == path);
        let (login, read) = (login.context("its login")?, read.context("its read")?);
        let passed = asked[login..read]
            .iter()
            .filter(|one| one.path.starts_with(&paths))
            .count();
        assert!(passed < MANY, "{passed} of the others came in between");
        proxy.set(Way::Open);
        Ok(())
    })
}
