//! Who may call: `auth.*`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{Case, Running, fresh};
use crate::idp::{Behaviour, Idp};

/// Where tokens are for, as the case's server says.
const PUBLIC_URL: &str = "https://mcp.example.com/mcp";

pub(super) async fn enabled(case: Case) {
    case.with(json!({"auth": {"api_key": "key-one"}}))
        .shows([(json!(true), "401"), (json!(false), "200")], async |running| {
            running.status(&[]).await.to_string()
        })
        .await;
}

pub(super) async fn api_keys_file(case: Case) {
    let file = |key: &str| json!({"keys": [{"id": "ci", "key": key}]});
    required(case)
        .beside("one.json", file("key-one"))
        .beside("two.json", file("key-two"))
        .shows([(json!("one.json"), "key-one"), (json!("two.json"), "key-two")], accepted)
        .await;
}

pub(super) async fn api_key(case: Case) {
    required(case).shows([(json!("key-one"), "key-one"), (json!("key-two"), "key-two")], accepted).await;
}

pub(super) async fn auth_type(case: Case) {
    let idp = idp(true).await;
    required(case)
        .with(json!({"auth": {"api_key": "key-one", "oauth2_auth_server": idp.issuer()}}))
        .with(CLIENT.clone())
        .shows([(json!("api_key"), "401"), (json!("oauth2"), "200")], token)
        .await;
}

pub(super) async fn oauth2_auth_server(case: Case) {
    let (one, two) = (idp(true).await, idp(false).await);
    required(case)
        .with(json!({"auth": {"auth_type": "oauth2"}}))
        .with(CLIENT.clone())
        .shows([(json!(one.issuer()), "200"), (json!(two.issuer()), "401")], token)
        .await;
}

/// As whom the server asks about tokens: `part` of the name and the password that it shows.
pub(super) async fn oauth2_client(
    case: Case,
    [one, two]: [&str; 2],
    part: impl Fn((String, String)) -> String,
) {
    let idp = idp(true).await;
    required(case)
        .with(CLIENT.clone())
        .with(json!({"auth": {"auth_type": "oauth2", "oauth2_auth_server": idp.issuer()}}))
        .shows([(json!(one), one), (json!(two), two)], async |running| {
            token(running).await;
            let requests = idp.upstream.seen.requests.lock().unwrap();
            let question = requests.iter().rfind(|request| request.uri().path() == "/introspect");
            let Some(question) = question else { return "no question".to_owned() };
            let credentials = question.headers()["authorization"].to_str().unwrap();
            let credentials = BASE64_STANDARD.decode(credentials.strip_prefix("Basic ").unwrap()).unwrap();
            let credentials = String::from_utf8(credentials).unwrap();
            let (name, password) = credentials.split_once(':').unwrap();
            part((name.to_owned(), password.to_owned()))
        })
        .await;
}

static CLIENT: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| {
    json!({
        "auth": {"oauth2_client_id": "mcp", "oauth2_client_secret": "secret"},
        "http": {"publicURL": PUBLIC_URL},
    })
});

/// Looks try wrong keys again and again.
fn required(case: Case) -> Case {
    case.with(json!({"auth": {"enabled": true, "maxFailuresPerMinute": 100_000}}))
}

/// Which key is let in.
async fn accepted(running: &Running) -> String {
    let mut found = Vec::new();
    for key in ["key-one", "key-two"] {
        if running.status(&[("X-API-Key", key)]).await == 200 {
            found.push(key);
        }
    }
    found.join(" and ")
}

/// What becomes of a call with a token that nobody has seen before.
async fn token(running: &Running) -> String {
    running.status(&[("Authorization", &format!("Bearer opaque-{}", fresh()))]).await.to_string()
}

/// An authorization server that knows every token, or none.
async fn idp(active: bool) -> Idp {
    let answer = json!({"active": active, "sub": "ada", "aud": PUBLIC_URL});
    Idp::start(Behaviour { introspection: Some((200, answer)), ..Behaviour::default() }).await
}
