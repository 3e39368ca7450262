//! Long work on one document, kept off the threads that serve everybody.
//!
//! Whoever may write into Vault decides how large a document is, and whoever writes an object how often it is looked through. A
//! megabyte that is nested as deep as it may be, with a pointer to its innermost value, takes a third of a second; the largest
//! reply, four seconds. So large documents are worked on in threads of their own, on half of the machine at most, and the place
//! that gets free goes to the namespace that has the fewest (`limit`). Small ones are not worth the way.

use std::sync::{Arc, LazyLock};

use tokio::task::spawn_blocking;

use crate::limit::Limit;

/// From so many bytes on work is heavy. What is smaller takes less than 25 ms, whatever is in it.
const HEAVY: usize = 64 * 1024;

/// The threads are the machine's, and not those of one connection or pass.
static THREADS: LazyLock<Arc<Limit>> = LazyLock::new(|| {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() / 2);
    Limit::new(threads)
});

/// What `work` on so many `bytes` yields. If it is heavy, it is done elsewhere, when it is the party's turn; it goes on to its end
/// even if nobody waits for it any more. If it panics, so does this.
pub async fn work<T: Send + 'static>(
    party: &str,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if bytes < HEAVY {
        return work();
    }
    let place = THREADS.place(&Arc::from(party)).await;
    let done = spawn_blocking(move || {
        let _place = place;
        work()
    });
    match done.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The program is ending.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn heavy_work_is_done_in_another_thread_and_light_work_in_this_one() {
        let here = thread::current().id();
        let thread_of = |bytes| work("shop", bytes, || thread::current().id());
        assert_eq!(thread_of(HEAVY - 1).await, here);
        assert_ne!(thread_of(HEAVY).await, here);
    }

    #[tokio::test]
    async fn heavy_work_that_panics_ends_in_a_panic_here_and_gives_back_its_place() {
        for _ in 0..=thread::available_parallelism().map_or(1, usize::from) {
            let panicking = tokio::spawn(work("shop", HEAVY, || panic!("as it shall")));
            assert!(panicking.await.is_err_and(|error| error.is_panic()));
        }
        assert_eq!(work("shop", HEAVY, || 7).await, 7);
    }
}
