//! Tokens of service accounts, asked for one at a time and used once.

#![expect(clippy::disallowed_methods, reason = "tokens are requested here")]

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};

use super::caches::Key;
use super::patience::in_time;
use super::write_error::WriteError;
use crate::sensitive::SecretText;

/// The shortest life that the API server grants. The token is shown to Vault within seconds and then wiped.
const EXPIRATION_SECONDS: i64 = 600;

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The service account does not exist.
    #[error("service account {0} does not exist")]
    NotFound(String),
    /// The API server refuses.
    #[error("the API server refuses a token for service account {name}: {why}")]
    Denied {
        /// Name of the service account.
        name: String,
        /// The API server's words.
        why: String,
    },
    /// The API server does not answer as it should.
    #[error("{0}")]
    Unavailable(String),
}

/// A token of the service account for these audiences.
pub async fn request(
    client: &Client,
    account: &Key,
    audiences: &[String],
) -> Result<SecretText, TokenError> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), &account.namespace);
    let spec = TokenRequestSpec {
        audiences: audiences.to_vec(),
        expiration_seconds: Some(EXPIRATION_SECONDS),
        bound_object_ref: None,
    };
    let request = TokenRequest {
        spec,
        ..TokenRequest::default()
    };
    let params = PostParams::default();
    let answer = in_time(api.create_token_request(&account.name, &params, &request)).await;
    match answer {
        Ok(TokenRequest {
            status: Some(status),
            ..
        }) => Ok(SecretText::new(status.token)),
        Ok(_) => Err(TokenError::Unavailable(
            "the API server answered a token request without a token".into(),
        )),
        Err(error) => Err(classify(account, error.into())),
    }
}

fn classify(account: &Key, error: WriteError) -> TokenError {
    let name = account.name.clone();
    match error {
        WriteError::NotFound => TokenError::NotFound(name),
        WriteError::Quota(why)
        | WriteError::Denied(why)
        | WriteError::Immutable(why)
        | WriteError::Invalid(why)
        | WriteError::TooLarge(why) => TokenError::Denied { name, why },
        error @ (WriteError::AlreadyExists
        | WriteError::Conflict
        | WriteError::Taken(_)
        | WriteError::Terminating) => TokenError::Denied {
            name,
            why: error.to_string(),
        },
        WriteError::Unavailable(why) => TokenError::Unavailable(why),
    }
}
