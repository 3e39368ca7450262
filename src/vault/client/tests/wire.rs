//! What happens on the wire when a server misbehaves: who is asked again, what is believed, what is never sent.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use futures::future::join_all;

use super::super::*;
use super::settings;
use crate::vault::endpoint::Get;
use crate::vault::issued::{Ask, AskMethod, AskResult, issue, renew_lease, revoke_lease};
use crate::vault::login::{LoginRequest, Method, login};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

/// A server that answers every connection with what `answer` makes of the number of the request, then closes it.
struct Server {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&heads), Arc::new(answer));
        std::thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    let length = connection.read(&mut buffer).unwrap_or_default();
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
                        seen.len()
                    };
                    let _ = connection.write_all(answer(number).as_bytes());
                });
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn client(&self) -> Client {
        self.client_with(|_| {})
    }

    fn client_with(&self, change: impl FnOnce(&mut Settings)) -> Client {
        let mut settings = settings(format!("http://{}", self.address), None);
        change(&mut settings);
        Client::new(&settings, None).unwrap_or_else(|error| panic!("{error}"))
    }
}

async fn get(client: &Client, token: &str) -> Result<Reply, Error> {
    let token = SecretText::new(token.to_owned());
    let call = Call {
        operation: "read",
        namespace: Some("team"),
        token: Some(&token),
    };
    client
        .send(
            call,
            &Get {
                path: "secret/a".to_owned(),
                query: "",
            },
        )
        .await?
        .success()
}

#[tokio::test]
async fn a_get_whose_connection_breaks_is_sent_once_more() {
    let server = Server::new(|number| {
        if number == 1 {
            String::new()
        } else {
            OK.to_owned()
        }
    });
    assert!(get(&server.client(), "s.one").await.is_ok());
    assert_eq!(server.heads().len(), 2);
}

#[tokio::test]
async fn a_get_whose_connection_keeps_breaking_is_given_up_after_two() {
    let server = Server::new(|_| String::new());
    let error = get(&server.client(), "s.one").await.err().unwrap();
    assert_eq!(error.kind(), "unreachable", "{error}");
    assert_eq!(server.heads().len(), 2);
}

#[tokio::test]
async fn a_login_whose_connection_breaks_is_never_sent_again() {
    let server = Server::new(|_| String::new());
    let jwt = SecretText::new("e.y.J".to_owned());
    let request = LoginRequest {
        method: Method::Kubernetes,
        mount: "kubernetes",
        role: "orders",
        namespace: "",
        jwt,
    };
    let error = login(&server.client(), request).await.err().unwrap();
    assert!(error.is_outage(), "{error}");
    assert_eq!(server.heads().len(), 1);
}

fn ask(method: AskMethod, parameters: &BTreeMap<String, SecretText>) -> Ask<'_> {
    Ask {
        method,
        path: "database/creds/app",
        parameters,
        result: AskResult::Data,
        wrap_ttl: None,
    }
}

fn one_parameter() -> BTreeMap<String, SecretText> {
    BTreeMap::from([("ttl".to_owned(), SecretText::new("1 h".to_owned()))])
}

#[tokio::test]
async fn a_credential_is_asked_for_once_whatever_happens_to_the_reply() {
    let lagging =
        "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{";
    for answer in ["", lagging, cut] {
        let server = Server::new(move |_| answer.to_owned());
        for method in [AskMethod::Get, AskMethod::Post, AskMethod::Put] {
            let before = server.heads().len();
            let (token, none) = (SecretText::new("s.one".to_owned()), BTreeMap::new());
            let outcome = issue(&server.client(), "", &token, &ask(method, &none)).await;
            assert!(outcome.is_err(), "{method:?} {answer}");
            assert_eq!(server.heads().len(), before + 1, "{method:?} {answer}");
        }
    }
}

#[tokio::test]
async fn a_request_for_a_credential_carries_its_parameters_and_what_to_wrap_for() {
    let server = Server::new(|_| OK.to_owned());
    let (token, parameters) = (SecretText::new("s.one".to_owned()), one_parameter());
    let mut asked = ask(AskMethod::Get, &parameters);
    let send = async |asked: &Ask<'_>| issue(&server.client(), "team", &token, asked).await;
    assert!(send(&asked).await.is_ok());
    asked.method = AskMethod::Put;
    asked.wrap_ttl = Some(Duration::from_mins(2));
    let error = send(&asked).await.err().unwrap();
    assert_eq!(error.kind(), "mismatch", "{{}} is not wrapped: {error}");
    let heads = server.heads();
    let begins = |number: usize, with: &str| heads[number].starts_with(with);
    let tells = |number: usize, what: &str| heads[number].contains(what);
    assert!(
        begins(0, "GET /v1/database/creds/app?ttl=1%20h HTTP/1.1\r\n")
            && tells(0, "x-vault-namespace: team\r\n")
            && !tells(0, "x-vault-wrap-ttl"),
        "{heads:?}"
    );
    assert!(
        begins(1, "PUT /v1/database/creds/app HTTP/1.1\r\n")
            && tells(1, "x-vault-wrap-ttl: 120\r\n")
            && heads[1].ends_with("\r\n\r\n{\"ttl\":\"1 h\"}"),
        "{heads:?}"
    );
}

#[tokio::test]
async fn a_lease_is_named_in_the_body_of_its_renewal_and_revocation() {
    let server = Server::new(|_| OK.to_owned());
    let (client, token) = (server.client(), SecretText::new("s.one".to_owned()));
    let (lease, hour) = ("database/creds/app/x", Duration::from_hours(1));
    let told = renew_lease(&client, "", &token, lease, hour).await;
    assert!(told.is_err(), "{{}} is no grant: {told:?}");
    assert_eq!(revoke_lease(&client, "", &token, lease).await, Ok(()));
    let heads = server.heads();
    assert!(
        heads[0].starts_with("PUT /v1/sys/leases/renew HTTP/1.1\r\n")
            && heads[0].contains(r#""increment":3600"#)
            && heads[0].contains(r#""lease_id":"database/creds/app/x""#),
        "{heads:?}"
    );
    assert!(
        heads[1].starts_with("PUT /v1/sys/leases/revoke HTTP/1.1\r\n")
            && heads[1].ends_with(r#"{"lease_id":"database/creds/app/x"}"#),
        "{heads:?}"
    );
}

#[tokio::test]
async fn a_standby_that_lags_behind_is_asked_once_more() {
    let lagging =
        "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let server = Server::new(move |number| {
        if number == 1 {
            lagging.to_owned()
        } else {
            OK.to_owned()
        }
    });
    assert!(get(&server.client(), "s.one").await.is_ok());
    assert_eq!(server.heads().len(), 2);
}

#[tokio::test]
async fn a_reply_without_an_end_is_cut_off() {
    let server = Server::new(|_| {
        format!(
            "HTTP/1.1 200 OK\r\n\r\n{}",
            "x".repeat(transport::MAX_REPLY + 1)
        )
    });
    let error = get(&server.client(), "s.one").await.err().unwrap();
    assert_eq!(
        error,
        Error::TooLarge {
            limit: transport::MAX_REPLY
        }
    );
}

#[tokio::test]
async fn what_is_no_secret_is_cut_off_sooner() {
    let server = Server::new(|_| {
        format!(
            "HTTP/1.1 403 Forbidden\r\n\r\n{}",
            "x".repeat(transport::MAX_OTHER_REPLY + 1)
        )
    });
    let error = get(&server.client(), "s.one").await.err().unwrap();
    assert_eq!(
        error,
        Error::TooLarge {
            limit: transport::MAX_OTHER_REPLY
        }
    );
}

#[tokio::test]
async fn a_silent_server_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = settings(format!("http://{}", silent.local_addr().unwrap()), None);
    settings.timeout = Duration::from_millis(200);
    let client = Client::new(&settings, None).unwrap_or_else(|error| panic!("{error}"));
    let error = get(&client, "s.one").await.err().unwrap();
    assert_eq!(error.to_string(), "reach vault: no answer within 0.2 s");
}

#[tokio::test]
async fn nobody_listening_is_told_in_plain_words() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = Client::new(&settings(format!("http://{closed}"), None), None)
        .unwrap_or_else(|error| panic!("{error}"));
    let error = get(&client, "s.one").await.err().unwrap();
    assert_eq!(error.to_string(), "reach vault: connection refused");
}

#[tokio::test]
async fn a_token_does_not_follow_a_redirect_to_another_server() {
    let other = Server::new(|_| OK.to_owned());
    let location = other.address;
    let server = Server::new(move |_| {
        format!(
            "HTTP/1.1 307 x\r\nLocation: http://{location}/v1/secret/a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    });
    let error = get(&server.client(), "s.one").await.err().unwrap();
    assert_eq!(
        error,
        Error::Redirected {
            to: format!("http://{location}")
        }
    );
    assert!(other.heads().is_empty(), "{:?}", other.heads());
}

#[tokio::test]
async fn a_redirect_within_the_server_is_followed_with_the_token_three_times_at_most() {
    let around =
        "HTTP/1.1 307 x\r\nLocation: /v1/again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let server = Server::new(move |_| around.to_owned());
    let error = get(&server.client(), "s.one").await.err().unwrap();
    assert_eq!(error.kind(), "redirected", "{error}");
    let heads = server.heads();
    assert_eq!(heads.len(), 4);
    assert!(
        heads
            .iter()
            .all(|head| head.contains("x-vault-token: s.one\r\n")),
        "{heads:?}"
    );
}

#[tokio::test]
async fn a_request_names_its_namespace_and_the_settings_one_only_where_it_has_none() {
    let server = Server::new(|_| OK.to_owned());
    let client = server.client_with(|settings| settings.namespace = "platform".to_owned());
    get(&client, "s.one").await.map(drop).unwrap();
    let call = Call {
        operation: "read",
        namespace: Some(""),
        token: None,
    };
    client
        .send(
            call,
            &Get {
                path: "secret/a".to_owned(),
                query: "",
            },
        )
        .await
        .map(drop)
        .unwrap();
    assert!(client.health().await.is_err(), "{{}} is no health");
    let heads = server.heads();
    assert!(
        heads[0].contains("x-vault-namespace: team\r\n"),
        "{heads:?}"
    );
    assert!(
        heads[1].contains("x-vault-namespace: platform\r\n"),
        "{heads:?}"
    );
    assert!(!heads[2].contains("x-vault-namespace"), "{heads:?}");
}

#[tokio::test]
async fn a_token_that_cannot_be_a_header_is_not_sent() {
    let server = Server::new(|_| OK.to_owned());
    let error = get(&server.client(), "s.one\r\nX-Vault-Token: s.two")
        .await
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "cannot send the request: the token has a character that a header cannot carry"
    );
    assert!(server.heads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_are_under_way_than_allowed() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (busy, peak) = (Arc::clone(&now), Arc::clone(&most));
    let three = Barrier::new(3);
    let server = Server::new(move |_| {
        peak.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Fewer at once would never get past this, and more would be counted.
        three.wait();
        busy.fetch_sub(1, Ordering::SeqCst);
        OK.to_owned()
    });
    let client = server.client_with(|settings| settings.max_concurrent_requests = 3);
    let outcomes = join_all((0..30).map(|_| get(&client, "s.one"))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_observer_is_told_of_every_try() {
    struct Told(Mutex<Vec<String>>);
    impl Observer for Told {
        fn request(&self, operation: &'static str, outcome: &'static str, _: Duration) {
            self.0
                .lock()
                .unwrap()
                .push(format!("{operation} {outcome}"));
        }
    }
    let server = Server::new(|number| {
        if number == 1 {
            String::new()
        } else {
            OK.to_owned()
        }
    });
    let told = Arc::new(Told(Mutex::new(Vec::new())));
    let settings = settings(format!("http://{}", server.address), None);
    let client = Client::new(&settings, Some(Arc::clone(&told) as Arc<dyn Observer>))
        .unwrap_or_else(|error| panic!("{error}"));
    get(&client, "s.one").await.map(drop).unwrap();
    assert_eq!(*told.0.lock().unwrap(), ["read unreachable", "read ok"]);
}
