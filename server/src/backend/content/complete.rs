//! `completion/complete`.

use serde_json::json;

use crate::backend::Answer;
use crate::protocol::raw::Raw;

/// The most values in one answer, as the protocol has it.
const MAX_VALUES: usize = 100;

/// The values that begin with what was typed, in whatever case.
pub(super) fn answer(values: &[String], typed: &str) -> Answer {
    let typed = typed.to_lowercase();
    let fit: Vec<_> = values.iter().filter(|value| value.to_lowercase().starts_with(&typed)).collect();
    let shown = &fit[..fit.len().min(MAX_VALUES)];
    let completion = json!({"values": shown, "total": fit.len(), "hasMore": fit.len() > shown.len()});
    Answer::new(Raw::of(&json!({"completion": completion})))
}
