//! One Vault token per identity, shared by everything that reads as that identity.
//!
//! Tokens live in memory only. They are looked after when somebody asks for one and not by timers: renewed when
//! two thirds of their life are over, replaced when they cannot be renewed, given back at a clean shutdown.

mod life;
mod session;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;

use self::session::{Session, open};
use super::client::Client;
use super::clock;
use super::error::Error;
use super::flight::{Cell, Flights, Turn};
use super::login::{LoginRequest, Method, Token, login, lookup_self};
use crate::sensitive::SecretText;

/// A token that is alive but was refused is replaced if it is at least this old: the role may have got other
/// policies since, which only a new login brings.
const STALE: Duration = Duration::from_mins(1);
/// A token that Vault no longer knows is not replaced more often than this. If it dies again at once, the cause
/// is not chance, and a login per refused object would be a flood.
const RELOGIN_PAUSE: Duration = Duration::from_secs(10);
/// How long one answer about a refused token counts for everybody who was refused with it.
const VERDICT_COUNTS: Duration = Duration::from_secs(5);
/// How many tokens are revoked at once.
const REVOCATIONS: usize = 16;

/// Who logs in where. Objects with equal identities share a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The connection and the generation of its client; opaque here.
    pub connection: String,
    /// The Vault namespace of the login; empty for the client's.
    pub namespace: String,
    /// The path of the auth method's mount.
    pub mount: String,
    /// How Vault checks the JWT.
    pub method: Method,
    /// The role.
    pub role: String,
    /// The service account with its namespace and UID; opaque here.
    pub service_account: String,
    /// The audiences of its JWT.
    pub audiences: Vec<String>,
}

impl Identity {
    /// The login of this identity with that JWT.
    pub(super) fn login(&self, jwt: SecretText) -> LoginRequest<'_> {
        let Self {
            connection: _,
            namespace,
            mount,
            method,
            role,
            service_account: _,
            audiences: _,
        } = self;
        LoginRequest {
            method: *method,
            mount,
            role,
            namespace,
            jwt,
        }
    }

    /// How many bytes its words have.
    pub(super) fn bytes(&self) -> usize {
        let Self {
            connection,
            namespace,
            mount,
            method: _,
            role,
            service_account,
            audiences,
        } = self;
        let words = [connection, namespace, mount, role, service_account];
        words.into_iter().chain(audiences).map(String::len).sum()
    }
}

/// The tokens of all identities. `J` is why no JWT could be had; it is shared by those who wait for the same login.
pub struct Sessions<J> {
    flights: Flights<Identity, Slot, SessionError<J>>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError<J> {
    /// There is no JWT to log in with.
    #[error("{0}")]
    Jwt(J),
    /// The login, or the look-up of a refused token, failed.
    #[error("log in: {0}")]
    Login(Error),
}

/// What to do after a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The token is gone, or may be out of date: ask for one again and try once more.
    LogInAgain,
    /// The token is fine; its policies do not allow the request.
    Denied,
}

/// How a farewell went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    /// Tokens that are revoked now.
    pub revoked: usize,
    /// Tokens that stay valid until they expire, because Vault was not reached in time or refused.
    pub failed: usize,
}

/// What is kept of one identity.
#[derive(Default)]
struct Slot {
    session: Option<Session>,
    /// The token before this one, if it was still alive when it was replaced: others may have been using it.
    retired: Option<Session>,
    denied: Option<Instant>,
    given_up: Option<Instant>,
}

type SlotTurn<'a, J> = Turn<'a, Slot, SessionError<J>>;

/// Logs in for a token that is shared with nobody.
pub async fn log_in<J>(
    identity: &Identity,
    client: &Client,
    jwt: impl Future<Output = Result<SecretText, J>>,
) -> Result<Token, SessionError<J>> {
    let jwt = jwt.await.map_err(SessionError::Jwt)?;
    let token = login(client, identity.login(jwt)).await;
    token.map_err(SessionError::Login)
}

impl<J: Clone> Sessions<J> {
    /// No sessions yet.
    pub fn new() -> Self {
        Self {
            flights: Flights::new(),
        }
    }

    /// The live token of `identity`. Logs in with what `jwt` yields if need be; `jwt` is not started otherwise.
    /// One attempt at a time per identity: those who wait get its token, or its failure.
    pub async fn token(
        &self,
        identity: &Identity,
        client: &Client,
        jwt: impl Future<Output = Result<SecretText, J>>,
    ) -> Result<Arc<Token>, SessionError<J>> {
        let cell = self.flights.cell(identity);
        let mut turn = cell.turn().await?;
        if let Some(session) = &mut turn.session
            && let Some(token) = session.usable().await
        {
            return Ok(token);
        }
        match open(identity, client, jwt).await {
            Ok(session) => Ok(turn.install(session)),
            Err(error) => match turn
                .session
                .as_mut()
                .and_then(|session| session.outlast(&error))
            {
                Some(token) => Ok(token),
                None => Err(turn.failed(error)),
            },
        }
    }

    /// Finds out why `token` was refused, with one look-up for all who were refused with it.
    pub async fn refused(&self, identity: &Identity, token: &Arc<Token>) -> Result<Verdict, Error> {
        let cell = self.flights.cell(identity);
        let mut turn = match cell.turn().await {
            Ok(turn) => turn,
            Err(SessionError::Login(error)) => return Err(error),
            Err(SessionError::Jwt(_)) => return Ok(Verdict::LogInAgain),
        };
        let now = clock::now();
        if turn
            .denied
            .is_some_and(|denied| now.duration_since(denied) < VERDICT_COUNTS)
            && turn.holds(token)
        {
            return Ok(Verdict::Denied);
        }
        let Some(session) = turn
            .session
            .as_ref()
            .filter(|session| Arc::ptr_eq(&session.token, token))
        else {
            return Ok(Verdict::LogInAgain);
        };
        match lookup_self(&session.client, &session.namespace, &session.token.value).await {
            Ok(policies) => {
                let current =
                    policies == token.policies && now.duration_since(session.since) < STALE;
                if current {
                    turn.denied = Some(now);
                    return Ok(Verdict::Denied);
                }
                turn.end_session().await;
                Ok(Verdict::LogInAgain)
            }
            Err(Error::Forbidden { .. } | Error::NotFound { .. }) => Ok(turn.lost(now)),
            Err(error) => {
                drop(turn.failed(SessionError::Login(error.clone())));
                Err(error)
            }
        }
    }

    /// Revokes every token that can be, for a clean shutdown, until `deadline`. The sessions are gone afterwards.
    pub async fn revoke_all(&self, deadline: Instant) -> Revocations {
        revoke(self.flights.take(|_| true), deadline).await
    }

    /// Ends the sessions of a connection whose settings changed, revoking what can be until `deadline`.
    pub async fn forget(&self, connection: &str, deadline: Instant) -> Revocations {
        revoke(
            self.flights
                .take(|identity| identity.connection == connection),
            deadline,
        )
        .await
    }

    /// How many identities have a token at the server of that connection.
    pub fn count(&self, connection: &str) -> usize {
        self.flights
            .count(|identity| identity.connection == connection)
    }

    /// Forgets the sessions whose tokens have expired.
    pub fn sweep(&self) {
        let now = clock::now();
        self.flights.sweep(|_, slot| {
            slot.retired.take_if(|session| session.life.is_over(now));
            slot.session.take_if(|session| session.life.is_over(now));
            slot.session.is_some() || slot.retired.is_some()
        });
    }
}

impl<J: Clone> Default for Sessions<J> {
    fn default() -> Self {
        Self::new()
    }
}

impl<J: Clone> SlotTurn<'_, J> {
    fn install(&mut self, session: Session) -> Arc<Token> {
        let token = Arc::clone(&session.token);
        let now = clock::now();
        self.denied = None;
        self.retired = self
            .session
            .replace(session)
            .filter(|old| old.is_revocable(now));
        token
    }

    fn holds(&self, token: &Arc<Token>) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| Arc::ptr_eq(&session.token, token))
    }

    /// Vault does not know the token any more.
    fn lost(&mut self, now: Instant) -> Verdict {
        if self
            .given_up
            .is_some_and(|last| now.duration_since(last) < RELOGIN_PAUSE)
        {
            self.denied = Some(now);
            return Verdict::Denied;
        }
        self.given_up = Some(now);
        self.session = None;
        Verdict::LogInAgain
    }

    /// Gives back a token that is alive. Whoever is using it right now is refused, and then finds a newer one.
    async fn end_session(&mut self) {
        if let Some(session) = self.session.take()
            && session.is_revocable(clock::now())
            && session.revoke().await.is_err()
        {
            self.retired = Some(session);
        }
    }
}

/// Revokes the tokens in `cells`, side by side.
async fn revoke<J: Clone>(
    cells: Vec<Arc<Cell<Slot, SessionError<J>>>>,
    deadline: Instant,
) -> Revocations {
    let now = clock::now();
    let mut revocations = Revocations::default();
    let mut sessions = Vec::new();
    for cell in cells {
        // Whoever holds the cell is logging in or renewing right now; that ends, or the deadline comes.
        match tokio::time::timeout_at(deadline, cell.turn_regardless()).await {
            Ok(mut turn) => {
                let slot = &mut *turn;
                sessions.extend(slot.session.take().into_iter().chain(slot.retired.take()));
            }
            Err(_) => revocations.failed += 1,
        }
    }
    let revocable = sessions
        .into_iter()
        .filter(|session| session.is_revocable(now));
    let outcomes: Vec<bool> = futures::stream::iter(revocable)
        .map(|session| async move {
            matches!(
                tokio::time::timeout_at(deadline, session.revoke()).await,
                Ok(Ok(()))
            )
        })
        .buffer_unordered(REVOCATIONS)
        .collect()
        .await;
    revocations.revoked += outcomes.iter().filter(|revoked| **revoked).count();
    revocations.failed += outcomes.iter().filter(|revoked| !**revoked).count();
    revocations
}

#[cfg(test)]
mod tests;
