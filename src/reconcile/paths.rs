//! Which paths may be asked of Vault.

/// Checks the place of a KV source as a person wrote it. The problem begins with the name of the field below `kv`.
pub fn check_kv(mount: &str, path: &str) -> Result<(), String> {
    check(path).map_err(|problem| format!("path {problem}"))?;
    if !mount.is_empty() {
        let checked = check(mount).and_then(|()| check_whole_mount(mount));
        return checked.map_err(|problem| format!("mount {problem}"));
    }
    if !path.contains('/') {
        return Err("path needs its mount in front, as in the vault CLI (secret/shop/orders), or set kv.mount".into());
    }
    check_mount(path).map_err(|problem| format!("path {problem}"))
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
            assert_eq!(check_kv(mount, path), Ok(()));
        }
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
            let found = check_kv(mount, path).unwrap_err();
            assert!(found.starts_with(problem), "{mount} {path}: {found}");
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
