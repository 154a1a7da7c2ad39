//! Declared tools that ask an upstream, against upstreams of all kinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use mcp_server::backend::{Backend as _, Call, CallError, Outcome};
use mcp_server::protocol::raw::Raw;
use serde_json::{Value, json};

use crate::declared::{Tools, cx, hurried};
use crate::harness::reaches;
use crate::upstream::{Authority, Upstream, text};

fn one(tool: Value) -> Value {
    json!({"tools": [tool]})
}

/// An upstream that says what it was asked.
async fn mirror() -> Upstream {
    Upstream::start(|request: Request<Bytes>| async move {
        let headers: serde_json::Map<_, _> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
            .collect();
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let seen = json!({"method": request.method().as_str(), "url": request.uri().to_string(), "headers": headers, "body": body});
        Response::builder().header("content-type", "application/json").body(Full::new(seen.to_string().into())).unwrap()
    })
    .await
}

#[tokio::test]
async fn arguments_are_values_wherever_they_stand() {
    let upstream = mirror().await;
    let tools = Tools::new(&json!({"tools": [
        {"name": "get", "http": {
            "url": upstream.url("/a%20b/{{args.id}}/x-{{args.id}}?fixed=1&q={{args.q}}"),
            "query": [
                {"name": "tag&", "value": "{{args.tags}}"}, {"name": "gone", "value": "{{args.gone}}"},
                {"name": "n", "value": "{{args.n}}"}, {"name": "mixed", "value": "<{{args.q}}>"}
            ],
            "headers": [
                {"name": "X-Note", "value": "n={{args.n}}"},
                {"name": "Authorization", "prefix": "Bearer ", "secret": {"env": "TOKEN"}}
            ]}},
        {"name": "post", "http": {"url": upstream.url("/"), "body": {"json": {
            "whole": "{{args.big}}", "text": "say \"{{args.q}}\"", "gone": "{{args.gone}}", "list": ["{{args.q}}", 1.50],
            "deep": {"o": "{{args.o}}", "null": "{{args.null}}"}, "plain": "x\\{{y"}}}},
        {"name": "put", "http": {"method": "PUT", "url": upstream.url("/t"), "body": {"text": "<{{args.q}}>"},
            "headers": [{"name": "Content-Type", "value": "application/xml"}]}},
        {"name": "all", "http": {"url": upstream.url("/all"), "body": {"json": "{{args}}"}}}
    ]}));
    let seen = async |tool: &str, arguments: Value| -> Value {
        serde_json::from_str(&tools.text(tool, arguments).await).unwrap()
    };
    let got = seen("get", json!({"id": "ü/../?#&=%", "q": "a b+c", "tags": ["x y", 2], "n": 5})).await;
    assert_eq!(
        got["url"],
        "/a%20b/%C3%BC%2F..%2F%3F%23%26%3D%25/x-%C3%BC%2F..%2F%3F%23%26%3D%25?fixed=1&q=a%20b%2Bc&tag%26=x%20y&tag%26=2&n=5&mixed=%3Ca%20b%2Bc%3E"
    );
    assert_eq!(
        (&got["headers"]["x-note"], &got["headers"]["authorization"]),
        (&json!("n=5"), &json!("Bearer canary-token"))
    );
    assert_eq!(got["method"], "GET");

    // Digits beyond what a double holds must survive, which `json!` could not write.
    let arguments = r#"{"big":123456789012345678901234567890,"q":"\"},{","o":{"k":[true]},"null":null}"#;
    let call = Call::tool("post", Some(Raw::check(arguments.into()).unwrap()));
    let Ok(Outcome::Complete(answer)) = tools.tools.clone().call(call, cx(None)).await else { panic!() };
    assert!(!answer.is_error);
    let body = upstream.seen.last().body().clone();
    let body = std::str::from_utf8(&body).unwrap();
    assert!(body.contains(r#""whole":123456789012345678901234567890"#), "{body}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["text"], "say \"\"},{\"");
    assert_eq!(body["list"], json!(["\"},{", 1.5]));
    assert_eq!(body["deep"], json!({"o": {"k": [true]}, "null": null}));
    assert_eq!((body.get("gone"), &body["plain"]), (None, &json!("x{{y")));
    assert_eq!(upstream.seen.last().headers()["content-type"], "application/json");

    let put = seen("put", json!({"q": "a\nb"})).await;
    assert_eq!(
        (&put["method"], &put["body"], &put["headers"]["content-type"]),
        (&json!("PUT"), &json!("<a\nb>"), &json!("application/xml"))
    );
    assert_eq!(seen("all", json!({"a": {"b": 1}})).await["body"], r#"{"a":{"b":1}}"#);
}

#[tokio::test]
async fn arguments_that_do_not_fit_their_place_never_leave_the_server() {
    let upstream = mirror().await;
    let tools = Tools::new(&json!({"tools": [
        {"name": "path", "http": {"method": "DELETE", "url": upstream.url("/users/{{args.id}}")}},
        {"name": "header", "http": {"url": upstream.url("/"), "headers": [{"name": "X-A", "value": "{{args.a}}"}]}},
        {"name": "body", "http": {"url": upstream.url("/"), "body": {"json": ["{{args.a}}", "{{args.b.c}} "]}}},
        {"name": "schema", "inputSchema": {"type": "object", "required": ["n"]}, "http": {"url": upstream.url("/")}}
    ]}));
    for id in [json!(""), json!("."), json!("..")] {
        assert!(tools.error("path", json!({"id": id})).await.contains("part of a path"));
    }
    assert!(tools.error("path", json!({"id": null})).await.starts_with("Missing arguments: id."));
    assert!(tools.error("header", json!({"a": "x\r\nX-Evil: 1"})).await.contains("header x-a"));
    assert!(tools.error("body", json!({})).await.starts_with("Missing arguments: a, b.c."));
    assert!(tools.error("schema", json!({})).await.contains("input schema"));
    assert_eq!(upstream.seen.count(), 0);
}

#[tokio::test]
async fn a_host_that_is_filled_in_leads_nowhere_private() {
    let upstream = mirror().await;
    let tool = one(
        json!({"name": "t", "http": {"url": format!("http://{{{{args.host}}}}:{}/", upstream.address.port())}}),
    );
    let tools = Tools::new(&tool);
    for host in ["127.0.0.1", "localhost"] {
        assert!(tools.error("t", json!({"host": host})).await.contains("not a public address"), "{host}");
    }
    for host in ["127.0.0.1/x?", "u@127.0.0.1", "127.0.0.1:80", "[::1]", "a#"] {
        assert!(tools.error("t", json!({"host": host})).await.contains("host name"), "{host}");
    }
    assert_eq!(upstream.seen.count(), 0);
    let mut allowed = tool;
    allowed["outbound"] = json!({"allowPrivate": ["127.0.0.0/8", "localhost"]});
    assert!(Tools::new(&allowed).text("t", json!({"host": "127.0.0.1"})).await.contains("GET"));
}

#[tokio::test]
async fn the_result_is_what_the_tool_says() {
    let upstream = Upstream::start(|request: Request<Bytes>| async move {
        let (kind, body) = match request.uri().path() {
            "/text" => ("text/html", "<b>hi</b>".to_owned()),
            "/number" => ("application/json", r#"{"n":123456789012345678901234567890}"#.to_owned()),
            "/string" => ("application/problem+json", r#""just text""#.to_owned()),
            "/twice" => ("application/json", r#"{"a":1,"a":2}"#.to_owned()),
            "/bytes" => ("application/json", "\u{0}".to_owned()),
            "/large" => ("application/json", format!("[{}1]", "1,".repeat(20_000))),
            _ => (
                "application/json",
                "{\"data\":{\"items\":[{\"name\":\"a\"},\n{\"name\":\"b\"}],\"a/b\":\"x\"}}".to_owned(),
            ),
        };
        Response::builder()
            .header("content-type", kind)
            .header("X-Kind", "k")
            .body(Full::new(body.into()))
            .unwrap()
    })
    .await;
    let tool = |name: &str, path: &str, rest: Value| {
        let mut http = json!({"url": upstream.url(path)});
        http.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"name": name, "http": http})
    };
    let mut promised = tool("promised", "/", json!({"result": {"pointer": "/data"}}));
    promised["outputSchema"] = json!({"type": "object", "required": ["total"]});
    let tools = Tools::new(&json!({"tools": [
        tool("text", "/text", json!({})), tool("number", "/number", json!({})), tool("string", "/string", json!({})),
        tool("twice", "/twice", json!({})), tool("bytes", "/bytes", json!({})), tool("large", "/large", json!({})),
        tool("items", "/", json!({"result": {"pointer": "/data/items"}})),
        tool("escaped", "/", json!({"result": {"pointer": "/data/a~1b"}})),
        tool("nothing", "/", json!({"result": {"pointer": "/data/none"}})),
        tool("cel", "/", json!({"result": {"cel": "{'names': body.data.items.map(i, i.name), 'ok': status == 200, 'kind': headers['x-kind'], 'asked': args.q}"}})),
        tool("first", "/", json!({"result": {"cel": "body.data.items[0].name"}})),
        tool("page", "/text", json!({"result": {"cel": "body + '!'"}})),
        tool("broken", "/", json!({"result": {"cel": "body.data.missing"}})),
        promised
    ]}));
    assert_eq!(tools.text("text", json!({})).await, "<b>hi</b>");
    assert_eq!(tools.text("string", json!({})).await, "just text");
    let answer = tools.call_with("number", &json!({}), cx(None)).await.unwrap();
    assert!(answer.result.as_str().contains(r#""structuredContent":{"n":123456789012345678901234567890}"#));
    // What is no JSON that can be passed on is a text.
    assert_eq!(tools.text("twice", json!({})).await, r#"{"a":1,"a":2}"#);
    assert_eq!(tools.text("bytes", json!({})).await, "\u{0}");
    assert_eq!(tools.call("large", json!({})).await["structuredContent"].as_array().unwrap().len(), 20_001);
    assert_eq!(
        tools.call("items", json!({})).await["structuredContent"],
        json!([{"name": "a"}, {"name": "b"}])
    );
    assert_eq!(tools.text("escaped", json!({})).await, "x");
    assert!(tools.error("nothing", json!({})).await.contains("nothing at /data/none"));
    let expected = json!({"names": ["a", "b"], "ok": true, "kind": "k", "asked": "why"});
    assert_eq!(tools.call("cel", json!({"q": "why"})).await["structuredContent"], expected);
    assert_eq!(tools.text("first", json!({})).await, "a");
    assert_eq!(tools.text("page", json!({})).await, "<b>hi</b>!");
    assert!(tools.error("broken", json!({})).await.contains("could not work out"));
    assert!(tools.error("promised", json!({})).await.contains("not what the tool promises"));
}

#[tokio::test]
async fn complaints_of_an_upstream_are_shown_in_part_and_without_secrets() {
    let upstream = Upstream::start(|request: Request<Bytes>| async move {
        match request.uri().path() {
            "/moved" => Response::builder()
                .status(307)
                .header("location", "http://127.0.0.1/")
                .body(Full::default())
                .unwrap(),
            "/large" => text(200, vec![b'x'; 4096]),
            "/empty" => text(204, ""),
            _ => text(403, format!("bad token canary-token\r\n{}", "y".repeat(1000))),
        }
    })
    .await;
    let tool = |name: &str| {
        json!({"name": name, "http": {"url": upstream.url(&format!("/{name}")), "maxResponse": "2Ki",
            "headers": [{"name": "X-Key", "secret": {"env": "TOKEN"}}]}})
    };
    let tools = Tools::new(&json!({"tools": [tool("no"), tool("moved"), tool("large"), tool("empty")]}));
    let error = tools.error("no", json!({})).await;
    assert!(error.starts_with("The upstream answered 403 Forbidden: bad token [redacted]"), "{error}");
    assert!(error.chars().count() < 400);
    assert!(tools.error("moved", json!({})).await.contains("not followed"));
    assert!(tools.error("large", json!({})).await.contains("larger than 2048 bytes"));
    assert!(tools.text("empty", json!({})).await.contains("204"));
    assert_eq!(upstream.seen.count(), 4);

    let down = one(json!({"name": "down", "http": {"url": "http://127.0.0.1:1/x?key=canary", "retries": 0}}));
    let error = Tools::new(&down).error("down", json!({})).await;
    assert!(error.contains("cannot connect to 127.0.0.1:1") && !error.contains("canary"), "{error}");
}

#[tokio::test]
async fn a_request_is_sent_again_only_where_that_does_no_harm() {
    let left = Arc::new(AtomicUsize::new(0));
    let failing = left.clone();
    let upstream = Upstream::start(move |request: Request<Bytes>| {
        let fails =
            failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        async move {
            match (fails, request.uri().path()) {
                (true, "/later") => Response::builder()
                    .status(503)
                    .header("retry-after", "3600")
                    .body(Full::default())
                    .unwrap(),
                (true, _) => text(503, "not now"),
                _ => text(200, "done"),
            }
        }
    })
    .await;
    let tool = |name: &str, method: &str, path: &str, annotations: Value| json!({"name": name, "annotations": annotations, "http": {"method": method, "url": upstream.url(path)}});
    let tools = Tools::new(&json!({"tools": [
        tool("get", "GET", "/", json!({})), tool("unsafe_get", "GET", "/", json!({"readOnlyHint": false})),
        tool("post", "POST", "/", json!({})), tool("same_post", "POST", "/", json!({"idempotentHint": true})),
        tool("later", "GET", "/later", json!({}))
    ]}));
    for (name, failures, asked, succeeds) in [
        ("get", 2, 3, true),
        ("get", 3, 3, false),
        ("unsafe_get", 1, 1, false),
        ("post", 1, 1, false),
        ("same_post", 1, 2, true),
        // An hour is more than anybody waits.
        ("later", 1, 1, false),
    ] {
        let before = upstream.seen.count();
        left.store(failures, Ordering::SeqCst);
        let result = tools.call(name, json!({})).await;
        assert_eq!(result.get("isError").is_none(), succeeds, "{name}: {result}");
        assert_eq!(upstream.seen.count() - before, asked, "{name}");
        left.store(0, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_call_ends_at_its_time_and_when_nobody_waits_and_takes_the_request_back() {
    let upstream = Upstream::start(|_| async { std::future::pending().await }).await;
    let tools = Tools::new(&json!({"tools": [
        {"name": "short", "http": {"url": upstream.url("/"), "timeout": "30ms"}},
        {"name": "long", "http": {"url": upstream.url("/")}}
    ]}));
    assert!(tools.error("short", json!({})).await.contains("did not answer"));
    reaches(&upstream.seen.dropped, 1).await;
    assert!(matches!(tools.call_with("long", &json!({}), hurried()).await, Err(CallError::Timeout)));
    reaches(&upstream.seen.dropped, 2).await;
    let context = cx(None);
    let cancel = context.cancel.clone();
    let arguments = json!({});
    let (called, ()) = tokio::join!(tools.call_with("long", &arguments, context), async {
        reaches(&upstream.seen.begun, 3).await;
        cancel.cancel();
    });
    assert!(matches!(called, Err(CallError::Cancelled)));
    reaches(&upstream.seen.dropped, 3).await;
}

#[tokio::test]
async fn a_secret_in_a_file_is_read_and_one_that_is_missing_is_told_to_the_log_only() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "from-file\n").unwrap();
    let authority = Authority::new();
    let upstream = Upstream::start_tls(&authority, |request: Request<Bytes>| async move {
        text(200, request.headers()["x-key"].as_bytes().to_vec())
    })
    .await;
    let url = format!("https://localhost:{}/", upstream.address.port());
    let tool = |name: &str, file: &str| json!({"name": name, "http": {"url": url, "headers": [{"name": "X-Key", "secret": {"file": file}}]}});
    let document =
        json!({"tools": [tool("there", file.to_str().unwrap()), tool("missing", "/nowhere/canary-path")]});
    let tools = Tools::with(&document, Some(&authority));
    assert_eq!(tools.text("there", json!({})).await, "from-file");
    // Gone for a moment, as while a mounted Secret is swapped: the last good one stays.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(tools.text("there", json!({})).await, "from-file");
    let error = tools.error("missing", json!({})).await;
    assert!(error.contains("lacks a secret") && !error.contains("canary"), "{error}");
}

#[tokio::test]
async fn a_full_pool_is_blamed_on_the_pool_and_not_on_the_upstream() {
    let upstream = Upstream::start(|_| async { std::future::pending().await }).await;
    let tools = Tools::new(&json!({"performance": {"connectionPoolSize": 1}, "tools": [
        {"name": "holds", "http": {"url": upstream.url("/")}},
        {"name": "waits", "http": {"url": upstream.url("/"), "timeout": "300ms"}}
    ]}));
    let context = cx(None);
    let cancel = context.cancel.clone();
    let arguments = json!({});
    let (held, error) = tokio::join!(tools.call_with("holds", &arguments, context), async {
        reaches(&upstream.seen.begun, 1).await;
        let error = tools.error("waits", json!({})).await;
        cancel.cancel();
        error
    });
    assert!(matches!(held, Err(CallError::Cancelled)));
    let expected = format!(
        "The tool could not ask its upstream: no connection to {} became free within 270 ms: the pool holds 1 (performance.connectionPoolSize), all in use.",
        upstream.address
    );
    // The time is as long as it took, to a few milliseconds.
    let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(shape(&error), shape(&expected), "{error}");
}
