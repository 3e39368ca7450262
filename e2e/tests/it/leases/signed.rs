//! Certificates whose keys are of every kind and origin: Vault's, the operator's, and those of requests that were made elsewhere.

use anyhow::{Context as _, Result, ensure};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData as _};
use serde_json::{Value, json};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{Mark, SecretView, Tenant, run};
use x509_parser::pem::Pem;

/// An object with a certificate for `orders.shop.svc`; `more` is more of its source, `rest` more of its spec.
async fn apply(t: &Tenant, name: &str, place: [&str; 2], more: &str, rest: &str) -> Result<()> {
    let [mount, role] = place;
    let pki = format!("{{ mount: {mount}, role: {role}, commonName: orders.shop.svc {more} }}");
    let sources = format!("sources: [{{ name: tls, pki: {pki} }}]\n{rest}");
    t.carry(name, &sources).await.map(drop)
}

/// The Secret of such an object, whose key must not be found anywhere else.
async fn certificate(
    t: &Tenant,
    name: &str,
    place: [&str; 2],
    more: &str,
    rest: &str,
) -> Result<SecretView> {
    apply(t, name, place, more, rest).await?;
    t.ready(name).await?;
    let secret = t.secret(name).await?;
    let key = secret.text("private_key").unwrap_or_default();
    for line in key.lines().filter(|line| line.len() == 64) {
        t.ground().canaries().remember_text(line);
    }
    Ok(secret)
}

/// A request for that name, as JSON (which is YAML), and the public key in it.
fn request(name: &str) -> Result<(String, Vec<u8>)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let pem = params.serialize_request(&key)?.pem()?;
    Ok((Value::from(pem).to_string(), key.der_bytes().to_vec()))
}

/// The public key that the certificate of the Secret is for, the algorithm of that key, and the names that it has.
fn told(secret: &SecretView) -> Result<(Vec<u8>, String, String)> {
    let pem = secret.text("certificate")?;
    let block = Pem::iter_from_buffer(pem.as_bytes()).next();
    let block = block.context("find a certificate")??;
    let certificate = block.parse_x509()?;
    let key = certificate.public_key();
    let names = certificate.subject_alternative_name()?;
    let names = names.map(|names| format!("{:?}", names.value.general_names));
    Ok((
        key.subject_public_key.data.to_vec(),
        key.algorithm.algorithm.to_id_string(),
        names.unwrap_or_default(),
    ))
}

/// Fails unless the private key of the Secret, in PKCS#8, is that of its certificate.
fn fits(secret: &SecretView) -> Result<()> {
    let key = KeyPair::from_pem(&secret.text("private_key")?)?;
    let (certified, ..) = told(secret)?;
    ensure!(key.der_bytes() == certified, "the key is another one");
    Ok(())
}

/// What the engine was asked for certificates.
fn asked(t: &Tenant, since: &Mark, mount: &str) -> Result<Vec<String>> {
    let requests = t.vault_requests(since)?;
    let requests = requests.only(|request| request.path.starts_with(mount));
    Ok(requests
        .iter()
        .map(|request| request.path.replacen(mount, "", 1))
        .collect())
}

#[test]
fn a_request_that_was_made_elsewhere_is_signed_and_its_key_stays_there() -> Result<()> {
    run(async |t| {
        let mount = t.authority("shop").await?;
        let (csr, key) = request("orders.shop.svc")?;
        let mark = t.mark().await?;
        let more = format!(", csr: {csr}, ttl: 24h");
        let secret = certificate(t, "tls", [&mount, "shop"], &more, "").await?;
        let (certified, _, names) = told(&secret)?;
        ensure!(certified == key, "the certificate is for another key");
        ensure!(names.contains("orders.shop.svc"), "{names}");
        let keys = secret.keys();
        ensure!(
            keys.contains(&"chain") && !keys.contains(&"bundle"),
            "{keys:?}"
        );
        ensure!(!keys.contains(&"private_key"), "{keys:?}");
        assert_eq!(asked(t, &mark, &mount)?, ["/sign/shop"]);
        Ok(())
    })
}

#[test]
fn a_key_that_the_operator_makes_fits_its_certificate_and_is_never_vaults() -> Result<()> {
    run(async |t| {
        let mount = t.authority("shop").await?;
        t.authority_role(&mount, "any", &json!({ "key_type": "any" }))
            .await?;
        let mark = t.mark().await?;
        let names =
            ", dnsNames: [www.shop.svc], ipAddresses: [10.0.0.1], uris: [\"spiffe://shop/a\"]";
        for (name, key, kind, algorithm) in [
            ("p256", "{}", "ec", "1.2.840.10045.2.1"),
            (
                "p384",
                "{ algorithm: ECDSA, size: 384 }",
                "ec",
                "1.2.840.10045.2.1",
            ),
            (
                "ed25519",
                "{ algorithm: Ed25519 }",
                "ed25519",
                "1.3.101.112",
            ),
        ] {
            let more = format!("{names}, privateKey: {key}");
            let secret = certificate(t, name, [&mount, "any"], &more, "").await?;
            fits(&secret).with_context(|| name.to_owned())?;
            let (public, found, told) = told(&secret)?;
            assert_eq!(found, algorithm);
            let length = match name {
                "p256" => 65,
                "p384" => 97,
                _ => 32,
            };
            assert_eq!(public.len(), length, "{name}");
            for word in [
                "orders.shop.svc",
                "www.shop.svc",
                "[10, 0, 0, 1]",
                "spiffe://shop/a",
            ] {
                ensure!(told.contains(word), "{name}: find {word} in {told}");
            }
            assert_eq!(secret.text("private_key_type")?, kind);
            let (key, bundle) = (secret.text("private_key")?, secret.text("bundle")?);
            ensure!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "{name}");
            ensure!(bundle.ends_with(&key), "the bundle of {name} has no key");
            let object = t.ready(name).await?;
            let told = &object["status"]["sources"][0]["serialNumber"];
            assert_eq!(*told, secret.text("serial_number")?, "{object}");
        }
        let asked = asked(t, &mark, &mount)?;
        assert_eq!(asked, ["/sign/any", "/sign/any", "/sign/any"]);
        Ok(())
    })
}

#[test]
fn an_edit_of_a_secret_is_undone_with_the_key_that_was_made_for_it() -> Result<()> {
    run(async |t| {
        let mount = t.authority("shop").await?;
        let mark = t.mark().await?;
        let more = ", privateKey: {}";
        let secret = certificate(t, "tls", [&mount, "shop"], more, "").await?;
        let key = secret.text("private_key")?;
        let edit = json!({ "stringData": { "private_key": "x" } });
        t.patch("Secret", "tls", &edit).await?;
        t.secret_with("tls", "private_key", &key).await?;
        assert_eq!(asked(t, &mark, &mount)?, ["/sign/shop"]);
        Ok(())
    })
}

#[test]
fn a_signed_certificate_is_replaced_by_one_with_a_new_key() -> Result<()> {
    run(async |t| {
        let mount = t.authority("shop").await?;
        let more = ", privateKey: {}, ttl: 30s";
        let old = certificate(t, "tls", [&mount, "shop"], more, "").await?;
        let serial = old.text("serial_number")?;
        let new = t
            .secret_when("tls", "to hold another certificate", |secret| {
                secret.text("serial_number").is_ok_and(|now| now != serial)
            })
            .await?;
        fits(&new)?;
        ensure!(old.text("private_key")? != new.text("private_key")?);
        Ok(())
    })
}

#[test]
fn vaults_own_keys_are_of_the_type_and_in_the_format_that_are_asked_for() -> Result<()> {
    run(async |t| {
        let mount = t.authority("shop").await?;
        for (kind, bits, label, algorithm) in [
            ("rsa", 2048, "RSA PRIVATE KEY", "1.2.840.113549.1.1.1"),
            ("ec", 256, "EC PRIVATE KEY", "1.2.840.10045.2.1"),
            ("ed25519", 0, "PRIVATE KEY", "1.3.101.112"),
        ] {
            let role = json!({ "key_type": kind, "key_bits": bits });
            t.authority_role(&mount, kind, &role).await?;
            let secret = certificate(t, kind, [&mount, kind], "", "").await?;
            let key = secret.text("private_key")?;
            ensure!(key.starts_with(&format!("-----BEGIN {label}-----")));
            assert_eq!(secret.text("private_key_type")?, kind);
            assert_eq!(told(&secret)?.1, algorithm);
            let more = ", parameters: { private_key_format: pkcs8 }";
            let name = format!("{kind}-pkcs8");
            let secret = certificate(t, &name, [&mount, kind], more, "").await?;
            fits(&secret).with_context(|| kind.to_owned())?;
            assert_eq!(secret.text("private_key_type")?, kind);
        }
        Ok(())
    })
}

#[test]
fn a_request_that_cannot_be_signed_is_told_with_its_field_and_the_fix() -> Result<()> {
    run(async |t| {
        let mount = t.authority("shop").await?;
        let foreign = format!(", csr: {}", request("www.example.com")?.0);
        let rsa = json!({ "key_type": "rsa", "key_bits": 2048 });
        t.authority_role(&mount, "rsa", &rsa).await?;
        for (name, role, more, words) in [
            (
                "foreign",
                "shop",
                foreign.as_str(),
                [
                    "correct spec.sources[tls].pki.csr",
                    "not allowed by this role",
                ],
            ),
            (
                "other-key",
                "rsa",
                ", privateKey: { algorithm: Ed25519 }",
                [
                    "correct spec.sources[tls].pki.privateKey",
                    "what role rsa of the engine allows",
                ],
            ),
            (
                "no-pem",
                "shop",
                ", csr: \"a request\"",
                [
                    "spec.sources[tls].pki.csr is not PEM",
                    "-----BEGIN CERTIFICATE REQUEST-----",
                ],
            ),
        ] {
            apply(t, name, [&mount, role], more, "").await?;
            t.complains_with(name, "InvalidSpec", &words).await?;
        }
        Ok(())
    })
}

#[test]
fn a_replaced_certificate_is_revoked_where_its_role_gives_leases_and_nowhere_else() -> Result<()> {
    run(async |t| {
        let mount = t.authority("shop").await?;
        let role = json!({ "key_type": "ec", "key_bits": 256, "generate_lease": true });
        t.authority_role(&mount, "leased", &role).await?;
        let rest = "lease: { overlap: 1s, replaced: Revoke }";
        let mut serials = Vec::new();
        for (name, role, more) in [
            ("plain", "shop", ", privateKey: {}"),
            ("issued", "leased", ""),
            ("signed", "leased", ", privateKey: {}"),
        ] {
            let old = certificate(t, name, [&mount, role], more, rest).await?;
            let old = old.text("serial_number")?;
            let force =
                json!({ "metadata": { "annotations": { "vaultbridge.dev/force-sync": "now" } } });
            t.patch("VaultSecret", name, &force).await?;
            let new = t.secret_when(name, "to hold another certificate", |secret| {
                secret.text("serial_number").is_ok_and(|now| now != old)
            });
            let new = new.await?.text("serial_number")?;
            t.wait("VaultSecret", name, "to have one session", |object| {
                let sessions = object["status"]["sessions"].as_array();
                sessions.is_none_or(|sessions| sessions.len() <= 1)
            })
            .await?;
            serials.push((name, old, new));
        }
        for (name, old, new) in serials {
            let revoked = async |serial: &str| {
                let path = format!("{mount}/cert/{serial}");
                let found = t.vault().read(&path).await?;
                let time = found["revocation_time"].as_i64();
                time.context("find when it was revoked")
                    .map(|time| time > 0)
            };
            if name == "plain" {
                ensure!(!revoked(&old).await?, "{name}: {old} was revoked");
            } else {
                let what = format!("{old} of {name} to be revoked");
                until(&what, SOON, async || Ok(revoked(&old).await?.then_some(()))).await?;
            }
            ensure!(!revoked(&new).await?, "{name}: {new} was revoked");
        }
        Ok(())
    })
}
