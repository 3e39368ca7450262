//! What the status tells of sessions and of the time that credentials have. It is there for people; nothing is decided by it but which sessions
//! there are.

use jiff::Timestamp;

use crate::api::VaultSecretStatus;
use crate::api::condition::whole_seconds;
use crate::api::status::{NextAction, SessionStatus};
use crate::lease::Life;
use crate::reconcile::entries::{STATUS_LAG, is_kept, live, noted};
use crate::reconcile::issued::terms;
use crate::reconcile::observe::Observed;
use crate::reconcile::tended::{next_renewal, whole_plan};

/// Adds the sessions, and when what is due of them. Times that move with each renewal are kept as they stand until they are old enough, if there is
/// no other news: a renewal is no reason to write.
pub fn with_sessions(observed: &Observed, status: VaultSecretStatus) -> VaultSecretStatus {
    let sessions = noted(observed);
    let bare = VaultSecretStatus {
        sessions,
        expiration_time: None,
        next_action: None,
        next_action_time: None,
        ..status
    };
    let told = timed(observed, bare);
    match observed.object.status.as_ref() {
        Some(before) if is_only_later(before, &told) => before.clone(),
        Some(_) | None => told,
    }
}

/// What a person should know who wonders why credentials do not live longer.
pub fn warning(observed: &Observed) -> Option<&'static str> {
    let lives = observed.tended.live.as_ref()?;
    let plan = whole_plan(lives, &terms(&observed.object), observed.now)?;
    plan.token_ends_first.then_some(
        "; the token that the credentials were issued to ends before them, so they are replaced before that: give the auth role a token_period, or a longer token_max_ttl",
    )
}

/// The status with all its times.
fn timed(observed: &Observed, status: VaultSecretStatus) -> VaultSecretStatus {
    let lives = observed.tended.live.as_ref();
    let plan = lives.and_then(|lives| whole_plan(lives, &terms(&observed.object), observed.now));
    let token = lives.and_then(|lives| lives.token.as_ref());
    let sessions = status.sessions.into_iter().map(|session| {
        let is_live = Some(session.accessor.as_str()) == live(observed);
        let end = token.filter(|_| is_live).map(Life::end);
        SessionStatus {
            expiration_time: end.map_or(session.expiration_time, |end| end.map(whole_seconds)),
            ..session
        }
    });
    let sessions: Vec<SessionStatus> = sessions.collect();
    let retire = sessions
        .iter()
        .filter(|session| !is_live(session, observed));
    let retire = retire.filter_map(|session| session.retire_time.as_ref());
    let retire = retire.map(|time| time.0).min();
    let renew = plan.as_ref().and_then(next_renewal);
    let rotate = plan.as_ref().and_then(|plan| plan.rotate_at);
    let next = [
        renew.map(|at| (at, NextAction::Renew)),
        rotate.map(|at| (at, NextAction::Rotate)),
        retire.map(|at| (at, NextAction::Revoke)),
    ];
    let next = next.into_iter().flatten().min_by_key(|(at, _)| *at);
    VaultSecretStatus {
        expiration_time: plan.and_then(|plan| plan.expires).map(whole_seconds),
        next_action: next.map(|(_, action)| action),
        next_action_time: next.map(|(at, _)| whole_seconds(at)),
        sessions,
        ..status
    }
}

fn is_live(session: &SessionStatus, observed: &Observed) -> bool {
    is_kept(session, observed) && session.retire_time.is_none()
}

/// Whether the two differ in nothing but times that renewals move, and by so little that nobody has to know yet.
fn is_only_later(before: &VaultSecretStatus, now: &VaultSecretStatus) -> bool {
    let recent = match (&before.expiration_time, &now.expiration_time) {
        (Some(before), Some(now)) => is_close(before.0, now.0),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    recent && timeless(before) == timeless(now)
}

fn is_close(before: Timestamp, now: Timestamp) -> bool {
    before.duration_since(now).unsigned_abs() < STATUS_LAG
}

/// The status without what renewals move.
fn timeless(status: &VaultSecretStatus) -> VaultSecretStatus {
    let mut status = status.clone();
    status.expiration_time = None;
    status.next_action_time = None;
    status.next_action = None;
    for source in &mut status.sources {
        source.expiration_time = None;
        source.token_expiration_time = None;
        source.renewable = None;
    }
    for session in &mut status.sessions {
        session.expiration_time = None;
    }
    status
}
