//! How one of vaultrs' requests becomes an HTTP request that is safe to send.

use http::{HeaderMap, HeaderValue, Request, Uri};
use rustify::endpoint::{Endpoint, MiddleWare};
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use zeroize::Zeroizing;

use super::error::Error;

/// A GET of any path, for what vaultrs has no type for.
pub(super) struct Get {
    /// The path below `/v1/`, not encoded.
    pub path: String,
    /// The query string, encoded; empty if there is none.
    pub query: &'static str,
}

impl Endpoint for Get {
    type Response = ();
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::GET
    }

    fn query(&self) -> Result<Option<String>, ClientError> {
        Ok(Some(self.query.to_owned()).filter(|query| !query.is_empty()))
    }
}

/// A request of any kind, for what vaultrs has no type for. What it carries may be secret, and is wiped.
pub(super) struct Free {
    pub method: RequestMethod,
    /// The path below `/v1/`, not encoded.
    pub path: String,
    /// The query string, encoded.
    pub query: Option<Zeroizing<String>>,
    pub body: Zeroizing<Vec<u8>>,
    /// What Vault is asked to wrap the reply for.
    pub wrap_ttl: Option<HeaderValue>,
}

impl Endpoint for Free {
    type Response = ();
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        self.method.clone()
    }

    fn query(&self) -> Result<Option<String>, ClientError> {
        Ok(self.query.as_ref().map(|query| query.to_string()))
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(Some(self.body.to_vec()))
    }

    fn request(&self, base: &str) -> Result<Request<Vec<u8>>, ClientError> {
        let (path, method) = (self.path(), self.method());
        let mut request =
            rustify::http::build_request(base, &path, method, self.query()?, self.body()?)?;
        if let Some(wrap_ttl) = &self.wrap_ttl {
            let headers = request.headers_mut();
            headers.insert("x-vault-wrap-ttl", wrap_ttl.clone());
        }
        Ok(request)
    }
}

/// What every request gets: the address' path prefix, the settings' headers, the namespace and the token.
pub(super) struct Envelope<'a> {
    pub prefix: &'a str,
    pub host: Option<&'a HeaderValue>,
    pub headers: &'a HeaderMap,
    pub namespace: Option<HeaderValue>,
    pub token: Option<HeaderValue>,
}

impl MiddleWare for Envelope<'_> {
    fn request<E: Endpoint>(
        &self,
        _: &E,
        request: &mut Request<Vec<u8>>,
    ) -> Result<(), ClientError> {
        *request.uri_mut() = below(self.prefix, request.uri())?;
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(host) = self.host {
            headers.insert(http::header::HOST, host.clone());
        }
        if let Some(namespace) = &self.namespace {
            headers.insert("x-vault-namespace", namespace.clone());
        }
        if let Some(token) = &self.token {
            headers.insert("x-vault-token", token.clone());
        }
        Ok(())
    }

    fn response<E: Endpoint>(
        &self,
        _: &E,
        _: &mut http::Response<Vec<u8>>,
    ) -> Result<(), ClientError> {
        Ok(())
    }
}

/// Puts the prefix before the path, and drops the lone `?` of an empty query.
fn below(prefix: &str, uri: &Uri) -> Result<Uri, ClientError> {
    let query = uri.query().filter(|query| !query.is_empty());
    let path_and_query = match query {
        Some(query) => format!("{prefix}{}?{query}", uri.path()),
        None => format!("{prefix}{}", uri.path()),
    };
    let mut parts = uri.clone().into_parts();
    let parsed = path_and_query
        .parse()
        .map_err(|source| ClientError::UrlBuildError { source })?;
    parts.path_and_query = Some(parsed);
    Uri::from_parts(parts).map_err(|error| ClientError::GenericError {
        source: error.into(),
    })
}

/// The HTTP request of `endpoint` below `base`.
pub(super) fn request<E: Endpoint>(
    endpoint: &E,
    base: &str,
    envelope: &Envelope<'_>,
) -> Result<Request<Vec<u8>>, Error> {
    // vaultrs writes some of its paths with a tab or slash in front; neither reaches the URL.
    check_path(endpoint.path().trim_start_matches(['\t', '/']))?;
    let unsendable = |_: ClientError| Error::Unsendable {
        why: "its address cannot be written as a URL",
    };
    let mut request = endpoint.request(base).map_err(unsendable)?;
    envelope
        .request(endpoint, &mut request)
        .map_err(unsendable)?;
    Ok(request)
}

/// A URL drops `.`, `..` and control characters without a word, and so would ask for another path than the one
/// that was meant. Everything else is encoded, `%`, `?` and `#` included.
fn check_path(path: &str) -> Result<(), Error> {
    let why = if path.split('/').any(str::is_empty) {
        "the path has an empty segment"
    } else if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        "the path has a segment that is . or .."
    } else if path.contains(char::is_control) {
        "the path has a control character"
    } else {
        return Ok(());
    };
    Err(Error::Unsendable { why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(path: &str, prefix: &str) -> Result<String, Error> {
        let headers = HeaderMap::new();
        let envelope = Envelope {
            prefix,
            host: None,
            headers: &headers,
            namespace: None,
            token: None,
        };
        let request = request(
            &Get {
                path: path.to_owned(),
                query: "",
            },
            "https://vault:8200",
            &envelope,
        )?;
        Ok(request.uri().to_string())
    }

    #[test]
    fn each_segment_is_encoded_and_stands_below_the_prefix() {
        assert_eq!(
            uri("secret/data/a b", "/v1").unwrap(),
            "https://vault:8200/v1/secret/data/a%20b"
        );
        assert_eq!(
            uri("s/50%2F?x#y", "/team/v1").unwrap(),
            "https://vault:8200/team/v1/s/50%252F%3Fx%23y"
        );
        assert_eq!(uri("s/ä", "/v1").unwrap(), "https://vault:8200/v1/s/%C3%A4");
    }

    #[test]
    fn a_path_that_a_url_would_silently_change_is_not_sent() {
        for path in ["a//b", "a/../b", "a/./b", "a/", "", "a\nb", "a\tb"] {
            let error = uri(path, "/v1").unwrap_err();
            assert_eq!(error.kind(), "unsendable", "{path:?} gives {error}");
        }
    }

    #[test]
    fn the_requests_of_vaultrs_land_on_the_documented_paths() {
        let headers = HeaderMap::new();
        let envelope = Envelope {
            prefix: "/v1",
            host: None,
            headers: &headers,
            namespace: None,
            token: None,
        };
        let renew = vaultrs::api::token::requests::RenewTokenSelfRequest { increment: None };
        let renew = request(&renew, "https://vault", &envelope).unwrap();
        assert_eq!(renew.uri(), "https://vault/v1/auth/token/renew-self");
        let read = vaultrs::api::kv2::requests::ReadSecretRequest {
            mount: "a/b".into(),
            path: "c/d".into(),
            version: None,
        };
        let read = request(&read, "https://vault", &envelope).unwrap();
        assert_eq!(read.uri(), "https://vault/v1/a/b/data/c/d");
    }
}
