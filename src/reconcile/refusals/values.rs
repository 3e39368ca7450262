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
        MappingError::SecretTooLarge { .. } | MappingError::TooManyNames { .. } => {
            Reason::SecretTooLarge
        }
        MappingError::Template { .. } => Reason::TemplateFailed,
        MappingError::DuplicateEntry { .. } | MappingError::UnknownSource { .. } => {
            Reason::InvalidSpec
        }
    };
    Failure::new(reason, error.to_string())
}

/// The most keys that a message lists.
const MAX_KEYS: usize = 20;

/// Keys that a Secret of that type must have and that are not there, beside those that are.
pub fn missing_keys(secret_type: SecretType, missing: &[&str], keys: &[&str]) -> Failure {
    let (missing, word) = match missing {
        [one] => ((*one).to_owned(), "key"),
        several => (several.join(" and "), "keys"),
    };
    let shown = keys.iter().take(MAX_KEYS).copied();
    let there = match shown.collect::<Vec<_>>().join(", ").as_str() {
        "" => "it would have none".to_owned(),
        shown if keys.len() > MAX_KEYS => format!("it would have {shown} and others"),
        shown => format!("it would have {shown}"),
    };
    let message = format!(
        "a Secret of type {} needs the {word} {missing}, and {there}; name what is missing under spec.data, or choose another spec.destination.type",
        secret_type.as_str()
    );
    Failure::new(Reason::FieldNotFound, message)
}

/// A value that does not suit the type of the Secret, with where it comes from and how to mend it.
pub fn unsuitable(
    secret_type: SecretType,
    key: &str,
    (origin, mend): (&str, &str),
    problem: &str,
) -> Failure {
    let message = format!(
        "a Secret of type {} cannot have this value of {key} ({origin}): it {problem}; {mend}",
        secret_type.as_str()
    );
    Failure::new(Reason::InvalidValue, message)
}
