//! What a pass knows of the sessions of its object after it has looked after them, and what follows for when to do so again.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::api::Reason;
use crate::holdings::{Lives, Rotation};
use crate::lease::{Plan, Terms, plan};

/// Why renewals fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// `RenewalFailed`, or what the connection says.
    pub reason: Reason,
    /// In words.
    pub message: String,
}

/// What looking after the sessions of an object came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tended {
    /// How long the live session lives; `None` if there is none, or that is not known.
    pub live: Option<Lives>,
    /// Why the live session's credentials are as good as gone, if they are.
    pub lost: Option<String>,
    /// Whether they really are gone: Vault does not know them any more.
    pub gone: bool,
    /// Why renewals that are due fail, if they do.
    pub trouble: Option<Trouble>,
    /// What may not be renewed, and what that needs, if so.
    pub forbidden: Option<String>,
    /// The sessions that could not be let go a moment ago.
    pub deferred: BTreeSet<String>,
    /// When Vault changes by itself what was issued without a lease, if it told.
    pub rotates: Option<Rotation>,
    /// When the sessions are to be looked after again.
    pub next: Option<Timestamp>,
}

/// The plan of a session: whatever of its leases, and of its token, is due first. `None` if nothing is known of it.
pub fn whole_plan(lives: &Lives, terms: &Terms<'_>, now: Timestamp) -> Option<Plan> {
    let token = lives.token.as_ref();
    let leases = lives.leases.values().flatten();
    let plans = leases.map(|life| plan(life, token, terms, now));
    // Without leases the token stands for itself.
    let alone = || token.map(|life| plan(life, Some(life), terms, now));
    plans.reduce(both).or_else(alone)
}

/// Two plans in one: whatever comes first.
fn both(one: Plan, other: Plan) -> Plan {
    let first = |one: Option<Timestamp>, other| one.into_iter().chain(other).min();
    Plan {
        renew_lease_at: first(one.renew_lease_at, other.renew_lease_at),
        renew_token_at: first(one.renew_token_at, other.renew_token_at),
        rotate_at: first(one.rotate_at, other.rotate_at),
        expires: first(one.expires, other.expires),
        token_ends_first: one.token_ends_first || other.token_ends_first,
    }
}

/// When the first renewal is due.
pub fn next_renewal(plan: &Plan) -> Option<Timestamp> {
    let times = [plan.renew_lease_at, plan.renew_token_at];
    times.into_iter().flatten().min()
}
