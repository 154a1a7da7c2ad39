//! Words in a schema that readers of YAML 1.1, `kubectl` among them, take for true and false: `y`, `n`, `yes`, `no`, `on`
//! and `off` without quotes (YAML 1.1, Boolean Language-Independent Type). A key `y` is called `true` in a cluster.

use serde_json::Value;

use crate::Path;
use crate::locate::{Node, Place, Position};
use crate::path::Segment;

/// Each word, and what it is taken for.
const WORDS: [(&str, bool); 6] =
    [("y", true), ("yes", true), ("on", true), ("n", false), ("no", false), ("off", false)];
/// The most notes.
const MOST: usize = 20;

/// Notes the bare words in the schemas of tools; `base` is where the configuration begins.
pub(super) fn notes(tree: &Node, lines: &[String], base: &Path) -> Vec<String> {
    let mut notes = Vec::new();
    tree.visit(&mut |path, place, position| {
        if notes.len() == MOST || !is_in_schema(path, base) {
            return;
        }
        let written = match place {
            Place::Key(key) => key,
            Place::Scalar(Value::String(text)) => text,
            // What was read as true or false already may have been written as such.
            Place::Scalar(Value::Bool(_)) => "",
            Place::Scalar(_) => return,
        };
        let Some((word, truth)) = bare_word(lines, position, written) else { return };
        let line = position.line;
        notes.push(format!(
            "{path}: {word} without quotes is {truth} to readers of YAML 1.1, and to a cluster; write \"{word}\", with the quotes (line {line})"
        ));
    });
    notes
}

/// Whether a path leads into the schema of a tool.
fn is_in_schema(path: &Path, base: &Path) -> bool {
    match path.segments().strip_prefix(base.segments()) {
        Some([Segment::Key(tools), Segment::Index(_), Segment::Key(schema), ..]) => {
            tools == "tools" && (schema == "inputSchema" || schema == "outputSchema")
        }
        _ => false,
    }
}

/// The word at a place of the text, where it is one of those, without quotes, and all of the value.
fn bare_word(lines: &[String], at: Position, written: &str) -> Option<(&'static str, bool)> {
    let line = lines.get(usize::try_from(at.line).ok()?.checked_sub(1)?)?;
    let rest = line.chars().skip(usize::try_from(at.column).ok()?.checked_sub(1)?);
    let word: String = rest.take_while(|c| c.is_ascii_alphabetic()).collect();
    let known = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&word));
    known.copied().filter(|_| written.is_empty() || written == word)
}
