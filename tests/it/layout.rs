//! The house keeps its order: files, modules, features and kinds agree, and generated files are fresh.

use allswell::{
    reference,
    registry::{Kind, Registry},
};
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

/// Fails if a source in a folder contains one of these words, unless its path ends with one of `except`.
fn assert_absent(folder: &str, words: &[&str], except: &[&str]) {
    let mut files = Vec::new();
    sources(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "{folder} has sources");
    for file in files.iter().filter(|file| !except.iter().any(|except| file.ends_with(except))) {
        let text = fs::read_to_string(file).expect("a file");
        for word in words {
            assert!(!text.contains(word), "{} contains {word}", file.display());
        }
    }
}

#[test]
fn the_contract_uses_nothing_else_of_its_crate() {
    assert_absent("checks/contract", &["crate::kinds", "crate::wire", "crate::sql", "crate::object_storage"], &[]);
}

#[test]
fn the_shared_rooms_know_no_kind() {
    for room in ["wire", "sql", "object_storage"] {
        assert_absent(&format!("checks/{room}"), &["kinds::", "axum", "figment", "allswell::"], &[]);
    }
    assert_absent("checks/wire", &["crate::sql", "sql::", "object_storage"], &[]);
    assert_absent("checks/sql", &["object_storage"], &[]);
    assert_absent("checks/object_storage", &["sql::"], &[]);
}

#[test]
fn only_the_drivers_and_the_home_directory_read_the_environment() {
    assert_absent("checks", &["std::env", "env::var", "home_dir"], &["object_storage/aws_profile.rs"]);
    assert_absent("checks", &["from_env()"], &["kinds/azure_blob.rs", "kinds/gcs.rs", "kinds/s3.rs"]);
}

#[test]
fn the_trusted_roots_of_the_system_are_the_only_global_of_the_checks() {
    assert_absent("checks", &["\nstatic ", "\npub static ", "\n    static ", "thread_local!"], &["wire/tls.rs"]);
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
    let is_networked = |kind: &Kind| ["url", "address", "endpoint", "broker"].iter().any(|key| kind.schema["properties"][key].is_object());
    let registry = Registry::builtin();
    // `tcp` checks the port of another kind's service.
    let kinds = registry.kinds().filter(|kind| is_networked(kind) && kind.name != "tcp").map(|kind| kind.name);
    for kind in kinds.chain(["allswell"]) {
        assert!(compose.contains(&format!("\n  {kind}:\n")), "the service {kind}");
    }
}
