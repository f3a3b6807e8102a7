//! The direction of imports inside `src/`: which room may use which, and no cycles between the files of a room.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each room of `src/`, and the rooms that it may use. `main.rs` may use all.
const ROOMS: &[(&str, &[&str])] = &[
    ("age", &[]),
    ("component", &[]),
    ("pollers", &["age"]),
    ("report", &["component"]),
    ("dialect", &["age", "component", "pollers", "report"]),
    ("engine", &["component", "report"]),
    ("kinds", &["component"]),
    ("config", &["component", "kinds", "report"]),
    ("tls", &["config"]),
    ("http", &["component", "dialect", "engine", "pollers", "report"]),
    ("fleet", &["component", "config", "dialect", "engine", "http", "report"]),
    ("telemetry", &["config"]),
    ("doctor", &["component", "http", "pollers", "report", "tls"]),
    ("service", &["component", "config", "dialect", "engine", "fleet", "http", "kinds", "report", "telemetry", "tls"]),
    (
        "cli",
        &[
            "component",
            "config",
            "dialect",
            "doctor",
            "engine",
            "fleet",
            "http",
            "kinds",
            "pollers",
            "report",
            "service",
            "telemetry",
            "tls",
        ],
    ),
];

/// What no file of a room mentions.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("report", &["axum", "hyper", "std::fs", "tokio", "maud", "serde_json"]),
    ("dialect", &["axum", "hyper", "std::fs", "tokio", "std::net::Tcp"]),
    ("pollers", &["axum", "hyper", "std::fs"]),
    ("engine", &["axum", "hyper", "std::fs"]),
    ("kinds", &["axum", "hyper", "std::fs"]),
];

/// A path in the code, such as `crate::report::View`: its segments.
type Segments = Vec<String>;

/// A file of `src/`: its module's path, and its code without comments, texts and tests.
struct Module {
    path: Segments,
    code: String,
}

struct Tree {
    modules: BTreeMap<Segments, Module>,
    /// For each module, the names that it re-exports from its children, with the child.
    exports: BTreeMap<Segments, BTreeMap<String, Segments>>,
}

impl Tree {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        find(&root, &mut files);
        let texts: BTreeMap<Segments, String> = files
            .iter()
            .map(|file| (module_path(file.strip_prefix(&root).expect("a file of src")), fs::read_to_string(file).expect("a file")))
            .collect();
        let skipped: BTreeSet<Segments> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
        let modules: BTreeMap<_, _> = texts
            .into_iter()
            .filter(|(path, _)| !path.is_empty() && !skipped.iter().any(|skipped| path.starts_with(skipped)))
            .map(|(path, text)| (path.clone(), Module { path, code: plain_code(&text) }))
            .collect();
        let mut exports: BTreeMap<Segments, BTreeMap<String, Segments>> = BTreeMap::new();
        for module in modules.values() {
            for mut used in paths_after(&module.code, "use ") {
                let child = [&module.path[..], &used[..1]].concat();
                if used.len() > 1 && modules.contains_key(&child) {
                    let name = used.pop().unwrap_or_default();
                    let target = [&module.path[..], &used[..]].concat();
                    exports.entry(module.path.clone()).or_default().insert(name, target);
                }
            }
        }
        Self { modules, exports }
    }

    /// The module in which a path from the crate's root is defined, as far as the file names show.
    fn resolve(&self, path: &[String]) -> Segments {
        let mut found = Segments::new();
        for segment in path {
            let child = [&found[..], std::slice::from_ref(segment)].concat();
            if self.modules.contains_key(&child) {
                found = child;
            } else {
                let exported = self.exports.get(&found).and_then(|names| names.get(segment));
                return exported.map_or(found, |target| self.resolve(target));
            }
        }
        found
    }

    /// The modules that a module uses.
    fn uses(&self, module: &Module) -> BTreeSet<Segments> {
        let absolute = paths_after(&module.code, "crate::").into_iter();
        let relative = paths_after(&module.code, "super::").into_iter().map(|used| {
            let up = 1 + used.iter().take_while(|segment| *segment == "super").count();
            [&module.path[..module.path.len().saturating_sub(up)], &used[up - 1..]].concat()
        });
        let children = paths_after(&module.code, "use ").into_iter().map(|used| [&module.path[..], &used[..]].concat());
        let children = children.filter(|path| self.modules.contains_key(&path[..=module.path.len()]));
        absolute.chain(relative).chain(children).map(|path| self.resolve(&path)).filter(|used| *used != module.path).collect()
    }
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The path of a file's module: `http/grpc/mod.rs` is `http::grpc`. That of `lib.rs` is empty.
fn module_path(file: &Path) -> Segments {
    let mut path: Segments = file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| last == "mod") || path == ["lib"] {
        path.pop();
    }
    path
}

/// The modules in other files that are only compiled for tests.
fn test_modules(path: &[String], text: &str) -> Vec<Segments> {
    let declarations = text.split("#[cfg(test)]\nmod ").skip(1);
    declarations.filter_map(|rest| Some([path, &[rest.split_once(';')?.0.to_owned()]].concat())).collect()
}

/// The code without comments, without the contents of texts, and without the tests at its end.
fn plain_code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code = lines.collect::<Vec<_>>().join("\n");
    // Texts in the code hold no quotation marks that matter here.
    code.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// Every path that follows `start`, with the braces of imports expanded.
fn paths_after(code: &str, start: &str) -> Vec<Segments> {
    let (mut paths, mut from) = (Vec::new(), 0);
    while let Some(found) = code[from..].find(start) {
        let at = from + found;
        let mut rest = &code[at + start.len()..];
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            expand(&mut rest, &[], &mut paths);
        }
        from = code.len() - rest.len();
    }
    paths
}

/// Reads one tree of an import, and moves `code` behind it.
fn expand(code: &mut &str, prefix: &[String], paths: &mut Vec<Segments>) {
    let mut path = prefix.to_vec();
    loop {
        *code = code.trim_start();
        if let Some(list) = code.strip_prefix('{') {
            *code = list;
            loop {
                *code = code.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
                let before = code.len();
                expand(code, &path, paths);
                // The end of the list, or a block of code and no list.
                if code.len() == before {
                    *code = code.strip_prefix('}').unwrap_or(code);
                    return;
                }
            }
        }
        let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
        let (segment, rest) = code.split_at(end);
        *code = rest;
        // `self` in braces is what stands before them.
        if !segment.is_empty() && segment != "self" {
            path.push(segment.to_owned());
        }
        match rest.strip_prefix("::").filter(|_| !segment.is_empty()) {
            Some(rest) => *code = rest,
            None if segment.is_empty() => return,
            None => break,
        }
    }
    if let Some(renamed) = code.strip_prefix(" as ") {
        *code = renamed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
    }
    paths.push(path);
}

#[test]
fn every_room_uses_only_rooms_below_it() {
    let tree = Tree::read();
    let rooms: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    let mut wrong = Vec::new();
    for module in tree.modules.values().filter(|module| module.path != ["main"]) {
        let room = module.path[0].as_str();
        let Some(allowed) = rooms.get(room) else {
            wrong.push(format!("src/{room} is in no row of the table"));
            continue;
        };
        for used in tree.uses(module) {
            if let Some(used) = used.first().filter(|used| *used != room && !allowed.contains(&used.as_str())) {
                wrong.push(format!("{} uses {used}", module.path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_of_rooms_has_no_cycle() {
    for (index, (room, allowed)) in ROOMS.iter().enumerate() {
        for used in *allowed {
            assert!(ROOMS[..index].iter().any(|(above, _)| above == used), "{room} uses {used}, which has to be above it in the table");
        }
    }
}

#[test]
fn rooms_without_input_and_output_have_none() {
    let tree = Tree::read();
    for (room, words) in FORBIDDEN {
        for module in tree.modules.values().filter(|module| module.path[0] == *room) {
            for word in *words {
                assert!(!module.code.contains(word), "{} uses {word}", module.path.join("::"));
            }
        }
    }
}

#[test]
fn files_of_a_room_do_not_use_each_other_in_cycles() {
    let tree = Tree::read();
    // What a module only re-exports is resolved to the file that defines it, so that `mod.rs` uses nothing.
    let edges: BTreeMap<&Segments, Vec<Segments>> = tree
        .modules
        .values()
        .map(|module| {
            let children = |used: &Segments| used.len() > module.path.len() && used.starts_with(&module.path);
            let is_folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module.path.join("/")).join("mod.rs").exists();
            let used = tree.uses(module).into_iter().filter(|used| used.first() == module.path.first());
            (&module.path, used.filter(|used| !(is_folder && children(used))).collect())
        })
        .collect();
    let reachable = |from: &Segments| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = open.pop() {
            for next in edges.get(&module).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    let mut cycles = BTreeSet::new();
    for module in edges.keys() {
        let reached = reachable(module);
        if reached.contains(*module) {
            let members: BTreeSet<String> =
                reached.iter().filter(|other| reachable(other).contains(*module)).map(|member| member.join("::")).collect();
            cycles.insert(members);
        }
    }
    assert!(cycles.is_empty(), "{cycles:#?}");
}

#[test]
fn imports_are_expanded() {
    let code = "use crate::{a::{self, B as C}, d::e};\nlet x = crate::f::G::new();\nuse super::{h::I, super::j::K};\n";
    let text = |start| paths_after(code, start).into_iter().map(|path| path.join("::")).collect::<Vec<_>>();
    assert_eq!(text("crate::"), ["a", "a::B", "d::e", "f::G::new"]);
    assert_eq!(text("super::"), ["h::I", "super::j::K"]);
}
