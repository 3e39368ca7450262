//! What Vault's words about a failed login mean, so that the operator can name what to change and where.

use crate::vault::error::Error;

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

#[cfg(test)]
mod tests {
    use super::*;

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
