//! What a running server cannot change: the one list of it.
//!
//! The server tells by it what waits for a restart, the operator restarts pods by it, and `print-config` shows it.

use serde_json::json;

use crate::{ServerConfig, config_hash};

/// A setting, and its value in force.
type Setting = (&'static str, fn(&ServerConfig) -> String);

/// The settings that take effect when the process starts, and not before.
const SETTINGS: [Setting; 4] = [
    ("http.address", |config| config.process.http.address().to_owned()),
    ("http.adminAddress", |config| config.process.http.admin_address().to_owned()),
    ("http.path", |config| config.process.http.path().to_owned()),
    ("http.maxConnections", |config| config.process.http.max_connections().to_string()),
];

/// The settings that take effect when the process starts, and not before.
pub fn restart_settings() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|(path, _)| *path)
}

/// What of a change has to wait for a restart. A default that is written out is no change.
#[must_use]
pub fn needs_restart(started: &ServerConfig, now: &ServerConfig) -> Vec<&'static str> {
    SETTINGS.iter().filter(|(_, value)| value(started) != value(now)).map(|(path, _)| *path).collect()
}

/// A hash of just those settings: what a pod has to be restarted for.
#[must_use]
pub fn restart_hash(config: &ServerConfig) -> String {
    let values = SETTINGS.map(|(path, value)| json!([path, value(config)]));
    config_hash(&json!(values).to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::{HttpProcess, Tool};

    #[test]
    fn a_tool_needs_no_restart_and_an_address_does() {
        let started = ServerConfig::default();
        let mut tool = started.clone();
        tool.service.tools = vec![Tool { name: "greet".into(), ..Tool::default() }];
        assert_eq!(needs_restart(&started, &tool), [""; 0]);
        assert_eq!(restart_hash(&tool), restart_hash(&started));
        let mut address = started.clone();
        address.process.http.address = Some("0.0.0.0:8081".into());
        assert_eq!(needs_restart(&started, &address), ["http.address"]);
        assert_ne!(restart_hash(&address), restart_hash(&started));
        address.process.http.address = Some(started.process.http.address().to_owned());
        assert_eq!(needs_restart(&started, &address), [""; 0]);
        assert_eq!(restart_hash(&address), restart_hash(&started));
    }

    #[test]
    fn everything_about_the_process_s_ports_is_in_the_list() {
        let http = HttpProcess {
            address: Some("127.0.0.1:1".into()),
            admin_address: Some("127.0.0.1:2".into()),
            path: Some("/other".into()),
            max_connections: Some(1),
            // A reload takes it up.
            address_hosts: None,
        };
        let Value::Object(fields) = serde_json::to_value(&http).expect("a configuration is JSON") else {
            panic!("a section is an object")
        };
        let fields: BTreeSet<_> = fields.keys().map(|key| format!("http.{key}")).collect();
        assert_eq!(restart_settings().map(str::to_owned).collect::<BTreeSet<_>>(), fields);
        let mut config = ServerConfig::default();
        config.process.http = http;
        assert_eq!(needs_restart(&ServerConfig::default(), &config), restart_settings().collect::<Vec<_>>());
    }
}
