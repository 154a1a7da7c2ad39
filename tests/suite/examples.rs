//! Every example is what it says it is.

use mcp_server_config::{Origin, compile, load, validate};

use crate::{read, root};

fn examples(extension: &str) -> Vec<String> {
    let folder = std::fs::read_dir(root().join("examples")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> =
        names.filter(|name| name.ends_with(extension)).map(|name| format!("examples/{name}")).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn every_example_can_be_served_without_a_cluster() {
    for path in examples(".yaml").into_iter().chain(examples(".json")) {
        let origin = Origin { name: path.clone(), text: read(&path) };
        let document = load(&origin, []).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(document.unknown, [], "{path}");
        assert_eq!(validate(&document.config), [], "{path}");
        let compiled = compile::compile(&document.config.service.tools);
        compiled.unwrap_or_else(|violations| panic!("{path}: {violations:?}"));
        assert!(!document.config.service.tools.is_empty(), "{path} serves nothing");
    }
}

#[test]
fn the_readme_shows_the_first_example() {
    let readme = read("README.md");
    let example = read("examples/hello.yaml");
    let resource: Vec<_> = example.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(readme.contains(resource.join("\n").trim()), "README.md and examples/hello.yaml have parted");
}
