//! Every way in which a request to Vault can fail, sorted by what one can do about it.
//!
//! A reply's body may hold secrets, so none of it gets in here but the strings that Vault itself puts under
//! `errors`: at most three, cut short, control characters escaped. Therefore these errors may be printed.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::sensitive::SecretText;

/// How many of Vault's own error strings are kept.
const MAX_ERRORS: usize = 3;
/// How many characters of each are kept.
const MAX_ERROR_CHARS: usize = 300;
/// So many letters and digits of a secret in a row are a quotation of it.
const QUOTED: usize = 6;
/// Stands for words of Vault that quote a secret.
const QUOTING: &str =
    "(not told here, as it quotes a secret parameter; Vault's audit log has it, hashed)";
/// The longest `Retry-After` that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Why a request to Vault has no usable reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody answered: no connection, no trust, or no reply in time.
    #[error("reach vault: {reason}")]
    Unreachable {
        /// The cause in a few words, without the address.
        reason: String,
    },
    /// The server is sealed, or was never initialised.
    #[error("vault is sealed")]
    Sealed,
    /// The server as a whole, or what stands before it, is not serving: no active node, overload, a bad gateway.
    #[error("vault is unavailable (HTTP {status}){}", told(errors))]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// What Vault said.
        errors: Vec<String>,
    },
    /// A quota of Vault is used up.
    #[error("vault limits the rate of requests{}", after(*retry_after))]
    RateLimited {
        /// How long Vault asks to wait, at most an hour.
        retry_after: Option<Duration>,
    },
    /// The token or login is not allowed to do this, or is no longer valid: Vault does not tell which.
    #[error("vault denies permission{}", told(errors))]
    Forbidden {
        /// What Vault said.
        errors: Vec<String>,
    },
    /// There is nothing at this path.
    #[error("vault has nothing there{}", told(errors))]
    NotFound {
        /// What Vault said: a missing mount or namespace is named here, a missing entry is not.
        errors: Vec<String>,
    },
    /// The request itself is wrong.
    #[error("vault rejects the request (HTTP {status}){}", told(errors))]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// What Vault said.
        errors: Vec<String>,
    },
    /// Vault serves, but this request broke something inside: an engine's backend, its configuration.
    #[error("vault fails (HTTP {status}){}", told(errors))]
    Failed {
        /// The HTTP status.
        status: u16,
        /// What Vault said.
        errors: Vec<String>,
    },
    /// The server sends us to another one, where the token must not go.
    #[error(
        "vault redirects to {to}, which is not followed: the address must name the active server or its load balancer"
    )]
    Redirected {
        /// Scheme, host and port of the other server, or "nowhere".
        to: String,
    },
    /// The reply is longer than we read.
    #[error("vault's reply is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The reply is not what Vault's API promises; whatever answered is perhaps not Vault.
    #[error("vault's reply to {what} is not understood")]
    Malformed {
        /// The kind of request.
        what: &'static str,
    },
    /// The place lends credentials, so no KV engine is there. Asking again would issue another one.
    #[error("the reply carries a lease: the place issues credentials and is no KV engine")]
    Leased,
    /// The request succeeded, but what Vault answered is of another kind than what was asked for.
    #[error("vault's reply holds {holds} instead of {wanted}")]
    Mismatch {
        /// What there is.
        holds: &'static str,
        /// What there should be.
        wanted: &'static str,
    },
    /// The request cannot be put into HTTP without changing its meaning.
    #[error("cannot send the request: {why}")]
    Unsendable {
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Error {
    /// One word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Sealed => "sealed",
            Self::Unavailable { .. } => "unavailable",
            Self::RateLimited { .. } => "rate_limited",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } => "not_found",
            Self::Rejected { .. } => "rejected",
            Self::Failed { .. } => "failed",
            Self::Redirected { .. } => "redirected",
            Self::TooLarge { .. } => "too_large",
            Self::Malformed { .. } => "malformed",
            Self::Leased => "leased",
            Self::Mismatch { .. } => "mismatch",
            Self::Unsendable { .. } => "unsendable",
        }
    }

    /// Whether the server as a whole is not answering, so that every other request would fail likewise.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Sealed | Self::Unavailable { .. } => true,
            Self::RateLimited { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Rejected { .. }
            | Self::Failed { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Leased
            | Self::Mismatch { .. }
            | Self::Unsendable { .. } => false,
        }
    }

    /// Whether the server, or one behind it, may be at work on the request still: there was no reply, or one of a gateway.
    pub fn may_be_at_work(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unavailable { .. })
    }

    /// Whether Vault did what it was asked to, and only the answer is of no use.
    pub fn is_done(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. } | Self::Malformed { .. } | Self::Mismatch { .. } | Self::Leased
        )
    }

    /// The same error without those of Vault's words that quote one of these secrets, whole or in part: Vault may repeat what it refuses.
    #[must_use]
    pub fn without(mut self, secrets: &[&SecretText]) -> Self {
        if let Self::Unavailable { errors, .. }
        | Self::Forbidden { errors }
        | Self::NotFound { errors }
        | Self::Rejected { errors, .. }
        | Self::Failed { errors, .. } = &mut self
        {
            for words in errors.iter_mut() {
                if secrets.iter().any(|secret| quotes(words, secret)) {
                    QUOTING.clone_into(words);
                }
            }
        }
        self
    }

    /// What Vault itself said; empty if it said nothing.
    pub fn told(&self) -> &[String] {
        match self {
            Self::Unavailable { errors, .. }
            | Self::Forbidden { errors }
            | Self::NotFound { errors }
            | Self::Rejected { errors, .. }
            | Self::Failed { errors, .. } => errors,
            Self::Unreachable { .. }
            | Self::Sealed
            | Self::RateLimited { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Leased
            | Self::Mismatch { .. }
            | Self::Unsendable { .. } => &[],
        }
    }

    /// Reads the error out of a reply; `None` if the reply is a success.
    pub(super) fn of_reply(
        status: u16,
        retry_after: Option<&str>,
        location: Option<&str>,
        body: &[u8],
    ) -> Option<Self> {
        let errors = || errors_of(body);
        Some(match status {
            200..=299 => return None,
            300..=399 => Self::Redirected {
                to: origin_of(location),
            },
            403 => Self::Forbidden { errors: errors() },
            404 => Self::NotFound { errors: errors() },
            429 => Self::RateLimited {
                retry_after: retry_after.and_then(seconds),
            },
            500 | 502..=504 | 472 | 473 => outage_or_failure(status, errors()),
            501 | 505.. => Self::Failed {
                status,
                errors: errors(),
            },
            _ => Self::Rejected {
                status,
                errors: errors(),
            },
        })
    }
}

/// Whether these words repeat the secret or a good part of it. Only letters and digits count, since Vault may put quotes and escapes between.
/// The words are few; the secret, which may be long, is walked through once.
fn quotes(words: &str, secret: &SecretText) -> bool {
    let plain = |text: &str| {
        let chars = text.bytes().filter(u8::is_ascii_alphanumeric);
        Zeroizing::new(chars.map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>())
    };
    let (words, secret) = (plain(words), plain(secret.expose()));
    // Of a secret without any letter, it cannot be told.
    let length = secret.len().min(QUOTED);
    if length == 0 {
        return true;
    }
    let said: HashSet<&[u8]> = words.windows(length).collect();
    secret.windows(length).any(|part| said.contains(part))
}

/// A cluster without a leader answers 500 and says so in words; a 500 is otherwise about one request.
fn outage_or_failure(status: u16, errors: Vec<String>) -> Error {
    let says = |words: &str| errors.iter().any(|error| error.contains(words));
    if status == 503 && says("sealed") {
        Error::Sealed
    } else if status != 500 || says("node not active") || says("cluster node not found") {
        Error::Unavailable { status, errors }
    } else {
        Error::Failed { status, errors }
    }
}

fn errors_of(body: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Told {
        #[serde(default)]
        errors: Vec<String>,
    }
    let told: Option<Told> = serde_json::from_slice(body).ok();
    let all = told.map(|told| told.errors).unwrap_or_default();
    all.iter()
        .flat_map(|error| parts_of(error))
        .take(MAX_ERRORS)
        .map(printable)
        .collect()
}

/// Vault joins several causes as "2 errors occurred:\n\t* this\n\t* that\n\n"; one alone often comes so as well.
fn parts_of(error: &str) -> Vec<&str> {
    match error.split_once("occurred:\n") {
        Some((_, list)) => list
            .split("\t* ")
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect(),
        None => vec![error.trim()],
    }
}

pub(super) fn printable(text: impl AsRef<str>) -> String {
    let mut out = String::new();
    for (index, character) in text.as_ref().chars().enumerate() {
        if index == MAX_ERROR_CHARS {
            out.push('…');
            break;
        }
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

fn seconds(retry_after: &str) -> Option<Duration> {
    let seconds = retry_after.trim().parse().ok().map(Duration::from_secs)?;
    Some(seconds.min(MAX_RETRY_AFTER))
}

fn origin_of(location: Option<&str>) -> String {
    let url = location.and_then(|location| url::Url::parse(location).ok());
    url.map_or_else(
        || "nowhere".to_owned(),
        |url| url.origin().ascii_serialization(),
    )
}

fn told(errors: &[String]) -> String {
    if errors.is_empty() {
        String::new()
    } else {
        format!(": {}", errors.join("; "))
    }
}

fn after(retry_after: Option<Duration>) -> String {
    let mut out = String::new();
    if let Some(wait) = retry_after {
        // Writing into a string cannot fail.
        let _ = write!(out, ": try again in {} s", wait.as_secs());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_vault_that_quote_a_secret_are_left_out_and_others_are_not() {
        let words = "error converting input \"hunter2\\nTwo\" for field \"ttl\"";
        let error = Error::Rejected {
            status: 400,
            errors: vec![words.to_owned(), "unknown role".to_owned()],
        };
        for (secret, quoted) in [
            ("hunter2\nTwo", true),
            ("HUNTER2", true),
            ("a-long-one-of-which-only-hunter2-is-told", true),
            ("ttl", true),
            ("!!", true),
            ("sesame", false),
        ] {
            let told = error
                .clone()
                .without(&[&SecretText::new(secret.to_owned())]);
            let first = if quoted { QUOTING } else { words };
            assert_eq!(told.told()[0], first, "{secret}");
            let role = if secret == "!!" {
                QUOTING
            } else {
                "unknown role"
            };
            assert_eq!(told.told()[1], role, "{secret}");
        }
        assert_eq!(error.clone().without(&[]), error);
    }

    #[test]
    fn a_quotation_is_found_wherever_in_a_long_secret_it_stands() {
        let words = "x".repeat(293) + " hunter2";
        let long = |end: &str| SecretText::new("ab".repeat(500_000) + end);
        assert!(quotes(&words, &long("hunter")));
        assert!(!quotes(&words, &long("hunte")));
    }

    fn error(status: u16, body: &str) -> Error {
        Error::of_reply(status, None, None, body.as_bytes()).unwrap()
    }

    #[test]
    fn a_success_is_no_error() {
        assert_eq!(Error::of_reply(204, None, None, b""), None);
    }

    #[test]
    fn a_list_of_causes_is_told_as_plain_words() {
        let one = error(
            403,
            r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#,
        );
        assert_eq!(
            one.to_string(),
            "vault denies permission: permission denied"
        );
        let two = error(
            403,
            r#"{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}"#,
        );
        assert_eq!(two.told(), ["permission denied", "invalid token"]);
    }

    #[test]
    fn a_sealed_server_is_an_outage_of_its_own_kind() {
        let sealed = error(503, r#"{"errors":["Vault is sealed"]}"#);
        assert_eq!(sealed, Error::Sealed);
        assert!(sealed.is_outage());
    }

    #[test]
    fn a_cluster_without_a_leader_is_an_outage_although_it_answers_500() {
        let body = r#"{"errors":["local node not active but active cluster node not found"]}"#;
        assert!(error(500, body).is_outage(), "{:?}", error(500, body));
        let one_request = error(
            500,
            r#"{"errors":["could not load backend configuration"]}"#,
        );
        assert!(!one_request.is_outage(), "{one_request:?}");
    }

    #[test]
    fn a_body_that_is_not_vaults_is_never_quoted() {
        let page = error(502, "<html>hunter2</html>");
        assert_eq!(page.to_string(), "vault is unavailable (HTTP 502)");
        let wrong = error(400, r#"{"errors":"hunter2"}"#);
        assert_eq!(wrong.to_string(), "vault rejects the request (HTTP 400)");
    }

    #[test]
    fn what_vault_says_is_cut_short_and_cannot_break_a_line() {
        let long = format!(
            r#"{{"errors":["a\n\u001b[31m{}","b","c","d"]}}"#,
            "x".repeat(1000)
        );
        let told = error(400, &long).told().to_vec();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with(r"a\n\u{1b}[31mxxx"), "{told:?}");
        assert!(told[0].chars().count() < 320, "{told:?}");
    }

    #[test]
    fn retry_after_is_believed_up_to_an_hour() {
        let wait = |text| Error::of_reply(429, Some(text), None, b"").unwrap();
        assert_eq!(
            wait("7"),
            Error::RateLimited {
                retry_after: Some(Duration::from_secs(7))
            }
        );
        assert_eq!(
            wait("99999"),
            Error::RateLimited {
                retry_after: Some(MAX_RETRY_AFTER)
            }
        );
        assert_eq!(
            wait("Fri, 31 Dec 1999 23:59:59 GMT"),
            Error::RateLimited { retry_after: None }
        );
        assert_eq!(
            wait("7").to_string(),
            "vault limits the rate of requests: try again in 7 s"
        );
    }

    #[test]
    fn a_redirect_tells_where_to_but_not_the_whole_address() {
        let to = Some("https://user:pw@vault-1:8200/v1/secret?x=y");
        let error = Error::of_reply(307, None, to, b"").unwrap();
        assert_eq!(
            error,
            Error::Redirected {
                to: "https://vault-1:8200".into()
            }
        );
    }
}
