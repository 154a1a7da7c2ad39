//! Secrets that a manifest refers to. Outside a cluster there are none but those that stand beside it in the same file.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::{AuthMode, Literal, Path, SecretRef, ServerConfig, Violation};

/// Texts by the name of their Secret and their key in it.
pub(super) type Secrets = BTreeMap<(String, String), String>;

/// Adds what a document holds, if it is a Secret. What of it is no text is nothing for a configuration.
pub(super) fn learn(document: &Value, secrets: &mut Secrets) {
    if document["kind"] != "Secret" || document["apiVersion"] != "v1" {
        return;
    }
    let Some(name) = document["metadata"]["name"].as_str() else { return };
    let entries = |member: &str| document[member].as_object().into_iter().flatten().collect::<Vec<_>>();
    let mut add = |key: &str, text: String| secrets.insert((name.to_owned(), key.to_owned()), text);
    for (key, value) in entries("data") {
        let bytes = value.as_str().and_then(|text| BASE64_STANDARD.decode(text.trim()).ok());
        if let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
            add(key, text);
        }
    }
    // As in a cluster, what is written plainly counts more.
    for (key, value) in entries("stringData") {
        if let Some(text) = value.as_str() {
            add(key, text.to_owned());
        }
    }
}

/// Puts the secrets in place that are there; what comes back are warnings of the others.
pub(super) fn follow(config: &mut ServerConfig, secrets: &Secrets) -> Vec<String> {
    let mut notes = Vec::new();
    let required = config.service.auth.mode() == AuthMode::Required && config.process.auth.api_key.is_none();
    for (path, secret) in config.service.secrets_mut() {
        let Some(reference) = &secret.secret_key_ref else { continue };
        match secrets.get(&(reference.name.clone(), reference.key.clone())) {
            Some(text) => {
                *secret = SecretRef { value: Some(Literal::new(text.as_str())), ..SecretRef::default() };
            }
            None => {
                let instead = match required && path == Path::of("auth.apiKeys") {
                    true => "a generated key is used instead",
                    false => "put the Secret into the same file",
                };
                let name = &reference.name;
                notes.push(format!("{path}: Secret {name} is not readable outside a cluster; {instead}"));
            }
        }
    }
    notes
}

/// References that only a resource may have, in a file that is none.
pub(super) fn misplaced(config: &mut ServerConfig) -> Vec<Violation> {
    let ServerConfig { service, process } = config;
    let of_process = process.auth.api_key.as_mut().map(|key| (Path::of("auth.apiKey"), key));
    let places = service.secrets_mut().into_iter().chain(of_process);
    let misplaced = places.filter(|(_, secret)| secret.secret_key_ref.is_some());
    let message = "only a resource can refer to a Secret of a cluster; in a file, set file or env";
    misplaced
        .map(|(path, _)| Violation { path: path.key("secretKeyRef"), message: message.to_owned() })
        .collect()
}
