//! How long the API server may take for one answer.
//!
//! One that hangs without a word is as much away as one that refuses the connection, and is told like it: in seconds, and not when the
//! whole pass has run out of time. Whoever gives up on a write does not know whether it happened. So nothing here, nor where it is used,
//! tries again: the next pass looks at what is there, and its write carries a precondition of what it saw.

use std::time::Duration;

/// How long a request may take, its wait for a place among the others included. Watches are no such requests: they are silent for minutes
/// when all is well.
const LONGEST_ANSWER: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
#[error("it did not answer within {} s", .0.as_secs())]
struct Silence(Duration);

/// The answer to a request, or the error of [`silence`] if it does not come in time.
pub async fn in_time<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, kube::Error> {
    let answer = tokio::time::timeout(LONGEST_ANSWER, request).await;
    answer.unwrap_or_else(|_| Err(silence(LONGEST_ANSWER)))
}

/// The API server said nothing for that long.
pub fn silence(limit: Duration) -> kube::Error {
    kube::Error::Service(Box::new(Silence(limit)))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::cluster::WriteError;

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_hangs_is_unavailable_after_a_while_and_one_that_answers_is_heard() {
        let hangs = in_time(pending::<Result<(), _>>()).await;
        let error = WriteError::from(hangs.unwrap_err());
        assert!(matches!(error, WriteError::Unavailable(_)), "{error:?}");
        assert_eq!(
            error.to_string(),
            "the API server cannot be reached: it did not answer within 15 s"
        );
        assert_eq!(in_time(ready(Ok(7))).await.unwrap(), 7);
    }
}
