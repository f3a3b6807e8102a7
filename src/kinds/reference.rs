//! The reference of the kinds, generated from the registry: for the terminal and for `checks/README.md`.

use super::{Kind, Registry};
use crate::component::Policy;
use schemars::schema_for;
use serde_json::Value as Json;
use std::fmt::Write as _;

/// A line for each kind.
#[must_use]
pub fn list(registry: &Registry) -> String {
    let width = registry.kinds().map(|kind| kind.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for kind in registry.kinds() {
        let category = kind.category.as_str();
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "{:<width$}  {category:<8}  {}", kind.name, first_sentence(description(&kind.schema)));
    }
    text.push_str("\n`allswell kinds KIND` lists the keys of a kind.\n");
    text
}

/// One kind: what it verifies, its keys and an example.
#[must_use]
pub fn kind(kind: &Kind) -> String {
    let mut text = format!("{} ({})\n", kind.name, kind.category.as_str());
    for paragraph in paragraphs(description(&kind.schema)) {
        let _ = writeln!(text, "\n{}", wrapped(&paragraph, 0));
    }
    let keys = keys(&kind.schema);
    let width = keys.iter().map(|key| key.name.len()).max().unwrap_or_default();
    text.push('\n');
    for key in &keys {
        let default = key.default.as_ref().map_or(String::new(), |default| format!(" [{default}]"));
        let required = if key.required { " (required)" } else { "" };
        let meaning = wrapped(&format!("{}{default}{required}", key.description), width + 4);
        let _ = writeln!(text, "  {:<width$}  {meaning}", key.name);
    }
    let _ = write!(text, "\nand the keys of every check: {}.\n\n{}", policy_keys().join(", "), example(kind));
    text
}

/// The whole reference as Markdown.
#[must_use]
pub fn markdown(registry: &Registry) -> String {
    let mut text = String::from(
        "<!-- Generated from the doc comments by `cargo xtask generate`; edit those. -->\n\n\
         # The kinds of checks\n\n\
         Every kind of backend that allswell probes is one file in `checks/kinds/`; `checks/contract/` defines what a check is.\n\n\
         | kind | category | verifies |\n| --- | --- | --- |\n",
    );
    for kind in registry.kinds() {
        let _ =
            writeln!(text, "| [`{0}`](#{0}) | {1} | {2} |", kind.name, kind.category.as_str(), first_sentence(description(&kind.schema)));
    }
    let _ = writeln!(
        text,
        "\nEvery check also takes the keys of `[defaults]`: `{}`. A secret key `x` can be given as `x_file`, the path of a file that contains it.",
        policy_keys().join("`, `")
    );
    for kind in registry.kinds() {
        let mut paragraphs = paragraphs(description(&kind.schema));
        // What the kind checks, an example, and only then the details.
        let _ = write!(text, "\n## {}\n\n{}\n\n```toml\n{}```\n", kind.name, paragraphs.next().unwrap_or_default(), example(kind));
        for paragraph in paragraphs {
            let _ = write!(text, "\n{paragraph}\n");
        }
        text.push_str("\n| key | default | meaning |\n| --- | --- | --- |\n");
        for key in keys(&kind.schema) {
            let default = match (&key.default, key.required) {
                (_, true) => "required".to_owned(),
                (Some(default), false) => format!("`{default}`"),
                (None, false) => "none".to_owned(),
            };
            let _ = writeln!(text, "| `{}` | {default} | {} |", key.name, key.description);
        }
    }
    text
}

/// The keys that every check takes.
fn policy_keys() -> Vec<String> {
    let schema = schema_for!(Policy).to_value();
    schema["properties"].as_object().into_iter().flat_map(|keys| keys.keys().cloned()).collect()
}

/// A complete table of the configuration, with its header.
fn example(kind: &Kind) -> String {
    format!("[checks.my_{}]\nkind = \"{}\"\n{}\n", kind.name, kind.name, kind.example.trim())
}

struct DocumentedKey {
    name: String,
    description: String,
    default: Option<String>,
    required: bool,
}

fn keys(schema: &Json) -> Vec<DocumentedKey> {
    let mut keys = keys_below(schema, "");
    // Required keys first.
    keys.sort_by_key(|key| !key.required);
    keys
}

/// The keys of a table. A key of a nested table is prefixed with its name, as in `tls.ca_file`.
fn keys_below(schema: &Json, before: &str) -> Vec<DocumentedKey> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let mut keys = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let key = format!("{before}{name}");
        if property["properties"].is_object() {
            keys.extend(keys_below(property, &format!("{key}.")));
            continue;
        }
        keys.push(DocumentedKey {
            name: key,
            description: unwrapped(description(property)),
            default: property.get("default").filter(|default| !default.is_null()).map(toml),
            required: required.contains(&name.as_str()),
        });
    }
    keys
}

/// A default in TOML.
fn toml(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn description(schema: &Json) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

/// The paragraphs of a text, each as one line.
fn paragraphs(text: &str) -> impl Iterator<Item = String> {
    text.split("\n\n").map(unwrapped)
}

/// The assumed width of a terminal.
const TERMINAL_WIDTH: usize = 100;

/// Wraps a text to the width of a terminal; every line but the first is indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut column = indent;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent && column + 1 + length > TERMINAL_WIDTH {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}

/// Joins the lines of a paragraph.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn first_sentence(text: &str) -> String {
    let text = unwrapped(text);
    match text.split_once(". ") {
        Some((first, _)) => first.to_owned(),
        None => text.trim_end_matches('.').to_owned(),
    }
}
