//! Steps 5 to 8 where Vault issues.

use super::Context;
use super::failure::Failure;
use super::mint::{self, Minted};
use super::observe::Observed;
use super::remove;
use super::report::Outcome;
use super::resolve::Job;
use crate::minting::Cause;

/// Has new credentials issued, and writes the Secret with them.
pub async fn issue(
    job: &Job,
    cause: Cause,
    observed: &Observed,
    context: &Context,
) -> Result<Outcome, Failure> {
    match mint::mint(job, cause, observed, context).await? {
        Minted::Applied(trigger, applied) => Ok(Outcome::Applied(trigger, *applied)),
        Minted::DeleteSecret(claim, gone) => {
            remove::delete_target(job, &claim, context).await?;
            Err(gone)
        }
    }
}

/// The same where the Secret's own credentials cannot be had any more.
pub async fn issue_for_lost(
    job: &Job,
    why: String,
    observed: &Observed,
    context: &Context,
) -> Result<Outcome, Failure> {
    let why = format!("the sealed values cannot be used: {why}");
    issue_for_dead(job, why, observed, context).await
}

/// The same where their session turned out to be dead.
pub async fn issue_for_dead(
    job: &Job,
    why: String,
    observed: &Observed,
    context: &Context,
) -> Result<Outcome, Failure> {
    let mut observed = observed.clone();
    observed.tended.lost = Some(why);
    issue(job, Cause::LeaseLost, &observed, context).await
}
