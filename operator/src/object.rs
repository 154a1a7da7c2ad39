//! An object as the API server sends it, and the one way from there to a type.
//!
//! Code that reads a type of Kubernetes has a piece for each of its hundreds of fields, and the compiler makes it anew for each form
//! that the type is read from: the bytes of an answer, the buffered part of a watch event, YAML. So what is watched, applied or
//! rendered is read into a [`Value`] first, and [`Object::read`] alone makes types of values: a fifth of the program is saved, and one
//! watch and one patch serve every kind. It also keeps an object that cannot be read from ending the watch of all others.

use std::borrow::Cow;

use k8s_openapi::NamespaceResourceScope;
use kube::api::ApiResource;
use kube::core::error_boundary::InvalidObject;
use kube::core::{DynamicResourceScope, ObjectMeta};
use kube::{Api, Client, Resource};
use mcp_server_config::load::plainly;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// What `kubectl apply` without `--server-side` leaves on objects: a second copy of them.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of any kind.
#[derive(Clone, Debug)]
pub struct Object {
    /// Without what nobody here reads, and what makes up half of many an object: `managedFields` and kubectl's copy.
    metadata: ObjectMeta,
    /// Everything else.
    content: Map<String, Value>,
}

/// The API of a kind in one namespace, or in the whole cluster.
pub fn api<K>(client: Client, namespace: Option<&str>) -> Api<Object>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let kind = ApiResource::erase::<K>(&());
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    }
}

impl Object {
    /// Its `apiVersion` and `kind`, where it says them: the items of a list do not.
    pub fn types(&self) -> (Option<&str>, Option<&str>) {
        let text = |key: &str| self.content.get(key).and_then(Value::as_str);
        (text("apiVersion"), text("kind"))
    }

    /// The object as a type.
    ///
    /// # Errors
    /// A field has not the type that it should have, or is missing: which one, and the metadata, which can always be read.
    pub fn read<K: Resource + DeserializeOwned>(self) -> Result<K, Box<InvalidObject>> {
        let Self { metadata, mut content } = self;
        content.insert("metadata".to_owned(), Value::Object(Map::new()));
        match serde_path_to_error::deserialize::<_, K>(Value::Object(content)) {
            Ok(mut object) => {
                *object.meta_mut() = metadata;
                Ok(object)
            }
            Err(error) => {
                // Without the value: an object may be a Secret, or hold one in the wrong place.
                let error = format!("{}: {}", error.path(), plainly(&error.inner().to_string()));
                Err(Box::new(InvalidObject { error, metadata }))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut content = Map::deserialize(deserializer)?;
        let mut metadata = content.remove("metadata").unwrap_or_else(|| Value::Object(Map::new()));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.remove("managedFields");
            metadata.remove("selfLink");
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
        let metadata = serde_json::from_value(metadata)
            .map_err(|error| D::Error::custom(format_args!("metadata: {}", plainly(&error.to_string()))))?;
        Ok(Self { metadata, content })
    }
}

impl Resource for Object {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(kind: &ApiResource) -> Cow<'_, str> {
        kind.kind.as_str().into()
    }

    fn group(kind: &ApiResource) -> Cow<'_, str> {
        kind.group.as_str().into()
    }

    fn version(kind: &ApiResource) -> Cow<'_, str> {
        kind.version.as_str().into()
    }

    fn plural(kind: &ApiResource) -> Cow<'_, str> {
        kind.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use mcp_crds::v1alpha1::McpServer;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_object_becomes_its_type_without_what_nobody_reads() {
        let deployment: Deployment = object(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "a", "annotations": {"a": "v", LAST_APPLIED: "{}"}, "managedFields": [{"manager": "kubectl"}]
            },
            "spec": {"replicas": 2, "selector": {}, "template": {}}
        }))
        .read()
        .unwrap();
        assert_eq!(deployment.metadata.name.as_deref(), Some("a"));
        assert_eq!(deployment.metadata.annotations, Some([("a".to_owned(), "v".to_owned())].into()));
        assert_eq!(deployment.metadata.managed_fields, None);
        assert_eq!(deployment.spec.unwrap().replicas, Some(2));
    }

    #[test]
    fn one_that_cannot_be_read_says_where_and_keeps_its_name() {
        let object = object(json!({
            "metadata": {"name": "a", "namespace": "shop"},
            "spec": {"config": {"tools": [{"name": 5}]}}
        }));
        assert_eq!(object.meta().name.as_deref(), Some("a"));
        let error = object.read::<McpServer>().unwrap_err().to_string();
        assert_eq!(error, "spec.config.tools[0].name: is a number, not a text");
    }
}
