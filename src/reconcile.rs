//! What happens to a VaultSecret, from a look at the world to a report about it.
//!
//! [`reconcile`] is the table of contents: the steps in their order, a file each. In this folder `async fn` touches the world and
//! `fn` is pure: what it needs to know, the time included, it is given. However a pass ends, it ends in one [`Report`](report::Report).

mod act;
mod again;
mod apply;
mod build;
mod certificate;
mod choose;
mod claim;
mod conflicts;
pub mod connection;
mod contested;
mod context;
mod decide;
mod dress;
mod ends;
mod entries;
mod failure;
mod fetch;
#[cfg(test)]
mod fixture;
mod folders;
mod found;
mod gather;
mod held;
mod hold;
mod housework;
mod issue;
mod issued;
mod listing;
mod look;
mod make;
mod mapping;
mod memory;
mod mint;
mod observe;
pub mod offline;
mod orphans;
mod parameters;
mod paths;
mod pki;
mod publish;
mod reading;
mod refusals;
mod remove;
mod renew;
mod report;
mod resolve;
mod restart;
mod revoke;
mod rolled_out;
pub mod rollout;
mod sessions;
mod settle;
mod share;
mod source_job;
mod status;
mod tend;
mod tended;
mod texts;
mod trigger;
mod values;
pub mod walk;
mod wish;
mod world;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::reflector::Store;
use kube::{Client, Resource};
use tokio::sync::mpsc;
use tracing::error;

use self::contested::Attempt;
use self::failure::Failure;
pub use self::housework::Housework;
pub use self::memory::{Memories, Overlay};
use self::observe::Observed;
pub use self::observe::owners_of;
pub use self::orphans::{Orphans, vanished};
use self::refusals::Refusal;
use self::report::{Outcome, Tidied};
use self::resolve::Job;
use self::tended::Tended;
use self::trigger::Trigger;
use crate::api::{Reason, VaultConnection, VaultSecret};
use crate::cluster::events::Events;
use crate::cluster::reach::Reach;
use crate::cluster::tokens::TokenError;
use crate::cluster::{Caches, Guarded, Key};
use crate::connections::Connections;
use crate::fault;
use crate::holdings::Holdings;
use crate::leadership::Tenure;
use crate::metrics::Metrics;
use crate::minting::Wish;
use crate::objects::Objects;
use crate::queue::Queue;
use crate::seal::Keys;
use crate::telemetry::Clock;
use crate::vault::{Listings, Mounts, Reads, Sessions};

/// The longest that a pass may take: a login, a mount look-up, a read and a write at their longest, and then some.
const PASS_LIMIT: Duration = Duration::from_secs(150);

/// The longest that a pass and its report may take together.
const WHOLE_LIMIT: Duration = Duration::from_mins(4);

/// How soon an object is looked at again whose pass was lost.
const AFTER_TROUBLE: Duration = Duration::from_secs(30);

/// Everything that passes share.
pub struct Context {
    /// Speaks to the API server.
    pub client: Client,
    /// What is known of the cluster.
    pub caches: Arc<Caches>,
    /// Who wants to write what.
    pub objects: Objects,
    /// The VaultConnections.
    pub connection_store: Store<Guarded<VaultConnection>>,
    /// The servers that they name.
    pub connections: Connections,
    /// Vault tokens, one per identity.
    pub sessions: Sessions<TokenError>,
    /// Readings, one per path and identity.
    pub reads: Reads<Refusal>,
    /// Lists, one per folder and identity.
    pub listings: Listings<Refusal>,
    /// Which mount a path is below.
    pub mounts: Mounts,
    /// Keys of the MACs.
    pub keys: Keys,
    /// What earlier passes noted.
    pub memories: Memories,
    /// What we wrote and the watch has not brought back yet.
    pub overlay: Overlay,
    /// The sessions that are open.
    pub holdings: Holdings,
    /// Where letting sessions go failed.
    pub housework: Housework,
    /// Whether sessions of deleted objects wait to be revoked.
    pub orphans: Orphans,
    /// Publishes events.
    pub events: Events,
    /// Counts.
    pub metrics: Metrics,
    /// Asks for passes over VaultSecrets.
    pub wake: mpsc::UnboundedSender<Key>,
    /// Asks for passes over VaultConnections, by name.
    pub wake_connection: mpsc::UnboundedSender<String>,
    /// How the operator was started.
    pub settings: Settings,
    /// Who waits for a pass.
    pub queue: Queue,
    /// When the operator started.
    pub started: Timestamp,
    /// For how long this instance leads.
    pub tenure: Arc<Tenure>,
    /// Tells the time.
    pub clock: Clock,
}

/// How the operator was started, as far as passes care.
pub struct Settings {
    /// The operator's own namespace, where certificates and its keys are.
    pub namespace: String,
    /// Where the operator looks for VaultSecrets.
    pub reach: Reach,
    /// Whether VaultConnections may use plain http.
    pub allow_plain_http: bool,
    /// What a reason's word is appended to for a link to what to do about it.
    pub runbooks: Option<Arc<str>>,
}

/// One pass over one object. Whatever happens in it, the next one is scheduled, and nobody else is disturbed: it is a task
/// of its own, so that a long piece of work in it, or a panic, is its own affair.
pub async fn reconcile(
    object: Arc<Guarded<VaultSecret>>,
    context: Arc<Context>,
) -> Result<Action, Infallible> {
    let key = Key::of(object.meta());
    let pass = fault::within(key.namespace.clone(), whole(object, context));
    let task = tokio::spawn(tokio::time::timeout(WHOLE_LIMIT, pass));
    Ok(match task.await {
        Ok(Ok(action)) => action,
        Ok(Err(_)) => {
            error!(
                namespace = key.namespace,
                name = key.name,
                "the pass hung and was given up"
            );
            Action::requeue(AFTER_TROUBLE)
        }
        Err(error) => {
            error!(namespace = key.namespace, name = key.name, %error, "the pass failed");
            Action::requeue(AFTER_TROUBLE)
        }
    })
}

/// A pass with its report, whatever happens in it.
async fn whole(object: Arc<Guarded<VaultSecret>>, context: Arc<Context>) -> Action {
    let object = match &object.0 {
        Ok(object) => object.clone(),
        Err(invalid) => return publish::undecodable(&invalid.error, &object, &context).await,
    };
    let mut observed = observe::observe(object, &context).await;
    observed.tended = tend::tend(&observed, &context).await;
    observed.tended.rotates = context.holdings.rotation(observed.uid());
    let limited = tokio::time::timeout(PASS_LIMIT, Box::pin(pass(&observed, &context)));
    let lost = |why| Ended {
        job: None,
        outcome: Outcome::Failed(Failure::new(Reason::InternalError, why)),
        tidied: Tidied::NotTried,
        again: None,
    };
    let ended = match AssertUnwindSafe(limited).catch_unwind().await {
        Ok(Ok(ended)) => ended,
        Ok(Err(_)) => lost("the pass took too long and was given up"),
        Err(_) => lost("the pass panicked; the operator's log has the place"),
    };
    if matches!(&ended.outcome, Outcome::Applied(Trigger::Issued(_), _)) {
        // However long the pass took: what was replaced is kept for the whole overlap from now on.
        observed.now = context.clock.now();
    }
    let rolled = restart::restart(&observed, &ended.outcome, &context).await;
    observed.object = context
        .overlay
        .latest(observed.uid(), observed.object.clone());
    if let Outcome::Applied(Trigger::Issued(_), applied) = &ended.outcome {
        observed.record = Some(applied.record.clone());
        observed.rolled_out =
            rolled_out::nothing_waits(&observed.object, observed.record.as_ref(), observed.now);
        let lost = observed.tended.lost.take();
        observed.tended = Tended {
            lost,
            ..tend::known(&observed, &context)
        };
    }
    observed.tended.rotates = context.holdings.rotation(observed.uid());
    let report = report::report(&observed, ended.job.as_ref(), ended.outcome);
    let report = report::with_tidied(&observed, report, ended.tidied);
    let report = report::with_sessions(&observed, report, ended.again);
    let report = rollout::with_rollout(&observed, report, rolled);
    let action = publish::publish(&observed, report, &context).await;
    // It may have been deleted while the pass was under way; what was kept of it must not come back.
    let key = Key::of(&observed.object.metadata);
    if !context.objects.knows(&key, observed.uid()) {
        context.forget(&key, observed.uid());
    }
    action
}

/// How a pass ended, and what it was about.
struct Ended {
    job: Option<Job>,
    outcome: Outcome,
    tidied: Tidied,
    /// When to look again, whatever the outcome.
    again: Option<Timestamp>,
}

/// The steps in their order. Once the Secret stands, however that came, nothing is left of earlier names.
async fn pass(observed: &Observed, context: &Context) -> Ended {
    if entries::is_parting(&observed.object) {
        let (outcome, again) = housework::part(observed, context).await;
        return Ended {
            job: None,
            outcome,
            tidied: Tidied::NotTried,
            again,
        };
    }
    let resolved = resolve::resolve(observed);
    let wish = match &resolved {
        Ok(Some(job)) if !observed.object.spec.suspend => wish::wish(job, observed),
        Ok(_) | Err(_) => Wish::Keep,
    };
    let (kept, again) = housework::keep_house(observed, wish, context).await;
    let observed = kept.as_ref().unwrap_or(observed);
    let (job, outcome) = match resolved {
        _ if observed.object.spec.suspend => (None, Outcome::Suspended),
        Ok(Some(job)) => {
            let outcome = attempt(&job, observed, context).await;
            (Some(job), outcome.unwrap_or_else(Outcome::Failed))
        }
        Ok(None) => (None, Outcome::Pending),
        Err(failure) => (None, Outcome::Failed(failure)),
    };
    let tidied = match &outcome {
        Outcome::Pending
        | Outcome::Suspended
        | Outcome::Parting(_)
        | Outcome::Waiting(_)
        | Outcome::Failed(_) => Tidied::NotTried,
        Outcome::InSync(_)
        | Outcome::Verified(_)
        | Outcome::Unchanged(_)
        | Outcome::Applied(_, _) => share::tidy(observed, context).await,
    };
    Ended {
        job,
        outcome,
        tidied,
        again,
    }
}

/// The steps from the claim on, unless it is known what they would come to.
async fn attempt(job: &Job, observed: &Observed, context: &Context) -> Result<Outcome, Failure> {
    if let Attempt::Later(until) = contested::attempt(observed) {
        return Ok(Outcome::Waiting(until));
    }
    let (claim, observed) = share::ready(job, observed, context).await?;
    act::act(job, &claim, &observed, context).await
}
