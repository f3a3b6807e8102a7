//! Where every value of a configuration comes from.

use super::{locate::Places, settings::Settings};
use crate::{
    component::Policy,
    kinds::{
        Registry,
        read::{is_secret, is_table_of_secrets, schema_at},
    },
};
use figment::value::{Dict, Value};
use schemars::schema_for;
use serde_json::Value as Json;

/// A key, its value, and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The whole key.
    pub key: String,
    /// The value as TOML writes it; `***` for a secret.
    pub value: String,
    /// A file and line, a variable, a flag, `[defaults]` with its place, or `default`.
    pub origin: String,
}

/// Explains every setting and every key of every configured check, from one merged table.
pub(crate) fn explain(merged: &Dict, places: &Places<'_>, registry: &Registry) -> Vec<Explained> {
    let mut explained = Vec::new();
    let settings = schema_for!(Settings).to_value();
    for section in ["service", "server", "log", "defaults"] {
        let schema = schema_at(&settings, &[section.to_owned()]);
        let table = merged.get(section).and_then(Value::as_dict);
        explained.extend(keys(schema, table, &[section], places, |_| None));
    }
    let policy = schema_for!(Policy).to_value();
    for (name, check) in merged.get("checks").and_then(Value::as_dict).into_iter().flatten() {
        let table = check.as_dict();
        let defaults = merged.get("defaults").and_then(Value::as_dict);
        let inherited = |key: &str| {
            let value = defaults?.get(key)?;
            let path = ["defaults".to_owned(), key.to_owned()];
            places.exactly(&path).map(|place| (shown(value, &Json::Null), format!("[defaults] at {place}")))
        };
        explained.extend(keys(&policy, table, &["checks", name], places, inherited));
        let kind = table.and_then(|table| table.get("kind")?.as_str()).and_then(|kind| registry.get(kind));
        if let Some(kind) = kind {
            explained.extend(keys(&kind.schema, table, &["checks", name], places, |_| None));
        }
    }
    explained
}

/// The keys of a schema, in its order, with what is given for them or their defaults; a key that has neither is left out.
fn keys(
    schema: &Json,
    table: Option<&Dict>,
    path: &[&str],
    places: &Places<'_>,
    inherited: impl Fn(&str) -> Option<(String, String)>,
) -> Vec<Explained> {
    let mut explained = Vec::new();
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let forms = [key.clone(), format!("{key}_file")];
        let given = forms.iter().find_map(|form| Some((form, table?.get(form)?, places.exactly(&full(path, form))?)));
        let default = property.get("default").filter(|default| !default.is_null());
        let (key, value, origin) = match (given, inherited(key), default) {
            (Some((form, value, place)), ..) => {
                let as_given = if form == key { property } else { &Json::Null };
                (form.clone(), shown(value, as_given), place.to_string())
            }
            (None, Some((value, origin)), _) => (key.clone(), value, origin),
            (None, None, Some(default)) => (key.clone(), default.to_string(), "default".to_owned()),
            (None, None, None) => continue,
        };
        explained.push(Explained { key: full(path, &key).join("."), value, origin });
    }
    explained
}

fn full(path: &[&str], key: &str) -> Vec<String> {
    path.iter().map(|segment| (*segment).to_owned()).chain([key.to_owned()]).collect()
}

fn shown(value: &Value, schema: &Json) -> String {
    if is_secret(schema) || is_table_of_secrets(schema) {
        return "***".to_owned();
    }
    serde_json::to_string(value).unwrap_or_default()
}
