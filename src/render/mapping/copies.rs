//! Bulk copies: what each brings under which key, and which of two wins.

use std::collections::BTreeMap;

use super::{ConflictPolicy, Copy, Document, Origin, find};
use crate::render::check_key_name;
use crate::render::error::{MAX_NAMES, MappingError};
use crate::render::rename::Effort;
use crate::sensitive::{JsonRef, SecretData};

/// What copies bring, by key.
pub(super) type Brought<'a> = BTreeMap<String, (Origin<'a>, JsonRef<'a>)>;

/// What the copies bring beside the keys that entries have `taken`.
pub(super) fn all<'a>(
    copies: &'a [Copy],
    documents: &'a [Document<'_>],
    policy: ConflictPolicy,
    taken: &SecretData,
) -> Result<Brought<'a>, MappingError> {
    let mut copies: Vec<&Copy> = copies.iter().collect();
    match policy {
        // The order means nothing here, so it must not show in the message either.
        ConflictPolicy::Error => {
            copies.sort_by_key(|copy| (&copy.source, copy.selection.wording(), copy.decode));
        }
        ConflictPolicy::FirstWins => {}
        ConflictPolicy::LastWins => copies.reverse(),
    }
    let (mut won, mut effort) = (Brought::new(), Effort::default());
    for copy in copies {
        let document = find(documents, &copy.source)?;
        for (key, (origin, value)) in one(copy, document, taken, &mut effort)? {
            let (first, _) = *won.entry(key.clone()).or_insert((origin, value));
            if policy == ConflictPolicy::Error && first != origin {
                return Err(MappingError::KeyConflict {
                    key,
                    first: (first.source.to_owned(), first.field.to_owned()),
                    second: (origin.source.to_owned(), origin.field.to_owned()),
                });
            }
        }
    }
    Ok(won)
}

/// What one copy brings beside the keys that entries have `taken`.
fn one<'a>(
    copy: &'a Copy,
    document: &'a Document<'_>,
    taken: &SecretData,
    effort: &mut Effort,
) -> Result<Brought<'a>, MappingError> {
    let (source, selection) = (document.name, &copy.selection);
    let too_much = || MappingError::TooManyNames {
        source_name: source.to_owned(),
        limit: Effort::most(),
    };
    let mut brought = Brought::new();
    let Some(opened) = &document.content else {
        return Ok(brought);
    };
    let fields = opened.fields.as_ref();
    let fields = fields.ok_or_else(|| document.not_an_object())?;
    let cost = fields.keys().map(|name| selection.cost(name)).sum();
    effort.spend(cost).ok_or_else(too_much)?;
    let included: Vec<_> = fields
        .iter()
        .filter(|(name, _)| selection.includes(name))
        .collect();
    if included.is_empty() && selection.is_narrow() {
        return Err(MappingError::NothingIncluded {
            source_name: source.to_owned(),
            include: selection.wording().include.clone(),
            available: fields.keys().take(MAX_NAMES).cloned().collect(),
        });
    }
    for (field, value) in included {
        if selection.excludes(field) {
            continue;
        }
        let key = selection.key(field, effort).ok_or_else(too_much)?;
        if taken.contains_key(&*key) {
            continue;
        }
        check_key_name(&key).map_err(|problem| MappingError::InvalidKeyName {
            key: key.clone().into_owned(),
            problem,
            copied: Some((source.to_owned(), field.clone())),
        })?;
        let origin = Origin {
            source,
            field,
            decode: copy.decode,
        };
        if let Some((first, _)) = brought.insert(key.clone().into_owned(), (origin, *value)) {
            return Err(MappingError::SameKey {
                key: key.into_owned(),
                source_name: source.to_owned(),
                first_field: first.field.to_owned(),
                second_field: field.clone(),
            });
        }
    }
    Ok(brought)
}
