//! Which paths may be asked of Vault.

/// The rules of paths, which the schema states as well: whatever Vault or a proxy before it might read as another path is refused.
pub fn check(path: &str) -> Result<(), &'static str> {
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
pub fn check_mount(path: &str) -> Result<(), &'static str> {
    let first = path.split('/').next().unwrap_or_default();
    if ["sys", "auth", "identity", "cubbyhole"].contains(&first) {
        return Err("must be a path of a KV engine, not of sys/, auth/, identity/ or cubbyhole/");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
