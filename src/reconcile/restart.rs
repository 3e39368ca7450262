//! After step 8: look at the workloads that use the Secret, and restart those that `rollout.rs` says are due.
//!
//! It comes after the Secret, with a limit of its own: whatever becomes of it, the Secret stands and is reported.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use tracing::{info, warn};

use super::Context;
use super::observe::Observed;
use super::report::Outcome;
use super::rollout::{self, Item, Look, Order, Rolled, Told, Wanted};
use crate::api::rollout::RolloutTarget;
use crate::cluster::workloads::{self, LookError, Workload};
use crate::cluster::{Key, WriteError};

/// The longest that it may take.
const LIMIT: Duration = Duration::from_secs(40);

/// How many requests of one object are under way at once.
const AT_ONCE: usize = 8;

/// Restarts what is due, and tells how the workloads stand. Nothing is asked of the API server when status tells that all is done.
pub async fn restart(observed: &Observed, outcome: &Outcome, context: &Context) -> Rolled {
    let order = match rollout::wanted(observed, outcome) {
        Wanted::Nothing => return Rolled::AsBefore,
        Wanted::Silence => return Rolled::Silence,
        Wanted::Later(due) => return Rolled::Later(due),
        Wanted::Invalid(message) => return Rolled::Told(Box::new(Told::invalid(message))),
        Wanted::Look(order) => order,
    };
    let key = Key::of(&observed.object.metadata);
    let work = tokio::time::timeout(LIMIT, carry_out(&order, &key, context));
    let told = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(told)) => told,
        Ok(Err(_)) => Told::lost(&order, "took too long and were given up"),
        Err(_) => Told::lost(&order, "panicked; the operator's log has the place"),
    };
    let Key { namespace, name } = &key;
    for what in &told.restarted {
        info!(namespace, name, what, "workload restarted");
    }
    for why in told.news(observed) {
        let reason = told.verdict.reason.as_str();
        warn!(namespace, name, reason, why, "not rolled out");
    }
    Rolled::Told(Box::new(told))
}

async fn carry_out(order: &Order<'_>, key: &Key, context: &Context) -> Told {
    let looks = order.targets.iter();
    let looks: Vec<_> = looks.map(|target| look(target, key, context)).collect();
    let looks = stream::iter(looks).buffered(AT_ONCE).collect().await;
    let plan = rollout::plan(order, looks);
    let marks = plan.due().map(|item| mark(order, item, key, context));
    let marks: Vec<_> = marks.collect();
    let answers = stream::iter(marks).buffered(AT_ONCE).collect().await;
    rollout::conclude(order, plan, answers)
}

async fn look<'a>(target: &'a RolloutTarget, key: &Key, context: &Context) -> Look<'a> {
    let RolloutTarget {
        kind,
        name,
        selector,
    } = target;
    let (client, namespace) = (&context.client, &key.namespace);
    let found = match (name, selector) {
        (Some(name), _) => workloads::get(client, *kind, &Key::new(namespace, name))
            .await
            .map(|workload| vec![workload]),
        (None, Some(labels)) => workloads::list(client, *kind, namespace, labels).await,
        (None, None) => Err(LookError::Missing),
    };
    Look { target, found }
}

async fn mark(
    order: &Order<'_>,
    item: &Item,
    key: &Key,
    context: &Context,
) -> Result<Workload, WriteError> {
    let (mark, value) = (&order.mark, order.mark.value(order.revision));
    let mark = (mark.annotation.as_str(), value.as_str());
    workloads::mark(
        &context.client,
        item.kind,
        &key.namespace,
        &item.workload,
        mark,
    )
    .await
}
