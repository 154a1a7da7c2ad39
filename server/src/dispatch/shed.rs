//! The step before the body is read, and before anybody asks who sends it: under overload a refusal must cost next to
//! nothing, or refusing is what the server spends its time on.

use http::HeaderMap;

use crate::dispatch::Dispatcher;
use crate::dispatch::snapshot::Snapshot;
use crate::protocol::era::MODERN;
use crate::protocol::errors::Fault;
use crate::protocol::headers::{METHOD, PROTOCOL_VERSION};

impl Dispatcher {
    /// Refuses a call that would wait in vain. Only a modern request says in its headers what it is; an older client has
    /// to be answered in band, under the id that only the body knows.
    ///
    /// # Errors
    /// Where there is no room for a call, and will be none in time.
    pub fn shed(&self, snapshot: &Snapshot, headers: &HeaderMap) -> Result<(), Fault> {
        // Whoever names another method than the body has is refused later.
        let may_wait = headers.get(METHOD).is_some_and(|method| takes_a_permit(method.as_bytes()))
            && headers.get(PROTOCOL_VERSION).is_some_and(|version| version == MODERN);
        if may_wait { self.admission.forecast(snapshot) } else { Ok(()) }
    }
}

pub(super) fn takes_a_permit(method: &[u8]) -> bool {
    matches!(method, b"tools/call" | b"prompts/get" | b"resources/read" | b"completion/complete")
}
