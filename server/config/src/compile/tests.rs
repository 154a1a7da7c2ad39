use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::cost::MAX_WEIGHT;
use super::{Body, Part, compile};
use crate::tools::{Tool, ToolAnnotations};

fn cel(source: &str) -> Tool {
    Tool { name: "t".to_owned(), cel: Some(source.to_owned()), ..Tool::default() }
}

fn text(text: &str) -> Tool {
    Tool { name: "t".to_owned(), text: Some(text.to_owned()), ..Tool::default() }
}

fn with_schema(schema: Value) -> Tool {
    let Value::Object(schema) = schema else { panic!("a schema is an object here") };
    Tool { input_schema: Some(schema), ..text("x") }
}

/// What is wrong with a tool, one line each.
fn wrong(tool: &Tool) -> Vec<String> {
    match compile(std::slice::from_ref(tool)) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.iter().map(ToString::to_string).collect(),
    }
}

fn assert_wrong(tool: &Tool, expected: &str) {
    let found = wrong(tool);
    assert!(
        found.iter().any(|line| line.contains(expected)),
        "{tool:?}\n  expected {expected:?}\n  found {found:?}"
    );
}

#[test]
fn sound_expressions_compile() {
    for source in [
        r#""Hello, " + args.name + "!""#,
        "args.n + 1",
        "{'sum': args.a + args.b, 'list': [1, 2u, 3.5, true, null, b'x']}",
        "args.list.map(x, x * 2)",
        "args.list.filter(x, x > 2).map(x, x + 1)",
        "args.list.exists(x, x == args.wanted) && args.list.all(x, x > 0) && args.list.exists_one(x, x == 1)",
        "has(args.name) ? args.name : 'you'",
        "args.?name.orValue('you')",
        "optional.of(1).hasValue()",
        "args['a-name'].size() + size(args.list)",
        "args.s.matches('^[a-z]+$') && args.s.startsWith('a') && args.s.endsWith('z') && args.s.contains('m')",
        "type(args.x) == int ? string(args.x) : string(double(args.x))",
        "1 in args.list // with a comment (((((",
        r#"r"\(((((((((((((((((((((((((((((((((((((((((((" + '"((((((((((((((((((((((((((((((((((((((((("'"#,
        "'''\n((((((((((((((((((((((((((((((((((((\n'''",
        r#""\a\b\f\n\r\t\v\"\'\\\?\`\x41é\U0001F600\101""#,
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        "args.n in\n  [1,\n   2]",
    ] {
        assert_eq!(wrong(&cel(source)), [""; 0], "{source}");
    }
}

#[test]
fn broken_expressions_are_refused_with_position_and_reason() {
    for (source, expected) in [
        ("", "tools[0].cel: is empty"),
        (" \n ", "tools[0].cel: is empty"),
        ("1 +", "is not a CEL expression: Syntax error"),
        ("\"a\" +\n  + args.n", "(line 2, column 3)"),
        (
            "name",
            "names an unknown variable \"name\"; only args is known, as in args.name (line 1, column 1)",
        ),
        ("args.list.map(x, y)", "unknown variable \"y\""),
        ("[1].map(x, x)[0] + x", "unknown variable \"x\""),
        (".args", "unknown variable"),
        ("args.name.upper()", "calls an unknown function \"upper\""),
        ("now()", "calls an unknown function \"now\""),
        ("math.max(1, 2)", "unknown"),
        ("timestamp('2026-01-01T00:00:00Z')", "calls an unknown function \"timestamp\""),
        ("args.list.map(x, y, z, x)", "calls an unknown function \"map\""),
        ("has(args)", "invalid argument to has() macro"),
        ("google.Thing{name: 1}", "there are no message types"),
        ("args.s.matches(args.pattern)", "computes the pattern of matches"),
        ("args.s.matches('(')", "has a bad regular expression: unclosed group"),
        ("matches(args.s, '(?=a)')", "has a bad regular expression: look-around"),
        (r"args.s.matches('(\\w{200}){200}')", "has a bad regular expression: it is too large"),
        ("args.l.map(x, args.l.map(y, y))", "has a comprehension inside another"),
        ("args.l.all(x, x.exists(y, y == 1))", "has a comprehension inside another"),
        ("\"abc", "has a string that does not end"),
        ("'a\nb'", "has a string that does not end"),
        ("'''abc", "has a string that does not end"),
        (r#""\q""#, "has an unknown escape"),
        (r#""\u12""#, "has an unknown escape"),
        (r#""\400""#, "has an unknown escape"),
        (r#"1r"\" + (((""#, "has a string right behind a name or number"),
        ("args.`a-b`", "has a backtick"),
    ] {
        assert_wrong(&cel(source), expected);
    }
}

#[test]
fn what_grows_without_end_is_refused() {
    let doubled = |times: usize| cel(&format!("[1]{}", ".map(a, [a, a])".repeat(times)));
    assert_eq!(wrong(&doubled(6)), [""; 0]);
    assert_wrong(&doubled(30), "tools[0].cel: costs too much even with small arguments");
    // A pattern that is compiled for each item of a list is dear, and not out of the question.
    assert_eq!(wrong(&cel("args.list.filter(x, x.matches('^a'))")), [""; 0]);
}

#[test]
fn every_problem_of_every_tool_is_reported_at_once() {
    let tools = [
        Tool { name: "same".to_owned(), ..cel("name + now()") },
        Tool { name: "same".to_owned(), ..text("Hello {{name}}") },
        Tool { name: "none".to_owned(), ..Tool::default() },
        Tool { name: "both".to_owned(), text: Some("x".to_owned()), ..cel("1") },
    ];
    let violations = compile(&tools).expect_err("nothing here is right");
    let paths: Vec<String> = violations.iter().map(|violation| violation.path.to_string()).collect();
    assert_eq!(
        paths,
        ["tools[0].cel", "tools[0].cel", "tools[1].name", "tools[1].text", "tools[2]", "tools[3]"]
    );
}

/// The worst that fits into a source, of each construct that nests.
fn towers() -> Vec<(&'static str, String)> {
    let tower = |open: &str, core: &str, close: &str| {
        let times = (1024 - core.len()) / (open.len() + close.len());
        format!("{}{core}{}", open.repeat(times), close.repeat(times))
    };
    vec![
        ("parentheses", tower("(", "1", ")")),
        ("open parentheses", tower("(", "", "")),
        ("lists", tower("[", "1", "]")),
        ("open lists", tower("[", "", "")),
        ("maps", tower("{1:", "1", "}")),
        ("open maps", tower("{", "", "")),
        ("messages", tower("A{a:", "1", "}")),
        ("calls", tower("int(", "1", ")")),
        ("macros", tower("[1].map(x,", "1", ")")),
        ("indexes", tower("args[", "0", "]")),
        ("not", tower("!", "true", "")),
        ("not with spaces", tower("! ", "true", "")),
        ("not with comments", tower("!//\n", "true", "")),
        ("minus", tower("-", "1", "")),
        ("minus in parentheses", tower("-(", "1", ")")),
        ("conditionals to the right", tower("true?1:", "1", "")),
        ("conditionals inside", tower("true?", "1", ":1")),
        ("plus", tower("", "1", "+1")),
        ("times", tower("", "1", "*1")),
        ("less", tower("", "1", "<1")),
        ("in", tower("", "1", " in 1")),
        ("and", tower("", "1", "&&1")),
        ("or", tower("", "1", "||1")),
        ("selections", tower("", "args", ".a")),
        ("optional selections", tower("", "args", ".?a")),
        ("index chain", tower("", "args", "[0]")),
        ("member calls", tower("", "args", ".a()")),
        ("a mixture", tower("[{1:-(!int(", "1", "))}]")),
        ("hidden in an unfinished string", tower("(", "\"", ")")),
        ("hidden behind a bad escape", tower("(", r#""\q""#, ")")),
        ("hidden behind a raw string", tower("(", r#"r"\""#, ")")),
        ("hidden behind a comment", tower("(", "//\"\n1", ")")),
        ("a long string", format!("'{}'", "(".repeat(1022))),
        ("nonsense", tower("?:", "", "")),
        ("quotes", tower("'\"", "", "")),
        ("zero bytes", tower("\0", "", "")),
    ]
}

#[test]
fn no_tower_crashes_the_process() {
    for (what, source) in towers() {
        let started = Instant::now();
        let found = wrong(&cel(&source));
        assert!(started.elapsed() < Duration::from_secs(20), "{what} took {:?}", started.elapsed());
        let legal = ["in", "a long string"];
        assert!(!found.is_empty() || legal.contains(&what), "{what} compiled");
    }
}

/// The deepest and longest that is allowed, on half of the smallest stack in use: evaluating needs it as well.
#[test]
fn the_deepest_allowed_fits_a_small_stack() {
    let nested = |open: &str, core: &str, close: &str, times: usize| {
        cel(&format!("{}{core}{}", open.repeat(times), close.repeat(times)))
    };
    let tools = vec![
        nested("(", "1", ")", 32),
        nested("[", "1", "]", 32),
        nested("{1:", "1", "}", 32),
        nested("int(", "1", ")", 32),
        nested("true?1:", "1", "", 32),
        nested("-(", "1", ")", 16),
        nested("", "1", "+1", 256),
        nested("", "args", ".a", 256),
        nested("", "args", "[0]", 256),
        nested("((((((((", "1", "+1+1+1+1+1+1)+1+1+1)+1+1+1)+1+1+1)+1+1+1)+1+1+1)+1+1+1)+1+1+1)", 4),
    ];
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
        for tool in &tools {
            let program =
                super::CelProgram::compile_over(tool.cel.as_deref().unwrap(), &[super::cel::ARGUMENTS])
                    .unwrap_or_else(|problems| panic!("{tool:?}: {problems:?}"));
            let mut context = ::cel::Context::with_env(super::cel::environment());
            context.add_variable_from_value("args", ::cel::Value::Null);
            drop(program.program().execute(&context));
        }
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn limits_follow_from_what_an_expression_does() {
    let limits = |source: &str| {
        let tools = compile(&[cel(source)]).unwrap_or_else(|violations| panic!("{source}: {violations:?}"));
        let tool = tools.iter().next().unwrap();
        let Body::Cel(program) = tool.body() else { panic!("not cel") };
        program.limits()
    };
    let greet = limits(r#""Hello, " + args.name + "!""#);
    assert_eq!(greet.accepted, MAX_WEIGHT);
    assert!((2_000..20_000).contains(&greet.cheap), "{greet:?}");
    // One loop still takes nearly all there is, and is cheap for a few items.
    let once = limits("args.list.map(x, x * 2)");
    assert!(once.accepted > MAX_WEIGHT / 2, "{once:?}");
    assert!((200..5_000).contains(&once.cheap), "{once:?}");
    // A list looked through for each item of another does not.
    let squared = limits("args.a.filter(x, x in args.b)");
    assert!((10_000..100_000).contains(&squared.accepted), "{squared:?}");
    // Neither does one that multiplies a text.
    let doubled = limits("[args.s + args.s + args.s + args.s].map(a, a + a + a + a + a + a + a + a + a + a)");
    assert!(doubled.accepted < MAX_WEIGHT, "{doubled:?}");
}

#[test]
fn templates_are_split_at_their_places() {
    let parts = |source: &str| {
        let tools = compile(&[text(source)]).unwrap_or_else(|violations| panic!("{source}: {violations:?}"));
        let tool = tools.iter().next().unwrap();
        let Body::Text(template) = tool.body() else { panic!("not text") };
        template.parts().to_vec()
    };
    let literal = |text: &str| Part::Literal(text.to_owned());
    let argument = |names: &[&str]| Part::Argument(names.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(parts("Hello"), [literal("Hello")]);
    assert_eq!(
        parts("Hello, {{args.name}}! {{ args.list.0.a-b }}{{args}}"),
        [
            literal("Hello, "),
            argument(&["name"]),
            literal("! "),
            argument(&["list", "0", "a-b"]),
            argument(&[])
        ]
    );
    assert_eq!(parts(r"\{{args.x}} {x} }}"), [literal("{{args.x}} {x} }}")]);
}

#[test]
fn broken_templates_are_refused_with_position_and_reason() {
    for (source, expected) in [
        ("", "tools[0].text: has 0 bytes"),
        (
            "a\nb {{args.x",
            "opens {{ and does not close it; write }} behind the name, or \\{{ for two literal braces (line 2, column 3)",
        ),
        ("{{name}}", "only arguments can be filled in; write {{args.name}}"),
        ("{{}}", "only arguments can be filled in"),
        ("{{args.}}", "\"\" is not a name"),
        ("{{args..x}}", "\"\" is not a name"),
        ("{{args.a b}}", "\"a b\" is not a name"),
        ("{{args.a}{{args.b}}", "is not a name"),
    ] {
        assert_wrong(&text(source), expected);
    }
    assert_wrong(&text(&"x".repeat(16 * 1024 + 1)), "it must have from 1 to 16384");
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
            "tools[0].inputSchema.properties.x.type: is not JSON Schema 2020-12: \"strng\"",
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
            "tools[0].inputSchema.properties.x.$ref: refers to \"https://example.com/x.json\", and nothing is fetched",
        ),
        (json!({"type": "object", "$ref": "file:///etc/passwd"}), "tools[0].inputSchema.$ref: refers to"),
        (
            json!({"type": "object", "properties": {"x": {"$ref": "#/nowhere"}}}),
            "has a reference that leads nowhere",
        ),
        (
            json!({"type": "object", "properties": {"x": {"pattern": "(?=a)b"}}}),
            "tools[0].inputSchema.properties.x.pattern: has look-around in \"(?=a)b\"",
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
            json!({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}),
            "tools[0].inputSchema.$schema: must be \"https://json-schema.org/draft/2020-12/schema\"",
        ),
        (json!({"type": "object", "not": deep}), "tools[0].inputSchema: is nested deeper than 64 levels"),
    ] {
        assert_wrong(&with_schema(schema), expected);
    }
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

#[test]
fn the_definition_says_what_was_declared() {
    let full = Tool {
        name: "greet".to_owned(),
        title: Some("Greeting".to_owned()),
        description: Some("Greets.".to_owned()),
        input_schema:
            json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}})
                .as_object()
                .cloned(),
        output_schema: json!({"type": "object"}).as_object().cloned(),
        annotations: Some(ToolAnnotations { read_only_hint: Some(true), ..ToolAnnotations::default() }),
        cel: Some("{'a': args.name}".to_owned()),
        text: None,
        ..Tool::default()
    };
    let tools = compile(&[full, text("x")]).unwrap();
    let definitions: Vec<&str> = tools.iter().map(|tool| tool.definition()).collect();
    assert_eq!(
        definitions,
        [
            r#"{"name":"greet","title":"Greeting","description":"Greets.","inputSchema":{"properties":{"name":{"type":"string"}},"required":["name"],"type":"object"},"outputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}"#,
            r#"{"name":"t","inputSchema":{"type":"object"}}"#,
        ]
    );
}

#[test]
fn a_whole_configuration_compiles_in_a_moment() {
    let tools: Vec<Tool> = (0..128)
        .map(|n| Tool {
            name: format!("tool-{n}"),
            ..cel(r#"has(args.name) ? "Hello, " + args.name + "!" : "Hello!""#)
        })
        .collect();
    let started = Instant::now();
    assert_eq!(compile(&tools).unwrap().len(), 128);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// Pieces that a grammar-minded attacker would combine.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "!",
        "-",
        "?",
        ":",
        "+",
        "*",
        "%",
        "/",
        "<",
        ">",
        "==",
        "!=",
        "&&",
        "||",
        " in ",
        ".",
        ",",
        "args",
        "x",
        ".map(x,",
        ".filter(x,",
        "has(",
        "size(",
        "1",
        "1u",
        "1.5",
        "0x",
        "1e9999",
        "'a'",
        "\"",
        "'",
        "'''",
        "r\"",
        "br'",
        "\\",
        "`",
        "//",
        "\n",
        "\r",
        "\0",
        "é",
        "\u{2028}",
        "true",
        "null",
        ".?",
        "[?",
        "A{",
        "in",
        "@",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_source_crashes_the_compiler(pieces in prop::collection::vec(piece(), 0..120)) {
        drop(compile(&[cel(&pieces.concat())]));
    }

    #[test]
    fn no_text_crashes_the_compiler(source in "(?s).{0,200}") {
        drop(compile(&[cel(&source), text(&source)]));
    }

    #[test]
    fn no_template_crashes_the_compiler(pieces in prop::collection::vec(prop::sample::select(vec!["{", "}", "{{", "}}", "args", ".", "\\", "é", " ", "0", "-"]), 0..40)) {
        drop(compile(&[text(&pieces.concat())]));
    }

    /// What compiles is evaluated without a crash, whatever the arguments are.
    #[test]
    fn what_compiles_evaluates(pieces in prop::collection::vec(piece(), 0..12)) {
        if let Ok(tools) = compile(&[cel(&pieces.concat())]) {
            for tool in tools.iter() {
                if let Body::Cel(program) = tool.body() {
                    let mut context = ::cel::Context::with_env(super::cel::environment());
                    context.add_variable_from_value("args", ::cel::Value::List(vec![1.into(), "a".into()].into()));
                    drop(program.program().execute(&context));
                }
            }
        }
    }
}
