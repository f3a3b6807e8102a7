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

/// What only some files of `src/` may do: a part of `src/`, what stands in the code, and the files and folders that may use it.
///
/// `clippy.toml` bans what nothing may use. This table is for what has one owner.
const OWNED: &[(&str, &[&str], &[&str])] = &[
    // Configuration is read in one place; the others follow or read a file that the user names, or the addresses of the machine.
    (
        "",
        &["fs::", "File::open", "from_pem_file", "pem_file_iter", "read_certificates", "read_private_key"],
        &[
            "config/",
            "service/file_fingerprints.rs",
            "service/address_family.rs",
            "service/running.rs",
            "tls/pinned.rs",
            "doctor/target_group",
        ],
    ),
    ("", &["env::var", "env::home_dir", "temp_dir"], &["config/"]),
    ("", &["io::stdout", "io::stderr"], &["cli/terminal.rs", "telemetry.rs"]),
    ("", &["ExitCode"], &["cli/exit.rs"]),
    ("", &["signal::unix", "ctrl_c"], &["cli/signals.rs"]),
    ("", &["process::Command"], &["cli/wait.rs"]),
    ("", &["UnixDatagram"], &["service/notify_socket.rs"]),
    ("engine/", &["catch_unwind", "time::timeout", "timeout("], &["engine/sampler.rs"]),
    ("http/", &["\"/livez", "\"/readyz", "\"/startupz", "\"/metrics", "\"/admin"], &["http/paths.rs"]),
];

/// The code of a source file, without its tests and comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a file");
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn only_its_owner_does_what_has_an_owner() {
    let (folder, mut files) = (root().join("src"), Vec::new());
    sources(&folder, &mut files);
    files.retain(|file| !file.ends_with("tests.rs"));
    let mut trouble = Vec::new();
    for file in files {
        let (name, code) = (file.strip_prefix(&folder).expect("it is below").display().to_string(), code(&file));
        for (part, uses, owners) in OWNED {
            if name.starts_with(part) && !owners.iter().any(|owner| name.starts_with(owner)) {
                trouble.extend(
                    uses.iter().filter(|used| code.contains(**used)).map(|used| format!("src/{name} uses {used}: that is for {owners:?}")),
                );
            }
        }
    }
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));
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
fn only_the_drivers_and_one_file_of_object_storage_read_the_environment() {
    assert_absent("checks", &["std::env", "env::var", "home_dir", "from_env()"], &["object_storage/environment.rs"]);
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

/// The value of `KEY = "VALUE"` in a TOML file.
fn toml_value(path: &str, key: &str) -> String {
    let text = read(path);
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
    value.unwrap_or_else(|| panic!("{path} has no `{key}`")).trim_end_matches('"').to_owned()
}

#[test]
fn the_files_of_the_forge_are_there() {
    for file in [
        "CONTRIBUTING.md",
        ".github/ISSUE_TEMPLATE/bug_report.yml",
        ".github/ISSUE_TEMPLATE/config.yml",
        ".github/ISSUE_TEMPLATE/feature_request.yml",
        ".github/pull_request_template.md",
    ] {
        assert!(!read(file).is_empty(), "{file} is empty");
        let yaml = Path::new(file).extension().is_some_and(|extension| extension == "yml");
        assert!(!yaml || serde_saphyr::from_str::<serde_json::Value>(&read(file)).is_ok(), "{file} is not YAML");
    }
}

#[test]
fn the_oldest_supported_rust_is_the_same_everywhere() {
    let oldest = toml_value("Cargo.toml", "rust-version");
    let pinned = toml_value("rust-toolchain.toml", "channel");
    assert!(pinned.starts_with(&format!("{oldest}.")), "rust-toolchain.toml pins {pinned}, the oldest supported version is {oldest}");
    for page in ["README.md", "CONTRIBUTING.md", "docs/install.md"] {
        let text = read(page);
        let mut named = text.match_indices("Rust 1.").map(|(at, _)| &text[at + "Rust ".len()..]).peekable();
        assert!(named.peek().is_some(), "{page} does not name the oldest supported version");
        for version in named {
            assert!(version.starts_with(&oldest), "{page}: Rust {}", version.lines().next().unwrap_or_default());
        }
    }
}

#[test]
fn the_workflow_runs_all_checks_with_the_pinned_rust_and_checks_the_oldest() {
    let text = read(".github/workflows/ci.yml");
    let workflow: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
    let pinned = toml_value("rust-toolchain.toml", "channel");
    assert_eq!(workflow["jobs"]["checks"]["container"]["image"], format!("rust:{pinned}-bookworm"));
    assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }));
    let commands = |job: &str| -> Vec<String> {
        let steps = workflow["jobs"][job]["steps"].as_array().expect("steps").iter();
        steps.filter_map(|step| step["run"].as_str().map(|run| run.trim().to_owned())).collect()
    };
    assert!(commands("checks").contains(&".ci/run".to_owned()));
    assert!(commands("msrv").iter().any(|command| command.contains("rust-version = ") && command.contains("Cargo.toml")));
    assert!(commands("msrv").contains(&"cargo check --workspace --locked".to_owned()));
    for action in text.lines().filter_map(|line| line.trim().strip_prefix("- uses: ")) {
        let commit = action.split_once('@').map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
        let is_pinned = commit.is_some_and(|commit| commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(is_pinned, "{action}: pin the commit, a tag can be moved");
    }
}

#[test]
fn compose_has_a_service_for_every_networked_kind() {
    let compose = read("docker-compose.yml");
    for kind in crate::registered::kinds_with_own_server().into_iter().chain(["allswell"]) {
        assert!(compose.contains(&format!("\n  {kind}:\n")), "the service {kind}");
    }
}

/// The lines of every file in `src`, with their places, without comments and unit tests.
fn code_lines() -> Vec<(String, String)> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut lines = Vec::new();
    for file in files.iter().filter(|file| file.file_name().is_some_and(|name| name != "tests.rs")) {
        let path = file.strip_prefix(root()).expect("below the root").display().to_string();
        let text = fs::read_to_string(file).expect("a file");
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let numbered = code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        lines.extend(numbered.map(|(index, line)| (format!("{path}:{}", index + 1), line.to_owned())));
    }
    lines
}

#[test]
fn no_kind_is_named_in_src() {
    // `http` is also the scheme of a URL that is polled.
    let kinds = allswell_checks::KINDS.iter().filter(|kind| **kind != "http");
    let literals: Vec<String> = kinds.map(|kind| format!("\"{kind}\"")).collect();
    for (place, line) in code_lines() {
        assert!(
            !literals.iter().any(|literal| line.contains(literal)),
            "{place} names a kind; let the kind declare what is needed: {line}"
        );
    }
}
