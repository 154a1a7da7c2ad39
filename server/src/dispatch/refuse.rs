//! The refusal of a request that was read, in the way that its client can bear.
//!
//! Several SDKs of revision 2025-11-25 and before take an HTTP status of 400 or more for the end of the whole session:
//! one refused call would end all others with it. What is only a matter of waiting is therefore answered in band for
//! them, and the call of a tool with a result, which the model reads and can act upon.

use serde_json::json;

use crate::dispatch::Reply;
use crate::dispatch::head::Request;
use crate::dispatch::record::Record;
use crate::protocol::answer;
use crate::protocol::era::Era;
use crate::protocol::errors::{Code, Fault};
use crate::protocol::methods::Method;
use crate::protocol::raw::Raw;

pub(super) fn refused(request: &Request<'_>, fault: &Fault, record: &mut Record) -> Reply {
    let waits = matches!(fault.code, Code::TooManyRequests | Code::Overloaded);
    if waits && matches!(request.era, Era::Legacy(_)) && request.method == Method::ToolsCall {
        record.fault(fault.code);
        return Reply::ok(answer::result(request.id, as_result(fault).bytes()));
    }
    Reply::refused(Some(request.id), fault, Some(request.era), record)
}

/// A refusal as the result of a tool, which a model reads.
pub(super) fn as_result(fault: &Fault) -> Raw {
    Raw::of(&json!({"content": [{"type": "text", "text": fault.message}], "isError": true}))
}
