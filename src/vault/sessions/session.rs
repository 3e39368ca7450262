//! One token in the hands of its identity: opened by a login, renewed in time, outlasting an outage.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::life::{Life, Step};
use super::{Identity, SessionError};
use crate::sensitive::SecretText;
use crate::vault::client::Client;
use crate::vault::clock;
use crate::vault::error::Error;
use crate::vault::login::{Token, login, renew_self, revoke_self};

/// How long a token that is still alive is used without another try, after its renewal met an outage.
const QUIET: Duration = Duration::from_secs(10);
/// A token and what is known about its life.
pub(super) struct Session {
    pub(super) token: Arc<Token>,
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) life: Life,
    pub(super) since: Instant,
    quiet_until: Option<Instant>,
}

/// Gets a JWT and logs in with it.
pub(super) async fn open<J>(
    identity: &Identity,
    client: &Client,
    jwt: impl Future<Output = Result<SecretText, J>>,
) -> Result<Session, SessionError<J>> {
    let jwt = jwt.await.map_err(SessionError::Jwt)?;
    // The life counts from before the request, so that we never think a token younger than it is.
    let since = clock::now();
    let request = identity.login(jwt);
    let token = login(client, request).await.map_err(SessionError::Login)?;
    let life = Life::new(token.ttl, token.renewable && !token.batch, since);
    let (client, namespace) = (client.clone(), identity.namespace.clone());
    Ok(Session {
        token: Arc::new(token),
        client,
        namespace,
        life,
        since,
        quiet_until: None,
    })
}

impl Session {
    /// The token, renewed if it is time; `None` if it must be replaced.
    pub(super) async fn usable(&mut self) -> Option<Arc<Token>> {
        let now = clock::now();
        match self.life.next(now) {
            Step::Use => {}
            // An outage a moment ago: no hurry, it is still alive.
            Step::Renew | Step::Replace if self.quiet_until.is_some_and(|until| now < until) => {}
            Step::Renew => match renew_self(&self.client, &self.namespace, &self.token.value).await
            {
                Ok(grant) => self.life = self.life.renewed(grant, now),
                Err(error) => return self.outlast::<()>(&SessionError::Login(error)),
            },
            Step::Replace | Step::Over => return None,
        }
        Some(Arc::clone(&self.token))
    }

    /// The token while it lives, if what failed was not about it: Vault being away is no reason to give it up.
    pub(super) fn outlast<J>(&mut self, error: &SessionError<J>) -> Option<Arc<Token>> {
        let now = clock::now();
        let passing = match error {
            SessionError::Jwt(_) => false,
            SessionError::Login(error) => {
                error.is_outage() || matches!(error, Error::RateLimited { .. })
            }
        };
        if !passing || self.life.is_over(now) {
            return None;
        }
        self.quiet_until = Some(now + QUIET);
        Some(Arc::clone(&self.token))
    }

    /// Whether it was revoked; batch tokens cannot be, and need not.
    pub(super) async fn revoke(&self) -> Result<(), Error> {
        revoke_self(&self.client, &self.namespace, &self.token.value).await
    }

    pub(super) fn is_revocable(&self, now: Instant) -> bool {
        !self.token.batch && !self.life.is_over(now)
    }
}
