//! What is allowed and hardly meant.

use serde_json::{Map, Value};

use super::template::{Part, Template};
use crate::path::Path;
use crate::tools::Tool;
use crate::validate::Violation;

/// Keywords by which a schema may know arguments that its `properties` do not list.
const OTHER_WAYS: [&str; 9] = [
    "$ref",
    "$dynamicRef",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "dependentSchemas",
    "patternProperties",
    "unevaluatedProperties",
];

/// Arguments that templates name and that `inputSchema` does not: misspelt, perhaps. Nothing of it keeps a server from serving.
#[must_use]
pub fn notes(tools: &[Tool]) -> Vec<Violation> {
    let mut notes = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let Some(declared) = tool.input_schema.as_ref().and_then(declared) else { continue };
        each_template(tool, &Path::of("tools").index(index), &mut |path, text| {
            // One that is broken is refused elsewhere.
            let Ok(template) = Template::parse_or_empty(text) else { return };
            let named = template.parts().iter().filter_map(|part| match part {
                Part::Argument(names) => names.first(),
                Part::Literal(_) => None,
            });
            for name in named.filter(|name| !declared.contains_key(name.as_str())) {
                let known: Vec<_> = declared.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let message = format!(
                    "fills in args.{name}, which inputSchema does not declare (it declares {known}); correct the name, or declare it"
                );
                let note = Violation { path: path.clone(), message };
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        });
    }
    notes
}

/// The arguments that a schema lists, where it is meant to list all of them.
fn declared(schema: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let open = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    let otherwise = OTHER_WAYS.iter().any(|keyword| schema.contains_key(*keyword));
    schema.get("properties")?.as_object().filter(|_| !open && !otherwise)
}

/// Visits every text of a tool in which arguments are filled in.
fn each_template(tool: &Tool, path: &Path, visit: &mut dyn FnMut(&Path, &str)) {
    if let Some(text) = &tool.text {
        visit(&path.key("text"), text);
    }
    if let Some(command) = &tool.command {
        let path = path.key("command").key("argv");
        command.argv.iter().enumerate().for_each(|(index, part)| visit(&path.index(index), part));
    }
    let Some(http) = &tool.http else { return };
    let path = path.key("http");
    visit(&path.key("url"), &http.url);
    for (index, parameter) in http.query.iter().enumerate() {
        visit(&path.key("query").index(index).key("value"), &parameter.value);
    }
    for (index, header) in http.headers.iter().enumerate() {
        header.value.iter().for_each(|value| visit(&path.key("headers").index(index).key("value"), value));
    }
    if let Some(body) = &http.body {
        let path = path.key("body");
        body.text.iter().for_each(|text| visit(&path.key("text"), text));
        body.json.iter().for_each(|json| each_text(json, &path.key("json"), visit));
    }
}

fn each_text(value: &Value, path: &Path, visit: &mut dyn FnMut(&Path, &str)) {
    match value {
        Value::String(text) => visit(path, text),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| each_text(item, &path.index(index), visit));
        }
        Value::Object(members) => {
            members.iter().for_each(|(key, member)| each_text(member, &path.key(key.as_str()), visit));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(tool: Value) -> Vec<String> {
        let tool: Tool = serde_json::from_value(tool).unwrap();
        notes(&[tool]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_argument_that_nobody_declares_is_named() {
        let schema = json!({"type": "object", "properties": {"name": {}, "team": {}}});
        assert_eq!(
            of(
                json!({"name": "x", "text": "Hi {{args.nmae}}, {{args.team.lead}} {{args.nmae}}", "inputSchema": schema})
            ),
            [
                "tools[0].text: fills in args.nmae, which inputSchema does not declare (it declares name, team); correct the name, or declare it"
            ]
        );
        let http = json!({
            "url": "https://a.example/{{args.a}}",
            "query": [{"name": "q", "value": "{{args.b}}"}],
            "headers": [{"name": "X", "value": "{{args.c}}"}, {"name": "Y", "secret": {"env": "Y"}}],
            "body": {"json": {"list": [1, "{{args.name}}", "{{args.d}}"]}},
        });
        let places: Vec<_> = of(json!({"name": "x", "http": http, "inputSchema": schema}))
            .iter()
            .map(|note| note.split(':').next().unwrap().to_owned())
            .collect();
        assert_eq!(
            places,
            [
                "tools[0].http.url",
                "tools[0].http.query[0].value",
                "tools[0].http.headers[0].value",
                "tools[0].http.body.json.list[2]"
            ]
        );
        assert_eq!(
            of(json!({"name": "x", "command": {"argv": ["ls", "{{args.e}}"]}, "inputSchema": schema})).len(),
            1
        );
    }

    #[test]
    fn a_schema_that_may_know_more_is_believed() {
        for schema in [
            Value::Null,
            json!({"type": "object"}),
            json!({"type": "object", "properties": {"name": {}, "y": {}}}),
            json!({"type": "object", "properties": {}, "additionalProperties": true}),
            json!({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "properties": {}, "patternProperties": {"^y": {}}}),
            json!({"type": "object", "properties": {}, "anyOf": [{"properties": {"y": {}}}]}),
        ] {
            let tool = json!({"name": "x", "text": "{{args.y}} {{args}}", "inputSchema": schema});
            assert_eq!(of(tool), [""; 0], "{schema}");
        }
        let closed = json!({"type": "object", "properties": {}, "additionalProperties": false});
        assert_eq!(of(json!({"name": "x", "text": "{{args.y}}", "inputSchema": closed})).len(), 1);
    }
}
