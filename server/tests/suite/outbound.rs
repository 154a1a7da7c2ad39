//! The server as a client, against upstreams of all kinds.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use mcp_server::observe::health::State;
use mcp_server::outbound::{Client, Doing, Guard, OutboundError, Terms, UpstreamStatus};
use mcp_server_config::ServiceConfig;
use prometheus::{Registry, TextEncoder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::harness::{PATIENCE, reaches};
use crate::upstream::{Authority, Upstream, raw, text};

fn client(change: impl FnOnce(&mut ServiceConfig)) -> Client {
    let mut config = ServiceConfig::default();
    change(&mut config);
    Client::new(&config, None, &Registry::new()).unwrap()
}

fn terms(guard: Guard) -> Terms {
    Terms::new(guard, 1 << 20, Instant::now() + PATIENCE)
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

async fn ask(client: &Client, url: &str) -> Result<Response<Bytes>, OutboundError> {
    client.send(get(url), terms(Guard::Configured)).await
}

/// Asks for something, and does not wait for long.
async fn ask_in_a_hurry(client: &Client, url: &str) -> OutboundError {
    let deadline = Instant::now() + Duration::from_millis(20);
    client.send(get(url), Terms { deadline, ..terms(Guard::Configured) }).await.unwrap_err()
}

/// Asks beside the test; the status is that of the answer.
fn asking(client: &Client, upstream: &Upstream) -> JoinHandle<u16> {
    let (client, url) = (client.clone(), upstream.url("/"));
    tokio::spawn(async move { ask(&client, &url).await.unwrap().status().as_u16() })
}

async fn all_answered(asked: impl IntoIterator<Item = JoinHandle<u16>>) {
    for asked in asked {
        assert_eq!(asked.await.unwrap(), 200);
    }
}

/// How the only upstream fares.
fn only(client: &Client) -> UpstreamStatus {
    let mut all = client.upstreams();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// An upstream that answers one request for each permit.
async fn gated() -> (Upstream, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let at_gate = gate.clone();
    let upstream = Upstream::start(move |_| {
        let gate = at_gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            text(200, "")
        }
    });
    (upstream.await, gate)
}

/// Answers one request and hangs up.
async fn once(mut stream: TcpStream, answer: &'static str) {
    let _request = stream.read(&mut [0; 1024]).await;
    let _sent = stream.write_all(answer.as_bytes()).await;
}

#[tokio::test]
async fn one_connection_serves_many_requests_one_after_another() {
    let upstream = Upstream::start(|request| async move { text(200, request.uri().to_string()) }).await;
    let registry = Registry::new();
    let client = Client::new(&ServiceConfig::default(), None, &registry).unwrap();
    for n in 0..20 {
        let path = format!("/a?n={n}");
        let response = ask(&client, &upstream.url(&path)).await.unwrap();
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, path.as_bytes()));
    }
    assert_eq!(*upstream.seen.connections.borrow(), 1);
    let status = only(&client);
    assert_eq!((status.open, status.idle, status.in_use, status.requests, status.waits), (1, 1, 0, 20, 0));
    assert_eq!((status.state, status.failures, status.last_error), (State::Healthy, 0, None));
    assert_eq!((status.upstream, status.reuse_ratio), (upstream.address.to_string(), 0.95));
    assert_eq!(upstream.seen.last().headers()["host"], upstream.address.to_string());
    let metrics = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for line in [
        format!("mcp_server_upstream_connects_total{{upstream=\"{}\"}} 1", upstream.address),
        format!("mcp_server_upstream_reused_total{{upstream=\"{}\"}} 19", upstream.address),
        format!("mcp_server_upstream_requests_total{{outcome=\"2xx\",upstream=\"{}\"}} 20", upstream.address),
    ] {
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn there_are_no_more_connections_than_allowed_and_the_rest_wait() {
    let (upstream, gate) = gated().await;
    let client = client(|config| config.performance.connection_pool_size = Some(2));
    let asked: Vec<_> = (0..6).map(|_| asking(&client, &upstream)).collect();
    reaches(&upstream.seen.begun, 2).await;
    let error = ask_in_a_hurry(&client, &upstream.url("/")).await;
    assert!(matches!(error, OutboundError::Timeout { doing: Doing::Waiting, .. }), "{error}");
    gate.add_permits(6);
    all_answered(asked).await;
    assert_eq!((*upstream.seen.most.borrow(), *upstream.seen.connections.borrow()), (2, 2));
    let status = only(&client);
    assert_eq!((status.waits, status.waiting, status.in_use, status.limit), (5, 0, 0, 2));
    assert_eq!((status.state, status.failures), (State::Healthy, 0), "waiting is no fault of the upstream");
}

#[tokio::test]
async fn fewer_connections_after_a_reload() {
    let (upstream, gate) = gated().await;
    let client = client(|config| config.performance.connection_pool_size = Some(3));
    let asked = [(); 3].map(|()| asking(&client, &upstream));
    reaches(&upstream.seen.begun, 3).await;
    let mut config = ServiceConfig::default();
    config.performance.connection_pool_size = Some(1);
    client.reconfigure(&config);
    gate.add_permits(3);
    all_answered(asked).await;
    let asked = [(); 2].map(|()| asking(&client, &upstream));
    reaches(&upstream.seen.begun, 4).await;
    let status = only(&client);
    assert_eq!((status.in_use, status.limit), (1, 1));
    gate.add_permits(2);
    all_answered(asked).await;
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_bound_and_no_further() {
    let announced = Upstream::start(|_| async { text(200, vec![b'x'; 2 << 20]) }).await;
    let (endless, _accepting) = raw(|mut stream| async move {
        let _request = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
        while stream.write_all(&chunk).await.is_ok() {}
    })
    .await;
    let client = client(|_| {});
    for url in [announced.url("/"), format!("http://{endless}/")] {
        let error = ask(&client, &url).await.unwrap_err();
        assert!(matches!(error, OutboundError::TooLarge { limit: 1_048_576, .. }), "{error}");
    }
    let at_the_bound = Terms { limit: 2 << 20, ..terms(Guard::Configured) };
    assert_eq!(client.send(get(&announced.url("/")), at_the_bound).await.unwrap().body().len(), 2 << 20);
}

#[tokio::test]
async fn redirects_are_answers() {
    let upstream = Upstream::start(|_| async {
        Response::builder().status(302).header("location", "/elsewhere").body(Full::default()).unwrap()
    })
    .await;
    let response = ask(&client(|_| {}), &upstream.url("/")).await.unwrap();
    assert_eq!((response.status().as_u16(), upstream.seen.count()), (302, 1));
}

#[tokio::test]
async fn learned_urls_lead_nowhere_private_unless_allowed() {
    let upstream = Upstream::start(|_| async { text(200, "{\"secret\":1}") }).await;
    let port = upstream.address.port();
    let places = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "169.254.169.254",
    ];
    let closed = client(|_| {});
    for place in places {
        let url = format!("http://{place}:{port}/latest/meta-data?token=canary-41");
        let error = closed.get_json::<Value>(&url, terms(Guard::Learned)).await.unwrap_err();
        assert!(matches!(error, OutboundError::Private { .. }), "{place}: {error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    // Other spellings of an address are names; where the system's resolver knows them, they are judged all the same.
    for place in ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"] {
        let error =
            closed.send(get(&format!("http://{place}:{port}/")), terms(Guard::Learned)).await.unwrap_err();
        assert!(
            matches!(error, OutboundError::Private { .. } | OutboundError::Resolve { .. }),
            "{place}: {error}"
        );
    }
    assert_eq!(upstream.seen.count(), 0);

    // A connection that the configuration was allowed to open is not there for others.
    ask(&closed, &upstream.url("/")).await.unwrap();
    assert!(closed.send(get(&upstream.url("/")), terms(Guard::Learned)).await.is_err());

    for entry in ["127.0.0.0/8", "localhost"] {
        let open = client(|config| config.outbound.allow_private = vec![entry.into(), "::1".into()]);
        let url = format!("http://localhost:{port}/");
        assert_eq!(open.get_json::<Value>(&url, terms(Guard::Learned)).await.unwrap(), json!({"secret": 1}));
        assert_eq!(upstream.seen.last().headers()["host"], format!("localhost:{port}"));
        open.reconfigure(&ServiceConfig::default());
        let error = open.send(get(&url), terms(Guard::Learned)).await.unwrap_err();
        assert!(matches!(error, OutboundError::Private { .. }), "{error}");
    }
}

#[tokio::test]
async fn tls_is_believed_where_the_authority_is_known_and_the_name_fits() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(&authority, |_| async { text(200, "[1]") }).await;
    let url = format!("https://localhost:{}/", upstream.address.port());
    let error = ask(&client(|_| {}), &url).await.unwrap_err();
    assert!(matches!(error, OutboundError::Tls { .. }), "{error}");

    let knowing = Client::new(&ServiceConfig::default(), Some(&authority.bundle), &Registry::new()).unwrap();
    assert_eq!(knowing.get_json::<Value>(&url, terms(Guard::Configured)).await.unwrap(), json!([1]));
    assert_eq!(knowing.get_json::<Value>(&url, terms(Guard::Configured)).await.unwrap(), json!([1]));
    assert_eq!(only(&knowing).reuse_ratio, 0.5);
    let by_address = format!("https://{}/", upstream.address);
    let error = ask(&knowing, &by_address).await.unwrap_err();
    assert!(matches!(error, OutboundError::Tls { .. }), "the certificate is for localhost: {error}");

    let missing = std::path::Path::new("/nonexistent/ca.pem");
    assert!(Client::new(&ServiceConfig::default(), Some(missing), &Registry::new()).is_err());
}

#[tokio::test]
async fn whoever_stops_waiting_takes_the_request_back() {
    let upstream = Upstream::start(|_| async { std::future::pending().await }).await;
    let client = client(|_| {});
    let waiting = asking(&client, &upstream);
    reaches(&upstream.seen.begun, 1).await;
    waiting.abort();
    reaches(&upstream.seen.dropped, 1).await;
    let status = only(&client);
    assert_eq!((status.in_use, status.idle, status.state), (0, 0, State::Unknown));

    let error = ask_in_a_hurry(&client, &upstream.url("/x?key=canary-7")).await;
    assert!(matches!(error, OutboundError::Timeout { doing: Doing::Answering, .. }), "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");
    reaches(&upstream.seen.dropped, 2).await;
}

#[tokio::test]
async fn a_server_that_hangs_up_between_requests_is_asked_again() {
    // Answers once and closes, as a server does whose keep-alive time is over, but without saying so.
    let (address, _accepting) =
        raw(|stream| once(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")).await;
    let client = client(|_| {});
    for _ in 0..20 {
        assert_eq!(ask(&client, &format!("http://{address}/")).await.unwrap().body().as_ref(), b"ok");
    }
    assert_eq!(only(&client).state, State::Healthy);
}

#[tokio::test]
async fn an_upstream_that_is_down_is_told_of_and_so_is_its_return() {
    let upstream = Upstream::start(|_| async { text(200, "") }).await;
    let (address, url) = (upstream.address, upstream.url("/"));
    let client = client(|_| {});
    assert_eq!(client.told().state, State::NotUsed);
    drop(upstream);
    for failures in 1..=3 {
        assert!(ask(&client, &url).await.is_err());
        let status = only(&client);
        assert_eq!((status.failures, status.consecutive_failures), (failures, failures));
        assert_eq!(status.state, State::Unhealthy, "it never answered");
        assert!(status.last_error.is_some_and(|error| error.contains(&address.to_string())));
    }
    let told = client.told();
    assert!(told.state == State::Unhealthy && told.details.contains(&address.to_string()), "{told:?}");

    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            once(stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    assert_eq!(ask(&client, &url).await.unwrap().status(), 204);
    let status = only(&client);
    assert_eq!((status.state, status.failures, status.consecutive_failures), (State::Healthy, 3, 0));
    assert_eq!((client.told().state, status.last_error), (State::Healthy, None));
    serving.abort();
    assert!(serving.await.is_err());
    // One that did answer may fail now and then.
    for state in [State::Healthy, State::Healthy, State::Unhealthy] {
        assert!(ask(&client, &url).await.is_err());
        assert_eq!(only(&client).state, state);
    }
}

#[tokio::test]
async fn what_is_not_json_is_said_without_showing_it() {
    let upstream = Upstream::start(|request| async move {
        match request.uri().path() {
            "/missing" => text(404, "{}"),
            "/zip" => Response::builder().header("content-encoding", "gzip").body(Full::default()).unwrap(),
            _ => text(200, "canary-body"),
        }
    })
    .await;
    let client = client(|_| {});
    let get = async |path: &str| {
        client.get_json::<Value>(&upstream.url(path), terms(Guard::Configured)).await.unwrap_err()
    };
    assert!(matches!(get("/missing").await, OutboundError::Status { status: 404, .. }));
    assert!(matches!(get("/zip").await, OutboundError::Encoded { .. }));
    let error = get("/").await;
    assert!(matches!(error, OutboundError::Json { .. }), "{error}");
    assert!(!error.to_string().contains("canary"));
    let unreadable = client.get_json::<Value>("http://a b/", terms(Guard::Configured)).await;
    assert!(matches!(unreadable, Err(OutboundError::Url(_))));
}

#[tokio::test]
async fn what_the_configuration_names_is_shown_unasked_and_no_longer_than_it_is_named() {
    let client = client(|_| {});
    let names = |client: &Client| client.upstreams().into_iter().map(|it| it.upstream).collect::<Vec<_>>();
    client.declare(["https://b.example", "http://a.example:8080", "https://b.example:443"].into_iter());
    assert_eq!(names(&client), ["a.example:8080", "b.example:443"]);
    assert!(client.upstreams().iter().all(|upstream| upstream.state == State::Unknown));
    assert_eq!(client.told().state, State::Unknown);
    let upstream = Upstream::start(|_| async { text(200, "") }).await;
    ask(&client, &upstream.url("/")).await.unwrap();
    assert_eq!((client.told().state, client.upstreams().len()), (State::Healthy, 3));
    client.declare(["http://a.example:8080"].into_iter());
    let mut left = [upstream.address.to_string(), "a.example:8080".to_owned()];
    left.sort();
    assert_eq!(names(&client), left, "what was asked a moment ago stays");
    client.forget(Instant::now());
    assert_eq!(names(&client), ["a.example:8080"]);
    ask(&client, &upstream.url("/")).await.unwrap();
    assert_eq!(names(&client), left);
}
