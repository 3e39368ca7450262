//! Secrets that cannot be changed in place are what the object asks for all the same, also when they have to be made anew.

use anyhow::Result;
use serde_json::{Value, json};
use vaultbridge_e2e::{GroundOptions, SecretView, Tenant, run, run_alone, source};

/// A ready object `app` with this destination; `password` is in Vault.
async fn with(t: &Tenant, destination: &str) -> Result<Value> {
    let spec = format!("{}\ndestination: {destination}", source("app"));
    t.carry("app", &spec).await?;
    t.ready("app").await
}

async fn password(t: &Tenant, text: &str) -> Result<()> {
    t.put("app", json!({ "username": "orders", "password": text }))
        .await?;
    Ok(())
}

fn label<'a>(secret: &'a SecretView, name: &str) -> Option<&'a str> {
    let labels = secret.metadata().labels.as_ref()?;
    labels.get(name).map(String::as_str)
}

#[test]
fn labels_of_an_immutable_secret_change_in_place_and_values_make_it_anew_with_what_others_put_there()
-> Result<()> {
    run(async |t| {
        password(t, "granite").await?;
        with(t, "{ immutable: true, labels: { team: shop } }").await?;
        let first = t.secret("app").await?;
        assert!(first.is_immutable());
        let foreign = json!({ "metadata": { "labels": { "foreign": "label" } } });
        t.patch("Secret", "app", &foreign).await?;
        with(t, "{ immutable: true, labels: { team: store } }").await?;
        let labelled = t
            .secret_when("app", "to have the new label", |secret| {
                label(secret, "team") == Some("store")
            })
            .await?;
        assert_eq!(labelled.uid(), first.uid());

        password(t, "basalt").await?;
        t.secret_with("app", "password", "basalt").await?;
        let anew = t
            .secret_when("app", "to have the foreign label again", |secret| {
                label(secret, "foreign") == Some("label")
            })
            .await?;
        assert_ne!(anew.uid(), first.uid());
        assert!(anew.is_immutable());
        assert_eq!(label(&anew, "team"), Some("store"));
        t.wait("VaultSecret", "app", "to tell of revision 2", |object| {
            object["status"]["revision"] == 2
        })
        .await?;
        Ok(())
    })
}

#[test]
fn immutable_is_switched_on_in_place_and_off_by_making_the_secret_anew() -> Result<()> {
    run(async |t| {
        password(t, "granite").await?;
        with(t, "{}").await?;
        let first = t.secret("app").await?;
        assert!(!first.is_immutable());
        with(t, "{ immutable: true }").await?;
        let on = t.secret_when("app", "to be immutable", SecretView::is_immutable);
        assert_eq!(on.await?.uid(), first.uid());
        let object = with(t, "{}").await?;
        let off = t.secret_when("app", "to be mutable", |secret| !secret.is_immutable());
        let off = off.await?;
        assert_ne!(off.uid(), first.uid());
        assert_eq!(off.text("password")?, "granite");
        assert_eq!(object["status"]["revision"], 1, "no value has changed");
        password(t, "basalt").await?;
        let after = t.secret_with("app", "password", "basalt").await?;
        assert_eq!(after.uid(), off.uid());
        Ok(())
    })
}

#[test]
fn a_type_changes_back_and_forth_also_of_an_immutable_secret() -> Result<()> {
    run(async |t| {
        password(t, "granite").await?;
        let mut last = String::new();
        for kind in ["Opaque", "kubernetes.io/basic-auth", "Opaque"] {
            with(t, &format!("{{ immutable: true, type: {kind} }}")).await?;
            let secret = t
                .secret_when("app", "to be of the type", |secret| secret.kind() == kind)
                .await?;
            assert!(secret.is_immutable());
            assert_eq!(secret.text("password")?, "granite");
            assert_ne!(secret.uid(), last);
            last = secret.uid().to_owned();
        }
        Ok(())
    })
}

#[test]
fn an_immutable_secret_in_sync_is_not_written_again_after_a_restart_either() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        password(t, "granite").await?;
        with(t, "{ immutable: true }").await?;
        let before = t.secret("app").await?;
        t.operator()?.stop().await?;
        let mark = t.mark().await?;
        t.operator()?.start_again()?;
        t.polls(&mark, "app", 2).await?;
        let after = t.secret("app").await?;
        assert_eq!(after.resource_version(), before.resource_version());
        Ok(())
    })
}
