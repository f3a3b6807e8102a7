//! Explains where every value of a configuration comes from, for `allswell validate --explain`.

use super::{locate::Places, settings::Settings};
use crate::{
    component::Policy,
    kinds::{
        Registry,
        schema::{is_secret, is_table_of_secrets, schema_at},
    },
};
use figment::value::{Dict, Value};
use schemars::schema_for;
use serde_json::Value as Json;
use std::slice;

/// A key, its value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The whole key.
    pub key: String,
    /// The value as TOML writes it; `***` for a secret.
    pub value: String,
    /// A file and line, a variable, a flag, `[defaults]` with its place, or `default`.
    pub origin: String,
}

/// Explains every setting and every key of every configured check, from the merged table of all layers.
pub(super) fn explain(merged: &Dict, places: &Places<'_>, registry: &Registry) -> Vec<Explained> {
    let mut explained = Vec::new();
    let settings = schema_for!(Settings).to_value();
    for section in ["service", "server", "log", "defaults"] {
        let table = merged.get(section).and_then(Value::as_dict);
        let own = ExplainedTable { root: &settings, inner: vec![section.to_owned()], path: vec![section.to_owned()], places };
        explained.extend(own.explain(table, &|_| None));
    }
    let policy = schema_for!(Policy).to_value();
    for (name, check) in merged.get("checks").and_then(Value::as_dict).into_iter().flatten() {
        let table = check.as_dict();
        let defaults = merged.get("defaults").and_then(Value::as_dict);
        let inherited = |key: &str| {
            let value = defaults?.get(key)?;
            let place = places.where_set(&["defaults".to_owned(), key.to_owned()])?;
            Some((shown(value, &Json::Null), format!("[defaults] at {place}")))
        };
        let of_check = |root| ExplainedTable { root, inner: Vec::new(), path: vec!["checks".to_owned(), name.clone()], places };
        explained.extend(of_check(&policy).explain(table, &inherited));
        let kind = table.and_then(|table| table.get("kind")?.as_str()).and_then(|kind| registry.get(kind));
        if let Some(kind) = kind {
            explained.extend(of_check(&kind.schema).explain(table, &|_| None));
        }
    }
    explained
}

/// A table of the configuration, with its schema.
struct ExplainedTable<'a> {
    /// The schema that describes the table or a table around it.
    root: &'a Json,
    /// The table's path in that schema.
    inner: Vec<String>,
    /// The table's path in the configuration.
    path: Vec<String>,
    places: &'a Places<'a>,
}

impl ExplainedTable<'_> {
    /// The keys of the schema, in its order, with their values or defaults. A key that has neither is left out.
    fn explain(&self, table: Option<&Dict>, inherited: &dyn Fn(&str) -> Option<(String, String)>) -> Vec<Explained> {
        let mut explained = Vec::new();
        for (key, property) in schema_at(self.root, &self.inner)["properties"].as_object().into_iter().flatten() {
            let inner = [&self.inner[..], slice::from_ref(key)].concat();
            if let Some(Value::Dict(_, values)) = table.and_then(|table| table.get(key))
                && schema_at(self.root, &inner)["properties"].is_object()
            {
                let nested = ExplainedTable { root: self.root, inner, path: self.full(key), places: self.places };
                explained.extend(nested.explain(Some(values), &|_| None));
                continue;
            }
            let forms = [key.clone(), format!("{key}_file")];
            let given = forms.iter().find_map(|form| Some((form, table?.get(form)?, self.places.where_set(&self.full(form))?)));
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
            explained.push(Explained { key: self.full(&key).join("."), value, origin });
        }
        explained
    }

    fn full(&self, key: &str) -> Vec<String> {
        [&self.path[..], &[key.to_owned()]].concat()
    }
}

fn shown(value: &Value, schema: &Json) -> String {
    if is_secret(schema) || is_table_of_secrets(schema) {
        return "***".to_owned();
    }
    serde_json::to_string(value).unwrap_or_default()
}
