//! The skeleton of a new kind: a check that compiles and passes the conformance tests, its tests, and a line in every list of kinds.

use crate::run;
use std::{fs, path::Path};

const KIND: &str = include_str!("new_kind/kind.rs.txt");
const TEST: &str = include_str!("new_kind/test.rs.txt");

/// The keywords of the 2024 edition, which cannot name a module. `mod` would also replace `tests/it/kinds/mod.rs`.
const KEYWORDS: &str = "abstract as async await become box break const continue crate do dyn else enum extern false final fn for gen if impl \
                        in let loop macro match mod move mut override priv pub ref return self static struct super trait true try type \
                        typeof unsafe unsized use virtual where while yield";

/// Creates the files of the kind `name`, and adds it to the lists.
pub(crate) fn create(name: &str) -> Result<(), String> {
    create_in(&run::root(), name)?;
    for line in [
        &*format!("created checks/kinds/{name}.rs and tests/it/kinds/{name}.rs, and added {name} to the lists of kinds"),
        "it sends PING and expects PONG: write down what your kind asks instead, then",
        "  * add its driver to checks/Cargo.toml, if it needs one",
        "  * start a real server of it in tests/it/servers",
        &format!("  * add a service `{name}` to docker-compose.yml and a check to config/examples/compose.toml, if it has a server"),
        "  * add a line to CHANGELOG.md",
        "  * run `cargo xtask generate`, then `cargo xtask test`",
    ] {
        run::say(line);
    }
    Ok(())
}

fn create_in(root: &Path, name: &str) -> Result<(), String> {
    if !is_name(name) {
        return Err(format!("`{name}` cannot be a kind: use lower-case letters, digits and single underscores, beginning with a letter"));
    }
    if KEYWORDS.split_whitespace().any(|keyword| keyword == name) {
        return Err(format!("`{name}` cannot be a kind: it is a keyword of Rust: choose another name"));
    }
    if uses_type(&type_name(name)) {
        return Err(format!(
            "`{name}` cannot be a kind: its type `{}` would hide one that every kind uses: choose another name",
            type_name(name)
        ));
    }
    let (kind, test) = (root.join(format!("checks/kinds/{name}.rs")), root.join(format!("tests/it/kinds/{name}.rs")));
    if let Some(existing) = [&kind, &test].into_iter().find(|path| path.exists()) {
        return Err(format!("the kind `{name}` exists already: {}", existing.display()));
    }
    // First: it rejects names that are taken, and nothing has been written yet.
    edit(root, "checks/Cargo.toml", |text| add_feature(text, name))?;
    let module =
        |text: &str| insert_sorted(text, "    #[cfg(feature = \"", &format!("    #[cfg(feature = \"{name}\")]\n    pub mod {name};\n"), 2);
    let row = format!("    \"{name}\" => kinds::{name}::{},\n", type_name(name));
    edit(root, "checks/lib.rs", |text| insert_sorted(&module(text)?, "    \"", &row, 1))?;
    edit(root, "tests/it/kinds/mod.rs", |text| insert_sorted(text, "mod ", &format!("mod {name};\n"), 1))?;
    for (path, template) in [(kind, KIND), (test, TEST)] {
        let source = template.replace("@NAME@", name).replace("@TYPE@", &type_name(name));
        fs::write(&path, source).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.contains("__")
        && !name.ends_with('_')
}

/// Whether the skeleton uses a type, trait or variant of this name.
fn uses_type(name: &str) -> bool {
    let code = KIND.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric())).any(|word| word == name)
}

/// The name of the kind's type: `azure_blob` becomes `AzureBlob`.
fn type_name(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn edit(root: &Path, path: &str, change: impl FnOnce(&str) -> Result<String, String>) -> Result<(), String> {
    let text = fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))?;
    let changed = change(&text).map_err(|problem| format!("{path}: {problem}"))?;
    fs::write(root.join(path), changed).map_err(|error| format!("{path}: {error}"))
}

/// Inserts `item` at its place in the sorted list whose items begin with `prefix` and have `lines` lines each.
fn insert_sorted(text: &str, prefix: &str, item: &str, lines: usize) -> Result<String, String> {
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    let items: Vec<usize> = (0..all.len()).filter(|index| all[*index].starts_with(prefix)).collect();
    let last = items.last().ok_or_else(|| format!("no line begins with `{prefix}`"))?;
    let first_line = item.split_inclusive('\n').next().unwrap_or_default();
    let place = items.iter().copied().find(|index| all[*index] > first_line).unwrap_or(last + lines);
    Ok([&all[..place], &[item], &all[place..]].concat().concat())
}

/// Adds a feature of this name, and its name to the feature `all`.
fn add_feature(text: &str, name: &str) -> Result<String, String> {
    if text.lines().any(|line| line.starts_with(&format!("{name} = "))) {
        return Err(format!("`{name}` is the name of a feature or a dependency already: choose another name"));
    }
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let all = lines.iter().position(|line| line.starts_with("all = [")).ok_or("the feature `all` is missing")?;
    let listed = lines[all].trim_end().trim_start_matches("all = [").trim_end_matches(']').to_owned();
    let mut kinds: Vec<&str> = listed.split(", ").map(|kind| kind.trim_matches('"')).collect();
    kinds.push(name);
    kinds.sort_unstable();
    lines[all] = format!("all = [{}]\n", kinds.iter().map(|kind| format!("\"{kind}\"")).collect::<Vec<_>>().join(", "));
    let next = kinds.iter().skip_while(|kind| **kind != name).nth(1);
    let is_feature = |line: &String, kind: &str| line.starts_with(&format!("{kind} = ["));
    let place = match next {
        Some(next) => lines.iter().position(|line| is_feature(line, next)),
        // After the last one.
        None => kinds.iter().rev().nth(1).and_then(|last| lines.iter().position(|line| is_feature(line, last))).map(|place| place + 1),
    };
    lines.insert(place.ok_or("a feature in `all` is missing")?, format!("{name} = [\"net\"]\n"));
    Ok(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_kind_is_added_to_every_list_at_its_place() {
        for name in ["aaa", "nats", "zoo_keeper"] {
            let copy = tempfile::tempdir().expect("a folder");
            for path in ["checks/lib.rs", "checks/Cargo.toml", "tests/it/kinds/mod.rs"] {
                let copied = copy.path().join(path);
                fs::create_dir_all(copied.parent().expect("a folder")).expect("a folder");
                fs::copy(run::root().join(path), copied).expect("a copy");
            }
            fs::create_dir(copy.path().join("checks/kinds")).expect("a folder");
            create_in(copy.path(), name).expect("a new kind");
            let read = |path: &str| fs::read_to_string(copy.path().join(path)).expect("a file");
            let (library, manifest, tests) = (read("checks/lib.rs"), read("checks/Cargo.toml"), read("tests/it/kinds/mod.rs"));
            let named = |text: &str, prefix: &str, end: char| -> Vec<String> {
                let lines = text.lines().filter_map(|line| line.strip_prefix(prefix)?.split(end).next().map(str::to_owned));
                lines.collect()
            };
            let features = named(&library, "    #[cfg(feature = \"", '"');
            assert!(features.contains(&name.to_owned()));
            assert!(features.is_sorted(), "{features:?}");
            assert_eq!(named(&library, "    pub mod ", ';'), features);
            assert_eq!(named(&library, "    \"", '"'), features);
            assert_eq!(named(&tests, "mod ", ';'), features);
            assert!(manifest.contains(&format!("\n{name} = [\"net\"]\n")) && manifest.contains(&format!("\"{name}\"")));
            assert!(create_in(copy.path(), name).expect_err("it is there").contains("exists already"));
        }
    }

    #[test]
    fn what_cannot_be_a_module_cannot_be_a_kind() {
        for name in ["", "Nats", "9lives", "a__b", "a_", "no-dash"] {
            assert!(create_in(Path::new("/nowhere"), name).expect_err("no name").contains("cannot be a kind"), "{name}");
        }
        for name in ["mod", "type", "self", "gen"] {
            assert!(create_in(Path::new("/nowhere"), name).expect_err("a keyword").contains("keyword"), "{name}");
        }
        for name in ["check", "config", "observation"] {
            assert!(create_in(Path::new("/nowhere"), name).expect_err("a type").contains("would hide"), "{name}");
        }
        assert_eq!(type_name("azure_blob"), "AzureBlob");
    }

    #[test]
    fn a_feature_or_dependency_cannot_be_a_kind() {
        let manifest = fs::read_to_string(run::root().join("checks/Cargo.toml")).expect("a file");
        for name in ["all", "default", "net", "tls", "sql", "tokio"] {
            let result = add_feature(&manifest, name);
            assert!(result.is_err(), "{name}: {result:?}");
        }
    }
}
