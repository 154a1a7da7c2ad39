//! Sources of people who mean harm.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{cel, text, wrong};
use crate::compile::{Body, compile};

/// The worst that fits into a source, of each construct that nests.
fn towers() -> Vec<(&'static str, String)> {
    let tower = |open: &str, core: &str, close: &str| {
        let times = (1024 - core.len()) / (open.len() + close.len());
        format!("{}{core}{}", open.repeat(times), close.repeat(times))
    };
    vec![
        ("parentheses", tower("(", "1", ")")),
        ("open parentheses", tower("(", "", "")),
        ("lists", tower("[", "1", "]")),
        ("open lists", tower("[", "", "")),
        ("maps", tower("{1:", "1", "}")),
        ("open maps", tower("{", "", "")),
        ("messages", tower("A{a:", "1", "}")),
        ("calls", tower("int(", "1", ")")),
        ("macros", tower("[1].map(x,", "1", ")")),
        ("indexes", tower("args[", "0", "]")),
        ("not", tower("!", "true", "")),
        ("not with spaces", tower("! ", "true", "")),
        ("not with comments", tower("!//\n", "true", "")),
        ("minus", tower("-", "1", "")),
        ("minus in parentheses", tower("-(", "1", ")")),
        ("conditionals to the right", tower("true?1:", "1", "")),
        ("conditionals inside", tower("true?", "1", ":1")),
        ("plus", tower("", "1", "+1")),
        ("times", tower("", "1", "*1")),
        ("less", tower("", "1", "<1")),
        ("in", tower("", "1", " in 1")),
        ("and", tower("", "1", "&&1")),
        ("or", tower("", "1", "||1")),
        ("selections", tower("", "args", ".a")),
        ("optional selections", tower("", "args", ".?a")),
        ("index chain", tower("", "args", "[0]")),
        ("member calls", tower("", "args", ".a()")),
        ("a mixture", tower("[{1:-(!int(", "1", "))}]")),
        ("hidden in an unfinished string", tower("(", "\"", ")")),
        ("hidden behind a bad escape", tower("(", r#""\q""#, ")")),
        ("hidden behind a raw string", tower("(", r#"r"\""#, ")")),
        ("hidden behind a comment", tower("(", "//\"\n1", ")")),
        ("a long string", format!("'{}'", "(".repeat(1022))),
        ("nonsense", tower("?:", "", "")),
        ("quotes", tower("'\"", "", "")),
        ("zero bytes", tower("\0", "", "")),
    ]
}

#[test]
fn no_tower_crashes_the_process() {
    for (what, source) in towers() {
        let started = Instant::now();
        let found = wrong(&cel(&source));
        assert!(started.elapsed() < Duration::from_secs(20), "{what} took {:?}", started.elapsed());
        let legal = ["in", "a long string"];
        assert!(!found.is_empty() || legal.contains(&what), "{what} compiled");
    }
}

/// Pieces that a grammar-minded attacker would combine.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "!",
        "-",
        "?",
        ":",
        "+",
        "*",
        "%",
        "/",
        "<",
        ">",
        "==",
        "!=",
        "&&",
        "||",
        " in ",
        ".",
        ",",
        "args",
        "x",
        ".map(x,",
        ".filter(x,",
        "has(",
        "size(",
        "1",
        "1u",
        "1.5",
        "0x",
        "1e9999",
        "'a'",
        "\"",
        "'",
        "'''",
        "r\"",
        "br'",
        "\\",
        "`",
        "//",
        "\n",
        "\r",
        "\0",
        "é",
        "\u{2028}",
        "true",
        "null",
        ".?",
        "[?",
        "A{",
        "in",
        "@",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_source_crashes_the_compiler(pieces in prop::collection::vec(piece(), 0..120)) {
        drop(compile(&[cel(&pieces.concat())]));
    }

    #[test]
    fn no_text_crashes_the_compiler(source in "(?s).{0,200}") {
        drop(compile(&[cel(&source), text(&source)]));
    }

    #[test]
    fn no_template_crashes_the_compiler(pieces in prop::collection::vec(prop::sample::select(vec!["{", "}", "{{", "}}", "args", ".", "\\", "é", " ", "0", "-"]), 0..40)) {
        drop(compile(&[text(&pieces.concat())]));
    }

    /// What compiles is evaluated without a crash, whatever the arguments are.
    #[test]
    fn what_compiles_evaluates(pieces in prop::collection::vec(piece(), 0..12)) {
        if let Ok(tools) = compile(&[cel(&pieces.concat())]) {
            for tool in tools.iter() {
                if let Body::Cel(program) = tool.body() {
                    let mut context = ::cel::Context::with_env(crate::compile::cel::environment());
                    context.add_variable_from_value("args", ::cel::Value::List(vec![1.into(), "a".into()].into()));
                    drop(program.program().execute(&context));
                }
            }
        }
    }
}
