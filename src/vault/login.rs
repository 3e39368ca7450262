//! Vault tokens: logging in for one with a JWT, looking at it, renewing and revoking it.

mod problem;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use rustify::endpoint::Endpoint;
use serde::Deserialize;
use vaultrs::api::auth::kubernetes::requests::LoginWithKubernetesRequest;
use vaultrs::api::auth::oidc::requests::JWTLoginRequest;
use vaultrs::api::token::requests::{
    LookupTokenSelfRequest, RenewTokenSelfRequest, RevokeTokenSelfRequest,
};
use zeroize::Zeroize;

pub use self::problem::LoginProblem;
use super::client::{Call, Client};
use super::error::Error;
use crate::sensitive::SecretText;

/// How Vault checks the JWT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// By asking the Kubernetes API server.
    Kubernetes,
    /// By the issuer's public keys.
    Jwt,
}

/// Who wants to log in, and where.
pub struct LoginRequest<'a> {
    /// How Vault checks the JWT.
    pub method: Method,
    /// The path of the auth method's mount, below `auth/`.
    pub mount: &'a str,
    /// The role to log in to.
    pub role: &'a str,
    /// The namespace of the mount; empty for the client's.
    pub namespace: &'a str,
    /// The service account's token.
    pub jwt: SecretText,
}

/// A Vault token as it was issued.
pub struct Token {
    /// The token itself.
    pub value: SecretText,
    /// Names the token without being one; empty for batch tokens.
    pub accessor: String,
    /// How long it lives from its issue unless renewed; zero if it never expires.
    pub ttl: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Whether it is a batch token, which can be neither renewed nor revoked.
    pub batch: bool,
    /// Everything it may do by name, the identity's policies included.
    pub policies: BTreeSet<String>,
}

/// What Vault grants on renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// How long the token lives from now; zero if it never expires.
    pub ttl: Duration,
    /// Whether it can be renewed again.
    pub renewable: bool,
}

/// Logs in. Never tried again by itself: whether a login without a reply happened is not known.
pub async fn login(client: &Client, request: LoginRequest<'_>) -> Result<Token, Error> {
    let LoginRequest {
        method,
        mount,
        role,
        namespace,
        jwt,
    } = request;
    let call = Call {
        operation: "login",
        namespace: Some(namespace),
        token: None,
    };
    let (mount, jwt) = (mount.to_owned(), jwt.expose().to_owned());
    // vaultrs keeps the JWT in a plain string, so it is wiped by hand; the copy within its serializer is not ours.
    let reply = match method {
        Method::Kubernetes => {
            let mut endpoint = LoginWithKubernetesRequest {
                mount,
                role: role.to_owned(),
                jwt,
            };
            let reply = client.send(call, &endpoint).await;
            endpoint.jwt.zeroize();
            reply
        }
        Method::Jwt => {
            let mut endpoint = JWTLoginRequest {
                mount,
                role: Some(role.to_owned()),
                jwt,
            };
            let reply = client.send(call, &endpoint).await;
            endpoint.jwt.zeroize();
            reply
        }
    };
    parse_token(&reply?.success()?.body)
}

/// Extends the token's life by as much as it had at first, as far as Vault allows.
pub async fn renew_self(
    client: &Client,
    namespace: &str,
    token: &SecretText,
) -> Result<Grant, Error> {
    let body = with_token(
        client,
        "renew",
        namespace,
        token,
        &RenewTokenSelfRequest { increment: None },
    )
    .await?;
    let Auth {
        lease_duration,
        renewable,
        ..
    } = parse_auth(&body, "the renewal of a token")?;
    Ok(Grant {
        ttl: lifetime(lease_duration),
        renewable,
    })
}

/// The policies that the token has now, the identity's included. Fails with [`Error::Forbidden`] if it is dead.
pub async fn lookup_self(
    client: &Client,
    namespace: &str,
    token: &SecretText,
) -> Result<BTreeSet<String>, Error> {
    let body = with_token(
        client,
        "lookup",
        namespace,
        token,
        &LookupTokenSelfRequest {},
    )
    .await?;
    parse_lookup(&body)
}

/// Ends the token's life, and that of everything issued with it.
pub async fn revoke_self(
    client: &Client,
    namespace: &str,
    token: &SecretText,
) -> Result<(), Error> {
    with_token(
        client,
        "revoke",
        namespace,
        token,
        &RevokeTokenSelfRequest {},
    )
    .await
    .map(drop)
}

async fn with_token<E: Endpoint>(
    client: &Client,
    operation: &'static str,
    namespace: &str,
    token: &SecretText,
    endpoint: &E,
) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
    let call = Call {
        operation,
        namespace: Some(namespace),
        token: Some(token),
    };
    Ok(client.send(call, endpoint).await?.success()?.body)
}

/// The `auth` of a reply. Lists may be null and members missing: an unfinished MFA login sends both.
#[derive(Deserialize)]
struct Auth<'a> {
    #[serde(default, borrow)]
    client_token: Cow<'a, str>,
    #[serde(default)]
    accessor: String,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
    #[serde(default)]
    token_type: String,
    policies: Option<Vec<String>>,
    identity_policies: Option<Vec<String>>,
}

fn parse_auth<'a>(body: &'a [u8], what: &'static str) -> Result<Auth<'a>, Error> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        auth: Auth<'a>,
    }
    let Reply { auth } =
        serde_json::from_slice::<Reply<'a>>(body).map_err(|_| Error::Malformed { what })?;
    Ok(auth)
}

fn parse_token(body: &[u8]) -> Result<Token, Error> {
    const WHAT: &str = "the login";
    let auth = parse_auth(body, WHAT)?;
    let Auth {
        client_token,
        accessor,
        lease_duration,
        renewable,
        token_type,
        policies,
        identity_policies,
    } = auth;
    if client_token.is_empty() {
        return Err(Error::Malformed { what: WHAT });
    }
    Ok(Token {
        value: SecretText::new(client_token.into_owned()),
        accessor,
        ttl: lifetime(lease_duration),
        renewable,
        batch: token_type == "batch",
        policies: all_of(policies, identity_policies),
    })
}

fn parse_lookup(body: &[u8]) -> Result<BTreeSet<String>, Error> {
    #[derive(Deserialize)]
    struct Reply {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        policies: Option<Vec<String>>,
        identity_policies: Option<Vec<String>>,
    }
    let Reply {
        data: Data {
            policies,
            identity_policies,
        },
    } = serde_json::from_slice(body).map_err(|_| Error::Malformed {
        what: "the look-up of a token",
    })?;
    Ok(all_of(policies, identity_policies))
}

fn all_of(
    policies: Option<Vec<String>>,
    identity_policies: Option<Vec<String>>,
) -> BTreeSet<String> {
    policies
        .into_iter()
        .chain(identity_policies)
        .flatten()
        .collect()
}

/// Seconds as the server tells them. No token lives longer than this; a number beyond it, which would overflow in later
/// arithmetic, is nonsense or malice.
pub(super) fn lifetime(seconds: u64) -> Duration {
    const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);
    Duration::from_secs(seconds).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Replies of OpenBao 2.7.2, with made-up tokens.
    const SERVICE: &str = r#"{"request_id":"a","lease_id":"","renewable":false,"lease_duration":0,"data":null,"wrap_info":null,"warnings":null,"auth":{"client_token":"s.one","accessor":"vuSH4QfN","policies":["default","ro"],"token_policies":["default","ro"],"metadata":{"role":"orders"},"lease_duration":60,"renewable":true,"entity_id":"4785b87c","token_type":"service","orphan":true,"mfa_requirement":null,"num_uses":0}}"#;
    const BATCH: &str = r#"{"auth":{"client_token":"b.two","accessor":"","policies":["default","ro"],"token_policies":["default","ro"],"metadata":{"role":"batch"},"lease_duration":60,"renewable":false,"token_type":"batch","orphan":true,"num_uses":0}}"#;
    const LOOKUP: &str = r#"{"data":{"accessor":"iPVYDkWE","creation_time":1795416825,"creation_ttl":3600,"display_name":"token","entity_id":"","expire_time":"2026-11-23T07:53:45.457161966Z","explicit_max_ttl":0,"id":"s.one","meta":null,"num_uses":0,"orphan":false,"path":"auth/token/create","policies":["default","ro"],"identity_policies":["team"],"renewable":true,"ttl":3600,"type":"service"}}"#;

    fn policies(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_service_token_is_read_with_its_life_and_policies() {
        let token = parse_token(SERVICE.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(token.value.expose(), "s.one");
        assert_eq!(token.accessor, "vuSH4QfN");
        assert_eq!(token.ttl, Duration::from_mins(1));
        assert!(token.renewable && !token.batch);
        assert_eq!(token.policies, policies(&["default", "ro"]));
    }

    #[test]
    fn a_batch_token_has_no_accessor_and_is_known_as_such() {
        let token = parse_token(BATCH.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert!(token.batch && !token.renewable && token.accessor.is_empty());
    }

    #[test]
    fn null_lists_and_missing_members_are_no_obstacle() {
        let body = r#"{"auth":{"client_token":"s.x","policies":null,"token_policies":null}}"#;
        let token = parse_token(body.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((token.ttl, token.policies.len()), (Duration::ZERO, 0));
    }

    #[test]
    fn a_life_beyond_all_measure_is_cut_and_does_no_harm() {
        let body = format!(
            r#"{{"auth":{{"client_token":"s.x","lease_duration":{},"renewable":true}}}}"#,
            u64::MAX
        );
        let token = parse_token(body.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(token.ttl, Duration::from_hours(10 * 365 * 24));
        // What is computed with it later: two thirds, and nine tenths.
        assert!(token.ttl * 2 / 3 < token.ttl && token.ttl * 9 / 10 < token.ttl);
    }

    #[test]
    fn a_login_that_yields_no_token_is_not_a_login() {
        for body in [
            r#"{"auth":null}"#,
            r#"{"auth":{"client_token":""}}"#,
            "{}",
            "s.secret",
        ] {
            let error = parse_token(body.as_bytes()).err().unwrap();
            assert_eq!(
                error.to_string(),
                "vault's reply to the login is not understood",
                "{body}"
            );
        }
    }

    #[test]
    fn a_look_up_tells_the_identitys_policies_too() {
        assert_eq!(
            parse_lookup(LOOKUP.as_bytes()),
            Ok(policies(&["default", "ro", "team"]))
        );
    }
}
