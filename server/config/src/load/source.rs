//! A text taken apart, so that messages can point into it.

use serde_json::Value;
use serde_saphyr::Error as YamlError;

use super::excerpt::excerpt;
use super::wording::plainly;
use super::{LoadError, Origin, Problem, UnknownKey, bare, nearest, referred};
use crate::locate::{Node, Position};
use crate::path::Segment;
use crate::{Path, Violation, compat};

/// A text that has been taken apart, with what is needed to point into it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) lines: Vec<String>,
    json: bool,
    tree: Option<Node>,
    /// Where the configuration begins: `spec.config` in a manifest.
    base: Path,
    pub(super) config: Value,
    pub(super) resource_name: Option<String>,
    /// What the Secrets beside a manifest hold.
    pub(super) secrets: referred::Secrets,
    pub(super) renamed: Vec<(Path, Path)>,
    /// Settings that the environment made, each with the name of its variable.
    pub(super) variables: Vec<(Path, String)>,
}

impl Source {
    pub(super) fn read(origin: &Origin) -> Result<Self, LoadError> {
        let lines = origin.text.lines().map(str::to_owned).collect();
        let mut source = Self {
            name: origin.name.clone(),
            lines,
            json: false,
            tree: None,
            base: Path::root(),
            config: Value::Null,
            resource_name: None,
            secrets: referred::Secrets::new(),
            renamed: Vec::new(),
            variables: Vec::new(),
        };
        let lower = origin.name.to_ascii_lowercase();
        let yaml = lower.ends_with(".yaml") || lower.ends_with(".yml");
        let json = !yaml && (lower.ends_with(".json") || origin.text.trim_start().starts_with('{'));
        source.json = json;
        let documents =
            if json { source.read_json(&origin.text)? } else { source.read_yaml(&origin.text)? };
        source.choose(documents)?;
        Ok(source)
    }

    fn read_json(&self, text: &str) -> Result<Vec<(Value, Option<Node>)>, LoadError> {
        let value = serde_json::from_str(text).map_err(|error| {
            let position = self.position_of(&error);
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
            self.at(Some(position), Path::root(), format!("not JSON: {message}"))
        })?;
        // The tree only says where things stand; JSON that YAML cannot read is read all the same.
        let tree = Node::parse(text).ok().and_then(|mut nodes| nodes.pop());
        Ok(vec![(value, tree)])
    }

    fn read_yaml(&self, text: &str) -> Result<Vec<(Value, Option<Node>)>, LoadError> {
        let nodes = Node::parse(text).map_err(|error| {
            let error = error.without_snippet();
            let position =
                error.location().map(|at| Position { line: at.line().max(1), column: at.column().max(1) });
            self.at(position, Path::root(), format!("not YAML: {}", complaint(error)))
        })?;
        Ok(nodes.into_iter().map(|node| (node.to_value(), Some(node))).collect())
    }

    /// Takes the configuration out of the documents: the only one, or the only `McpServer` among several.
    fn choose(&mut self, mut documents: Vec<(Value, Option<Node>)>) -> Result<(), LoadError> {
        documents.retain(|(value, _)| !value.is_null());
        documents.iter().for_each(|(value, _)| referred::learn(value, &mut self.secrets));
        if documents.len() > 1 {
            documents.retain(|(value, _)| is_manifest(value));
        }
        let count = documents.len();
        let Some((value, tree)) = documents.pop().filter(|_| count == 1) else {
            let message = match count {
                0 => "holds no configuration; `mcp-server print-config --defaults` prints one to begin with"
                    .to_owned(),
                _ => format!("holds {count} McpServers; put the one to serve into a file of its own"),
            };
            return Err(self.at(None, Path::root(), message));
        };
        self.tree = tree;
        if !value.is_object() {
            return Err(self.error(&[Violation {
                path: Path::root(),
                message: "a configuration is a map of settings".to_owned(),
            }]));
        }
        if value.get("apiVersion").is_some() && value.get("kind").is_some() {
            return self.open_manifest(value);
        }
        self.config = value;
        Ok(())
    }

    fn open_manifest(&mut self, mut manifest: Value) -> Result<(), LoadError> {
        if !is_manifest(&manifest) {
            let message =
                "is not something to serve; an McpServer of mcp-operator.dev/v1alpha1 is".to_owned();
            return Err(self.error(&[Violation { path: Path::of("kind"), message }]));
        }
        self.resource_name = manifest["metadata"]["name"].as_str().map(str::to_owned);
        self.base = Path::of("spec.config");
        let config = manifest.pointer_mut("/spec/config").map(Value::take).filter(Value::is_object);
        let Some(config) = config else {
            let message = "spec.config is missing: there is nothing to serve".to_owned();
            return Err(self.at(None, Path::root(), message));
        };
        self.config = config;
        Ok(())
    }

    /// Notes of words that mean something else to other readers of YAML.
    pub(super) fn bare_words(&self) -> Vec<String> {
        let tree = self.tree.as_ref().filter(|_| !self.json);
        tree.map(|tree| bare::notes(tree, &self.lines, &self.base)).unwrap_or_default()
    }

    pub(super) fn unknown_key(&self, path: &Path) -> UnknownKey {
        let top = path.segments().first();
        let fatal = matches!(top, Some(Segment::Key(key)) if key == "auth" || key == "rateLimit" || key == "rate_limit");
        let message = match (nearest::key(path), shown(path) != *path) {
            (_, true) => "unknown key; put a space behind the colon".to_owned(),
            (Some(meant), _) => format!("unknown key; did you mean {meant}?"),
            (None, _) => "unknown key; it is misspelt, or needs a later version".to_owned(),
        };
        let problem = self.problem(&Violation { path: path.clone(), message });
        UnknownKey { path: shown(path), fatal, problem }
    }

    /// Where a parser of JSON stopped. It counts bytes, and everything else here counts characters.
    fn position_of(&self, error: &serde_json::Error) -> Position {
        let line = self.lines.get(error.line().saturating_sub(1)).map_or("", String::as_str);
        let before = line.char_indices().take_while(|(byte, _)| byte + 1 < error.column()).count();
        Position { line: error.line().max(1) as u64, column: before as u64 + 1 }
    }

    /// Whether it is for a cluster, and not a file for a process.
    pub(super) fn is_resource(&self) -> bool {
        !self.base.segments().is_empty()
    }

    fn error(&self, violations: &[Violation]) -> LoadError {
        LoadError { problems: self.problems(violations) }
    }

    pub(super) fn problems(&self, violations: &[Violation]) -> Vec<Problem> {
        violations.iter().map(|violation| self.problem(violation)).collect()
    }

    fn problem(&self, violation: &Violation) -> Problem {
        if let Some(problem) = self.of_variable(violation) {
            return problem;
        }
        let written = compat::written_as(&self.renamed, &violation.path);
        let path = self.base.join(&written);
        let position = self.tree.as_ref().map(|tree| tree.locate(&path));
        self.problem_at(position, shown(&path), violation.message.clone())
    }

    fn problem_at(&self, position: Option<Position>, path: Path, message: String) -> Problem {
        let line = position.and_then(|at| usize::try_from(at.line).ok()?.checked_sub(1));
        let line = line.and_then(|line| self.lines.get(line));
        let excerpt = position.zip(line).map(|(at, line)| excerpt(line, at, self.tree.as_ref(), self.json));
        Problem { origin: self.name.clone(), position, path, message, excerpt }
    }

    fn at(&self, position: Option<Position>, path: Path, message: String) -> LoadError {
        LoadError { problems: vec![self.problem_at(position, path, message)] }
    }
}

fn is_manifest(value: &Value) -> bool {
    value["kind"] == "McpServer"
        && value["apiVersion"].as_str().is_some_and(|version| version.starts_with("mcp-operator.dev/"))
}

/// A path without what YAML takes for a part of a key where no space follows the colon: `api_key:secret`.
fn shown(path: &Path) -> Path {
    let mut shown = Path::root();
    for segment in path.segments() {
        shown.push(match segment {
            Segment::Key(key) => match key.split_once([':', '=']) {
                Some((name, rest)) if !rest.is_empty() => Segment::Key(format!("{name}:…")),
                _ => segment.clone(),
            },
            Segment::Index(_) => segment.clone(),
        });
    }
    shown
}

/// What is wrong with a text of YAML, and where, without anything of what stands there.
#[must_use]
pub fn yaml_complaint(error: &YamlError) -> String {
    let error = error.without_snippet();
    match error.location() {
        Some(at) => format!("line {}, column {}: {}", at.line().max(1), at.column().max(1), complaint(error)),
        None => complaint(error),
    }
}

/// What a parser of YAML says, without anything that it quotes of the text.
fn complaint(error: &YamlError) -> String {
    match error {
        YamlError::DuplicateMappingKey { .. } => {
            "this key stands twice in one map; remove one of them".to_owned()
        }
        YamlError::NonFiniteFloat { .. } => "this number is not finite".to_owned(),
        YamlError::AliasError { error, .. } => complaint(error),
        YamlError::SerdeInvalidType { unexpected, expected, .. }
        | YamlError::SerdeInvalidValue { unexpected, expected, .. } => {
            plainly(&format!("invalid type: {unexpected}, expected {expected}"))
        }
        other => plain(&other.to_string()),
    }
}

/// A parser's message without its own mention of the place, which stands in front already.
fn plain(message: &str) -> String {
    let first = message.lines().next().unwrap_or(message);
    let first = first.split(" at line ").next().unwrap_or(first);
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}
