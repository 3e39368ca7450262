//! Before anything else in a pass: keep the object's open sessions alive. Their tokens and leases are renewed when that is due, whatever is
//! wrong with the object otherwise; a credential that is in use must not die of a typing error elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};
use zeroize::Zeroizing;

use super::Context;
use super::ends::{self, Need};
use super::entries::{self, is_kept};
use super::issued::terms;
use super::observe::Observed;
use super::revoke::is_dead;
use super::tended::{Tended, next_renewal, whole_plan};
use crate::api::status::SessionStatus;
use crate::connections::{Connection, Entry};
use crate::holdings::{Holding, Lives, OpenToken, Trouble};
use crate::lease::{Life, Terms, plan};
use crate::schedule::backoff;
use crate::seal::{Keys, KeysError, Sealing, UnsealError};
use crate::sensitive::SecretText;
use crate::vault::{self, LeaseRefusal, Token};

/// Renews what is due.
pub async fn tend(observed: &Observed, context: &Context) -> Tended {
    let sessions = entries::noted(observed);
    if sessions.is_empty() {
        context.holdings.forget(observed.uid());
        return Tended::default();
    }
    let mut known = context.holdings.take(observed.uid());
    let mut holdings = Vec::with_capacity(sessions.len());
    for session in &sessions {
        let at = known
            .iter()
            .position(|one| one.accessor == session.accessor);
        let mut holding = at.map_or_else(
            || open(session, observed, context),
            |at| known.swap_remove(at),
        );
        if ends::needs(session, observed) >= Need::Renewals && is_kept(session, observed) {
            keep_alive(&mut holding, session, observed, context).await;
        }
        holdings.push(holding);
    }
    let pairs: Vec<_> = sessions.iter().zip(&holdings).collect();
    let tended = summarise(&pairs, observed);
    context.holdings.put(observed.uid(), holdings);
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
        let retry = holding.trouble.as_ref().map(|trouble| trouble.retry_at);
        let renew = plan.as_ref().and_then(next_renewal);
        next.extend(renew.map(|at| retry.map_or(at, |retry| retry.max(at))));
        if Some(session.accessor.as_str()) == live {
            next.extend(ends::ends(observed, holding.lives.token.as_ref()).rotate_at);
        }
        if Some(session.accessor.as_str()) == live && need == Need::Life {
            next.extend(plan.and_then(|plan| plan.rotate_at));
            tended.live = Some(holding.lives.clone());
            tended.lost.clone_from(&holding.lost);
            // What is wrong with the server is told by the VaultConnection.
            let own = holding
                .trouble
                .as_ref()
                .filter(|trouble| !trouble.of_server);
            tended.trouble = own.map(|trouble| trouble.message.clone());
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
    let (token, life) = open_entry(session, observed.uid(), &context.keys);
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
        trouble: None,
        parting: None,
    }
}

/// The token of an entry, and how long it was to live at first. Nothing of one that cannot be unsealed.
pub fn open_entry(
    session: &SessionStatus,
    uid: &str,
    keys: &Keys,
) -> (Option<OpenToken>, Option<Life>) {
    let place = place(uid, &session.accessor, &session.connection);
    let unsealed = keys.unseal(Sealing::Token, &place, &session.sealed);
    let opened = unsealed.and_then(|text| {
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
    });
    match opened {
        Ok((token, life)) => (Some(token), Some(life)),
        Err(error) => {
            warn!(accessor = session.accessor, %error, "the token of a session cannot be unsealed");
            (None, None)
        }
    }
}

/// Renews what is due of one session.
async fn keep_alive(
    holding: &mut Holding,
    session: &SessionStatus,
    observed: &Observed,
    context: &Context,
) {
    let waits = holding.trouble.as_ref();
    let waits = waits.is_some_and(|trouble| trouble.retry_at > observed.now);
    let Some(token) = holding
        .token
        .as_ref()
        .filter(|_| !waits && holding.lost.is_none())
    else {
        return;
    };
    let Some(Entry::Usable(connection)) = context.connections.get(&session.connection) else {
        return;
    };
    if connection.reachability().outage.is_some() {
        return; // its recovery wakes us
    }
    let (terms, now) = (terms(&observed.object), observed.now);
    let party = observed.object.metadata.namespace.as_deref();
    let client = connection.client.on_behalf_of(party.unwrap_or_default());
    let renewals = due(&holding.lives, &terms, now);
    if renewals.is_empty() {
        return;
    }
    let outcomes = renewals.into_iter().map(|renewal| {
        let client = &client;
        async move {
            let outcome = renew(&renewal, token, client).await;
            (renewal, outcome)
        }
    });
    let outcomes = join_all(outcomes).await;
    note(holding, outcomes, observed, &connection, context);
}

/// One renewal.
enum Renewal {
    Token,
    Lease { id: String, increment: Duration },
}

/// What came of it.
enum Outcome {
    Granted {
        ttl: Duration,
        renewable: bool,
    },
    /// It cannot be renewed (any more); it lives on to its end.
    Final,
    /// It is gone.
    Gone(String),
    Failed(vault::Error),
}

/// What is to be renewed now.
fn due(lives: &Lives, terms: &Terms<'_>, now: Timestamp) -> Vec<Renewal> {
    let token = lives.token.as_ref();
    let mut renewals = Vec::new();
    let token_plan = token.map(|life| plan(life, Some(life), terms, now));
    let token_due = token_plan.and_then(|plan| plan.renew_token_at);
    if token_due.is_some_and(|at| at <= now) {
        renewals.push(Renewal::Token);
    }
    for (id, life) in &lives.leases {
        let at = life.as_ref().map_or(Some(now), |life| {
            plan(life, token, terms, now).renew_lease_at
        });
        if at.is_some_and(|at| at <= now) {
            let increment = life.as_ref().map_or(Duration::ZERO, |life| life.original);
            renewals.push(Renewal::Lease {
                id: id.clone(),
                increment,
            });
        }
    }
    renewals
}

async fn renew(renewal: &Renewal, token: &OpenToken, client: &vault::Client) -> Outcome {
    let (why, refusal) = match renewal {
        Renewal::Token => match vault::renew_self(client, &token.namespace, &token.value).await {
            Ok(grant) => {
                return Outcome::Granted {
                    ttl: grant.ttl,
                    renewable: grant.renewable,
                };
            }
            Err(error) => ("its token".to_owned(), LeaseRefusal::of(error)),
        },
        Renewal::Lease { id, increment } => {
            let namespace = &token.lease_namespace;
            match vault::renew_lease(client, namespace, &token.value, id, *increment).await {
                Ok(grant) => {
                    return Outcome::Granted {
                        ttl: grant.duration,
                        renewable: grant.renewable,
                    };
                }
                Err(refusal) => (format!("lease {id}"), refusal),
            }
        }
    };
    match refusal {
        LeaseRefusal::Gone => Outcome::Gone(format!("Vault does not know {why} any more")),
        LeaseRefusal::NotRenewable => Outcome::Final,
        LeaseRefusal::Forbidden => match is_dead(token, client).await {
            Ok(true) => Outcome::Gone("Vault does not know its token any more".into()),
            Ok(false) => Outcome::Final,
            Err(error) => Outcome::Failed(error),
        },
        LeaseRefusal::Other(error) => Outcome::Failed(error),
    }
}

/// Takes in what came of renewals.
fn note(
    holding: &mut Holding,
    outcomes: Vec<(Renewal, Outcome)>,
    observed: &Observed,
    connection: &Connection,
    context: &Context,
) {
    let now = observed.now;
    let attempts = holding.trouble.take().map_or(0, |last| last.attempts + 1);
    for (renewal, outcome) in outcomes {
        let life = match &renewal {
            Renewal::Token => &mut holding.lives.token,
            Renewal::Lease { id, increment: _ } => {
                holding.lives.leases.entry(id.clone()).or_default()
            }
        };
        match outcome {
            Outcome::Granted { ttl, renewable } => {
                let granted = |life: Life| life.renewed(now, ttl, renewable);
                *life = Some(
                    life.take()
                        .map_or(Life::issued(now, ttl, renewable), granted),
                );
            }
            Outcome::Final => {
                *life = life.take().map(Life::ending);
            }
            Outcome::Gone(why) => holding.lost = Some(why),
            Outcome::Failed(error) => {
                debug!(accessor = holding.accessor, %error, "a renewal failed");
                if error.is_outage() {
                    context.suspect(connection);
                }
                let of_server = error.is_outage();
                holding.trouble = Some(Trouble {
                    message: error.to_string(),
                    of_server,
                    attempts,
                    retry_at: now
                        .checked_add(backoff(attempts, observed.uid()).min(MOST_BACKOFF))
                        .unwrap_or(now),
                });
            }
        }
    }
}

/// The longest pause between two tries to renew: a lease may be short.
const MOST_BACKOFF: Duration = Duration::from_secs(30);
