//! Whether anything can be told during a request, found out before the request is read: where nothing can, it is
//! answered in place, and most are.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::dispatch::snapshot::Snapshot;

static PROGRESS_TOKEN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"progressToken\""));
static LOG_LEVEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("/logLevel\""));

/// False where the client asks to be told nothing. True may be an error on the side of care.
#[must_use]
pub fn may_tell(snapshot: &Snapshot, body: &[u8]) -> bool {
    snapshot.offer.logs || PROGRESS_TOKEN.find(body).is_some() || LOG_LEVEL.find(body).is_some()
}
