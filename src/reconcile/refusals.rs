//! What Vault and the API server said no to, in words that a person can act on.

pub mod folder;
mod values;

use std::fmt::Write as _;

use super::failure::{Failure, Retry};
use super::issued::{IssuedJob, Kind, SecretParameter};
use super::pki;
use super::resolve::Job;
use super::source_job::{SourceJob, full_path};
use super::walk::WalkError;
use crate::api::Reason;
use crate::cluster::WriteError;
use crate::cluster::tokens::TokenError;
use crate::minting::MOST_ENTRIES;
use crate::vault::{self, LoginProblem, Method, MountError, SessionError};
pub use values::{mapping, missing_keys, unsuitable};

/// Why a source was not read. Objects that wait for the same read share it, so it names none of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// There is no Vault token.
    Login(SessionError<TokenError>),
    /// The mount was not found.
    Mount(MountError),
    /// The read itself.
    Read(vault::Error),
    /// The list of a folder.
    List {
        /// The one below the source's that was listed; empty for that itself.
        below: String,
        /// Why.
        error: vault::Error,
    },
    /// A folder holds more than is looked through.
    Unbounded(String),
    /// It took too long to list the folders of one; so many had been by then.
    Slow(usize),
}

impl From<WalkError> for Refusal {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::List { below, error } => Self::List { below, error },
            WalkError::Unbounded(what) => Self::Unbounded(what),
            WalkError::Slow(listed) => Self::Slow(listed),
        }
    }
}

impl Refusal {
    /// Whether Vault refused the token, so that another login might help.
    pub fn is_forbidden(&self) -> bool {
        match self {
            Self::Login(_)
            | Self::Mount(MountError::NotKv { .. })
            | Self::Unbounded(_)
            | Self::Slow(_) => false,
            Self::Mount(MountError::Vault(error))
            | Self::Read(error)
            | Self::List { error, .. } => {
                matches!(error, vault::Error::Forbidden { .. })
            }
        }
    }

    /// What it means for that object and source.
    pub fn failure(&self, job: &Job, source: &SourceJob) -> Failure {
        match self {
            Self::Login(error) => login(job, error),
            Self::Mount(error) => mount(job, source, error),
            Self::Read(error) => read(job, source, error),
            Self::List { below, error } => folder::list(job, source, below, error),
            Self::Unbounded(what) => folder::unbounded(source, what),
            Self::Slow(listed) => folder::slow(source, *listed),
        }
    }
}

/// Vault did not issue what was asked for.
pub fn issue(job: &Job, source: &IssuedJob, error: &vault::Error) -> Failure {
    let IssuedJob {
        name, path, kind, ..
    } = source;
    let (verb, capability) = match kind {
        Kind::Read => ("read", "read"),
        Kind::Write | Kind::Certificate => ("write to", "update"),
    };
    if let vault::Error::Forbidden { .. } = error {
        let message = format!(
            "source {name}: role {} may not {verb} {path}; its policy needs the capability \"{capability}\" on \"{path}\"",
            job.login.role
        );
        return Failure::new(Reason::PermissionDenied, message);
    }
    let what = format!("source {name}: {verb} {path}");
    if let (Kind::Write | Kind::Certificate, vault::Error::Rejected { .. }) = (kind, error) {
        // It may be the request or the role in Vault that has to be mended.
        let mend = mend(source).unwrap_or_default();
        return Failure::invalid(format!("{what}: {error}{mend}")).retried(Retry::Backoff);
    }
    vault_trouble(job, error, Reason::PathNotFound, &what)
}

/// What to mend where Vault was to sign a request for a certificate.
fn mend(source: &IssuedJob) -> Option<String> {
    let (name, path) = (&source.name, &source.path);
    let field = match &source.key {
        Some(_) => "pki.privateKey, or the names beside it,",
        None if source.parameters.contains_key(pki::CSR) => "pki.csr",
        None => return None,
    };
    let role = path.rsplit('/').next().unwrap_or_default();
    Some(format!(
        "; correct spec.sources[{name}].{field} or what role {role} of the engine allows"
    ))
}

/// A parameter of a request is not where the object says.
pub fn parameter(source: &IssuedJob, parameter: &SecretParameter, problem: &str) -> Failure {
    let SecretParameter { name, secret, key } = parameter;
    let message = format!(
        "source {}: parameter {name} is to come from key {key} of Secret {secret}, {problem}, or correct spec.sources[{}].write.parametersFrom",
        source.name, source.name
    );
    // The Secret may come later, and is not watched for this.
    Failure::invalid(message).retried(Retry::Backoff)
}

/// A session that came to nothing could not be revoked at once. It is written down, and revoked later.
pub fn give_back(job: &Job, error: &vault::Error) -> Failure {
    vault_trouble(
        job,
        error,
        Reason::VaultUnavailable,
        "revoke an unused session",
    )
}

/// Tokens that can be neither revoked nor named are of no use for credentials.
pub fn batch_token(job: &Job) -> Failure {
    let (role, mount) = (&job.login.role, &job.login.identity.mount);
    Failure::new(
        Reason::LoginFailed,
        format!(
            "role {role} issues batch tokens, which can be neither renewed nor revoked, and credentials with them; write token_type=service into auth/{mount}/role/{role}, or use another role for sources other than kv"
        ),
    )
}

/// Too many sessions are written down, and none of them can go yet.
pub fn too_many_sessions() -> Failure {
    let message = format!(
        "{MOST_ENTRIES} sessions are open, the replaced ones included, and no other is begun before one of them may go: they are kept for spec.lease.overlap, which may be longer than credentials live here, or cannot be revoked, which the operator's log then tells; status.sessions lists them"
    );
    Failure::new(Reason::VaultUnavailable, message)
}

/// Vault did not let us in, or there was no token to show.
pub fn login(job: &Job, error: &SessionError<TokenError>) -> Failure {
    match error {
        SessionError::Jwt(error) => token(error),
        SessionError::Login(error) => match LoginProblem::of(error) {
            Some(problem) => Failure::new(Reason::LoginFailed, login_message(job, error, problem)),
            None => vault_trouble(job, error, Reason::LoginFailed, "log in"),
        },
    }
}

/// A read was refused or failed.
fn read(job: &Job, source: &SourceJob, error: &vault::Error) -> Failure {
    let path = full_path(source);
    if let vault::Error::Forbidden { .. } = error {
        return Failure::new(
            Reason::PermissionDenied,
            format!(
                "source {}: role {} may not read {path}; its policy needs the capability \"read\" on {}",
                source.name,
                job.login.role,
                policy_path(source)
            ),
        );
    }
    vault_trouble(
        job,
        error,
        Reason::PathNotFound,
        &format!("source {}: read {path}", source.name),
    )
}

/// No KV engine was found for the path.
fn mount(job: &Job, source: &SourceJob, error: &MountError) -> Failure {
    let path = full_path(source);
    match error {
        MountError::Vault(vault::Error::Forbidden { .. }) => Failure::new(
            Reason::PermissionDenied,
            format!(
                "source {}: role {} may read nothing below the mount of {path}, or nothing is mounted there; check the path, and give the policy of the role the capability \"read\" on it",
                source.name, job.login.role
            ),
        ),
        MountError::Vault(error) => vault_trouble(
            job,
            error,
            Reason::PathNotFound,
            &format!("source {}: look up the mount of {path}", source.name),
        ),
        MountError::NotKv { .. } => Failure::new(
            Reason::InvalidSpec,
            format!("spec.sources[{}].{}: {error}", source.name, source.member()),
        )
        .retried(Retry::Backoff),
    }
}

/// The API server did not write the Secret.
pub fn write(name: &str, error: &WriteError) -> Failure {
    match error {
        WriteError::Quota(why) => Failure::new(
            Reason::QuotaExceeded,
            format!("the namespace's quota refuses Secret {name}: {why}"),
        ),
        WriteError::Terminating => Failure::new(
            Reason::NamespaceTerminating,
            "the namespace is being deleted; nothing is written into it any more",
        ),
        WriteError::Denied(why) | WriteError::Immutable(why) | WriteError::Invalid(why) => {
            Failure::new(
                Reason::AdmissionDenied,
                format!("the API server refuses Secret {name}: {why}"),
            )
        }
        WriteError::TooLarge(why) => Failure::new(
            Reason::SecretTooLarge,
            format!("the API server refuses Secret {name}: {why}"),
        ),
        WriteError::Taken(_) => Failure::new(
            Reason::SecretConflict,
            format!("write Secret {name}: {error}"),
        ),
        // Somebody was faster. The watch brings what they did, and the next pass decides on that.
        WriteError::AlreadyExists | WriteError::Conflict | WriteError::NotFound => Failure::new(
            Reason::KubernetesUnavailable,
            format!("write Secret {name}: {error}"),
        ),
        WriteError::Unavailable(why) => Failure::new(
            Reason::KubernetesUnavailable,
            format!("write Secret {name}: {why}"),
        ),
    }
}

/// The server is known not to answer.
pub fn outage(job: &Job, reason: Reason) -> Failure {
    let name = &job.connection.name;
    let message = match reason {
        Reason::VaultSealed => format!(
            "the server of VaultConnection {name} is sealed; the Secret keeps its value, and syncing goes on by itself once it is unsealed"
        ),
        _ => format!(
            "the server of VaultConnection {name} does not answer; the Secret keeps its value, and syncing goes on by itself once it does. See the VaultConnection for the cause"
        ),
    };
    Failure::new(reason, message)
}

fn token(error: &TokenError) -> Failure {
    match error {
        TokenError::NotFound(name) => Failure::new(
            Reason::ServiceAccountNotFound,
            format!(
                "service account {name} does not exist; create it, or correct spec.auth.serviceAccountName"
            ),
        ),
        TokenError::Denied { .. } => Failure::new(Reason::TokenRequestDenied, error.to_string()),
        TokenError::Unavailable(why) => Failure::new(
            Reason::KubernetesUnavailable,
            format!("request a token: {why}"),
        ),
    }
}

/// An error of Vault that is not about permission: an outage, a limit, or what `otherwise` says.
fn vault_trouble(job: &Job, error: &vault::Error, otherwise: Reason, what: &str) -> Failure {
    match error {
        vault::Error::Sealed => outage(job, Reason::VaultSealed),
        vault::Error::RateLimited { retry_after } => {
            let failure = Failure::new(
                Reason::RateLimited,
                "Vault asks to slow down (HTTP 429); the Secret keeps its value and syncing goes on by itself",
            );
            retry_after.map_or(failure.clone(), |pause| {
                failure.retried(Retry::After(pause))
            })
        }
        vault::Error::Unreachable { .. }
        | vault::Error::Unavailable { .. }
        | vault::Error::Failed { .. }
        | vault::Error::Malformed { .. }
        | vault::Error::TooLarge { .. }
        | vault::Error::Redirected { .. } => {
            // The server itself is the trouble only if its probe says so. Otherwise it may be this path alone.
            match job.connection.reachability().outage {
                Some(known) => outage(job, known.reason),
                None => Failure::new(Reason::VaultUnavailable, format!("{what}: {error}")),
            }
        }
        vault::Error::Forbidden { .. } => {
            Failure::new(Reason::PermissionDenied, format!("{what}: {error}"))
        }
        vault::Error::Leased => {
            // Every further attempt would issue a credential that nobody revokes.
            Failure::new(
                Reason::InvalidSpec,
                format!("{what}: {error}; correct kv.mount, or leave kv.engineVersion out"),
            )
            .retried(Retry::Never)
        }
        vault::Error::Mismatch { .. } => {
            // Every further attempt would issue another one of the wrong kind.
            Failure::new(
                Reason::InvalidSpec,
                format!("{what}: {error}; correct the source's result"),
            )
            .retried(Retry::Never)
        }
        vault::Error::NotFound { .. }
        | vault::Error::Rejected { .. }
        | vault::Error::Unsendable { .. } => Failure::new(otherwise, format!("{what}: {error}")),
    }
}

/// Vault's words first, then what usually mends it, as a command for whoever administers Vault.
fn login_message(job: &Job, error: &vault::Error, problem: LoginProblem) -> String {
    let identity = &job.login.identity;
    let (role, mount, account) = (&job.login.role, &identity.mount, &job.login.service_account);
    let role_path = format!("auth/{mount}/role/{role}");
    let audiences = identity.audiences.join(",");
    let set_audience = match job.login.method {
        Method::Kubernetes => format!(
            "vault write {role_path} audience={} (with the role's other settings)",
            identity.audiences.first().map_or("vault", String::as_str)
        ),
        Method::Jwt => format!(
            "vault write {role_path} bound_audiences={audiences} (with the role's other settings)"
        ),
    };
    let mut message = format!(
        "log in at auth/{mount} with role {role} as service account {}/{}: {error}",
        account.namespace, account.name
    );
    let hint = match problem {
        LoginProblem::UnknownRole => format!("the role does not exist there; create it (vault write {role_path} …), or correct spec.auth.role or spec.auth.mount"),
        LoginProblem::Audience | LoginProblem::RoleWithoutAudience => format!("the token is made for audience {audiences}, and the role expects another; {set_audience}, or set spec.auth.audiences to what the role expects"),
        LoginProblem::ServiceAccount => format!("the role does not admit this service account; add {} to its bound_service_account_names", account.name),
        LoginProblem::Namespace => format!("the role does not admit this namespace; add {} to its bound_service_account_namespaces", account.namespace),
        LoginProblem::Claims => "the role is bound to another subject or other claims; compare its bound_subject and bound_claims with this service account".into(),
        LoginProblem::Expired => "the token has expired or is not yet valid in Vault's eyes; compare the clocks of Vault and of the API server".into(),
        LoginProblem::Signature => format!("Vault does not accept the token's signature or issuer; compare auth/{mount}/config with this cluster's issuer and keys"),
        LoginProblem::Unconfigured => format!("the auth method is not configured; write auth/{mount}/config"),
        LoginProblem::VaultNamespace => "the Vault namespace does not exist; correct spec.auth.vaultNamespace or spec.vaultNamespace".into(),
        LoginProblem::Unsaid => format!("Vault says no more than that; usual causes: no auth method is mounted at {mount}; the role has no audience while the token is made for {audiences} (then: {set_audience}); or Vault may not ask the API server (the reviewer's token in auth/{mount}/config)"),
    };
    let _ = write!(message, "; {hint}");
    message
}

/// What to write into a policy for the source.
fn policy_path(source: &SourceJob) -> String {
    let path = full_path(source);
    let (mount, rest) = if source.mount.is_empty() {
        path.split_once('/').unwrap_or((&path, ""))
    } else {
        (source.mount.as_str(), source.path.as_str())
    };
    match source.engine {
        Some(vault::KvVersion::V1) => format!("\"{mount}/{rest}\""),
        Some(vault::KvVersion::V2) => format!("\"{mount}/data/{rest}\""),
        None => format!("\"{mount}/data/{rest}\" (KV v2) or \"{mount}/{rest}\" (KV v1)"),
    }
}

#[cfg(test)]
mod tests;
