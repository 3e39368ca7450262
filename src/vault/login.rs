//! Vault tokens: logging in for one with a JWT, looking at it, renewing and revoking it.

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

/// What is wrong with a login, as far as Vault's words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginProblem {
    /// The role does not exist on that mount.
    UnknownRole,
    /// The role expects another audience than the JWT's.
    Audience,
    /// The role names audiences nowhere, but the JWT has one; only the JWT method refuses that in words.
    RoleWithoutAudience,
    /// The role does not admit a service account of that name.
    ServiceAccount,
    /// The role does not admit the service account's namespace.
    Namespace,
    /// The role is bound to another subject or other claims.
    Claims,
    /// The JWT has expired, or is not yet valid: clocks differ.
    Expired,
    /// The JWT's signature or issuer is not accepted.
    Signature,
    /// The auth method is mounted, but not configured.
    Unconfigured,
    /// The Vault namespace does not exist.
    VaultNamespace,
    /// Vault says "permission denied" and no more. That is all it says when nothing is mounted there, when the
    /// API server does not accept the JWT (as without the audience, if the role names none), and when it cannot
    /// ask the API server.
    Unsaid,
}

impl LoginProblem {
    /// Reads Vault's words; `None` for failures that are not about the login itself, such as an outage.
    pub fn of(error: &Error) -> Option<Self> {
        if !matches!(
            error,
            Error::Forbidden { .. }
                | Error::Rejected { .. }
                | Error::NotFound { .. }
                | Error::Failed { .. }
        ) {
            return None;
        }
        let told = error.told().join("\n").to_lowercase();
        let table = [
            ("invalid role name", Self::UnknownRole),
            ("could not be found", Self::UnknownRole),
            ("no audiences bound to the role", Self::RoleWithoutAudience),
            ("audience", Self::Audience),
            ("service account name not authorized", Self::ServiceAccount),
            ("namespace not found", Self::VaultNamespace),
            ("namespace not authorized", Self::Namespace),
            ("(exp) claim", Self::Expired),
            ("(nbf) claim", Self::Expired),
            ("(iat) claim", Self::Expired),
            ("expired", Self::Expired),
            ("(sub) claim", Self::Claims),
            ("claim \"", Self::Claims),
            ("signature", Self::Signature),
            ("issuer", Self::Signature),
            ("could not load", Self::Unconfigured),
        ];
        let problem = table
            .iter()
            .find(|(words, _)| told.contains(words))
            .map(|(_, problem)| *problem);
        match problem {
            Some(problem) => Some(problem),
            None => matches!(error, Error::Forbidden { .. }).then_some(Self::Unsaid),
        }
    }
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
        ttl: Duration::from_secs(lease_duration),
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
        ttl: Duration::from_secs(lease_duration),
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

    #[test]
    fn vaults_words_about_a_failed_login_are_understood() {
        // Status and words as OpenBao 2.7.2 gives them, with the Kubernetes method first.
        let cases = [
            (
                400,
                "invalid role name \\\"nope\\\"",
                Some(LoginProblem::UnknownRole),
            ),
            (
                403,
                "invalid audience (aud) claim: audience claim does not match any expected audience",
                Some(LoginProblem::Audience),
            ),
            (
                403,
                "service account name not authorized",
                Some(LoginProblem::ServiceAccount),
            ),
            (
                403,
                "namespace not authorized",
                Some(LoginProblem::Namespace),
            ),
            (
                403,
                "invalid expiration time (exp) claim: token is expired",
                Some(LoginProblem::Expired),
            ),
            (403, "permission denied", Some(LoginProblem::Unsaid)),
            (
                500,
                "could not load backend configuration",
                Some(LoginProblem::Unconfigured),
            ),
            (
                400,
                "could not load configuration",
                Some(LoginProblem::Unconfigured),
            ),
            (
                400,
                "role \\\"nope\\\" could not be found",
                Some(LoginProblem::UnknownRole),
            ),
            (
                400,
                "audience claim found in JWT but no audiences bound to the role",
                Some(LoginProblem::RoleWithoutAudience),
            ),
            (
                400,
                "error validating token: invalid subject (sub) claim",
                Some(LoginProblem::Claims),
            ),
            (
                400,
                "error validating token: error verifying token signature: no known key successfully validated the token signature",
                Some(LoginProblem::Signature),
            ),
            (
                404,
                "namespace not found",
                Some(LoginProblem::VaultNamespace),
            ),
            (503, "Vault is sealed", None),
            (400, "something new", None),
        ];
        for (status, words, problem) in cases {
            let body = format!(r#"{{"errors":["{words}"]}}"#);
            let error = Error::of_reply(status, None, None, body.as_bytes()).unwrap();
            assert_eq!(
                LoginProblem::of(&error),
                problem,
                "{status} {words}: {error:?}"
            );
        }
    }
}
