//! Part of the first step: renewals of the tokens and leases of open sessions. Each has its own pauses when it fails, so that one that cannot be
//! renewed costs the others nothing.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use tracing::{debug, info, warn};

use super::Context;
use super::issued::terms;
use super::observe::Observed;
use super::revoke::is_dead;
use super::tended::Trouble;
use crate::api::Reason;
use crate::api::status::SessionStatus;
use crate::cluster::Key;
use crate::connections::{Entry, Outage};
use crate::holdings::{self, Holding, OpenToken};
use crate::lease::{Life, Terms, plan, retry_at};
use crate::schedule::backoff;
use crate::vault::{self, LeaseRefusal};

/// The longest pause between two tries while the server is away: nobody knows how long the credentials still live.
const MOST_BACKOFF: Duration = Duration::from_secs(30);

/// Renews what is due of one session. Tells why its server cannot be asked, if something is due and the server is known to be away.
pub async fn keep_alive(
    holding: &mut Holding,
    session: &SessionStatus,
    observed: &Observed,
    context: &Context,
) -> Option<Outage> {
    let token = holding.token.clone().filter(|_| holding.lost.is_none())?;
    let renewals = due(holding, &terms(&observed.object), observed.now);
    if renewals.is_empty() {
        return None;
    }
    let Some(Entry::Usable(connection)) = context.connections.get(&session.connection) else {
        return None;
    };
    if let Some(outage) = connection.reachability().outage {
        return Some(outage); // its recovery wakes us
    }
    let party = observed.object.metadata.namespace.as_deref();
    let client = connection.client.on_behalf_of(party.unwrap_or_default());
    let outcomes = renewals.into_iter().map(|renewal| {
        let (client, token) = (&client, &token);
        async move {
            let outcome = renew(&renewal, token, client).await;
            (renewal, outcome)
        }
    });
    for (renewal, outcome) in join_all(outcomes).await {
        if let Outcome::Failed(error) = &outcome
            && error.is_outage()
        {
            context.suspect(&connection);
        }
        note(holding, &renewal, outcome, observed);
    }
    None
}

/// One renewal.
enum Renewal {
    Token,
    Lease { id: String, increment: Duration },
}

impl Renewal {
    /// What its trouble is known by.
    fn key(&self) -> &str {
        match self {
            Self::Token => "",
            Self::Lease { id, .. } => id,
        }
    }

    fn subject(&self) -> String {
        match self {
            Self::Token => "the token of the session".to_owned(),
            Self::Lease { id, .. } => format!("lease {id}"),
        }
    }

    /// Where Vault renews it.
    fn path(&self) -> &'static str {
        match self {
            Self::Token => "auth/token/renew-self",
            Self::Lease { .. } => "sys/leases/renew",
        }
    }
}

/// What came of it.
enum Outcome {
    Granted {
        ttl: Duration,
        renewable: bool,
    },
    /// It cannot be renewed (any more); it lives on to its end.
    Final,
    /// The policies of the session do not allow it; it lives on to its end.
    Forbidden,
    /// It is gone.
    Gone,
    Failed(vault::Error),
}

/// What is to be renewed now.
fn due(holding: &Holding, terms: &Terms<'_>, now: Timestamp) -> Vec<Renewal> {
    let lives = &holding.lives;
    let token = lives.token.as_ref();
    let token_plan = token.map(|life| plan(life, Some(life), terms, now));
    let token_due = token_plan.and_then(|plan| plan.renew_token_at);
    let mut renewals = Vec::new();
    if token_due.is_some_and(|at| at <= now) {
        renewals.push(Renewal::Token);
    }
    for (id, life) in &lives.leases {
        let at = life.as_ref().map_or(Some(now), |life| {
            plan(life, token, terms, now).renew_lease_at
        });
        if at.is_some_and(|at| at <= now) {
            let increment = life.as_ref().map_or(Duration::ZERO, |life| life.original);
            let id = id.clone();
            renewals.push(Renewal::Lease { id, increment });
        }
    }
    renewals.retain(|renewal| {
        let last = holding.troubles.get(renewal.key());
        last.is_none_or(|last| last.retry_at <= now)
    });
    renewals
}

async fn renew(renewal: &Renewal, token: &OpenToken, client: &vault::Client) -> Outcome {
    let refusal = match renewal {
        Renewal::Token => match vault::renew_self(client, &token.namespace, &token.value).await {
            Ok(grant) => {
                return Outcome::Granted {
                    ttl: grant.ttl,
                    renewable: grant.renewable,
                };
            }
            Err(error) => LeaseRefusal::of(error),
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
                Err(refusal) => refusal,
            }
        }
    };
    match refusal {
        LeaseRefusal::Gone => Outcome::Gone,
        LeaseRefusal::NotRenewable => Outcome::Final,
        LeaseRefusal::Forbidden => match is_dead(token, client).await {
            Ok(true) => Outcome::Gone,
            Ok(false) => Outcome::Forbidden,
            Err(error) => Outcome::Failed(error),
        },
        LeaseRefusal::Other(error) => Outcome::Failed(error),
    }
}

/// Takes in what came of a renewal.
fn note(holding: &mut Holding, renewal: &Renewal, outcome: Outcome, observed: &Observed) {
    let now = observed.now;
    let before = holding.troubles.remove(renewal.key());
    let life = match renewal {
        Renewal::Token => &mut holding.lives.token,
        Renewal::Lease { id, .. } => holding.lives.leases.entry(id.clone()).or_default(),
    };
    let Key { namespace, name } = Key::of(&observed.object.metadata);
    let (subject, path) = (renewal.subject(), renewal.path());
    match outcome {
        Outcome::Granted { ttl, renewable } => {
            let granted = |life: Life| life.renewed(now, ttl, renewable);
            let first = Life::issued(now, ttl, renewable);
            *life = Some(life.take().map_or(first, granted));
        }
        Outcome::Final => *life = life.take().map(Life::ending),
        Outcome::Forbidden => {
            *life = life.take().map(Life::ending);
            let why = format!(
                "{subject} may not be renewed; the policy of the role needs the capability \"update\" on \"{path}\""
            );
            warn!(namespace, name, why, "credentials live to their end");
            holding.forbidden = Some(why);
        }
        Outcome::Gone => {
            let end = life.as_ref().and_then(Life::end);
            let why = match end.filter(|end| *end <= now) {
                Some(end) => format!("{subject} ended at {end:.0} without having been renewed"),
                None => format!("Vault does not know {subject} any more"),
            };
            info!(namespace, name, why, "credentials are gone");
            holding.lost = Some(why);
        }
        Outcome::Failed(error) => {
            let failures = before.map_or(0, |last| last.attempts).saturating_add(1);
            let again = next_try(life.as_ref(), failures, &error, observed);
            if again.is_none() {
                // There is just time enough to replace it.
                *life = life.take().map(Life::ending);
            }
            let message = format!("{subject}: {error}");
            if failures == 1 {
                warn!(namespace, name, why = message, "a renewal failed");
            } else {
                debug!(namespace, name, why = message, "a renewal failed again");
            }
            let trouble = holdings::Trouble {
                message,
                of_server: error.is_outage(),
                attempts: failures,
                retry_at: again.unwrap_or(now),
            };
            holding.troubles.insert(renewal.key().to_owned(), trouble);
        }
    }
}

/// When a renewal that failed is tried again; `None`: there is no time left for that.
fn next_try(
    life: Option<&Life>,
    failures: u32,
    error: &vault::Error,
    observed: &Observed,
) -> Option<Timestamp> {
    let now = observed.now;
    let asked = match error {
        vault::Error::RateLimited { retry_after } => retry_after.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let no_sooner = now.checked_add(asked).unwrap_or(Timestamp::MAX);
    // What a server that is away would say, nobody knows.
    let Some(life) = life.filter(|_| !error.is_outage()) else {
        let pause = backoff(failures.saturating_sub(1), observed.uid()).min(MOST_BACKOFF);
        return Some(now.checked_add(pause).unwrap_or(now).max(no_sooner));
    };
    let next = retry_at(life, failures, &terms(&observed.object), now)?;
    let end = life.end().unwrap_or(Timestamp::MAX);
    Some(if no_sooner < end {
        next.max(no_sooner)
    } else {
        next
    })
}

/// Why renewals of the session fail, for people. What is wrong with the server its probe finds out.
pub fn trouble(holding: &Holding) -> Option<Trouble> {
    let mut own = holding.troubles.values();
    let own = own.find(|trouble| !trouble.of_server)?;
    Some(Trouble {
        reason: Reason::RenewalFailed,
        message: own.message.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixture::leased::{LEASE, LIVE, leased, lives};
    use crate::reconcile::fixture::{NOW, at};
    use std::collections::BTreeMap;

    fn holding() -> Holding {
        Holding {
            accessor: LIVE.to_owned(),
            token: None,
            lives: lives(),
            lost: None,
            troubles: BTreeMap::new(),
            forbidden: None,
            parting: None,
        }
    }

    fn lease() -> Renewal {
        Renewal::Lease {
            id: LEASE.to_owned(),
            increment: Duration::ZERO,
        }
    }

    fn failed(holding: &mut Holding, error: vault::Error, second: i64) {
        let mut observed = leased();
        observed.now = at(second);
        note(holding, &lease(), Outcome::Failed(error), &observed);
    }

    fn rejected() -> vault::Error {
        let errors = vec!["role does not exist".to_owned()];
        vault::Error::Rejected {
            status: 400,
            errors,
        }
    }

    /// When the holding's lease ends as things are.
    fn end(holding: &Holding) -> i64 {
        let life = holding.lives.leases[LEASE].unwrap();
        life.end().unwrap().as_second()
    }

    #[test]
    fn a_renewal_that_fails_is_tried_again_and_in_the_end_there_is_time_to_replace_the_credential()
    {
        let mut holding = holding();
        let end = end(&holding);
        failed(&mut holding, rejected(), NOW);
        let first = &holding.troubles[LEASE];
        assert!(first.retry_at > at(NOW) && !first.of_server);
        assert!(first.message.contains("role does not exist"), "{first:?}");
        let rotates = |holding: &Holding| {
            let observed = leased();
            let terms = terms(&observed.object);
            let life = holding.lives.leases[LEASE].unwrap();
            plan(&life, None, &terms, at(NOW)).rotate_at
        };
        assert_eq!(rotates(&holding), None, "it may be renewed yet");
        failed(&mut holding, rejected(), end - 60);
        assert!(rotates(&holding).is_some_and(|due| due <= at(end - 60)));
        assert!(
            !due(&holding, &terms(&leased().object), at(end - 50))
                .iter()
                .any(|one| one.key() == LEASE)
        );
    }

    #[test]
    fn a_server_that_is_away_is_no_reason_to_replace_what_it_may_renew_yet() {
        let mut holding = holding();
        let end = end(&holding);
        let away = vault::Error::Unreachable {
            reason: "nobody".into(),
        };
        failed(&mut holding, away, end - 5);
        let last = &holding.troubles[LEASE];
        assert!(last.of_server && last.retry_at > at(end - 5));
        assert_eq!(trouble(&holding), None, "the connection tells of it");
        assert!(holding.lives.leases[LEASE].is_some_and(|life| life.renewable));
    }

    #[test]
    fn a_renewal_waits_as_long_as_vault_asks_and_others_do_not_wait_with_it() {
        let mut holding = holding();
        let asked = Some(Duration::from_secs(77));
        failed(
            &mut holding,
            vault::Error::RateLimited { retry_after: asked },
            NOW,
        );
        assert_eq!(holding.troubles[LEASE].retry_at, at(NOW + 77));
        let observed = leased();
        let terms = terms(&observed.object);
        let soon = due(&holding, &terms, at(NOW + 76));
        assert!(soon.iter().all(|one| one.key() != LEASE));
        let then = at(NOW + 6000);
        let keys = due(&holding, &terms, then);
        let keys: Vec<&str> = keys.iter().map(Renewal::key).collect();
        assert_eq!(keys, ["", LEASE]);
        holding.troubles.insert(
            LEASE.into(),
            holdings::Trouble {
                message: String::new(),
                of_server: false,
                attempts: 9,
                retry_at: at(NOW + 6001),
            },
        );
        let keys = due(&holding, &terms, then);
        assert_eq!(keys.len(), 1, "the token does not wait");
    }

    #[test]
    fn what_ended_without_a_renewal_is_told_otherwise_than_what_somebody_revoked() {
        let told = |second| {
            let mut holding = holding();
            let mut observed = leased();
            observed.now = at(second);
            note(&mut holding, &lease(), Outcome::Gone, &observed);
            holding.lost.unwrap()
        };
        assert!(
            told(NOW).starts_with("Vault does not know lease"),
            "{}",
            told(NOW)
        );
        let late = told(end(&holding()) + 1);
        assert!(late.contains("without having been renewed"), "{late}");
    }
}
