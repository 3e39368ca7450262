//! Step 7, the part whose length somebody else decides: the values of the Secret.

use super::build::{self, Documents, Issued};
use super::failure::Failure;
use super::resolve::Job;
use super::settle::Settling;
use crate::heavy;
use crate::sensitive::SecretData;

/// Renders what was read and what was issued.
pub async fn make(
    job: &Job,
    settled: &[Settling],
    issued: Option<&Issued>,
) -> Result<SecretData, Failure> {
    render(job, build::documents(job, settled, issued)).await
}

/// Renders what was read alone, where there is any: what does not fit of that, nothing need be issued for.
pub async fn preview(job: &Job, settled: &[Settling]) -> Result<(), Failure> {
    if settled.is_empty() {
        return Ok(());
    }
    let mut documents = build::documents(job, settled, None);
    let issued = job.issued.iter();
    documents.extend(issued.map(|source| (source.name.clone(), None)));
    render(job, documents).await.map(drop)
}

async fn render(job: &Job, documents: Documents) -> Result<SecretData, Failure> {
    let mapping = job.mapping.clone();
    let secrets = documents.iter().filter_map(|(_, secret)| secret.as_ref());
    let bytes = secrets.map(|secret| secret.json().expose().len()).sum();
    let render = move || build::values(&mapping, &documents);
    heavy::work(&job.key.namespace, bytes, render).await
}
