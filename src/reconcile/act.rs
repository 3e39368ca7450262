//! Steps 4 to 8 in their order: what to do, and doing it.

use super::Context;
use super::again::{self, Again};
use super::apply;
use super::build;
use super::claim::Claim;
use super::decide::{self, Decision};
use super::failure::Failure;
use super::held;
use super::issue;
use super::look::{look, look_for_values};
use super::make;
use super::observe::Observed;
use super::refusals;
use super::remove;
use super::report::Outcome;
use super::resolve::Job;
use super::sessions;
use super::settle::Settled;
use super::trigger::Trigger;
use crate::fault;
use crate::minting::Stage;

/// The steps after the claim.
pub async fn act(
    job: &Job,
    claim: &Claim,
    observed: &Observed,
    context: &Context,
) -> Result<Outcome, Failure> {
    match decide::decide(job, claim, observed) {
        Decision::Wait(until) => Ok(Outcome::Waiting(until)),
        Decision::Full => Err(refusals::too_many_sessions()),
        Decision::Issue(cause) => issue::issue(job, cause, observed, context).await,
        Decision::Rest(record) => Ok(Outcome::InSync(record)),
        Decision::Verify(record) if apply::verify(job, &record, context).await? => {
            Ok(Outcome::Verified(record))
        }
        Decision::Verify(_) => bring(job, claim, Trigger::TargetChanged, observed, context).await,
        Decision::Fetch(trigger) => bring(job, claim, trigger, observed, context).await,
    }
}

/// Asks Vault, and writes what follows from its answer.
async fn bring(
    job: &Job,
    claim: &Claim,
    trigger: Trigger,
    observed: &Observed,
    context: &Context,
) -> Result<Outcome, Failure> {
    let looked = look(job, trigger, observed, context).await?;
    let news = match again::look(job, trigger, observed, context).await? {
        Again::Dead(why) => return issue::issue_for_dead(job, why, observed, context).await,
        Again::Same => Vec::new(),
        Again::News(news) => news,
    };
    let looked = match looked {
        Settled::Unchanged(_) if !news.is_empty() => {
            look_for_values(job, trigger, observed, context).await?
        }
        looked => looked,
    };
    match looked {
        Settled::Unchanged(record) => Ok(Outcome::Unchanged(*record)),
        Settled::Render(settled) => {
            let issued = match held::held(job, observed, context).await? {
                Ok(issued) => issued,
                Err(why) => return issue::issue_for_lost(job, why, observed, context).await,
            };
            let with_news = |held| again::with_news(job, held, news, &context.keys);
            let issued = issued.map(with_news).transpose()?;
            let data = make::make(job, &settled, issued.as_ref()).await?;
            let (issued, why) = (issued.as_ref(), (trigger, &context.keys));
            let desired = build::build(job, data, &settled, issued, observed, why);
            let applied = apply::apply(job, claim, desired, observed, context);
            let instead = |_| Err(sessions::fault());
            let applied = fault::around(Stage::WritePlain, applied, instead).await?;
            Ok(Outcome::Applied(trigger, applied))
        }
        Settled::DeleteSecret(gone) => {
            remove::delete_target(job, claim, context).await?;
            Err(gone)
        }
    }
}
