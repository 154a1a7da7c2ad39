//! The step before the backend: room for one more call, or none.

use std::sync::Arc;

use crate::dispatch::limits::{Bound, Share};
use crate::protocol::errors::{Code, Fault};

/// Takes a permit.
///
/// # Errors
/// Where there is too much to do already.
pub(super) fn take(permits: &Arc<Bound>) -> Result<Share, Fault> {
    permits.take(1).ok_or_else(overloaded)
}

/// What a caller reads for whom there is no room.
pub(super) fn overloaded() -> Fault {
    Fault::new(Code::Overloaded, "too many calls at once; try again shortly")
}
