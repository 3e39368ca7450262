//! The entries of a folder become one Secret, and follow what is written, deleted and forbidden there.

use anyhow::{Result, ensure};
use serde_json::json;
use vaultbridge_e2e::vault_server::{Listener, VaultKind, VaultRequests};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Mark, READ, Tenant, run, run_alone};

const LIST: &[&str] = &["list"];

/// One source, the folder `shop/` of the tenant's mount, with more said of it.
fn folder(more: &str) -> String {
    format!("sources: [{{ name: all, kvFolder: {{ path: $tenant/shop/{more} }} }}]")
}

/// Lets the tenant list, and where the server can, with everything that is known of the entries.
async fn may_list(t: &Tenant) -> Result<()> {
    let detailed: &[&str] = match t.vault().kind() {
        VaultKind::OpenBao => &["list", "scan"],
        VaultKind::Vault => LIST,
    };
    t.policy(&[
        ("$tenant/data/*", READ),
        ("$tenant/metadata/*", LIST),
        ("$tenant/detailed-metadata/*", detailed),
    ])
    .await
}

/// Entries of the folder, each with a password that has its name in it.
async fn entries(t: &Tenant, names: &[&str]) -> Result<()> {
    for name in names {
        t.put(&format!("shop/{name}"), password(name)).await?;
    }
    Ok(())
}

fn password(name: &str) -> serde_json::Value {
    json!({ "password": format!("pass phrase of {name}") })
}

/// What was asked about the folder since then: lists first, then reads.
fn asked(t: &Tenant, since: &Mark) -> Result<(VaultRequests, VaultRequests)> {
    let all = t.vault_requests(since)?.below(&format!("{}/", t.name()));
    let lists = all.clone().only(|request| !request.path.contains("/data/"));
    Ok((lists, all.only(|request| request.path.contains("/data/"))))
}

/// Waits for so many lists of the folder since then.
async fn lists(t: &Tenant, since: &Mark, times: usize) -> Result<()> {
    until(&format!("{times} lists"), 2 * SOON, async || {
        Ok((asked(t, since)?.0.len() >= times).then_some(()))
    })
    .await
}

#[test]
fn every_entry_of_a_folder_is_a_key_with_its_fields_as_json() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        entries(t, &["smtp", "imap", "below/not-taken"]).await?;
        t.carry("app", &folder("")).await?;
        let object = t.ready("app").await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["imap", "smtp"]);
        assert_eq!(secret.text("smtp")?, password("smtp").to_string());
        let source = &object["status"]["sources"][0];
        assert_eq!(
            (&source["type"], &source["entries"]),
            (&json!("Folder"), &json!(2)),
            "{object}"
        );
        Ok(())
    })
}

#[test]
fn entries_are_chosen_by_their_names_and_reached_by_pointers_and_templates() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        entries(t, &["db/main", "db/replica", "db/old/main", "smtp", "db"]).await?;
        let spec = format!(
            "{}
data:
- {{ key: POINTER, source: all, field: /db~1main/password }}
- {{ key: TEMPLATE, template: '{{{{ (index .all \"db/old/main\").password }}}}' }}
- {{ key: ALL, template: '{{{{ range $name, $_ := .all }}}}{{{{ $name }}}} {{{{ end }}}}' }}",
            folder(", recursive: true, include: ['db/.*', db], exclude: ['.*/replica']")
        );
        t.carry("app", &spec).await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.text("POINTER")?, "pass phrase of db/main");
        assert_eq!(secret.text("TEMPLATE")?, "pass phrase of db/old/main");
        // An entry may have the name of a folder.
        assert_eq!(secret.text("ALL")?, "db db/main db/old/main ");
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn flattened_entries_stand_side_by_side_until_two_have_the_same_field() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        t.put("shop/db", json!({ "user": "orders-user", "port": 5432 }))
            .await?;
        t.put("shop/smtp", json!({ "host": "smtp.internal" }))
            .await?;
        t.carry("app", &folder(", flatten: true")).await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["host", "port", "user"]);
        assert_eq!(secret.text("port")?, "5432");
        t.put(
            "shop/smtp",
            json!({ "host": "other.internal", "user": "mailer" }),
        )
        .await?;
        let words = ["source all", "\"user\"", "\"db\"", "\"smtp\"", "exclude"];
        t.complains_with("app", "KeyConflict", &words).await?;
        assert_eq!(t.secret("app").await?.text("host")?, "smtp.internal");
        t.put("shop/smtp", json!({ "host": "other.internal" }))
            .await?;
        t.secret_with("app", "host", "other.internal").await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_name_that_is_no_key_is_told_with_the_ways_out() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        entries(t, &["db/main"]).await?;
        t.carry("app", &folder(", recursive: true")).await?;
        let words = [
            "\"db/main\"",
            "spec.sources[all].kvFolder.flatten",
            "exclude",
        ];
        t.complains_with("app", "InvalidKeyName", &words).await?;
        t.put("shop/two%20words", password("two words")).await?;
        let spec = folder(", recursive: true, exclude: ['db/.*']");
        t.carry("spaced", &spec).await?;
        let words = [
            "\"two words\"",
            "spec.sources[all].kvFolder.flatten",
            "exclude",
        ];
        t.complains_with("spaced", "InvalidKeyName", &words).await?;
        let spec = folder(", recursive: true, exclude: ['db/.*'], flatten: true");
        t.carry("flat", &spec).await?;
        t.secret_with("flat", "password", "pass phrase of two words")
            .await?;
        Ok(())
    })
}

#[test]
fn entries_come_and_go_and_come_back() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        entries(t, &["smtp", "imap"]).await?;
        t.carry("app", &folder("")).await?;
        t.ready("app").await?;
        let keys = |keys: &'static [&'static str]| {
            t.secret_when("app", "to have other keys", move |secret| {
                secret.keys() == keys
            })
        };
        entries(t, &["ldap"]).await?;
        keys(&["imap", "ldap", "smtp"]).await?;
        t.vanish("shop/imap").await?;
        keys(&["ldap", "smtp"]).await?;
        t.forget("shop/smtp").await?;
        keys(&["ldap"]).await?;
        t.undelete("shop/smtp", 1).await?;
        keys(&["ldap", "smtp"]).await?;
        t.put("shop/smtp", json!({ "password": "a newer one" }))
            .await?;
        t.destroy("shop/ldap", 1).await?;
        let secret = keys(&["smtp"]).await?;
        assert_eq!(secret.text("smtp")?, r#"{"password":"a newer one"}"#);
        t.wait("VaultSecret", "app", "to tell of one entry", |object| {
            object["status"]["sources"][0]["entries"] == 1
        })
        .await?;
        Ok(())
    })
}

#[test]
fn when_the_last_entry_goes_the_policy_for_what_is_missing_decides() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        for policy in ["Retain", "Prune", "Delete"] {
            entries(t, &["smtp"]).await?;
            t.put("base", json!({ "port": "one two three" })).await?;
            let spec = format!(
                "sources:
- {{ name: all, kvFolder: {{ path: $tenant/shop }} }}
- {{ name: base, kv: {{ path: $tenant/base }} }}
destination: {{ missingSourcePolicy: {policy} }}"
            );
            t.carry("app", &spec).await?;
            t.ready("app").await?;
            let before = t.secret("app").await?;
            assert_eq!(before.keys(), ["port", "smtp"]);
            t.vanish("shop/smtp").await?;
            match policy {
                "Retain" => {
                    let words = [
                        "folder $tenant/shop/ has no entries",
                        "keeps its last value",
                    ];
                    t.complains_with("app", "SourceDeleted", &words).await?;
                    let after = t.secret("app").await?;
                    assert_eq!(after.resource_version(), before.resource_version());
                }
                "Prune" => {
                    let pruned = t.secret_when("app", "to be pruned", |s| s.keys() == ["port"]);
                    pruned.await?;
                    t.ready("app").await?;
                }
                _ => {
                    t.wait_gone("Secret", "app").await?;
                    let words = ["folder $tenant/shop/", "the Secret was deleted"];
                    t.complains_with("app", "SourceDeleted", &words).await?;
                }
            }
            entries(t, &["smtp"]).await?;
            let whole = t.secret_when("app", "to be whole", |s| s.keys() == ["port", "smtp"]);
            whole.await?;
            t.ready("app").await?;
            t.delete("VaultSecret", "app").await?;
            t.wait_gone("Secret", "app").await?;
        }
        Ok(())
    })
}

#[test]
fn a_folder_that_never_was_is_told_unless_it_is_optional_and_empties_no_secret() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        t.carry("app", &folder("")).await?;
        let words = [
            "folder $tenant/shop/ has no entries",
            "correct kvFolder.path",
        ];
        t.complains_with("app", "PathNotFound", &words).await?;
        let optional = json!({ "spec": { "sources": [{
            "name": "all", "optional": true, "kvFolder": { "path": format!("{}/shop/", t.name()) },
        }] } });
        t.patch("VaultSecret", "app", &optional).await?;
        let object = t.ready("app").await?;
        assert_eq!(object["status"]["sources"][0]["missing"], true, "{object}");
        entries(t, &["smtp"]).await?;
        t.secret_when("app", "to have the entry", |secret| {
            secret.keys() == ["smtp"]
        })
        .await?;
        // A typing error in an expression takes nothing away, whatever the policy.
        let wrong = json!({ "spec": {
            "destination": { "missingSourcePolicy": "Delete" },
            "sources": [{ "name": "all", "kvFolder": { "path": format!("{}/shop", t.name()), "include": ["smpt"] } }],
        } });
        t.patch("VaultSecret", "app", &wrong).await?;
        let words = ["none of the 1 entries", "kvFolder.include"];
        t.complains_with("app", "PathNotFound", &words).await?;
        assert_eq!(t.secret("app").await?.keys(), ["smtp"]);
        Ok(())
    })
}

#[test]
fn more_entries_than_the_limit_change_nothing_and_are_told() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        entries(t, &["a", "b"]).await?;
        t.carry("app", &folder(", limit: 2")).await?;
        t.ready("app").await?;
        entries(t, &["c"]).await?;
        let words = [
            "has 3 entries",
            "spec.sources[all].kvFolder.limit is 2",
            "raise it",
        ];
        t.complains_with("app", "InvalidSpec", &words).await?;
        assert_eq!(t.secret("app").await?.keys(), ["a", "b"], "no silent cut");
        t.vanish("shop/a").await?;
        t.secret_when("app", "to go on by itself", |secret| {
            secret.keys() == ["b", "c"]
        })
        .await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_forbidden_list_and_a_forbidden_entry_are_told_apart_with_what_the_policy_lacks() -> Result<()>
{
    run(async |t| {
        entries(t, &["smtp", "imap"]).await?;
        t.carry("app", &folder("")).await?;
        let words = [
            "source all: role $tenant may not list $tenant/shop/",
            r#"path "$tenant/metadata/shop/*" { capabilities = ["list"] }"#,
        ];
        t.complains_with("app", "PermissionDenied", &words).await?;
        t.policy(&[
            ("$tenant/data/shop/smtp", READ),
            ("$tenant/metadata/shop/*", LIST),
        ])
        .await?;
        let denied = t.wait("VaultSecret", "app", "to tell of the entry", |object| {
            object.to_string().contains("may not read")
        });
        let message = denied.await?["status"]["conditions"].to_string();
        t.says(
            &message,
            &["may not read $tenant/shop/imap", "$tenant/data/shop/imap"],
        )?;
        // Where only names may be listed, that suffices.
        t.policy(&[
            ("$tenant/data/shop/*", READ),
            ("$tenant/metadata/shop/*", LIST),
        ])
        .await?;
        t.ready("app").await?;
        assert_eq!(t.secret("app").await?.keys(), ["imap", "smtp"]);
        entries(t, &["ldap"]).await?;
        t.secret_when("app", "to have the new entry", |secret| {
            secret.keys() == ["imap", "ldap", "smtp"]
        })
        .await?;
        Ok(())
    })
}

#[test]
fn while_one_entry_is_refused_the_others_are_not_read_again() -> Result<()> {
    run(async |t| {
        entries(t, &["imap", "ldap", "smtp"]).await?;
        let rules: &[(&str, &[&str])] = &[
            ("$tenant/data/shop/imap", READ),
            ("$tenant/data/shop/smtp", READ),
            ("$tenant/metadata/*", LIST),
            ("$tenant/detailed-metadata/*", LIST),
        ];
        t.policy(rules).await?;
        let spec = format!("{}\nrefresh: {{ interval: 10m }}", folder(""));
        t.carry("app", &spec).await?;
        let words = [
            "may not read $tenant/shop/ldap",
            "or leave it out with spec.sources[all].kvFolder.exclude",
        ];
        t.complains_with("app", "PermissionDenied", &words).await?;
        let mark = t.mark().await?;
        t.polls(&mark, "shop/ldap", 3).await?;
        let (lists, reads) = asked(t, &mark)?;
        ensure!(lists.is_empty(), "the folder is as it was: {lists}");
        let others = reads.only(|request| !request.path.ends_with("/ldap"));
        ensure!(others.is_empty(), "only what was refused: {others}");
        let rules = [rules, &[("$tenant/data/shop/ldap", READ)]].concat();
        t.policy(&rules).await?;
        t.secret_when("app", "to be whole", |secret| {
            secret.keys() == ["imap", "ldap", "smtp"]
        })
        .await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn an_entry_that_is_refused_and_goes_is_no_obstacle_any_more() -> Result<()> {
    run(async |t| {
        entries(t, &["ldap", "smtp"]).await?;
        t.policy(&[
            ("$tenant/data/shop/smtp", READ),
            ("$tenant/metadata/*", LIST),
        ])
        .await?;
        t.carry("app", &folder("")).await?;
        let words = ["may not read $tenant/shop/ldap"];
        t.complains_with("app", "PermissionDenied", &words).await?;
        t.vanish("shop/ldap").await?;
        t.secret_when("app", "to have the other one", |secret| {
            secret.keys() == ["smtp"]
        })
        .await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_thousand_entries_are_read_once_each_where_the_limit_allows_them() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        for number in 0..=1000 {
            let fields = format!(r#"{{"number":{number}}}"#);
            t.put_text(&format!("shop/entry-{number:0>4}"), &fields)
                .await?;
        }
        let mark = t.mark().await?;
        let never = "refresh: { interval: 0s }";
        t.carry("app", &format!("{}\n{never}", folder(""))).await?;
        let words = [
            "has 1001 entries",
            "spec.sources[all].kvFolder.limit is 500; raise it",
        ];
        t.complains_with("app", "InvalidSpec", &words).await?;
        let (lists, reads) = asked(t, &mark)?;
        ensure!(reads.is_empty(), "nothing is read in vain: {reads}");
        ensure!(lists.len() <= 4, "{lists}");
        t.vanish("shop/entry-0500").await?;
        let mark = t.mark().await?;
        let spec = json!({ "spec": { "sources": [{
            "name": "all", "kvFolder": { "path": format!("{}/shop/", t.name()), "limit": 1000 },
        }] } });
        t.patch("VaultSecret", "app", &spec).await?;
        let object = t.ready("app").await?;
        assert_eq!(object["status"]["sources"][0]["entries"], 1000, "{object}");
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys().len(), 1000);
        assert_eq!(secret.text("entry-1000")?, r#"{"number":1000}"#);
        let (lists, reads) = asked(t, &mark)?;
        ensure!(lists.len() <= 2, "{lists}");
        ensure!(reads.len() == 1000, "{} reads", reads.len());
        Ok(())
    })
}

#[test]
fn names_with_odd_characters_are_asked_for_as_they_are() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        // As the harness has to write them into a URL.
        for encoded in [
            "a%20b",
            "50%25",
            "why%3F",
            "%23one",
            "gr%C3%B6%C3%9Fe%20%26%20co/x%2By",
        ] {
            t.put(&format!("shop/{encoded}"), password(encoded)).await?;
        }
        let spec = format!(
            "{}
data: [{{ key: ALL, source: all, field: '' }}]",
            folder(", recursive: true")
        );
        t.carry("app", &spec).await?;
        let all: serde_json::Value = serde_json::from_str(&t.secret("app").await?.text("ALL")?)?;
        for (name, encoded) in [
            ("a b", "a%20b"),
            ("50%", "50%25"),
            ("why?", "why%3F"),
            ("#one", "%23one"),
            ("größe & co/x+y", "gr%C3%B6%C3%9Fe%20%26%20co/x%2By"),
        ] {
            assert_eq!(all[name], password(encoded), "{name}: {all}");
        }
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_folder_of_an_engine_without_versions_is_followed_likewise() -> Result<()> {
    run(async |t| {
        let mount = t.mount_v1().await?;
        t.policy(&[("$tenant-v1/*", &["read", "list"])]).await?;
        for name in ["db/main", "db", "smtp"] {
            t.put_v1(&mount, &format!("shop/{name}"), &password(name))
                .await?;
        }
        let spec = "sources: [{ name: all, kvFolder: { path: $tenant-v1/shop, recursive: true } }]
data:
- { key: MAIN, source: all, field: /db~1main/password }
- { key: ALL, source: all, field: '' }";
        t.carry("app", spec).await?;
        t.secret_with("app", "MAIN", "pass phrase of db/main")
            .await?;
        t.put_v1(
            &mount,
            "shop/db/main",
            &json!({ "password": "a newer one" }),
        )
        .await?;
        let secret = t.secret_with("app", "MAIN", "a newer one").await?;
        let all: serde_json::Value = serde_json::from_str(&secret.text("ALL")?)?;
        assert_eq!(all["db"], password("db"), "{all}");
        t.vault().delete(&format!("{mount}/shop/smtp")).await?;
        t.secret_when("app", "to do without it", |secret| {
            secret.text("ALL").is_ok_and(|all| !all.contains("smtp"))
        })
        .await?;
        t.policy(&[("$tenant-v1/*", READ)]).await?;
        let words = [
            "may not list $tenant-v1/shop/",
            "\"$tenant-v1/shop/*\" (KV v1)",
        ];
        t.complains_with("app", "PermissionDenied", &words).await
    })
}

#[test]
fn two_objects_with_the_same_folder_ask_once() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        entries(t, &["a", "b", "c"]).await?;
        let mark = t.mark().await?;
        let spec = format!("{}\nrefresh: {{ interval: 10m }}", folder(""));
        t.carry_many("app", 2, &spec).await?;
        for name in ["app-0", "app-1"] {
            t.ready(name).await?;
        }
        let (lists, reads) = asked(t, &mark)?;
        assert_eq!(reads.len(), 3, "each entry once: {reads}");
        let names: Vec<_> = match t.vault().kind() {
            VaultKind::OpenBao => vec!["detailed-metadata"],
            // Whether it knows more than names is asked once.
            VaultKind::Vault => vec!["detailed-metadata", "metadata"],
        };
        assert_eq!(lists.len(), names.len(), "{lists}");
        Ok(())
    })
}

#[test]
fn a_folder_without_news_costs_one_request_where_the_list_tells_versions() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        entries(t, &["a", "b", "below/c"]).await?;
        let spec = format!(
            "{}
data: [{{ key: ALL, source: all, field: '' }}]
refresh: {{ interval: 2s, jitterPercent: 0 }}",
            folder(", recursive: true")
        );
        t.carry("app", &spec).await?;
        t.ready("app").await?;
        let settled = t.mark().await?;
        lists(t, &settled, 2).await?;
        let mark = t.mark().await?;
        lists(t, &mark, 6).await?;
        let (lists, reads) = asked(t, &mark)?;
        match t.vault().kind() {
            VaultKind::OpenBao => ensure!(reads.is_empty(), "nothing is read: {reads}"),
            VaultKind::Vault => {
                // Two folders, one after the other, and three entries.
                let polls = lists.len() / 2;
                ensure!(
                    (3 * (polls - 1)..=3 * (polls + 1)).contains(&reads.len()),
                    "{polls} polls: {lists} {reads}"
                );
            }
        }
        let written = t.kube_requests(&mark).await?.writes();
        assert_eq!(written.len(), 0, "{written}");
        t.put("shop/below/c", json!({ "password": "a newer one" }))
            .await?;
        t.secret_when("app", "to have the new version", |secret| {
            secret
                .text("ALL")
                .is_ok_and(|all| all.contains("a newer one"))
        })
        .await?;
        Ok(())
    })
}

#[test]
fn a_new_version_that_one_object_finds_wakes_those_that_read_the_folder() -> Result<()> {
    run(async |t| {
        may_list(t).await?;
        entries(t, &["a"]).await?;
        let never = "refresh: { interval: 0s }";
        t.carry("folder", &format!("{}\n{never}", folder("")))
            .await?;
        t.ready("folder").await?;
        t.carry(
            "single",
            "sources: [{ name: app, kv: { path: $tenant/shop/a } }]",
        )
        .await?;
        t.ready("single").await?;
        t.put("shop/a", json!({ "password": "a newer one" }))
            .await?;
        t.secret_with("single", "password", "a newer one").await?;
        t.secret_with("folder", "a", r#"{"password":"a newer one"}"#)
            .await?;
        Ok(())
    })
}

async fn furnished(t: &Tenant) -> Result<Tenant> {
    let tenant = Tenant::new(t.ground().clone(), t.name()).await?;
    tenant.with_own_vault(Listener::Plain).await
}

#[test]
fn a_sealed_vault_keeps_the_secret_of_a_folder_and_goes_on_where_it_was() -> Result<()> {
    run(async |t| {
        let t = &furnished(t).await?;
        may_list(t).await?;
        entries(t, &["a", "b"]).await?;
        let connection = format!("connectionRef: {{ name: {} }}\n{}", t.name(), folder(""));
        t.carry("app", &connection).await?;
        t.ready("app").await?;
        let before = t.secret("app").await?;
        t.vault().seal().await?;
        t.complains("app", "VaultSealed").await?;
        let after = t.secret("app").await?;
        assert_eq!(after.resource_version(), before.resource_version());
        t.vault().unseal().await?;
        entries(t, &["c"]).await?;
        t.secret_when("app", "to go on", |secret| secret.keys() == ["a", "b", "c"])
            .await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_restart_with_an_unchanged_folder_writes_nothing_and_reads_what_it_must() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        may_list(t).await?;
        entries(t, &["a", "b"]).await?;
        t.carry("app", &folder("")).await?;
        t.ready("app").await?;
        t.operator()?.stop().await?;
        let mark = t.mark().await?;
        t.operator()?.start_again()?;
        t.operator()?.ready().await?;
        lists(t, &mark, 4).await?;
        let written = t.kube_requests(&mark).await?.writes();
        assert_eq!(written.len(), 0, "{written}");
        let (lists, reads) = asked(t, &mark)?;
        if t.vault().kind() == VaultKind::OpenBao {
            ensure!(reads.is_empty(), "{lists} {reads}");
        }
        Ok(())
    })
}

#[test]
fn an_expression_that_is_none_is_told_with_its_place() -> Result<()> {
    run(async |t| {
        t.carry("app", &folder(", exclude: [ok, 'a(?=b)']")).await?;
        let words = [
            "spec.sources[all].kvFolder.exclude[1]: correct the expression",
            "at its character 2: look-around",
        ];
        t.complains_with("app", "InvalidSpec", &words).await
    })
}
