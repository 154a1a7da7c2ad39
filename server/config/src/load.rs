//! From text to a configuration: JSON, YAML, the classic file, or the `McpServer` manifest of a cluster.

use std::{collections::BTreeSet, fmt};

use crate::{
    Path, ProcessConfig, ServerConfig, ServiceConfig, Violation,
    compat::{self, Modern},
    env,
    locate::Position,
    validate,
};

mod bare;
mod blame;
mod excerpt;
mod nearest;
mod referred;
mod source;
mod switches;
mod typed;
mod wording;

pub use excerpt::Excerpt;
use source::Source;
pub use source::yaml_complaint;
pub use wording::plainly;

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
    /// The line of the text, without its values.
    pub excerpt: Option<Excerpt>,
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
        match &self.excerpt {
            Some(excerpt) => write!(f, "\n{excerpt}"),
            None => Ok(()),
        }
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
    let mut source = Source::read(origin)?;
    let Modern { mut value, renamed, mut notes, wrong } = compat::modernise(source.config.clone());
    notes.extend(source.bare_words());
    let mut problems = source.problems(&wrong);
    source.renamed = renamed;
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
    let unknown: Vec<_> = unknown.into_iter().map(|path| source.unknown_key(&path)).collect();
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

#[cfg(test)]
mod tests;
