//! The step before the body is read, and before anybody asks who sends it: under overload a refusal must cost next to
//! nothing, or refusing is what the server spends its time on.

use http::HeaderMap;

use crate::dispatch::Dispatcher;
use crate::dispatch::snapshot::Snapshot;
use crate::protocol::errors::Fault;
use crate::protocol::headers::METHOD;

/// A body of this size may hold a message that never waits: a ping, a cancellation, the answer to a question. Where the
/// headers do not say what it is, it is read.
const SMALL: u64 = 64 << 10;

impl Dispatcher {
    /// Refuses a call that would wait in vain. `announced` is the length of the body, where the headers tell it.
    ///
    /// # Errors
    /// Where there is no room for a call, and will be none in time.
    pub fn shed(
        &self,
        snapshot: &Snapshot,
        headers: &HeaderMap,
        announced: Option<u64>,
    ) -> Result<(), Fault> {
        let may_wait = match headers.get(METHOD) {
            // Whoever names another method than the body has is refused later.
            Some(method) => takes_a_permit(method.as_bytes()),
            None => announced.is_some_and(|length| length > SMALL),
        };
        if may_wait { self.admission.forecast(snapshot) } else { Ok(()) }
    }
}

fn takes_a_permit(method: &[u8]) -> bool {
    matches!(method, b"tools/call" | b"prompts/get" | b"resources/read" | b"completion/complete")
}
