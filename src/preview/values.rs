//! The values of a file, by the names of sources. They stand there as Vault would have them: the fields of an entry, and of a folder the entries by their names.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use super::files;
use super::vault::Answer;
use crate::reconcile::offline::{Folder, Given, Of, Wanted};
use crate::sensitive::{JsonRef, SecretJson};
use crate::vault::{Entries, Listed};

/// The values by the names of sources, each as the text that it is; `None` is a source that is absent.
pub type Values = BTreeMap<String, Option<Zeroizing<String>>>;

/// Reads the file.
pub fn read(path: &Path) -> anyhow::Result<Values> {
    let text = files::text(path)?;
    let whole = SecretJson::parse(text);
    let whole = whole.map_err(|error| anyhow::anyhow!("read {}: {error}", path.display()))?;
    let members = whole.root().and_then(JsonRef::members);
    let members = members.with_context(|| {
        format!(
            "read {}: it must be one JSON object with a member for each source, such as {{\"app\": {{\"password\": \"…\"}}}}",
            path.display()
        )
    })?;
    Ok(members
        .into_iter()
        .map(|(name, value)| (name, text_of(value)))
        .collect())
}

/// What a value for that source looks like.
pub fn such_as(wanted: &Wanted) -> String {
    let name = &wanted.name;
    match &wanted.of {
        Of::Folder(_) => format!("{{\"{name}\": {{\"smtp\": {{\"password\": \"…\"}}}}}}"),
        Of::Entry(_) | Of::Issued => format!("{{\"{name}\": {{\"password\": \"…\"}}}}"),
    }
}

/// The value of a source that the file has.
pub fn given(wanted: &Wanted, text: Option<&Zeroizing<String>>) -> Answer<Option<Given>> {
    let Some(text) = text else {
        return Ok(Ok(None));
    };
    let name = &wanted.name;
    let document = fields(text).with_context(|| {
        format!(
            "use the value of source {name}: it must be an object, such as {}",
            such_as(wanted)
        )
    })?;
    match &wanted.of {
        Of::Folder(folder) => entries(wanted, folder, &document),
        Of::Entry(_) | Of::Issued => Ok(Ok(Some(Given::One(document)))),
    }
}

/// The entries of a folder, chosen as a pass chooses among those that Vault lists.
fn entries(wanted: &Wanted, folder: &Folder, document: &SecretJson) -> Answer<Option<Given>> {
    let members = document.root().and_then(JsonRef::members);
    let members = members.unwrap_or_default();
    let is_listed = |name: &str| folder.is_recursive() || !name.contains('/');
    let listed: Entries = members
        .keys()
        .filter(|name| is_listed(name))
        .map(|name| (name.clone(), Listed::Name))
        .collect();
    let chosen = match folder.choose(&listed) {
        Ok(chosen) => chosen,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut entries = Vec::with_capacity(chosen.len());
    for entry in chosen {
        let Some(text) = members.get(&entry).copied().and_then(text_of) else {
            entries.push((entry, None));
            continue;
        };
        let Some(data) = fields(&text) else {
            bail!(
                "use the value of source {}: its entry {entry:?} must be an object with the fields of that entry of the folder, such as {}",
                wanted.name,
                such_as(wanted)
            );
        };
        entries.push((entry, Some(data)));
    }
    Ok(folder.fill(listed.len(), entries))
}

fn fields(text: &Zeroizing<String>) -> Option<SecretJson> {
    let document = SecretJson::parse(text.clone()).ok()?;
    document.root()?.members()?;
    Some(document)
}

fn text_of(value: JsonRef<'_>) -> Option<Zeroizing<String>> {
    let json = value.to_json();
    let text = String::from_utf8_lossy(json.expose()).into_owned();
    (!value.is_null()).then(|| Zeroizing::new(text))
}
