//! Hints for keys that a table does not have: where the key belongs, or which of our keys does the same.

use super::foreign_keys::{Counterpart, FOREIGN_KEYS, ForeignKey, START_DELAYS, in_our_case};
use crate::{
    config::settings::{GroupSettings, Settings},
    kinds::{
        Registry,
        issue::{ConfigIssue, Issue},
        schema::{is_secret, schema_at},
    },
};
use figment::value::{Dict, Value};
use schemars::schema_for;
use serde_json::Value as Json;

/// Adds hints to the issues of unknown keys that have none. `own` is the schema of the table that the paths of the issues begin in, and `table`
/// that table.
pub(in crate::config) fn add_hints(issues: &mut [ConfigIssue], registry: &Registry, own: &dyn Fn() -> Json, table: &Dict) {
    if issues.iter().any(needs_hint) {
        KeyHints::new(registry).add(issues, &own(), table);
    }
}

fn needs_hint(found: &ConfigIssue) -> bool {
    found.issue == Issue::UnknownKey && found.hint.is_none()
}

/// Every table that a configuration can have, with its keys. Built only when a key is unknown.
struct KeyHints {
    tables: Vec<Table>,
    /// The names of the kinds.
    kinds: Vec<&'static str>,
}

/// A table, and its keys.
struct Table {
    /// As in a file: `[server.tls]`.
    header: String,
    /// The kind of the check, if it is a table of a check.
    kind: Option<&'static str>,
    keys: Vec<String>,
}

impl KeyHints {
    fn new(registry: &Registry) -> Self {
        let mut tables = Vec::new();
        let settings = schema_for!(Settings).to_value();
        for section in settings["properties"].as_object().into_iter().flat_map(|sections| sections.keys()) {
            add(&mut tables, &settings, &mut vec![section.clone()], section, None);
        }
        add(&mut tables, &schema_for!(GroupSettings).to_value(), &mut Vec::new(), "groups.NAME", None);
        for kind in registry.kinds() {
            add(&mut tables, &kind.schema, &mut Vec::new(), "checks.NAME", Some(kind.name));
        }
        Self { tables, kinds: registry.kinds().map(|kind| kind.name).collect() }
    }

    fn add(&self, issues: &mut [ConfigIssue], own: &Json, table: &Dict) {
        for found in issues.iter_mut().filter(|found| needs_hint(found)) {
            let Some((key, around)) = found.path.split_last() else { continue };
            let value = if around.is_empty() { table.get(key) } else { None };
            found.hint = self.hint(key, schema_at(own, around), own, value);
        }
    }

    /// `own` is the schema of the key's table, and `root` the schema with the definitions that it refers to.
    fn hint(&self, key: &str, own: &Json, root: &Json, value: Option<&Value>) -> Option<String> {
        let word = in_our_case(key);
        if has(own, root, &word) {
            return Some(format!("did you mean `{word}`?"));
        }
        let foreign: Vec<&ForeignKey> = FOREIGN_KEYS.iter().filter(|foreign| foreign.words.contains(&word.as_str())).collect();
        for foreign in &foreign {
            if let Some(ours) = foreign.ours.iter().find(|ours| has(own, root, ours)) {
                return Some(replacement(foreign.counterpart, ours));
            }
        }
        if START_DELAYS.contains(&word.as_str()) {
            return Some("checks begin at once: for a slow start, let the client poll `/startupz`".to_owned());
        }
        let is_settings = root["properties"]["server"].is_object();
        if word == "kind" && is_settings {
            return Some("write `[checks.NAME]` above the keys of a check".to_owned());
        }
        if word == "name" && has(own, root, "kind") {
            return Some("the name of a check is in its header: `[checks.NAME]`".to_owned());
        }
        if let Some(Value::Dict(_, inner)) = value.filter(|_| is_settings)
            && !inner.contains_key("listen")
            && (inner.contains_key("kind") || self.kinds.contains(&word.as_str()))
        {
            return Some("the table of a check is `[checks.NAME]`: write `checks.` before the name".to_owned());
        }
        self.elsewhere(&word).or_else(|| {
            let ours = foreign.iter().flat_map(|foreign| foreign.ours.iter().map(|ours| (foreign.counterpart, *ours)));
            let mut set_once = ours.filter_map(|(counterpart, ours)| {
                let table = self.tables.iter().find(|table| table.kind.is_none() && table.has(ours))?;
                Some(format!("{} in `{}`", replacement(counterpart, ours), table.header))
            });
            set_once.next()
        })
    }

    /// The tables that have a key.
    fn elsewhere(&self, key: &str) -> Option<String> {
        let mut headers: Vec<&str> = Vec::new();
        for table in self.tables.iter().filter(|table| table.kind.is_none() && table.has(key)) {
            headers.push(&table.header);
            if table.header == "[defaults]" {
                headers.push("[checks.NAME]");
            }
        }
        if !headers.is_empty() {
            let headers: Vec<String> = headers.iter().map(|header| format!("`{header}`")).collect();
            return Some(format!("this key belongs in {}", headers.join(" or ")));
        }
        let owners: Vec<&Table> = self.tables.iter().filter(|table| table.has(key)).collect();
        let header = &owners.first()?.header;
        let kinds: Vec<&str> = owners.iter().filter(|table| table.header == *header).filter_map(|table| table.kind).collect();
        let plural = if kinds.len() == 1 { "" } else { "s" };
        Some(format!("this is a key of `{header}` for the kind{plural} {}", kinds.join(", ")))
    }
}

impl Table {
    fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|own| own == key)
    }
}

/// What to write instead of a key of another program.
fn replacement(counterpart: Counterpart, ours: &str) -> String {
    match counterpart {
        Counterpart::Name => format!("write `{ours}`"),
        Counterpart::Duration => format!("write `{ours}`, with a unit, such as `{ours} = \"5s\"`"),
        Counterpart::Part => format!("this is a part of `{ours}`: {}", example(ours)),
        Counterpart::Form(example) => format!("write `{example}`"),
    }
}

/// What a key looks like that has several parts.
fn example(ours: &str) -> &'static str {
    match ours {
        "listen" => "write `listen = \"0.0.0.0:8080\"`",
        "address" => "write `address = \"host:port\"`",
        _ => "write it as `scheme://host:port/name`",
    }
}

/// Whether a table with this schema has a key, which may be a key of an inner table: `tls.ca_file`.
fn has(own: &Json, root: &Json, key: &str) -> bool {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    let direct = |table: &Json, key: &str| !table["properties"][key].is_null();
    match path.as_slice() {
        [key] => direct(own, key),
        // References to definitions start at the root.
        [inner, key] => {
            let inner = &own["properties"][inner.as_str()];
            direct(inner, key) || direct(schema_at(root, &path[..1]), key)
        }
        _ => false,
    }
}

/// Adds a table and the tables in it.
fn add(tables: &mut Vec<Table>, schema: &Json, path: &mut Vec<String>, header: &str, kind: Option<&'static str>) {
    let Some(properties) = schema_at(schema, path)["properties"].as_object() else { return };
    let files = properties.iter().filter(|(_, schema)| is_secret(schema)).map(|(key, _)| format!("{key}_file"));
    let keys = properties.keys().cloned().chain(files).collect();
    tables.push(Table { header: format!("[{header}]"), kind, keys });
    for key in properties.keys() {
        path.push(key.clone());
        add(tables, schema, path, &format!("{header}.{key}"), kind);
        path.pop();
    }
}

/// The schema of a check's table: the keys of its kind and of the policy, and `kind`.
pub(in crate::config) fn schema_of_check(kind: &Json, policy: &Json) -> Json {
    let mut schema = kind.clone();
    let own = schema["properties"].as_object().cloned().unwrap_or_default();
    let common = policy["properties"].as_object().cloned().unwrap_or_default();
    let name = [("kind".to_owned(), Json::Object(serde_json::Map::new()))];
    schema["properties"] = own.into_iter().chain(common).chain(name).collect::<serde_json::Map<_, _>>().into();
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hint for an unknown key in a section of the settings, or at the top.
    fn of_settings(path: &[&str]) -> Option<String> {
        let mut issues = [ConfigIssue::new(path.iter().copied(), Issue::UnknownKey)];
        KeyHints::new(&Registry::builtin()).add(&mut issues, &schema_for!(Settings).to_value(), &Dict::new());
        issues[0].hint.clone()
    }

    #[test]
    fn a_key_of_another_table_is_reported_with_its_table() {
        assert_eq!(of_settings(&["listen"]).as_deref(), Some("this key belongs in `[server]` or `[server.haproxy_agent]`"));
        assert_eq!(of_settings(&["server", "interval"]).as_deref(), Some("this key belongs in `[defaults]` or `[checks.NAME]`"));
        assert_eq!(of_settings(&["level"]).as_deref(), Some("this key belongs in `[log]`"));
        assert_eq!(of_settings(&["nonsense"]), None);
    }

    #[test]
    fn a_key_of_another_program_is_reported_with_ours() {
        assert_eq!(of_settings(&["server", "port"]).as_deref(), Some("this is a part of `listen`: write `listen = \"0.0.0.0:8080\"`"));
        assert_eq!(of_settings(&["defaults", "failureThreshold"]).as_deref(), Some("write `fall`"));
        assert_eq!(of_settings(&["server", "fail-status"]).as_deref(), Some("did you mean `fail_status`?"));
        assert_eq!(of_settings(&["server", "tls", "cert"]).as_deref(), Some("write `certificate_file`"));
        assert_eq!(of_settings(&["log_level"]).as_deref(), Some("write `level` in `[log]`"));
    }
}
