//! Reading `deployment.json`. Only the environment that is asked for is checked; a mistake in another one is for its day.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Environment, Error, Target};
use crate::output::note;

const COMPOSE: &str = "docker-compose";
const KUBERNETES: &str = "kubernetes";
/// What an environment's `type` may be.
const TYPES: [&str; 2] = [COMPOSE, KUBERNETES];

/// The namespace of an environment that names none, as kubectl has it.
const DEFAULT_NAMESPACE: &str = "default";

pub(super) fn parse(text: &str, file: &Path, name: &str) -> Result<Environment, Error> {
    // Some editors put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document: Value = serde_json::from_str(text).map_err(|error| Error::Syntax {
        file: file.to_owned(),
        line: error.line(),
        column: error.column(),
        problem: without_place(&error.to_string()),
    })?;
    let place = Place { file, path: String::new() };
    let root = document.as_object().ok_or_else(|| {
        place.field("the document").error("must be an object: {\"environments\": {NAME: {…}}}")
    })?;
    warn_of_unknown(&place, root, &["environments"]);
    let place = place.field("environments");
    let environments = match root.get("environments") {
        Some(Value::Object(environments)) => environments,
        Some(_) => return Err(place.error("must be an object: {NAME: {\"type\": …, \"config_file\": …}}")),
        None => {
            return Err(place.error("is missing; declare {NAME: {\"type\": …, \"config_file\": …}} there"));
        }
    };
    let Some(entry) = environments.get(name) else {
        return Err(Error::Unknown {
            name: name.to_owned(),
            file: file.to_owned(),
            known_names: environments.keys().cloned().collect(),
        });
    };
    environment(name, entry, &place.field(name))
}

fn environment(name: &str, entry: &Value, place: &Place<'_>) -> Result<Environment, Error> {
    let entry = entry
        .as_object()
        .ok_or_else(|| place.error("must be an object: {\"type\": …, \"config_file\": …}"))?;
    let types = TYPES.join(" or ");
    let kind = string(entry, "type", place)?
        .ok_or_else(|| place.field("type").error(&format!("is missing; write {types}")))?;
    let config_file = string(entry, "config_file", place)?.ok_or_else(|| {
        place.field("config_file").error("is missing; name the Compose file or the manifest to deploy")
    })?;
    let (target, fields): (_, &[_]) = match kind {
        COMPOSE => (Target::Compose, &["type", "config_file"]),
        KUBERNETES => {
            let namespace = string(entry, "namespace", place)?.unwrap_or(DEFAULT_NAMESPACE);
            if !is_label(namespace) {
                let problem = "must be the name of a namespace: up to 63 lower-case letters, digits and '-', beginning and ending with a letter or digit";
                return Err(place.field("namespace").error(problem));
            }
            let context = string(entry, "context", place)?.map(str::to_owned);
            let target = Target::Kubernetes { namespace: namespace.to_owned(), context };
            (target, &["type", "config_file", "namespace", "context"])
        }
        _ => return Err(place.field("type").error(&format!("{kind:?} is unknown; write {types}"))),
    };
    warn_of_unknown(place, entry, fields);
    Ok(Environment { name: name.to_owned(), config_file: PathBuf::from(config_file), target })
}

/// Where in the file something is.
struct Place<'a> {
    file: &'a Path,
    path: String,
}

impl Place<'_> {
    fn field(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { file: self.file, path }
    }

    fn error(&self, problem: &str) -> Error {
        Error::Field { file: self.file.to_owned(), path: self.path.clone(), problem: problem.to_owned() }
    }
}

/// A field that is a text with something in it, or absent.
fn string<'a>(
    entry: &'a Map<String, Value>,
    name: &str,
    place: &Place<'_>,
) -> Result<Option<&'a str>, Error> {
    match entry.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        Some(Value::String(_)) => Err(place.field(name).error("is empty; give it a value, or remove it")),
        Some(_) => Err(place.field(name).error("must be a string")),
    }
}

fn warn_of_unknown(place: &Place<'_>, object: &Map<String, Value>, known: &[&str]) {
    for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
        let path = place.field(name).path;
        note(&format!(
            "warning: {}: {path} has no effect here; known are {}",
            place.file.display(),
            known.join(", ")
        ));
    }
}

/// RFC 1123 labels, which names of namespaces are.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 63 && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// The message of `serde_json` without the line and the column at its end.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(problem, _)| problem).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, name: &str) -> Result<Environment, String> {
        parse(text, Path::new("d.json"), name).map_err(|error| error.to_string())
    }

    #[test]
    fn the_classic_file_is_read() {
        let text = r#"{"environments": {
            "production": {"type": "docker-compose", "config_file": "docker-compose.yml"},
            "k8s": {"type": "kubernetes", "config_file": "k8s/deployment.yaml", "namespace": "mcp-production"},
            "bare": {"type": "kubernetes", "config_file": "x.yaml", "context": "kind-x"}}}"#;
        let file = |file: &str| PathBuf::from(file);
        assert_eq!(
            read(text, "production"),
            Ok(Environment {
                name: "production".into(),
                config_file: file("docker-compose.yml"),
                target: Target::Compose
            })
        );
        let kubernetes = |namespace: &str, context: Option<&str>| Target::Kubernetes {
            namespace: namespace.into(),
            context: context.map(Into::into),
        };
        let k8s = read(text, "k8s").unwrap();
        assert_eq!(
            (k8s.config_file, k8s.target),
            (file("k8s/deployment.yaml"), kubernetes("mcp-production", None))
        );
        assert_eq!(read(text, "bare").unwrap().target, kubernetes("default", Some("kind-x")));
        assert!(read(&format!("\u{feff}{text}"), "k8s").is_ok());
    }

    #[test]
    fn each_mistake_is_named_with_its_place_and_the_next_step() {
        let cases = [
            ("", "d.json:1:0 is not JSON: EOF while parsing a value; correct that line"),
            (
                "{\n  \"environments\": {,}}",
                "d.json:2:20 is not JSON: key must be a string; correct that line",
            ),
            ("[]", "d.json: the document must be an object: {\"environments\": {NAME: {…}}}"),
            (
                "{}",
                "d.json: environments is missing; declare {NAME: {\"type\": …, \"config_file\": …}} there",
            ),
            (
                r#"{"environments": []}"#,
                "d.json: environments must be an object: {NAME: {\"type\": …, \"config_file\": …}}",
            ),
            (r#"{"environments": {}}"#, "the environment e is unknown; d.json declares none"),
            (r#"{"environments": {"b": {}, "a": 1}}"#, "the environment e is unknown; d.json declares a, b"),
            (
                r#"{"environments": {"e": 1}}"#,
                "d.json: environments.e must be an object: {\"type\": …, \"config_file\": …}",
            ),
            (
                r#"{"environments": {"e": {}}}"#,
                "d.json: environments.e.type is missing; write docker-compose or kubernetes",
            ),
            (
                r#"{"environments": {"e": {"type": "helm", "config_file": "x"}}}"#,
                "d.json: environments.e.type \"helm\" is unknown; write docker-compose or kubernetes",
            ),
            (r#"{"environments": {"e": {"type": 1}}}"#, "d.json: environments.e.type must be a string"),
            (
                r#"{"environments": {"e": {"type": "kubernetes"}}}"#,
                "d.json: environments.e.config_file is missing; name the Compose file or the manifest to deploy",
            ),
            (
                r#"{"environments": {"e": {"type": "kubernetes", "config_file": " "}}}"#,
                "d.json: environments.e.config_file is empty; give it a value, or remove it",
            ),
            (
                r#"{"environments": {"e": {"type": "kubernetes", "config_file": "x", "namespace": "A_b"}}}"#,
                "d.json: environments.e.namespace must be the name of a namespace: up to 63 lower-case letters, digits and '-', beginning and ending with a letter or digit",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, "e").unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_in_another_environment_does_not_matter() {
        let text =
            r#"{"environments": {"bad": {"type": 1}, "e": {"type": "docker-compose", "config_file": "x"}}}"#;
        assert!(read(text, "e").is_ok());
    }
}
