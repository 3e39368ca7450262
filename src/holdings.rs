//! The sessions that this process holds open: the tokens behind the entries of `status.sessions`, and how long they and their leases live.
//!
//! Nothing here is needed to start again: a token is unsealed from its entry, and how long it lives is asked with the next renewal.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::OwnedMutexGuard;

use crate::lease::Life;
use crate::sensitive::SecretText;

/// The open sessions of all objects, by UID.
#[derive(Default)]
pub struct Holdings {
    by_uid: Mutex<HashMap<String, Vec<Holding>>>,
    rotations: Mutex<HashMap<String, Rotation>>,
    issuing: Mutex<HashMap<String, Arc<Turn>>>,
}

/// Held by whoever has credentials issued.
type Turn = tokio::sync::Mutex<()>;

/// Credentials of an object are being issued for as long as this lives.
pub struct Issuing<'a> {
    holdings: &'a Holdings,
    uid: String,
    _turn: OwnedMutexGuard<()>,
}

impl Drop for Issuing<'_> {
    fn drop(&mut self) {
        self.holdings.turns().remove(&self.uid);
    }
}

/// One open session.
pub struct Holding {
    /// Names its token.
    pub accessor: String,
    /// The token; `None` if it cannot be unsealed.
    pub token: Option<OpenToken>,
    /// How long it and its leases live.
    pub lives: Lives,
    /// Why its credentials are as good as gone, if they are.
    pub lost: Option<String>,
    /// The last renewals that failed, by lease; that of the token under the empty name.
    pub troubles: BTreeMap<String, Trouble>,
    /// What its policies do not let it renew, and what they need, if so.
    pub forbidden: Option<String>,
    /// The last try to let it go, if it failed.
    pub parting: Option<Trouble>,
}

/// A Vault token and where it counts.
#[derive(Clone)]
pub struct OpenToken {
    /// The token.
    pub value: SecretText,
    /// The Vault namespace of the login.
    pub namespace: String,
    /// The Vault namespace of the leases.
    pub lease_namespace: String,
    /// Whether it may look at itself: then a refusal of that means that it is dead.
    pub may_look: bool,
}

/// How long a session lives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lives {
    /// The token; `None` if that is not known.
    pub token: Option<Life>,
    /// Its leases by id; `None` if that is not known of one.
    pub leases: BTreeMap<String, Option<Life>>,
}

/// A change that Vault makes by itself of what it issued without a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// When it was to come, as Vault told first.
    pub told: Timestamp,
    /// When the value is to be there. Later than that where it was not there in time.
    pub at: Timestamp,
}

/// Something that failed and is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What went wrong.
    pub message: String,
    /// Whether it is the server that failed, and not this request.
    pub of_server: bool,
    /// How often in a row.
    pub attempts: u32,
    /// When to try again.
    pub retry_at: Timestamp,
}

impl Holdings {
    /// Takes the sessions of an object out, for the one pass that looks after them.
    pub fn take(&self, uid: &str) -> Vec<Holding> {
        self.lock().remove(uid).unwrap_or_default()
    }

    /// Puts sessions of an object back, or new ones to those that are there.
    pub fn put(&self, uid: &str, holdings: Vec<Holding>) {
        if !holdings.is_empty() {
            self.lock().entry(uid.into()).or_default().extend(holdings);
        }
    }

    /// Forgets the sessions of an object.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
        self.rotates(uid, None);
    }

    /// The token of a session of an object, if it is open.
    pub fn token(&self, uid: &str, accessor: &str) -> Option<OpenToken> {
        let all = self.lock();
        let mut holdings = all.get(uid)?.iter();
        let holding = holdings.find(|one| one.accessor == accessor)?;
        holding.token.clone()
    }

    /// Notes leases that were issued in an open session.
    pub fn lend(&self, uid: &str, accessor: &str, leases: Vec<(String, Option<Life>)>) {
        let mut all = self.lock();
        let mut holdings = all.get_mut(uid).into_iter().flatten();
        if let Some(holding) = holdings.find(|one| one.accessor == accessor) {
            holding.lives.leases.extend(leases);
        }
    }

    /// Notes when Vault is to change by itself what was issued for an object.
    pub fn rotates(&self, uid: &str, at: Option<Rotation>) {
        let rotations = self.rotations.lock();
        let mut rotations = rotations.unwrap_or_else(PoisonError::into_inner);
        match at {
            Some(at) => rotations.insert(uid.into(), at),
            None => rotations.remove(uid),
        };
    }

    /// When Vault is to do so.
    pub fn rotation(&self, uid: &str) -> Option<Rotation> {
        let rotations = self.rotations.lock();
        let rotations = rotations.unwrap_or_else(PoisonError::into_inner);
        rotations.get(uid).copied()
    }

    /// Credentials of the object are being issued from now on.
    pub async fn issue(&self, uid: &str) -> Issuing<'_> {
        let turn = self.turns().entry(uid.into()).or_default().clone();
        Issuing {
            holdings: self,
            uid: uid.into(),
            _turn: turn.lock_owned().await,
        }
    }

    /// Waits until no credentials of the object are being issued. Revoked meanwhile, a session would leave behind what the server is just
    /// about to issue in it.
    pub async fn issued(&self, uid: &str) {
        let turn = self.turns().get(uid).cloned();
        if let Some(turn) = turn {
            drop(turn.lock().await);
        }
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<String, Arc<Turn>>> {
        self.issuing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Holding>>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
