//! The project, as Compose reads its file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::container::Container;

/// The resolved file: variables put in, defaults spelled out, paths absolute.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Project {
    pub(super) name: String,
    pub(super) config: Value,
}

impl Project {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let config: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let name = config.get("name").and_then(Value::as_str).ok_or("it has no name")?;
        if !config.get("services").is_some_and(Value::is_object) {
            return Err("it has no services".to_owned());
        }
        Ok(Self { name: name.to_owned(), config })
    }

    fn services(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.config["services"].as_object().into_iter().flatten()
    }

    /// The services of which at least one container is wanted.
    pub(super) fn wanted(&self) -> BTreeSet<String> {
        let is_scaled_away = |service: &Value| {
            [&service["scale"], &service["deploy"]["replicas"]]
                .into_iter()
                .any(|count| count.as_u64() == Some(0))
        };
        self.services()
            .filter(|(_, service)| !is_scaled_away(service))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Whether a service is to run until it is stopped, as its restart policy says. Without a policy it may end.
    pub(super) fn is_lasting(&self, service: &str) -> bool {
        let service = &self.config["services"][service];
        let policy = service["restart"].as_str().unwrap_or_default();
        matches!(policy, "always" | "unless-stopped")
            || service["deploy"]["restart_policy"]["condition"] == "any"
    }

    /// Whether a container is one of a job that has done its work.
    pub(super) fn is_done(&self, container: &Container) -> bool {
        container.ended_well() && !self.is_lasting(&container.service)
    }

    /// The same with the images given, and only the services that have one: nothing is built or pulled, and what these
    /// services wait for is among them.
    pub(super) fn pinned(&self, images: &BTreeMap<String, String>) -> Value {
        let mut config = self.config.clone();
        let Some(services) = config["services"].as_object_mut() else { return config };
        services.retain(|name, _| images.contains_key(name));
        for (name, service) in services.iter_mut() {
            if let (Some(service), Some(image)) = (service.as_object_mut(), images.get(name)) {
                service.remove("build");
                // It is resolved: what its profile is switched on by need not be set any more.
                service.remove("profiles");
                service.insert("image".to_owned(), image.clone().into());
                service.insert("pull_policy".to_owned(), "never".into());
                keep_dependencies(service, images);
            }
        }
        config
    }
}

fn keep_dependencies(service: &mut Map<String, Value>, kept: &BTreeMap<String, String>) {
    if let Some(dependencies) = service.get_mut("depends_on").and_then(Value::as_object_mut) {
        dependencies.retain(|name, _| kept.contains_key(name));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn project() -> Project {
        let config = json!({"name": "p", "services": {
            "a": {"build": {"context": "/x"}, "depends_on": {"b": {}, "c": {}}, "environment": {"K": "v"}},
            "b": {"image": "redis:8", "profiles": ["store"]},
            "c": {"image": "c", "deploy": {"replicas": 0}},
            "d": {"image": "d", "scale": 0}}});
        Project::parse(&config.to_string()).unwrap()
    }

    #[test]
    fn a_service_scaled_to_zero_is_not_waited_for() {
        assert_eq!(project().wanted(), ["a", "b"].map(str::to_owned).into());
    }

    #[test]
    fn what_ran_before_is_neither_built_nor_pulled_and_nothing_new_comes_with_it() {
        let images =
            [("a", "sha256:1"), ("b", "redis:8")].map(|(name, image)| (name.to_owned(), image.to_owned()));
        let pinned = project().pinned(&images.into());
        assert_eq!(
            pinned["services"],
            json!({
                "a": {"image": "sha256:1", "pull_policy": "never", "depends_on": {"b": {}}, "environment": {"K": "v"}},
                "b": {"image": "redis:8", "pull_policy": "never"}})
        );
        assert_eq!(pinned["name"], "p");
    }

    #[test]
    fn an_answer_without_services_is_refused() {
        for text in ["", "{}", r#"{"name": "p"}"#, r#"{"services": {}}"#] {
            assert!(Project::parse(text).is_err(), "{text}");
        }
    }
}
