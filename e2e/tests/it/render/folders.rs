//! A folder in a preview is what it is in a cluster: of values in a file, and of a Vault.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vaultbridge_e2e::{READ, run, says};

use super::{Files, data_of, from_vault, object, render};

/// Folders as people write them, each with what is asked of it.
const FOLDERS: &[(&str, &str)] = &[
    ("whole", "path: $tenant/shop/"),
    (
        "below",
        "path: $tenant/shop, recursive: true, exclude: ['.*/old', db]",
    ),
    ("some", "path: $tenant/shop/, include: [db, smtp], limit: 2"),
    ("flat", "path: $tenant/shop, flatten: true, exclude: [imap]"),
    (
        "by-mount",
        "mount: $tenant, path: shop/db/, engineVersion: V2",
    ),
];

fn spec(folder: &str) -> String {
    let key = if folder.contains("recursive") {
        "data: [{ key: ALL, source: all }]"
    } else {
        "dataFrom: [{ source: all }]"
    };
    format!("sources: [{{ name: all, kvFolder: {{ {folder} }} }}]\n{key}")
}

#[test]
fn a_folder_is_rendered_of_a_file_and_of_vault_as_the_operator_writes_it() -> Result<()> {
    run(async |t| {
        t.policy(&[("$tenant/data/*", READ), ("$tenant/metadata/*", &["list"])])
            .await?;
        let mut values = json!({});
        for (name, fields) in [
            ("db", json!({ "user": "orders-user", "port": 5432 })),
            ("db/main", json!({ "password": "out of the folder" })),
            ("db/old", json!({ "password": "long gone by" })),
            ("imap", json!({ "user": "clashes when flat" })),
            ("smtp", json!({ "host": "smtp.internal", "nothing": null })),
            ("gone", Value::Null),
        ] {
            let path = format!("shop/{name}");
            t.put(
                &path,
                if fields.is_null() {
                    json!({ "a": "b" })
                } else {
                    fields.clone()
                },
            )
            .await?;
            if fields.is_null() {
                t.forget(&path).await?;
            }
            values[name] = fields;
        }
        let files = Files::new("folders")?;
        for (name, folder) in FOLDERS {
            let spec = spec(&folder.replace("$tenant", t.name()));
            t.carry(name, &spec).await?;
            t.ready(name).await?;
            let secret = t.get("Secret", name).await?.context("find the Secret")?;
            let read = from_vault(t, &files, &spec).await?;
            assert_eq!(read.code, Some(0), "{name}: {}", read.output);
            assert_eq!(data_of(&read)?, secret["data"], "{name}, of Vault");
            let values = match *name {
                "by-mount" => {
                    json!({ "all": { "main": values["db/main"], "old": values["db/old"] } })
                }
                _ => json!({ "all": values }),
            };
            let given = render(&files, &spec, &values, &["--show-values", "-o", "json"]).await?;
            assert_eq!(given.code, Some(0), "{name}: {}", given.output);
            assert_eq!(data_of(&given)?, secret["data"], "{name}, of the file");
        }
        Ok(())
    })
}

#[test]
fn a_folder_that_becomes_no_secret_is_told_in_the_words_of_the_operator() -> Result<()> {
    run(async |t| {
        t.policy(&[("$tenant/data/*", READ), ("$tenant/metadata/*", &["list"])])
            .await?;
        for name in ["a", "b"] {
            t.put(
                &format!("shop/{name}"),
                json!({ "password": "twice there" }),
            )
            .await?;
        }
        let both =
            json!({ "a": { "password": "twice there" }, "b": { "password": "twice there" } });
        let files = Files::new("bad-folders")?;
        for (name, folder, reason) in [
            ("many", "path: $tenant/shop, limit: 1", "InvalidSpec"),
            ("flat", "path: $tenant/shop, flatten: true", "KeyConflict"),
            ("none", "path: $tenant/shop, include: [c]", "PathNotFound"),
        ] {
            let spec = spec(&folder.replace("$tenant", t.name()));
            t.carry(name, &spec).await?;
            let told = t.complains(name, reason).await?;
            let line = format!("{reason}: {told}");
            let read = from_vault(t, &files, &spec).await?;
            assert_eq!(read.code, Some(1), "{name}: {}", read.output);
            says(&read.output, &[&line])?;
            let given = render(&files, &spec, &json!({ "all": both }), &[]).await?;
            assert_eq!(given.code, Some(1), "{name}: {}", given.output);
            says(&given.output, &[&line])?;
        }
        let empty = spec(&format!("path: {}/nothing/", t.name()));
        let read = from_vault(t, &files, &empty).await?;
        assert_eq!(read.code, Some(1), "{}", read.output);
        says(&read.output, &["PathNotFound", "has no entries in Vault"])?;
        let flat = render(
            &files,
            &empty,
            &json!({ "all": { "host": "smtp.internal" } }),
            &[],
        )
        .await?;
        assert_eq!(flat.code, Some(2), "{}", flat.output);
        says(
            &flat.output,
            &["source all", "entry \"host\" must be an object"],
        )?;
        assert!(!flat.output.contains("smtp.internal"), "{}", flat.output);
        let file = files.put("object.yaml", &object(&empty))?;
        let missing =
            vaultbridge_e2e::program::call(&["render", "-f", &file], super::NOTHING).await?;
        assert_eq!(missing.code, Some(2), "{}", missing.output);
        says(
            &missing.output,
            &[r#"such as {"all": {"smtp": {"password": "#],
        )
    })
}
