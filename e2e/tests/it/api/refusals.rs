//! What cannot be is refused by the API server itself, with the field and the fix.

use anyhow::{Result, ensure};
use serde_json::Value;
use vaultbridge_e2e::run;

use super::{CONNECTION, SMALL};

#[test]
fn a_path_that_vault_could_read_as_another_path_is_refused_with_the_fix() -> Result<()> {
    run(async |t| {
        let long = "a/".repeat(256) + "b";
        let paths = r#"
- at: /spec/sources/0/kv/path
  bad: [secret/../a, secret/./a, ../a, secret/..]
  says: ["spec.sources[0].kv.path", must not contain . or .. as a segment]
- at: /spec/sources/0/kv/path
  bad: [/secret/a, secret/a/]
  says: ["spec.sources[0].kv.path", must not start or end with a slash]
- at: /spec/sources/0/kv/path
  bad: [secret//a]
  says: ["spec.sources[0].kv.path", must not contain an empty segment (//)]
- at: /spec/sources/0/kv/path
  bad: [secret/a%2fb, secret/a?b, "secret/a#b", "secret/a\tb", "secret/a\nb", "secret/a\u0000b", "secret/a\u007fb", 'secret/a\b', 'a\..\sys/b']
  says: ["spec.sources[0].kv.path", 'must not contain %, ?, #, \ or control characters; write the path as it is, unescaped']
- at: /spec/sources/0/kv/path
  bad: [orders]
  says: ["spec.sources[0].kv:", needs its mount in front, or set kv.mount]
- at: /spec/sources/0/kv/path
  bad: [sys/mounts, auth/token/lookup-self, identity/entity, cubbyhole/a]
  says: ["spec.sources[0].kv:", "kv.path must be a path of a KV engine, not of sys/, auth/, identity/ or cubbyhole/"]
- at: /spec/sources/0/kv/path
  bad: [""]
  says: ["spec.sources[0].kv.path", at least 1]
- at: /spec/sources/0/kv/path
  bad: [$long]
  says: ["spec.sources[0].kv.path", "512"]
- at: /spec/sources/0/kv/mount
  bad: [/secret, secret/, a//b, a%b, a?b, "a#b", "a\nb", 'a\..\sys']
  says: ["spec.sources[0].kv.mount", must be a mount such as secret]
- at: /spec/sources/0/kv/mount
  bad: [., .., a/../b]
  says: ["spec.sources[0].kv.mount", must not contain . or .. as a segment]
- at: /spec/sources/0/kv/mount
  bad: [sys, auth/kubernetes, identity, cubbyhole]
  says: ["spec.sources[0].kv.mount", must be the mount of a KV engine]
"#;
        t.expect_refusals(SMALL, &paths.replace("$long", &long))
            .await
    })
}

#[test]
fn a_path_below_a_mount_may_begin_with_any_word() -> Result<()> {
    run(async |t| {
        for path in ["auth/smtp", "sys", "identity/db", "orders"] {
            let kv = format!("kv: {{ mount: secret, path: {path} }}");
            let object = SMALL.replace("kv: { path: secret/shop/orders }", &kv);
            let answer = t.dry_run(&object).await?;
            assert_eq!(answer.code, 201, "{path}: {answer:?}");
        }
        Ok(())
    })
}

#[test]
fn a_folder_that_vault_could_read_as_another_path_is_refused_with_the_fix() -> Result<()> {
    run(async |t| {
        let long = "a".repeat(257);
        let many = vec!["a"; 33].join(", ");
        let folders = r#"
- at: /spec/sources/0
  bad: [{ name: a, kvFolder: { path: secret/../a } }, { name: a, kvFolder: { path: secret/./ } }, { name: a, kvFolder: { path: secret/.. } }]
  says: ["spec.sources[0].kvFolder.path", must not contain . or .. as a segment]
- at: /spec/sources/0
  bad: [{ name: a, kvFolder: { path: /secret/a } }, { name: a, kvFolder: { path: / } }]
  says: ["spec.sources[0].kvFolder.path", must not start with a slash]
- at: /spec/sources/0
  bad: [{ name: a, kvFolder: { path: secret//a } }, { name: a, kvFolder: { path: secret/a// } }]
  says: ["spec.sources[0].kvFolder.path", must not contain an empty segment (//)]
- at: /spec/sources/0
  bad: [{ name: a, kvFolder: { path: secret/a%2fb } }, { name: a, kvFolder: { path: "secret/a?list=true" } }, { name: a, kvFolder: { path: 'a\..\sys/b' } }]
  says: ["spec.sources[0].kvFolder.path", write the path as it is]
- at: /spec/sources/0
  bad: [{ name: a, kvFolder: { path: sys } }, { name: a, kvFolder: { path: sys/ } }, { name: a, kvFolder: { path: auth/token/ } }, { name: a, kvFolder: { path: cubbyhole/ } }]
  says: ["spec.sources[0].kvFolder", "kvFolder.path must be a folder of a KV engine, not of sys/, auth/, identity/ or cubbyhole/"]
- at: /spec/sources/0
  bad: [{ name: a, kvFolder: { path: a, mount: team/sys } }]
  says: ["spec.sources[0].kvFolder.mount", must be the mount of a KV engine]
- at: /spec/sources/0
  bad: [{ name: a, kvFolder: { path: secret/, limit: 0 } }]
  says: ["spec.sources[0].kvFolder.limit", greater than or equal to 1]
- at: /spec/sources/0
  bad: [{ name: a, kvFolder: { path: secret/, limit: 1001 } }]
  says: ["spec.sources[0].kvFolder.limit", less than or equal to 1000]
- at: /spec/sources/0
  bad: [{ name: a, kvFolder: { path: secret/, include: [$long] } }]
  says: ["spec.sources[0].kvFolder.include[0]", "256"]
- at: /spec/sources/0
  bad: [{ name: a, kvFolder: { path: secret/, exclude: [$many] } }]
  says: ["spec.sources[0].kvFolder.exclude", at most 32]
- at: /spec/sources/0
  bad: [{ name: a, kv: { path: secret/a }, kvFolder: { path: secret/ } }]
  says: ["spec.sources[0]", "set exactly one engine member: kv, kvFolder, read, write or pki"]
"#;
        let folders = folders.replace("$long", &long).replace("$many", &many);
        t.expect_refusals(SMALL, &folders).await
    })
}

#[test]
fn sources_that_cannot_be_told_apart_or_read_are_refused_with_the_fix() -> Result<()> {
    run(async |t| {
        let many: Vec<String> = (0..17)
            .map(|number| format!("{{ name: s{number}, kv: {{ path: secret/a }} }}"))
            .collect();
        let sources = r#"
- at: /spec/sources/0/name
  bad: [1a, a-b, a.b, _a]
  says: ["spec.sources[0].name", must be a letter followed by letters]
- at: /spec/sources/0/name
  bad: [aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]
  says: ["spec.sources[0].name", "31"]
- at: /spec/sources
  bad: [[{ name: a, kv: { path: secret/a } }, { name: a, kv: { path: secret/b } }]]
  says: ["spec.sources[1]", Duplicate value, '"a"']
- at: /spec/sources
  bad: [[$many]]
  says: [spec.sources, "Too many: 17", at most 16]
- at: /spec/sources
  bad: [[]]
  says: [spec.sources, at least 1]
- at: /spec/sources
  bad: [[{ name: a }]]
  says: ["spec.sources[0]", "set exactly one engine member: kv, kvFolder, read, write or pki"]
- at: /spec/sources/0/kv/version
  bad: [-1]
  says: ["spec.sources[0].kv.version", greater than or equal to 0]
- at: /spec/sources/0/kv
  bad: [{ path: secret/a, engineVersion: V1, version: 3 }]
  says: ["spec.sources[0].kv", kv.version pins a version of KV v2, set engineVersion to V2]
- at: /spec/sources/0/kv/engineVersion
  bad: [V3]
  says: ["spec.sources[0].kv.engineVersion", '"Auto", "V1", "V2"']
- at: /spec/sources/0/read
  bad: [{ path: database/creds/a }]
  says: ["spec.sources[0]", "set exactly one engine member: kv, kvFolder, read, write or pki"]
- at: /spec/sources/0
  bad: [{ name: a, read: { path: database/creds/a/ } }, { name: a, read: { path: database } }]
  says: ["spec.sources[0].read.path", must be a path with its mount in front]
- at: /spec/sources/0
  bad: [{ name: a, read: { path: sys/mounts } }, { name: a, read: { path: team/sys/mounts } }, { name: a, read: { path: cubbyhole/a } }]
  says: ["spec.sources[0].read.path", must not lead to sys/ or cubbyhole/]
- at: /spec/sources/0
  bad: [{ name: a, read: { path: auth/token/lookup-self } }]
  says: ["spec.sources[0].read.path", must not lead to auth/token/]
- at: /spec/sources/0
  bad: [{ name: a, read: { path: "database/creds/a?x=1" } }]
  says: ["spec.sources[0].read.path", write the path as it is]
- at: /spec/sources/0
  bad: [{ name: a, read: { path: pki/cert/a, parameters: { "a b": x } } }]
  says: ["spec.sources[0].read.parameters", names of parameters have at most 128]
- at: /spec/sources/0
  bad: [{ name: a, write: { path: sys/mounts/a } }, { name: a, write: { path: team/sys/wrapping/wrap } }]
  says: ["spec.sources[0].write.path", must not lead to sys/ or cubbyhole/]
- at: /spec/sources/0
  bad: [{ name: a, write: { path: auth/token/revoke-self } }]
  says: ["spec.sources[0].write.path", must not lead to auth/token/]
- at: /spec/sources/0
  bad: [{ name: a, write: { path: auth/token/create, wrapTTL: soon } }]
  says: ["spec.sources[0].write.wrapTTL", must be a duration]
- at: /spec/sources/0
  bad: [{ name: a, write: { path: auth/token/create, parametersFrom: [{ secretKeyRef: { name: A, key: b } }] } }]
  says: ["spec.sources[0].write.parametersFrom[0].secretKeyRef.name", must be the name of an object]
- at: /spec/sources/0/surprise
  bad: [{ role: a }]
  says: [unknown field, "spec.sources[0].surprise"]
"#;
        t.expect_refusals(SMALL, &sources.replace("$many", &many.join(", ")))
            .await
    })
}

#[test]
fn certificates_that_cannot_be_asked_for_are_refused_with_the_fix() -> Result<()> {
    run(async |t| {
        let certificates = r#"
- at: /spec/sources/0
  bad: [{ name: a, pki: { mount: pki/, role: a } }, { name: a, pki: { mount: "a%2fb", role: a } }]
  says: ["spec.sources[0].pki.mount", must be a mount such as pki]
- at: /spec/sources/0
  bad: [{ name: a, pki: { mount: team/sys, role: a } }]
  says: ["spec.sources[0].pki.mount", must be the mount of a PKI engine]
- at: /spec/sources/0
  bad: [{ name: a, pki: { mount: pki, role: a/b } }, { name: a, pki: { mount: pki, role: ".." } }]
  says: ["spec.sources[0].pki.role", must be the name of a role]
- at: /spec/sources/0
  bad: [{ name: a, pki: { mount: pki, role: a, dnsNames: ["a,b"] } }]
  says: ["spec.sources[0].pki.dnsNames", one per entry]
- at: /spec/sources/0
  bad: [{ name: a, pki: { mount: pki, role: a, parameters: { ttl: 1h } } }]
  says: ["spec.sources[0].pki.parameters", use the fields commonName]
- at: /spec/sources/0
  bad: [{ name: a, pki: { mount: pki, role: a, csr: x, privateKey: {} } }]
  says: ["spec.sources[0].pki", set at most one of csr and privateKey]
- at: /spec/sources/0
  bad: [{ name: a, pki: { mount: pki, role: a, parameters: { csr: x } } }]
  says: ["spec.sources[0].pki.parameters", use the fields commonName]
- at: /spec/sources/0
  bad: [{ name: a, pki: { mount: pki, role: a, csr: x, parameters: { private_key_format: pkcs8 } } }, { name: a, pki: { mount: pki, role: a, privateKey: {}, parameters: { private_key_format: pkcs8 } } }]
  says: ["spec.sources[0].pki", leave private_key_format out of parameters]
- at: /spec/sources/0
  bad: [{ name: a, pki: { mount: pki, role: a, privateKey: { algorithm: Ed25519, size: 256 } } }]
  says: ["spec.sources[0].pki.privateKey", size goes with ECDSA]
- at: /spec/sources/0
  bad: [{ name: a, pki: { mount: pki, role: a, privateKey: { size: 521 } } }]
  says: ["spec.sources[0].pki.privateKey.size", "256", "384"]
- at: /spec/sources/0
  bad: [{ name: a, pki: { mount: pki, role: a, privateKey: { algorithm: RSA } } }]
  says: ["spec.sources[0].pki.privateKey.algorithm", '"ECDSA", "Ed25519"']
"#;
        t.expect_refusals(SMALL, certificates).await
    })
}

#[test]
fn keys_that_cannot_be_made_are_refused_with_the_fix() -> Result<()> {
    run(async |t| {
        let keys = r#"
- at: /spec/data
  bad: [[{ key: a b, value: x }], [{ key: a/b, value: x }], [{ key: ä, value: x }], [{ key: ., value: x }], [{ key: ..a, value: x }]]
  says: ["spec.data[0].key", "must consist of letters, digits, '-', '_' and '.'"]
- at: /spec/data
  bad: [[{ key: $long, value: x }]]
  says: ["spec.data[0].key", "253"]
- at: /spec/data
  bad: [[{ key: a }], [{ key: a, source: app, value: x }], [{ key: a, template: x, templateFrom: { configMapKeyRef: { name: a, key: b } } }]]
  says: ["spec.data[0]", "set exactly one of source, value, template and templateFrom"]
- at: /spec/data
  bad: [[{ key: a, templateFrom: { configMapKeyRef: { name: A_b, key: b } } }]]
  says: ["spec.data[0].templateFrom.configMapKeyRef.name", "lower-case"]
- at: /spec/data
  bad: [[{ key: a, templateFrom: { configMapKeyRef: { name: a, key: b/c } } }]]
  says: ["spec.data[0].templateFrom.configMapKeyRef.key", "must be a key of a ConfigMap"]
- at: /spec/data
  bad: [[{ key: a, field: f, value: x }]]
  says: ["spec.data[0]", "field goes with source, not with value, template or templateFrom"]
- at: /spec/data
  bad: [[{ key: a, source: nope }]]
  says: ["spec:", "data[].source must be the name of one of spec.sources"]
- at: /spec/dataFrom
  bad: [[{ source: nope }]]
  says: ["spec:", "dataFrom[].source must be the name of one of spec.sources"]
- at: /spec/data
  bad: [[{ key: a, value: x }, { key: a, value: y }]]
  says: ["spec.data[1]", Duplicate value, '"a"']
- at: /spec/data
  bad: [[{ key: a, value: x, decode: Base64 }], [{ key: a, template: x, decode: Base64URL }], [{ key: a, source: app, decode: Base64 }]]
  says: ["spec.data[0]", decode goes with source and field]
- at: /spec/data
  bad: [[{ key: a, source: app, field: f, decode: base64 }]]
  says: ["spec.data[0].decode", '"None", "Base64", "Base64URL"']
- at: /spec/dataFrom
  bad: [[{ source: app, include: [""] }], [{ source: app, include: [a, ""] }]]
  says: ["spec.dataFrom[0].include", at least 1]
- at: /spec/dataFrom
  bad: [[{ source: app, exclude: [$expression] }]]
  says: ["spec.dataFrom[0].exclude[0]", "256"]
- at: /spec/dataFrom
  bad: [[{ source: app, include: [$many] }]]
  says: ["spec.dataFrom[0].include", "Too many: 33", at most 32]
- at: /spec/dataFrom
  bad: [[{ source: app, rename: { match: a } }], [{ source: app, rename: { replace: a, case: Upper } }]]
  says: ["spec.dataFrom[0].rename", set match and replace together]
- at: /spec/dataFrom
  bad: [[{ source: app, rename: {} }], [{ source: app, rename: { case: None } }]]
  says: ["spec.dataFrom[0].rename", "set match and replace, or case, or leave rename out"]
- at: /spec/dataFrom
  bad: [[{ source: app, rename: { match: a, replace: $expression } }], [{ source: app, rename: { match: $expression, replace: a } }]]
  says: ["spec.dataFrom[0].rename", "256"]
- at: /spec/dataFrom
  bad: [[{ source: app, rename: { case: upper } }]]
  says: ["spec.dataFrom[0].rename.case", '"None", "Upper", "Lower"']
- at: /spec/conflictPolicy
  bad: [Shrug]
  says: [spec.conflictPolicy, '"Error", "FirstWins", "LastWins"']
"#;
        let keys = keys
            .replace("$long", &"k".repeat(254))
            .replace("$expression", &"k".repeat(257))
            .replace("$many", &["a"; 33].join(", "));
        t.expect_refusals(SMALL, &keys).await
    })
}

#[test]
fn a_secret_that_must_not_be_written_is_refused_with_the_fix() -> Result<()> {
    run(async |t| {
        let many: Vec<String> = (0..65).map(|number| format!("l{number}: x")).collect();
        let destination = r#"
- at: /spec/destination/name
  bad: [Bad, a_b, -a, a-, a..b, a/b]
  says: [spec.destination.name, "must be a valid Secret name: lower-case letters"]
- at: /spec/destination/type
  bad: [kubernetes.io/service-account-token, bootstrap.kubernetes.io/token, helm.sh/release.v1, ""]
  says: [spec.destination.type, supported values, kubernetes.io/tls]
- at: /spec/destination/labels
  bad: [{ vaultbridge.dev/x: z }, { app.kubernetes.io/managed-by: me }]
  says: [spec.destination.labels, reserved for the operator]
- at: /spec/destination/labels
  bad: [{ team: a b }]
  says: [spec.destination.labels, label values have at most 63 letters]
- at: /spec/destination/labels
  bad: [{ $many }]
  says: [spec.destination.labels, "64"]
- at: /spec/destination/annotations
  bad: [{ vaultbridge.dev/state: "{}" }, { kubernetes.io/service-account.name: x }]
  says: [spec.destination.annotations, reserved]
- at: /spec/destination/deletionPolicy
  bad: [Keep]
  says: [spec.destination.deletionPolicy, '"Delete", "Retain"']
- at: /spec/destination/missingSourcePolicy
  bad: [Keep]
  says: [spec.destination.missingSourcePolicy, '"Retain", "Prune", "Delete"']
"#;
        t.expect_refusals(SMALL, &destination.replace("$many", &many.join(", ")))
            .await
    })
}

#[test]
fn times_and_logins_that_cannot_be_are_refused_with_the_fix() -> Result<()> {
    run(async |t| {
        let rest = r#"
- at: /spec/refresh/interval
  bad: ["10", 1d, -5s, 5s1h, 1.5h, ten]
  says: [spec.refresh.interval, "must be a duration of h, m and s in this order, such as 90s, 10m or 1h30m"]
- at: /spec/refresh/interval
  bad: [""]
  says: [spec.refresh.interval, at least 2]
- at: /spec/refresh/jitterPercent
  bad: [51, 100]
  says: [spec.refresh.jitterPercent, less than or equal to 50]
- at: /spec/refresh/jitterPercent
  bad: [-1]
  says: [spec.refresh.jitterPercent, greater than or equal to 0]
- at: /spec/auth/mount
  bad: [/kubernetes, kubernetes/, a//b, a b, a?b]
  says: [spec.auth.mount, "must be the mount of the auth method, such as kubernetes"]
- at: /spec/auth/mount
  bad: [auth/kubernetes]
  says: [spec.auth.mount, without the leading auth/]
- at: /spec/auth/mount
  bad: [a/../b]
  says: [spec.auth.mount, must not contain . or .. as a segment]
- at: /spec/auth/role
  bad: [""]
  says: [spec.auth.role, at least 1]
- at: /spec/auth
  bad: [{}]
  says: [spec.auth.role, Required value]
- at: /spec/auth/method
  bad: [Token]
  says: [spec.auth.method, '"Kubernetes", "JWT"']
- at: /spec/auth/serviceAccountName
  bad: ["", Bad Name]
  says: [spec.auth.serviceAccountName]
- at: /spec/auth/audiences
  bad: [[a, b, c, d, e, f, g, h, i]]
  says: [spec.auth.audiences, at most 8]
- at: /spec/auth/audiences
  bad: [[""]]
  says: ["spec.auth.audiences[0]", at least 1]
- at: /spec/connectionRef/name
  bad: ["", Bad Name]
  says: [spec.connectionRef.name]
- at: /spec/vaultNamespace
  bad: [/team-a, a//b, a?b, "a\nb", a/../b]
  says: [spec.vaultNamespace, must be a Vault namespace such as team-a]
- at: /spec/auth/vaultNamespace
  bad: [/team-a, a//b, a?b, "a\nb", a/../b]
  says: [spec.auth.vaultNamespace, must be a Vault namespace such as team-a]
"#;
        t.expect_refusals(SMALL, rest).await
    })
}

#[test]
fn a_connection_that_cannot_be_is_refused_with_the_fix() -> Result<()> {
    run(async |t| {
        let connection = r#"
- at: /spec/address
  bad: ["https://user:word@vault.test", "https://vault.test?a=b", "https://vault.test#a", "ftp://vault.test", "vault.test:8200", "https:///v1", "https://vault test"]
  says: [spec.address, "must be an http or https address such as https://vault.example.com:8200, without user, query or fragment"]
- at: /spec/timeout
  bad: ["10", 1d, -5s, 0s, 0m0s, 1h]
  says: [spec.timeout, "must be a duration such as 30s or 1m, at least 1s"]
- at: /spec/timeout
  bad: [121s, 2m1s, 3m, 999m]
  says: [spec.timeout, "must be at most 2m"]
- at: /spec/timeout
  bad: [""]
  says: [spec.timeout, at least 2]
- at: /spec/headers
  bad: [{ X-Vault-Token: x }, { x-vault-namespace: x }, { Authorization: x }, { HOST: x }, { Content-Length: x }, { Connection: x }, { Cookie: x }, { te: x }]
  says: [spec.headers, "X-Vault-*, and Accept-Encoding, Authorization", "are reserved: remove them"]
- at: /spec/headers
  bad: [{ a b: x }]
  says: [spec.headers, "header names consist of letters, digits and '-'"]
- at: /spec/headers
  bad: [{ X-A: "a\r\nX-B: c" }]
  says: [spec.headers, must not contain control characters]
- at: /spec/tls
  bad: [{ caBundle: -----BEGIN CERTIFICATE-----, caBundleRef: { name: ca } }]
  says: [spec.tls, set at most one of caBundle and caBundleRef]
- at: /spec/tls
  bad: [{ caBundle: nonsense }]
  says: [spec.tls.caBundle, must hold PEM certificates]
- at: /spec/tls
  bad: [{ serverName: a b }]
  says: [spec.tls.serverName, must be a DNS name]
- at: /spec/maxConcurrentRequests
  bad: [0]
  says: [spec.maxConcurrentRequests, greater than or equal to 1]
- at: /spec/maxConcurrentRequests
  bad: [4097]
  says: [spec.maxConcurrentRequests, less than or equal to 4096]
- at: /spec/auth
  bad: [{ audiences: [] }]
  says: [spec.auth.audiences, at least 1]
- at: /spec/auth
  bad: [{ mount: auth/kubernetes }]
  says: [spec.auth.mount, without the leading auth/]
- at: /spec/vaultNamespace
  bad: [/team-a, a//b, a?b, "a\nb", a/../b]
  says: [spec.vaultNamespace, must be a Vault namespace such as team-a]
- at: /spec/allowedNamespaces
  bad: [{ names: [""] }]
  says: ["spec.allowedNamespaces.names[0]", at least 1]
- at: /spec/allowedNamespaces
  bad: [{ selector: { matchExpressions: [{ key: team, operator: Like }] } }]
  says: ["spec.allowedNamespaces.selector.matchExpressions[0].operator"]
"#;
        t.expect_refusals(CONNECTION, connection).await
    })
}

#[test]
fn an_explicit_null_means_that_the_field_is_left_out() -> Result<()> {
    run(async |t| {
        let pieces = [
            ("sources:", "/data", "data: null\n  sources:"),
            ("sources:", "/destination", "destination: null\n  sources:"),
            (
                "sources:",
                "/vaultNamespace",
                "vaultNamespace: null\n  sources:",
            ),
            ("role: orders", "/auth/method", "role: orders, method: null"),
            ("path:", "/sources/0/kv/mount", "mount: null, path:"),
            ("path:", "/sources/0/kv/version", "version: null, path:"),
        ];
        for (old, field, new) in pieces {
            let answer = t.dry_run(&SMALL.replacen(old, new, 1)).await?;
            ensure!(answer.code == 201, "{field}: {answer:?}");
            let stored = answer.body["spec"].pointer(field);
            assert_eq!(stored, None::<&Value>, "{field}: {answer:?}");
        }
        let null = SMALL.replace("role: orders", "role: orders, serviceAccountName: null");
        let account = &t.dry_run(&null).await?.body["spec"]["auth"]["serviceAccountName"];
        assert_eq!(account, "default");
        // What must be there is missed by name.
        let missing = r#"
- at: /spec/sources
  bad: [null]
  says: [spec.sources, Required value]
- at: /spec/sources/0/kv
  bad: [null]
  says: ["spec.sources[0]", "set exactly one engine member: kv, kvFolder, read, write or pki"]
- at: /spec/data
  bad: [[{ key: a, source: null }]]
  says: ["spec.data[0]", "set exactly one of source, value, template and templateFrom"]
"#;
        t.expect_refusals(SMALL, missing).await
    })
}
