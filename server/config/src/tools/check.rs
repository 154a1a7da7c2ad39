//! What a declared tool must be, as far as no compiler is needed to say so.

use super::{CommandTool, EXACTLY_ONE, HttpHeader, HttpTool, Tool};
use crate::validate::secret_rule;
use crate::{ByteSize, Duration, Path, Violation};

/// Headers that the connection needs for itself, or that would say where it leads.
const RESERVED: [&str; 10] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// Checks one tool, which stands at `path`.
pub(crate) fn check(tool: &Tool, path: &Path) -> Vec<Violation> {
    let mut rules = Rules(Vec::new());
    let ways = [tool.cel.is_some(), tool.text.is_some(), tool.http.is_some(), tool.command.is_some()];
    rules.that(ways.iter().filter(|set| **set).count() == 1, path, EXACTLY_ONE);
    if let Some(http) = &tool.http {
        rules.http(http, &path.key("http"));
    }
    if let Some(command) = &tool.command {
        rules.command(command, &path.key("command"));
    }
    rules.0
}

struct Rules(Vec<Violation>);

impl Rules {
    fn that(&mut self, holds: bool, path: &Path, message: impl Into<String>) {
        if !holds {
            self.0.push(Violation { path: path.clone(), message: message.into() });
        }
    }

    fn timeout(&mut self, timeout: Option<Duration>, path: &Path) {
        let (least, most) = (Duration::from_millis(1), Duration::from_secs(600));
        let fits = timeout.is_none_or(|timeout| (least..=most).contains(&timeout));
        self.that(fits, &path.key("timeout"), format!("must be from {least} to {most}"));
    }

    fn size(&mut self, size: ByteSize, least: ByteSize, most: ByteSize, path: &Path) {
        self.that((least..=most).contains(&size), path, format!("must be from {least} to {most}"));
    }

    fn http(&mut self, http: &HttpTool, path: &Path) {
        self.timeout(http.timeout, path);
        let (least, most) = (ByteSize::from_bytes(1024), ByteSize::from_mib(16));
        self.size(http.max_response(), least, most, &path.key("maxResponse"));
        self.that(http.retries.unwrap_or(0) <= 5, &path.key("retries"), "must be at most 5");
        self.that(http.query.len() <= 32, &path.key("query"), "must be at most 32");
        self.that(http.headers.len() <= 32, &path.key("headers"), "must be at most 32");
        for (index, parameter) in http.query.iter().enumerate() {
            let named = (1..=128).contains(&parameter.name.chars().count());
            let path = path.key("query").index(index).key("name");
            self.that(named, &path, "must have from 1 to 128 characters");
        }
        for (index, header) in http.headers.iter().enumerate() {
            self.header(header, &path.key("headers").index(index));
        }
        if let Some(body) = &http.body {
            let set = [body.json.is_some(), body.form.is_some(), body.text.is_some()];
            let one = set.into_iter().filter(|set| *set).count() == 1;
            self.that(one, &path.key("body"), "exactly one of json, form and text must be set");
            let form = body.form.as_ref();
            let named = form.is_none_or(|form| {
                (1..=64).contains(&form.len()) && form.keys().all(|name| (1..=128).contains(&name.len()))
            });
            self.that(
                named,
                &path.key("body").key("form"),
                "must have from 1 to 64 fields with names of 1 to 128 characters",
            );
        }
        if let Some(result) = &http.result {
            let one = result.pointer.is_some() != result.cel.is_some();
            self.that(one, &path.key("result"), "exactly one of pointer and cel must be set");
        }
    }

    fn header(&mut self, header: &HttpHeader, path: &Path) {
        let name = header.name.as_str();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&b);
        self.that(
            (1..=128).contains(&name.len()) && name.bytes().all(token),
            &path.key("name"),
            "is not the name of a header",
        );
        self.that(
            !RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)),
            &path.key("name"),
            "is set by the connection itself; remove it",
        );
        let one = header.value.is_some() != header.secret.is_some();
        self.that(one, path, "exactly one of value and secret must be set");
        if let Some(secret) = &header.secret {
            self.0.extend(secret_rule(&path.key("secret"), secret));
        }
        self.that(
            header.prefix.is_none() || header.secret.is_some(),
            &path.key("prefix"),
            "stands before a secret, and there is none; write it into value",
        );
    }

    fn command(&mut self, command: &CommandTool, path: &Path) {
        self.timeout(command.timeout, path);
        let (least, most) = (ByteSize::from_bytes(1024), ByteSize::from_mib(16));
        self.size(command.max_output(), least, most, &path.key("maxOutput"));
        let (least, most) = (ByteSize::from_mib(16), ByteSize::from_mib(64 << 10));
        self.size(command.max_memory(), least, most, &path.key("maxMemory"));
        let argv = path.key("argv");
        self.that((1..=64).contains(&command.argv.len()), &argv, "must have from 1 to 64 parts");
        for (index, name) in command.env.iter().flatten().enumerate() {
            let variable = is_variable(name);
            let path = path.key("env").index(index);
            self.that(
                variable,
                &path,
                "is not the name of an environment variable; write letters, digits and underscores",
            );
        }
        let directory = command.directory.as_deref().is_none_or(|directory| !directory.is_empty());
        self.that(directory, &path.key("directory"), "must not be empty");
    }
}

/// Whether this can be the name of an environment variable (POSIX, Base Definitions, 8.1). Messages show names, so what is
/// no name, and perhaps the secret itself, must not pass for one.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
