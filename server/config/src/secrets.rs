//! Every place in a service's configuration that refers to a secret.

use crate::{Path, SecretRef, ServiceConfig};

impl ServiceConfig {
    /// All references to secrets that are set, each with its path. The operator turns them into mounted files: one that
    /// is missing here would never reach a pod, so a test holds this list against the schema.
    pub fn secrets_mut(&mut self) -> Vec<(Path, &mut SecretRef)> {
        let mut found = Vec::new();
        let mut add = |path: Path, secret| found.push((path, secret));
        let introspection = self.auth.oauth2.as_mut().and_then(|oauth2| oauth2.introspection.as_mut());
        let single = [
            ("auth.apiKeys", self.auth.api_keys.as_mut()),
            (
                "auth.oauth2.introspection.clientSecret",
                introspection.and_then(|asked| asked.client_secret.as_mut()),
            ),
            ("redis.url", self.redis.url.as_mut()),
            ("redis.ca", self.redis.ca.as_mut()),
        ];
        for (path, secret) in single {
            if let Some(secret) = secret {
                add(Path::of(path), secret);
            }
        }
        for (index, key) in self.state_keys.iter_mut().enumerate() {
            add(Path::of("stateKeys").index(index), key);
        }
        let headers = self.metrics.otlp.iter_mut().flat_map(|otlp| &mut otlp.headers).enumerate();
        for (index, header) in headers {
            add(Path::of("metrics.otlp.headers").index(index).key("value"), &mut header.value);
        }
        for (tool, declared) in self.tools.iter_mut().enumerate() {
            let headers = declared.http.iter_mut().flat_map(|http| &mut http.headers).enumerate();
            for (header, declared) in headers {
                if let Some(secret) = &mut declared.secret {
                    let path = Path::of("tools").index(tool).key("http").key("headers").index(header);
                    add(path.key("secret"), secret);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use crate::{Path, ServiceConfig, path::Segment};

    /// Paths in the schema whose value is `{secretKeyRef: …}`, with `[]` for items.
    fn of_schema(schema: &Value, definitions: &Value, path: &str, found: &mut BTreeSet<String>) {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
            return of_schema(&definitions[name], definitions, path, found);
        }
        if schema["required"] == json!(["secretKeyRef"]) {
            found.insert(path.to_owned());
            return;
        }
        for kind in ["anyOf", "allOf", "oneOf"] {
            for part in schema[kind].as_array().into_iter().flatten() {
                of_schema(part, definitions, path, found);
            }
        }
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            of_schema(property, definitions, &below, found);
        }
        if schema["items"].is_object() {
            of_schema(&schema["items"], definitions, &format!("{path}[]"), found);
        }
    }

    fn pattern(path: &Path) -> String {
        path.segments().iter().fold(String::new(), |text, segment| match segment {
            Segment::Index(_) => text + "[]",
            Segment::Key(key) if text.is_empty() => key.clone(),
            Segment::Key(key) => text + "." + key,
        })
    }

    #[test]
    fn no_secret_of_the_schema_is_forgotten() {
        let schema = serde_json::to_value(schemars::schema_for!(ServiceConfig)).unwrap();
        let mut wanted = BTreeSet::new();
        of_schema(&schema, &schema["$defs"], "", &mut wanted);
        let secret = json!({"secretKeyRef": {"name": "s", "key": "k"}});
        let mut config: ServiceConfig = serde_json::from_value(json!({
            "auth": {"apiKeys": secret, "oauth2": {"introspection": {"clientSecret": secret}}},
            "redis": {"url": secret, "ca": secret},
            "stateKeys": [secret],
            "tools": [{"name": "t", "http": {"url": "https://a.example/", "headers": [{"name": "x", "secret": secret}]}}],
            "metrics": {"otlp": {"endpoint": "http://collector", "headers": [{"name": "x", "value": secret}]}},
        }))
        .unwrap();
        let visited: BTreeSet<_> = config.secrets_mut().iter().map(|(path, _)| pattern(path)).collect();
        assert_eq!(visited, wanted);
    }
}
