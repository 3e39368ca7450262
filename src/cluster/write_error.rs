//! Why the API server did not do what we asked, sorted by what to do about it.

use kube::core::Status;

use crate::leadership::NotLeading;

/// Why a request to the API server failed. Messages carry the API server's words, which hold no values of Secrets:
/// what it refuses, it refuses by field and rule.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// An object of that name exists already.
    #[error("it exists already")]
    AlreadyExists,
    /// The object is not what it was when we decided.
    #[error("it was changed by somebody else meanwhile")]
    Conflict,
    /// Fields of it are somebody else's, and what was applied has other values.
    #[error("others have set some of its fields")]
    Taken(Vec<Taken>),
    /// The object is not there.
    #[error("it does not exist")]
    NotFound,
    /// A quota refuses it.
    #[error("{0}")]
    Quota(String),
    /// The namespace is being deleted.
    #[error("the namespace is being deleted")]
    Terminating,
    /// The API server, its RBAC or an admission policy refuses it.
    #[error("{0}")]
    Denied(String),
    /// The object is too large for the API server.
    #[error("{0}")]
    TooLarge(String),
    /// The object cannot be changed in this way, only deleted and created.
    #[error("{0}")]
    Immutable(String),
    /// The object breaks a rule of its kind.
    #[error("{0}")]
    Invalid(String),
    /// The API server does not answer, or answers with an error of its own.
    #[error("{0}")]
    Unavailable(String),
}

/// A field that somebody else has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The field, such as `.data.password`.
    pub field: String,
    /// Their field manager.
    pub manager: String,
}

impl Taken {
    /// The conflicts that the API server tells of, in words that name the manager between quotation marks.
    fn all(status: &Status) -> Vec<Self> {
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let conflicts = causes.filter(|cause| cause.reason == "FieldManagerConflict");
        conflicts
            .map(|cause| Self {
                field: cause.field.clone(),
                manager: cause
                    .message
                    .split('"')
                    .nth(1)
                    .unwrap_or("somebody else")
                    .into(),
            })
            .collect()
    }
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from_status(&status),
            kube::Error::Service(cause) if cause.is::<NotLeading>() => {
                Self::Unavailable(cause.to_string())
            }
            other => Self::Unavailable(plain(&other)),
        }
    }
}

impl WriteError {
    fn from_status(status: &Status) -> Self {
        let message = status.message.clone();
        let is_terminating = status
            .details
            .iter()
            .flat_map(|details| &details.causes)
            .any(|cause| cause.reason == "NamespaceTerminating")
            || message.contains("because it is being terminated");
        match (status.code, status.reason.as_str()) {
            (403, _) if is_terminating => Self::Terminating,
            (403, _) if message.contains("exceeded quota") => Self::Quota(message),
            (404, _) => Self::NotFound,
            (409, "AlreadyExists") => Self::AlreadyExists,
            (409, _) => match Taken::all(status) {
                taken if taken.is_empty() => Self::Conflict,
                taken => Self::Taken(taken),
            },
            (413, _) => Self::TooLarge(message),
            (422, _) if message.contains("field is immutable") => Self::Immutable(message),
            (422, _) => Self::Invalid(message),
            (400..=499, _) if status.code != 429 && status.code != 408 && status.code != 401 => {
                Self::Denied(message)
            }
            _ => Self::Unavailable(format!(
                "the API server answered {}: {message}",
                status.code
            )),
        }
    }
}

/// A transport error in a few words. The chain of causes of an HTTP error names addresses and system errors only.
fn plain(error: &kube::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(next) = source.source() {
        source = next;
    }
    format!("the API server cannot be reached: {source}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> Status {
        Status {
            code,
            reason: reason.into(),
            message: message.into(),
            ..Status::default()
        }
    }

    #[test]
    fn a_quota_is_told_from_other_refusals() {
        let quota = status(
            403,
            "Forbidden",
            "secrets \"a\" is forbidden: exceeded quota: q, requested: count/secrets=1",
        );
        assert!(matches!(
            WriteError::from_status(&quota),
            WriteError::Quota(_)
        ));
        let denied = status(
            403,
            "Forbidden",
            "admission webhook \"x\" denied the request: no",
        );
        assert!(matches!(
            WriteError::from_status(&denied),
            WriteError::Denied(_)
        ));
        let webhook = status(400, "", "admission webhook \"x\" denied the request: no");
        assert!(matches!(
            WriteError::from_status(&webhook),
            WriteError::Denied(_)
        ));
    }

    #[test]
    fn a_terminating_namespace_is_told_from_other_refusals() {
        let message = "unable to create new content in namespace x because it is being terminated";
        assert!(matches!(
            WriteError::from_status(&status(403, "Forbidden", message)),
            WriteError::Terminating
        ));
    }

    #[test]
    fn what_can_only_be_made_anew_is_told_from_what_is_wrong() {
        let immutable =
            "Secret \"a\" is invalid: data: Forbidden: field is immutable when `immutable` is set";
        assert!(matches!(
            WriteError::from_status(&status(422, "Invalid", immutable)),
            WriteError::Immutable(_)
        ));
        let wrong = "Secret \"a\" is invalid: data[.dockerconfigjson]: Required value";
        assert!(matches!(
            WriteError::from_status(&status(422, "Invalid", wrong)),
            WriteError::Invalid(_)
        ));
    }

    #[test]
    fn a_write_of_an_instance_that_does_not_lead_is_told_as_that() {
        let error = WriteError::from(kube::Error::Service(NotLeading.into()));
        assert!(matches!(error, WriteError::Unavailable(_)), "{error:?}");
        assert_eq!(error.to_string(), NotLeading.to_string());
    }

    #[test]
    fn a_busy_api_server_is_unavailable_and_not_a_refusal() {
        assert!(matches!(
            WriteError::from_status(&status(429, "TooManyRequests", "")),
            WriteError::Unavailable(_)
        ));
        assert!(matches!(
            WriteError::from_status(&status(500, "InternalError", "")),
            WriteError::Unavailable(_)
        ));
    }
}
