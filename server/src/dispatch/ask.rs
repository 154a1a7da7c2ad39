//! Questions to the client: a call that is answered with them is repeated with the answers (specification 2026-07-28,
//! "Multi Round-Trip Requests").
//!
//! What a backend wants to have back goes by way of the client, sealed for this caller, this target and these arguments.
//! A client of an older revision would have to be asked on a stream of its session, and there are no sessions.

use bytestring::ByteString;
use serde_json::{Map, Value, json};

use crate::auth::principal::Caller;
use crate::backend::{Answer, Client, QuestionKind, Questions, Replies, Target};
use crate::dispatch::head::Request;
use crate::dispatch::seal::Seal;
use crate::dispatch::snapshot::Snapshot;
use crate::dispatch::{around, lists};
use crate::protocol::answer::{self, Message};
use crate::protocol::envelope::Field;
use crate::protocol::era::Era;
use crate::protocol::errors::{Code, Fault};
use crate::protocol::raw::Raw;
use crate::protocol::reader::Reader;

/// What a model reads whose client cannot be asked.
const TOO_OLD: &str = "This needs an answer from the user, and the client is too old to be asked: it must speak revision \
                       2026-07-28 of the protocol.";

/// The answers that come with a request; none where it is asked for the first time.
///
/// # Errors
/// Where the state is none that was handed out for this caller and this request, or is too old.
pub(super) fn replies(
    request: &Request<'_>,
    seal: &Seal,
    caller: &Caller,
    target: &Target,
    body: &ByteString,
) -> Result<Option<Box<Replies>>, Fault> {
    let params = &request.params;
    if request.era != Era::Modern
        || (params.input_responses.is_none() && matches!(params.request_state, Field::Absent))
    {
        return Ok(None);
    }
    let answers = params.input_responses.filter(|text| *text != "null");
    answers.map_or(Ok(()), well_formed)?;
    let state = match &params.request_state {
        Field::Absent => None,
        Field::Text(sealed) => {
            let arguments = params.arguments;
            let opened = seal.open(sealed, caller, target, arguments);
            Some(opened.map_err(|error| Fault::new(Code::InvalidParams, error.to_string()))?)
        }
        Field::Wrong => {
            return Err(Fault::new(Code::InvalidParams, "params.requestState must be a string"));
        }
    };
    let answers = answers.map(|text| Raw::part(body, text));
    Ok(Some(Box::new(Replies { answers, state })))
}

/// Whether these are answers, each of which is an object whatever was asked; what is in it is for the backend to judge.
fn well_formed(answers: &str) -> Result<(), Fault> {
    let mut other = None;
    let read = Reader::new(answers).object(|key, reader| {
        if reader.peek()? != b'{' {
            other.get_or_insert(key);
        }
        reader.value().map(drop)
    });
    let what = match (read, other) {
        // The message as a whole was read before: it can only be something else than an object.
        (Err(_), _) => "params.inputResponses".to_owned(),
        (Ok(()), Some(key)) => format!("params.inputResponses.{}", key.compared()),
        (Ok(()), None) => return Ok(()),
    };
    Err(Fault::new(Code::InvalidParams, format!("{what} must be an object")))
}

/// The questions as the client reads them.
///
/// # Errors
/// Where the client did not say that it can answer such questions, or the backend asks nothing at all.
pub(super) fn shaped(
    request: &Request<'_>,
    snapshot: &Snapshot,
    seal: &Seal,
    caller: &Caller,
    target: &Target,
    questions: Questions,
    body: &ByteString,
) -> Result<Message, Fault> {
    if request.era != Era::Modern {
        return match target {
            Target::Tool(_) => Ok(answer::result(request.id, Answer::error(TOO_OLD).result.bytes())),
            _ => Err(Fault::new(Code::InvalidParams, TOO_OLD)),
        };
    }
    let client: Client = around::client(request, body);
    let missing: Vec<_> = questions
        .requests
        .iter()
        .map(|(_, question)| question.kind)
        .filter(|kind| !client.declares(*kind))
        .collect();
    if !missing.is_empty() {
        return Err(self::missing(&missing));
    }
    let mut members = Map::new();
    if !questions.requests.is_empty() {
        let requests = questions.requests.iter().map(|(key, question)| {
            let params: Value = serde_json::from_str(question.params.as_str()).unwrap_or_default();
            (key.clone(), json!({"method": question.kind.method(), "params": params}))
        });
        members.insert("inputRequests".into(), Value::Object(requests.collect()));
    }
    if let Some(state) = questions.state {
        let arguments = request.params.arguments;
        members.insert("requestState".into(), seal.close(&state, caller, target, arguments)?.into());
    }
    if members.is_empty() {
        tracing::error!(name = target.name(), "a backend asks for input without a question");
        return Err(Fault::new(Code::Internal, "the server failed to say what it needs"));
    }
    let result = lists::spliced(&snapshot.asking, Raw::of(&members).bytes());
    Ok(answer::result(request.id, &result))
}

/// What a client is told that did not declare what the answer needs.
pub(super) fn missing(kinds: &[QuestionKind]) -> Fault {
    let mut needed = json!({});
    for kind in kinds {
        merge(&mut needed, kind.capability());
    }
    Fault::missing_capability("the answer needs a capability that the client did not declare", &needed)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, from) => *into = from,
    }
}
