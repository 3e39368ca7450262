//! What the API server refuses, by quota, policy or a namespace that ends, is told in its words and heals by itself.

use anyhow::Result;
use serde_json::json;
use vaultbridge_e2e::{Tenant, run, says, source};

async fn carried(t: &Tenant) -> Result<()> {
    t.put("app", json!({ "password": "it meets resistance" }))
        .await?;
    t.carry("app", &source("app")).await?;
    Ok(())
}

fn quota(secrets: u32) -> String {
    format!(
        "{{ kind: ResourceQuota, metadata: {{ name: few }}, spec: {{ hard: {{ count/secrets: '{secrets}' }} }} }}"
    )
}

#[test]
fn a_quota_that_refuses_the_secret_is_told_and_heals_when_it_is_raised() -> Result<()> {
    run(async |t| {
        t.apply(&quota(0)).await?;
        // Without a status the quota is not in force yet.
        t.wait("ResourceQuota", "few", "to be in force", |quota| {
            quota["status"]["hard"]["count/secrets"] == "0"
        })
        .await?;
        carried(t).await?;
        let words = ["quota", "exceeded quota: few", "count/secrets"];
        t.complains_with("app", "QuotaExceeded", &words).await?;
        t.apply(&quota(5)).await?;
        t.secret_with("app", "password", "it meets resistance")
            .await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_policy_that_refuses_the_secret_is_told_in_its_own_words_and_heals_when_it_goes() -> Result<()>
{
    run(async |t| {
        let labelled = "has(object.metadata.labels) && 'team' in object.metadata.labels";
        let validations = [
            (labelled, "every Secret needs the label team"),
            ("request.name != 'never'", "never"),
        ];
        t.refuse("CREATE", "secrets", &validations).await?;
        let probe = "{ kind: Secret, metadata: { name: never } }";
        vaultbridge_e2e::wait::until(
            "the policy to be in force",
            vaultbridge_e2e::wait::SOON,
            async || {
                t.delete("Secret", "never").await?;
                Ok(t.refusal(probe).await.is_ok().then_some(()))
            },
        )
        .await?;
        carried(t).await?;
        let words = ["Secret app", t.name(), "every Secret needs the label team"];
        t.complains_with("app", "AdmissionDenied", &words).await?;
        let spec = format!(
            "{}\ndestination: {{ labels: {{ team: shop }} }}",
            source("app")
        );
        t.carry("app", &spec).await?;
        t.secret_with("app", "password", "it meets resistance")
            .await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_value_that_the_type_does_not_admit_is_refused_without_showing_it() -> Result<()> {
    run(async |t| {
        t.put(
            "app",
            json!({ ".dockerconfigjson": "not JSON, but secret" }),
        )
        .await?;
        let spec = format!(
            "{}\ndestination: {{ type: kubernetes.io/dockerconfigjson }}",
            source("app")
        );
        t.carry("app", &spec).await?;
        let words = [".dockerconfigjson", "copied from a source", "is no JSON"];
        t.complains_with("app", "InvalidValue", &words).await?;
        t.ground().ensure_no_leak().await?;
        t.put("app", json!({ ".dockerconfigjson": r#"{"auths":{}}"# }))
            .await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_namespace_that_is_deleted_goes_at_once_and_nothing_is_written_into_it() -> Result<()> {
    run(async |t| {
        carried(t).await?;
        t.ready("app").await?;
        // Something in the namespace keeps it terminating for as long as we look.
        t.apply("{ kind: ConfigMap, metadata: { name: brake, finalizers: [example.com/wait] } }")
            .await?;
        t.apply("{ kind: Secret, metadata: { name: held, finalizers: [example.com/wait] } }")
            .await?;
        let spec = format!("{}\ndestination: {{ name: held }}", source("app"));
        t.carry("late", &spec).await?;
        t.complains("late", "SecretConflict").await?;
        t.patch(
            "VaultSecret",
            "late",
            &json!({ "metadata": { "finalizers": ["example.com/wait"] } }),
        )
        .await?;
        t.delete("Namespace", t.name()).await?;
        t.wait_gone("Secret", "app").await?;
        let message = t
            .reports("late", "Synced", "False", "NamespaceTerminating")
            .await?;
        says(&message, &[t.name(), "is being deleted"])?;
        let mark = t.ground().mark().await?;
        t.wait_gone("ServiceAccount", "default").await?;
        let free = json!({ "metadata": { "finalizers": null } });
        t.patch("Secret", "held", &free).await?;
        t.wait_gone("Secret", "held").await?;
        t.patch("VaultSecret", "late", &free).await?;
        t.patch("ConfigMap", "brake", &free).await?;
        t.wait_gone("Namespace", t.name()).await?;
        let asked = t.ground().kube_requests(&mark).await?;
        let written = asked.in_namespace(t.name()).resource("secrets").writes();
        assert_eq!(written.len(), 0, "{written}");
        Ok(())
    })
}
