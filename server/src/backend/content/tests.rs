use std::sync::Arc;
use std::time::Duration;

use mcp_server_config::ServerConfig;
use mcp_server_config::compile::content::compile_content;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::DeclaredContent;
use crate::auth::principal::Caller;
use crate::backend::{Backend, Call, CallError, Completion, Cx, Outcome, Reference, Target};
use crate::protocol::raw::Raw;

fn config(value: Value) -> ServerConfig {
    ServerConfig {
        service: serde_json::from_value(value.clone()).unwrap(),
        process: serde_json::from_value(value).unwrap(),
    }
}

fn content(value: Value) -> Arc<DeclaredContent> {
    let config = config(value);
    assert_eq!(mcp_server_config::validate(&config), []);
    DeclaredContent::new(compile_content(&config).unwrap())
}

async fn ask(
    content: &Arc<DeclaredContent>,
    target: Target,
    arguments: Option<Value>,
) -> Result<Value, CallError> {
    let cx = Cx::new(Caller::default(), Instant::now() + Duration::from_secs(60), CancellationToken::new());
    let call = Call::new(target, arguments.map(|arguments| Raw::of(&arguments)));
    match content.clone().call(call, cx).await? {
        Outcome::Complete(answer) => Ok(serde_json::from_str(answer.result.as_str()).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_prompt_is_filled_in() {
    let content = content(json!({"prompts": [{
        "name": "review", "description": "Reviews.",
        "arguments": [{"name": "language", "required": true, "values": ["Rust", "Ruby", "Go"]}, {"name": "tone"}],
        "messages": [
            {"text": "Review this {{args.language}} code{{args.tone}}."},
            {"role": "Assistant", "text": "With pleasure."},
        ],
    }]}));
    let review = |arguments| ask(&content, Target::Prompt("review".into()), arguments);
    let got = review(Some(json!({"language": "Rust", "tone": ", kindly"}))).await.unwrap();
    assert_eq!(
        got["messages"][0],
        json!({"role": "user", "content":
        {"type": "text", "text": "Review this Rust code, kindly."}})
    );
    assert_eq!((&got["messages"][1]["role"], &got["description"]), (&json!("assistant"), &json!("Reviews.")));
    for (arguments, expected) in [
        (None, "language is missing"),
        (Some(json!({"language": "C"})), "one of Rust, Ruby, Go"),
        (Some(json!({"language": 7})), "object of strings"),
    ] {
        let error = review(arguments).await.unwrap_err();
        assert!(matches!(&error, CallError::InvalidParams(text) if text.contains(expected)), "{error}");
    }
    assert_eq!(ask(&content, Target::Prompt("other".into()), None).await, Err(CallError::Unknown));

    let complete = |argument: &str, value: &str| {
        let reference = Reference::Prompt("review".into());
        let (argument, value) = (argument.to_owned(), value.to_owned());
        let completion = Completion { reference, argument, value, context: None };
        ask(&content, Target::Completion(Box::new(completion)), None)
    };
    let ru = complete("language", "ru").await.unwrap();
    assert_eq!(ru["completion"], json!({"values": ["Rust", "Ruby"], "total": 2, "hasMore": false}));
    assert_eq!(complete("tone", "").await.unwrap()["completion"]["values"], json!([]));
    assert!(matches!(complete("nope", "").await, Err(CallError::InvalidParams(_))));
}

#[tokio::test]
async fn resources_are_read_by_uri() {
    let content = content(json!({
        "resources": [
            {"uri": "a://text", "text": "hello", "ttl": "1h"},
            {"uri": "a://blob", "blob": "YWI=", "mimeType": "x/y", "name": "blob"},
        ],
        "resourceTemplates": [{
            "uriTemplate": "a://team/{team}/{page}", "text": "{{args.page}} of {{args.team}}",
            "variables": [{"name": "team", "values": ["red", "blue"]}],
        }],
    }));
    let read = |uri: &str| ask(&content, Target::Resource(uri.into()), None);
    assert_eq!(
        read("a://text").await.unwrap()["contents"],
        json!([{"uri": "a://text", "mimeType": "text/plain", "text": "hello"}])
    );
    assert_eq!(
        read("a://blob").await.unwrap()["contents"],
        json!([{"uri": "a://blob", "mimeType": "x/y", "blob": "YWI="}])
    );
    assert_eq!(read("a://team/red/plan").await.unwrap()["contents"][0]["text"], "plan of red");
    for unknown in ["a://other", "a://team/green/plan", "a://team/red", "a://team/red/a/b"] {
        assert_eq!(read(unknown).await, Err(CallError::Unknown), "{unknown}");
    }
    let catalogue = content.catalogue();
    let catalogue = catalogue.borrow().clone();
    let definition: Value = serde_json::from_str(catalogue.resources[1].definition.as_str()).unwrap();
    assert_eq!(definition, json!({"uri": "a://blob", "name": "blob", "mimeType": "x/y", "size": 2}));
    assert!(catalogue.completions && catalogue.prompts.is_empty());
}

#[tokio::test]
async fn files_are_read_and_nothing_outside_of_their_directory() {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("root");
    std::fs::create_dir_all(root.join("sub")).unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    std::fs::write(root.join("a.md"), "# A").unwrap();
    std::fs::write(root.join("sub/b"), [0xff, 0xfe]).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), root.join("link")).unwrap();
    std::os::unix::fs::symlink(outside.path(), root.join("up")).unwrap();
    std::os::unix::fs::symlink(root.join("a.md"), root.join("sub/inside")).unwrap();
    let content = content(json!({"fileResources": [
        {"uri": "docs:///{+path}", "path": root},
        {"uri": "a://one", "path": root.join("a.md")},
        {"uri": "a://gone", "path": root.join("gone")},
    ]}));
    let read = |uri: &str| ask(&content, Target::Resource(uri.into()), None);
    for (uri, expected) in [
        ("docs:///a.md", json!({"uri": "docs:///a.md", "mimeType": "text/markdown", "text": "# A"})),
        (
            "docs:///sub/b",
            json!({"uri": "docs:///sub/b", "mimeType": "application/octet-stream", "blob": "//4="}),
        ),
        (
            "docs:///sub/inside",
            json!({"uri": "docs:///sub/inside", "mimeType": "text/markdown", "text": "# A"}),
        ),
        ("a://one", json!({"uri": "a://one", "mimeType": "text/markdown", "text": "# A"})),
    ] {
        assert_eq!(read(uri).await.unwrap()["contents"], json!([expected]), "{uri}");
    }
    for uri in [
        "docs:///../secret",
        "docs:///sub/../../secret",
        "docs:///%2e%2e/secret",
        "docs:///..%2Fsecret",
        "docs:///link",
        "docs:///up/secret",
        "docs:////etc/passwd",
        "docs:///%2Fetc%2Fpasswd",
        "docs:///sub",
        "docs:///a.md/x",
        "docs:///a%00.md",
        "docs:///nothing",
        "docs:///",
    ] {
        assert_eq!(read(uri).await, Err(CallError::Unknown), "{uri}");
    }
    assert!(matches!(read("a://gone").await, Err(CallError::Internal(_))));
}

#[tokio::test]
async fn only_a_change_is_a_change() {
    let value = json!({"resources": [{"uri": "a://b", "text": "x"}]});
    let content = content(value.clone());
    let mut catalogue = content.catalogue();
    catalogue.borrow_and_update();
    content.replace(compile_content(&config(value)).unwrap());
    assert!(!catalogue.has_changed().unwrap());
    content.replace(compile_content(&config(json!({"resources": [{"uri": "a://c", "text": "x"}]}))).unwrap());
    assert!(catalogue.has_changed().unwrap());
}
