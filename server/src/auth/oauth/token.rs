//! JSON Web Tokens: signature and claims (RFC 7515, 7519, 8725, 9068).

use mcp_server_config::SignatureAlgorithm;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth::oauth::Invalid;
use crate::auth::oauth::jwk::{KeySet, decode, named};
use crate::auth::oauth::settings::Settings;
use crate::auth::principal::{Principal, PrincipalKind, sorted_scopes};

/// A longer token is refused without looking at it.
pub const MAX_TOKEN: usize = 16 * 1024;
/// The longest name of a subject.
const MAX_SUBJECT: usize = 512;

/// A token taken apart; nothing of it is believed yet.
#[derive(Debug)]
pub struct Jwt<'t> {
    pub algorithm: SignatureAlgorithm,
    pub key_id: Option<String>,
    /// What its header says that it is.
    pub source: Source,
    signed: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// Whether a text has the shape of a token in the compact form: three parts, of which the first begins like an object.
#[must_use]
pub fn looks_like_jwt(token: &str) -> bool {
    token.starts_with("ey") && token.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl<'t> Jwt<'t> {
    /// Takes a token apart. Keys that it brings along or points to (`jwk`, `jku`, `x5c`, `x5u`) are not looked at.
    ///
    /// # Errors
    /// Where it is none, or says something that this server does not understand.
    pub fn parse(token: &'t str, allowed: &[SignatureAlgorithm]) -> Result<Self, Invalid> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Invalid::Shape)?;
        let (header, payload) = signed.split_once('.').ok_or(Invalid::Shape)?;
        let header = decode(header).ok_or(Invalid::Shape)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| Invalid::Shape)?;
        let algorithm =
            named(&header.alg).filter(|algorithm| allowed.contains(algorithm)).ok_or(Invalid::Algorithm)?;
        // An extension that must be understood is not (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(Invalid::Shape);
        }
        let source = header.typ.as_deref().map_or(Some(Source::Jwt), source_of).ok_or(Invalid::Shape)?;
        let signature = decode(signature).ok_or(Invalid::Shape)?;
        Ok(Self { algorithm, key_id: header.kid, source, signed, payload, signature })
    }

    /// The claims, if one of the keys signed them; none where no key is called so.
    ///
    /// # Errors
    /// Where the signature is not right, or what was signed is no set of claims.
    pub fn verify(&self, keys: &KeySet) -> Option<Result<Map<String, Value>, Invalid>> {
        let mut candidates = keys.named(self.key_id.as_deref()).peekable();
        candidates.peek()?;
        let signed = self.signed.as_bytes();
        Some(if candidates.any(|key| key.signed(self.algorithm, signed, &self.signature)) {
            let claims = decode(self.payload).ok_or(Invalid::Shape);
            claims.and_then(|claims| serde_json::from_slice(&claims).map_err(|_| Invalid::Shape))
        } else {
            Err(Invalid::Signature)
        })
    }
}

/// What a `typ` says. Other kinds of tokens of the same issuer (for logging out, for proofs) are signed with the same keys.
fn source_of(typ: &str) -> Option<Source> {
    let typ = typ.to_ascii_lowercase();
    match typ.strip_prefix("application/").unwrap_or(&typ) {
        "at+jwt" => Some(Source::AccessToken),
        "jwt" => Some(Source::Jwt),
        _ => None,
    }
}

/// Whether claims are those of an ID token (OpenID Connect Core, section 2), which tells a client who logged in and is no
/// credential. It is signed with the same keys, and its audience is the client's id. Some authorization servers say which it is
/// (`typ` of Keycloak, `token_use` of Cognito); some write `nonce` into access tokens as well, but then scopes beside it.
fn is_id_token(claims: &Map<String, Value>) -> bool {
    let says = |name: &str, word: &str| {
        claims.get(name).and_then(Value::as_str).is_some_and(|text| text.eq_ignore_ascii_case(word))
    };
    let has = |names: &[&str]| names.iter().any(|name| claims.contains_key(*name));
    says("typ", "ID")
        || says("token_use", "id")
        || has(&["at_hash", "c_hash", "s_hash"])
        || (has(&["nonce"]) && !has(&["scope", "scp"]))
}

/// A caller, and until when a token vouches for it.
#[derive(Debug)]
pub struct Vouched {
    pub principal: Principal,
    /// Seconds since the epoch, with the clock skew.
    pub until: u64,
}

/// Checks claims, be they from a token or from an introspection.
///
/// # Errors
/// Where they are somebody else's, of another time, or name nobody.
pub fn check(
    claims: Map<String, Value>,
    settings: &Settings,
    now: u64,
    source: Source,
) -> Result<Vouched, Invalid> {
    let issuer = claims.get("iss");
    // What an introspection endpoint says, its issuer says: the claim is optional there.
    if issuer.and_then(Value::as_str) != Some(&settings.issuer)
        && !(source == Source::Introspection && issuer.is_none())
    {
        return Err(Invalid::Issuer);
    }
    if source != Source::AccessToken && is_id_token(&claims) {
        return Err(Invalid::IdToken);
    }
    // An ID token is for the client, too.
    if source == Source::Jwt && settings.audience_is_client {
        return Err(Invalid::Untyped);
    }
    if !texts(claims.get("aud")).any(|audience| settings.audiences.iter().any(|ours| ours == audience)) {
        return Err(Invalid::Audience);
    }
    let skew = settings.clock_skew.as_secs();
    let until = match (time(claims.get("exp"))?, source) {
        (Some(expires), _) => expires.saturating_add(skew),
        (None, Source::Introspection) => u64::MAX,
        (None, Source::AccessToken | Source::Jwt) => return Err(Invalid::Claims),
    };
    if now >= until {
        return Err(Invalid::Expired);
    }
    if time(claims.get("nbf"))?.is_some_and(|begins| begins > now.saturating_add(skew)) {
        return Err(Invalid::NotYet);
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let id = match (text("sub"), text("client_id")) {
        (Some(subject), _) => subject.to_owned(),
        // A program that asked on its own behalf. No subject is called so by accident.
        (None, Some(client)) => format!("client:{client}"),
        (None, None) => return Err(Invalid::Claims),
    };
    if id.len() > MAX_SUBJECT || id.chars().any(char::is_control) {
        return Err(Invalid::Claims);
    }
    // `scope` is the standard's (RFC 8693, section 4.2), `scp` is what large providers write.
    let scopes = ["scope", "scp"].into_iter().flat_map(|name| texts(claims.get(name)));
    let scopes = sorted_scopes(scopes.flat_map(|text| text.split(' ')).filter(|scope| !scope.is_empty()));
    let principal = Principal { scopes, ..Principal::new(id, PrincipalKind::Token) };
    Ok(Vouched { principal: Principal { claims: Some(claims), ..principal }, until })
}

/// Where claims come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A JWT whose header says that it is an access token (`at+jwt`, RFC 9068, section 2.1).
    AccessToken,
    /// A JWT that does not say what it is.
    Jwt,
    Introspection,
}

/// The texts of a claim that is one text or a list of them.
fn texts(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match claim {
        Some(Value::String(text)) => (Some(text.as_str()), &[][..]),
        Some(Value::Array(items)) => (None, items.as_slice()),
        _ => (None, &[][..]),
    };
    one.into_iter().chain(many.iter().filter_map(Value::as_str))
}

/// Seconds since the epoch; a fraction is cut off.
fn time(claim: Option<&Value>) -> Result<Option<u64>, Invalid> {
    let Some(claim) = claim.filter(|claim| !claim.is_null()) else { return Ok(None) };
    if let Some(seconds) = claim.as_u64() {
        return Ok(Some(seconds));
    }
    let seconds = claim.as_f64().filter(|seconds| (0.0..=1e15).contains(seconds)).ok_or(Invalid::Claims)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
    Ok(Some(seconds as u64))
}
