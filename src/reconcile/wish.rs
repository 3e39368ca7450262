//! Part of step 4: what the object asks for, as far as its sessions are concerned.

use super::issued::terms;
use super::observe::Observed;
use super::resolve::Job;
use super::tended::whole_plan;
use crate::minting::{Cause, Wish};
use crate::record::SessionRecord;

/// What the object asks for, as far as sessions are concerned; and whether what the Secret holds will not do any longer.
pub fn wish(job: &Job, observed: &Observed) -> Wish {
    if job.issued.is_empty() {
        return Wish::NoSession;
    }
    let record = observed.record.as_ref();
    let Some(session) = record.and_then(|record| record.session.as_ref()) else {
        return Wish::Session(None); // there is none, which is cause enough
    };
    let SessionRecord {
        accessor: _,
        asked,
        forced,
    } = session;
    let plan = observed.tended.live.as_ref();
    let plan = plan.and_then(|lives| whole_plan(lives, &terms(&observed.object), observed.now));
    let rotate_at = plan.and_then(|plan| plan.rotate_at);
    let cause = if *asked != job.asked {
        Some(Cause::RequestChanged)
    } else if observed.tended.lost.is_some() {
        Some(Cause::LeaseLost)
    } else if !job.forced.is_empty() && *forced != job.forced {
        Some(Cause::Forced)
    } else if rotate_at.is_some_and(|at| at <= observed.now) {
        Some(Cause::RotationDue)
    } else {
        None
    };
    Wish::Session(cause)
}
