//! An authorization server of the test's own: it signs what it is told to, and answers as badly as a test needs.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::upstream::Upstream;

/// A key that signs tokens.
pub(crate) enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// Making one takes a while.
pub(crate) static RSA: LazyLock<Signer> = LazyLock::new(Signer::rsa);

impl Signer {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    /// The public half, as a set of keys shows it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let (n, e) = components(pair.public_key().as_ref());
                json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": encode(n), "e": encode(e)})
            }
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "kid": kid, "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with these claims.
    pub(crate) fn token(&self, kid: &str, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.algorithm(), "kid": kid, "typ": "JWT"}), claims)
    }

    /// A token with a header that may lie.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Modulus and exponent of an `RSAPublicKey` in DER: a sequence of two integers.
fn components(der: &[u8]) -> (&[u8], &[u8]) {
    fn value(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, from) = match der[1] {
            short @ 0..=0x7f => (usize::from(short), 2),
            0x81 => (usize::from(der[2]), 3),
            0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
            other => panic!("length {other}"),
        };
        der[from..].split_at(length)
    }
    let (n, rest) = value(value(der).0);
    let trimmed = |number: &'_ [u8]| number.iter().take_while(|byte| **byte == 0).count();
    let e = value(rest).0;
    (&n[trimmed(n)..], &e[trimmed(e)..])
}

/// Seconds since the epoch, some time from now.
pub(crate) fn from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

/// How the server answers.
#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    pub(crate) keys: Vec<Value>,
    /// What the metadata say instead of the truth.
    pub(crate) metadata: Value,
    /// Instead of the keys.
    pub(crate) instead: Option<(u16, Bytes)>,
    /// Before each answer.
    pub(crate) delay: Duration,
    /// The answer to a question about a token.
    pub(crate) introspection: Option<(u16, Value)>,
    /// The answer to a question about a token that begins with `odd`, and the delay before it.
    pub(crate) odd: Option<(u16, &'static str, Duration)>,
}

/// An authorization server.
pub(crate) struct Idp {
    pub(crate) upstream: Upstream,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl Idp {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let behaviour = Arc::new(Mutex::new(behaviour));
        let ours = behaviour.clone();
        let upstream = Upstream::start(move |request| {
            let behaviour = ours.lock().unwrap().clone();
            async move {
                if let Some((status, text, delay)) =
                    behaviour.odd.filter(|_| request.body().starts_with(b"token=odd"))
                {
                    tokio::time::sleep(delay).await;
                    return Response::builder().status(status).body(Full::new(text.into())).unwrap();
                }
                tokio::time::sleep(behaviour.delay).await;
                answer(&request, &behaviour)
            }
        })
        .await;
        Self { upstream, behaviour }
    }

    pub(crate) fn issuer(&self) -> String {
        self.upstream.url("")
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().unwrap());
    }

    /// Requests for a path.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.upstream
            .seen
            .requests
            .lock()
            .unwrap()
            .iter()
            .filter(|request| request.uri().path() == path)
            .count()
    }

    /// Claims that are good.
    pub(crate) fn claims(&self) -> Value {
        json!({"iss": self.issuer(), "aud": ["other", "mcp"], "sub": "ada", "exp": from_now(300), "scope": "mcp tools"})
    }
}

fn answer(request: &Request<Bytes>, behaviour: &Behaviour) -> Response<Full<Bytes>> {
    let host = request.headers().get("host").map_or("", |host| host.to_str().unwrap());
    let (status, body) = match request.uri().path() {
        "/.well-known/oauth-authorization-server" => {
            let mut metadata = json!({
                "issuer": format!("http://{host}"), "jwks_uri": format!("http://{host}/keys"),
                "introspection_endpoint": format!("http://{host}/introspect"),
            });
            if let Some(lies) = behaviour.metadata.as_object() {
                lies.iter().for_each(|(key, value)| metadata[key] = value.clone());
            }
            (200, Bytes::from(metadata.to_string()))
        }
        "/keys" => behaviour
            .instead
            .clone()
            .unwrap_or_else(|| (200, json!({"keys": behaviour.keys}).to_string().into())),
        "/introspect" => match &behaviour.introspection {
            Some((status, answer)) => (*status, answer.to_string().into()),
            None => (404, Bytes::new()),
        },
        _ => (404, Bytes::new()),
    };
    Response::builder().status(status).body(Full::new(body)).unwrap()
}
