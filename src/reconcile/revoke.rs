//! Revoking the sessions that nobody needs any more.

use kube::Resource as _;
use tracing::{debug, warn};

use super::Context;
use super::entries;
use super::failure::Failure;
use super::observe::Observed;
use crate::api::Reason;
use crate::api::status::SessionStatus;
use crate::cluster::Key;
use crate::cluster::events::Notice;
use crate::connections::Entry;
use crate::holdings::{OpenToken, Trouble};
use crate::vault;

/// Revokes the session at Vault, in the name of that namespace. One that Vault does not know any more is as good as revoked. Tells why that failed.
pub async fn revoke(
    token: Option<&OpenToken>,
    session: &SessionStatus,
    party: &str,
    context: &Context,
) -> Result<(), Failure> {
    let Some(token) = token else {
        let message = "its token cannot be unsealed; it is left to its end";
        return Err(Failure::new(Reason::RenewalFailed, message));
    };
    let Some(Entry::Usable(connection)) = context.connections.get(&session.connection) else {
        let name = &session.connection;
        let message = format!("VaultConnection {name} does not exist or cannot be used");
        return Err(Failure::new(Reason::ConnectionNotFound, message));
    };
    if let Some(outage) = connection.reachability().outage {
        return Err(Failure::new(outage.reason, outage.message));
    }
    context.leads()?;
    let client = connection.client.on_behalf_of(party);
    match vault::revoke_self(&client, &token.namespace, &token.value).await {
        Ok(()) => Ok(()),
        Err(error @ vault::Error::Forbidden { .. }) => match is_dead(token, &client).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::new(
                Reason::PermissionDenied,
                format!(
                    "{error}; the role's policies must let its tokens revoke themselves, as policy default does"
                ),
            )),
            Err(error) => Err(trouble(&error)),
        },
        Err(error) => {
            if error.is_outage() {
                context.suspect(&connection);
            }
            Err(trouble(&error))
        }
    }
}

fn trouble(error: &vault::Error) -> Failure {
    let reason = match error {
        vault::Error::RateLimited { .. } => Reason::RateLimited,
        error if error.is_outage() => Reason::VaultUnavailable,
        _ => Reason::RenewalFailed,
    };
    Failure::new(reason, error.to_string())
}

/// Tells that a session cannot be revoked: once, in the log, and on the object unless the server is away, which the VaultConnection tells.
pub async fn tell(
    failure: &Failure,
    session: &SessionStatus,
    last: Option<&Trouble>,
    observed: &Observed,
    context: &Context,
) {
    let Key { namespace, name } = Key::of(&observed.object.metadata);
    let (accessor, why) = (&session.accessor, &failure.message);
    let what = "a session that is not needed any more cannot be revoked yet";
    if !is_news(failure, last) {
        debug!(namespace, name, accessor, why, "{what}");
        return;
    }
    warn!(namespace, name, accessor, why, "{what}");
    if !failure.is_outage() {
        let notice = notice(failure, session);
        let object = observed.object.object_ref(&());
        context.events.publish(&notice, &object).await;
    }
}

/// Whether it did not fail the last time, or only because the server was away.
fn is_news(failure: &Failure, last: Option<&Trouble>) -> bool {
    last.is_none_or(|last| last.of_server && !failure.is_outage())
}

fn notice(failure: &Failure, session: &SessionStatus) -> Notice {
    let (accessor, why) = (&session.accessor, &failure.message);
    let end = entries::over_time(session).map_or_else(
        || "has no end".to_owned(),
        |end| format!("ends by itself by {end}"),
    );
    Notice {
        warning: true,
        reason: failure.reason,
        action: "Revoke",
        note: format!("session {accessor} cannot be revoked, and {end}: {why}"),
    }
}

/// Whether Vault does not know the token any more. A token that is refused may be dead, or may not do what was asked; Vault does not tell.
/// One that may look at itself, as policy `default` allows, is dead if it is refused that as well. Of any other nobody can tell.
pub async fn is_dead(token: &OpenToken, client: &vault::Client) -> Result<bool, vault::Error> {
    match vault::lookup_self(client, &token.namespace, &token.value).await {
        Ok(_) => Ok(false),
        Err(vault::Error::Forbidden { .. } | vault::Error::NotFound { .. }) => Ok(token.may_look),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixture::leased::entry;
    use crate::reconcile::fixture::{NOW, at};

    #[test]
    fn a_session_that_cannot_be_revoked_is_told_with_its_end_and_the_cause() {
        let denied = Failure::new(Reason::PermissionDenied, "no");
        let told = notice(&denied, &entry("one"));
        let end = at(NOW + 7260);
        assert_eq!(
            (told.reason, told.note),
            (
                Reason::PermissionDenied,
                format!("session one cannot be revoked, and ends by itself by {end}: no")
            )
        );
        let endless = SessionStatus {
            expiration_time: None,
            ..entry("one")
        };
        let note = notice(&denied, &endless).note;
        assert_eq!(note, "session one cannot be revoked, and has no end: no");
    }

    #[test]
    fn it_is_told_once_and_once_more_when_it_was_not_the_outage_alone() {
        let denied = Failure::new(Reason::PermissionDenied, "no");
        let away = Failure::new(Reason::VaultUnavailable, "away");
        let after = |of_server| Trouble {
            message: String::new(),
            of_server,
            attempts: 0,
            retry_at: at(NOW),
        };
        for (failure, last, news) in [
            (&denied, None, true),
            (&away, None, true),
            (&denied, Some(after(false)), false),
            (&denied, Some(after(true)), true),
            (&away, Some(after(true)), false),
            (&away, Some(after(false)), false),
        ] {
            assert_eq!(is_news(failure, last.as_ref()), news, "{failure:?}");
        }
    }
}
