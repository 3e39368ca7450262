//! One HTTP exchange: the connection, the reply read up to a limit, and a short plain cause when it fails.

#![expect(
    clippy::disallowed_methods,
    reason = "this file is the one HTTP client of the program"
)]

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Attempt, Policy};
use rustls::{AlertDescription, CertificateError};
use zeroize::Zeroizing;

use super::error::{Error, printable};
use super::settings::{Settings, SettingsError, Target};

/// The longest reply that is read. Vault's own limit on a request, and so on a stored secret, is 32 MiB, but a
/// Kubernetes Secret holds one.
pub(super) const MAX_REPLY: usize = 8 * 1024 * 1024;

/// The longest reply that is read of anything but a secret, an error's words among them. Logins are kept for as long as their
/// identity is used, so a server must not be able to make them large.
pub(super) const MAX_OTHER_REPLY: usize = 256 * 1024;
/// How long connecting may take, name look-up and TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How many redirects within the same origin are followed.
const MAX_REDIRECTS: usize = 3;
/// After so much silence on a busy HTTP/2 connection, the server is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A reply of any status. The body is wiped on drop.
pub(super) struct Reply {
    pub status: u16,
    pub body: Zeroizing<Vec<u8>>,
    /// What the status means; `None` for a success.
    pub error: Option<Error>,
}

/// A failed exchange.
pub(super) struct Failure {
    pub error: Error,
    /// Whether the connection broke in a way that a second try may well not.
    pub passing: bool,
}

impl Reply {
    /// The reply if it is a success.
    pub(super) fn success(self) -> Result<Self, Error> {
        match self.error {
            None => Ok(self),
            Some(error) => Err(error),
        }
    }
}

/// The HTTP client of these settings. Never looks at the environment.
pub(super) fn client(
    settings: &Settings,
    target: &Target,
) -> Result<reqwest::Client, SettingsError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("vaultbridge/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .redirect(Policy::custom(same_origin))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(settings.timeout)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .http2_keep_alive_timeout(CONNECT_TIMEOUT)
        .dns_resolver(Resolver {
            host: target.host.clone(),
            renamed: target.host_header.is_some(),
        });
    if target.host_header.is_some() {
        builder = builder.http1_only();
    }
    let tls = if target.secure {
        super::tls::configuration(settings)?
    } else {
        super::tls::none()?
    };
    builder
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|_| SettingsError::Other)
}

/// The token travels in a header of ours, which the HTTP library would deliver to any host.
fn same_origin(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let same = attempt
        .previous()
        .last()
        .is_some_and(|previous| previous.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// Looks up the address' host, also when the URL carries the name to expect in the certificate instead.
struct Resolver {
    host: String,
    renamed: bool,
}

/// The name of the server has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name {0} is not resolved")]
struct NotResolved(String);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = if self.renamed {
            self.host.clone()
        } else {
            name.as_str().to_owned()
        };
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0))
                .await
                .map(Iterator::collect::<Vec<SocketAddr>>);
            let found = found.map_err(|_| NotResolved(host))?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Sends the request and reads the reply, of at most `limit` bytes if it is a success. `anonymous` says that TLS is spoken
/// without a client certificate.
pub(super) async fn exchange(
    http: &reqwest::Client,
    request: http::Request<Vec<u8>>,
    timeout: Duration,
    limit: usize,
    anonymous: bool,
) -> Result<Reply, Failure> {
    let broken = |error: reqwest::Error| Failure {
        passing: is_passing(&error),
        error: unreachable(&error, timeout),
    };
    let sent = http.execute(into_request(request)?).await;
    let mut response = sent.map_err(|error| {
        if anonymous && is_unanswered(&error) {
            return unanswered();
        }
        broken(error)
    })?;
    let status = response.status().as_u16();
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let (retry_after, location) = (
        header(http::header::RETRY_AFTER),
        header(http::header::LOCATION),
    );
    let limit = if response.status().is_success() {
        limit
    } else {
        MAX_OTHER_REPLY
    };
    let mut body = Body::new(response.content_length(), limit);
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        body.append(&chunk).map_err(|error| Failure {
            error,
            passing: false,
        })?;
    }
    let body = body.bytes;
    let error = Error::of_reply(status, retry_after.as_deref(), location.as_deref(), &body);
    Ok(Reply {
        status,
        body,
        error,
    })
}

/// Hands the body over in a buffer that is wiped when the HTTP library lets go of it.
fn into_request(request: http::Request<Vec<u8>>) -> Result<reqwest::Request, Failure> {
    let request =
        request.map(|body| reqwest::Body::from(bytes::Bytes::from_owner(Zeroizing::new(body))));
    reqwest::Request::try_from(request).map_err(|_| Failure {
        error: Error::Unsendable {
            why: "its address cannot be written as a URL",
        },
        passing: false,
    })
}

/// A growing buffer that leaves no copy behind when it moves.
struct Body {
    bytes: Zeroizing<Vec<u8>>,
    limit: usize,
}

impl Body {
    fn new(announced: Option<u64>, limit: usize) -> Self {
        let announced = announced
            .and_then(|length| usize::try_from(length).ok())
            .unwrap_or(4096);
        Self {
            bytes: Zeroizing::new(Vec::with_capacity(announced.min(limit))),
            limit,
        }
    }

    fn append(&mut self, chunk: &[u8]) -> Result<(), Error> {
        let length = self.bytes.len() + chunk.len();
        if length > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        if length > self.bytes.capacity() {
            let mut roomier = Zeroizing::new(Vec::with_capacity((length * 2).min(self.limit)));
            roomier.extend_from_slice(&self.bytes);
            self.bytes = roomier;
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

/// A connection that was closed or reset under a request, as happens to idle ones; not one that never came about.
fn is_passing(error: &reqwest::Error) -> bool {
    !error.is_timeout() && !error.is_connect() && !error.is_builder() && !error.is_redirect()
}

/// Whether the connection came about and then ended without a word: HTTP/2 does not tell of an alert that ended TLS, and a request that
/// is still being written then meets a pipe that is broken already.
fn is_unanswered(error: &reqwest::Error) -> bool {
    let is_end = |cause: &(dyn StdError + 'static)| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(
            kind,
            Some(
                io::ErrorKind::BrokenPipe
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
            )
        )
    };
    is_passing(error)
        && (causes(error).any(is_end) || causes(error).find_map(plain_cause).is_none())
}

fn unanswered() -> Failure {
    let reason = "the server ends the connection without an answer; if it wants a client certificate, set spec.tls.clientCertificateRef";
    Failure {
        error: Error::Unreachable {
            reason: reason.to_owned(),
        },
        passing: true,
    }
}

fn unreachable(error: &reqwest::Error, timeout: Duration) -> Error {
    let reason = causes(error).find_map(plain_cause).unwrap_or_else(|| {
        match (error.is_timeout(), error.is_connect()) {
            (true, true) => format!(
                "no connection within {} s",
                CONNECT_TIMEOUT.min(timeout).as_secs_f32()
            ),
            (true, false) => format!("no answer within {} s", timeout.as_secs_f32()),
            (false, true) => "no connection".to_owned(),
            (false, false) => "the connection broke before the whole answer was there".to_owned(),
        }
    });
    Error::Unreachable { reason }
}

/// The error and everything behind it. An I/O error does not count what it wraps as its source, so look inside.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |&error| {
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        wrapped.map_or_else(|| error.source(), |inner| Some(inner))
    })
}

fn plain_cause(error: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(NotResolved(host)) = error.downcast_ref() {
        return Some(format!("the name {host} is not resolved"));
    }
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls_cause(tls));
    }
    let kind = error.downcast_ref::<io::Error>()?.kind();
    let cause = match kind {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => "connection closed",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "no route to the address"
        }
        _ => return None,
    };
    Some(cause.to_owned())
}

fn tls_cause(error: &rustls::Error) -> String {
    match error {
        // A bad signature is what an authority of the same name but with another key looks like.
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "certificate not trusted: no known authority has signed it; put its authority into spec.tls.caBundle or spec.tls.caBundleRef".to_owned()
        },
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            "certificate not trusted: it is for another name; set spec.tls.serverName to a name that is in it".to_owned()
        },
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "certificate not trusted: it has expired".to_owned(),
        rustls::Error::InvalidCertificate(why) => {
            format!("certificate not trusted: {}", printable(why.to_string()))
        }
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS".to_owned(),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server wants a client certificate; set spec.tls.clientCertificateRef".to_owned()
        }
        rustls::Error::AlertReceived(alert) => format!("the server ends TLS with {alert:?}"),
        other => format!("TLS fails: {}", printable(other.to_string())),
    }
}
