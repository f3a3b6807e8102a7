//! The layout: files, modules, features and kinds agree, imports have one direction, and generated files are fresh.

use allswell::kinds::{Registry, reference};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn a_kind_is_a_file_a_module_and_a_feature() {
    let registered: BTreeSet<_> = Registry::builtin().kinds().map(|kind| kind.name).collect();
    let listed: BTreeSet<_> = allswell_checks::KINDS.iter().copied().collect();
    assert_eq!(registered, listed);
    assert!(allswell_checks::KINDS.is_sorted(), "the list is in alphabetical order");
    let (library, manifest) = (read("checks/lib.rs"), read("checks/Cargo.toml"));
    let all = manifest.lines().find(|line| line.starts_with("all = [")).expect("the feature all");
    for kind in allswell_checks::KINDS {
        assert!(root().join(format!("checks/kinds/{kind}.rs")).exists(), "checks/kinds/{kind}.rs");
        assert!(library.contains(&format!("    #[cfg(feature = \"{kind}\")]\n    pub mod {kind};")), "the module {kind}");
        assert!(manifest.lines().any(|line| line.starts_with(&format!("{kind} = ["))), "the feature {kind}");
        assert!(all.contains(&format!("\"{kind}\"")), "the feature {kind} in all");
    }
}

#[test]
fn every_file_begins_with_a_sentence() {
    let mut files = Vec::new();
    for folder in ["src", "checks", "tests", "xtask/src", "examples"] {
        sources(&root().join(folder), &mut files);
    }
    for file in files {
        let text = fs::read_to_string(&file).expect("a file");
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! ") && first.len() > 8, "{}: {first}", file.display());
    }
}

#[test]
fn a_kind_uses_only_the_contract_the_shared_rooms_and_its_driver() {
    let mut files = Vec::new();
    sources(&root().join("checks/kinds"), &mut files);
    assert!(files.len() > allswell_checks::KINDS.len(), "the folders of kinds are examined, too");
    for file in files {
        let text = fs::read_to_string(&file).expect("a file");
        for stranger in ["axum", "figment", "std::env", "env::var", "allswell::", "kinds::", "tokio::spawn"] {
            assert!(!text.contains(stranger), "{} uses {stranger}", file.display());
        }
    }
}

#[test]
fn the_reference_is_fresh() {
    assert!(
        read("checks/README.md") == reference::markdown(&Registry::builtin()),
        "checks/README.md is out of date: run `cargo xtask generate`"
    );
}

#[test]
fn compose_has_a_service_for_every_networked_kind() {
    let compose = read("docker-compose.yml");
    for kind in ["azure_blob", "celery", "gcs", "http", "memcached", "mysql", "postgres", "rabbitmq", "redis", "s3", "allswell"] {
        assert!(compose.contains(&format!("\n  {kind}:\n")), "the service {kind}");
    }
}
