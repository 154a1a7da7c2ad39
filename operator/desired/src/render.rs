//! Children as YAML, for `mcp-operator render`.

use serde::Serialize;

use crate::Objects;

/// The children as a stream of YAML documents, in the order in which they are applied. The generated key is not
/// in it: it is made when the Secret is.
#[must_use]
pub fn to_yaml(objects: &Objects) -> String {
    let Objects { service_account, config_map, api_key, service, deployment } = objects;
    let mut text = String::new();
    if let Some(service_account) = service_account {
        document(&mut text, service_account);
    }
    document(&mut text, config_map);
    if let Some(api_key) = api_key {
        text.push_str("---\n# Secret ");
        text.push_str(api_key.name());
        text.push_str(": created once with a random key, and never read or written again.\n");
    }
    document(&mut text, service);
    document(&mut text, deployment);
    text
}

fn document(text: &mut String, object: &impl Serialize) {
    text.push_str("---\n");
    // By way of a value, for which alone the code that writes YAML then has to be there.
    let object = serde_json::to_value(object).expect("an object is JSON");
    text.push_str(&serde_saphyr::to_string(&object).expect("JSON can be written as YAML"));
}
