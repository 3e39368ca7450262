//! Step 7, the part whose length somebody else decides: the values of the Secret.

use super::build::{self, Documents, Issued, types};
use super::failure::Failure;
use super::resolve::Job;
use super::settle::Settling;
use crate::api::destination::SecretType;
use crate::heavy;
use crate::render::{Content, Entry, Mapping};
use crate::sensitive::{SecretBytes, SecretData};

/// Renders what was read and what was issued.
pub async fn make(
    job: &Job,
    settled: &[Settling],
    issued: Option<&Issued>,
) -> Result<SecretData, Failure> {
    let documents = build::documents(job, settled, issued);
    let data = render(job, job.mapping.clone(), documents).await?;
    check(job, data).await
}

/// Renders what was read alone, where there is any: what does not fit of that, nothing need be issued for.
pub async fn preview(job: &Job, settled: &[Settling]) -> Result<(), Failure> {
    types::check_mapping(job.destination.secret_type, &job.mapping)?;
    if settled.is_empty() {
        return Ok(());
    }
    let mut documents = build::documents(job, settled, None);
    let issued = job.issued.iter();
    documents.extend(issued.map(|source| (source.name.clone(), None)));
    let mut mapping = job.mapping.clone();
    // A template may want what is not issued yet.
    let is_template = |entry: &Entry| matches!(entry.content, Content::Template { .. });
    mapping.entries.retain(|entry| !is_template(entry));
    if mapping.entries.is_empty() && mapping.copies.is_empty() && mapping != job.mapping {
        return Ok(()); // an empty mapping would copy everything
    }
    render(job, mapping, documents).await.map(drop)
}

async fn render(job: &Job, mapping: Mapping, documents: Documents) -> Result<SecretData, Failure> {
    let values = documents.iter().filter_map(|(_, value)| value.as_ref());
    let bytes = mapping.weight(values.map(build::Document::bytes).sum());
    let render = move || build::values(&mapping, &documents);
    heavy::work(&job.key.namespace, bytes, render).await
}

/// Whether the values suit the type of the Secret. Reading certificates takes longer than copying them.
async fn check(job: &Job, data: SecretData) -> Result<SecretData, Failure> {
    let (secret_type, mapping) = (job.destination.secret_type, job.mapping.clone());
    if secret_type == SecretType::Opaque {
        return Ok(data);
    }
    let bytes: usize = data.values().map(SecretBytes::len).sum();
    let check = move || types::check(secret_type, &data, &mapping).map(|()| data);
    heavy::work(&job.key.namespace, bytes.saturating_mul(4), check).await
}
