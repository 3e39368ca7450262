//! The small HTTP server: `/healthz`, `/readyz`, `/metrics`.
//!
//! Whoever reaches the port may talk to it, so nobody can hold it: a connection is for one request, a head has a largest size
//! and a longest time, a body is never read, and when there are too many connections the oldest goes. A probe takes
//! milliseconds, so it is the oldest only when a whole load of others comes within these: against such a flood only a network
//! policy helps.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::leadership::Standing;
use crate::metrics::Metrics;

/// What the server tells of.
#[derive(Clone)]
pub struct Health {
    /// All metrics.
    pub metrics: Metrics,
    /// What the instance is at. Vault's health is no part of it: a pod that is not ready helps nobody to unseal Vault.
    pub standing: watch::Receiver<Standing>,
}

/// What a stranger may take.
#[derive(Clone, Copy)]
struct Limits {
    /// How long the head of a request may take to arrive.
    head: Duration,
    /// How long a connection may last.
    connection: Duration,
    /// How many connections may be open.
    connections: usize,
}

const LIMITS: Limits = Limits {
    head: Duration::from_secs(5),
    connection: Duration::from_secs(30),
    connections: 128,
};

/// The most bytes and lines of a request's head.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Listens on `address`, and serves in a task of its own.
pub async fn serve(address: SocketAddr, health: Health) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("listen on {address} (--http-address): is another program using it?")
    })?;
    tokio::spawn(accept(listener, router(health), LIMITS));
    Ok(())
}

fn router(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
}

/// Takes connections for ever.
async fn accept(mut listener: TcpListener, router: Router, limits: Limits) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        // This one waits a while when there is no room for another, and tries again.
        let (stream, _) = axum::serve::Listener::accept(&mut listener).await;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .keep_alive(false)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(router.clone()),
            );
        let task = tokio::spawn(async move {
            // However it ends: who broke it off knows, and who never ended it is nobody to tell.
            drop(tokio::time::timeout(limits.connection, connection).await);
        });
        open.retain(|task| !task.is_finished());
        open.push_back(task.abort_handle());
        if open.len() > limits.connections
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
    }
}

async fn readyz(State(health): State<Health>) -> Response {
    let standing = health.standing.borrow().clone();
    let status = if standing.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, format!("{standing}\n")).into_response()
}

async fn metrics(State(health): State<Health>) -> Response {
    match health.metrics.print() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    const NEVER: Duration = Duration::from_hours(1);
    const AT_ONCE: Duration = Duration::from_millis(1);

    /// A server within these limits.
    async fn server(limits: Limits) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Health {
            metrics: Metrics::new(true),
            standing: watch::channel(Standing::Working).1,
        };
        tokio::spawn(accept(listener, router(health), limits));
        address
    }

    fn limits(head: Duration, connection: Duration, connections: usize) -> Limits {
        Limits {
            head,
            connection,
            connections,
        }
    }

    fn send(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        // It may be cut off in the middle of it.
        let _ = stream.write_all(text.as_bytes());
        stream
    }

    /// Everything until the server ends the connection. If it never did, neither would this.
    fn answer(mut stream: TcpStream) -> String {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connection_is_for_one_request() {
        let address = server(limits(NEVER, NEVER, 10)).await;
        let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        let all = answer(send(address, &request.repeat(2)));
        assert!(all.starts_with("HTTP/1.1 200 OK\r\n"), "{all}");
        assert_eq!(all.matches("200 OK").count(), 1, "{all}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_head_that_never_ends_ends_the_connection() {
        let address = server(limits(AT_ONCE, NEVER, 10)).await;
        let all = answer(send(address, "GET /healthz HTTP/1.1\r\nHost:"));
        assert!(!all.contains("200 OK"), "{all}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connection_ends_whatever_it_waits_for() {
        let address = server(limits(NEVER, AT_ONCE, 10)).await;
        assert_eq!(answer(send(address, "")), "");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_head_that_is_too_long_or_has_too_many_lines_is_refused() {
        let address = server(limits(NEVER, NEVER, 10)).await;
        for more in [
            format!("X: {}\r\n", "x".repeat(2 * MAX_HEAD)),
            "X: x\r\n".repeat(MAX_HEADERS + 1),
        ] {
            let all = answer(send(
                address,
                &format!("GET /healthz HTTP/1.1\r\n{more}\r\n"),
            ));
            assert!(!all.contains("200 OK"), "{all}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_body_is_not_waited_for() {
        let address = server(limits(NEVER, NEVER, 10)).await;
        let head = "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";
        let all = answer(send(address, head));
        assert!(all.starts_with("HTTP/1.1 200 OK\r\n"), "{all}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_comes_when_there_are_too_many_pushes_out_the_oldest() {
        let address = server(limits(NEVER, NEVER, 2)).await;
        let mut silent: Vec<_> = (0..2).map(|_| send(address, "GET /")).collect();
        let all = answer(send(address, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(all.starts_with("HTTP/1.1 200 OK\r\n"), "{all}");
        assert_eq!(answer(silent.remove(0)), "", "it was the oldest");
    }
}
