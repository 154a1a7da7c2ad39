//! Words that readers of YAML 1.1 take for something else.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use mcp_server_config::convert::to_resource;
use mcp_server_config::{Origin, load, render_yaml};
use serde_json::json;

fn notes(name: &str, text: &str) -> Vec<String> {
    load(&Origin { name: name.into(), text: text.into() }, []).unwrap().notes
}

#[test]
fn a_word_that_a_cluster_reads_as_true_is_told_of_in_a_schema() {
    let text = "tools:\n- name: set\n  text: \"on\"\n  inputSchema:\n    type: object\n    properties:\n      y: {type: string, enum: [on, \"off\", No]}\n      'n': {type: string, description: no thanks}\n      yes: {const: only}\n";
    assert_eq!(
        notes("a.yaml", text),
        [
            "tools[0].inputSchema.properties.y: y without quotes is true to readers of YAML 1.1, and to a cluster; write \"y\", with the quotes (line 7)",
            "tools[0].inputSchema.properties.y.enum[0]: on without quotes is true to readers of YAML 1.1, and to a cluster; write \"on\", with the quotes (line 7)",
            "tools[0].inputSchema.properties.y.enum[2]: no without quotes is false to readers of YAML 1.1, and to a cluster; write \"no\", with the quotes (line 7)",
            "tools[0].inputSchema.properties.yes: yes without quotes is true to readers of YAML 1.1, and to a cluster; write \"yes\", with the quotes (line 9)",
        ]
    );
    let resource = format!(
        "apiVersion: mcp-operator.dev/v1alpha1\nkind: McpServer\nmetadata: {{name: a}}\nspec:\n  config:\n{}",
        text.lines().map(|line| format!("    {line}\n")).collect::<String>()
    );
    assert_eq!(notes("a.yaml", &resource).len(), 4);
    // In JSON every word stands in quotes.
    let json = json!({"tools": [{"name": "a", "text": "x", "inputSchema": {"type": "object", "properties": {"y": {"enum": ["on"]}}}}]});
    assert_eq!(notes("a.json", &json.to_string()), [""; 0]);
}

#[test]
fn what_is_printed_reads_the_same_everywhere() {
    let words = [
        "y",
        "N",
        "yes",
        "no",
        "On",
        "off",
        "true",
        "null",
        "~",
        "1",
        "0x1f",
        "0o7",
        "1_000",
        "1:30",
        "2026-07-28",
        "1e3",
        "=",
        "<<",
        ".5",
        "nan",
    ];
    let properties: serde_json::Map<_, _> =
        words.iter().map(|word| ((*word).to_owned(), json!({}))).collect();
    let document = json!({"auth": {"mode": "Disabled"}, "tools": [{"name": "a", "text": "x", "inputSchema": {"type": "object", "properties": properties, "required": words}}]});
    let config = load(&Origin { name: "a.json".into(), text: document.to_string() }, []).unwrap().config;
    for text in [render_yaml(&config), to_resource(&config).text] {
        for word in words {
            let quoted =
                |text: &str| [format!("\"{word}\""), format!("'{word}'")].iter().any(|quoted| text == quoted);
            let keys = text
                .lines()
                .filter_map(|line| line.trim().strip_suffix(": {}"))
                .filter(|key| quoted(key))
                .count();
            let values = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix("- "))
                .filter(|value| quoted(value))
                .count();
            assert_eq!((keys, values), (1, 1), "{word} is not in quotes in\n{text}");
        }
        let again = load(&Origin { name: "a.yaml".into(), text: text.clone() }, []).unwrap();
        assert_eq!(again.notes, [""; 0], "{text}");
        assert_eq!(again.config.service.tools, config.service.tools, "{text}");
    }
}
