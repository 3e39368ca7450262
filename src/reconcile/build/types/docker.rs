//! `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg`: what kubelets read to pull images, and what they pass over.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use zeroize::Zeroizing;

use super::{DOCKER_CFG, Suits, Unsuitable};
use crate::sensitive::SecretData;
use crate::sensitive::{JsonRef, SecretJson};

/// Members that stand for logins elsewhere than in `auths`, which other programs than kubelets follow.
const ELSEWHERE: [&str; 2] = ["credHelpers", "credsStore"];

/// Refuses what kubelets could not read. Logins that are left empty are none, and members that they do not know do no harm.
pub fn check(data: &SecretData, key: &'static str) -> Suits {
    let problem = |text: &str| Unsuitable::new(key, text);
    let value = data.get(key).map_or(&[][..], |value| value.expose());
    let text = std::str::from_utf8(value).map_err(|_| problem("is no JSON"))?;
    let document = SecretJson::parse(Zeroizing::new(text.to_owned()));
    let document = document.map_err(|_| problem("is no JSON"))?;
    let root = document.root().and_then(JsonRef::members);
    let mut root = root.ok_or_else(|| problem("is no JSON object"))?;
    let auths = if key == DOCKER_CFG {
        root
    } else {
        let Some(auths) = root.remove("auths") else {
            if ELSEWHERE.iter().any(|name| root.contains_key(*name)) {
                return Ok(());
            }
            return Err(problem(
                "has no member \"auths\"; it is an object such as {\"auths\": {\"REGISTRY\": {\"username\": ..., \"password\": ...}}}",
            ));
        };
        let members = auths.members();
        members.ok_or_else(|| problem("has a member \"auths\" that is no JSON object"))?
    };
    for (at, login) in auths.into_values().enumerate() {
        let wrong = |what: &str| {
            let text = format!(
                "has a login, the {}. by the order of their registries, {what}",
                at + 1
            );
            Unsuitable::new(key, text)
        };
        check_login(login).map_err(wrong)?;
    }
    Ok(())
}

fn check_login(login: JsonRef<'_>) -> Result<(), &'static str> {
    if login.is_null() {
        return Ok(());
    }
    let members = login.members().ok_or("that is no JSON object")?;
    for name in ["username", "password", "email"] {
        if members
            .get(name)
            .is_some_and(|one| !one.is_string() && !one.is_null())
        {
            return Err("whose username, password or email is no text");
        }
    }
    match members.get("auth") {
        Some(auth) if !auth.is_null() => {
            let auth = auth.string().ok_or("whose auth is no text")?;
            check_auth(auth.trim())
        }
        Some(_) | None => Ok(()),
    }
}

/// User and password in one, which is taken apart at the first colon.
fn check_auth(auth: &str) -> Result<(), &'static str> {
    let decoded = if auth.ends_with('=') {
        STANDARD.decode(auth)
    } else {
        STANDARD_NO_PAD.decode(auth)
    };
    let decoded = decoded.map(Zeroizing::new);
    let decoded = decoded.map_err(|_| "whose auth is no Base64")?;
    if auth.is_empty() || decoded.contains(&b':') {
        Ok(())
    } else {
        Err("whose auth is not the Base64 of user:password")
    }
}
