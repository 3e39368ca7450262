//! Why a pass did not reach its end: one reason, one sentence for a person, and when another attempt makes sense.

use std::time::Duration;

use crate::api::{FORCE_SYNC, Reason};

/// A pass that ended early.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// What is wrong and what mends it; the same words at every attempt, so that repeats write nothing.
    pub message: String,
    /// When to try again.
    pub retry: Retry,
    /// Fields of the Secret that others have set, such as `.data.password`: while they keep them, whatever else happens to it mends nothing.
    pub contested: Vec<String>,
}

/// When another attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// When something that the pass looked at changes; time alone mends nothing.
    OnChange,
    /// When the object or its connection changes, somebody asks anew, or finds out that Vault holds something new; whatever else happens, not
    /// before: the attempt itself does harm.
    Never,
    /// After a pause that grows from a second to five minutes.
    Backoff,
    /// After a pause that grows as well, but not beyond the interval: what is missing in Vault is looked for as often as
    /// what is there.
    BackoffToInterval,
    /// At the next regular poll: Vault holds something that does not fit, and a change of it is found by polling.
    Interval,
    /// After this long at least, because the server said so: longer if it keeps saying so, and spread over as much again.
    After(Duration),
}

impl Failure {
    /// A failure that is retried as its reason suggests.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry: usual_retry(reason),
            contested: Vec::new(),
        }
    }

    /// The object asks for what cannot be; the message names the field.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Reason::InvalidSpec, message)
    }

    /// The same failure, retried otherwise.
    pub fn retried(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// The same failure of an attempt, which may have `made` something in Vault that nothing takes back: each further one would make another.
    pub fn after(self, made: bool) -> Self {
        if !made {
            return self;
        }
        let message = format!(
            "{}; what was made for it in Vault stays there, so it is asked for again only after a change of the object or its connection, or with another value of the annotation {FORCE_SYNC}",
            self.message
        );
        Self {
            message,
            retry: Retry::Never,
            ..self
        }
    }

    /// Whether the server, and not this object, is the trouble: the Secret is then as good as it was.
    pub fn is_outage(&self) -> bool {
        is_outage(self.reason)
    }

    /// What the failure tells about the login: accepted, refused, or nothing.
    pub fn authenticated(&self) -> Option<bool> {
        match self.reason {
            Reason::LoginFailed | Reason::ServiceAccountNotFound | Reason::TokenRequestDenied => {
                Some(false)
            }
            Reason::PermissionDenied
            | Reason::PathNotFound
            | Reason::SourceDeleted
            | Reason::FieldNotFound
            | Reason::InvalidValue
            | Reason::TemplateFailed
            | Reason::KeyConflict
            | Reason::InvalidKeyName
            | Reason::SecretTooLarge => Some(true),
            // Whether the API server would take the Secret is asked before the login where Vault issues.
            Reason::QuotaExceeded
            | Reason::AdmissionDenied
            | Reason::Synced
            | Reason::LoggedIn
            | Reason::Connected
            | Reason::Suspended
            | Reason::LeaseLost
            | Reason::RenewalFailed
            | Reason::InvalidSpec
            | Reason::ConnectionNotFound
            | Reason::ConnectionNotAllowed
            | Reason::VaultUnavailable
            | Reason::VaultSealed
            | Reason::RateLimited
            | Reason::SecretConflict
            | Reason::RolledOut
            | Reason::RollingOut
            | Reason::RolloutTargetNotFound
            | Reason::RolloutStalled
            | Reason::NamespaceTerminating
            | Reason::KubernetesUnavailable
            | Reason::InternalError => None,
        }
    }
}

/// Whether that reason means an outage of a server rather than trouble with the object.
pub fn is_outage(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::VaultUnavailable
            | Reason::VaultSealed
            | Reason::RateLimited
            | Reason::KubernetesUnavailable
    )
}

fn usual_retry(reason: Reason) -> Retry {
    match reason {
        Reason::InvalidSpec
        | Reason::ConnectionNotFound
        | Reason::ConnectionNotAllowed
        | Reason::ServiceAccountNotFound
        | Reason::SecretConflict
        | Reason::NamespaceTerminating => Retry::OnChange,
        Reason::FieldNotFound
        | Reason::InvalidValue
        | Reason::TemplateFailed
        | Reason::KeyConflict
        | Reason::InvalidKeyName
        | Reason::SecretTooLarge => Retry::Interval,
        Reason::PathNotFound | Reason::SourceDeleted => Retry::BackoffToInterval,
        Reason::TokenRequestDenied
        | Reason::LoginFailed
        | Reason::PermissionDenied
        | Reason::VaultUnavailable
        | Reason::VaultSealed
        | Reason::RateLimited
        | Reason::QuotaExceeded
        | Reason::AdmissionDenied
        | Reason::KubernetesUnavailable
        | Reason::InternalError
        | Reason::Synced
        | Reason::LoggedIn
        | Reason::Connected
        | Reason::Suspended
        | Reason::LeaseLost
        | Reason::RenewalFailed
        | Reason::RolledOut
        | Reason::RollingOut
        | Reason::RolloutTargetNotFound
        | Reason::RolloutStalled => Retry::Backoff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_made_something_is_not_tried_again_by_itself_and_says_how_it_is() {
        for reason in [Reason::FieldNotFound, Reason::VaultUnavailable] {
            let failure = Failure::new(reason, "source ci: it does not fit");
            assert_eq!(failure.clone().after(false), failure);
            let failure = failure.after(true);
            assert_eq!((failure.reason, failure.retry), (reason, Retry::Never));
            let message = failure.message;
            assert!(
                message.starts_with("source ci: it does not fit; "),
                "{message}"
            );
            assert!(message.ends_with(FORCE_SYNC), "{message}");
        }
    }

    #[test]
    fn what_may_be_refused_before_a_login_tells_nothing_of_the_login() {
        for reason in [Reason::QuotaExceeded, Reason::AdmissionDenied] {
            assert_eq!(
                Failure::new(reason, "no").authenticated(),
                None,
                "{reason:?}"
            );
        }
        let denied = Failure::new(Reason::PermissionDenied, "no");
        assert_eq!(denied.authenticated(), Some(true));
    }
}
