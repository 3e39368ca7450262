//! What the API server was asked, by whom: the oracle for "this costs no request".

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;

use crate::audit::{AuditLog, Place, Requests};
use crate::wait::until;

/// The API server's audit log.
#[derive(Debug, Clone)]
pub struct KubeAudit {
    log: AuditLog,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeRequest {
    /// `system:serviceaccount:<namespace>:<name>` for a service account.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, …
    pub verb: String,
    /// The plural, with a subresource behind a slash: `secrets`, `vaultsecrets/status`, `serviceaccounts/token`.
    pub resource: String,
    /// Empty for what is cluster-wide.
    pub namespace: String,
    /// Empty for lists, and for a creation whose name the server only learns from the body.
    pub name: String,
    /// The path and query.
    pub uri: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// What was sent, if it was a request for a token; `Null` otherwise.
    pub body: Value,
}

/// Requests, to be narrowed down step by step: `requests.writes().resource("secrets").in_namespace("shop")`.
pub type KubeRequests = Requests<KubeRequest>;

impl KubeAudit {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            log: AuditLog::new(file),
        }
    }

    /// The log as a file.
    #[must_use]
    pub fn log(&self) -> &AuditLog {
        &self.log
    }

    /// The requests since a place that are in the log by now. See [`settle`](Self::settle).
    pub fn since(&self, place: Place) -> Result<KubeRequests> {
        let events: Vec<Event> = self.log.entries(place)?;
        Ok(Requests(
            events
                .into_iter()
                .filter(Event::counts)
                .map(Event::request)
                .collect(),
        ))
    }

    /// Waits until every request that was answered before this call is in the log.
    ///
    /// The server writes an entry when an answer is sent, which may be a moment after the client has it. So this asks for
    /// something unmistakable, waits until that is in the log, and does so again: two round trips are an age for an
    /// entry that was already on its way.
    pub async fn settle(&self, client: &Client) -> Result<()> {
        for round in 0..2 {
            let from = self.log.end()?;
            let moment = jiff::Timestamp::now().as_nanosecond();
            let uri = format!("/version?settle={moment}-{round}");
            let request = http_get(&uri)?;
            client.request_text(request).await?;
            until("the audit log", Duration::from_secs(10), async || {
                Ok(self.log.since(from)?.contains(&uri).then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}

fn http_get(uri: &str) -> Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(uri).body(Vec::new())?)
}

impl KubeRequest {
    /// Whether it changes something (a token request does not), or would if it were not a [trial](Self::is_tried_out).
    #[must_use]
    pub fn is_write(&self) -> bool {
        let changing = ["create", "update", "patch", "delete", "deletecollection"]
            .contains(&self.verb.as_str());
        changing && self.resource != "serviceaccounts/token"
    }

    /// Whether it was a trial (`dryRun=All`): the server judges it as a write and keeps nothing of it.
    #[must_use]
    pub fn is_tried_out(&self) -> bool {
        self.uri.contains("dryRun=All")
    }
}

impl Requests<KubeRequest> {
    /// Those of a user; of a service account with [`of_account`](Self::of_account).
    #[must_use]
    pub fn of(self, user: &str) -> Self {
        self.only(|request| request.user == user)
    }

    /// Those of a service account.
    #[must_use]
    pub fn of_account(self, namespace: &str, name: &str) -> Self {
        self.of(&format!("system:serviceaccount:{namespace}:{name}"))
    }

    /// Those that change something.
    #[must_use]
    pub fn writes(self) -> Self {
        self.only(KubeRequest::is_write)
    }

    /// Those with this verb.
    #[must_use]
    pub fn verb(self, verb: &str) -> Self {
        self.only(|request| request.verb == verb)
    }

    /// Those for this resource, with its subresource: `secrets`, `vaultsecrets/status`.
    #[must_use]
    pub fn resource(self, resource: &str) -> Self {
        self.only(|request| request.resource == resource)
    }

    /// Those in this namespace.
    #[must_use]
    pub fn in_namespace(self, namespace: &str) -> Self {
        self.only(|request| request.namespace == namespace)
    }
}

impl fmt::Display for KubeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            verb,
            uri,
            user,
            ..
        } = self;
        write!(f, "{code} {verb} {uri} ({user})")
    }
}

/// An entry as the server writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    user: User,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    #[serde(default)]
    request_object: Value,
}

#[derive(Debug, Deserialize)]
struct User {
    username: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

impl Event {
    /// A watch is told twice: counted is its begin, or its refusal. Anything else is told once, at its end.
    fn counts(&self) -> bool {
        self.stage == "ResponseStarted" || self.verb != "watch" || self.response_status.code >= 400
    }

    fn request(self) -> KubeRequest {
        let ObjectRef {
            resource,
            subresource,
            namespace,
            name,
        } = self.object_ref;
        let resource = if subresource.is_empty() {
            resource
        } else {
            format!("{resource}/{subresource}")
        };
        KubeRequest {
            user: self.user.username,
            verb: self.verb,
            resource,
            namespace,
            name,
            uri: self.request_uri,
            code: self.response_status.code,
            body: self.request_object,
        }
    }
}
