//! The migration pages name everything in both installed packages: this test fails if a new release adds something.

use super::page;
use crate::servers::reading;
use serde_json::Value;

const PAGES: [&str; 4] = ["README.md", "checks.md", "settings.md", "urls-and-formats.md"];

#[test]
fn every_name_of_the_packages_is_on_the_migration_pages() {
    let text: String = PAGES.map(page).join("\n");
    let mut missing = Vec::new();
    for (venv, least) in [("django", 100), ("django3", 50)] {
        let has = reading(venv, READS_THE_SOURCE, "");
        let mut found = 0;
        for (sort, names) in has.as_object().expect("sorts") {
            for name in names.as_array().expect("names") {
                // The options of a check must be on the same line.
                let words: Vec<&str> = name.as_array().expect("words").iter().filter_map(Value::as_str).collect();
                let is_listed = text.lines().any(|line| words.iter().all(|word| line.contains(&format!("`{word}`"))));
                found += 1;
                if !is_listed {
                    missing.push(format!("{venv}, {sort}: {}", words.join(" with ")));
                }
            }
        }
        assert!(found > least, "the source is read: {has:#}");
    }
    assert!(missing.is_empty(), "missing in docs/migration:\n{}", missing.join("\n"));
}

/// Parses the source instead of importing it, so that the dependencies of the checks (Kafka, feeds, a battery) are not needed.
const READS_THE_SOURCE: &str = r#"
import ast, collections, json, pathlib, re, sysconfig

root = pathlib.Path(sysconfig.get_paths()["purelib"]) / "health_check"
sources = {path: path.read_text() for path in sorted(root.rglob("*.py"))}
has = collections.defaultdict(list)


def module(path):
    return ".".join(path.relative_to(root.parent).with_suffix("").parts)


def constants(node):
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


trees = {path: ast.parse(text) for path, text in sources.items()}
classes = {each.name: (path, each) for path, tree in trees.items() for each in tree.body if isinstance(each, ast.ClassDef)}


checks = {"HealthCheck", "BaseHealthCheckBackend"}
for _ in classes:
    checks |= {name for name, (_, node) in classes.items() if checks & {ast.unparse(base).rpartition(".")[2] for base in node.bases}}

for path, tree in trees.items():
    if path.name == "apps.py":
        has["apps"].append([module(path.parent)])
    if path.name == "exceptions.py":
        has["exceptions"] += [[each.name] for each in tree.body if isinstance(each, ast.ClassDef)]
    if path.parent.name == "commands" and path.stem != "__init__":
        has["commands"].append([path.stem])
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "add_argument":
                has["arguments"] += [[argument.value] for argument in call.args]
    if path.name == "urls.py":
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "path":
                has["urls"] += [[text] for text in constants(call) if text]
    if path.name == "views.py":
        types = r"\"((?:text|application|\*)/[\w.+*-]+)[;\"]"
        has["media types"] += [[found] for found in sorted(set(re.findall(types, sources[path])))]
        overrides = [case for case in ast.walk(tree) if isinstance(case, (ast.MatchValue, ast.Compare))]
        has["formats"] += [["?format=" + text] for case in overrides for text in constants(case) if text.isidentifier()]

for name, (path, node) in classes.items():
    if name not in checks or name.startswith("_"):
        continue
    has["checks"].append([name])
    tried = [each for part in node.body if isinstance(part, ast.Try) for each in part.body]
    for field in node.body + tried:
        if isinstance(field, ast.AnnAssign) and "ClassVar" not in ast.unparse(field.annotation):
            has["parameters"].append([name, field.target.id])

spellings = (
    r"getattr\(settings, \"([A-Z_]+)\"",
    r"settings\.([A-Z_]+)",
    r"HEALTH_CHECK(?:\.get|\.setdefault)?[\[(]\"([A-Z_]+)\"",
    r"= f\".*\" if .* else \"([A-Z_]+)\"",
)
found = {name for text in sources.values() for spelling in spellings for name in re.findall(spelling, text)}
has["settings"] = [[name] for name in sorted(found)]
has["variables"] = [[name] for name in sorted({name for text in sources.values() for name in re.findall(r"os\.getenv\(\"(\w+)\"", text)})]
print(json.dumps(has))
"#;
