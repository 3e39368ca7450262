//! Steps 5 and 6 together: ask Vault for what may be read again and again, and compare.

use super::Context;
use super::failure::Failure;
use super::fetch::fetch;
use super::observe::Observed;
use super::reading::Need;
use super::resolve::Job;
use super::settle::{Before, Settled, settle};
use super::trigger::Trigger;

/// Asks Vault: first only whether anything is new, where that is all that matters, and then for the values.
pub async fn look(
    job: &Job,
    trigger: Trigger,
    observed: &Observed,
    context: &Context,
) -> Result<Settled, Failure> {
    let before = Before::of_pass(observed);
    if trigger == Trigger::RefreshDue {
        let readings = fetch(job, trigger, Need::Fingerprints, before, context).await?;
        match settle(job, before, readings, true)? {
            Settled::Render(_) => {}
            settled @ (Settled::Unchanged(_) | Settled::DeleteSecret(_)) => return Ok(settled),
        }
    }
    look_for_values(job, trigger, observed, context).await
}

/// Asks Vault for the values.
pub async fn look_for_values(
    job: &Job,
    trigger: Trigger,
    observed: &Observed,
    context: &Context,
) -> Result<Settled, Failure> {
    let before = Before::of_pass(observed);
    let readings = fetch(job, trigger, Need::Values, before, context).await?;
    settle(job, before, readings, false)
}
