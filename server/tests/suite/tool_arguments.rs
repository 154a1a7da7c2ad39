//! What becomes of the arguments of declared tools on their way: defaults, whole numbers, names of all kinds, and that none
//! ever leaves its place.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::declared::Tools;
use crate::upstream::Upstream;

/// An upstream that says what it was asked.
async fn mirror() -> Upstream {
    Upstream::start(|request: Request<Bytes>| async move {
        let headers: serde_json::Map<_, _> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), json!(std::str::from_utf8(value.as_bytes()).unwrap())))
            .collect();
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let seen = json!({"url": request.uri().to_string(), "headers": headers, "body": body});
        Response::builder()
            .header("content-type", "application/json")
            .body(Full::new(seen.to_string().into()))
            .unwrap()
    })
    .await
}

async fn seen(tools: &Tools, tool: &str, arguments: Value) -> Value {
    serde_json::from_str(&tools.text(tool, arguments).await).unwrap()
}

#[tokio::test]
async fn a_default_of_the_schema_is_filled_in_where_an_argument_is_missing() {
    let upstream = mirror().await;
    let schema = json!({"type": "object", "required": ["limit"], "properties": {
        "limit": {"type": "integer", "default": 10},
        "page": {"type": "object", "properties": {"size": {"type": "integer", "default": 5}}},
        "tags": {"type": "array", "items": {"type": "string"}, "default": ["a", "b"]}
    }});
    let tool = |name: &str, rest: Value| {
        let mut tool = json!({"name": name, "inputSchema": schema});
        tool.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        tool
    };
    let tools = Tools::new(&json!({"tools": [
        tool("text", json!({"text": "{{args.limit}} of {{args.tags}}"})),
        tool("cel", json!({"cel": "{'limit': args.limit + 1, 'size': args.?page.?size.orValue(0)}"})),
        tool("http", json!({"http": {"url": upstream.url("/{{args.limit}}"), "query": [{"name": "tag", "value": "{{args.tags}}"}]}})),
        tool("body", json!({"http": {"url": upstream.url("/"), "body": {"json": "{{args}}"}}})),
        tool("command", json!({"command": {"argv": ["echo", "{{args.limit}}"]}})),
    ]}));
    assert_eq!(tools.text("text", json!({})).await, r#"10 of ["a","b"]"#);
    assert_eq!(tools.text("text", json!({"limit": 3, "tags": []})).await, "3 of []");
    assert_eq!(tools.call("cel", json!({})).await["structuredContent"], json!({"limit": 11, "size": 0}));
    let filled = tools.call("cel", json!({"page": {}})).await;
    assert_eq!(filled["structuredContent"], json!({"limit": 11, "size": 5}));
    assert_eq!(seen(&tools, "http", json!({})).await["url"], "/10?tag=a&tag=b");
    let body = seen(&tools, "body", json!({"page": {"x": 1}})).await["body"].as_str().unwrap().to_owned();
    assert_eq!(body, r#"{"page":{"x":1,"size":5},"limit":10,"tags":["a","b"]}"#);
    assert_eq!(tools.text("command", json!({})).await, "10");
    // Null is a value, and not one that fits.
    assert!(tools.error("text", json!({"limit": null})).await.contains("input schema"));
}

#[tokio::test]
async fn a_whole_number_is_written_as_one_and_any_name_can_be_reached() {
    let upstream = mirror().await;
    let tools = Tools::new(&json!({"tools": [
        {"name": "item", "inputSchema": {"type": "object", "properties": {"id": {"type": "integer"}, "x": {"type": "number"}}},
            "http": {"url": upstream.url("/items/{{args.id}}?x={{args.x}}"), "body": {"json": {"id": "{{args.id}}"}}}},
        {"name": "odd", "http": {"url": upstream.url("/{{args.日付}}"), "query": [
            {"name": "filter[status]", "value": "{{args[\"filter[status]\"]}}"},
            {"name": "$top", "value": "{{args.$top}}"},
            {"name": "first", "value": "{{args.list[0]['a b']}}"},
        ]}}
    ]}));
    let item = seen(&tools, "item", json!({"id": 5812.0, "x": 1.0})).await;
    assert_eq!((&item["url"], &item["body"]), (&json!("/items/5812?x=1.0"), &json!(r#"{"id":5812}"#)));
    assert!(tools.error("item", json!({"id": 5812.5, "x": 1})).await.contains("input schema"));
    let odd = json!({"日付": "2026-07-28", "filter[status]": "open", "$top": 3, "list": [{"a b": "c"}]});
    assert_eq!(seen(&tools, "odd", odd).await["url"], "/2026-07-28?filter%5Bstatus%5D=open&%24top=3&first=c");
    assert!(tools.error("odd", json!({})).await.contains("日付"));
}

#[tokio::test]
async fn an_argument_in_a_form_adds_no_field() {
    let upstream = mirror().await;
    let tools = Tools::new(
        &json!({"tools": [{"name": "find", "http": {"url": upstream.url("/"), "body": {"form": {
            "criteria": "{{args.criteria}}", "fixed": "a b", "gone": "{{args.gone}}", "tag": "{{args.tags}}", "mixed": "<{{args.criteria}}>"
        }}}}]}),
    );
    let asked = seen(&tools, "find", json!({"criteria": "a&rows=100000+ü", "tags": ["x", "y"]})).await;
    assert_eq!(
        asked["body"],
        "criteria=a%26rows%3D100000%2B%C3%BC&fixed=a%20b&mixed=%3Ca%26rows%3D100000%2B%C3%BC%3E&tag=x&tag=y"
    );
    assert_eq!(asked["headers"]["content-type"], "application/x-www-form-urlencoded");
    assert!(tools.error("find", json!({})).await.starts_with("Missing arguments: criteria."));
}

#[tokio::test]
async fn an_argument_never_leaves_the_place_that_it_was_written_for() {
    let upstream = mirror().await;
    let tools = Tools::new(&json!({"tools": [
        {"name": "path", "http": {"url": upstream.url("/a/{{args.x}}/b")}},
        {"name": "part", "http": {"url": upstream.url("/a/{{args.x}}.json")}},
        {"name": "inline", "http": {"url": upstream.url("/?q={{args.x}}&fixed=1")}},
        {"name": "query", "http": {"url": upstream.url("/"), "query": [{"name": "q", "value": "{{args.x}}"}]}},
        {"name": "form", "http": {"url": upstream.url("/"), "body": {"form": {"q": "{{args.x}}"}}}},
        {"name": "json", "http": {"url": upstream.url("/"), "body": {"json": {"q": "<{{args.x}}>"}}}},
        {"name": "header", "http": {"url": upstream.url("/"), "headers": [{"name": "X-A", "value": "{{args.x}}"}]}},
        {"name": "cookie", "http": {"url": upstream.url("/"), "headers": [{"name": "Cookie", "value": "a={{args.x}}"}]}},
        {"name": "argv", "command": {"argv": ["printf", "[%s]", "{{args.x}}", "--x={{args.x}}"]}},
        {"name": "text", "text": "<{{args.x}}>"}
    ]}));
    let hostile = [
        "../..",
        "a/../b",
        "a?b=c",
        "a#b",
        "a&b=c",
        "a;b=c",
        "a\r\nB: c",
        "a%2f..",
        "\"},{\"x\":\"",
        "\\",
        "-x",
        "--help",
        "{{args.y}}",
        "日",
    ];
    for x in hostile {
        let arguments = json!({ "x": x });
        let path = seen(&tools, "path", arguments.clone()).await["url"].as_str().unwrap().to_owned();
        assert_eq!(path.split(['/', '?', '#']).count(), 4, "{x:?}: {path}");
        let part = seen(&tools, "part", arguments.clone()).await["url"].as_str().unwrap().to_owned();
        assert!(part.ends_with(".json") && part.split(['/', '?', '#']).count() == 3, "{x:?}: {part}");
        let inline = seen(&tools, "inline", arguments.clone()).await["url"].as_str().unwrap().to_owned();
        assert_eq!(inline.split(['&', '#', ';']).count(), 2, "{x:?}: {inline}");
        for (tool, member) in [("query", "url"), ("form", "body")] {
            let asked = seen(&tools, tool, arguments.clone()).await[member].as_str().unwrap().to_owned();
            assert_eq!(asked.split(['&', '=', ';', '#']).count(), 2, "{x:?}: {asked}");
        }
        let body = seen(&tools, "json", arguments.clone()).await["body"].as_str().unwrap().to_owned();
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body, json!({"q": format!("<{x}>")}));
        match !x.contains(['\r', '\n']) {
            true => assert_eq!(seen(&tools, "header", arguments.clone()).await["headers"]["x-a"], x),
            false => assert!(tools.error("header", arguments.clone()).await.contains("header x-a"), "{x:?}"),
        }
        match x.contains([';', '"', '\\', '\r', '日']) {
            true => assert!(tools.error("cookie", arguments.clone()).await.contains("cookie"), "{x:?}"),
            false => assert_eq!(
                seen(&tools, "cookie", arguments.clone()).await["headers"]["cookie"],
                format!("a={x}")
            ),
        }
        match x.starts_with('-') {
            true => assert!(tools.error("argv", arguments.clone()).await.contains("dash"), "{x:?}"),
            false => assert_eq!(tools.text("argv", arguments.clone()).await, format!("[{x}][--x={x}]")),
        }
        assert_eq!(tools.text("text", arguments).await, format!("<{x}>"));
    }
}
