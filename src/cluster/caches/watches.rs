//! The tasks that fill the caches, and the notice when one of them is lost.
//!
//! A cache that nothing fills any more looks like a quiet cluster, and every decision on it would be one on what was. So whoever runs the
//! operator hears of it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tracing::warn;

use super::{Cache, Caches, Change, Kept, Key};
use crate::cluster::reach::watch_all;
use crate::retry;

/// How many objects a page of a list has.
const PAGE: u32 = 250;

/// The same of whole objects, which may have a MiB each.
const PAGE_OF_WHOLE: u32 = 16;

/// The watches, each on a task of its own. They end with this.
#[derive(Default)]
pub struct Watches {
    tasks: JoinSet<()>,
    kinds: HashMap<Id, Cow<'static, str>>,
}

/// A watch that is not followed any more. None ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the watch of every {kind} is lost: {cause}")]
pub struct Lost {
    /// The kind of objects that are not watched any more.
    pub kind: String,
    /// How it came.
    pub cause: String,
}

/// Where the events of a watch go.
pub(super) struct Sink {
    pub caches: Arc<Caches>,
    pub changes: mpsc::UnboundedSender<Change>,
    pub change: fn(Key) -> Change,
}

impl Watches {
    /// Follows a watch: fills the cache, and tells of whatever changes after the first list.
    pub(super) fn follow<V>(
        &mut self,
        apis: Vec<Api<V::Object>>,
        how: &watcher::Config,
        sink: Sink,
        cache: fn(&Caches) -> &Cache<V>,
    ) where
        V: Kept + Send + Sync + 'static,
        V::Object: Clone + Default + DeserializeOwned + Debug + Send + 'static,
    {
        let events = watch_all(apis, how, name_of);
        self.run(V::Object::kind(&()), async move {
            fill(events, cache(&sink.caches), &sink).await;
        });
    }

    /// Resolves when a watch is lost, which is never while all is well.
    pub async fn lost(&mut self) -> Lost {
        let (id, cause) = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => (id, "it ended by itself".to_owned()),
            Some(Err(error)) => (error.id(), error.to_string()),
            None => std::future::pending().await,
        };
        let kind = self.kinds.get(&id).map(ToString::to_string);
        Lost {
            kind: kind.unwrap_or_default(),
            cause,
        }
    }

    fn run(&mut self, kind: Cow<'static, str>, watch: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(watch);
        self.kinds.insert(task.id(), kind);
    }

    /// A watch that is lost at once.
    #[cfg(test)]
    pub fn with_lost(kind: &'static str) -> Self {
        let mut this = Self::default();
        this.run(kind.into(), async {});
        this
    }
}

/// The pauses between attempts to begin a watch again.
pub fn pauses() -> watcher::ExponentialBackoff {
    retry::of_watches().into()
}

/// Lists come in pages, so that memory is bounded by a page and not by the cluster. From Kubernetes 1.34 on all pages are served from the API
/// server's memory; before that all but the first are read from etcd.
pub fn how_to_list() -> watcher::Config {
    watcher::Config {
        page_size: Some(PAGE),
        ..watcher::Config::default()
    }
}

/// The same for whole objects, of which only those with a label are wanted.
pub(super) fn how_to_list_whole(label: &str) -> watcher::Config {
    watcher::Config {
        page_size: Some(PAGE_OF_WHOLE),
        ..watcher::Config::default().labels(label)
    }
}

/// As little of an object as tells which it was.
fn name_of<K: Resource<DynamicType = ()> + Default>(object: &K) -> K {
    let mut named = K::default();
    let meta = named.meta_mut();
    meta.name.clone_from(&object.meta().name);
    meta.namespace.clone_from(&object.meta().namespace);
    named
}

/// Follows a watch for ever.
async fn fill<V: Kept>(
    mut events: BoxStream<'static, watcher::Result<watcher::Event<V::Object>>>,
    cache: &Cache<V>,
    sink: &Sink,
) {
    let mut fresh = HashMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                for key in cache.take_in(event, &mut fresh) {
                    // The receiver goes only when the program ends.
                    let _ = sink.changes.send((sink.change)(key));
                }
            }
            Err(error) => {
                warn!(kind = %V::Object::kind(&()), %error, "watch interrupted, starting it again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_watch_that_panics_or_ends_is_named_and_the_others_go_on() {
        let mut watches = Watches::default();
        watches.run("Secret".into(), async { panic!("on purpose") });
        watches.run("Namespace".into(), std::future::pending());
        let lost = watches.lost().await;
        assert_eq!(lost.kind, "Secret");
        assert!(lost.cause.contains("on purpose"), "{lost}");
        assert_eq!(watches.lost().now_or_never(), None, "one still runs");
        watches.run("ConfigMap".into(), async {});
        let lost = watches.lost().await;
        assert_eq!(
            lost.to_string(),
            "the watch of every ConfigMap is lost: it ended by itself"
        );
    }
}
