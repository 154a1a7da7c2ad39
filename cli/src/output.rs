//! What a command answers: a sentence, or an object for programs.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::args::Output;
use crate::text;

/// The answer of a command.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) success: bool,
    /// What was done, or why it failed and what to do next.
    pub(crate) sentence: String,
    pub(crate) list: Option<List>,
}

/// Things and how they are.
#[derive(Debug, PartialEq)]
pub(crate) struct List {
    /// What they are called in JSON.
    pub(crate) name: &'static str,
    pub(crate) header: &'static [&'static str],
    /// Cells for people, and the same for programs.
    pub(crate) rows: Vec<(Vec<String>, Value)>,
}

impl Report {
    pub(crate) fn done(sentence: impl Into<String>) -> Self {
        Self { success: true, sentence: sentence.into(), list: None }
    }

    pub(crate) fn failed(sentence: impl Into<String>) -> Self {
        Self { success: false, sentence: sentence.into(), list: None }
    }

    pub(crate) fn with(self, list: List) -> Self {
        Self { list: Some(list), ..self }
    }

    /// Prints the answer and returns the exit code that belongs to it.
    pub(crate) fn finish(&self, output: Output) -> ExitCode {
        let text = match output {
            Output::Json => format!("{}\n", self.json()),
            Output::Text => self.text(),
        };
        // A sentence about a failure is for people, and an answer in JSON for the program that asked.
        let printed = if self.success || output == Output::Json || self.list.is_some() {
            print(text.as_bytes())
        } else {
            note(text.trim_end());
            ExitCode::SUCCESS
        };
        if self.success { printed } else { ExitCode::FAILURE }
    }

    fn json(&self) -> String {
        // An object of serde_json has its keys in the order of the alphabet, and people read this one too.
        let word = if self.success { "message" } else { "error" };
        let mut answer = format!("{{\"success\":{},\"{word}\":{}", self.success, json!(self.sentence));
        if let Some(list) = &self.list {
            let values: Value = list.rows.iter().map(|(_, value)| value.clone()).collect();
            answer.push_str(&format!(",\"{}\":{values}", list.name));
        }
        answer.push('}');
        answer
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.sentence);
        if let Some(list) = self.list.as_ref().filter(|list| !list.rows.is_empty()) {
            let rows: Vec<_> = list.rows.iter().map(|(cells, _)| cells.clone()).collect();
            text.push_str(&text::table(list.header, &rows));
        }
        text
    }
}

/// Writes to standard output, which is what the command is for.
pub(crate) fn print(bytes: &[u8]) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // `kubectl mcp status production | head -1` is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("the answer cannot be written to standard output: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line of progress or a warning to standard error.
pub(crate) fn note(text: &str) {
    // Where standard error is closed, there is no other place to say so.
    let _unread = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_has_a_message_and_failure_an_error() {
        assert_eq!(Report::done("well").json(), r#"{"success":true,"message":"well"}"#);
        assert_eq!(Report::failed("so \"bad\"\n").json(), r#"{"success":false,"error":"so \"bad\"\n"}"#);
    }

    #[test]
    fn a_list_is_a_table_for_people_and_objects_for_programs() {
        let rows = vec![(vec!["a".to_owned(), "up".to_owned()], json!({"service": "a"}))];
        let report =
            Report::done("well").with(List { name: "services", header: &["SERVICE", "STATE"], rows });
        assert_eq!(report.text(), "well\nSERVICE  STATE\na        up\n");
        assert_eq!(report.json(), r#"{"success":true,"message":"well","services":[{"service":"a"}]}"#);
    }
}
