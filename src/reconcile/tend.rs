//! Before anything else in a pass: keep the object's open sessions alive. Their tokens and leases are renewed when that is due, whatever is
//! wrong with the object otherwise; a credential that is in use must not die of a typing error elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::warn;
use zeroize::Zeroizing;

use super::Context;
use super::ends::{self, Need};
use super::entries::{self, is_kept};
use super::issued::terms;
use super::observe::Observed;
use super::renew;
use super::tended::{Tended, Trouble, next_renewal, whole_plan};
use crate::api::status::SessionStatus;
use crate::cluster::Key;
use crate::connections::Outage;
use crate::holdings::{Holding, Lives, OpenToken};
use crate::lease::Life;
use crate::seal::{Keys, KeysError, Sealing, UnsealError};
use crate::sensitive::SecretText;
use crate::vault::Token;

/// Renews what is due.
pub async fn tend(observed: &Observed, context: &Context) -> Tended {
    let sessions = entries::noted(observed);
    if sessions.is_empty() {
        context.holdings.forget(observed.uid());
        return Tended::default();
    }
    let mut known = context.holdings.take(observed.uid());
    let mut holdings = Vec::with_capacity(sessions.len());
    let mut outage = None;
    for session in &sessions {
        let at = known
            .iter()
            .position(|one| one.accessor == session.accessor);
        let mut holding = at.map_or_else(
            || open(session, observed, context),
            |at| known.swap_remove(at),
        );
        if ends::needs(session, observed) >= Need::Renewals && is_kept(session, observed) {
            let away = renew::keep_alive(&mut holding, session, observed, context).await;
            outage = away.or(outage);
        }
        holdings.push(holding);
    }
    let pairs: Vec<_> = sessions.iter().zip(&holdings).collect();
    let mut tended = summarise(&pairs, observed);
    context.holdings.put(observed.uid(), holdings);
    if let Some(Outage { reason, message }) = outage {
        tended.trouble = Some(Trouble { reason, message });
    }
    tended
}

/// What is known of the sessions now, after a pass has changed them.
pub fn known(observed: &Observed, context: &Context) -> Tended {
    let holdings = context.holdings.take(observed.uid());
    let sessions = entries::noted(observed);
    let of = |session: &SessionStatus| {
        let mut all = holdings.iter();
        all.find(|one| one.accessor == session.accessor)
    };
    let pairs: Vec<_> = sessions
        .iter()
        .filter_map(|session| Some((session, of(session)?)))
        .collect();
    let mut tended = summarise(&pairs, observed);
    if sessions.iter().any(|session| !session.committed) {
        // What an earlier attempt left behind can be let go now, and no event will bring us back.
        let soon = observed.now.checked_add(Duration::from_secs(1)).ok();
        tended.next = soon.into_iter().chain(tended.next).min();
    }
    context.holdings.put(observed.uid(), holdings);
    tended
}

/// What the pure steps have to know.
fn summarise(sessions: &[(&SessionStatus, &Holding)], observed: &Observed) -> Tended {
    let mut tended = Tended::default();
    let live = entries::live(observed);
    let terms = terms(&observed.object);
    let mut next: Vec<Timestamp> = Vec::new();
    for (session, holding) in sessions.iter().copied() {
        if let Some(parting) = &holding.parting
            && parting.retry_at > observed.now
        {
            tended.deferred.insert(session.accessor.clone());
            next.push(parting.retry_at);
        }
        next.extend(session.retire_time.as_ref().map(|time| time.0));
        next.extend(entries::settled_at(session));
        if !is_kept(session, observed) {
            next.extend(entries::over_time(session));
            continue;
        }
        let need = ends::needs(session, observed);
        let plan = whole_plan(&holding.lives, &terms, observed.now);
        let plan = plan.filter(|_| need >= Need::Renewals);
        let retries = holding.troubles.values();
        next.extend(retries.map(|trouble| trouble.retry_at));
        next.extend(plan.as_ref().and_then(next_renewal));
        if Some(session.accessor.as_str()) == live {
            next.extend(ends::ends(observed, holding.lives.token.as_ref()).rotate_at);
        }
        if Some(session.accessor.as_str()) == live && need == Need::Life {
            // At the end of what could not be renewed there is something to tell.
            let times = plan.map(|plan| [plan.rotate_at, plan.expires]);
            next.extend(times.into_iter().flatten().flatten());
            tended.live = Some(holding.lives.clone());
            tended.lost.clone_from(&holding.lost);
            tended.gone = holding.lost.is_some() && holding.token.is_some();
            tended.trouble = renew::trouble(holding);
            tended.forbidden.clone_from(&holding.forbidden);
        }
    }
    let soon = observed.now.checked_add(Duration::from_secs(1));
    let later = next.into_iter().filter(|at| *at > observed.now);
    tended.next = later.min().map(|at| at.max(soon.unwrap_or(at)));
    tended
}

/// What is sealed in an entry.
#[derive(Serialize, Deserialize)]
struct SealedToken<'a> {
    token: &'a str,
    namespace: &'a str,
    lease_namespace: &'a str,
    may_look: bool,
    seconds: u64,
    renewable: bool,
}

/// The token as it is sealed into an entry.
pub fn sealed_token(
    keys: &Keys,
    (uid, connection): (&str, &str),
    (open, token): (&OpenToken, &Token),
) -> Result<String, KeysError> {
    let sealed = SealedToken {
        token: token.value.expose(),
        namespace: &open.namespace,
        lease_namespace: &open.lease_namespace,
        may_look: open.may_look,
        seconds: token.ttl.as_secs(),
        renewable: token.renewable,
    };
    // Serializing texts and numbers cannot fail.
    let text = Zeroizing::new(serde_json::to_vec(&sealed).unwrap_or_default());
    keys.seal(
        Sealing::Token,
        &place(uid, &token.accessor, connection),
        &text,
    )
}

/// What a sealed token belongs to. An entry that somebody edited does not send it to another server, or pass it off as another object's.
fn place<'a>(uid: &'a str, accessor: &'a str, connection: &'a str) -> [&'a str; 3] {
    [uid, accessor, connection]
}

/// A session as its entry and the record tell of it. What has been renewed meanwhile nobody remembers, so what they say is the least.
pub fn open(session: &SessionStatus, observed: &Observed, context: &Context) -> Holding {
    let opened = open_entry(session, observed.uid(), &context.keys);
    if let Err(error) = &opened {
        let Key { namespace, name } = Key::of(&observed.object.metadata);
        let accessor = &session.accessor;
        warn!(namespace, name, accessor, %error, "the token of a session cannot be unsealed");
    }
    let (token, life) = opened.ok().unzip();
    let is_live = Some(session.accessor.as_str()) == entries::live(observed);
    let of_record = observed.record.as_ref().filter(|_| is_live);
    let sources = of_record
        .into_iter()
        .flat_map(|record| record.sources.values());
    let mut leases: BTreeMap<String, Option<Life>> = session
        .lease_ids
        .iter()
        .map(|id| (id.clone(), None))
        .collect();
    leases.extend(sources.filter_map(ends::lease_life));
    let lost = token.is_none();
    let lost = lost.then(|| "the token of its session cannot be unsealed".to_owned());
    Holding {
        accessor: session.accessor.clone(),
        token,
        lives: Lives {
            token: life,
            leases,
        },
        lost,
        troubles: BTreeMap::new(),
        forbidden: None,
        parting: None,
    }
}

/// The token of an entry, and how long it was to live at first; or why it cannot be unsealed.
pub fn open_entry(
    session: &SessionStatus,
    uid: &str,
    keys: &Keys,
) -> Result<(OpenToken, Life), UnsealError> {
    let place = place(uid, &session.accessor, &session.connection);
    let unsealed = keys.unseal(Sealing::Token, &place, &session.sealed);
    unsealed.and_then(|text| {
        let sealed: SealedToken<'_> =
            serde_json::from_slice(&text).map_err(|_| UnsealError::Damaged)?;
        let token = OpenToken {
            value: SecretText::new(sealed.token.to_owned()),
            namespace: sealed.namespace.to_owned(),
            lease_namespace: sealed.lease_namespace.to_owned(),
            may_look: sealed.may_look,
        };
        let ttl = Duration::from_secs(sealed.seconds);
        let life = Life::issued(session.issue_time.0, ttl, sealed.renewable);
        Ok((token, life))
    })
}
