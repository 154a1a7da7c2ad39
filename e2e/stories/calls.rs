//! A server is applied and called.

use std::time::Duration;

use mcp_e2e::{Client, Era, Namespace, eventually, hello};

#[tokio::test]
async fn a_tool_answers_modern_and_legacy_clients_through_the_service() {
    let stage = Namespace::open("calls").await;
    let client = Client::start(&stage).await;
    let server = stage.serve(&hello("hello", "Hello")).await;
    let url = stage.url("hello");
    assert_eq!(serde_json::to_value(&server).unwrap()["status"]["url"], url);
    let key = stage.key("hello").await;
    for era in [Era::Modern, Era::Legacy] {
        // Service rules follow endpoints with a small delay.
        eventually("the first answer", Duration::from_secs(5), async || {
            let answer = client.greet(&url, Some(&key), era).await;
            if answer.ok { Ok(()) } else { Err(answer.text) }
        })
        .await;
        let answer = client.greet(&url, Some(&key), era).await;
        assert_eq!((answer.ok, answer.text.as_str()), (true, "Hello, Ada!"), "{era:?}");
    }
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_answered_with_401() {
    let stage = Namespace::open("keys").await;
    let client = Client::start(&stage).await;
    stage.serve(&hello("hello", "Hello")).await;
    let (url, key) = (stage.url("hello"), stage.key("hello").await);
    eventually("the right key to be let in", Duration::from_secs(5), async || {
        let answer = client.greet(&url, Some(&key), Era::Modern).await;
        if answer.ok { Ok(()) } else { Err(answer.text) }
    })
    .await;
    for era in [Era::Modern, Era::Legacy] {
        for wrong in [None, Some("wrong"), Some(&key[1..])] {
            let answer = client.greet(&url, wrong, era).await;
            assert!(!answer.ok && answer.text.contains("401"), "{era:?} {answer:?}");
            assert!(!answer.text.contains(&key), "the key must not be told");
        }
    }
}
