//! From values to text: the same values always give the same bytes.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{ServerConfig, env::merge};

/// The configuration as one flat JSON document with sorted keys and a line feed at the end. Only what was set is
/// in it. Secrets written out in a file appear redacted.
#[must_use]
pub fn render(config: &ServerConfig) -> String {
    let mut text = format!("{:#}", document(config));
    text.push('\n');
    text
}

/// The same as YAML.
#[must_use]
pub fn render_yaml(config: &ServerConfig) -> String {
    serde_saphyr::to_string(&document(config)).expect("JSON can be written as YAML")
}

fn document(config: &ServerConfig) -> Value {
    let mut document = as_value(&config.service);
    merge(&mut document, as_value(&config.process));
    sorted(document)
}

/// SHA-256 of a rendered configuration, in hexadecimal.
#[must_use]
pub fn config_hash(rendered: &str) -> String {
    sha256(rendered)
}

/// SHA-256 of a text, in hexadecimal: what the file of keys holds of a key.
#[must_use]
pub fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Configurations hold nothing that JSON cannot: maps have string keys, numbers are whole.
fn as_value<T: serde::Serialize>(part: &T) -> Value {
    serde_json::to_value(part).expect("a configuration is JSON")
}

/// Sorts keys at every depth, whether or not some crate in the build made maps keep their order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Duration, HttpProcess, Performance, Tool};

    fn example() -> ServerConfig {
        let mut config = ServerConfig::default();
        config.service.server_name = Some("hello".into());
        config.service.performance =
            Performance { request_timeout: Some(Duration::from_secs(5)), ..Performance::default() };
        config.service.tools =
            vec![Tool { name: "greet".into(), text: Some("Hello".into()), ..Tool::default() }];
        config.process.http = HttpProcess { address: Some("0.0.0.0:8080".into()), ..HttpProcess::default() };
        config
    }

    #[test]
    fn only_what_was_set_in_sorted_order() {
        insta::assert_snapshot!(render(&example()), @r#"
        {
          "http": {
            "address": "0.0.0.0:8080"
          },
          "performance": {
            "requestTimeout": "5s"
          },
          "serverName": "hello",
          "tools": [
            {
              "name": "greet",
              "text": "Hello"
            }
          ]
        }
        "#);
        assert_eq!(render(&ServerConfig::default()), "{}\n");
    }

    #[test]
    fn yaml_says_the_same() {
        let mut config = example();
        config.service.rate_limit.mode = Some(crate::RateLimitMode::Off);
        config.service.server_version = Some("1.0".into());
        let text = render_yaml(&config);
        // Others read an Off without quotes as false.
        assert!(text.contains("mode: \"Off\"") || text.contains("mode: 'Off'"), "{text}");
        let again = crate::load(&crate::Origin { name: "a.yaml".into(), text }, []).unwrap();
        assert_eq!(again.config, config);
    }

    #[test]
    fn a_thousand_renderings_have_one_hash() {
        let first = config_hash(&render(&example()));
        assert!((0..1000).all(|_| config_hash(&render(&example())) == first));
        assert_eq!(first.len(), 64);
    }
}
