//! The configurations in the pages on the server are valid, word for word.

use std::fs;
use std::path::Path;

use mcp_server_config::{Origin, load, validate};

#[test]
fn every_configuration_in_the_pages_loads() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/server");
    let mut loaded = 0;
    for page in fs::read_dir(&pages).unwrap() {
        let path = page.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let mut rest = text.as_str();
        while let Some((_, from)) = rest.split_once("\n```json\n") {
            let (block, after) = from.split_once("\n```").unwrap();
            let name = format!("{}.json", path.file_stem().unwrap().display());
            let origin = Origin { name: name.clone(), text: block.to_owned() };
            let document = load(&origin, []).unwrap_or_else(|error| panic!("{name}: {error}\n{block}"));
            assert!(document.unknown.is_empty(), "{name}: {:?}", document.unknown);
            let violations = validate(&document.config);
            assert!(violations.is_empty(), "{name}: {violations:?}");
            loaded += 1;
            rest = after;
        }
    }
    assert!(loaded >= 3, "{loaded} configurations");
}
