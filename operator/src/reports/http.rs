//! The question as an HTTP request: one connection each, for it is asked once in minutes.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mcp_server_config::constants::TROUBLES_PATH;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Answer, Ask, WAIT};

/// How long a connection may take: the pod is in the same cluster, or out of reach.
const CONNECT: Duration = Duration::from_secs(3);
/// How long an answer may take beyond the wait.
const ANSWER: Duration = Duration::from_secs(10);
/// The most bytes of an answer.
const MOST: usize = 64 << 10;

/// Asks pods over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Http {
    /// How long a pod may hold a request.
    pub wait: Duration,
}

impl Default for Http {
    fn default() -> Self {
        Self { wait: WAIT }
    }
}

impl Ask for Http {
    fn ask(&self, pod: SocketAddr, since: String) -> BoxFuture<'_, Result<Answer, String>> {
        async move {
            let connect = timeout(CONNECT, TcpStream::connect(pod));
            let stream = connect.await.map_err(|_| "the connection takes too long".to_owned())?;
            let stream = stream.map_err(|error| error.to_string())?;
            let exchange = timeout(self.wait + ANSWER, exchange(stream, pod, &since, self.wait));
            exchange.await.map_err(|_| "the answer takes too long".to_owned())?
        }
        .boxed()
    }
}

async fn exchange(stream: TcpStream, pod: SocketAddr, since: &str, wait: Duration) -> Result<Answer, String> {
    let (mut sender, connection) =
        http1::handshake::<_, Body>(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let ask = async {
        let request = Request::get(format!("{TROUBLES_PATH}?since={since}&wait={}", wait.as_secs()))
            .header(header::HOST, pod.to_string())
            .header(header::CONNECTION, "close")
            .body(Body::empty())
            .map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(format!("the answer is {status}"));
        }
        let body =
            to_bytes(Body::new(response.into_body()), MOST).await.map_err(|error| error.to_string())?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        // It goes into the next request line.
        if !answer.version.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err("the version in the answer is not made of letters and digits".to_owned());
        }
        Ok(answer)
    };
    // The connection does the work, and ends with this future.
    let mut connection = std::pin::pin!(connection);
    let mut ask = std::pin::pin!(ask);
    let mut open = true;
    loop {
        tokio::select! {
            answer = &mut ask => return answer,
            _ended = &mut connection, if open => open = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::{RawQuery, State};
    use axum::routing::get;

    use super::*;
    use crate::reports::Said;

    type Seen = Arc<Mutex<Vec<String>>>;

    /// An endpoint that gives this answer, and the queries that it got.
    async fn endpoint(status: StatusCode, body: &'static str) -> (SocketAddr, Seen) {
        let seen = Seen::default();
        let answer = move |State(seen): State<Seen>, RawQuery(query): RawQuery| async move {
            seen.lock().unwrap().push(query.unwrap());
            (status, body)
        };
        let router = Router::new().route(TROUBLES_PATH, get(answer)).with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(crate::admin::serve(listener, router, tokio_util::sync::CancellationToken::new()));
        (address, seen)
    }

    #[tokio::test]
    async fn a_pod_is_asked_with_what_is_known() {
        let body = r#"{"version": "b2", "troubles": [{"part": "auth", "message": "no keys"}], "more": 1}"#;
        let (pod, seen) = endpoint(StatusCode::OK, body).await;
        let answer = Http::default().ask(pod, "a1".to_owned()).await.unwrap();
        let said = Said { part: "auth".to_owned(), message: "no keys".to_owned() };
        assert_eq!(answer, Answer { version: "b2".to_owned(), troubles: vec![said] });
        assert_eq!(*seen.lock().unwrap(), ["since=a1&wait=300"]);
    }

    #[tokio::test]
    async fn whatever_else_answers_is_an_error_and_bounded() {
        let huge: &'static str =
            Box::leak(format!("{{\"version\": \"{}\"}}", "a".repeat(MOST)).into_boxed_str());
        for (status, body) in [
            (StatusCode::NOT_FOUND, "nothing here"),
            (StatusCode::OK, "<html>"),
            (StatusCode::OK, r#"{"version": "a b", "troubles": []}"#),
            (StatusCode::OK, huge),
        ] {
            let (pod, _) = endpoint(status, body).await;
            assert!(Http::default().ask(pod, String::new()).await.is_err(), "{status}");
        }
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(Http::default().ask(closed, String::new()).await.is_err());
    }

    #[tokio::test]
    async fn a_pod_that_never_answers_is_given_up() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pod = silent.local_addr().unwrap();
        let held = tokio::spawn(async move { silent.accept().await.unwrap() });
        let ask = async {
            let stream = TcpStream::connect(pod).await.unwrap();
            timeout(Duration::from_millis(50), exchange(stream, pod, "", Duration::ZERO)).await
        };
        assert!(ask.await.is_err());
        held.abort();
    }
}
