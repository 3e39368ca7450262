//! What needs no Vault: who waits, who shares a failure, who is told to log in again.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;

use super::*;
use crate::sensitive::SecretText;
use crate::vault::settings::Settings;

fn identity(role: &str) -> Identity {
    Identity {
        connection: "default/1".to_owned(),
        namespace: String::new(),
        mount: "kubernetes".to_owned(),
        method: Method::Kubernetes,
        role: role.to_owned(),
        service_account: "shop/default/uid".to_owned(),
        audiences: vec!["vault".to_owned()],
    }
}

/// A client of an address where nobody listens.
fn nowhere() -> Client {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let settings = Settings {
        address: format!("http://{address}"),
        namespace: String::new(),
        ca_bundle: None,
        server_name: None,
        client_identity: None,
        headers: BTreeMap::new(),
        timeout: Duration::from_secs(5),
        max_concurrent_requests: 4,
    };
    Client::new(&settings, None).unwrap_or_else(|error| panic!("{error}"))
}

type Outcome = Result<Arc<Token>, SessionError<String>>;

async fn ask(
    sessions: &Sessions<String>,
    client: &Client,
    jwt: Result<&str, &str>,
    asked: &AtomicUsize,
) -> Outcome {
    let jwt = async {
        asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        jwt.map(|jwt| SecretText::new(jwt.to_owned()))
            .map_err(str::to_owned)
    };
    sessions.token(&identity("orders"), client, jwt).await
}

fn token() -> Arc<Token> {
    Arc::new(Token {
        value: SecretText::new("s.one".to_owned()),
        accessor: "one".to_owned(),
        ttl: Duration::from_mins(1),
        renewable: true,
        batch: false,
        policies: std::collections::BTreeSet::new(),
    })
}

#[tokio::test]
async fn a_hundred_objects_that_cannot_get_a_jwt_ask_for_one_once() {
    let (sessions, client, asked) = (Sessions::new(), nowhere(), AtomicUsize::new(0));
    let all =
        join_all((0..100).map(|_| ask(&sessions, &client, Err("no such service account"), &asked)))
            .await;
    let expected = SessionError::Jwt("no such service account".to_owned());
    assert!(all.iter().all(|one| one.as_ref().err() == Some(&expected)));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(
        ask(&sessions, &client, Err("still none"), &asked)
            .await
            .err(),
        Some(SessionError::Jwt("still none".to_owned()))
    );
}

#[tokio::test]
async fn a_failed_login_is_shared_by_those_who_wait_and_tried_again_by_the_next() {
    let (sessions, client, asked) = (Sessions::new(), nowhere(), AtomicUsize::new(0));
    let all = join_all((0..100).map(|_| ask(&sessions, &client, Ok("e.y.J"), &asked))).await;
    let refused = Error::Unreachable {
        reason: "connection refused".to_owned(),
    };
    assert!(
        all.iter()
            .all(|one| one.as_ref().err() == Some(&SessionError::Login(refused.clone())))
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(ask(&sessions, &client, Ok("e.y.J"), &asked).await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn identities_that_differ_in_anything_do_not_wait_for_each_other() {
    let (sessions, client) = (Sessions::<String>::new(), nowhere());
    let (slow, quick) = (identity("slow"), identity("orders"));
    let never = sessions.token(&slow, &client, std::future::pending());
    let other = sessions.token(&quick, &client, async { Err("none".to_owned()) });
    let outcome = futures::future::select(Box::pin(never), Box::pin(other)).await;
    assert!(matches!(
        outcome,
        futures::future::Either::Right((Err(SessionError::Jwt(_)), _))
    ));
}

#[tokio::test]
async fn a_token_that_is_no_longer_the_sessions_one_needs_no_look_up() {
    let sessions = Sessions::<String>::new();
    assert_eq!(
        sessions.refused(&identity("orders"), &token()).await,
        Ok(Verdict::LogInAgain)
    );
}

#[tokio::test]
async fn a_farewell_without_sessions_is_quick_and_counts_nothing() {
    let sessions = Sessions::<String>::new();
    assert_eq!(
        sessions.revoke_all(clock::now()).await,
        Revocations::default()
    );
}
