//! Finds out in which function each event of the log stands: `tracing` knows the file and the line of an event and not
//! its function, which lines of the log name.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Macros that make an event, or that say the line of one.
const EVENTS: [&str; 6] =
    ["tracing::error!", "tracing::warn!", "tracing::info!", "tracing::debug!", "tracing::trace!", "line!()"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src");
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files)?;
    // As texts, in which order they are searched: paths have another one.
    files.sort_by_key(|file| file.display().to_string());
    let mut table = String::from("&[\n");
    for file in files {
        let text = fs::read_to_string(&file)?;
        let found = events(&text);
        if !found.is_empty() {
            // Writing to a string cannot fail.
            let _written = writeln!(table, "    ({:?}, &{found:?}),", file.display().to_string());
        }
    }
    table.push_str("]\n");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    fs::write(PathBuf::from(out).join("functions.rs"), table)
}

fn sources(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The lines of events with the name of the function around them. The sources are formatted, so that a function that is
/// indented less than an event and is the last such before it is the one around it.
fn events(text: &str) -> Vec<(u32, &str)> {
    let mut found = Vec::new();
    let mut functions: Vec<(usize, &str)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if code.starts_with("//") {
            continue;
        }
        if let Some(name) = function(code) {
            functions.retain(|(outer, _)| *outer < indent);
            functions.push((indent, name));
        }
        if EVENTS.iter().any(|event| code.contains(event)) {
            let around = functions.iter().rev().find(|(outer, _)| *outer < indent);
            found.extend(around.map(|(_, name)| (number, *name)));
        }
    }
    found
}

/// The name of the function that begins on this line.
fn function(code: &str) -> Option<&str> {
    const QUALIFIERS: [&str; 7] = ["pub", "const", "async", "unsafe", "extern", "default", "\"C\""];
    let (before, after) = code.split_once("fn ")?;
    let qualified = |word: &str| {
        let word = word.split('(').next().unwrap_or(word);
        QUALIFIERS.contains(&word) || matches!(word, "super)" | "crate)" | "in")
    };
    let is_function = before.is_empty() || before.ends_with(' ') && before.split_whitespace().all(qualified);
    let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
    (is_function && end > 0).then(|| &after[..end])
}
