//! What declared tools answer with: how much it may be, and what is no text.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::declared::Tools;
use crate::upstream::Upstream;

/// Nearly as much as `maxResponse` and `maxOutput` can be.
const LARGE: usize = (16 << 20) - 1024;

#[tokio::test]
async fn an_answer_may_be_as_large_as_the_settings_allow_at_most() {
    let upstream = Upstream::start(|request: Request<Bytes>| async move {
        let (kind, body) = match request.uri().path() {
            "/text" => ("text/plain", "x".repeat(LARGE)),
            _ => ("application/json", json!({"data": "y".repeat(LARGE - 100), "n": 1}).to_string()),
        };
        Response::builder().header("content-type", kind).body(Full::new(body.into())).unwrap()
    })
    .await;
    let tool = |name: &str, path: &str, rest: Value| {
        let mut http = json!({"url": upstream.url(path), "maxResponse": "16Mi"});
        http.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"name": name, "http": http})
    };
    let print = format!("yes xxxxxxx | head -c {LARGE}");
    let tools = Tools::new(&json!({"tools": [
        tool("text", "/text", json!({})),
        tool("whole", "/json", json!({})),
        tool("part", "/json", json!({"result": {"pointer": "/data"}})),
        {"name": "command", "command": {"argv": ["sh", "-c", print], "maxOutput": "16Mi"}},
        {"name": "little", "http": {"url": upstream.url("/text")}},
    ]}));
    assert_eq!(tools.text("text", json!({})).await.len(), LARGE);
    assert_eq!(tools.call("whole", json!({})).await["structuredContent"]["n"], 1);
    assert_eq!(tools.text("part", json!({})).await.len(), LARGE - 100);
    assert!(tools.text("command", json!({})).await.len() >= LARGE - 1);
    assert!(tools.error("little", json!({})).await.contains("larger than 1048576 bytes"));
}

#[tokio::test]
async fn bytes_that_are_no_text_become_images_or_sound_or_an_error_and_never_garbage() {
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x01\xff";
    let upstream = Upstream::start(|request: Request<Bytes>| async move {
        let (kind, body) = match request.uri().path() {
            "/png" => ("image/png", PNG),
            "/sniffed" => ("application/octet-stream", PNG),
            "/audio" => ("audio/mpeg", &b"\xff\xfb\x90"[..]),
            "/latin" => ("text/plain; charset=iso-8859-1", &b"gr\xfc\xdfe"[..]),
            "/json" => ("application/json; charset=windows-1252", &b"{\"price\":\"5 \x80\"}"[..]),
            "/bom" => ("application/json", &b"\xef\xbb\xbf{\"a\":1}"[..]),
            "/svg" => ("image/svg+xml", &b"<svg/>"[..]),
            "/pdf" => ("application/pdf", &b"%PDF-1.7 \xff"[..]),
            "/wrong" => ("text/plain", &b"gr\xfc\xdfe"[..]),
            _ => ("text/plain; charset=shift_jis", &b"\x93"[..]),
        };
        let status = if request.uri().query() == Some("fails") { 500 } else { 200 };
        Response::builder().status(status).header("content-type", kind).body(Full::new(body.into())).unwrap()
    })
    .await;
    let tool = |path: &str, name: &str, rest: Value| {
        let mut http = json!({"url": upstream.url(path), "retries": 0});
        http.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"name": name, "http": http})
    };
    let mut declared: Vec<_> =
        ["png", "sniffed", "audio", "latin", "json", "bom", "svg", "pdf", "wrong", "cut"]
            .map(|name| tool(&format!("/{name}"), name, json!({})))
            .into();
    declared.push(tool("/latin", "cel", json!({"result": {"cel": "body + '!'"}})));
    declared.push(tool("/pdf", "bad_cel", json!({"result": {"cel": "body"}})));
    declared.push(tool("/png", "pointer", json!({"result": {"pointer": "/a"}})));
    declared.push(tool("/png?fails", "fails", json!({})));
    declared.push(json!({"name": "draw", "command": {"argv": ["printf", "\\211PNG\\r\\n\\032\\n\\377"]}}));
    declared.push(json!({"name": "noise", "command": {"argv": ["printf", "\\377\\376"]}}));
    let tools = Tools::new(&json!({ "tools": declared }));

    for (name, kind, mime_type, bytes) in [
        ("png", "image", "image/png", PNG),
        ("sniffed", "image", "image/png", PNG),
        ("audio", "audio", "audio/mpeg", b"\xff\xfb\x90"),
        ("draw", "image", "image/png", b"\x89PNG\r\n\x1a\n\xff"),
    ] {
        let result = tools.call(name, json!({})).await;
        let expected = json!([{"type": kind, "data": BASE64_STANDARD.encode(bytes), "mimeType": mime_type}]);
        assert_eq!((result.get("isError"), &result["content"]), (None, &expected), "{name}");
    }
    assert_eq!(tools.text("latin", json!({})).await, "grüße");
    assert_eq!(tools.text("cel", json!({})).await, "grüße!");
    assert_eq!(tools.call("json", json!({})).await["structuredContent"], json!({"price": "5 €"}));
    assert_eq!(tools.call("bom", json!({})).await["structuredContent"], json!({"a": 1}));
    assert_eq!(tools.text("svg", json!({})).await, "<svg/>");
    for (name, said) in [
        ("pdf", "application/pdf (10 bytes)"),
        ("bad_cel", "application/pdf"),
        ("pointer", "not JSON but image/png"),
        ("wrong", "text/plain (5 bytes)"),
        ("cut", "text/plain"),
        ("noise", "2 bytes that are neither text"),
        ("fails", "500"),
    ] {
        let error = tools.error(name, json!({})).await;
        assert!(error.contains(said) && !error.contains('\u{fffd}'), "{name}: {error}");
    }
}
