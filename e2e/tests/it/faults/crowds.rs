//! Many want something of a server that does one thing at a time.

use anyhow::Result;
use serde_json::json;
use vaultbridge_e2e::proxy::{Proxy, Way};
use vaultbridge_e2e::{Tenant, run};

/// The objects beside the one whose path hangs.
const OTHERS: [&str; 3] = ["one", "two", "three"];

#[test]
fn where_one_request_is_allowed_at_a_time_one_that_hangs_holds_up_the_others_no_longer_than_itself()
-> Result<()> {
    run(async |t| {
        let proxy = Proxy::start(t.vault().address()).await?;
        let spec =
            json!({ "address": proxy.address(), "timeout": "4s", "maxConcurrentRequests": 1 });
        let t = &Tenant::new(t.ground().clone(), t.name()).await?;
        t.ground().connect(t.name(), &spec).await?;
        for name in OTHERS.iter().chain(&["hanging"]) {
            t.password(name, "first password").await?;
            reader(t, name, "default").await?;
        }
        for name in OTHERS.iter().chain(&["hanging"]) {
            t.ready(name).await?;
        }

        // From here on, whatever gets done is done beside requests that hang until they are given up.
        let mark = t.mark().await?;
        proxy.set(Way::Without("/data/hanging"));
        t.complains_with("hanging", "VaultUnavailable", &["no answer within 4 s"])
            .await?;
        for name in OTHERS {
            t.polls(&mark, name, 3).await?;
            t.password(name, "second password").await?;
            t.secret_with(name, "password", "second password").await?;
        }
        t.service_account("late").await?;
        t.role(&format!("{}-late", t.name()), "late", json!({}))
            .await?;
        t.password("late", "first password").await?;
        reader(t, "late", "late").await?;
        t.ready("late").await?;
        t.connection_is("True", "Connected").await?;

        proxy.set(Way::Open);
        t.password("hanging", "second password").await?;
        t.secret_with("hanging", "password", "second password")
            .await?;
        t.reports("hanging", "Synced", "True", "Synced").await?;
        Ok(())
    })
}

/// An object that polls a secret of its name each second as that service account.
async fn reader(t: &Tenant, name: &str, account: &str) -> Result<()> {
    let role = match account {
        "default" => t.name().to_owned(),
        account => format!("{}-{account}", t.name()),
    };
    let object = format!(
        "kind: VaultSecret
metadata: {{ name: {name} }}
spec:
  connectionRef: {{ name: $tenant }}
  auth: {{ role: {role}, serviceAccountName: {account} }}
  sources: [{{ name: app, kv: {{ path: $tenant/{name} }} }}]
  refresh: {{ interval: 1s, jitterPercent: 0 }}"
    );
    t.apply(&object).await?;
    Ok(())
}
