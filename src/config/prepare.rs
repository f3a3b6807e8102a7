//! Prepares a table for reading: converts texts from the environment to the types of their keys, and reads the files of secrets.

use super::{files::read_secret, interpolate::Interpolated, locate::Places, warnings::values::suspicion};
use crate::kinds::{
    issue::ConfigIssue,
    read::value_at,
    schema::{is_secret, schema_at, takes},
};
use allswell_checks::contract::Secret;
use figment::{
    Figment,
    providers::{Format, Toml},
    value::{Dict, Value},
};
use serde_json::Value as Json;
use std::{
    cmp::Ordering,
    path::{Path, PathBuf},
};

/// The secrets of a configuration, and the files that hold them, readable or not.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) values: Vec<Secret>,
    pub(crate) files: Vec<PathBuf>,
    /// Warnings about the content of the files, by the keys of the table that was prepared last.
    pub(crate) suspicions: Vec<ConfigIssue>,
}

/// Prepares the table at `path`, adds its secrets to `secrets`, and returns what is wrong with their files.
pub(crate) fn prepare(
    table: &mut Dict,
    schema: &Json,
    path: &[String],
    interpolated: &Interpolated,
    places: &Places<'_>,
    secrets: &mut Secrets,
) -> Vec<ConfigIssue> {
    for key in interpolated.texts.iter().filter(|key| key.starts_with(path)) {
        let inner = &key[path.len()..];
        if let Some(value) = value_at(table, inner) {
            if interpolated.variables.contains(key) {
                trim(value, inner);
            }
            coerce(value, schema_at(schema, inner));
        }
    }
    let mut issues = Vec::new();
    let layer = |inner: &[String]| places.layer_of(&[path, inner].concat());
    read_files(table, schema, &layer, &mut Vec::new(), secrets, &mut issues);
    for (key, value) in table.iter() {
        remember(value, schema, &mut vec![key.clone()], &mut secrets.values);
    }
    issues
}

/// Replaces `x_file = "PATH"` by `x` for every secret key `x`, in this table and the tables in it.
fn read_files(
    table: &mut Dict,
    schema: &Json,
    layer: &dyn Fn(&[String]) -> usize,
    path: &mut Vec<String>,
    secrets: &mut Secrets,
    issues: &mut Vec<ConfigIssue>,
) {
    let within = |path: &[String], key: &str| path.iter().cloned().chain([key.to_owned()]).collect::<Vec<_>>();
    let keys: Vec<String> = table.keys().filter_map(|key| key.strip_suffix("_file").map(str::to_owned)).collect();
    for key in keys.into_iter().filter(|key| is_secret(schema_at(schema, &within(path, key)))) {
        let file_key = format!("{key}_file");
        let place = within(path, &file_key);
        // Of two layers the stronger one wins; within one layer it is a mistake to set both.
        let strength = table.contains_key(&key).then(|| layer(&within(path, &key)).cmp(&layer(&place)));
        if strength == Some(Ordering::Greater) {
            table.remove(&file_key);
            continue;
        }
        if strength == Some(Ordering::Less) {
            table.remove(&key);
        }
        if strength == Some(Ordering::Equal) {
            issues.push(ConfigIssue::new(place.clone(), format!("`{key}` is set as well: keep one of the two")));
        }
        match table.remove(&file_key) {
            Some(Value::String(_, file)) => {
                match read_secret(Path::new(&file)) {
                    Ok(secret) => {
                        let suspicion = suspicion(secret.expose()).map(|suspicion| format!("the file {suspicion}"));
                        secrets.suspicions.extend(suspicion.map(|message| ConfigIssue::new(place, message)));
                        table.entry(key).or_insert_with(|| Value::from(secret.expose()));
                    }
                    Err(message) => issues.push(ConfigIssue::new(place, message)),
                }
                secrets.files.push(file.into());
            }
            _ => issues.push(ConfigIssue::new(place, "expected the path of a file in quotes")),
        }
    }
    for (key, value) in table.iter_mut() {
        if let Value::Dict(_, inner) = value {
            path.push(key.clone());
            read_files(inner, schema, layer, path, secrets, issues);
            path.pop();
        }
    }
}

/// Adds the secrets in a value to `secrets`, also those in lists.
fn remember(value: &Value, schema: &Json, path: &mut Vec<String>, secrets: &mut Vec<Secret>) {
    let mut within = |key: String, value: &Value| {
        path.push(key);
        remember(value, schema, path, secrets);
        path.pop();
    };
    match value {
        Value::Dict(_, inner) => inner.iter().for_each(|(key, value)| within(key.clone(), value)),
        Value::Array(_, items) => items.iter().enumerate().for_each(|(index, item)| within(index.to_string(), item)),
        Value::String(_, text) if is_secret(schema_at(schema, path)) => secrets.push(Secret::new(text.as_str())),
        _ => {}
    }
}

/// Removes the blanks around the value of a variable, such as the line break at the end of a Kubernetes Secret. Only a password may have them.
fn trim(value: &mut Value, key: &[String]) {
    if let Value::String(_, text) = value
        && key.last().is_none_or(|last| last != "password")
        && text.trim().len() < text.len()
    {
        *text = text.trim().to_owned();
    }
}

/// Converts a text from the environment to the type of its key. A text that does not fit stays, and is reported as a text later.
fn coerce(value: &mut Value, schema: &Json) {
    let Value::String(_, text) = &*value else { return };
    let text = text.trim();
    if takes(schema, "string") || schema.is_null() {
        return;
    }
    let read = if takes(schema, "boolean") {
        // Python and YAML write `True`.
        text.to_ascii_lowercase().parse::<bool>().ok().map(Value::from)
    } else if takes(schema, "integer") {
        text.parse::<i64>().ok().map(Value::from)
    } else if takes(schema, "number") {
        text.parse::<f64>().ok().map(Value::from)
    } else if takes(schema, "array") && !text.starts_with('[') {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from);
        Some(Value::from(items.collect::<Vec<_>>()))
    } else {
        // A list or a table in TOML.
        Figment::from(Toml::string(&format!("value = {text}"))).extract::<Dict>().ok().and_then(|mut table| table.remove("value"))
    };
    if let Some(read) = read {
        *value = read;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_boolean_of_a_variable_may_have_capital_letters() {
        for (text, expected) in [("false", Some(false)), ("True", Some(true)), (" FALSE ", Some(false)), ("yes", None), ("", None)] {
            let mut value = Value::from(text);
            coerce(&mut value, &json!({ "type": "boolean" }));
            assert_eq!(value.to_bool(), expected, "{text}");
        }
    }

    #[test]
    fn secrets_in_lists_are_remembered() {
        let secret = json!({ "type": "string", "format": "password" });
        let schema = json!({ "properties": {
            "tokens": { "type": "array", "items": secret },
            "nodes": { "type": "array", "items": { "properties": { "password": secret, "host": { "type": "string" } } } },
        } });
        let table: Dict = Figment::from(Toml::string(
            "tokens = [\"first-token\", \"second-token\"]\nnodes = [{ host = \"db1\", password = \"hunter2\" }]",
        ))
        .extract()
        .expect("a table");
        let mut secrets = Vec::new();
        for (key, value) in &table {
            remember(value, &schema, &mut vec![key.clone()], &mut secrets);
        }
        let exposed: Vec<_> = secrets.iter().map(Secret::expose).collect();
        assert_eq!(exposed, ["hunter2", "first-token", "second-token"]);
    }
}
