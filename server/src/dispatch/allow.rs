//! The step after routing: may this caller use this target?

use crate::auth::principal::Caller;
use crate::auth::rules::Standing;
use crate::dispatch::snapshot::{Snapshot, Tool};
use crate::protocol::errors::{Code, Fault};

/// Refuses what the caller may not use.
///
/// # Errors
/// Where the rules forbid the call. `unknown` is what is told of a tool that does not exist: of one that the caller may
/// not know of, the same is told.
pub(super) async fn check(
    snapshot: &Snapshot,
    caller: &Caller,
    tool: &Tool,
    arguments: Option<&str>,
    unknown: impl FnOnce() -> Fault,
) -> Result<(), Fault> {
    let Some(rules) = &snapshot.auth.access.rules else { return Ok(()) };
    let set = rules.of_caller(caller.principal.as_deref());
    match rules.standing(set, &tool.name) {
        Standing::Allowed => Ok(()),
        Standing::Denied => Err(unknown()),
        Standing::Depends => {
            let principal = caller.principal.as_ref();
            let permitted = Box::pin(rules.permits(set, &tool.name, arguments, principal)).await;
            let denied = || {
                Fault::new(
                    Code::InvalidParams,
                    format!("{:?} may not be called with these arguments", tool.name),
                )
            };
            permitted.then_some(()).ok_or_else(denied)
        }
    }
}
