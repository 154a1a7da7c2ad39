//! What goes over the wire: one small `tools/call`, numbered, and its answer, looked at closely.

use serde::Deserialize;

/// How a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Era {
    Modern,
    Legacy,
}

impl Era {
    pub const BOTH: [Self; 2] = [Self::Modern, Self::Legacy];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Legacy => "legacy",
        }
    }
}

/// The tool that every server has: it answers with the text it is given.
pub const TOOL: &str = "echo";

/// Numbers have nine digits, so that all requests are of one length.
pub const FIRST: u64 = 100_000_000;
const DIGITS: usize = 9;
/// What stands for the number of a request in its template.
const NUMBER: &str = "#########";

/// A request, written once; only its number, and its key, change.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    numbers: Vec<usize>,
    key: Option<usize>,
    body: usize,
}

impl Template {
    /// A call over HTTP/1.1. Keys are of the length `key`; none are sent where it is absent.
    #[must_use]
    pub fn call(era: Era, host: &str, key: Option<usize>) -> Self {
        let meta = match era {
            Era::Modern => {
                r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0.0"},"io.modelcontextprotocol/clientCapabilities":{}}"#
            }
            Era::Legacy => "",
        };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{NUMBER},"method":"tools/call","params":{{"name":"{TOOL}","arguments":{{"text":"message {NUMBER}"}}{meta}}}}}"#
        );
        let mirrors = match era {
            Era::Modern => {
                format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {TOOL}\r\n")
            }
            Era::Legacy => "MCP-Protocol-Version: 2025-11-25\r\n".to_owned(),
        };
        let credential =
            key.map_or_else(String::new, |length| format!("X-API-Key: {}\r\n", "?".repeat(length)));
        let text = format!(
            "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\n{mirrors}{credential}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self {
            numbers: text.match_indices(NUMBER).map(|(at, _)| at).collect(),
            key: key.and_then(|_| text.find('?')),
            body: text.len() - body.len(),
            bytes: text.into_bytes(),
        }
    }

    /// The request of this number.
    pub fn numbered(&mut self, number: u64, key: Option<&str>) -> &[u8] {
        let mut digits = [0; DIGITS];
        write_digits(number, &mut digits);
        for at in &self.numbers {
            self.bytes[*at..*at + DIGITS].copy_from_slice(&digits);
        }
        if let (Some(at), Some(key)) = (self.key, key) {
            self.bytes[at..at + key.len()].copy_from_slice(key.as_bytes());
        }
        &self.bytes
    }

    /// The body alone, of the request that was numbered last.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body..]
    }
}

fn write_digits(mut number: u64, digits: &mut [u8; DIGITS]) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("not HTTP: {0}")]
    Http(String),
    #[error("status {0}: {1}")]
    Status(u16, String),
    #[error("no Content-Length, or no application/json")]
    Framing,
    #[error("not the answer to call {0}: {1}")]
    Content(u64, String),
}

/// What an answer has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The result of the call, under its id and with its text.
    Echo,
    /// These bytes, whatever was asked.
    Fixed(&'static [u8]),
}

/// The answer of a server that does nothing: as long as that of one which does.
pub const FIXED: &[u8] = br#"{"jsonrpc":"2.0","id":100000000,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"floor","version":"1.0.0"}},"content":[{"type":"text","text":"message 100000000"}]}}"#;

#[derive(Deserialize)]
struct Answer<'a> {
    jsonrpc: &'a str,
    id: u64,
    result: CallResult<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallResult<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
    #[serde(default)]
    is_error: bool,
    #[serde(default)]
    result_type: Option<&'a str>,
}

#[derive(Deserialize)]
struct Block<'a> {
    r#type: &'a str,
    text: &'a str,
}

/// Looks for one whole answer at the beginning of `bytes`: its length, or none where more has to come.
///
/// # Errors
/// Where it is not the answer that call `number` should have.
pub fn check(bytes: &[u8], number: u64, era: Era, expect: &Expect) -> Result<Option<usize>, Wrong> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes).map_err(|error| Wrong::Http(error.to_string()))? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(head) => head,
    };
    let value = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length = value("content-length").and_then(|value| value.parse().ok());
    let status = response.code.unwrap_or_default();
    let Some(length) = length.map(|length: usize| head + length) else {
        return Err(if status == 200 { Wrong::Framing } else { Wrong::Status(status, String::new()) });
    };
    let Some(body) = bytes.get(head..length) else { return Ok(None) };
    if status != 200 {
        return Err(Wrong::Status(status, String::from_utf8_lossy(body).into_owned()));
    }
    if !value("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return Err(Wrong::Framing);
    }
    let wrong = || Wrong::Content(number, String::from_utf8_lossy(body).into_owned());
    let good = match expect {
        Expect::Fixed(fixed) => body == *fixed,
        Expect::Echo => {
            let answer: Answer<'_> = serde_json::from_slice(body).map_err(|_| wrong())?;
            let mut digits = [0; DIGITS];
            write_digits(number, &mut digits);
            let [block] = &answer.result.content[..] else { return Err(wrong()) };
            answer.jsonrpc == "2.0"
                && answer.id == number
                && !answer.result.is_error
                && (era == Era::Legacy || answer.result.result_type == Some("complete"))
                && block.r#type == "text"
                && block.text.strip_prefix("message ").is_some_and(|text| text.as_bytes() == digits)
        }
    };
    if good { Ok(Some(length)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_its_number_twice_and_its_key() {
        for era in Era::BOTH {
            let mut template = Template::call(era, "127.0.0.1:1", Some(3));
            let request = String::from_utf8(template.numbered(123_456_789, Some("abc")).to_vec()).unwrap();
            assert_eq!(request.matches("123456789").count(), 2);
            assert!(request.contains("X-API-Key: abc\r\n"));
            assert!(!request.contains('#') && !request.contains('?'));
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())));
            serde_json::from_str::<serde_json::Value>(body).unwrap();
            assert_eq!(template.body(), body.as_bytes());
        }
    }

    fn answer(body: &str) -> Vec<u8> {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
        format!("{head}{}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[test]
    fn only_the_right_answer_is_right() {
        let right = |id: u64, text: &str, kind: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"{kind}","content":[{{"type":"text","text":"{text}"}}]}}}}"#
            )
        };
        let good = answer(&right(FIRST, "message 100000000", "complete"));
        let check = |bytes: &[u8]| check(bytes, FIRST, Era::Modern, &Expect::Echo);
        assert_eq!(check(&good), Ok(Some(good.len())));
        for cut in 0..good.len() {
            assert_eq!(check(&good[..cut]), Ok(None), "{cut}");
        }
        for (id, text, kind) in [
            (FIRST + 1, "message 100000000", "complete"),
            (FIRST, "message 100000001", "complete"),
            (FIRST, "message 100000000", "input_required"),
        ] {
            assert!(matches!(check(&answer(&right(id, text, kind))), Err(Wrong::Content(..))), "{text}");
        }
        let refused = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\nno";
        assert_eq!(check(refused), Err(Wrong::Status(429, "no".to_owned())));
        assert!(matches!(check(b"SMTP ready\r\n"), Err(Wrong::Http(_))));
    }

    #[test]
    fn a_fixed_answer_is_compared_whole() {
        let fixed = answer(std::str::from_utf8(FIXED).unwrap());
        assert_eq!(check(&fixed, 7, Era::Legacy, &Expect::Fixed(FIXED)), Ok(Some(fixed.len())));
        assert!(check(&answer("{}"), 7, Era::Legacy, &Expect::Fixed(FIXED)).is_err());
    }
}
