//! From text to a configuration: JSON, YAML, the classic file, or the `McpServer` manifest of a cluster.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use crate::{
    Path, ProcessConfig, ServerConfig, ServiceConfig, Violation,
    compat::{self, Modern},
    env,
    locate::{Node, Position},
    path::Segment,
    validate,
};

mod blame;
mod nearest;
mod referred;
mod switches;
mod typed;
mod wording;

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
    /// Whether the file of keys is made where it does not exist: a classic configuration names it and expects that.
    pub makes_keys_file: bool,
    source: Source,
}

impl Document {
    /// Says where in the text each violation stands.
    #[must_use]
    pub fn problems(&self, violations: &[Violation]) -> Vec<Problem> {
        self.source.problems(violations)
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

impl Problem {
    /// What is wrong and where, in one line: without the line of the text.
    #[must_use]
    pub fn sentence(&self) -> String {
        Self { excerpt: None, ..self.clone() }.to_string()
    }
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
/// Where the text is not what its name says, where values have the wrong type, or where variables do not fit. Then what
/// else is wrong with the rest is told, too.
pub fn load(
    origin: &Origin,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Document, LoadError> {
    let source = Source::read(origin)?;
    let Modern { mut value, renamed, mut notes, wrong } = compat::modernise(source.config.clone());
    let mut problems = source.problems(&wrong);
    let mut source = Source { renamed, ..source };
    let mut wrong = switches::read(&mut value, source.is_resource());
    match env::overlay(environment) {
        Ok(overlay) => {
            env::merge(&mut value, overlay.value);
            source.variables = overlay.from;
            notes.extend(
                overlay.unknown.into_iter().map(|name| {
                    format!("the environment variable {name} means nothing here; is it misspelt?")
                }),
            );
        }
        Err(violations) => problems.extend(violations.iter().map(of_environment)),
    }
    compat::add_errors_file(&mut value, &source.renamed);

    let service = typed::read::<ServiceConfig>(&value);
    let process = typed::read::<ProcessConfig>(&value);
    wrong.extend(service.wrong.iter().chain(&process.wrong).cloned());
    let unknown = unknown_to_both(&service.unknown, &process.unknown);
    let unknown: Vec<_> = unknown.into_iter().map(|path| source.unknown_key(path)).collect();
    let as_written = |violation: Violation| Violation {
        path: process.as_written(service.as_written(violation.path)),
        message: violation.message,
    };
    let mut config = ServerConfig {
        service: service.value.clone().unwrap_or_default(),
        process: process.value.clone().unwrap_or_default(),
    };
    if source.is_resource() {
        let name = &mut config.service.server_name;
        *name = name.take().or_else(|| source.resource_name.clone());
        notes.extend(referred::follow(&mut config, &source.secrets));
    } else {
        wrong.extend(referred::misplaced(&mut config).into_iter().map(as_written));
    }
    if !(problems.is_empty() && wrong.is_empty()) {
        let others = validate(&config).into_iter().map(as_written);
        let others: Vec<_> = others.filter(|other| !follows_from(other, &wrong)).collect();
        problems.extend(source.problems(&wrong));
        problems.extend(unknown.into_iter().map(|key| key.problem));
        problems.extend(source.problems(&others));
        problems.sort_by_key(|problem| problem.position);
        problems.dedup();
        return Err(LoadError { problems });
    }
    let file = config.service.auth.api_keys.as_ref().and_then(|keys| keys.file.as_deref());
    let makes_keys_file = compat::is_classic_keys_file(&source.renamed, file);
    Ok(Document { config, unknown, notes, makes_keys_file, source })
}

/// Whether a rule may be broken only because something was taken out that did not fit.
fn follows_from(violation: &Violation, wrong: &[Violation]) -> bool {
    wrong.iter().any(|wrong| {
        wrong.path.segments().starts_with(violation.path.segments())
            || violation.message.contains(&wrong.path.to_string())
    })
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
    /// What the Secrets beside a manifest hold.
    secrets: referred::Secrets,
    renamed: Vec<(Path, Path)>,
    /// Settings that the environment made, each with the name of its variable.
    variables: Vec<(Path, String)>,
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
            secrets: referred::Secrets::new(),
            renamed: Vec::new(),
            variables: Vec::new(),
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
        let message = match nearest::key(&path) {
            Some(meant) => format!("unknown key; did you mean {meant}?"),
            None => "unknown key; it is misspelt, or needs a later version".to_owned(),
        };
        let problem = self.problem(&Violation { path: path.clone(), message });
        UnknownKey { path, fatal, problem }
    }

    /// Whether it is for a cluster, and not a file for a process.
    fn is_resource(&self) -> bool {
        !self.base.segments().is_empty()
    }

    fn error(&self, violations: &[Violation]) -> LoadError {
        LoadError { problems: self.problems(violations) }
    }

    fn problems(&self, violations: &[Violation]) -> Vec<Problem> {
        violations.iter().map(|violation| self.problem(violation)).collect()
    }

    fn problem(&self, violation: &Violation) -> Problem {
        if let Some(problem) = self.of_variable(violation) {
            return problem;
        }
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
