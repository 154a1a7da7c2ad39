//! Imports follow the arrows of docs/architecture.md.

use std::{collections::BTreeSet, process::Command};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::root;

/// Which of our crates each may use.
const ARROWS: [(&str, &[&str]); 9] = [
    ("mcp-server-config", &[]),
    ("mcp-server", &["mcp-server-config"]),
    ("mcp-crds", &["mcp-server-config"]),
    ("mcp-desired", &["mcp-crds", "mcp-server-config"]),
    ("mcp-operator", &["mcp-crds", "mcp-desired", "mcp-server-config"]),
    ("mcp-cli", &[]),
    ("example-server", &["mcp-server"]),
    ("mcp-bench", &["mcp-server", "mcp-server-config"]),
    ("mcp-bench-reference", &[]),
];

/// What must not be reachable from a crate, by any way.
const WALLS: [(&str, &[&str]); 5] = [
    ("mcp-server-config", &["kube", "kube-core", "k8s-openapi", "tokio", "hyper", "tracing"]),
    ("mcp-server", &["kube", "kube-core", "k8s-openapi"]),
    ("mcp-crds", &["kube-client", "kube-runtime", "tokio", "hyper"]),
    ("mcp-desired", &["kube-client", "kube-runtime", "tokio", "hyper", "tracing"]),
    ("mcp-cli", &["kube", "kube-core", "k8s-openapi", "tokio", "hyper"]),
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        // Not `--offline`: cargo reads the manifests of crates for other platforms, too, which no build has fetched.
        .other_options(["--locked".to_owned()])
        .exec()
        .unwrap()
}

#[test]
fn the_context_of_the_image_build_holds_every_crate() {
    let ignored = crate::read(".dockerignore");
    let kept: BTreeSet<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    // Cargo reads the manifests of all before it builds one.
    for package in metadata().workspace_packages() {
        let inside = package.manifest_path.strip_prefix(root()).unwrap();
        let top = inside.components().next().unwrap();
        assert!(kept.contains(top.as_str()), ".dockerignore leaves {top} out, and with it {}", package.name);
    }
    for top in kept {
        assert!(root().join(top).exists(), ".dockerignore names {top}, which is not there");
    }
}

#[test]
fn our_crates_use_each_other_along_the_arrows() {
    let metadata = metadata();
    let ours: BTreeSet<_> =
        metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    for (name, allowed) in ARROWS {
        let package =
            metadata.workspace_packages().into_iter().find(|package| package.name.as_str() == name).unwrap();
        let used: BTreeSet<_> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal && ours.contains(&dependency.name))
            .map(|dependency| dependency.name.as_str())
            .collect();
        assert!(
            used.iter().all(|used| allowed.contains(used)),
            "{name} uses {used:?}, allowed is {allowed:?}"
        );
    }
    let tests = ["mcp-tests", "mcp-e2e"];
    for package in metadata.workspace_packages() {
        for dependency in &package.dependencies {
            assert!(!tests.contains(&dependency.name.as_str()), "{} uses {}", package.name, dependency.name);
        }
    }
    let known: BTreeSet<_> = ARROWS.iter().map(|(name, _)| *name).chain(tests).map(str::to_owned).collect();
    assert_eq!(ours, known, "a new crate needs its place in the architecture");
}

/// Asked of cargo for each crate alone: in the graph of the whole workspace, one crate's features are everybody's.
#[test]
fn walls_hold_whatever_way_one_goes() {
    for (name, forbidden) in WALLS {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--package", name])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let text = String::from_utf8(tree.stdout).unwrap();
        let reached: BTreeSet<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(reached.contains("serde"), "{name}: this is no tree: {text}");
        let wrong: Vec<_> = forbidden.iter().filter(|crate_| reached.contains(**crate_)).collect();
        assert!(wrong.is_empty(), "{name} reaches {wrong:?}");
    }
}
