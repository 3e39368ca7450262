//! The words that say why something is as it is. There is one list of them, and conditions, events and metrics all take
//! their reasons from it.
//!
//! People write alerts and scripts on these words, so a word keeps its name for ever. Each stands here with its meaning and with what
//! to do about it.

pub mod pages;

use std::fmt;

/// Why an object is in the state that its conditions tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The Secret holds what the object asks for. Nothing to do.
    Synced,
    /// Vault accepted the service account. Nothing to do.
    LoggedIn,
    /// The server of a VaultConnection answers and is unsealed. Nothing to do.
    Connected,
    /// `spec.suspend` is true: nothing is read or written. Set it to false to go on.
    Suspended,
    /// The credentials in the Secret are of no use any more: Vault does not know them, or they ended without having been renewed. New ones are issued. Find out what became of them.
    LeaseLost,
    /// Credentials could not be renewed. They are in the Secret and work still; it is tried again, and new ones are issued before they end.
    RenewalFailed,
    /// Everything that `spec.rollout` names runs with what the Secret holds. Nothing to do.
    RolledOut,
    /// What `spec.rollout` names is being restarted, or will be. Nothing to do.
    RollingOut,
    /// The object asks for something that cannot be. The message names the field; change it.
    InvalidSpec,
    /// There is no VaultConnection of that name. Create it, or correct `spec.connectionRef.name`.
    ConnectionNotFound,
    /// The VaultConnection does not admit this namespace. Ask who administers it to add the namespace to `spec.allowedNamespaces`.
    ConnectionNotAllowed,
    /// The service account does not exist in this namespace. Create it, or correct `spec.auth.serviceAccountName`.
    ServiceAccountNotFound,
    /// The API server refused to issue a token for the service account. See the operator's RBAC and admission policies.
    TokenRequestDenied,
    /// Vault refused the login. The message carries Vault's own words and what usually mends it.
    LoginFailed,
    /// The login succeeded, but Vault's policies do not allow the path. Extend the policy of the role.
    PermissionDenied,
    /// The path has never existed, as far as we know, or Vault rejects the request for it. Write it in Vault, or correct the path.
    PathNotFound,
    /// The path existed and was deleted, destroyed or is gone. The Secret is kept unless `missingSourcePolicy` says otherwise.
    SourceDeleted,
    /// The source exists, but not the field of it. Write it in Vault, correct `field`, or set `optional`.
    FieldNotFound,
    /// A value in Vault is not what the object takes it for: it does not decode, or does not suit the type of the Secret. Correct it in Vault, or `decode` or `destination.type`.
    InvalidValue,
    /// A template asks for what is not there, or cannot be carried out. Correct the template, or write in Vault what it asks for.
    TemplateFailed,
    /// Vault does not answer, or answers with an error of its own, for all paths or for this one. The Secret keeps its last value; recovery
    /// is automatic.
    VaultUnavailable,
    /// Vault is sealed. The Secret keeps its last value; recovery is automatic once somebody unseals it.
    VaultSealed,
    /// Vault asked us to slow down. Recovery is automatic.
    RateLimited,
    /// Two bulk copies bring the same key, or one makes it of two fields. Name keys in `data`, correct `rename`, or set `conflictPolicy`.
    KeyConflict,
    /// A field's name, or what `rename` makes of it, cannot be a key of a Secret. Correct `rename`, or name it in `data` under a valid key.
    InvalidKeyName,
    /// The values exceed what a Secret can hold (1,048,576 bytes). Split the object.
    SecretTooLarge,
    /// A Secret of that name exists and is not ours, or another VaultSecret writes it. Choose another name, or remove the other.
    SecretConflict,
    /// A quota of the namespace refuses the Secret. Raise it, or remove something.
    QuotaExceeded,
    /// The API server or an admission policy refuses the Secret. The message carries its words.
    AdmissionDenied,
    /// A workload that `spec.rollout` names does not exist. Create it, or correct the target; it is found without help.
    RolloutTargetNotFound,
    /// A workload that was restarted does not get done with it: its pods do not start, or something holds it. Look at the workload.
    RolloutStalled,
    /// The namespace is being deleted; nothing is written into it any more.
    NamespaceTerminating,
    /// The API server does not answer as it should. Recovery is automatic.
    KubernetesUnavailable,
    /// The operator failed in a way it should not have. Please report it, with the operator's log.
    InternalError,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 34] = [
        Self::Synced,
        Self::LoggedIn,
        Self::Connected,
        Self::Suspended,
        Self::LeaseLost,
        Self::RenewalFailed,
        Self::RolledOut,
        Self::RollingOut,
        Self::InvalidSpec,
        Self::ConnectionNotFound,
        Self::ConnectionNotAllowed,
        Self::ServiceAccountNotFound,
        Self::TokenRequestDenied,
        Self::LoginFailed,
        Self::PermissionDenied,
        Self::PathNotFound,
        Self::SourceDeleted,
        Self::FieldNotFound,
        Self::InvalidValue,
        Self::TemplateFailed,
        Self::VaultUnavailable,
        Self::VaultSealed,
        Self::RateLimited,
        Self::KeyConflict,
        Self::InvalidKeyName,
        Self::SecretTooLarge,
        Self::SecretConflict,
        Self::QuotaExceeded,
        Self::AdmissionDenied,
        Self::RolloutTargetNotFound,
        Self::RolloutStalled,
        Self::NamespaceTerminating,
        Self::KubernetesUnavailable,
        Self::InternalError,
    ];

    /// Whether somebody may have to do something about it.
    pub fn is_trouble(self) -> bool {
        let fine = [
            Self::Synced,
            Self::LoggedIn,
            Self::Connected,
            Self::Suspended,
            Self::RolledOut,
            Self::RollingOut,
        ];
        !fine.contains(&self)
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::LoggedIn => "LoggedIn",
            Self::Connected => "Connected",
            Self::Suspended => "Suspended",
            Self::LeaseLost => "LeaseLost",
            Self::RenewalFailed => "RenewalFailed",
            Self::RolledOut => "RolledOut",
            Self::RollingOut => "RollingOut",
            Self::InvalidSpec => "InvalidSpec",
            Self::ConnectionNotFound => "ConnectionNotFound",
            Self::ConnectionNotAllowed => "ConnectionNotAllowed",
            Self::ServiceAccountNotFound => "ServiceAccountNotFound",
            Self::TokenRequestDenied => "TokenRequestDenied",
            Self::LoginFailed => "LoginFailed",
            Self::PermissionDenied => "PermissionDenied",
            Self::PathNotFound => "PathNotFound",
            Self::SourceDeleted => "SourceDeleted",
            Self::FieldNotFound => "FieldNotFound",
            Self::InvalidValue => "InvalidValue",
            Self::TemplateFailed => "TemplateFailed",
            Self::VaultUnavailable => "VaultUnavailable",
            Self::VaultSealed => "VaultSealed",
            Self::RateLimited => "RateLimited",
            Self::KeyConflict => "KeyConflict",
            Self::InvalidKeyName => "InvalidKeyName",
            Self::SecretTooLarge => "SecretTooLarge",
            Self::SecretConflict => "SecretConflict",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::AdmissionDenied => "AdmissionDenied",
            Self::RolloutTargetNotFound => "RolloutTargetNotFound",
            Self::RolloutStalled => "RolloutStalled",
            Self::NamespaceTerminating => "NamespaceTerminating",
            Self::KubernetesUnavailable => "KubernetesUnavailable",
            Self::InternalError => "InternalError",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_entry_in_the_documentation_and_none_is_unknown() {
        let text = include_str!("../../docs/reasons.md");
        let mut headings: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .collect();
        let mut words = Reason::ALL.map(Reason::as_str).to_vec();
        headings.sort_unstable();
        words.sort_unstable();
        assert_eq!(
            headings, words,
            "docs/reasons.md has another list of reasons than src/api/reason.rs"
        );
    }
}
