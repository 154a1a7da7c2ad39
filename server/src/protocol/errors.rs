//! What can be wrong with a request, as clients see it: a JSON-RPC code and an HTTP status.
//!
//! Codes from -32768 to -32000 belong to JSON-RPC and the specification. Refusals of our own (limits, keys, media
//! types) have no code there; they use the number of their HTTP status, which no specification reserves.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::json;

use crate::protocol::era::{Era, SUPPORTED_VERSIONS};
use crate::protocol::raw::{Raw, RawError};

/// Why a request was not answered with a result.
#[derive(Clone, Debug)]
pub struct Fault {
    pub code: Code,
    /// For people: what is wrong and the next step.
    pub message: Cow<'static, str>,
    /// What lies behind it, for the log alone.
    pub cause: Option<Box<str>>,
    /// For programs, where the specification asks for it.
    pub data: Option<Raw>,
    /// After how many seconds it is worth trying again, where it is.
    pub retry_after: Option<u32>,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The body is not JSON.
    Parse,
    /// JSON, but not one JSON-RPC message.
    InvalidRequest,
    /// A method that this server does not have.
    MethodNotFound,
    /// Parameters that do not fit the method.
    InvalidParams,
    /// A resource that there is not, told to a client of 2025-11-25 or before.
    ResourceNotFound,
    /// Parameters whose `_meta` does not say what every modern request must say.
    MalformedMeta,
    /// A failure of this server.
    Internal,
    /// A header and the body disagree.
    HeaderMismatch,
    /// The client did not declare a capability that the answer needs.
    MissingClientCapability,
    /// A protocol version that is not served.
    UnsupportedVersion,
    /// No key, or a wrong one.
    Unauthorized,
    /// Credentials that cannot be read.
    MalformedCredentials,
    /// Nobody can say just now whether the credentials are good.
    AuthUnavailable,
    /// A host or an origin that is not allowed, or credentials for too little.
    Forbidden,
    /// No such path.
    WrongPath,
    /// An HTTP method other than POST.
    MethodNotAllowed,
    /// The client takes none of the media types that are spoken here.
    NotAcceptable,
    /// The request took too long to arrive.
    SlowRequest,
    /// The body is larger than allowed.
    TooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The caller asks too often.
    TooManyRequests,
    /// No room for more work just now.
    Overloaded,
    /// The answer took longer than allowed.
    Timeout,
    /// The caller took the question back.
    Cancelled,
}

impl Fault {
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), cause: None, data: None, retry_after: code.retry_after() }
    }

    /// A version that is not served; `data` names those that are (specification, "Protocol Version Negotiation").
    #[must_use]
    pub fn unsupported_version(requested: &str) -> Self {
        Self {
            code: Code::UnsupportedVersion,
            message: format!("protocol version {requested:?} is not supported").into(),
            cause: None,
            data: Some(Raw::of(&json!({"supported": SUPPORTED_VERSIONS, "requested": requested}))),
            retry_after: None,
        }
    }

    /// A resource that there is not, in the words of its era.
    #[must_use]
    pub fn resource_not_found(uri: &str, era: Era) -> Self {
        let code = match era {
            Era::Modern => Code::InvalidParams,
            Era::Legacy(_) => Code::ResourceNotFound,
        };
        let data = Some(Raw::of(&json!({"uri": uri})));
        Self { data, ..Self::new(code, format!("unknown resource {uri:?}")) }
    }

    /// The client did not declare what an answer needs; `capabilities` is an object of what it should have declared.
    #[must_use]
    pub fn missing_capability(
        message: impl Into<Cow<'static, str>>,
        capabilities: &serde_json::Value,
    ) -> Self {
        let data = Some(Raw::of(&json!({"requiredCapabilities": capabilities})));
        Self { data, ..Self::new(Code::MissingClientCapability, message) }
    }

    #[must_use]
    pub fn method_not_found(method: &str) -> Self {
        Self::new(Code::MethodNotFound, format!("method {method:?} not found"))
    }
}

impl From<RawError> for Fault {
    fn from(error: RawError) -> Self {
        let code = match error {
            RawError::Syntax(_) => Code::Parse,
            RawError::TooDeep | RawError::DuplicateKey(_) => Code::InvalidRequest,
        };
        Self::new(code, error.to_string())
    }
}

impl Code {
    /// The code in the JSON-RPC error.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Parse => -32700,
            Self::InvalidRequest | Self::MethodNotAllowed => -32600,
            Self::MethodNotFound => -32601,
            Self::InvalidParams | Self::MalformedMeta => -32602,
            Self::ResourceNotFound => -32002,
            Self::Internal => -32603,
            Self::HeaderMismatch => -32020,
            Self::MissingClientCapability => -32021,
            Self::UnsupportedVersion => -32022,
            Self::MalformedCredentials => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::WrongPath => 404,
            Self::NotAcceptable => 406,
            Self::SlowRequest => 408,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::TooManyRequests => 429,
            Self::Cancelled => 499,
            Self::Overloaded | Self::AuthUnavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// The HTTP status of the response. What goes wrong in a call is answered in band, as the SDKs of both eras
    /// expect; what is wrong with the message or the connection has a status of its own. `era` is absent where the
    /// message was refused before it could be known.
    #[must_use]
    pub const fn status(self, era: Option<Era>) -> StatusCode {
        match self {
            Self::Parse
            | Self::InvalidRequest
            | Self::MalformedCredentials
            | Self::MalformedMeta
            | Self::HeaderMismatch
            | Self::MissingClientCapability
            | Self::UnsupportedVersion => StatusCode::BAD_REQUEST,
            Self::MethodNotFound => match era {
                Some(Era::Legacy(_)) => StatusCode::OK,
                _ => StatusCode::NOT_FOUND,
            },
            Self::InvalidParams | Self::ResourceNotFound | Self::Internal | Self::Timeout => StatusCode::OK,
            // There is no answer, as after a notification: clients skip that.
            Self::Cancelled => StatusCode::ACCEPTED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::WrongPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::SlowRequest => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            // SDKs of older revisions end their session at an error status: what is only a matter of waiting must not
            // cost them the calls that are still being answered.
            Self::TooManyRequests => match era {
                Some(Era::Legacy(_)) => StatusCode::OK,
                _ => StatusCode::TOO_MANY_REQUESTS,
            },
            Self::Overloaded => match era {
                Some(Era::Legacy(_)) => StatusCode::OK,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            },
            Self::AuthUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// After how many seconds it is worth trying again, where it is and nobody knows better.
    #[must_use]
    const fn retry_after(self) -> Option<u32> {
        match self {
            Self::TooManyRequests | Self::Overloaded => Some(1),
            Self::AuthUnavailable => Some(5),
            _ => None,
        }
    }

    /// How metrics call it.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Parse | Self::InvalidRequest => "invalid_request",
            Self::MethodNotFound => "method_not_found",
            Self::InvalidParams | Self::ResourceNotFound | Self::MalformedMeta => "invalid_params",
            Self::Internal => "internal_error",
            Self::HeaderMismatch => "header_mismatch",
            Self::MissingClientCapability => "missing_capability",
            Self::UnsupportedVersion => "unsupported_version",
            Self::Unauthorized | Self::MalformedCredentials => "unauthorized",
            Self::AuthUnavailable => "auth_unavailable",
            Self::Forbidden => "forbidden",
            Self::WrongPath => "wrong_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotAcceptable | Self::UnsupportedMediaType => "wrong_media_type",
            Self::SlowRequest => "slow_request",
            Self::TooLarge => "too_large",
            Self::TooManyRequests => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::era::LegacyVersion;

    #[test]
    fn codes_and_statuses_of_both_eras() {
        let legacy = Some(Era::Legacy(LegacyVersion::V2025_11_25));
        for (code, number, modern_status, legacy_status) in [
            (Code::Parse, -32700, 400, 400),
            (Code::InvalidRequest, -32600, 400, 400),
            (Code::MethodNotFound, -32601, 404, 200),
            (Code::InvalidParams, -32602, 200, 200),
            (Code::MalformedMeta, -32602, 400, 400),
            (Code::Internal, -32603, 200, 200),
            (Code::HeaderMismatch, -32020, 400, 400),
            (Code::MissingClientCapability, -32021, 400, 400),
            (Code::UnsupportedVersion, -32022, 400, 400),
            (Code::Overloaded, 503, 503, 200),
            (Code::TooManyRequests, 429, 429, 200),
        ] {
            assert_eq!(code.number(), number);
            assert_eq!(code.status(Some(Era::Modern)).as_u16(), modern_status, "{code:?}");
            assert_eq!(code.status(legacy).as_u16(), legacy_status, "{code:?}");
        }
    }

    #[test]
    fn own_codes_are_outside_the_reserved_range() {
        for code in [Code::Unauthorized, Code::Forbidden, Code::TooLarge, Code::Overloaded, Code::Timeout] {
            assert!(!(-32768..=-32000).contains(&code.number()));
        }
    }
}
