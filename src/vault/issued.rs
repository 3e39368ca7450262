//! Requests that make a credential, and what keeps or ends its lease.
//!
//! Such a request is no read, whatever its method: each time it is sent, Vault makes another user, key or token, also if the reply
//! gets lost on its way. So it is sent once and never again by itself. Whatever fails after Vault has answered (a reply that is
//! too long, or not understood) leaves a credential that nobody knows; it ends with the token that asked for it, which the
//! caller therefore has to be able to revoke.

mod ask;

use std::time::Duration;

use rustify::enums::RequestMethod;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use self::ask::request;
pub use self::ask::{Ask, AskMethod, AskResult};
use super::client::{Call, Client, ISSUE};
use super::endpoint::Free;
use super::error::Error;
use super::login::lifetime;
use super::transport::Reply;
use crate::heavy;
use crate::sensitive::{SecretJson, SecretText};

/// What Vault issued.
pub struct Issued {
    /// The object of its fields, the very text that Vault sent: `data`, `auth`, or of a wrapped reply `wrap_info`. Empty if Vault
    /// did what was asked and had nothing to say.
    pub data: SecretJson,
    /// Its lease. Engines that issue for good give none; a KV engine's `lease_duration` is none.
    pub lease: Option<Lease>,
    /// If `data` is a token, `auth` or `wrap_info`: its life.
    pub token: Option<IssuedToken>,
}

/// The lease of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its name, which is no secret.
    pub id: String,
    /// How long it lives from its issue.
    pub duration: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// The life of a token that was issued as a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    /// Names the token without being one; empty for batch tokens.
    pub accessor: String,
    /// How long it lives from its issue; zero if it never expires.
    pub duration: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// What Vault grants when a lease is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseGrant {
    /// How long the lease lives from now, which is less than what was asked for when its hard end is near.
    pub duration: Duration,
    /// Whether it can be renewed again. Vault says so also of a lease that has met its hard end.
    pub renewable: bool,
}

/// Why a lease was not renewed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseRefusal {
    /// Vault does not know the lease, or not any more: it expired, was revoked, or its token was.
    #[error("vault has no such lease any more")]
    Gone,
    /// The lease lives to its end, and cannot be renewed beyond it.
    #[error("the lease cannot be renewed any more")]
    NotRenewable,
    /// The token may not renew it, or is dead: Vault does not tell which.
    #[error("vault denies permission to renew the lease")]
    Forbidden,
    /// Anything else; it may go better the next time.
    #[error(transparent)]
    Other(Error),
}

impl LeaseRefusal {
    /// What a failed renewal means, of a lease or of a token.
    pub fn of(error: Error) -> Self {
        if matches!(error, Error::Forbidden { .. }) {
            return Self::Forbidden;
        }
        // Vault refuses to renew a lease with 400, and a token with 500.
        let refused = matches!(error, Error::Rejected { .. } | Error::Failed { .. });
        let told = if refused { error.told() } else { &[] };
        // What an engine says comes within longer words, and is not about the lease.
        let says = |words: &str| told.iter().any(|told| told == words);
        let ends = |words: &str| told.iter().any(|told| told.ends_with(words));
        if says("lease not found") || says("lease expired") {
            Self::Gone
        } else if says("lease is not renewable") || ends("past the max TTL, cannot renew") {
            Self::NotRenewable
        } else {
            Self::Other(error)
        }
    }
}

/// Asks for a credential. Sent a single time, whatever happens; after an error it is not known whether there is a credential now,
/// unless Vault refused in words.
pub async fn issue(
    client: &Client,
    namespace: &str,
    token: &SecretText,
    ask: &Ask<'_>,
) -> Result<Issued, Error> {
    let call = Call {
        operation: ISSUE,
        namespace: Some(namespace),
        token: Some(token),
    };
    let reply = client.send_once(call, &request(ask)).await?.success()?;
    let (result, wrapped) = (ask.result, ask.wrap_ttl.is_some());
    let (length, body) = (reply.body.len(), reply.body);
    let parse = move || issued(&body, result, wrapped);
    heavy::work(client.party(), length, parse).await
}

/// Extends the life of a lease to `increment` from now, or to the engine's default if that is zero, as far as Vault allows. It may become
/// shorter by that.
pub async fn renew_lease(
    client: &Client,
    namespace: &str,
    token: &SecretText,
    lease_id: &str,
    increment: Duration,
) -> Result<LeaseGrant, LeaseRefusal> {
    let call = Call {
        operation: "renew",
        namespace: Some(namespace),
        token: Some(token),
    };
    let increment = increment.as_secs();
    let body = serde_json::json!({ "lease_id": lease_id, "increment": increment });
    let endpoint = put("sys/leases/renew", &body);
    let reply = client.send_once(call, &endpoint).await;
    let reply = reply.and_then(Reply::success);
    let body = reply.map_err(LeaseRefusal::of)?.body;
    granted(&body).map_err(LeaseRefusal::Other)
}

/// Ends a lease, and the credential with it. One that is not there any more counts as ended.
pub async fn revoke_lease(
    client: &Client,
    namespace: &str,
    token: &SecretText,
    lease_id: &str,
) -> Result<(), Error> {
    let call = Call {
        operation: "revoke",
        namespace: Some(namespace),
        token: Some(token),
    };
    let body = serde_json::json!({ "lease_id": lease_id });
    let reply = client
        .send_once(call, &put("sys/leases/revoke", &body))
        .await?;
    reply.success().map(drop)
}

fn put(path: &str, body: &serde_json::Value) -> Free {
    Free {
        method: RequestMethod::PUT,
        path: path.to_owned(),
        query: None,
        body: Zeroizing::new(body.to_string().into_bytes()),
        wrap_ttl: None,
    }
}

/// The longest name of a lease that is believed: as long as a path may be, and some. It goes into the record on the Secret.
const MAX_LEASE_ID: usize = 1024;

/// The longest accessor that is believed.
const MAX_ACCESSOR: usize = 256;

const MALFORMED: Error = Error::Malformed {
    what: "the request for a credential",
};

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    lease_id: String,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    auth: Option<&'a RawValue>,
    #[serde(borrow)]
    wrap_info: Option<&'a RawValue>,
}

/// Reads the reply; an empty one, as to a request that only does something, is one without any members.
fn issued(body: &[u8], result: AskResult, wrapped: bool) -> Result<Issued, Error> {
    let body = if body.is_empty() { b"{}" } else { body };
    let Envelope {
        lease_id,
        lease_duration,
        renewable,
        data,
        auth,
        wrap_info,
    } = serde_json::from_slice(body).map_err(|_| MALFORMED)?;
    let mismatch = |holds, wanted| Err(Error::Mismatch { holds, wanted });
    let (fields, token) = match (wrapped, result, wrap_info, auth, data) {
        (true, _, Some(info), _, _) => (info.get(), Some(wrapping(info)?)),
        (true, _, None, _, _) => return mismatch("the credential itself", "a wrapping token"),
        (false, _, Some(_), _, _) => return mismatch("a wrapping token", "the credential itself"),
        (false, AskResult::Auth, None, Some(auth), _) => (auth.get(), Some(login(auth)?)),
        (false, AskResult::Auth, None, None, Some(_)) => return mismatch("data", "a token"),
        (false, AskResult::Auth, None, None, None) => return mismatch("nothing", "a token"),
        (false, AskResult::Data, None, _, Some(data)) => (data.get(), None),
        (false, AskResult::Data, None, Some(_), None) => return mismatch("a token", "data"),
        (false, AskResult::Data, None, None, None) => ("{}", None),
    };
    if !fields.starts_with('{') || !is_name(&lease_id, MAX_LEASE_ID) {
        return Err(MALFORMED);
    }
    let data = SecretJson::parse(Zeroizing::new(fields.to_owned())).map_err(|_| MALFORMED)?;
    let lease = (!lease_id.is_empty()).then(|| Lease {
        id: lease_id,
        duration: lifetime(lease_duration),
        renewable,
    });
    Ok(Issued { data, lease, token })
}

/// Whether it is what names look like, and not longer than they are.
fn is_name(text: &str, most: usize) -> bool {
    text.len() <= most && !text.contains(char::is_control)
}

fn login(auth: &RawValue) -> Result<IssuedToken, Error> {
    #[derive(Deserialize)]
    struct Auth {
        #[serde(default)]
        accessor: String,
        #[serde(default)]
        lease_duration: u64,
        #[serde(default)]
        renewable: bool,
    }
    let Auth {
        accessor,
        lease_duration,
        renewable,
    } = serde_json::from_str(auth.get()).map_err(|_| MALFORMED)?;
    token(accessor, lease_duration, renewable)
}

fn wrapping(info: &RawValue) -> Result<IssuedToken, Error> {
    #[derive(Deserialize)]
    struct Info {
        #[serde(default)]
        accessor: String,
        ttl: u64,
    }
    let Info { accessor, ttl } = serde_json::from_str(info.get()).map_err(|_| MALFORMED)?;
    token(accessor, ttl, false)
}

fn token(accessor: String, seconds: u64, renewable: bool) -> Result<IssuedToken, Error> {
    if !is_name(&accessor, MAX_ACCESSOR) {
        return Err(MALFORMED);
    }
    Ok(IssuedToken {
        accessor,
        duration: lifetime(seconds),
        renewable,
    })
}

fn granted(body: &[u8]) -> Result<LeaseGrant, Error> {
    #[derive(Deserialize)]
    struct Renewed {
        lease_duration: u64,
        renewable: bool,
    }
    let Renewed {
        lease_duration,
        renewable,
    } = serde_json::from_slice(body).map_err(|_| Error::Malformed {
        what: "the renewal of a lease",
    })?;
    Ok(LeaseGrant {
        duration: lifetime(lease_duration),
        renewable,
    })
}

#[cfg(test)]
mod tests;
