//! What is done every few seconds, whatever happens: values that nobody needs any more are wiped, and what nobody tells of is counted.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;

use crate::connections::Entry;
use crate::reconcile::Context;

/// How often.
const SWEEP: Duration = Duration::from_secs(10);

/// Wipes and counts, for ever.
#[expect(
    clippy::disallowed_methods,
    reason = "memory is nobody's pass: what nobody asks for again would never be wiped"
)]
pub(super) async fn sweep(context: Arc<Context>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        context.reads.sweep();
        context.sessions.sweep();
        context.listings.sweep();
        context.mounts.sweep();
        context.overlay.sweep();
        count(&context);
    }
}

/// Brings the metrics up to date that nobody tells of when they change.
fn count(context: &Context) {
    let now = context.clock.deadline(Duration::ZERO);
    context.metrics.waiting(context.queue.waiting(now));
    for connection in context.connection_store.state() {
        let name = connection.name_any();
        if let Some(Entry::Usable(usable)) = context.connections.get(&name) {
            let sessions = context.sessions.count(&usable.identity);
            context.metrics.sessions(&name, sessions);
        }
    }
}
