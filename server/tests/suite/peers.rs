//! Peers that nobody here has written: the official Python SDK as a client, in both eras, and the conformance suite of the
//! protocol's authors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::library;
use crate::process::{Served, stderr, stdout};

/// The page whose programs people copy.
const PAGE: &str = include_str!("../../../docs/connect.md");
/// What the suite asks for and this server does not offer, with the reason: a file for each revision.
const EXPECTED_FAILURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/expected-failures");
const TOUR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/tour.py");

/// A peer that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(120);

/// Where `hack/peers.sh` has put them.
fn peers() -> PathBuf {
    std::env::var_os("MCP_TEST_PEERS")
        .expect("MCP_TEST_PEERS is not set; `make unit` sets it, or: export MCP_TEST_PEERS=$(hack/peers.sh)")
        .into()
}

/// What a tour sees.
fn config() -> Value {
    json!({
        "serverName": "tour",
        "auth": {"apiKeys": {"file": "keys.json"}},
        "rateLimit": {"mode": "Off"},
        "tools": [
            {
                "name": "greet",
                "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
                "cel": "\"Hello, \" + args.name + \"!\""
            },
            {"name": "double", "cel": "{\"number\": args.number * 2}"},
        ],
        "prompts": [{
            "name": "review", "arguments": [{"name": "language", "required": true}],
            "messages": [{"text": "Review this {{args.language}} code."}]
        }],
        "resources": [{"uri": "docs://welcome", "name": "welcome", "text": "# Welcome"}],
        "resourceTemplates": [{"uriTemplate": "docs://team/{team}", "text": "Team {{args.team}}."}],
    })
}

/// A Python that has the SDK.
fn python(home: &Path) -> Command {
    let mut command = Command::new(peers().join("bin/python"));
    command.env_clear().env("HOME", home).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(home);
    command
}

/// Runs a program to its end, which must not be far.
async fn ended(command: Command) -> Output {
    let mut command = tokio::process::Command::from(command);
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output();
    tokio::time::timeout(LONGEST, ended).await.expect("a peer hangs").unwrap()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", stdout(output), stderr(output));
    stdout(output)
}

fn serve(home: &Path) -> Served {
    fs::write(home.join("config.json"), config().to_string()).unwrap();
    fs::write(home.join("keys.json"), r#"{"keys": [{"id": "tour", "key": "the-key-of-the-tour"}]}"#).unwrap();
    Served::start(home, &["--config", "config.json"])
}

#[tokio::test]
async fn the_python_sdk_sees_everything_in_both_eras() {
    let home = tempfile::tempdir().unwrap();
    let served = serve(home.path());
    let url = format!("http://{}/mcp", served.address);
    // Left to itself, it finds out that the server speaks the current revision.
    for (mode, revision) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        let mut program = python(home.path());
        program.args([TOUR, &url, "the-key-of-the-tour", mode]);
        let output = ended(program).await;
        let seen: Value = serde_json::from_str(&succeeded(&output)).unwrap();
        let expected = json!({
            "revision": revision,
            "server": "tour",
            "tools": ["greet", "double"],
            "greeting": ["Hello, Ada!"],
            "unfit": true,
            "double": {"number": 42},
            "prompts": ["review"],
            "prompt": "Review this Rust code.",
            "resources": ["docs://welcome"],
            "resource": "# Welcome",
            "template": "Team red.",
            "no such tool": -32602,
            "no such resource": true,
        });
        assert_eq!(seen, expected, "{mode}");
    }
}

#[tokio::test]
async fn the_programs_of_the_page_do_what_it_says() {
    let home = tempfile::tempdir().unwrap();
    let served = serve(home.path());
    let programs: Vec<&str> = PAGE
        .split("```python\n")
        .skip(1)
        .map(|block| block.split_once("```").expect("a block ends").0)
        .collect();
    let [over_http, over_pipes] = programs[..] else { panic!("{} programs", programs.len()) };

    let url = format!("http://{}/mcp", served.address);
    let mut program = python(home.path());
    program.args(["-c", over_http]).env("MCP_URL", url).env("MCP_API_KEY", "the-key-of-the-tour");
    let output = ended(program).await;
    assert_eq!(succeeded(&output), "['greet', 'double']\nHello, Ada!\n");

    // YAML is a superset of JSON.
    fs::copy(home.path().join("config.json"), home.path().join("hello.yaml")).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_mcp-server")).parent().unwrap();
    let mut program = python(home.path());
    program.args(["-c", over_pipes]).env("PATH", programs);
    let output = ended(program).await;
    assert_eq!(succeeded(&output), "Hello, Ada!\n");
}

/// Runs the scenarios that a revision demands. A scenario that fails, and one that is expected to and does not, fail the run.
async fn conforms(revision: &str) {
    let (running, address) = library::everything().await;
    let results = tempfile::tempdir().unwrap();
    let mut suite = Command::new(peers().join("bin/node"));
    suite
        .arg(peers().join("node_modules/@modelcontextprotocol/conformance/dist/index.js"))
        .args(["server", "--url", &format!("http://{address}/mcp")])
        .args(["--requirements", revision, "--expected-failures"])
        .arg(Path::new(EXPECTED_FAILURES).join(format!("{revision}.yml")))
        .arg("-o")
        .arg(results.path())
        .current_dir(results.path());
    let output = ended(suite).await;
    running.stop().await;
    let said = succeeded(&output);
    // A run of nothing would succeed, too.
    let total = said.split("Total: ").nth(1).and_then(|total| total.split(' ').next());
    let passed: u32 = total.and_then(|passed| passed.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    assert!(passed >= 50, "only {passed} checks:\n{said}");
}

#[tokio::test]
async fn the_server_conforms_to_the_current_revision() {
    conforms("2026-07-28").await;
}

#[tokio::test]
async fn the_server_conforms_to_the_older_revision() {
    conforms("2025-11-25").await;
}
