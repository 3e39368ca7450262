//! The part of the story that is about a credential with an end: a database user that Vault issues.

use anyhow::{Result, ensure};

use super::story::{Story, kubectl, note, show};
use crate::nodes::NODE;
use crate::tenant::condition;
use crate::vault_server::DatabaseRole;
use crate::wait::{SOON, until};
use crate::{SecretView, Tenant};

/// What the team of the story writes.
const OBJECT: &str = "\
apiVersion: vaultbridge.dev/v1alpha1
kind: VaultSecret
metadata: { name: orders-db }
spec:
  auth: { role: $tenant }
  sources:
  - name: db
    read: { path: $path }
  lease: { overlap: 2s, replaced: Revoke }
  rollout:
    targets: [{ kind: Deployment, name: orders }]
";

/// What uses the Secret. Its pods run on a node that is pretended: nobody starts their programs, but they come and go as pods do.
const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: orders }
spec:
  replicas: 2
  selector: { matchLabels: { app: orders } }
  template:
    metadata: { labels: { app: orders } }
    spec:
      nodeName: $node
      containers:
      - { name: app, image: 'example.com/orders:1', envFrom: [{ secretRef: { name: orders-db } }] }
";

/// A user that lives for eight seconds unless it is renewed, and for sixteen whatever is done.
const ROLE: DatabaseRole<'static> = DatabaseRole {
    name: "orders",
    default_ttl: "8s",
    max_ttl: "16s",
    more: serde_json::Value::Null,
};

/// A database user is issued, renewed, replaced before it dies, and gone with its object.
pub async fn lend(story: &mut Story, tenant: &Tenant) -> Result<()> {
    story.step(
        "The team wants a database user; Vault issues them for 8 seconds, and renews them up to 16",
    );
    let path = tenant.database(&ROLE).await?;
    tenant.ground().nodes().await?;
    tenant.apply(&DEPLOYMENT.replace("$node", NODE)).await?;
    let object = OBJECT.replace("$path", &path);
    show(&object.replace("$tenant", tenant.name()));
    story.start_clock();
    tenant.apply(&object).await?;
    tenant.ready("orders-db").await?;
    let first = tenant.secret("orders-db").await?;
    tenant.logs_in(&first).await?;
    story.measured("the user of the Secret logged in after");
    let namespace = tenant.name();
    let ground = tenant.ground();
    show(&kubectl(
        ground,
        &["-n", namespace, "get", "vsec", "-o", "wide"],
    )?);
    story.done();

    replace(story, tenant, &first).await?;

    story.step("The team deletes the object");
    story.start_clock();
    tenant.delete("VaultSecret", "orders-db").await?;
    until(
        "the database to have no user of the team",
        SOON,
        async || Ok(tenant.database_users().await?.is_empty().then_some(())),
    )
    .await?;
    story.measured("no user of theirs was in the database any more after");
    story.done();
    Ok(())
}

/// The user is replaced while somebody logs in all the time, and what uses the Secret is restarted.
async fn replace(story: &mut Story, tenant: &Tenant, first: &SecretView) -> Result<()> {
    let (ground, namespace) = (tenant.ground(), tenant.name());
    story.step(
        "Somebody logs in all the time with what the Secret holds, until it holds another user",
    );
    let (mut logins, mut failures) = (0, Vec::new());
    until("another user in the Secret", SOON, async || {
        let secret = tenant.secret("orders-db").await?;
        logins += 1;
        if let Err(error) = tenant.logs_in(&secret).await {
            failures.push(format!("{error:#}"));
        }
        Ok((secret.text("username")? != first.text("username")?).then_some(()))
    })
    .await?;
    ensure!(failures.is_empty(), "logins failed: {failures:?}");
    story.told(&format!("{logins} logins, none failed"));
    tenant.logs_in(first).await?;
    note(
        "The old user works still: until what uses the Secret was restarted, and two seconds more.",
    );
    tenant
        .wait("VaultSecret", "orders-db", "to be rolled out", |object| {
            let rolled_out = condition(object, "RolledOut");
            let second = object["status"]["rolloutLook"]["revision"] == 2;
            second && rolled_out.is_some_and(|condition| condition["status"] == "True")
        })
        .await?;
    show(&kubectl(
        ground,
        &["-n", namespace, "get", "deployment,pods"],
    )?);
    story.done();
    Ok(())
}
