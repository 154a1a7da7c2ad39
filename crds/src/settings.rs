//! Every setting as a page for people, made from the types: such a page cannot fall behind them.

use std::collections::BTreeMap;

use mcp_server_config::{
    CommandTool, ProcessConfig, ServiceConfig, duration, env, quantity, restart_settings,
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

const HEAD: &str = "\
<!-- Made by `make generate` from the types in server/config/src. Do not edit. -->
# Every setting

What `spec.config` of an `McpServer` and a file may hold. [Configuration](configuration.md) tells how they are laid over each
other; the systems have pages of their own.

- *file*: only a file or a variable says it. In a cluster the operator decides it.
- *restart*: it takes effect when the server starts. Everything else takes effect while it runs.
- A **secret** is `{secretKeyRef: {name, key}}` in a resource, and `{file: PATH}` or `{env: VARIABLE}` in a file.
- A **duration** is written `30s`, `5m`, `1h30m`, `250ms`; a **size** `4Mi`, `64Ki`.
- Lists in variables are words apart by commas. `[]` stands for each entry of a list.
- `kubectl` takes a bare `On` or `Off` in YAML for true or false: write `\"On\"`, `\"Off\"`.
";

/// One setting.
struct Row {
    path: String,
    file_only: bool,
    kind: String,
    default: String,
    meaning: String,
}

/// The page.
#[must_use]
pub fn page() -> String {
    let mut sections: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    let (service, process) = (schema_of::<ServiceConfig>(), schema_of::<ProcessConfig>());
    let command = schema_of::<CommandTool>();
    let mut rows = Vec::new();
    walk(&service, "", false, &mut rows);
    rows.push(Row::of("tools[].command", &command, true));
    walk(&command, "tools[].command", true, &mut rows);
    walk(&process, "", true, &mut rows);
    for row in &rows {
        let top = row.path.split_once('.').map_or("", |(top, _)| top);
        sections.entry(top).or_default().push(row);
    }
    let mut page = HEAD.to_owned();
    for (top, rows) in sections {
        let title = if top.is_empty() { "The server itself".to_owned() } else { format!("`{top}`") };
        page.push_str(&format!("\n## {title}\n\n"));
        let named = |schema: &Value| schema["properties"].get(top.trim_end_matches("[]")).map(described);
        if let Some(intro) = named(&service).or_else(|| named(&process)).filter(|intro| !intro.is_empty()) {
            page.push_str(&format!("{}\n\n", escaped(&intro)));
        }
        page.push_str("| setting | type | default | variable | meaning |\n|---|---|---|---|---|\n");
        rows.iter().for_each(|row| page.push_str(&row.line()));
    }
    page
}

impl Row {
    fn of(path: &str, schema: &Value, file_only: bool) -> Self {
        let (meaning, default) = split(&described(schema));
        Self { path: path.to_owned(), file_only, kind: kind(unwrapped(schema)), default, meaning }
    }

    fn line(&self) -> String {
        let Self { path, file_only, kind, default, meaning } = self;
        let mark = match (file_only, restart_settings().any(|setting| setting == path)) {
            (true, true) => " *file, restart*",
            (true, false) => " *file*",
            (false, true) => " *restart*",
            (false, false) => "",
        };
        format!(
            "| `{path}`{mark} | {kind} | {} | {} | {} |\n",
            shown_default(default),
            self.variables(),
            escaped(meaning)
        )
    }

    fn variables(&self) -> String {
        let plain = self.path.replace("[]", "");
        let of_file = format!("{plain}.file");
        let mine =
            env::names().filter(|(_, path)| *path == plain || (self.kind == "secret" && *path == of_file));
        mine.map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn walk(schema: &Value, path: &str, file_only: bool, rows: &mut Vec<Row>) {
    let required =
        |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    for (name, whole) in schema["properties"].as_object().into_iter().flatten() {
        let property = unwrapped(whole);
        let item = property.get("items").map(unwrapped);
        let list = if item.is_some() { "[]" } else { "" };
        let path = if path.is_empty() { format!("{name}{list}") } else { format!("{path}.{name}{list}") };
        let below = [item, Some(property)].into_iter().flatten().find(|schema| is_section(schema));
        // A section at the top has a heading instead.
        if path.contains('.') || below.is_none() {
            let mut row = Row::of(&path, whole, file_only);
            if row.default.is_empty() && required(name) {
                "required".clone_into(&mut row.default);
            }
            rows.push(row);
        }
        if let Some(below) = below {
            walk(below, &path, file_only, rows);
        }
    }
}

/// What is behind an optional value: some schemas say "this or null".
fn unwrapped(schema: &Value) -> &Value {
    let choices = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    let null = |schema: &&Value| schema["type"] != "null" && schema["enum"] != serde_json::json!([null]);
    match choices.map(|choices| choices.iter().filter(null).collect::<Vec<_>>()).as_deref() {
        Some([only]) => only,
        _ => schema,
    }
}

/// An object whose fields are settings. A secret is one setting, and a JSON Schema is the user's.
fn is_section(schema: &Value) -> bool {
    let open = schema.get("x-kubernetes-preserve-unknown-fields").is_some();
    schema["properties"]
        .as_object()
        .is_some_and(|properties| !properties.is_empty() && !is_secret(properties))
        && !open
}

fn is_secret(properties: &Map<String, Value>) -> bool {
    properties.len() == 1 && properties.contains_key("secretKeyRef")
}

fn kind(schema: &Value) -> String {
    let words = words(schema);
    if !words.is_empty() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let pattern = schema.get("pattern").and_then(Value::as_str);
    match schema["type"].as_str() {
        Some("string") if pattern == Some(duration::PATTERN) => "duration".to_owned(),
        Some("string") if pattern == Some(quantity::PATTERN) => "size".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer" | "number") => "number".to_owned(),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("array") => match kind(unwrapped(&schema["items"])).as_str() {
            "object" => "list".to_owned(),
            one @ ("text" | "number" | "secret") => format!("list of {one}s"),
            words => format!("list of {words}"),
        },
        Some("object") if schema["properties"].as_object().is_some_and(is_secret) => "secret".to_owned(),
        Some("object") => "object".to_owned(),
        _ => "any JSON".to_owned(),
    }
}

/// The words of an enumeration; those with a description of their own are schemas of their own.
fn words(schema: &Value) -> Vec<&str> {
    let own = schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let single = schema.get("const").and_then(Value::as_str);
    let described =
        ["oneOf", "anyOf"].into_iter().filter_map(|keyword| schema.get(keyword)?.as_array()).flatten();
    own.chain(single).chain(described.flat_map(words)).collect()
}

/// The description without its default, and the default.
fn split(description: &str) -> (String, String) {
    let Some((before, after)) = description.split_once("Default: ") else {
        return (description.to_owned(), String::new());
    };
    let sentence_ends = |at: &usize| after[at + 2..].starts_with(char::is_uppercase);
    let end = after.match_indices(". ").map(|(at, _)| at).find(sentence_ends);
    let (default, rest) =
        end.map_or((after.trim_end_matches('.'), ""), |end| (&after[..end], &after[end + 2..]));
    (format!("{before}{rest}").trim().to_owned(), default.to_owned())
}

/// Values as code, phrases as they are.
fn shown_default(default: &str) -> String {
    let value = default.starts_with(|c: char| c.is_ascii_digit() || c.is_uppercase() || "[/".contains(c))
        || matches!(default, "true" | "false");
    let phrase = default.contains(' ') && !default.starts_with('[');
    if value && !phrase { format!("`{default}`") } else { escaped(default) }
}

fn described(schema: &Value) -> String {
    on_one_line(schema.get("description").and_then(Value::as_str).unwrap_or_default())
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text that Markdown shows as it is; what the description marks as code stays code.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => shown.push_str("&lt;"),
            '|' | '*' | '[' | ']' | '_' => shown.extend(['\\', c]),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_told_apart_from_meanings() {
        for (description, meaning, default) in [
            ("How long. Default: 30s.", "How long.", "30s"),
            (
                "Where. Default: none; it must be set. Example: https://id.example.com/a.",
                "Where. Example: https://id.example.com/a.",
                "none; it must be set",
            ),
            ("Version. Default: 1.0.0.", "Version.", "1.0.0"),
            ("A tool.", "A tool.", ""),
        ] {
            assert_eq!(split(description), (meaning.to_owned(), default.to_owned()));
        }
        assert_eq!(shown_default("127.0.0.1:8080"), "`127.0.0.1:8080`");
        assert_eq!(shown_default("one for each <thing>"), "one for each &lt;thing>");
        assert_eq!(shown_default("JSON, or Text on a terminal"), "JSON, or Text on a terminal");
    }
}
