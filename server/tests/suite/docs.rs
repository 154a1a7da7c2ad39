//! The configurations in the pages on the server are valid, word for word.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mcp_server_config::compile::compile;
use mcp_server_config::{Origin, load, validate};

#[test]
fn every_configuration_in_the_pages_loads() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/server");
    let mut loaded = 0;
    for page in fs::read_dir(&pages).unwrap() {
        let path = page.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let blocks = ["json", "yaml"].into_iter().flat_map(|kind| {
            let fence = format!("\n```{kind}\n");
            let blocks: Vec<_> = text.split(fence.as_str()).skip(1).collect();
            blocks.into_iter().map(move |block| (kind, block))
        });
        for (kind, from) in blocks {
            let (block, _) = from.split_once("\n```").unwrap();
            let name = format!("{}.{kind}", path.file_stem().unwrap().display());
            let origin = Origin { name: name.clone(), text: block.to_owned() };
            let document = load(&origin, []).unwrap_or_else(|error| panic!("{name}: {error}\n{block}"));
            assert!(document.unknown.is_empty(), "{name}: {:?}", document.unknown);
            let violations = validate(&document.config);
            assert!(violations.is_empty(), "{name}: {violations:?}");
            let broken = compile(&document.config.service.tools).err();
            assert!(broken.is_none(), "{name}: {broken:?}");
            loaded += 1;
        }
    }
    assert!(loaded >= 3, "{loaded} configurations");
}

#[test]
fn the_pages_say_which_settings_need_a_restart() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut needed = BTreeSet::new();
    for page in ["configuration.md", "server/http-tools.md"] {
        let text = fs::read_to_string(docs.join(page)).unwrap();
        let lines = text.lines().skip_while(|line| !line.ends_with("| without a restart |")).skip(2);
        let mut rows = 0;
        for row in lines.take_while(|line| line.starts_with('|')) {
            let setting = row.split('`').nth(1).unwrap();
            let last = row.trim_end_matches('|').rsplit('|').next().unwrap().trim();
            if !last.starts_with("yes") {
                assert_eq!(last, "no", "{row}");
                needed.insert(setting.to_owned());
            }
            rows += 1;
        }
        assert!(rows > 0, "{page} has no such table");
    }
    assert_eq!(needed, mcp_server_config::restart_settings().map(str::to_owned).collect());
}

/// The names of metrics in a text, where each stands between two such marks.
fn metrics(text: &str, mark: char) -> BTreeSet<String> {
    let of_metric = |word: &&str| {
        let rest = word.strip_prefix("mcp_server_").or_else(|| word.strip_prefix("process_"));
        rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    text.split(mark).filter(of_metric).map(str::to_owned).collect()
}

fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_page_on_metrics_names_every_metric_and_no_other() {
    let server = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(server.join("../docs/server/metrics.md")).unwrap();
    let mut code = String::new();
    sources(&server.join("src"), &mut code);
    assert_eq!(metrics(&page, '`'), metrics(&code, '"'));
}
