//! An object as a watch brings it: read whole, or at least so far that it is known whose it is.
//!
//! One object that this program cannot read must not end the watch of all the others. And whatever no decision needs is dropped
//! while the text is read, so that a whole list is never in memory with it.

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::PartialObjectMeta;
use kube::core::error_boundary::InvalidObject;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An object without its `managedFields`, or why it cannot be read. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<Arc<K>, Arc<InvalidObject>>);

/// The text is read at once, and a second time only if that fails: most objects can be read, and watches bring many. It must
/// come from a text in memory, in which the object is not preceded by what says of which kind it is later on; the API server's
/// lists and events are such.
impl<'de, K: DeserializeOwned + Resource> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let error = match serde_json::from_str::<K>(text) {
            Ok(mut object) => {
                object.meta_mut().managed_fields = None;
                return Ok(Self(Ok(Arc::new(object))));
            }
            Err(error) => error.to_string(),
        };
        let PartialObjectMeta { mut metadata, .. } =
            serde_json::from_str::<PartialObjectMeta<K>>(text).map_err(D::Error::custom)?;
        metadata.managed_fields = None;
        // Where in the text it stands says nothing to a person, who sees another text.
        let error = match error.rsplit_once(" at line ") {
            Some((problem, _)) => problem.to_owned(),
            None => error,
        };
        Ok(Self(Err(Arc::new(InvalidObject { error, metadata }))))
    }
}

impl<K: Resource + Clone> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(invalid) => &invalid.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => Arc::make_mut(object).meta_mut(),
            Err(invalid) => &mut Arc::make_mut(invalid).metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ObjectList, WatchEvent};
    use serde_json::{Value, json};

    use super::*;
    use crate::api::VaultSecret;

    fn object(sources: &Value) -> Value {
        json!({
            "apiVersion": "vaultbridge.dev/v1alpha1",
            "kind": "VaultSecret",
            "metadata": {"name": "a", "namespace": "shop", "managedFields": [{"manager": "kubectl"}]},
            "spec": {"auth": {"role": "r"}, "sources": sources},
        })
    }

    fn good() -> Value {
        object(&json!([{"name": "a", "kv": {"path": "secret/a"}}]))
    }

    #[test]
    fn an_event_and_a_list_bring_objects_without_managed_fields() {
        let event = json!({"type": "ADDED", "object": good()});
        // The API server prints the type first; a map of ours would sort it behind.
        let text = format!(r#"{{"type":"ADDED","object":{}}}"#, event["object"]);
        let event: WatchEvent<Guarded<VaultSecret>> = serde_json::from_str(&text).unwrap();
        let WatchEvent::Added(Guarded(Ok(object))) = event else {
            panic!("{event:?}")
        };
        assert_eq!(object.spec.sources.len(), 1);
        assert_eq!(object.metadata.managed_fields, None);
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "7"}, "items": [good()]});
        let list: ObjectList<Guarded<VaultSecret>> =
            serde_json::from_str(&list.to_string()).unwrap();
        assert!(list.items[0].0.is_ok());
        assert_eq!(list.items[0].meta().managed_fields, None);
    }

    #[test]
    fn an_object_that_cannot_be_read_is_known_by_its_name_and_the_problem() {
        let text = object(&json!("not a list")).to_string();
        let read: Guarded<VaultSecret> = serde_json::from_str(&text).unwrap();
        assert_eq!(read.meta().name.as_deref(), Some("a"));
        let problem = read.0.unwrap_err().error.clone();
        assert!(
            problem.contains("expected a sequence") && !problem.contains("line"),
            "{problem}"
        );
    }
}
