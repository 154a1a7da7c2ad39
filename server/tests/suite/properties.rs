//! What strangers write, in many variations: the functions and the corpora of the fuzz targets, for as long as a test
//! may take. `make fuzz` goes on for longer.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

#[path = "../../../fuzz/src/entries.rs"]
#[allow(unreachable_pub, reason = "elsewhere it is a library")]
mod entries;

/// Pieces that mean something to a reader of one kind or another.
const PIECES: [&str; 24] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\r\n",
    "\0",
    "\u{feff}",
    "\\u0000",
    "\\ud800",
    "null",
    "-1",
    "1e999",
    "9223372036854775808",
    "{{args.",
    "}}",
    "args.",
    ".map(x, x)",
    "\"id\":",
    "=?base64?",
];

/// One change of a text.
#[derive(Clone, Debug)]
enum Change {
    Replace(Index, u8),
    Insert(Index, Index),
    Remove(Index, usize),
    /// The rest is that of another text.
    Cross(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (any::<Index>(), 1..8_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<Index>(), any::<Index>()).prop_map(|(other, at)| Change::Cross(other, at)),
    ]
}

fn apply(text: &mut Vec<u8>, change: &Change, corpus: &[Vec<u8>]) {
    let end = text.len();
    match change {
        Change::Replace(at, byte) if end > 0 => text[at.index(end)] = *byte,
        Change::Remove(at, length) if end > 0 => {
            let at = at.index(end);
            text.drain(at..end.min(at + length));
        }
        Change::Replace(..) | Change::Remove(..) => {}
        Change::Insert(at, piece) => {
            let at = at.index(end + 1);
            text.splice(at..at, PIECES[piece.index(PIECES.len())].bytes());
        }
        Change::Cross(other, at) => {
            let other = &corpus[other.index(corpus.len())];
            text.truncate(at.index(end + 1));
            text.extend_from_slice(&other[at.index(other.len() + 1)..]);
        }
    }
}

/// Runs a target on its corpus, and on so many variations of it.
fn run(target: &str, entry: fn(&[u8]), cases: u32) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    for text in &corpus {
        entry(text);
    }
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let changes = (any::<Index>(), proptest::collection::vec(change(), 1..6));
    let tried = TestRunner::new(config).run(&changes, |(which, changes)| {
        let mut text = corpus[which.index(corpus.len())].clone();
        for change in &changes {
            apply(&mut text, change, &corpus);
        }
        entry(&text);
        Ok(())
    });
    if let Err(error) = tried {
        panic!("{target}: {error}");
    }
}

#[test]
fn messages() {
    run("envelope", entries::envelope, 1000);
}

#[test]
fn headers() {
    run("headers", entries::headers, 500);
}

#[test]
fn configurations() {
    run("config", entries::config, 300);
}

#[test]
fn tokens() {
    run("jwt", entries::jwt, 500);
}

#[test]
fn templates_and_expressions() {
    run("render", entries::render, 200);
}
