//! Which variable of the environment is to blame for a value that does not fit.

use super::{Problem, Source};
use crate::{Path, Violation, compat, path::Segment};

impl Source {
    /// The problem as one of the environment, where that made the value.
    pub(super) fn of_variable(&self, violation: &Violation) -> Option<Problem> {
        let (set, name) = self.variable(&violation.path)?;
        let message = match *set == violation.path {
            true => violation.message.clone(),
            false => format!("{}: {}", violation.path, violation.message),
        };
        Some(Problem {
            origin: "environment".to_owned(),
            position: None,
            path: Path::root().key(name),
            message,
            excerpt: None,
        })
    }

    /// The variable that set the field, or a part of it; or that opened a section of which the text says nothing, so that
    /// what is missing there is missing because of it.
    fn variable(&self, path: &Path) -> Option<&(Path, String)> {
        let find = |fits: &dyn Fn(&Path) -> bool| self.variables.iter().find(|(set, _)| fits(set));
        if let Some(exact) = find(&|set| is_within(path, set)) {
            return Some(exact);
        }
        if self.says(path) {
            return None;
        }
        let section = path.parent().filter(|section| !section.segments().is_empty() && !self.says(section));
        find(&|set| is_within(set, path))
            .or_else(|| section.and_then(|section| find(&|set| is_within(set, &section))))
    }

    /// Whether the text has this field.
    fn says(&self, path: &Path) -> bool {
        let written = compat::written_as(&self.renamed, path);
        let found = written.segments().iter().try_fold(&self.config, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(*index),
        });
        found.is_some()
    }
}

fn is_within(inner: &Path, outer: &Path) -> bool {
    inner.segments().starts_with(outer.segments())
}
