//! Values that make no Secret, or none of its type.

use crate::api::Reason;
use crate::api::destination::SecretType;
use crate::reconcile::failure::Failure;
use crate::render::MappingError;

/// The values do not make a Secret.
pub fn mapping(error: &MappingError) -> Failure {
    let reason = match error {
        MappingError::FieldMissing { .. }
        | MappingError::NotAnObject { .. }
        | MappingError::NothingIncluded { .. } => Reason::FieldNotFound,
        MappingError::Undecodable { .. } => Reason::InvalidValue,
        MappingError::KeyConflict { .. } | MappingError::SameKey { .. } => Reason::KeyConflict,
        MappingError::InvalidKeyName { .. } => Reason::InvalidKeyName,
        MappingError::SecretTooLarge { .. } => Reason::SecretTooLarge,
        MappingError::Template { .. } => Reason::TemplateFailed,
        MappingError::DuplicateEntry { .. } | MappingError::UnknownSource { .. } => {
            Reason::InvalidSpec
        }
    };
    Failure::new(reason, error.to_string())
}

/// Keys that a Secret of that type must have and that are not there.
pub fn missing_keys(secret_type: SecretType, missing: &str) -> Failure {
    let message = format!(
        "a Secret of type {} needs {missing}; name it under spec.data, or choose another spec.destination.type",
        secret_type.as_str()
    );
    Failure::new(Reason::FieldNotFound, message)
}

/// A value that does not suit the type of the Secret.
pub fn unsuitable(secret_type: SecretType, key: &str, origin: &str, problem: &str) -> Failure {
    let message = format!(
        "a Secret of type {} cannot have this value of {key} ({origin}): it {problem}; correct it in Vault, or name another field under spec.data",
        secret_type.as_str()
    );
    Failure::new(Reason::InvalidValue, message)
}
