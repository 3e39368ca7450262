//! The sessions of an object, as its status has them and as `minting` sees them.

use std::time::Duration;

use jiff::Timestamp;

use super::issued::LeaseJob;
use super::observe::Observed;
use super::rolled_out;
use crate::api::condition::whole_seconds;
use crate::api::destination::{CreationPolicy, DeletionPolicy};
use crate::api::lease::RevokeOnDelete;
use crate::api::rollout::RolloutStatus;
use crate::api::status::SessionStatus;
use crate::api::{FINALIZER, KEYS_FINALIZER, VaultSecret};
use crate::cluster::SecretMeta;
use crate::minting::{CLOCK_MARGIN, Entry, Parting, Step, Target, View, Wish, decide};
use crate::record::{Record, SourceRecord};

/// By how much the end that the status tells may lie behind a session that is renewed: it is brought up to date that often at most.
pub const STATUS_LAG: Duration = Duration::from_mins(5);

/// How long after a session began a request in it may still be under way at the server, although whoever made it is gone.
const IN_FLIGHT: Duration = Duration::from_secs(10);

/// How long an object that is being deleted waits for its sessions to be revoked. Then they are written down for later, and it goes.
const LONGEST_PARTING: Duration = Duration::from_mins(1);

/// The sessions of the object.
pub fn sessions(object: &VaultSecret) -> &[SessionStatus] {
    object
        .status
        .as_ref()
        .map(|status| status.sessions.as_slice())
        .unwrap_or_default()
}

/// Accessor of the session that the Secret's data came from, if the Secret is the object's.
pub fn live(observed: &Observed) -> Option<&str> {
    let record = own_record(observed)?;
    let session = record.session.as_ref()?;
    Some(session.accessor.as_str())
}

/// The record on the Secret, if it was written for this very object.
pub fn own_record(observed: &Observed) -> Option<&Record> {
    let record = observed.record.as_ref()?;
    (record.owner_uid == observed.uid()).then_some(record)
}

/// The sessions with what is to be noted about them now: which one the Secret holds, and when one that it held before is to be let go.
/// Whoever writes the status writes them like this, so that it is noted before anything replaces the live one.
pub fn noted(observed: &Observed) -> Vec<SessionStatus> {
    let live = live(observed);
    let overlap = overlap(observed);
    let is_replaced = observed.rolled_out && is_replaced(observed);
    let note = |session: &SessionStatus| {
        let mut session = session.clone();
        if Some(session.accessor.as_str()) == live {
            session.committed = true;
            session.retire_time = None;
            session.lease_ids = lease_ids(observed.record.as_ref());
        } else if session.committed && session.retire_time.is_none() && is_replaced {
            // The status has whole seconds, and the overlap is not to be cut short by the rest of one.
            let rest = Duration::from_nanos(999_999_999);
            let retire = observed.now.checked_add(overlap.saturating_add(rest));
            session.retire_time = Some(whole_seconds(retire.unwrap_or(Timestamp::MAX)));
        }
        session
    };
    sessions(&observed.object).iter().map(note).collect()
}

/// Whether something has taken the place of what the Secret held before: another session, or values of ours that came from none.
fn is_replaced(observed: &Observed) -> bool {
    let mut known = sessions(&observed.object).iter();
    match live(observed) {
        Some(live) => known.any(|session| session.accessor == live),
        None => is_ours(observed),
    }
}

/// Whether the Secret surely is the object's: it has our record, which we wrote there ourselves, for this very object.
fn is_ours(observed: &Observed) -> bool {
    let secret = observed.target.as_deref();
    let record = secret.and_then(|secret| observed.hold.own_record(secret));
    record.is_some_and(|record| record.owner_uid == observed.uid())
}

/// Ids of the leases that a record tells of.
pub fn lease_ids(record: Option<&Record>) -> Vec<String> {
    let sources = record
        .into_iter()
        .flat_map(|record| record.sources.values());
    let ids = sources.filter_map(|source| match source {
        SourceRecord::Lease { id, .. } => Some(id.clone()),
        SourceRecord::Certificate { lease, .. } => lease.clone(),
        SourceRecord::Static { .. } | SourceRecord::Token { .. } | SourceRecord::Written { .. } => {
            None
        }
    });
    ids.collect()
}

/// Until when the first of the sessions is kept alive that the Secret held before, if its workloads, which stand as `rollouts` says, get no further. `None`
/// if there is none.
pub fn kept_until(observed: &Observed, rollouts: &[RolloutStatus]) -> Option<Timestamp> {
    let (record, live) = (own_record(observed)?, live(observed));
    let waits = rolled_out::waits_until(&observed.object, rollouts, record, observed.now);
    let waits = waits.checked_add(overlap(observed)).ok();
    let noted = noted(observed);
    let replaced = noted
        .iter()
        .filter(|session| session.committed && Some(session.accessor.as_str()) != live);
    let ends = replaced.filter_map(|session| {
        let noted = session.retire_time.as_ref().map(|time| time.0);
        noted.or(waits)
    });
    let end = ends.filter(|end| *end > observed.now).min()?;
    Some(whole_seconds(end).0)
}

/// How long replaced credentials are kept alive after what uses them was restarted.
fn overlap(observed: &Observed) -> Duration {
    let lease = super::issued::lease(&observed.object).ok();
    lease.map_or(Duration::from_mins(10), |lease| lease.overlap)
}

/// Whether a session is to be kept alive: the Secret holds it, or held it until lately.
pub fn is_kept(session: &SessionStatus, observed: &Observed) -> bool {
    let retired = session.retire_time.as_ref();
    let waits = retired.is_none_or(|time| time.0 > observed.now);
    Some(session.accessor.as_str()) == live(observed) || (session.committed && waits)
}

/// What is to be done about the sessions of the object, as far as `observed` tells.
pub fn step(observed: &Observed, wish: Wish, parting: Option<Parting>) -> Step<String> {
    let sessions = noted(observed);
    let entries: Vec<Entry<&str>> = sessions.iter().map(|one| entry(one, observed)).collect();
    let lease = super::issued::lease(&observed.object).ok();
    let view = View {
        now: observed.now,
        entries: &entries,
        secret: observed
            .target
            .as_deref()
            .map(|secret| target(secret, observed)),
        wish,
        replaced: lease
            .as_ref()
            .map_or(crate::minting::Replaced::Expire, |lease: &LeaseJob| {
                lease.replaced
            }),
        overlap: overlap(observed),
        rolled_out: observed.rolled_out,
        protected: is_protected(&observed.object),
        parting,
    };
    owned(decide(&view))
}

/// Whether the object is being deleted, and waits for us.
pub fn is_parting(object: &VaultSecret) -> bool {
    let waits = is_protected(object) || has_finalizer(object, KEYS_FINALIZER);
    object.metadata.deletion_timestamp.is_some() && waits
}

/// How far the end of an object that is being deleted has come.
pub fn parting(observed: &Observed) -> Parting {
    let policy = observed.object.spec.lease.revoke_on_delete;
    if policy == RevokeOnDelete::Leave {
        Parting::Leave
    } else if hand_over_time(observed).is_none_or(|time| time <= observed.now) {
        Parting::HandOver
    } else {
        Parting::Revoke
    }
}

/// Until when an object that is being deleted waits for its sessions to be revoked.
pub fn hand_over_time(observed: &Observed) -> Option<Timestamp> {
    let deleted = observed.object.metadata.deletion_timestamp.as_ref()?;
    deleted.0.checked_add(LONGEST_PARTING).ok()
}

/// Whether the finalizer is on the object for sessions that are to be revoked.
fn is_protected(object: &VaultSecret) -> bool {
    has_finalizer(object, FINALIZER)
}

/// Whether that finalizer is on the object.
pub fn has_finalizer(object: &VaultSecret, finalizer: &str) -> bool {
    let finalizers = object.metadata.finalizers.as_ref();
    finalizers.is_some_and(|names| names.iter().any(|name| name == finalizer))
}

/// Whether the object asks for its keys to be taken out of a Secret that others share before it goes.
pub fn wants_keys_removed(object: &VaultSecret) -> bool {
    let destination = &object.spec.destination;
    destination.creation_policy != CreationPolicy::Create
        && destination.deletion_policy == DeletionPolicy::Delete
}

fn target<'a>(secret: &'a SecretMeta, observed: &'a Observed) -> Target<&'a str> {
    Target {
        version: &secret.resource_version,
        accessor: live(observed),
        ours: is_ours(observed),
    }
}

fn entry<'a>(session: &'a SessionStatus, observed: &Observed) -> Entry<&'a str> {
    Entry {
        accessor: &session.accessor,
        against: Some(session.against.as_str()).filter(|version| !version.is_empty()),
        committed: session.committed,
        retire: session.retire_time.as_ref().map(|time| time.0),
        end: end(session),
        deferred: observed.tended.deferred.contains(&session.accessor)
            || settled_at(session).is_some_and(|at| observed.now < at),
    }
}

/// Until when a session that the Secret never held is let be. Whoever began it may have died with a request under way, and what the server
/// issues after the session was revoked would hang on nothing.
pub fn settled_at(session: &SessionStatus) -> Option<Timestamp> {
    if session.committed {
        return None;
    }
    session.issue_time.0.checked_add(IN_FLIGHT).ok()
}

/// When the session is over at the latest. One that was committed may have been renewed since the status was written.
fn end(session: &SessionStatus) -> Timestamp {
    let Some(told) = &session.expiration_time else {
        return Timestamp::MAX;
    };
    if !session.committed {
        return told.0;
    }
    let life = told.0.duration_since(session.issue_time.0);
    let life = Duration::try_from(life).unwrap_or_default();
    told.0
        .checked_add(life.saturating_add(STATUS_LAG))
        .unwrap_or(Timestamp::MAX)
}

/// Whether the session is surely over, whatever became of it.
pub fn is_over(session: &SessionStatus, now: Timestamp) -> bool {
    over_time(session).is_some_and(|over| over <= now)
}

/// When the session is surely over; `None`: never.
pub fn over_time(session: &SessionStatus) -> Option<Timestamp> {
    end(session).checked_add(CLOCK_MARGIN).ok()
}

fn owned(step: Step<&str>) -> Step<String> {
    match step {
        Step::Rest(until) => Step::Rest(until),
        Step::Issue(cause) => Step::Issue(cause),
        Step::Full(until) => Step::Full(until),
        Step::LetGo(accessor) => Step::LetGo(accessor.to_owned()),
        Step::Report(accessor) => Step::Report(accessor.to_owned()),
        Step::Retire(accessor, at) => Step::Retire(accessor.to_owned(), at),
        Step::WritePlain => Step::WritePlain,
        Step::Fence => Step::Fence,
        Step::HandOver => Step::HandOver,
        Step::Release => Step::Release,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;
    use crate::minting::Cause;
    use crate::reconcile::fixture::leased::{LEASE, LIVE, asked, entry, leased, set_sessions};
    use crate::reconcile::fixture::{NOW, at, edit};
    use crate::reconcile::rolled_out::nothing_waits;

    const WELL: Wish = Wish::Session(None);

    fn with(sessions: Vec<SessionStatus>) -> Observed {
        let mut observed = leased();
        let mut all = super::sessions(&observed.object).to_vec();
        all.extend(sessions);
        set_sessions(&mut observed, all);
        observed
    }

    #[test]
    fn the_session_of_the_secret_is_noted_as_such_with_its_leases() {
        let mut observed = leased();
        set_sessions(&mut observed, vec![entry(LIVE)]);
        let noted = noted(&observed);
        assert!(noted[0].committed);
        assert_eq!(noted[0].lease_ids, [LEASE]);
        assert_eq!(step(&leased(), WELL, None), Step::Rest(None));
    }

    #[test]
    fn a_replaced_session_gets_its_time_once_everything_runs_with_the_new_one() {
        let old = SessionStatus {
            committed: true,
            ..entry("old")
        };
        let mut observed = with(vec![old]);
        observed.rolled_out = false;
        assert_eq!(noted(&observed)[1].retire_time, None);
        observed.rolled_out = true;
        let retire = noted(&observed)[1].retire_time.clone();
        assert_eq!(
            retire,
            Some(Time(at(NOW + 600))),
            "the overlap is ten minutes"
        );
        assert!(is_kept(&noted(&observed)[1], &observed));
        let step = step(&observed, WELL, None);
        assert_eq!(step, Step::Rest(Some(at(NOW + 600))));
    }

    #[test]
    fn what_the_secret_held_is_kept_while_the_object_has_no_secret_of_its_own() {
        let well = leased();
        let used = SessionStatus {
            committed: true,
            ..sessions(&well.object)[0].clone()
        };
        let mut foreign = well.clone();
        set_sessions(&mut foreign, vec![used]);
        // As after a typing error in spec.destination.name.
        foreign.record = None;
        foreign.rolled_out = nothing_waits(&foreign.object, None, foreign.now);
        let mut absent = foreign.clone();
        absent.target = None;
        for observed in [foreign, absent] {
            let kept = &noted(&observed)[0];
            assert_eq!((kept.committed, &kept.retire_time), (true, &None));
            assert!(is_kept(kept, &observed));
            assert_eq!(step(&observed, Wish::Keep, None), Step::Rest(None));
            assert_eq!(step(&observed, WELL, None), Step::Issue(Cause::Missing));
        }
    }

    #[test]
    fn a_session_that_cannot_be_committed_any_more_is_let_go_and_never_kept_alive() {
        let observed = with(vec![entry("orphan")]);
        assert_eq!(step(&observed, WELL, None), Step::LetGo("orphan".into()));
        assert!(!is_kept(&entry("orphan"), &observed));
        let mut deferred = observed;
        deferred.tended.deferred.insert("orphan".into());
        assert_eq!(step(&deferred, WELL, None), Step::Rest(None));
    }

    #[test]
    fn a_session_that_has_only_just_begun_is_let_be_until_no_request_of_it_can_be_under_way() {
        let begun = |second| SessionStatus {
            issue_time: Time(at(second)),
            ..entry("orphan")
        };
        let young = with(vec![begun(NOW - 9)]);
        assert_eq!(step(&young, WELL, None), Step::Rest(None));
        assert_eq!(settled_at(&begun(NOW - 9)), Some(at(NOW + 1)));
        let old = with(vec![begun(NOW - 10)]);
        assert_eq!(step(&old, WELL, None), Step::LetGo("orphan".into()));
    }

    #[test]
    fn a_record_that_was_written_for_another_object_names_no_live_session() {
        let mut observed = leased();
        observed.record.as_mut().unwrap().owner_uid = "somebody else".into();
        assert_eq!(live(&observed), None);
        assert_eq!(step(&observed, WELL, None), Step::Issue(Cause::Missing));
        assert_eq!(step(&asked(), WELL, None), Step::Issue(Cause::Missing));
    }

    #[test]
    fn a_session_that_was_renewed_is_not_over_before_every_renewal_that_may_have_been_is() {
        let orphan = entry("orphan");
        assert!(!is_over(&orphan, at(NOW + 7200)));
        assert!(is_over(&orphan, at(NOW + 7260)));
        let used = SessionStatus {
            committed: true,
            ..orphan
        };
        assert!(!is_over(&used, at(NOW + 7260)));
        // Its three hours once more, five minutes by which the status may lag, and one for the clocks.
        assert!(is_over(&used, at(NOW + 7200 + 3 * 3600 + 300 + 60)));
        let endless = SessionStatus {
            expiration_time: None,
            ..used
        };
        assert!(!is_over(&endless, at(NOW + 1_000_000_000)));
    }

    #[test]
    fn the_end_of_an_object_revokes_then_hands_over_and_leaves_what_it_shall_leave() {
        let mut observed = leased();
        let metadata = &mut std::sync::Arc::make_mut(&mut observed.object).metadata;
        metadata.finalizers = Some(vec![FINALIZER.into()]);
        metadata.deletion_timestamp = Some(Time(at(NOW - 59)));
        assert!(is_parting(&observed.object));
        assert_eq!(parting(&observed), Parting::Revoke);
        observed.now = at(NOW + 1);
        assert_eq!(parting(&observed), Parting::HandOver);
        edit(
            &mut observed,
            "/lease",
            json!({ "revokeOnDelete": "Leave" }),
        );
        assert_eq!(parting(&observed), Parting::Leave);
    }
}
