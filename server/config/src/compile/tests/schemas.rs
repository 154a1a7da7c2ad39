//! Schemas of arguments and results.

use serde_json::{Value, json};

use super::{assert_wrong, cel, text, wrong};
use crate::compile::compile;
use crate::tools::Tool;

fn with_schema(schema: Value) -> Tool {
    let Value::Object(schema) = schema else { panic!("a schema is an object here") };
    Tool { input_schema: Some(schema), ..text("x") }
}

#[test]
fn sound_schemas_compile() {
    for schema in [
        json!({"type": "object"}),
        json!({"type": "object", "properties": {"x": {"type": "integer", "minimum": 1}}, "required": ["x"], "additionalProperties": false}),
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"t": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}),
        json!({"type": "object", "properties": {"$ref": {"type": "string"}, "pattern": {"const": {"$ref": "http://example.com"}}}}),
        json!({"type": "object", "patternProperties": {"^\\d+$": {"pattern": "^[\\w.]+@\\S+$", "format": "email"}}}),
        json!({"type": "object", "allOf": [{"$ref": "#"}]}),
    ] {
        assert_eq!(wrong(&with_schema(schema.clone())), [""; 0], "{schema}");
    }
}

#[test]
fn broken_schemas_are_refused_with_path_and_reason() {
    let deep = (0..70).fold(json!({}), |inner, _| json!({"not": inner}));
    for (schema, expected) in [
        (json!({}), "tools[0].inputSchema.type: must be \"object\""),
        (json!({"type": "array"}), "tools[0].inputSchema.type: must be \"object\""),
        (json!({"type": ["object"]}), "tools[0].inputSchema.type: must be \"object\""),
        (
            json!({"type": "object", "properties": {"x": {"type": "strng"}}}),
            "tools[0].inputSchema.properties.x.type: is not a type; write one of array, boolean, integer, null, number, object, string, or a list of them",
        ),
        (
            json!({"type": "object", "properties": {"x": {"maxLength": -1}}}),
            "tools[0].inputSchema.properties.x.maxLength: is not JSON Schema 2020-12",
        ),
        (json!({"type": "object", "required": "x"}), "tools[0].inputSchema.required: is not JSON Schema"),
        (
            json!({"type": "object", "allOf": [{}, {"minimum": "a"}]}),
            "tools[0].inputSchema.allOf[1].minimum: is not JSON Schema",
        ),
        (
            json!({"type": "object", "properties": {"x": {"$ref": "https://example.com/x.json"}}}),
            "tools[0].inputSchema.properties.x.$ref: refers to another document, and nothing is fetched",
        ),
        (json!({"type": "object", "$ref": "file:///etc/passwd"}), "tools[0].inputSchema.$ref: refers to"),
        (
            json!({"type": "object", "properties": {"x": {"$ref": "#/nowhere"}}}),
            "has a reference that leads nowhere",
        ),
        (
            json!({"type": "object", "properties": {"x": {"pattern": "(?=a)b"}}}),
            "tools[0].inputSchema.properties.x.pattern: has look-around, which",
        ),
        (
            json!({"type": "object", "properties": {"x": {"pattern": "("}}}),
            "tools[0].inputSchema.properties.x.pattern: ",
        ),
        (
            json!({"type": "object", "patternProperties": {"(?<!a)b": {}}}),
            "tools[0].inputSchema.patternProperties.(?<!a)b",
        ),
        (
            json!({"type": "object", "$schema": "http://json-schema.org/draft-04/schema#"}),
            "tools[0].inputSchema.$schema: must be draft 2020-12, 2019-09 or draft-07",
        ),
        (
            json!({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#", "required": 5}),
            "tools[0].inputSchema.required: is not JSON Schema draft-07",
        ),
        (json!({"type": "object", "not": deep}), "tools[0].inputSchema: is nested deeper than 64 levels"),
    ] {
        assert_wrong(&with_schema(schema), expected);
    }
}

#[test]
fn schemas_of_older_drafts_are_read_as_what_they_are() {
    let of = |dialect: &str, property: serde_json::Value| {
        let schema = json!({"$schema": dialect, "type": "object", "properties": {"x": property}});
        let tools = compile(&[with_schema(schema)]).unwrap();
        let tool = tools.iter().next().unwrap().clone();
        move |x: serde_json::Value| tool.input().unwrap().is_valid(&json!({"x": x}))
    };
    for dialect in [
        "http://json-schema.org/draft-07/schema#",
        "http://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        let fits = of(dialect, json!({"type": "integer", "exclusiveMinimum": 0}));
        assert!(fits(json!(1)) && !fits(json!(0)), "{dialect}");
    }
    // A list of items by position has another name since 2020-12.
    let pair = json!({"items": [{"type": "string"}, {"type": "integer"}]});
    let fits = of("http://json-schema.org/draft-07/schema#", pair);
    assert!(fits(json!(["a", 1])) && !fits(json!([1, "a"])));
}

#[test]
fn a_text_cannot_promise_structured_content() {
    let schema = json!({"type": "object"}).as_object().cloned();
    assert_wrong(
        &Tool { output_schema: schema.clone(), ..text("x") },
        "tools[0].outputSchema: promises structured content",
    );
    assert_eq!(wrong(&Tool { output_schema: schema, ..cel("{'a': 1}") }), [""; 0]);
    let array = json!({"type": "array"}).as_object().cloned();
    assert_wrong(
        &Tool { output_schema: array, ..cel("[1]") },
        "tools[0].outputSchema.type: must be \"object\"",
    );
}
