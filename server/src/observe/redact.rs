//! Arguments of calls, as far as the log may show them.

use mcp_server_config::LoggedArguments;
use mcp_server_config::secret::REDACTED;
use serde_json::{Map, Value};

use crate::observe::logs::escape;
use crate::observe::scrub;

/// Longer arguments are only measured: a line of the log is no place for a file.
const LONGEST: usize = 16 * 1024;
/// Longer ones are not even looked at.
const LONGEST_READ: usize = 256 * 1024;
/// Characters of one text.
const LONGEST_TEXT: usize = 256;
/// Members of one list or object.
const MOST_MEMBERS: usize = 64;

/// Words that make a member secret, alone or among others: `apiKey`, `access_token`, `DB-PASSWORD`.
const SECRET_WORDS: [&str; 16] = [
    "auth",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "cvv",
    "jwt",
    "key",
    "keys",
    "otp",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "pwd",
    "ssn",
];
/// The same, wherever they stand in a name.
const SECRET_PARTS: [&str; 6] = ["secret", "token", "password", "passwd", "apikey", "credential"];

/// The arguments as JSON for the log; none where the log is not to have them.
#[must_use]
pub fn arguments(raw: &str, policy: LoggedArguments) -> Option<String> {
    match policy {
        LoggedArguments::Omit => None,
        LoggedArguments::Full if raw.len() <= LONGEST => Some(without_known(raw)),
        LoggedArguments::Redact if raw.len() <= LONGEST_READ => {
            let Ok(mut value) = serde_json::from_str(raw) else { return Some(measured(raw)) };
            redact(&mut value);
            let shown = value.to_string();
            Some(if shown.len() <= LONGEST { shown } else { measured(raw) })
        }
        LoggedArguments::Full | LoggedArguments::Redact => Some(measured(raw)),
    }
}

/// The server's own secrets are nobody's arguments.
fn without_known(raw: &str) -> String {
    let cleaned = scrub::clean(raw);
    let one_line = cleaned.replace(['\n', '\r'], " ");
    if serde_json::from_str::<serde::de::IgnoredAny>(&one_line).is_ok() {
        return one_line;
    }
    let mut text = String::new();
    escape::json(&cleaned, &mut text);
    text
}

fn measured(raw: &str) -> String {
    format!("\"[{} bytes]\"", raw.len())
}

fn redact(value: &mut Value) {
    match value {
        Value::String(text) => shorten(text),
        Value::Array(items) => {
            let more = items.len().saturating_sub(MOST_MEMBERS);
            items.truncate(MOST_MEMBERS);
            items.iter_mut().for_each(redact);
            if more > 0 {
                items.push(format!("[{more} more]").into());
            }
        }
        Value::Object(members) => redact_members(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redact_members(members: &mut Map<String, Value>) {
    let more = members.len().saturating_sub(MOST_MEMBERS);
    let all = std::mem::take(members);
    for (mut name, mut value) in all.into_iter().take(MOST_MEMBERS) {
        if is_secret(&name) {
            value = REDACTED.into();
        } else {
            redact(&mut value);
        }
        // A name is the caller's word, too.
        shorten(&mut name);
        members.insert(name, value);
    }
    if more > 0 {
        members.insert(format!("[{more} more]"), Value::Null);
    }
}

fn shorten(text: &mut String) {
    // Cut after, so that no half of a secret is left.
    let cleaned = scrub::clean(text).into_owned();
    *text = match cleaned.char_indices().nth(LONGEST_TEXT) {
        Some((at, _)) => format!("{}… [{} bytes]", &cleaned[..at], text.len()),
        None => cleaned,
    };
}

/// Whether the name of a member says that its value is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let lower: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    SECRET_PARTS.iter().any(|part| lower.contains(part))
        || words(name).any(|word| SECRET_WORDS.contains(&&*word))
}

/// The words of a name, in small letters: `dbPassword`, `DB_PASSWORD` and `db-password` have the same.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut before_is_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before_is_small) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before_is_small = c.is_lowercase() || c.is_numeric();
    }
    words.into_iter().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_secrets() {
        for name in [
            "password",
            "dbPassword",
            "DB_PASSWORD",
            "newPasswordAgain",
            "token",
            "accessToken",
            "tokens",
            "api_key",
            "apiKey",
            "APIKEY",
            "key",
            "privateKey",
            "Authorization",
            "x-auth",
            "client_secret",
            "secrets",
            "pin",
            "cookie",
            "credentials",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["name", "keyboard", "monkey", "spinner", "author", "text", "passage", "url", ""] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn redacts_by_name_and_by_look_and_cuts() {
        let raw = json!({
            "user": "ada",
            "password": {"deep": ["p"]},
            "nested": [{"apiKey": 7, "n": 1.5}],
            "note": "call https://u:p@host with Bearer abc123def456",
            "long": "ä".repeat(300),
            "list": (0..70).collect::<Vec<_>>(),
        });
        let shown = arguments(&raw.to_string(), LoggedArguments::Redact).unwrap();
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["user"], "ada");
        assert_eq!(shown["password"], REDACTED);
        assert_eq!(shown["nested"], json!([{"apiKey": REDACTED, "n": 1.5}]));
        assert_eq!(shown["note"], "call https://[redacted]@host with Bearer [redacted]");
        assert_eq!(shown["long"], "ä".repeat(256) + "… [600 bytes]");
        assert_eq!(shown["list"][64], "[6 more]");
    }

    #[test]
    fn large_ones_are_measured_and_full_ones_stay() {
        let large = json!({"a": "x".repeat(20_000)}).to_string();
        let measured = format!("\"[{} bytes]\"", large.len());
        assert_eq!(arguments(&large, LoggedArguments::Full), Some(measured));
        assert!(arguments(&large, LoggedArguments::Redact).unwrap().contains("… [20000 bytes]"));
        let raw = r#"{"n": 12345678901234567890123, "password": "p"}"#;
        assert_eq!(arguments(raw, LoggedArguments::Full).as_deref(), Some(raw));
        assert_eq!(arguments(raw, LoggedArguments::Omit), None);
    }

    #[test]
    fn a_secret_of_the_server_shows_under_no_policy() {
        scrub::learn("redact-canary");
        for policy in [LoggedArguments::Full, LoggedArguments::Redact] {
            let shown = arguments(r#"{"a":"x redact-canary y","redact-canary":1}"#, policy).unwrap();
            assert!(!shown.contains("canary"), "{shown}");
            assert!(serde_json::from_str::<Value>(&shown).is_ok());
        }
    }
}
