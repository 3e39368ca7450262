//! The client of one Vault: sends requests one by one or side by side, never more at once than allowed.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use rustify::endpoint::Endpoint;
use rustify::enums::RequestMethod;
use serde::Deserialize;
use vaultrs::api::sys::requests::ReadHealthRequest;

use super::clock;
use super::endpoint::{self, Envelope};
use super::error::Error;
use super::settings::{self, Settings, SettingsError, Target};
use super::transport::{self, Failure, Reply};
use crate::limit::Limit;
use crate::retry;
use crate::sensitive::SecretText;

/// A Vault and how to talk to it. Cloning is cheap, and clones share connections and limits.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    party: Arc<str>,
}

/// Is told of every request, for metrics.
pub trait Observer: Send + Sync {
    /// A request of the kind `operation` (login, lookup, renew, revoke, read, list, issue, mounts, health) ended after
    /// `elapsed`; `outcome` is "ok" or the word of [`Error::kind`].
    fn request(&self, operation: &'static str, outcome: &'static str, elapsed: Duration);
}

/// What a server tells everybody about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The version, such as "1.21.4" or "2.7.2".
    pub version: String,
    /// The cluster's name; empty while it is sealed.
    pub cluster_name: String,
    /// Whether it must be unsealed before it serves.
    pub sealed: bool,
    /// Whether it passes requests on to the active node.
    pub standby: bool,
    /// Whether it was ever set up.
    pub initialized: bool,
}

/// What distinguishes one request from another besides the endpoint itself.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub operation: &'static str,
    /// Empty for the settings' namespace; `None` for the root namespace whatever the settings say.
    pub namespace: Option<&'a str>,
    pub token: Option<&'a SecretText>,
}

/// The operation of the probe.
const HEALTH: &str = "health";

/// The operation whose replies are secrets, and may be long.
pub(super) const READ: &str = "read";

/// The operation that asks what is in a folder, whose replies may be long as well.
pub(super) const LIST: &str = "list";

/// The operation that makes a credential, whose replies are secrets too.
pub(super) const ISSUE: &str = "issue";

/// The most characters of a name or version that a server may tell about itself.
const MAX_TOLD: usize = 64;

struct Inner {
    http: reqwest::Client,
    target: Target,
    headers: HeaderMap,
    namespace: Option<HeaderValue>,
    timeout: Duration,
    /// Whether TLS is spoken without a client certificate.
    anonymous: bool,
    limit: Arc<Limit>,
    observer: Option<Arc<dyn Observer>>,
}

impl Client {
    /// Checks the settings and makes a client; connects to nothing yet.
    pub fn new(
        settings: &Settings,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Self, SettingsError> {
        if settings.timeout.is_zero() {
            return Err(SettingsError::Timeout);
        }
        let target = settings::target(&settings.address, settings.server_name.as_deref())?;
        let inner = Arc::new(Inner {
            http: transport::client(settings, &target)?,
            headers: settings::headers(&settings.headers)?,
            namespace: settings::namespace(&settings.namespace)?,
            timeout: settings.timeout,
            anonymous: target.secure && settings.client_identity.is_none(),
            limit: Limit::new(settings.max_concurrent_requests),
            target,
            observer,
        });
        Ok(Self {
            inner,
            party: Arc::from(""),
        })
    }

    /// The same client for requests in the name of `party`: those who ask for much leave room for the others (`limit`).
    #[must_use]
    pub fn on_behalf_of(&self, party: &str) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            party: Arc::from(party),
        }
    }

    /// In whose name it asks.
    pub(super) fn party(&self) -> &str {
        &self.party
    }

    /// Asks the server how it is. A sealed, standby or uninitialised one is an answer and no error.
    pub async fn health(&self) -> Result<Health, Error> {
        const FINE: Option<u16> = Some(200);
        let endpoint = ReadHealthRequest {
            standbyok: Some(true),
            perfstandbyok: Some(true),
            activecode: FINE,
            standbycode: FINE,
            drsecondarycode: FINE,
            haunhealthycode: FINE,
            performancestandbycode: FINE,
            sealedcode: FINE,
            uninitcode: FINE,
            ..ReadHealthRequest::default()
        };
        let call = Call {
            operation: HEALTH,
            namespace: None,
            token: None,
        };
        let reply = self.send(call, &endpoint).await?.success()?;
        parse_health(&reply.body)
    }

    /// Sends a request. A reply of any status is a reply; an error means that there was none.
    /// A GET whose connection breaks is sent once more; nothing else ever is, nor is a GET that goes through
    /// [`Self::send_once`].
    pub(super) async fn send<E: Endpoint>(
        &self,
        call: Call<'_>,
        endpoint: &E,
    ) -> Result<Reply, Error> {
        if !matches!(endpoint.method(), RequestMethod::GET) {
            return self.send_once(call, endpoint).await;
        }
        let outcome = retry::once_more(
            || self.attempt(call, endpoint),
            |failure: &Failure| failure.passing,
        )
        .await;
        outcome.map_err(|failure| failure.error)
    }

    /// Sends a request a single time, also if it is a GET: for those that make something, which is made although the reply is
    /// lost.
    pub(super) async fn send_once<E: Endpoint>(
        &self,
        call: Call<'_>,
        endpoint: &E,
    ) -> Result<Reply, Error> {
        let outcome = self.attempt(call, endpoint).await;
        outcome.map_err(|failure| failure.error)
    }

    async fn attempt<E: Endpoint>(&self, call: Call<'_>, endpoint: &E) -> Result<Reply, Failure> {
        let inner = &*self.inner;
        let request = self.request(call, endpoint).map_err(|error| Failure {
            error,
            passing: false,
        })?;
        // The place is kept until the body is read. A probe takes none: one that queued behind the traffic that it shall judge
        // would find a busy server dead.
        let _place = match call.operation {
            HEALTH => None,
            _ => inner.limit.place(&self.party).await,
        };
        let began = clock::now();
        let limit = match call.operation {
            READ | LIST | ISSUE => transport::MAX_REPLY,
            _ => transport::MAX_OTHER_REPLY,
        };
        let (http, timeout) = (&inner.http, inner.timeout);
        let outcome = transport::exchange(http, request, timeout, limit, inner.anonymous).await;
        if let Some(observer) = &inner.observer {
            observer.request(call.operation, word(&outcome), began.elapsed());
        }
        match outcome {
            // A standby that has not yet caught up with the token says 412; a moment later it usually has.
            Ok(Reply {
                status: 412,
                error: Some(error),
                ..
            }) => Err(Failure {
                error,
                passing: true,
            }),
            other => other,
        }
    }

    fn request<E: Endpoint>(
        &self,
        call: Call<'_>,
        endpoint: &E,
    ) -> Result<http::Request<Vec<u8>>, Error> {
        let inner = &*self.inner;
        let namespace = match call.namespace {
            None => None,
            Some("") => inner.namespace.clone(),
            Some(name) => settings::namespace(name).map_err(|_| Error::Unsendable {
                why: "the namespace has a character that a header cannot carry",
            })?,
        };
        let envelope = Envelope {
            prefix: &inner.target.prefix,
            host: inner.target.host_header.as_ref(),
            headers: &inner.headers,
            namespace,
            token: call.token.map(token_header).transpose()?,
        };
        endpoint::request(endpoint, &inner.target.base, &envelope)
    }
}

fn token_header(token: &SecretText) -> Result<HeaderValue, Error> {
    let mut header = HeaderValue::from_str(token.expose()).map_err(|_| Error::Unsendable {
        why: "the token has a character that a header cannot carry",
    })?;
    header.set_sensitive(true);
    Ok(header)
}

fn word(outcome: &Result<Reply, Failure>) -> &'static str {
    match outcome {
        Ok(Reply { error: None, .. }) => "ok",
        Ok(Reply {
            error: Some(error), ..
        })
        | Err(Failure { error, .. }) => error.kind(),
    }
}

fn parse_health(body: &[u8]) -> Result<Health, Error> {
    #[derive(Deserialize)]
    struct Told {
        version: String,
        #[serde(default)]
        cluster_name: String,
        sealed: bool,
        #[serde(default)]
        standby: bool,
        initialized: bool,
    }
    let Told {
        version,
        cluster_name,
        sealed,
        standby,
        initialized,
    } = serde_json::from_slice(body).map_err(|_| Error::Malformed {
        what: "the health check",
    })?;
    let short = |text: String| {
        text.chars()
            .filter(|c| !c.is_control())
            .take(MAX_TOLD)
            .collect()
    };
    Ok(Health {
        version: short(version),
        cluster_name: short(cluster_name),
        sealed,
        standby,
        initialized,
    })
}

#[cfg(test)]
mod tests;
