//! Which revision of the protocol a request speaks. Decided for each request by itself, from the body first: nothing
//! is remembered of earlier ones.

use crate::protocol::envelope::{Field, Meta};
use crate::protocol::errors::{Code, Fault};

/// The modern revision, whose requests carry everything in `_meta`.
pub const MODERN: &str = "2026-07-28";

/// Every version that is served, newest first.
pub const SUPPORTED_VERSIONS: [&str; 5] = [MODERN, "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// How a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28: stateless, with `_meta` in each request.
    Modern,
    /// 2025-11-25 and before: after an `initialize`, which is not remembered here.
    Legacy(LegacyVersion),
}

impl Era {
    /// How metrics call it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Legacy(_) => "legacy",
        }
    }
}

/// A revision from before 2026-07-28.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LegacyVersion {
    /// Its HTTP transport of two endpoints is not served; its messages are.
    V2024_11_05,
    /// What a client without a version header is taken to speak. The only one with batches.
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
}

impl LegacyVersion {
    pub const ALL: [Self; 4] = [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25];

    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        Some(match text {
            "2025-11-25" => Self::V2025_11_25,
            "2025-06-18" => Self::V2025_06_18,
            "2025-03-26" => Self::V2025_03_26,
            "2024-11-05" => Self::V2024_11_05,
            _ => return None,
        })
    }

    /// What to answer a client that asks for a version in its `initialize`: that one if it is served, else the newest
    /// legacy one. Never a modern one: it has no handshake.
    #[must_use]
    pub fn negotiate(asked: Option<&str>) -> Self {
        asked.and_then(Self::find).unwrap_or(Self::V2025_11_25)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }
}

/// Decides the era of a request. `header` is the value of `MCP-Protocol-Version`, absent on stdio.
///
/// A modern request that passes may still disagree with its headers; [`crate::protocol::headers`] looks at that before
/// [`served`] looks at the version.
///
/// # Errors
/// Where the request is neither era's: a modern one without its `_meta`, or a version that never was.
pub fn decide(meta: &Meta<'_>, method: &str, header: Option<&str>) -> Result<Era, Fault> {
    match (&meta.protocol_version, method, header) {
        (Field::Text(_), ..) => Ok(Era::Modern),
        (Field::Wrong, ..) => {
            Err(malformed("_meta[\"io.modelcontextprotocol/protocolVersion\"] is not a string"))
        }
        (Field::Absent, "initialize", _) => Ok(Era::Legacy(LegacyVersion::V2025_11_25)),
        (Field::Absent, "server/discover", _) => Err(without_version()),
        (Field::Absent, _, Some(version)) if is_modern(version) => Err(without_version()),
        (Field::Absent, _, Some(version)) => {
            LegacyVersion::find(version).map(Era::Legacy).ok_or_else(|| Fault::unsupported_version(version))
        }
        (Field::Absent, _, None) => Ok(Era::Legacy(LegacyVersion::V2025_03_26)),
    }
}

/// Checks that a modern request asks for a version that is served, and carries what every modern request must.
///
/// # Errors
/// Where it does not.
pub fn served(meta: &Meta<'_>) -> Result<(), Fault> {
    match meta.protocol_version.text() {
        Some(MODERN) => {}
        other => return Err(Fault::unsupported_version(other.unwrap_or_default())),
    }
    if !meta.client_capabilities.is_some_and(|capabilities| capabilities.starts_with('{')) {
        return Err(malformed("_meta[\"io.modelcontextprotocol/clientCapabilities\"] must be an object"));
    }
    if meta.client_info.is_some_and(|info| !info.starts_with('{')) {
        return Err(malformed("_meta[\"io.modelcontextprotocol/clientInfo\"] is not an object"));
    }
    match &meta.log_level {
        Field::Absent => Ok(()),
        Field::Text(level) if LOG_LEVELS.contains(&level.as_ref()) => Ok(()),
        _ => Err(Fault::new(
            Code::InvalidParams,
            format!("_meta[\"io.modelcontextprotocol/logLevel\"] must be one of {}", LOG_LEVELS.join(", ")),
        )),
    }
}

/// Levels of `notifications/message`, from RFC 5424.
const LOG_LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// A date from which on requests carry `_meta`. Dates written like this sort as text.
fn is_modern(version: &str) -> bool {
    let date = version.len() == 10
        && version.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    date && version >= MODERN
}

fn malformed(message: &'static str) -> Fault {
    Fault::new(Code::MalformedMeta, message)
}

fn without_version() -> Fault {
    malformed(
        "params._meta[\"io.modelcontextprotocol/protocolVersion\"] is missing; requests of revision 2026-07-28 carry it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::envelope::Envelope;

    /// (method, `_meta`, header) → era, or the code of the refusal.
    fn of(method: &str, meta: &str, header: Option<&str>) -> Result<Era, i32> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{meta}}}}}"#);
        let envelope = Envelope::parse(&text).unwrap();
        decide(&envelope.params.meta, method, header).map_err(|fault| fault.code.number())
    }

    #[test]
    fn body_first_then_method_then_header() {
        let modern = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        let legacy = |version: &str| Ok(Era::Legacy(LegacyVersion::find(version).unwrap()));
        for (method, meta, header, expected) in [
            ("tools/list", modern, Some("2026-07-28"), Ok(Era::Modern)),
            ("tools/list", modern, None, Ok(Era::Modern)),
            // An initialize with modern metadata is modern, and modern has no such method.
            ("initialize", modern, None, Ok(Era::Modern)),
            ("initialize", "", None, legacy("2025-11-25")),
            ("initialize", "", Some("2026-07-28"), legacy("2025-11-25")),
            ("initialize", r#""_meta":{"x":1}"#, Some("1999-01-01"), legacy("2025-11-25")),
            // The mere presence of the version header does not make a request modern.
            ("tools/list", "", Some("2025-06-18"), legacy("2025-06-18")),
            ("tools/list", r#""_meta":{"progressToken":1}"#, Some("2025-11-25"), legacy("2025-11-25")),
            ("tools/list", "", None, legacy("2025-03-26")),
            ("tools/list", "", Some("2025-03-26"), legacy("2025-03-26")),
            ("tools/list", "", Some("2026-07-28"), Err(-32602)),
            ("tools/list", "", Some("2099-01-01"), Err(-32602)),
            // server/discover is never a legacy request.
            ("server/discover", "", None, Err(-32602)),
            ("server/discover", "", Some("2025-11-25"), Err(-32602)),
            ("server/discover", r#""_meta":{}"#, Some("2026-07-28"), Err(-32602)),
            ("tools/list", "", Some("2024-11-05"), legacy("2024-11-05")),
            ("tools/list", "", Some("newest"), Err(-32022)),
            ("tools/list", "", Some("9"), Err(-32022)),
            ("tools/list", r#""_meta":{"io.modelcontextprotocol/protocolVersion":7}"#, None, Err(-32602)),
        ] {
            assert_eq!(of(method, meta, header), expected, "{method} {meta} {header:?}");
        }
    }

    #[test]
    fn a_handshake_ends_in_the_version_asked_for_and_never_in_a_modern_one() {
        for (asked, answered) in [
            (Some("2025-06-18"), "2025-06-18"),
            (Some("2025-11-25"), "2025-11-25"),
            (Some("2026-07-28"), "2025-11-25"),
            (Some("2025-03-26"), "2025-03-26"),
            (Some("2024-11-05"), "2024-11-05"),
            (Some("1999-01-01"), "2025-11-25"),
            (None, "2025-11-25"),
        ] {
            assert_eq!(LegacyVersion::negotiate(asked).as_str(), answered, "{asked:?}");
        }
    }
}
