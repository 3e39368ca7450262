//! What the status tells of sessions and of the time that credentials have. It is there for people; nothing is decided by it but which sessions
//! there are.

use jiff::Timestamp;

use crate::api::VaultSecretStatus;
use crate::api::condition::whole_seconds;
use crate::api::status::{NextAction, SessionStatus};
use crate::lease::Life;
use crate::reconcile::ends::ends_of;
use crate::reconcile::entries::{STATUS_LAG, is_kept, live, noted, own_record};
use crate::reconcile::issued::terms;
use crate::reconcile::observe::Observed;
use crate::reconcile::tended::{next_renewal, whole_plan};
use crate::record::SourceRecord;

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

/// When the first of the credentials in the Secret ends, as far as anybody remembers: what was renewed before a restart, only the status tells.
pub fn expiration(observed: &Observed) -> Option<Timestamp> {
    let lives = observed.tended.live.as_ref();
    let plan = lives.and_then(|lives| whole_plan(lives, &terms(&observed.object), observed.now));
    let told = observed.object.status.as_ref();
    let told = told.and_then(|status| status.expiration_time.as_ref());
    let leased = plan
        .and_then(|plan| plan.expires)
        .max(told.map(|time| time.0));
    let leased = leased.filter(|_| has_leases(observed));
    leased.into_iter().chain(ends_of(observed).useless_at).min()
}

fn has_leases(observed: &Observed) -> bool {
    let mut sources = own_record(observed)
        .into_iter()
        .flat_map(|record| record.sources.values());
    sources.any(|source| matches!(source, SourceRecord::Lease { .. }))
}

/// Why the credentials in the Secret are of no use any more, if they are not.
pub fn over(observed: &Observed) -> Option<String> {
    let name = observed.object.target_name();
    let lost = observed.tended.lost.as_ref();
    if let Some(why) = lost.filter(|_| observed.tended.gone) {
        return Some(format!("the credentials in Secret {name} are gone: {why}"));
    }
    let end = expiration(observed).filter(|end| *end <= observed.now)?;
    Some(format!(
        "the credentials in Secret {name} ended at {end:.0}"
    ))
}

/// What a person should know who wonders why credentials do not live longer.
pub fn warning(observed: &Observed) -> Option<String> {
    if let Some(forbidden) = &observed.tended.forbidden {
        return Some(format!(
            "; {forbidden}, so the credentials are replaced before their end"
        ));
    }
    let lives = observed.tended.live.as_ref()?;
    let plan = whole_plan(lives, &terms(&observed.object), observed.now)?;
    plan.token_ends_first.then(|| {
        "; the token that the credentials were issued to ends before them, so they are replaced before that: give the auth role a token_period, or a longer token_max_ttl".to_owned()
    })
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
    let ends = ends_of(observed);
    let rotate = plan.as_ref().and_then(|plan| plan.rotate_at);
    let rotate = rotate.into_iter().chain(ends.rotate_at).min();
    let expires = plan.and_then(|plan| plan.expires);
    let expires = expires.into_iter().chain(ends.expires).min();
    let next = [
        renew.map(|at| (at, NextAction::Renew)),
        rotate.map(|at| (at, NextAction::Rotate)),
        retire.map(|at| (at, NextAction::Revoke)),
    ];
    let next = next.into_iter().flatten().min_by_key(|(at, _)| *at);
    VaultSecretStatus {
        expiration_time: expires.map(whole_seconds),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::api::condition::{READY, is_true};
    use crate::reconcile::failure::Failure;
    use crate::reconcile::fixture::job;
    use crate::reconcile::fixture::leased::{LEASE, leased, lives};
    use crate::reconcile::fixture::{NOW, at};
    use crate::reconcile::status;
    use crate::reconcile::tended::Trouble;

    fn told(observed: &Observed) -> VaultSecretStatus {
        status::synced(observed, observed.record.as_ref().unwrap())
    }

    fn renewed(observed: &mut Observed, second: i64) {
        observed.now = at(second);
        let hours = std::time::Duration::from_hours(3);
        let lives = observed.tended.live.as_mut().unwrap();
        for life in lives.leases.values_mut() {
            *life = life.map(|life| life.renewed(at(second), hours, true));
        }
        lives.token = lives
            .token
            .map(|life| life.renewed(at(second), hours, true));
    }

    #[test]
    fn the_status_tells_when_credentials_end_and_what_is_due_before() {
        let status = told(&leased());
        assert_eq!(status.expiration_time, Some(whole_seconds(at(NOW + 7200))));
        assert_eq!(status.next_action, Some(NextAction::Renew));
        let source = &status.sources[0];
        assert_eq!(source.lease_id.as_deref(), Some(LEASE));
        assert_eq!(
            source.token_expiration_time,
            Some(whole_seconds(at(NOW + 7200)))
        );
    }

    #[test]
    fn a_renewal_is_no_news_until_the_times_are_off_by_five_minutes() {
        let mut observed = leased();
        let before = observed.object.status.clone().unwrap();
        renewed(&mut observed, NOW - 3600 + 299);
        assert_eq!(told(&observed), before);
        renewed(&mut observed, NOW - 3600 + 300);
        assert_ne!(told(&observed), before);
    }

    #[test]
    fn other_news_brings_the_times_up_to_date_as_well() {
        let mut observed = leased();
        renewed(&mut observed, NOW - 3500);
        observed.tended.trouble = Some(Trouble {
            reason: Reason::RenewalFailed,
            message: "no".into(),
        });
        let status = told(&observed);
        assert_eq!(
            status.expiration_time,
            Some(whole_seconds(at(NOW - 3500 + 3 * 3600)))
        );
    }

    #[test]
    fn credentials_that_cannot_be_replaced_yet_are_ready_until_they_end() {
        let mut observed = leased();
        let lives = observed.tended.live.as_mut().unwrap();
        for life in lives.leases.values_mut() {
            *life = life.map(Life::ending);
        }
        let denied = Failure::new(Reason::PermissionDenied, "no more");
        let is_ready = |observed: &Observed| {
            let status = status::failed(observed, Some(&job(observed)), &denied);
            is_true(&status.conditions, READY)
        };
        assert!(
            !is_ready(&observed),
            "nothing is due yet, so it is something else that failed"
        );
        observed.now = at(NOW + 7190);
        assert!(is_ready(&observed));
        observed.now = at(NOW + 7200);
        assert!(!is_ready(&observed));
    }

    #[test]
    fn an_outage_makes_credentials_stale_when_they_end_and_not_before() {
        let mut observed = leased();
        let away = Failure::new(Reason::VaultUnavailable, "away");
        let status = status::failed(&observed, Some(&job(&observed)), &away);
        assert!(is_true(&status.conditions, READY));
        let stale = status::stale_time(&observed, &status.conditions, None);
        assert_eq!(stale, Some(at(NOW + 7200)));
        // Nothing is remembered of renewals after a restart, but what the status tells.
        observed.tended = crate::reconcile::tended::Tended::default();
        let stale = status::stale_time(&observed, &status.conditions, None);
        assert_eq!(stale, Some(at(NOW + 7200)));
    }

    #[test]
    fn credentials_that_are_over_make_nothing_ready_however_the_pass_ended() {
        let mut observed = leased();
        let ready = |status: &VaultSecretStatus| {
            let ready = crate::api::condition::find(&status.conditions, READY).unwrap();
            (
                ready.status.clone(),
                ready.reason.clone(),
                ready.message.clone(),
            )
        };
        assert_eq!(ready(&told(&observed)).0, "True");
        observed.tended.trouble = Some(Trouble {
            reason: Reason::VaultSealed,
            message: "vault is sealed".into(),
        });
        let (_, _, message) = ready(&told(&observed));
        assert!(message.contains("as asked for"), "{message}");
        observed.now = at(NOW + 7200);
        let over = told(&observed);
        let (is_ready, reason, message) = ready(&over);
        assert_eq!((is_ready.as_str(), reason.as_str()), ("False", "LeaseLost"));
        assert!(
            message.contains("ended at") && message.ends_with("vault is sealed"),
            "{message}"
        );
        assert_eq!(ready(&status::suspended(&observed)).0, "False");
        let away = Failure::new(Reason::VaultUnavailable, "away");
        let failed = status::failed(&observed, Some(&job(&observed)), &away);
        assert_eq!(ready(&failed).1, "VaultUnavailable");
        assert!(ready(&failed).2.contains("ended at"), "{failed:?}");
    }

    #[test]
    fn credentials_that_vault_does_not_know_any_more_are_not_ready_while_there_are_no_new_ones() {
        let mut observed = leased();
        observed.tended.lost = Some("Vault does not know lease x any more".into());
        let away = Failure::new(Reason::VaultUnavailable, "the database is down");
        let is_ready = |observed: &Observed| {
            let status = status::failed(observed, Some(&job(observed)), &away);
            is_true(&status.conditions, READY)
        };
        assert!(
            is_ready(&observed),
            "a token that cannot be unsealed spoils nothing"
        );
        observed.tended.gone = true;
        assert!(!is_ready(&observed));
    }

    #[test]
    fn a_token_that_ends_before_its_leases_is_told_of() {
        let mut observed = leased();
        assert_eq!(warning(&observed), None);
        let short = crate::holdings::Lives {
            token: lives().token.map(Life::ending),
            ..lives()
        };
        observed.tended.live = Some(short);
        assert!(warning(&observed).is_some_and(|text| text.contains("token_period")));
        let status = told(&observed);
        assert_eq!(status.next_action, Some(NextAction::Rotate));
    }
}
