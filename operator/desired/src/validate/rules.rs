//! What every group of rules needs: a place to gather violations, and the rules for labels.

use std::collections::{BTreeMap, BTreeSet};

use mcp_server_config::{Path, Violation};

use crate::labels::{is_label_value, is_qualified_name, is_reserved_annotation, is_reserved_label};

/// The violations gathered so far.
#[derive(Default)]
pub(super) struct Rules {
    pub(super) violations: Vec<Violation>,
}

impl Rules {
    pub(super) fn check(&mut self, holds: bool, path: &str, message: impl FnOnce() -> String) {
        self.check_at(holds, || Path::of(path), message);
    }

    pub(super) fn check_at(
        &mut self,
        holds: bool,
        path: impl FnOnce() -> Path,
        message: impl FnOnce() -> String,
    ) {
        if !holds {
            self.violations.push(Violation { path: path(), message: message() });
        }
    }

    pub(super) fn unique<'a>(&mut self, at: &Path, keys: impl Iterator<Item = &'a String>) {
        let mut seen = BTreeSet::new();
        for (index, key) in keys.enumerate() {
            self.check_at(
                seen.insert(key),
                || at.index(index),
                || format!("{key:?} is there twice; remove one of the two"),
            );
        }
    }

    pub(super) fn labels(&mut self, at: &Path, labels: &BTreeMap<String, String>, of_a_child: bool) {
        for (key, value) in labels {
            self.check_at(
                is_qualified_name(key),
                || at.key(key),
                || "is not a legal key of a label".to_owned(),
            );
            self.check_at(
                is_label_value(value),
                || at.key(key),
                || format!("{value:?} is not a legal value of a label"),
            );
            self.check_at(
                !of_a_child || !is_reserved_label(key),
                || at.key(key),
                || "is a label of the operator's own; choose another key".to_owned(),
            );
        }
    }

    pub(super) fn annotations(&mut self, at: &Path, annotations: &BTreeMap<String, String>) {
        for key in annotations.keys() {
            // The API server takes capitals in the prefix of an annotation's key.
            let legal = is_qualified_name(&key.to_ascii_lowercase());
            self.check_at(legal, || at.key(key), || "is not a legal key of an annotation".to_owned());
            self.check_at(
                !is_reserved_annotation(key),
                || at.key(key),
                || "is an annotation of the operator's own; choose another key".to_owned(),
            );
        }
    }
}
