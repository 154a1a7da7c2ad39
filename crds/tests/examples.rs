//! Every resource under `examples/` is taken, and holds nothing that would be dropped.

use std::{fs, path::Path};

use mcp_crds::McpServer;
use serde_json::Value;

use crate::{DOOR, prune, refusals};

#[test]
fn every_example_is_a_resource_that_is_taken_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        for document in documents.iter().filter(|document| document["kind"] == mcp_crds::KIND) {
            let shown = format!("{} {}", path.display(), document["metadata"]["name"]);
            let (_, dropped) = prune(&DOOR.schema, document, "");
            assert_eq!(dropped, Vec::<String>::new(), "{shown}");
            assert_eq!(refusals(document), Vec::<String>::new(), "{shown}");
            serde_json::from_value::<McpServer>(document.clone())
                .unwrap_or_else(|error| panic!("{shown}: {error}"));
            seen += 1;
        }
    }
    assert!(seen >= 3, "only {seen} examples were found");
}
