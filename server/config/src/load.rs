//! From text to a configuration: JSON, YAML, the classic file, or the `McpServer` manifest of a cluster.

use std::{collections::BTreeSet, fmt};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Path, ProcessConfig, ServerConfig, ServiceConfig, Violation,
    compat::{self, Modern},
    env,
    locate::{Node, Position},
    path::Segment,
};

/// A text and its name, for messages.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Usually the path of the file. A name that ends in `.yaml` or `.yml` is read as YAML, one in `.json` as JSON;
    /// any other text is read as JSON where it begins with a brace.
    pub name: String,
    pub text: String,
}

/// A configuration that has been read, and what is to be said of it.
#[derive(Debug)]
pub struct Document {
    pub config: ServerConfig,
    /// Keys that mean nothing to this version: misspelt, or from a later one.
    pub unknown: Vec<UnknownKey>,
    /// What else the user should know.
    pub notes: Vec<String>,
    source: Source,
}

impl Document {
    /// Says where in the text each violation stands.
    #[must_use]
    pub fn problems(&self, violations: &[Violation]) -> Vec<Problem> {
        violations.iter().map(|violation| self.source.problem(violation)).collect()
    }
}

/// A key that means nothing to this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    pub path: Path,
    /// True inside `auth` and `rateLimit`: who misspells a limit must not run without it.
    pub fatal: bool,
    pub problem: Problem,
}

/// Everything that is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    pub problems: Vec<Problem>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the text, or of the environment.
    pub origin: String,
    pub position: Option<Position>,
    /// The field; the root where the whole text is meant.
    pub path: Path,
    pub message: String,
    /// The line of the text.
    pub excerpt: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.segments().is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        if let (Some(excerpt), Some(Position { line, column })) = (&self.excerpt, self.position) {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            let before = " ".repeat(usize::try_from(column.saturating_sub(1)).unwrap_or_default());
            write!(f, "\n{margin} |\n{number} | {excerpt}\n{margin} | {before}^")?;
        }
        Ok(())
    }
}

/// Reads a text and lays the environment over it. Types are checked here, values by [`crate::validate()`].
///
/// # Errors
/// Where the text is not what its name says, where a value has the wrong type, or where a variable does not fit.
pub fn load(
    origin: &Origin,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Document, LoadError> {
    let source = Source::read(origin)?;
    let Modern { mut value, renamed, notes } =
        compat::modernise(source.config.clone()).map_err(|violations| source.error(&violations))?;
    let source = Source { renamed, ..source };
    let overlay = env::overlay(environment).map_err(|violations| LoadError {
        problems: violations.into_iter().map(|violation| of_environment(&violation)).collect(),
    })?;
    env::merge(&mut value, overlay.value);

    let (mut service, unknown_to_service) = typed::<ServiceConfig>(&value, &source)?;
    let (process, unknown_to_process) = typed::<ProcessConfig>(&value, &source)?;
    if service.server_name.is_none() {
        service.server_name.clone_from(&source.resource_name);
    }
    let unknown = unknown_to_both(&unknown_to_service, &unknown_to_process);
    let unknown = unknown.into_iter().map(|path| source.unknown_key(path)).collect();
    let misspelt = overlay
        .unknown
        .into_iter()
        .map(|name| format!("the environment variable {name} means nothing here; is it misspelt?"));
    let notes = notes.into_iter().chain(misspelt).collect();
    Ok(Document { config: ServerConfig { service, process }, unknown, notes, source })
}

fn of_environment(violation: &Violation) -> Problem {
    Problem {
        origin: "environment".to_owned(),
        position: None,
        path: violation.path.clone(),
        message: violation.message.clone(),
        excerpt: None,
    }
}

/// Reads one view of the document: what of it is not known there comes back as paths.
fn typed<T: DeserializeOwned>(value: &Value, source: &Source) -> Result<(T, Vec<Path>), LoadError> {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(value, &mut track);
    let result = serde_ignored::deserialize(deserializer, |path| unknown.push(of_ignored(&path)));
    match result {
        Ok(typed) => Ok((typed, unknown)),
        Err(error) => {
            let path = of_tracked(&track.path());
            Err(source.error(&[Violation { path, message: error.to_string() }]))
        }
    }
}

/// What neither view knows. A section that one view knows nothing of is reported there as a whole, and what the other
/// view misses inside it is then known to nobody.
fn unknown_to_both(one: &[Path], other: &[Path]) -> BTreeSet<Path> {
    let inside = |path: &Path, sections: &[Path]| {
        sections.iter().any(|section| path.segments().starts_with(section.segments()))
    };
    let of_one = one.iter().filter(|path| inside(path, other));
    let of_other = other.iter().filter(|path| inside(path, one));
    of_one.chain(of_other).cloned().collect()
}

fn of_ignored(path: &serde_ignored::Path<'_>) -> Path {
    use serde_ignored::Path as Ignored;
    match path {
        Ignored::Root => Path::root(),
        Ignored::Seq { parent, index } => of_ignored(parent).index(*index),
        Ignored::Map { parent, key } => of_ignored(parent).key(key.as_str()),
        Ignored::Some { parent } | Ignored::NewtypeStruct { parent } | Ignored::NewtypeVariant { parent } => {
            of_ignored(parent)
        }
    }
}

fn of_tracked(path: &serde_path_to_error::Path) -> Path {
    use serde_path_to_error::Segment as Tracked;
    let mut found = Path::root();
    for segment in path {
        match segment {
            Tracked::Seq { index } => found.push(Segment::Index(*index)),
            Tracked::Map { key } => found.push(Segment::Key(key.clone())),
            Tracked::Enum { .. } | Tracked::Unknown => {}
        }
    }
    found
}

/// A text that has been taken apart, with what is needed to point into it.
#[derive(Debug)]
struct Source {
    name: String,
    lines: Vec<String>,
    tree: Option<Node>,
    /// Where the configuration begins: `spec.config` in a manifest.
    base: Path,
    config: Value,
    resource_name: Option<String>,
    renamed: Vec<(Path, Path)>,
}

impl Source {
    fn read(origin: &Origin) -> Result<Self, LoadError> {
        let lines = origin.text.lines().map(str::to_owned).collect();
        let mut source = Self {
            name: origin.name.clone(),
            lines,
            tree: None,
            base: Path::root(),
            config: Value::Null,
            resource_name: None,
            renamed: Vec::new(),
        };
        let lower = origin.name.to_ascii_lowercase();
        let yaml = lower.ends_with(".yaml") || lower.ends_with(".yml");
        let json = !yaml && (lower.ends_with(".json") || origin.text.trim_start().starts_with('{'));
        let documents =
            if json { source.read_json(&origin.text)? } else { source.read_yaml(&origin.text)? };
        source.choose(documents)?;
        Ok(source)
    }

    fn read_json(&self, text: &str) -> Result<Vec<(Value, Option<Node>)>, LoadError> {
        let value = serde_json::from_str(text).map_err(|error| {
            let position = Position { line: error.line() as u64, column: error.column().max(1) as u64 };
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
            self.at(position, Path::root(), format!("not YAML: {}", plain(&error.to_string())))
        })?;
        Ok(nodes.into_iter().map(|node| (node.to_value(), Some(node))).collect())
    }

    /// Takes the configuration out of the documents: the only one, or the only `McpServer` among several.
    fn choose(&mut self, mut documents: Vec<(Value, Option<Node>)>) -> Result<(), LoadError> {
        documents.retain(|(value, _)| !value.is_null());
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
            let message = format!(
                "{} is not something to serve; an McpServer of mcp-operator.dev/v1alpha1 is",
                manifest["kind"].as_str().unwrap_or("this")
            );
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

    fn unknown_key(&self, path: Path) -> UnknownKey {
        let top = path.segments().first();
        let fatal = matches!(top, Some(Segment::Key(key)) if key == "auth" || key == "rateLimit" || key == "rate_limit");
        let message = "unknown key; it is misspelt, or needs a later version".to_owned();
        let problem = self.problem(&Violation { path: path.clone(), message });
        UnknownKey { path, fatal, problem }
    }

    fn error(&self, violations: &[Violation]) -> LoadError {
        LoadError { problems: violations.iter().map(|violation| self.problem(violation)).collect() }
    }

    fn problem(&self, violation: &Violation) -> Problem {
        let written = compat::written_as(&self.renamed, &violation.path);
        let path = self.base.join(&written);
        let position = self.tree.as_ref().map(|tree| tree.locate(&path));
        self.problem_at(position, path, violation.message.clone())
    }

    fn problem_at(&self, position: Option<Position>, path: Path, message: String) -> Problem {
        let line = position.and_then(|at| usize::try_from(at.line).ok()?.checked_sub(1));
        let excerpt = line.and_then(|line| self.lines.get(line)).map(|line| line.replace('\t', " "));
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

/// A parser's message without its own mention of the place, which stands in front already.
fn plain(message: &str) -> String {
    let first = message.lines().next().unwrap_or(message);
    let first = first.split(" at line ").next().unwrap_or(first);
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

#[cfg(test)]
mod tests;
