//! What the engine says of a container.

use serde::Deserialize;
use serde_json::Value;

/// A container of the project, as `docker compose ps --format json` prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Container {
    #[serde(rename = "ID")]
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    pub(super) service: String,
    /// `running`, `restarting`, `exited`, …
    pub(super) state: String,
    /// `healthy`, `unhealthy`, `starting`; empty where the container has no health check.
    #[serde(default)]
    pub(super) health: String,
    #[serde(default)]
    pub(super) exit_code: i64,
    #[serde(default)]
    pub(super) image: String,
    /// For people: `Up 3 minutes (healthy)`.
    #[serde(default)]
    pub(super) status: String,
}

impl Container {
    pub(super) fn is_up(&self) -> bool {
        self.state == "running" && (self.health.is_empty() || self.health == "healthy")
    }

    /// Whether it ended well; that is fine for a service that is to end, such as a migration.
    pub(super) fn ended_well(&self) -> bool {
        self.state == "exited" && self.exit_code == 0
    }
}

/// Compose prints an object a line since 2.21, and an array before.
pub(super) fn parse(text: &str) -> Result<Vec<Container>, String> {
    let mut containers = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match value.map_err(|error| error.to_string())? {
            Value::Array(values) => containers.extend(values),
            value => containers.push(value),
        }
    }
    let containers = containers.into_iter().map(serde_json::from_value);
    containers.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"ID":"c1","Name":"p-a-1","Service":"a","State":"running","Health":"healthy","ExitCode":0,"Publishers":null}"#;

    #[test]
    fn both_forms_of_compose_are_read() {
        assert_eq!(parse(&format!("{ONE}\n{ONE}\n")).unwrap().len(), 2);
        assert_eq!(parse(&format!("[{ONE}]")).unwrap(), parse(ONE).unwrap());
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(parse("[]").unwrap(), []);
        assert!(parse("{\"ID\": 1}").is_err());
        assert!(parse("<html>").is_err());
    }
}
