//! A pass that takes long gives its place among those under way to others, and goes on beside them.
//!
//! Only so many passes run at once. A server that swallows requests without a word holds up each pass over its objects until
//! the time-out, and would soon hold up all of them, those for other servers included. So nobody waits long for a pass: it is
//! left to itself, its object gets no other pass meanwhile, and when it has ended the object is looked at once more.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::controller::Action;
use tokio::task::AbortHandle;

use super::Context;
use crate::cluster::Key;

/// How long a pass keeps its place: much longer than one takes while all servers answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// The passes that took too long and go on by themselves, by the UID of their object.
#[derive(Default)]
pub struct Patience {
    passes: Mutex<HashMap<String, AbortHandle>>,
}

impl Patience {
    /// Whether a pass over the object still goes on by itself. Its end brings the next one.
    pub fn is_exhausted(&self, uid: &str) -> bool {
        self.lock().contains_key(uid)
    }

    /// Gives up all of them, for the end of the program. Whatever they left undone, the next start finds.
    pub fn give_up(&self) {
        for (_, pass) in self.lock().drain() {
            pass.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the pass, but not for long.
pub async fn wait(
    mut pass: Pin<Box<impl Future<Output = Action> + Send + 'static>>,
    uid: &str,
    key: Key,
    context: &Arc<Context>,
) -> Action {
    if let Ok(action) = tokio::time::timeout(PATIENCE, &mut pass).await {
        return action;
    }
    let leave = Leave {
        uid: uid.to_owned(),
        key,
        context: context.clone(),
    };
    // Held until the pass is entered, so that it cannot leave before.
    let mut passes = context.patience.lock();
    let task = tokio::spawn(async move {
        let _leave = leave;
        pass.await;
    });
    passes.insert(uid.to_owned(), task.abort_handle());
    Action::await_change()
}

/// The end of a pass that went on by itself, however it ends: another look at its object, which schedules the next.
struct Leave {
    uid: String,
    key: Key,
    context: Arc<Context>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.context.patience.lock().remove(&self.uid);
        let _ = self.context.wake.send(self.key.clone());
    }
}
