//! Revoking the sessions that nobody needs any more.

use super::Context;
use crate::api::status::SessionStatus;
use crate::connections::Entry;
use crate::holdings::OpenToken;
use crate::vault;

/// Revokes the session at Vault, in the name of that namespace. One that Vault does not know any more is as good as revoked. Tells why that failed.
pub async fn revoke(
    token: Option<&OpenToken>,
    session: &SessionStatus,
    party: &str,
    context: &Context,
) -> Result<(), String> {
    let Some(token) = token else {
        return Err("its token cannot be unsealed; it is left to its end".into());
    };
    let Some(Entry::Usable(connection)) = context.connections.get(&session.connection) else {
        return Err(format!(
            "VaultConnection {} does not exist or cannot be used",
            session.connection
        ));
    };
    if let Some(outage) = connection.reachability().outage {
        return Err(outage.message);
    }
    let client = connection.client.on_behalf_of(party);
    match vault::revoke_self(&client, &token.namespace, &token.value).await {
        Ok(()) => Ok(()),
        Err(error @ vault::Error::Forbidden { .. }) => match is_dead(token, &client).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!(
                "{error}; the role's policies must let its tokens revoke themselves, as policy default does"
            )),
            Err(error) => Err(error.to_string()),
        },
        Err(error) => {
            if error.is_outage() {
                context.suspect(&connection);
            }
            Err(error.to_string())
        }
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
