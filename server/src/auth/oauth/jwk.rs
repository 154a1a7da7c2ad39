//! The public keys of an authorization server (RFC 7517), read one by one: what is no use to us is left out.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use mcp_server_config::SignatureAlgorithm::{
    self, ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::auth::fingerprint::Fingerprint;

/// Keys of one set that are looked at.
const MAX_KEYS: usize = 64;

/// Why a text is no set of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    #[error("it is not a set of keys (a JSON object with a list of keys)")]
    Shape(#[source] serde_json::Error),
    #[error("it has no key that can be used with the accepted algorithms")]
    Empty,
}

/// The usable keys of a set.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

/// One key.
pub struct PublicKey {
    id: Option<String>,
    /// Each algorithm that the key may be used with, ready to verify.
    verifiers: Vec<(SignatureAlgorithm, ParsedPublicKey)>,
    fingerprint: Fingerprint,
}

#[derive(Deserialize)]
struct Document<'t> {
    #[serde(borrow)]
    keys: Vec<&'t RawValue>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set. Keys of unknown kinds, for other uses, with other algorithms, or that cannot be read are left out.
    ///
    /// # Errors
    /// Where it is no set, or nothing of it is left.
    pub fn parse(text: &[u8], allowed: &[SignatureAlgorithm]) -> Result<Self, KeySetError> {
        let document: Document<'_> = serde_json::from_slice(text).map_err(KeySetError::Shape)?;
        let keys: Vec<_> =
            document.keys.iter().take(MAX_KEYS).filter_map(|key| PublicKey::parse(key, allowed)).collect();
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self { keys }) }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that a token may be signed with which names `kid`. A set whose keys have no names is searched whole.
    pub fn named<'s>(&'s self, kid: Option<&'s str>) -> impl Iterator<Item = &'s PublicKey> {
        self.keys.iter().filter(move |key| match (kid, &key.id) {
            (Some(kid), Some(id)) => kid == id,
            (None, _) | (_, None) => true,
        })
    }

    /// Whether every key of `earlier` is still in this set.
    #[must_use]
    pub fn includes(&self, earlier: &Self) -> bool {
        earlier.keys.iter().all(|old| self.keys.iter().any(|key| key.fingerprint == old.fingerprint))
    }
}

impl PublicKey {
    fn parse(text: &RawValue, allowed: &[SignatureAlgorithm]) -> Option<Self> {
        let jwk: Jwk = serde_json::from_str(text.get()).ok()?;
        let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !for_signatures {
            return None;
        }
        let fits: &[SignatureAlgorithm] = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => &[RS256, RS384, RS512, PS256, PS384, PS512],
            ("EC", Some("P-256")) => &[ES256],
            ("EC", Some("P-384")) => &[ES384],
            ("EC", Some("P-521")) => &[ES512],
            ("OKP", Some("Ed25519")) => &[EdDSA],
            // Among them "oct": a secret that is published is none.
            _ => return None,
        };
        let own = |algorithm: &SignatureAlgorithm| {
            jwk.alg.as_deref().is_none_or(|alg| named(alg) == Some(*algorithm))
        };
        let verifiers: Vec<_> = fits
            .iter()
            .filter(|algorithm| allowed.contains(algorithm) && own(algorithm))
            .filter_map(|algorithm| Some((*algorithm, jwk.verifier(*algorithm)?)))
            .collect();
        (!verifiers.is_empty()).then(|| Self {
            id: jwk.kid,
            verifiers,
            fingerprint: Fingerprint::of(text.get().as_bytes()),
        })
    }

    /// Whether `signature` is that of `message` by this key. False where the key is not for that algorithm.
    #[must_use]
    pub fn signed(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let verifier = self.verifiers.iter().find(|(own, _)| *own == algorithm);
        verifier.is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Jwk {
    fn verifier(&self, algorithm: SignatureAlgorithm) -> Option<ParsedPublicKey> {
        match algorithm {
            RS256 => self.rsa(&RSA_PKCS1_2048_8192_SHA256),
            RS384 => self.rsa(&RSA_PKCS1_2048_8192_SHA384),
            RS512 => self.rsa(&RSA_PKCS1_2048_8192_SHA512),
            PS256 => self.rsa(&RSA_PSS_2048_8192_SHA256),
            PS384 => self.rsa(&RSA_PSS_2048_8192_SHA384),
            PS512 => self.rsa(&RSA_PSS_2048_8192_SHA512),
            ES256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.point(32)?).ok(),
            ES384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, self.point(48)?).ok(),
            ES512 => ParsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, self.point(66)?).ok(),
            EdDSA => ParsedPublicKey::new(&ED25519, decode(self.x.as_deref()?)?).ok(),
        }
    }

    fn rsa(&self, parameters: &'static RsaParameters) -> Option<ParsedPublicKey> {
        let number = |text: &Option<String>| {
            let bytes = decode(text.as_deref()?)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Some(bytes[zeros..].to_vec())
        };
        let (n, e) = (number(&self.n)?, number(&self.e)?);
        // From 2048 to 8192 bits: the verifier would say so only of each signature.
        if !(256..=1024).contains(&n.len()) {
            return None;
        }
        RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()
    }

    /// The point of an elliptic curve, uncompressed (SEC 1, section 2.3.3). Some servers leave out leading zeros.
    fn point(&self, length: usize) -> Option<Vec<u8>> {
        let mut point = vec![4];
        for coordinate in [&self.x, &self.y] {
            let bytes = decode(coordinate.as_deref()?)?;
            point.resize(point.len() + length.checked_sub(bytes.len())?, 0);
            point.extend(bytes);
        }
        Some(point)
    }
}

/// The algorithm that is called so in tokens; none where it is none of ours, as with "none" and "HS256".
#[must_use]
pub fn named(name: &str) -> Option<SignatureAlgorithm> {
    Some(match name {
        "RS256" => RS256,
        "RS384" => RS384,
        "RS512" => RS512,
        "PS256" => PS256,
        "PS384" => PS384,
        "PS512" => PS512,
        "ES256" => ES256,
        "ES384" => ES384,
        "ES512" => ES512,
        "EdDSA" => EdDSA,
        _ => return None,
    })
}

/// Base64url without padding, as RFC 7515 writes everything.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}
