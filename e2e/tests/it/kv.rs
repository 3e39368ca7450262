//! KV secrets of both versions arrive as they are, are read once for all who share them, and what is gone is told apart.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use vaultbridge_e2e::stopwatch::Stopwatch;
use vaultbridge_e2e::{READ, run, source};

#[test]
fn the_engine_and_its_version_are_found_out_by_asking_vault() -> Result<()> {
    run(async |t| {
        let v1 = t.mount_v1().await?;
        t.put("two", json!({ "second": "of version two" })).await?;
        t.put_v1(&v1, "one", &json!({ "first": "of version one" }))
            .await?;
        let mark = t.ground().mark().await?;
        let sources = "sources:
- { name: one, kv: { path: $tenant-v1/one } }
- { name: two, kv: { path: $tenant/two } }";
        t.carry("both", sources).await?;
        t.secret_with("both", "first", "of version one").await?;
        let secret = t.secret_with("both", "second", "of version two").await?;
        assert_eq!(secret.keys(), ["first", "second"]);
        let object = t.ready("both").await?;
        let versions: Vec<_> = [0, 1].map(|at| &object["status"]["sources"][at]).into();
        assert_eq!(versions[0]["version"], json!(null), "{object}");
        assert_eq!(versions[1]["version"], 1, "{object}");
        let asked = t.vault_requests(&mark)?;
        let look_ups = asked.clone().below("sys/internal/ui/mounts/");
        assert_eq!(look_ups.len(), 2, "{asked}");
        Ok(())
    })
}

#[test]
fn a_mount_and_version_that_are_set_spare_the_look_up() -> Result<()> {
    run(async |t| {
        let v1 = t.mount_v1().await?;
        t.put("deep/two", json!({ "second": "of version two" }))
            .await?;
        t.put_v1(&v1, "one", &json!({ "first": "of version one" }))
            .await?;
        let mark = t.ground().mark().await?;
        let sources = "sources:
- { name: one, kv: { mount: $tenant-v1, path: one, engineVersion: V1 } }
- { name: two, kv: { mount: $tenant, path: deep/two, engineVersion: V2 } }";
        t.carry("both", sources).await?;
        t.ready("both").await?;
        t.polls(&mark, "deep/two", 2).await?;
        let secret = t.secret("both").await?;
        assert_eq!(secret.text("first")?, "of version one");
        assert_eq!(secret.text("second")?, "of version two");
        let asked = t.vault_requests(&mark)?;
        assert_eq!(asked.clone().below("sys/").len(), 0, "{asked}");
        Ok(())
    })
}

#[test]
fn a_pinned_version_stays_and_is_read_once() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "the first password" }))
            .await?;
        t.put("app", json!({ "password": "the second password" }))
            .await?;
        t.put("other", json!({ "note": "a fence" })).await?;
        let mark = t.ground().mark().await?;
        t.carry(
            "pinned",
            "sources: [{ name: app, kv: { path: $tenant/app, version: 1 } }]",
        )
        .await?;
        t.carry("other", &source("other")).await?;
        t.secret_with("pinned", "password", "the first password")
            .await?;
        t.put("app", json!({ "password": "the third password" }))
            .await?;
        t.polls(&mark, "other", 4).await?;
        let secret = t.secret("pinned").await?;
        assert_eq!(secret.text("password")?, "the first password");
        assert_eq!(t.reads_of("app", &mark)?, 1, "{}", t.vault_requests(&mark)?);
        let object = t.ready("pinned").await?;
        assert_eq!(object["status"]["sources"][0]["version"], 1, "{object}");
        Ok(())
    })
}

#[test]
fn a_pinned_version_that_does_not_exist_is_named() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "the only password" }))
            .await?;
        t.carry(
            "app",
            "sources: [{ name: app, kv: { path: $tenant/app, version: 7 } }]",
        )
        .await?;
        let path = format!("version 7 of {}/app", t.name());
        t.complains_with("app", "PathNotFound", &["source app", &path])
            .await
    })
}

#[test]
fn an_optional_source_contributes_nothing_until_it_appears() -> Result<()> {
    run(async |t| {
        t.put("base", json!({ "host": "db.internal" })).await?;
        let sources = "sources:
- { name: base, kv: { path: $tenant/base } }
- { name: extra, optional: true, kv: { path: $tenant/extra } }";
        t.carry("app", sources).await?;
        assert_eq!(t.secret("app").await?.keys(), ["host"]);
        let object = t.ready("app").await?;
        assert_eq!(object["status"]["sources"][1]["missing"], true, "{object}");
        t.put("extra", json!({ "flag": "now it is there" })).await?;
        let secret = t.secret_with("app", "flag", "now it is there").await?;
        assert_eq!(secret.keys(), ["flag", "host"]);
        t.forget("extra").await?;
        let without = t.secret_when("app", "to do without it again", |secret| {
            secret.keys() == ["host"]
        });
        without.await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn several_sources_make_one_secret_and_each_change_arrives() -> Result<()> {
    run(async |t| {
        for name in ["one", "two", "three"] {
            t.put(name, json!({ name: format!("value of {name}") }))
                .await?;
        }
        let sources = "sources:
- { name: a, kv: { path: $tenant/one } }
- { name: b, kv: { path: $tenant/two } }
- { name: c, kv: { path: $tenant/three } }";
        t.carry("app", sources).await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["one", "three", "two"]);
        t.put("two", json!({ "two": "another value of two" }))
            .await?;
        let secret = t.secret_with("app", "two", "another value of two").await?;
        assert_eq!(secret.text("three")?, "value of three");
        Ok(())
    })
}

const MANY: usize = 100;

#[test]
fn a_hundred_objects_of_one_identity_cost_one_login_and_one_read() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "shared by a hundred" }))
            .await?;
        let mark = t.ground().mark().await?;
        let spec = format!("{}\nrefresh: {{ interval: 10m }}", source("app"));
        t.carry_many("app", MANY, &spec).await?;
        let deadline = Duration::from_mins(1);
        t.all_with("app-", MANY, "password", "shared by a hundred", deadline)
            .await?;
        let asked = t.vault_requests(&mark)?;
        assert_eq!(t.reads_of("app", &mark)?, 1, "{asked}");
        assert_eq!(asked.clone().logins().len(), 1, "{asked}");
        assert_eq!(asked.len(), 3, "a login, a mount look-up, a read: {asked}");
        Ok(())
    })
}

#[test]
fn a_change_reaches_a_hundred_objects_within_the_interval_by_one_read() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "before the change" }))
            .await?;
        // Long enough for even a busy machine to write so many Secrets between two polls.
        let refresh = "refresh: { interval: 20s, jitterPercent: 0 }";
        let spec = format!("{}\n{refresh}", source("app"));
        t.carry_many("app", MANY, &spec).await?;
        let deadline = Duration::from_mins(1);
        t.all_with("app-", MANY, "password", "before the change", deadline)
            .await?;
        let mark = t.ground().mark().await?;
        t.polls(&mark, "app", 1).await?;
        let (mark, start) = (t.ground().mark().await?, Stopwatch::start());
        t.put("app", json!({ "password": "after the change" }))
            .await?;
        t.all_with("app-", MANY, "password", "after the change", deadline)
            .await?;
        start.tell("with an interval of 20 s, the change had reached all after");
        // Whoever had not got it with the first read would have waited for the second.
        assert_eq!(t.reads_of("app", &mark)?, 1, "{}", t.vault_requests(&mark)?);
        Ok(())
    })
}

#[test]
fn polls_that_find_nothing_new_read_once_per_interval_for_all_and_write_nothing() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "as it always was" }))
            .await?;
        let spec = format!(
            "{}\nrefresh: {{ interval: 4s, jitterPercent: 0 }}",
            source("app")
        );
        t.carry_many("app", 20, &spec).await?;
        let deadline = Duration::from_mins(1);
        t.all_with("app-", 20, "password", "as it always was", deadline)
            .await?;
        for number in 0..20 {
            t.ready(&format!("app-{number}")).await?;
        }
        let mark = t.ground().mark().await?;
        t.polls(&mark, "app", 1).await?;
        let (mark, start) = (t.ground().mark().await?, Instant::now());
        t.polls(&mark, "app", 4).await?;
        let intervals = start.elapsed().as_secs_f64() / 4.0;
        // A reading is shared until nineteen twentieths of the interval have passed.
        ensure!(
            intervals > 4.0 * 0.94,
            "four reads in {intervals} intervals: {}",
            t.vault_requests(&mark)?
        );
        let asked = t.ground().kube_requests(&mark).await?;
        let written = asked.in_namespace(t.name()).writes();
        assert_eq!(written.len(), 0, "{written}");
        Ok(())
    })
}

#[test]
fn a_restore_to_a_lower_version_is_a_change() -> Result<()> {
    run(async |t| {
        for value in ["first value", "second value", "third value"] {
            t.put("app", json!({ "value": value })).await?;
        }
        t.carry("app", &source("app")).await?;
        t.secret_with("app", "value", "third value").await?;
        t.vanish("app").await?;
        t.put("app", json!({ "value": "the restored value" }))
            .await?;
        t.secret_with("app", "value", "the restored value").await?;
        let object = t.wait("VaultSecret", "app", "to tell version 1", |object| {
            object["status"]["sources"][0]["version"] == 1
        });
        assert_eq!(object.await?["status"]["revision"], 2);
        Ok(())
    })
}

#[test]
fn a_change_in_an_engine_without_versions_is_seen() -> Result<()> {
    run(async |t| {
        let mount = t.mount_v1().await?;
        t.put_v1(&mount, "app", &json!({ "password": "before it changed" }))
            .await?;
        t.carry(
            "app",
            "sources: [{ name: app, kv: { path: $tenant-v1/app } }]",
        )
        .await?;
        let before = t
            .secret_with("app", "password", "before it changed")
            .await?;
        t.put_v1(&mount, "app", &json!({ "password": "after it changed" }))
            .await?;
        let after = t.secret_with("app", "password", "after it changed").await?;
        assert_eq!(after.uid(), before.uid());
        t.vault().delete(&format!("{mount}/app")).await?;
        let words = ["does not exist in Vault any more", "keeps its last value"];
        t.complains_with("app", "SourceDeleted", &words).await
    })
}

#[test]
fn a_mount_made_anew_without_versions_takes_no_secret_along_though_its_version_is_remembered()
-> Result<()> {
    run(async |t| {
        let mount = format!("{}-anew", t.name());
        t.policy(&[("$tenant-anew/*", READ), ("$tenant/*", READ)])
            .await?;
        t.vault().mount_kv(&mount, 2).await?;
        let before = json!({ "password": "with versions" });
        t.vault().put_v2(&mount, "app", &before).await?;
        let sources = "sources: [{ name: app, kv: { path: $tenant-anew/app } }]
destination: { missingSourcePolicy: Delete }
refresh: { interval: 1000h }";
        t.carry("app", sources).await?;
        let first = t.secret_with("app", "password", "with versions").await?;
        t.ready("app").await?;
        t.vault().delete(&format!("sys/mounts/{mount}")).await?;
        t.vault().mount_kv(&mount, 1).await?;
        t.put_v1(&mount, "app", &json!({ "password": "without versions" }))
            .await?;
        // A reading of the last second or two would do for an edit: while this one is polled, the one from before grows too old.
        t.app("clock", "first password", "1s").await?;
        let mark = t.mark().await?;
        t.polls(&mark, "clock", 5).await?;
        // An edit asks Vault at once, long before the memory of the mount is over.
        let edited = json!({ "spec": { "dataFrom": [{ "source": "app" }] } });
        t.patch("VaultSecret", "app", &edited).await?;
        let second = t.secret_with("app", "password", "without versions").await?;
        assert_eq!(second.uid(), first.uid(), "it was never deleted");
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_path_may_have_spaces_and_letters_of_any_language() -> Result<()> {
    run(async |t| {
        let path = "team a/größe & co/日本+1";
        t.put(path, json!({ "password": "from far away" })).await?;
        let v1 = t.mount_v1().await?;
        t.put_v1(&v1, path, &json!({ "older": "from further away" }))
            .await?;
        t.carry(
            "app",
            &format!(
                "sources:
- {{ name: two, kv: {{ path: '$tenant/{path}' }} }}
- {{ name: one, kv: {{ path: '$tenant-v1/{path}' }} }}"
            ),
        )
        .await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.text("password")?, "from far away");
        assert_eq!(secret.text("older")?, "from further away");
        Ok(())
    })
}

#[test]
fn a_demand_for_a_look_is_met_once_also_by_an_object_that_is_never_polled() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "0s").await?;
        t.password("app", "second password").await?;
        let mark = t.mark().await?;
        let demand =
            json!({ "metadata": { "annotations": { "vaultbridge.dev/force-sync": "1" } } });
        t.patch("VaultSecret", "app", &demand).await?;
        t.secret_with("app", "password", "second password").await?;
        t.wait("VaultSecret", "app", "to have met the demand", |object| {
            object["status"]["forceSync"].is_string()
        })
        .await?;
        let label = json!({ "metadata": { "labels": { "looked": "at" } } });
        t.patch("VaultSecret", "app", &label).await?;
        t.app("other", "another password", "0s").await?;
        assert_eq!(t.reads_of("app", &mark)?, 1);
        Ok(())
    })
}
