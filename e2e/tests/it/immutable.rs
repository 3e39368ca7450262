//! Secrets that cannot be changed in place are what the object asks for all the same, also when they have to be made anew.

use anyhow::Result;
use kube::api::ListParams;
use serde_json::{Value, json};
use vaultbridge_e2e::wait::{SOON, until};
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

#[test]
fn a_secret_that_cannot_be_made_anew_because_a_policy_is_against_it_stays() -> Result<()> {
    run(async |t| {
        password(t, "granite").await?;
        with(t, "{ immutable: true }").await?;
        let before = t.secret("app").await?;
        let named = [("request.name == 'another'", "no more of these")];
        t.refuse("CREATE", "secrets", &named).await?;
        let probe = "{ kind: Secret, metadata: { name: probe } }";
        until("the policy to be in force", SOON, async || {
            t.delete("Secret", "probe").await?;
            Ok(t.refusal(probe).await.is_ok().then_some(()))
        })
        .await?;
        password(t, "basalt").await?;
        let words = ["Secret app", "no more of these"];
        t.complains_with("app", "AdmissionDenied", &words).await?;
        let after = t.secret("app").await?;
        assert_eq!(after.uid(), before.uid());
        assert_eq!(after.text("password")?, "granite");
        t.refuse_no_more().await?;
        t.secret_with("app", "password", "basalt").await?;
        t.ready("app").await.map(drop)
    })
}

/// A quota with room for so many Secrets more than there are, in force.
async fn quota(t: &Tenant, more: i64) -> Result<()> {
    let secrets = t.api("Secret").await?;
    let secrets = secrets.list(&ListParams::default()).await?.items.len();
    let hard = (i64::try_from(secrets)? + more).to_string();
    let secrets = secrets.to_string();
    t.apply(&format!(
        "{{ kind: ResourceQuota, metadata: {{ name: few }}, spec: {{ hard: {{ count/secrets: '{hard}' }} }} }}"
    ))
    .await?;
    t.wait("ResourceQuota", "few", "to be in force", |quota| {
        let status = &quota["status"];
        let used = &status["used"]["count/secrets"];
        status["hard"]["count/secrets"] == hard && *used == secrets
    })
    .await
    .map(drop)
}

#[test]
fn a_secret_is_made_anew_where_a_quota_has_no_room_but_for_it_and_stays_where_it_has_not_even_that()
-> Result<()> {
    run(async |t| {
        password(t, "granite").await?;
        with(t, "{ immutable: true }").await?;
        quota(t, 0).await?;
        password(t, "basalt").await?;
        t.secret_with("app", "password", "basalt").await?;
        t.ready("app").await?;
        let before = t.secret("app").await?;
        quota(t, -1).await?;
        password(t, "limestone").await?;
        t.complains_with("app", "QuotaExceeded", &["exceeded quota: few"])
            .await?;
        assert_eq!(t.secret("app").await?.uid(), before.uid());
        t.delete("ResourceQuota", "few").await?;
        t.secret_with("app", "password", "limestone").await?;
        t.ready("app").await.map(drop)
    })
}
