//! The operator shown to people: [`demo`] tells its story in numbered steps, [`hold`] leaves everything running.

#![expect(
    clippy::print_stdout,
    reason = "this is what the command is for: it tells a person what happens"
)]

use anyhow::Result;
use serde_json::json;

use crate::Tenant;
use crate::ground::{Ground, GroundOptions};
use crate::postgres::ADMIN;

mod leases;
mod steps;
mod story;

pub use steps::demo;

/// Starts the servers, with the operator and PostgreSQL if wanted, says how to reach them, and waits for Ctrl-C or SIGTERM.
pub async fn hold(operator: bool, postgres: bool) -> Result<()> {
    let ground = Ground::own(&GroundOptions {
        operator,
        fences: false,
        ..GroundOptions::default()
    })
    .await?;
    let tenant = Tenant::new(ground.clone(), "playground").await?;
    tenant
        .put(
            "app",
            json!({ "username": "orders", "password": "change me" }),
        )
        .await?;
    let postgres = if postgres {
        Some(ground.postgres().await?)
    } else {
        None
    };
    println!("folder {}", ground.folder().display());
    println!("Everything runs until you press Ctrl-C. In another shell:\n");
    println!(
        "  export KUBECONFIG={}",
        ground.control_plane().kubeconfig().display()
    );
    println!(
        "  export VAULT_ADDR={} VAULT_TOKEN={}",
        ground.vault().address(),
        ground.vault().root_token()
    );
    if let Some(server) = postgres {
        println!(
            "  export PGHOST=127.0.0.1 PGPORT={} PGDATABASE=postgres PGUSER={} PGPASSWORD='{}'",
            server.port(),
            ADMIN.0,
            ADMIN.1
        );
    }
    println!(
        "\nThe namespace {0} may log in to Vault with the role {0} and read the KV mount {0}.",
        tenant.name()
    );
    if operator {
        println!("Try:\n\n{}", story::indented(&example(&tenant)));
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt?,
        _ = terminate.recv() => (),
    }
    println!("Cleaning up.");
    Ok(())
}

fn example(tenant: &Tenant) -> String {
    let name = tenant.name();
    format!(
        "kubectl apply -f - <<END\n\
         apiVersion: vaultbridge.dev/v1alpha1\n\
         kind: VaultSecret\n\
         metadata: {{ name: app, namespace: {name} }}\n\
         spec:\n  auth: {{ role: {name} }}\n  sources:\n  - name: app\n    kv: {{ path: {name}/app }}\n\
         END\n\
         kubectl -n {name} get vsec,secret\n"
    )
}
