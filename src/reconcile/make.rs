//! Step 7, the part whose length somebody else decides: the values of the Secret.

use super::build::{self, Issued};
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
    let documents = build::documents(job, settled, issued);
    let mapping = job.mapping.clone();
    let secrets = documents.iter().filter_map(|(_, secret)| secret.as_ref());
    let bytes = secrets.map(|secret| secret.json().expose().len()).sum();
    let render = move || build::values(&mapping, &documents);
    heavy::work(&job.key.namespace, bytes, render).await
}
