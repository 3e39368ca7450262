//! Certificates are issued once, and replaced before they end.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use vaultbridge_e2e::{GroundOptions, Mark, SecretView, Tenant, run, run_alone};

/// An object with a certificate; `more` is more of its source.
pub async fn certificate(t: &Tenant, name: &str, mount: &str, more: &str) -> Result<SecretView> {
    let pki = format!("{{ mount: {mount}, role: shop, commonName: orders.shop.svc {more} }}");
    t.carry(name, &format!("sources: [{{ name: tls, pki: {pki} }}]"))
        .await?;
    t.ready(name).await?;
    t.secret(name).await
}

fn issues(t: &Tenant, since: &Mark, mount: &str) -> Result<usize> {
    let path = format!("{mount}/issue/shop");
    let requests = t.vault_requests(since)?;
    Ok(requests.only(|request| request.path == path).len())
}

/// The source as the status tells it.
fn source(object: &Value) -> Result<&Value> {
    let source = &object["status"]["sources"][0];
    (source["type"] == "Certificate")
        .then_some(source)
        .with_context(|| format!("find a certificate in {object}"))
}

#[test]
fn a_certificate_is_issued_once_and_told_with_its_serial_number_and_end() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let mount = t.authority("shop").await?;
        let mark = t.mark().await?;
        let secret = certificate(t, "tls", &mount, ", dnsNames: [www.shop.svc], ttl: 24h").await?;
        let object = t.ready("tls").await?;
        let serial = secret.text("serial_number")?;
        assert_eq!(source(&object)?["serialNumber"], serial, "{object}");
        ensure!(object["status"]["expirationTime"].is_string(), "{object}");
        // Vault itself holds the certificate under that number, and it names whom it is for.
        let known = t.vault().read(&format!("{mount}/cert/{serial}")).await?;
        let pem = known["certificate"].as_str().unwrap_or_default();
        assert_eq!(pem.trim(), secret.text("certificate")?.trim());
        let chain = secret.text("chain")?;
        ensure!(chain.contains(pem.trim()), "{chain}");
        ensure!(chain.contains(secret.text("issuing_ca")?.trim()), "{chain}");

        t.operator()?.kill()?;
        t.operator()?.start_again()?;
        t.operator()?.ready().await?;
        // What comes after it in the queue tells that the first one was looked at.
        certificate(t, "other", &mount, "").await?;
        let now = t.secret("tls").await?;
        assert_eq!(now.resource_version(), secret.resource_version());
        assert_eq!(issues(t, &mark, &mount)?, 2);
        Ok(())
    })
}

/// Waits until a short certificate was replaced, and sees that this was in time.
pub async fn is_replaced_before_its_end(t: &Tenant) -> Result<()> {
    let mount = t.authority("shop").await?;
    let old = certificate(t, "tls", &mount, ", ttl: 30s").await?;
    let serial = old.text("serial_number")?;
    let new = t
        .secret_when("tls", "to hold another certificate", |secret| {
            secret.text("serial_number").is_ok_and(|now| now != serial)
        })
        .await?;
    let end: i64 = old.text("expiration")?.parse()?;
    let begin = new.metadata().managed_fields.iter().flatten();
    let begin = begin.filter_map(|field| field.time.as_ref());
    let written = begin.map(|time| time.0.as_second()).max();
    ensure!(
        written.is_some_and(|written| written < end),
        "{written:?} {end}"
    );
    Ok(())
}

#[test]
fn a_certificate_is_replaced_before_it_ends() -> Result<()> {
    run(async |t| is_replaced_before_its_end(t).await)
}

#[test]
fn what_the_role_does_not_allow_is_told_in_vaults_words() -> Result<()> {
    run(async |t| {
        let mount = t.authority("shop").await?;
        let pki = format!("{{ mount: {mount}, role: shop, commonName: www.example.com }}");
        t.carry("tls", &format!("sources: [{{ name: tls, pki: {pki} }}]"))
            .await?;
        t.complains_with(
            "tls",
            "InvalidSpec",
            &["source tls", "not allowed by this role"],
        )
        .await?;
        let edit = json!({ "spec": { "sources": [{ "name": "tls", "pki": { "mount": mount, "role": "shop", "commonName": "www.shop.svc" } }] } });
        t.patch("VaultSecret", "tls", &edit).await?;
        t.ready("tls").await?;
        Ok(())
    })
}
