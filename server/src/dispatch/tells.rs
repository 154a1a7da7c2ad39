//! Whether anything can be told during a request, found out before the request is read: where nothing can, it is
//! answered in place, and most are.

use std::sync::LazyLock;

use http::HeaderMap;
use memchr::memmem::Finder;

use crate::dispatch::shed;
use crate::dispatch::snapshot::Snapshot;
use crate::protocol::headers::METHOD;

static PROGRESS_TOKEN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"progressToken\""));
static LOG_LEVEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("/logLevel\""));

/// False where the client asks to be told nothing. True may be an error on the side of care.
#[must_use]
pub fn may_tell(snapshot: &Snapshot, body: &[u8]) -> bool {
    snapshot.offer.logs || PROGRESS_TOKEN.find(body).is_some() || LOG_LEVEL.find(body).is_some()
}

/// Whether the answer may take long. Where the headers do not say what the message is, it may.
#[must_use]
pub fn may_take_long(headers: &HeaderMap) -> bool {
    headers.get(METHOD).is_none_or(|method| shed::takes_a_permit(method.as_bytes()))
}
