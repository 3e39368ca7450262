//! What a newcomer does wrong: each message names what it is about and the fix, and shows no value.

use anyhow::{Result, ensure};
use serde_json::json;
use vaultbridge_e2e::program::call;
use vaultbridge_e2e::vault_server::Listener;
use vaultbridge_e2e::{run, says};

use super::{Files, NOTHING, SOURCES, object, render};

/// A call that finds out nothing says these words, and no value.
async fn finds_out_nothing(args: &[&str], words: &[&str]) -> Result<()> {
    let ending = call(&[&["render"], args].concat(), NOTHING).await?;
    ensure!(ending.code == Some(2), "{args:?}: {ending:?}");
    says(&ending.output, words)?;
    ensure!(!ending.output.contains("s3cret"), "{ending:?}");
    Ok(())
}

#[test]
fn files_of_objects_that_are_not_what_they_should_be_are_told_by_name() -> Result<()> {
    run(async |_| {
        let files = Files::new("broken")?;
        let good = object(SOURCES);
        let other = "apiVersion: v1\nkind: Secret\nmetadata: { name: a }\n";
        let nameless = good.replace("name: orders, ", "");
        let torn = "a: s3cret stuff\nb: [\n";
        for (name, text, words) in [
            ("empty.yaml", "", "that you would apply"),
            ("other.yaml", other, "there is no VaultSecret in"),
            (
                "version.yaml",
                &good.replace("v1alpha1", "v1"),
                "here apiVersion is vaultbridge.dev/v1alpha1",
            ),
            ("nameless.yaml", &nameless, "no metadata.name; give it one"),
            ("torn.yaml", torn, "it is no YAML at line "),
        ] {
            let path = files.put(name, text)?;
            finds_out_nothing(&["-f", &path], &[name, words]).await?;
        }
        let nowhere = "/nowhere/orders.yaml";
        finds_out_nothing(&["-f", nowhere], &[nowhere, "No such file"]).await?;
        let (good, other) = (files.put("good.yaml", &good)?, files.put("a.yaml", other)?);
        let values = files.put("values.json", r#"{ "app": { "a": "b" } }"#)?;
        let args = ["render", "-f", &other, "-f", &good, "--values", &values];
        let both = call(&args, NOTHING).await?;
        ensure!(both.code == Some(0), "{both:?}");
        Ok(())
    })
}

#[test]
fn values_and_flags_that_are_not_what_they_should_be_are_told_with_the_fix() -> Result<()> {
    run(async |_| {
        let files = Files::new("values")?;
        let good = files.put("good.yaml", &object(SOURCES))?;
        let object = "one JSON object with a member for each source";
        let fields = "must be an object, such as {\"app\": {\"password\"";
        for (name, text, words) in [
            (
                "nothing.json",
                "",
                "the text is not JSON (line 1, column 0)",
            ),
            ("list.json", "[\"s3cret stuff\"]", object),
            ("text.json", r#"{"app": "s3cret stuff"}"#, fields),
        ] {
            let path = files.put(name, text)?;
            finds_out_nothing(&["-f", &good, "--values", &path], &[words]).await?;
        }
        let bytes = files.0.join("bytes.json");
        std::fs::write(&bytes, b"{\"app\": {\"password\": \"s3cret\xff\xfe\"}}")?;
        let (bytes, nowhere) = (bytes.display().to_string(), "/nowhere/values.json");
        for (values, words) in [
            (&*bytes, ["bytes.json", "no text in UTF-8", "data[].decode"]),
            (nowhere, ["read ", nowhere, "No such file"]),
        ] {
            finds_out_nothing(&["-f", &good, "--values", values], &words).await?;
        }
        let address = "--from-vault needs the address of Vault: set VAULT_ADDR";
        let token = "--from-vault needs your own token: set VAULT_TOKEN";
        let url = "https://127.0.0.1:1";
        let once = "standard input can be read once only";
        finds_out_nothing(&["-f", "-", "--values", "-"], &[once]).await?;
        finds_out_nothing(&["-f", &good, "--from-vault"], &[address]).await?;
        let args = ["-f", &good, "--from-vault", "--vault-address", url];
        finds_out_nothing(&args, &[token]).await
    })
}

#[test]
fn a_value_that_is_too_large_is_told_with_its_reason() -> Result<()> {
    run(async |_| {
        let files = Files::new("large")?;
        let values = json!({ "app": { "password": "x".repeat(2 << 20) } });
        let ending = render(&files, SOURCES, &values, &[]).await?;
        ensure!(ending.code == Some(1), "{}", ending.output.len());
        says(&ending.output, &["shop/orders: SecretTooLarge", "password"])?;
        ensure!(ending.output.len() < 2000, "the value is shown");
        Ok(())
    })
}

#[test]
fn a_server_that_cannot_be_trusted_is_told_in_the_words_of_the_command_line() -> Result<()> {
    run(async |t| {
        let vault = t.ground().another_vault(Listener::Tls).await?;
        let files = Files::new("tls")?;
        let good = files.put("good.yaml", &object(SOURCES))?;
        let no_pem = files.put("no.pem", "no certificate")?;
        let ca = files.put("ca.pem", &vault.ca())?;
        let environment = |ca: &str| {
            let mut all = vec![
                ("VAULT_ADDR", vault.address().to_owned()),
                ("VAULT_TOKEN", "anybody".to_owned()),
            ];
            if !ca.is_empty() {
                all.push(("VAULT_CACERT", ca.to_owned()));
            }
            all
        };
        let other = files.put(
            "other.pem",
            &vaultbridge_e2e::certificates::Authority::new("another")?.pem(),
        )?;
        for (ca, words) in [
            (
                "/nowhere/ca.pem",
                vec!["/nowhere/ca.pem", "--ca-file or VAULT_CACERT"],
            ),
            (&*no_pem, vec!["--ca-file", "PEM certificates"]),
            (
                &*other,
                vec![
                    "shop/orders",
                    "source app",
                    "certificate not trusted",
                    "--ca-file",
                ],
            ),
            (
                &*ca,
                vec![
                    "shop/orders",
                    "source app: read secret/app",
                    "permission denied",
                ],
            ),
        ] {
            let ending = call(&["render", "-f", &good, "--from-vault"], &environment(ca)).await?;
            ensure!(ending.code == Some(2), "{ca}: {ending:?}");
            says(&ending.output, &words)?;
            ensure!(!ending.output.contains("spec.tls"), "{ending:?}");
        }
        let args = [
            "render",
            "-f",
            &good,
            "--from-vault",
            "--tls-server-name",
            "elsewhere.example.com",
        ];
        let ending = call(&args, &environment(&ca)).await?;
        ensure!(ending.code == Some(2), "{ending:?}");
        says(
            &ending.output,
            &["it is for another name; set --tls-server-name"],
        )
    })
}
