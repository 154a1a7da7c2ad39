//! Messages that never wait: they need no permit, no backend and no time. A client whose calls hold every permit must
//! still be able to take one back.

use std::sync::Arc;

use crate::auth::principal::Caller;
use crate::dispatch::head::{Note, Request};
use crate::dispatch::lists::List;
use crate::dispatch::snapshot::Snapshot;
use crate::dispatch::{Arrival, Dispatcher};
use crate::protocol::answer::{self, Message};
use crate::protocol::envelope::Field;
use crate::protocol::era::{Era, LegacyVersion};
use crate::protocol::errors::{Code, Fault};
use crate::protocol::methods::{CANCELLED, Method};

impl Dispatcher {
    /// Acts upon a message that is not answered.
    pub(super) fn take_note(&self, note: &Note<'_>, arrival: &Arrival<'_>) {
        let (Some(CANCELLED), Some(id)) = (note.method.as_deref(), note.params.request_id) else { return };
        match arrival.in_flight {
            Some(in_flight) => in_flight.cancel(id),
            None => self.under_way.cancel(&arrival.caller, id),
        }
    }
}

/// Answers a request for which everything is at hand; none for one that takes work.
pub(super) fn answer(
    request: &Request<'_>,
    snapshot: &Arc<Snapshot>,
    caller: &Caller,
) -> Option<Result<Message, Fault>> {
    let id = request.id;
    Some(match request.method {
        Method::Discover => Ok(answer::result(id, &snapshot.discover)),
        Method::Initialize => match &request.params.protocol_version {
            Field::Wrong => Err(Fault::new(Code::InvalidParams, "params.protocolVersion must be a string")),
            asked => Ok(answer::result(id, snapshot.initialize(LegacyVersion::negotiate(asked.text())))),
        },
        Method::Ping => Ok(answer::result(id, &bytes::Bytes::from_static(b"{}"))),
        // Nothing is remembered of a client, the level of its messages included: each call sends them from Info on.
        Method::SetLogLevel => Ok(answer::result(id, &bytes::Bytes::from_static(b"{}"))),
        Method::ToolsList => match &snapshot.views {
            None => page(request, &snapshot.lists.tools),
            Some(views) => page(request, &views.tools(caller.principal.as_deref())),
        },
        Method::PromptsList => page(request, &snapshot.lists.prompts),
        Method::ResourcesList => page(request, &snapshot.lists.resources),
        Method::ResourceTemplatesList => page(request, &snapshot.lists.templates),
        Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead | Method::Complete => return None,
    })
}

/// The page of a list that the cursor asks for.
fn page(request: &Request<'_>, list: &List) -> Result<Message, Fault> {
    match &request.params.cursor {
        Field::Wrong => Err(Fault::new(Code::InvalidParams, "params.cursor must be a string")),
        cursor => {
            let page = list.page(cursor.text(), request.era == Era::Modern)?;
            Ok(answer::result(request.id, page))
        }
    }
}
