//! Part of step 4: what the object asks for, as far as its sessions are concerned.

use super::ends::ends_of;
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
    let rotate_at = rotate_at
        .into_iter()
        .chain(ends_of(observed).rotate_at)
        .min();
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::api::FORCE_SYNC;
    use crate::reconcile::fixture::leased::{LEASE, asked, leased};
    use crate::reconcile::fixture::{NOW, at, edit, job, synced};

    fn wished(observed: &Observed) -> Wish {
        wish(&job(observed), observed)
    }

    #[test]
    fn an_object_whose_sources_can_be_read_again_wants_no_session() {
        assert_eq!(wished(&synced()), Wish::NoSession);
    }

    #[test]
    fn credentials_that_live_are_left_alone_whatever_is_made_of_them() {
        let mut observed = leased();
        assert_eq!(wished(&observed), Wish::Session(None));
        edit(
            &mut observed,
            "/data",
            json!([{ "key": "USER", "source": "db", "field": "username" }]),
        );
        edit(&mut observed, "/refresh/interval", json!("1m"));
        edit(&mut observed, "/lease/overlap", json!("1m"));
        assert_eq!(wished(&observed), Wish::Session(None));
        assert_eq!(
            wished(&asked()),
            Wish::Session(None),
            "none is cause enough"
        );
    }

    #[test]
    fn another_request_wants_other_credentials() {
        for (path, value) in [
            ("/sources/0/read/path", json!("database/creds/reader")),
            (
                "/sources/0/read",
                json!({ "path": "database/creds/orders", "parameters": { "a": "b" } }),
            ),
            ("/auth/role", json!("other")),
            ("/auth/serviceAccountName", json!("other")),
            ("/vaultNamespace", json!("team")),
        ] {
            let mut observed = leased();
            edit(&mut observed, path, value);
            assert_eq!(
                wished(&observed),
                Wish::Session(Some(Cause::RequestChanged)),
                "{path}"
            );
        }
    }

    #[test]
    fn lost_credentials_and_those_near_their_hard_end_are_replaced() {
        let mut lost = leased();
        lost.tended.lost = Some("gone".into());
        assert_eq!(wished(&lost), Wish::Session(Some(Cause::LeaseLost)));
        let mut ending = leased();
        let lives = ending.tended.live.as_mut().unwrap();
        let life = lives.leases.get_mut(LEASE).unwrap();
        *life = life.map(crate::lease::Life::ending);
        assert_eq!(wished(&ending), Wish::Session(None), "two hours are left");
        ending.now = at(NOW + 7190);
        assert_eq!(wished(&ending), Wish::Session(Some(Cause::RotationDue)));
    }

    #[test]
    fn each_new_demand_is_a_reason_and_the_withdrawal_of_one_is_none() {
        let mut observed = leased();
        let demand = |observed: &mut Observed, value: &str| {
            let annotations = &mut Arc::make_mut(&mut observed.object).metadata.annotations;
            annotations
                .get_or_insert_default()
                .insert(FORCE_SYNC.into(), value.into());
        };
        demand(&mut observed, "1");
        assert_eq!(wished(&observed), Wish::Session(Some(Cause::Forced)));
        let met = job(&observed).forced;
        let record = observed.record.as_mut().unwrap();
        record.session.as_mut().unwrap().forced = met;
        assert_eq!(wished(&observed), Wish::Session(None));
        demand(&mut observed, "");
        assert_eq!(wished(&observed), Wish::Session(None));
    }
}
