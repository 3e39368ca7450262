//! Which paths may be asked of Vault.

/// Checks the place of a KV source as a person wrote it, with a mount that is said to be of version 1 (`plain`) or not. The
/// problem begins with the name of the field below `kv`.
pub fn check_kv(mount: &str, path: &str, plain: bool) -> Result<(), String> {
    check(path).map_err(|problem| format!("path {problem}"))?;
    if !mount.is_empty() {
        let checked = check(mount).and_then(|()| check_whole_mount(mount));
        checked.map_err(|problem| format!("mount {problem}"))?;
        // Version 1 has nothing between mount and path. What is said to be a mount may be a Vault namespace, and the path then
        // leads out of any KV engine: to the token's own data, for one.
        if plain && check_whole_mount(path).is_err() {
            return Err("path must not have sys, auth, identity or cubbyhole as a segment where mount and engineVersion V1 are both set; leave engineVersion out, and Vault is asked".into());
        }
        return Ok(());
    }
    if !path.contains('/') {
        return Err("path needs its mount in front, as in the vault CLI (secret/shop/orders), or set kv.mount".into());
    }
    check_mount(path).map_err(|problem| format!("path {problem}"))
}

/// Checks a folder without a slash at its end, likewise; it may be a whole mount. The problem begins with the name of the field below `kvFolder`.
pub fn check_folder(mount: &str, path: &str, plain: bool) -> Result<(), String> {
    if mount.is_empty() {
        check(path).map_err(|problem| format!("path {problem}"))?;
        return check_mount(path).map_err(|problem| format!("path {problem}"));
    }
    check_kv(mount, path, plain)
}

/// The most bytes that the name of an entry may have, folders included.
const MAX_LISTED: usize = 1024;

/// Checks the name of an entry or folder that Vault has listed. It may have what people are not to write, as it is encoded, but nothing that leads elsewhere.
pub fn check_listed(name: &str) -> Result<(), &'static str> {
    if name.len() > MAX_LISTED {
        return Err("is longer than 1024 bytes");
    }
    if name.split('/').any(str::is_empty) {
        return Err("has an empty segment");
    }
    if name
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Err("has . or .. as a segment");
    }
    if name.contains('\\') || name.chars().any(char::is_control) {
        return Err("has a backslash or a control character");
    }
    Ok(())
}

/// Checks a path that is read as it stands. The problem begins with the name of the field below `read`.
pub fn check_read(path: &str) -> Result<(), String> {
    let segments = segments(path)?;
    let above = &segments[..segments.len() - 1];
    if above.windows(2).any(|pair| pair == ["auth", "token"]) {
        return Err(
            "path must not lead to auth/token/: the Secret would hold the operator's own session"
                .into(),
        );
    }
    Ok(())
}

/// Checks a path that is written to. The problem begins with the name of the field below `write`.
pub fn check_write(path: &str) -> Result<(), String> {
    let segments = segments(path)?;
    if let [.., "auth", "token", last] = segments.as_slice()
        && last.ends_with("-self")
    {
        return Err("path must not lead to auth/token/…-self, which is about the operator's own session; ask for a token of its own with auth/token/create".into());
    }
    Ok(())
}

/// The path that issues a certificate, or `sign`s a request for one, checked. The problem begins with the name of the field below `pki`.
pub fn pki(mount: &str, role: &str, issuer: &str, sign: bool) -> Result<String, String> {
    let one = |text: &str| match check(text) {
        Ok(()) if text.contains('/') => Err("must not contain a slash"),
        checked => checked,
    };
    check(mount).map_err(|problem| format!("mount {problem}"))?;
    if check_whole_mount(mount).is_err() {
        return Err(
            "mount must be the mount of a PKI engine, not sys, auth, identity or cubbyhole".into(),
        );
    }
    one(role).map_err(|problem| format!("role {problem}"))?;
    let verb = if sign { "sign" } else { "issue" };
    if issuer.is_empty() {
        return Ok(format!("{mount}/{verb}/{role}"));
    }
    one(issuer).map_err(|problem| format!("issuerRef {problem}"))?;
    Ok(format!("{mount}/issuer/{issuer}/{verb}/{role}"))
}

/// The segments of a path with its mount in front that leads neither to `sys/` nor to `cubbyhole/`: two at least.
fn segments(path: &str) -> Result<Vec<&str>, String> {
    check(path).map_err(|problem| format!("path {problem}"))?;
    let segments: Vec<&str> = path.split('/').collect();
    let Some((_, above)) = segments.split_last().filter(|(_, above)| !above.is_empty()) else {
        return Err("path must have its mount in front, such as database/creds/orders".into());
    };
    if above
        .iter()
        .any(|segment| ["sys", "cubbyhole"].contains(segment))
    {
        return Err("path must not lead to sys/ or cubbyhole/".into());
    }
    Ok(segments)
}

/// The rules of paths, which the schema states as well: whatever Vault or a proxy before it might read as another path is refused.
fn check(path: &str) -> Result<(), &'static str> {
    if path.split('/').any(str::is_empty) {
        return Err("must not have empty segments, nor start or end with a slash");
    }
    if path
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Err("must not contain . or .. as a segment");
    }
    if path.contains(['%', '?', '#', '\\']) || path.chars().any(char::is_control) {
        return Err(
            "must not contain %, ?, #, \\ or control characters; write the path as it is, unescaped",
        );
    }
    Ok(())
}

/// Whether the path, or mount, begins where no KV engine can be. Below a mount any word may stand.
fn check_mount(path: &str) -> Result<(), &'static str> {
    let first = path.split('/').next().unwrap_or_default();
    if ["sys", "auth", "identity", "cubbyhole"].contains(&first) {
        return Err("must be a path of a KV engine, not of sys/, auth/, identity/ or cubbyhole/");
    }
    Ok(())
}

/// A mount that is said to be one is not looked up, so no segment of it may lead elsewhere: a Vault namespace can stand in front.
fn check_whole_mount(mount: &str) -> Result<(), &'static str> {
    mount.split('/').try_for_each(check_mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kv_place_names_its_mount_once_and_the_problem_names_the_field() {
        for (mount, path) in [("", "secret/a"), ("secret", "auth/smtp"), ("secret", "a")] {
            assert_eq!(check_kv(mount, path, false), Ok(()));
        }
        assert_eq!(check_kv("kv", "shop/orders", true), Ok(()));
        for (mount, path, problem) in [
            ("", "orders", "path needs its mount in front"),
            ("", "sys/mounts", "path must be a path of a KV engine"),
            ("sys", "mounts", "mount must be a path of a KV engine"),
            (
                "team-a/sys",
                "mounts",
                "mount must be a path of a KV engine",
            ),
            ("secret", "a//b", "path must not have empty segments"),
            ("a\\b", "c", "mount must not contain"),
        ] {
            let found = check_kv(mount, path, false).unwrap_err();
            assert!(found.starts_with(problem), "{mount} {path}: {found}");
        }
    }

    #[test]
    fn a_namespace_that_passes_for_a_mount_of_version_1_leads_nowhere_else() {
        for path in ["auth/token/lookup-self", "team-b/sys/mounts", "a/identity"] {
            let found = check_kv("team-a", path, true).unwrap_err();
            assert!(found.contains("engineVersion V1"), "{path}: {found}");
        }
    }

    #[test]
    fn a_path_that_is_read_as_it_stands_leads_neither_to_sys_nor_to_the_session_itself() {
        for path in [
            "database/creds/orders",
            "team/aws/creds/sys",
            "identity/oidc/token/a",
        ] {
            assert_eq!(check_read(path), Ok(()));
        }
        for (path, problem) in [
            ("sys/mounts", "path must not lead to sys/"),
            ("team/sys/mounts", "path must not lead to sys/"),
            ("cubbyhole/a", "path must not lead to sys/ or cubbyhole/"),
            (
                "team/auth/token/lookup-self",
                "path must not lead to auth/token/",
            ),
            ("orders", "path must have its mount in front"),
            ("a/../b", "path must not contain . or .."),
        ] {
            let found = check_read(path).unwrap_err();
            assert!(found.starts_with(problem), "{path}: {found}");
        }
    }

    #[test]
    fn a_path_that_is_written_to_may_make_a_token_but_not_touch_the_session_itself() {
        for path in [
            "auth/token/create",
            "auth/approle/role/ci/secret-id",
            "team/identity/lookup/entity",
            "a/revoke-self",
        ] {
            assert_eq!(check_write(path), Ok(()));
        }
        for (path, problem) in [
            ("sys/wrapping/wrap", "path must not lead to sys/"),
            ("team/sys/mounts/a", "path must not lead to sys/"),
            (
                "auth/token/revoke-self",
                "path must not lead to auth/token/…-self",
            ),
            (
                "team/auth/token/renew-self",
                "path must not lead to auth/token/…-self",
            ),
            ("orders", "path must have its mount in front"),
        ] {
            let found = check_write(path).unwrap_err();
            assert!(found.starts_with(problem), "{path}: {found}");
        }
    }

    #[test]
    fn a_certificate_is_asked_of_a_role_and_of_an_issuer_if_one_is_named() {
        for (sign, alone, below) in [
            (false, "pki/issue/shop", "pki/issuer/root-2026/issue/shop"),
            (true, "pki/sign/shop", "pki/issuer/root-2026/sign/shop"),
        ] {
            assert_eq!(pki("pki", "shop", "", sign).unwrap(), alone);
            assert_eq!(pki("pki", "shop", "root-2026", sign).unwrap(), below);
        }
        for (mount, role, issuer, problem) in [
            (
                "team/sys",
                "a",
                "",
                "mount must be the mount of a PKI engine",
            ),
            ("pki//a", "a", "", "mount must not have empty segments"),
            ("pki", "a/../b", "", "role must not contain . or .."),
            ("pki", "a/b", "", "role must not contain a slash"),
            ("pki", "", "", "role must not have empty segments"),
            ("pki", "a", "..", "issuerRef must not contain . or .."),
        ] {
            let found = pki(mount, role, issuer, true).unwrap_err();
            assert!(found.starts_with(problem), "{found}");
        }
    }

    #[test]
    fn paths_that_could_be_read_as_another_path_are_refused() {
        for path in [
            "/a/b",
            "a//b",
            "a/b/",
            "a/../b",
            "a/./b",
            "a/%2e%2e/b",
            "a/b?x=1",
            "a/b#c",
            "a/b\nc",
            "a\\b/c",
            "",
        ] {
            assert!(check(path).is_err(), "{path:?} was accepted");
        }
        for path in ["secret/shop/orders", "kv/a b/ü", "systems/a", "a/..b/c.."] {
            assert!(check(path).is_ok(), "{path:?} was refused");
            assert!(check_mount(path).is_ok(), "{path:?} was refused");
        }
        for path in ["sys/mounts", "auth/x", "identity", "cubbyhole"] {
            assert!(check_mount(path).is_err(), "{path:?} was accepted");
        }
    }
}
