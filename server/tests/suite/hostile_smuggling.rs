//! Requests that a proxy in front and this server might read in two ways. Each is followed by another request, which
//! must not be answered.

use crate::harness::{Connection, server};

const SMUGGLED: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Two ends of a body: by length and by chunks.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn post(headers: &str, body: &str) -> String {
    format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_400_and_closes() {
    let server = server(|_| {}).await;
    let chunked = format!("{:x}\r\n{PING}\r\n0\r\n\r\n", PING.len());
    let length = PING.len();
    let cases = [
        (
            "length and chunks",
            post(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"), &chunked),
        ),
        (
            "chunks and length",
            post(&format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"), &chunked),
        ),
        (
            "length of nothing and chunks",
            post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", &chunked),
        ),
        ("two lengths", post(&format!("Content-Length: {length}\r\nContent-Length: 0\r\n"), PING)),
        (
            "the same length twice",
            post(&format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"), PING),
        ),
        ("lengths in a list", post(&format!("Content-Length: {length}, {length}\r\n"), PING)),
        ("a length with a sign", post(&format!("Content-Length: +{length}\r\n"), PING)),
        ("a negative length", post("Content-Length: -1\r\n", PING)),
        ("a length in hexadecimal", post("Content-Length: 0x28\r\n", PING)),
        ("a length beyond all numbers", post("Content-Length: 99999999999999999999\r\n", PING)),
        ("chunks twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", &chunked)),
        (
            "chunks, then something else",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", &chunked),
        ),
        ("chunks of another kind", post("Transfer-Encoding: xchunked\r\n", &chunked)),
        ("chunks within identity", post("Transfer-Encoding: chunked, identity\r\n", &chunked)),
        ("a space before the colon", post("Transfer-Encoding : chunked\r\n", &chunked)),
        ("a folded header", post("Transfer-Encoding:\r\n chunked\r\n", &chunked)),
        ("a folded value", post(&format!("X-Folded: a\r\n b\r\nContent-Length: {length}\r\n"), PING)),
        ("a line feed alone", post(&format!("X-A: b\nContent-Length: {length}\r\n"), PING)),
        ("a line feed alone at the end", post(&format!("Content-Length: {length}\n"), PING)),
        ("a carriage return alone", post(&format!("X-A: b\rContent-Length: {length}\r\n"), PING)),
        ("a NUL in a header", post(&format!("X-A: b\0\r\nContent-Length: {length}\r\n"), PING)),
        ("a header without a name", post(&format!(": b\r\nContent-Length: {length}\r\n"), PING)),
        (
            "chunks in HTTP/1.0",
            post("Transfer-Encoding: chunked\r\n", &chunked).replace("HTTP/1.1", "HTTP/1.0"),
        ),
        (
            "a chunk size with a prefix",
            post("Transfer-Encoding: chunked\r\n", &chunked.replace("28\r\n", "0x28\r\n")),
        ),
        (
            "a chunk size with a sign",
            post("Transfer-Encoding: chunked\r\n", &chunked.replace("28\r\n", "+28\r\n")),
        ),
        (
            "a chunk size beyond all numbers",
            post("Transfer-Encoding: chunked\r\n", &chunked.replace("28\r\n", "fffffffffffffffff\r\n")),
        ),
        (
            "a chunk that is longer than it says",
            post("Transfer-Encoding: chunked\r\n", &chunked.replace("28\r\n", "2\r\n")),
        ),
        (
            "a chunk size that ends in a line feed alone",
            post("Transfer-Encoding: chunked\r\n", &chunked.replace("28\r\n", "28\n")),
        ),
        (
            "two hosts",
            post(&format!("Host: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n"), PING),
        ),
        (
            "an absolute request line and another host",
            post(&format!("Content-Length: {length}\r\nConnection: close\r\n"), PING)
                .replace("/mcp", "http://127.0.0.1/mcp"),
        ),
    ];
    for (what, request) in cases {
        let mut connection = Connection::open(server.address).await;
        connection.write(request + SMUGGLED).await;
        let response = connection.read().await.unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(response.status, 400, "{what}: {response:?}");
        let second = connection.read().await;
        assert!(second.is_none(), "{what}: {second:?}");
    }
}

#[tokio::test]
async fn what_can_be_read_in_one_way_is_answered_and_so_is_what_follows() {
    let server = server(|_| {}).await;
    let chunked = format!("{:X};name=value\r\n{PING}\r\n0\r\nX-Trailer: a\r\n\r\n", PING.len());
    for request in [
        post(&format!("Content-Length: {}\r\n", PING.len()), PING),
        post("Transfer-Encoding: chunked\r\n", &chunked),
        post(&format!("Content-Length: {}\r\n", PING.len()), PING).replace("/mcp", "http://localhost/mcp"),
        format!("\r\n{}", post(&format!("content-length:{}\r\n", PING.len()), PING)),
    ] {
        let mut connection = Connection::open(server.address).await;
        connection.write(format!("{request}{SMUGGLED}")).await;
        assert_eq!(connection.read().await.unwrap().status, 200, "{request}");
        assert_eq!(connection.read().await.unwrap().body, "ok\n");
    }
}
