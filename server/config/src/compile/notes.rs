//! What is allowed and hardly meant.

use serde_json::{Map, Value};

use super::schema_notes;
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

/// What is hardly meant: arguments that templates name and that `inputSchema` does not, values of a schema that do not fit
/// its own type, and arguments in a body of text that could become more than a value there. Nothing of it keeps a server
/// from serving.
#[must_use]
pub fn notes(tools: &[Tool]) -> Vec<Violation> {
    let mut notes = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let path = Path::of("tools").index(index);
        for (key, schema) in [("inputSchema", &tool.input_schema), ("outputSchema", &tool.output_schema)] {
            schema.iter().for_each(|schema| schema_notes::notes(schema, &path.key(key), &mut notes));
        }
        notes.extend(encoded_by_nobody(tool, &path));
        let Some(declared) = tool.input_schema.as_ref().and_then(declared) else { continue };
        each_template(tool, &path, &mut |path, text| {
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

/// A body of text in a language that has its own way to write a value: an argument in it could end the value and go on as
/// something else.
fn encoded_by_nobody(tool: &Tool, path: &Path) -> Option<Violation> {
    let http = tool.http.as_ref()?;
    let text = http.body.as_ref()?.text.as_deref()?;
    let kind = http.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-type"))?;
    let kind = kind.value.as_deref()?.to_ascii_lowercase();
    let (what, member, next) = if kind.contains("x-www-form-urlencoded") {
        ("a form", "fields", "write the fields under body.form, which encodes them")
    } else if kind.contains("json") {
        ("JSON", "members", "write the body under body.json, which encodes them")
    } else if kind.contains("xml") {
        ("XML", "elements", "give the argument an enum, a pattern or a type of number in inputSchema")
    } else {
        return None;
    };
    let template = Template::parse(text).ok()?;
    let open = template.parts().iter().any(|part| match part {
        Part::Argument(names) => !is_confined(tool, names),
        Part::Literal(_) => false,
    });
    let message =
        format!("fills arguments into {what} as they are, so that one of them can add {member}; {next}");
    open.then(|| Violation { path: path.key("http").key("body").key("text"), message })
}

/// Whether an argument can be nothing but what its schema lists or describes.
fn is_confined(tool: &Tool, names: &[String]) -> bool {
    let [name] = names else { return false };
    let schema =
        tool.input_schema.as_ref().and_then(|schema| schema.get("properties")?.get(name)?.as_object());
    schema.is_some_and(|schema| {
        ["enum", "const", "pattern"].iter().any(|keyword| schema.contains_key(*keyword))
            || matches!(schema.get("type").and_then(Value::as_str), Some("integer" | "number" | "boolean"))
    })
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
        for (name, value) in body.form.iter().flatten() {
            visit(&path.key("form").key(name), value);
        }
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
    fn a_text_that_is_declared_as_a_form_is_told_of() {
        let tool = |kind: &str, text: &str, schema: Value| {
            of(json!({"name": "x", "inputSchema": schema, "http": {"url": "https://a.example/",
                "headers": [{"name": "content-type", "value": kind}], "body": {"text": text}}}))
        };
        let form = "application/x-www-form-urlencoded";
        assert_eq!(
            tool(form, "criteria={{args.criteria}}", json!({"type": "object"})),
            [
                "tools[0].http.body.text: fills arguments into a form as they are, so that one of them can add fields; write the fields under body.form, which encodes them"
            ]
        );
        assert!(
            tool("application/json; charset=utf-8", "{\"a\": \"{{args.a}}\"}", json!({"type": "object"}))[0]
                .contains("body.json")
        );
        assert!(tool("text/xml", "<a>{{args.a}}</a>", json!({"type": "object"}))[0].contains("elements"));
        for confined in [json!({"type": "integer"}), json!({"enum": ["x"]}), json!({"pattern": "^x$"})] {
            let schema = json!({"type": "object", "properties": {"a": confined}});
            assert_eq!(tool(form, "a={{args.a}}", schema), [""; 0]);
        }
        assert_eq!(tool(form, "a=b", json!({"type": "object"})), [""; 0]);
        assert_eq!(tool("text/plain", "a={{args.a}}", json!({"type": "object"})), [""; 0]);
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
