//! How far the operator's eyes reach: over the whole cluster, or over some namespaces. There, one watch per namespace does what a single one
//! does elsewhere, and whoever follows them is to notice no difference.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::mem;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::Key;
use super::caches::pauses;

/// Where the operator looks for VaultSecrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In all namespaces.
    Cluster,
    /// In these.
    Namespaces(Vec<String>),
}

impl Reach {
    /// The same, and that namespace.
    #[must_use]
    pub fn with(&self, namespace: &str) -> Self {
        match self {
            Self::Cluster => Self::Cluster,
            Self::Namespaces(names) => {
                let mut names = names.clone();
                if names.iter().all(|name| name != namespace) {
                    names.push(namespace.to_owned());
                }
                Self::Namespaces(names)
            }
        }
    }

    /// What is to be asked, once each, for all objects of a kind.
    pub fn apis<K>(&self, client: &Client) -> Vec<Api<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self {
            Self::Cluster => vec![Api::all(client.clone())],
            Self::Namespaces(names) => names
                .iter()
                .map(|name| Api::namespaced(client.clone(), name))
                .collect(),
        }
    }
}

/// One watch of everything that `apis` bring. `remember` is what is kept of an object to tell that it is gone: at least its name and namespace.
pub fn watch_all<K>(
    apis: Vec<Api<K>>,
    how: &watcher::Config,
    remember: fn(&K) -> K,
) -> BoxStream<'static, watcher::Result<Event<K>>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut streams: Vec<_> = apis
        .into_iter()
        .map(|api| watch(api, how.clone()).backoff(pauses()).boxed())
        .collect();
    match streams.pop() {
        Some(only) if streams.is_empty() => only,
        last => {
            streams.extend(last);
            merge(streams, remember).boxed()
        }
    }
}

fn merge<K>(
    streams: Vec<BoxStream<'static, watcher::Result<Event<K>>>>,
    remember: fn(&K) -> K,
) -> impl Stream<Item = watcher::Result<Event<K>>>
where
    K: Resource<DynamicType = ()> + Send + 'static,
{
    let mut parts: Vec<_> = streams.iter().map(|_| Part::default()).collect();
    let numbered = streams.into_iter().enumerate();
    let numbered = numbered.map(|(number, stream)| stream.map(move |event| (number, event)));
    stream::select_all(numbered).flat_map(move |(number, event)| {
        let events = match event {
            Ok(event) => take_in(&mut parts, number, event, remember),
            Err(error) => {
                // A namespace that is gone, or closed to us, must not keep all the others waiting.
                let mut events = Vec::new();
                if is_forbidden(&error) && !parts[number].listed {
                    events = take_in(&mut parts, number, Event::InitDone, remember);
                }
                events.insert(0, Err(error));
                events
            }
        };
        stream::iter(events)
    })
}

/// What is known of one namespace.
struct Part<K> {
    /// Whether its first list is in.
    listed: bool,
    /// The objects of the first list, until those of all namespaces are in.
    first: HashMap<Key, K>,
    known: HashMap<Key, K>,
    /// What a list that began anew has brought.
    fresh: HashSet<Key>,
}

impl<K> Default for Part<K> {
    fn default() -> Self {
        Self {
            listed: false,
            first: HashMap::new(),
            known: HashMap::new(),
            fresh: HashSet::new(),
        }
    }
}

/// What an event of one namespace means for all of them: first one list of everything; then, where a list begins anew, what differs.
fn take_in<K: Resource<DynamicType = ()>>(
    parts: &mut [Part<K>],
    number: usize,
    event: Event<K>,
    remember: fn(&K) -> K,
) -> Vec<watcher::Result<Event<K>>> {
    let all_listed = parts.iter().all(|part| part.listed);
    let part = &mut parts[number];
    let key = |object: &K| Key::of(object.meta());
    if !all_listed {
        match event {
            Event::Init => part.first.clear(),
            Event::InitApply(object) | Event::Apply(object) => {
                part.first.insert(key(&object), object);
            }
            Event::Delete(object) => {
                part.first.remove(&key(&object));
            }
            Event::InitDone => {
                part.listed = true;
                return first_list(parts, remember);
            }
        }
        return Vec::new();
    }
    match event {
        Event::Init => part.fresh.clear(),
        Event::InitApply(object) => {
            part.fresh.insert(key(&object));
            part.known.insert(key(&object), remember(&object));
            return vec![Ok(Event::Apply(object))];
        }
        Event::InitDone => {
            let fresh = mem::take(&mut part.fresh);
            let gone = part.known.extract_if(|key, _| !fresh.contains(key));
            return gone.map(|(_, object)| Ok(Event::Delete(object))).collect();
        }
        Event::Apply(object) => {
            part.known.insert(key(&object), remember(&object));
            return vec![Ok(Event::Apply(object))];
        }
        Event::Delete(object) => {
            part.known.remove(&key(&object));
            return vec![Ok(Event::Delete(object))];
        }
    }
    Vec::new()
}

/// The list of everything, once every namespace has brought its own.
fn first_list<K>(parts: &mut [Part<K>], remember: fn(&K) -> K) -> Vec<watcher::Result<Event<K>>> {
    if !parts.iter().all(|part| part.listed) {
        return Vec::new();
    }
    let mut events = vec![Ok(Event::Init)];
    for part in parts {
        for (key, object) in mem::take(&mut part.first) {
            part.known.insert(key, remember(&object));
            events.push(Ok(Event::InitApply(object)));
        }
    }
    events.push(Ok(Event::InitDone));
    events
}

fn is_forbidden(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 403)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ServiceAccount;
    use kube::core::{ObjectMeta, PartialObjectMeta};

    use super::*;

    type Meta = PartialObjectMeta<ServiceAccount>;

    fn object(namespace: &str, name: &str) -> Meta {
        Meta {
            metadata: ObjectMeta {
                namespace: Some(namespace.into()),
                name: Some(name.into()),
                ..ObjectMeta::default()
            },
            ..Meta::default()
        }
    }

    /// What comes of the events, in words.
    fn told(parts: &mut [Part<Meta>], number: usize, event: Event<Meta>) -> Vec<String> {
        let events = take_in(parts, number, event, Meta::clone);
        let mut words: Vec<_> = events
            .into_iter()
            .map(|event| match event.unwrap() {
                Event::Init => "init".to_owned(),
                Event::InitDone => "done".to_owned(),
                Event::InitApply(object) => format!("list {}", object.metadata.name.unwrap()),
                Event::Apply(object) => format!("put {}", object.metadata.name.unwrap()),
                Event::Delete(object) => format!("gone {}", object.metadata.name.unwrap()),
            })
            .collect();
        words.sort();
        words
    }

    #[test]
    fn all_first_lists_are_one_and_a_later_list_of_one_namespace_tells_what_went_there() {
        let mut parts = [Part::default(), Part::default()];
        let nothing = Vec::<String>::new();
        assert_eq!(told(&mut parts, 0, Event::Init), nothing);
        assert_eq!(
            told(&mut parts, 0, Event::InitApply(object("a", "one"))),
            nothing
        );
        assert_eq!(told(&mut parts, 0, Event::InitDone), nothing);
        assert_eq!(
            told(&mut parts, 0, Event::Apply(object("a", "two"))),
            nothing
        );
        told(&mut parts, 1, Event::Init);
        told(&mut parts, 1, Event::InitApply(object("b", "three")));
        assert_eq!(
            told(&mut parts, 1, Event::InitDone),
            ["done", "init", "list one", "list three", "list two"]
        );

        assert_eq!(told(&mut parts, 0, Event::Init), nothing);
        assert_eq!(
            told(&mut parts, 0, Event::InitApply(object("a", "two"))),
            ["put two"]
        );
        assert_eq!(told(&mut parts, 0, Event::InitDone), ["gone one"]);
        let three = object("b", "three");
        assert_eq!(
            told(&mut parts, 1, Event::Delete(three)),
            ["gone three"],
            "what is in the other namespace is still known"
        );
    }
}
