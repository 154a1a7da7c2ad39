//! What the API server refuses at once, by the schema alone.

use mcp_crds::v1alpha1::McpServer;
use mcp_e2e::{Namespace, hello};
use serde_json::{Value, json};

#[tokio::test]
async fn ten_invalid_resources_are_refused_with_the_field_named() {
    let stage = Namespace::open("refusals").await;
    let long = "n".repeat(53);
    let cases: [(&str, Value, &str); 12] = [
        ("a name that is too long for its children", json!({"metadata": {"name": long}}), "52"),
        ("a name that no Service could have", json!({"metadata": {"name": "1st"}}), "name"),
        ("too many replicas", json!({"spec": {"replicas": 1001}}), "spec.replicas"),
        ("fewer than no replicas", json!({"spec": {"replicas": -1}}), "spec.replicas"),
        (
            "a tool without an answer",
            json!({"spec": {"config": {"tools": [{"name": "x"}]}}}),
            "spec.config.tools[0]",
        ),
        (
            "a tool with two answers",
            json!({"spec": {"config": {"tools": [{"name": "x", "cel": "1", "text": "1"}]}}}),
            "spec.config.tools[0]",
        ),
        (
            "two tools of one name",
            json!({"spec": {"config": {"tools": [{"name": "x", "cel": "1"}, {"name": "x", "cel": "2"}]}}}),
            "spec.config.tools",
        ),
        (
            "arguments that are no object",
            json!({"spec": {"config": {"tools": [{"name": "x", "cel": "1", "inputSchema": {"type": "string"}}]}}}),
            "spec.config.tools[0].inputSchema.type",
        ),
        (
            "an unheard-of mode",
            json!({"spec": {"config": {"auth": {"mode": "Perhaps"}}}}),
            "spec.config.auth.mode",
        ),
        (
            "a duration without a unit",
            json!({"spec": {"config": {"performance": {"requestTimeout": "30"}}}}),
            "spec.config.performance.requestTimeout",
        ),
        ("no tools at all", json!({"spec": {"config": {"tools": []}}}), "spec.config"),
        (
            "a volume from the node",
            json!({"spec": {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}}),
            "spec.volumes[name=\"x\"].hostPath",
        ),
    ];
    for (what, change, field) in cases {
        let mut object = hello("invalid", "Hello");
        overlay(&mut object, change);
        let refusal = stage.apply::<McpServer>(&object).await;
        let message = refusal.expect_err(what).to_string();
        println!("{what}: {message}");
        assert!(message.contains(field), "{what}: {field} is not named in: {message}");
    }
    stage
        .apply::<McpServer>(&hello("valid", "Hello"))
        .await
        .expect("what all of them were made from is valid");
}

fn overlay(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                overlay(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}
