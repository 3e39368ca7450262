//! How an object holds its Secret: as a whole, or as a part of one that others share. Everything that differs by that has its name here: the field
//! manager, the annotations, and what in the Secret's `managedFields` is ours.

use crate::api::destination::CreationPolicy;
use crate::api::{MANAGER, PART_MANAGER, SEALED_ANNOTATION, TOUCHED_ANNOTATION, VaultSecret};
use crate::cluster::SecretMeta;
use crate::cluster::managed_fields::Share;
use crate::record::{ANNOTATION, Record, request_hash};

/// How an object holds its Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// All the data is its own, and so is the Secret.
    Exclusive,
    /// It was exclusive and is being given up: the fields are those of the part already, and the record stands where it stood.
    GivenUp(Part),
    /// The object owns its keys, and others own theirs.
    Shared(Part),
}

/// The names under which an object owns a part of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    manager: String,
    record: String,
    sealed: String,
}

/// The longest names of objects that are used as they are, and how much of longer ones is kept before the hash. A shortened name is longer than any that
/// is not, so that no object can bear the shortened name of another.
const MANAGER_NAME: usize = 99;
const ANNOTATION_NAME: usize = 39;

/// How many hexadecimal digits of the hash stand for the rest of a name.
const DIGITS: usize = 16;

impl Part {
    /// The names for an object of that name.
    pub fn of(name: &str) -> Self {
        let short = shortened(name, ANNOTATION_NAME);
        Self {
            manager: format!("{PART_MANAGER}{}", shortened(name, MANAGER_NAME)),
            record: format!("{ANNOTATION}.{short}"),
            sealed: format!("{SEALED_ANNOTATION}.{short}"),
        }
    }

    /// The field manager: 128 bytes at most.
    pub fn manager(&self) -> &str {
        &self.manager
    }
}

fn shortened(name: &str, keep: usize) -> String {
    if name.len() <= keep {
        return name.to_owned();
    }
    let mut hash = request_hash(name);
    hash.truncate(DIGITS);
    let kept: String = name.chars().take(keep).collect();
    format!("{kept}-{hash}")
}

impl Hold {
    /// How the object asks to hold its Secret.
    pub fn wanted(object: &VaultSecret) -> Self {
        match object.spec.destination.creation_policy {
            CreationPolicy::Create => Self::Exclusive,
            CreationPolicy::CreateOrMerge | CreationPolicy::Merge => Self::Shared(part(object)),
        }
    }

    /// How the object holds that Secret now; as it asks to, if it does not hold it.
    pub fn standing(object: &VaultSecret, secret: Option<&SecretMeta>) -> Self {
        let wanted = Self::wanted(object);
        let uid = object.metadata.uid.as_deref();
        let name = object.metadata.name.as_deref();
        let holds = |hold: &Self| {
            let record = secret.and_then(|secret| hold.own_record(secret));
            record.is_some_and(|record| {
                Some(record.owner_uid.as_str()) == uid || Some(record.owner_name.as_str()) == name
            })
        };
        let part = part(object);
        let others = [
            Self::Shared(part.clone()),
            Self::GivenUp(part),
            Self::Exclusive,
        ];
        let found = [wanted.clone()].into_iter().chain(others).find(holds);
        found.unwrap_or(wanted)
    }

    /// Whether others share the Secret.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Shared(_))
    }

    /// The field manager in whose name the Secret is written.
    pub fn manager(&self) -> &str {
        match self {
            Self::Exclusive => MANAGER,
            Self::GivenUp(part) | Self::Shared(part) => &part.manager,
        }
    }

    /// The annotation that holds the record.
    pub fn record(&self) -> &str {
        match self {
            Self::Exclusive | Self::GivenUp(_) => ANNOTATION,
            Self::Shared(part) => &part.record,
        }
    }

    /// The annotation that holds the sealed values.
    pub fn sealed(&self) -> &str {
        match self {
            Self::Exclusive | Self::GivenUp(_) => SEALED_ANNOTATION,
            Self::Shared(part) => &part.sealed,
        }
    }

    /// What of the Secret is ours by this hold.
    pub fn share<'a>(&self, secret: &'a SecretMeta) -> Option<&'a Share> {
        match self {
            Self::Exclusive => Some(&secret.owners.whole),
            Self::GivenUp(part) | Self::Shared(part) => secret.owners.parts.get(&part.manager),
        }
    }

    /// Whether we have written the Secret by this hold. That it was touched is no proof: a touch writes nothing else.
    fn wrote(&self, secret: &SecretMeta) -> bool {
        let Some(share) = self.share(secret) else {
            return false;
        };
        let mut annotations = share.annotations.iter();
        match self {
            Self::Exclusive => {
                share.our_keys > 0 || annotations.any(|name| name != TOUCHED_ANNOTATION)
            }
            Self::GivenUp(_) => annotations.any(|name| name == ANNOTATION),
            Self::Shared(part) => {
                share.our_keys > 0 || annotations.any(|name| *name == part.record)
            }
        }
    }

    /// The record on the Secret, if we have ever written the Secret that bears it. Whoever copies one of our Secrets copies its record too, and the copy is
    /// theirs.
    pub fn own_record(&self, secret: &SecretMeta) -> Option<Record> {
        record_in(secret, self.record()).filter(|_| self.wrote(secret))
    }

    /// Whether somebody else has set the record.
    pub fn is_forged(&self, secret: &SecretMeta) -> bool {
        let Some(share) = self.share(secret) else {
            return true;
        };
        let foreign = share.foreign_marks > 0;
        foreign || self.is_shared() && !share.annotations.iter().any(|name| name == self.record())
    }
}

/// The record in that annotation of a Secret, if there is one that can be read.
pub fn record_in(secret: &SecretMeta, annotation: &str) -> Option<Record> {
    let text = secret.annotations.get(annotation)?;
    Record::parse(text).ok()
}

fn part(object: &VaultSecret) -> Part {
    Part::of(object.metadata.name.as_deref().unwrap_or_default())
}

/// Who that field manager is, for a person.
pub fn in_words(manager: &str) -> String {
    match manager.strip_prefix(PART_MANAGER) {
        Some(name) => format!("VaultSecret {name}"),
        None if manager == MANAGER => "a VaultSecret that has the whole Secret".to_owned(),
        None => manager.to_owned(),
    }
}

/// Whether the annotation holds what is noted of a part.
pub fn is_of_a_part(annotation: &str) -> bool {
    let kinds = [ANNOTATION, SEALED_ANNOTATION];
    let mut rests = kinds
        .iter()
        .filter_map(|kind| annotation.strip_prefix(kind));
    rests.any(|rest| rest.starts_with('.'))
}

/// Names of the VaultSecrets that hold a part of the Secret, by the records that they have put there themselves.
pub fn holders_of_parts(secret: &SecretMeta) -> impl Iterator<Item = Record> {
    let parts = secret.owners.parts.values();
    let annotations = parts.flat_map(|share| &share.annotations);
    let records = annotations.filter(|name| {
        let rest = name.strip_prefix(ANNOTATION);
        rest.is_some_and(|rest| rest.starts_with('.'))
    });
    records.filter_map(|name| record_in(secret, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_part_fit_whatever_the_object_is_called_and_tell_objects_apart() {
        let short = Part::of("orders");
        assert_eq!(
            (
                short.manager(),
                short.record.as_str(),
                short.sealed.as_str()
            ),
            (
                "vaultbridge/orders",
                "vaultbridge.dev/state.orders",
                "vaultbridge.dev/sealed.orders"
            )
        );
        let long = "a".repeat(253);
        let (one, other) = (Part::of(&long), Part::of(&long[1..]));
        for part in [&one, &other] {
            assert!(part.manager.len() <= 128, "{}", part.manager);
            for annotation in [&part.record, &part.sealed] {
                let (_, name) = annotation.split_once('/').unwrap();
                assert!(name.len() <= 63, "{annotation}");
            }
        }
        assert_ne!(one, other);
        // An object that is called like the shortened name of another one has another name itself.
        let taken = one.manager.strip_prefix(PART_MANAGER).unwrap();
        assert_ne!(Part::of(taken).manager, one.manager);
        let taken = one.record.strip_prefix("vaultbridge.dev/state.").unwrap();
        assert_ne!(Part::of(taken).record, one.record);
    }
}
