//! Texts with places for arguments.

use super::{assert_wrong, text};
use crate::compile::{Body, Part, compile};

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
    assert_eq!(
        parts(
            r#"{{args["filter[status]"]}}{{args['}}'].x}}{{args.$top}}{{args.日付}}{{args.list[0]["a.b"]}}"#
        ),
        [
            argument(&["filter[status]"]),
            argument(&["}}", "x"]),
            argument(&["$top"]),
            argument(&["日付"]),
            argument(&["list", "0", "a.b"])
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
        ("{{arg.first}}", "only arguments can be filled in; did you mean args?"),
        ("{{user.name}}", "only arguments can be filled in; write {{args.name}}"),
        ("{{}}", "only arguments can be filled in"),
        ("{{args.}}", "has a name with other signs"),
        ("{{args..x}}", "has a name with other signs"),
        ("{{args.a b}}", "write such a name in brackets and quotes, as in {{args[\"a name\"]}}"),
        ("{{args.filter[status]}}", "has a bracket without a name in it"),
        ("{{args[\"a}}", "has a bracket without a name in it"),
        ("{{args[]}}", "has a bracket without a name in it"),
        ("{{args.a}{{args.b}}", "has a name with other signs"),
    ] {
        assert_wrong(&text(source), expected);
    }
    assert_wrong(&text(&"x".repeat(16 * 1024 + 1)), "it must have from 1 to 16384");
}
