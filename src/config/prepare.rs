//! Makes a raw table ready to be read: texts from the environment become what the keys want, secrets come out of their files.

use super::{error::file_trouble, interpolate::Interpolated, locate::Places};
use crate::table::{Finding, is_secret, schema_at, takes};
use allswell_checks::contract::Secret;
use figment::{
    Figment,
    providers::{Format, Toml},
    value::{Dict, Value},
};
use serde_json::Value as Json;
use std::{cmp::Ordering, fs, io::Read, path::Path};

/// Prepares the table at `path`, remembers the secrets in it, and finds what is wrong with their files.
pub(crate) fn prepare(
    table: &mut Dict,
    schema: &Json,
    path: &[String],
    interpolated: &Interpolated,
    places: &Places<'_>,
    secrets: &mut Vec<Secret>,
) -> Vec<Finding> {
    for key in interpolated.texts.iter().filter(|key| key.starts_with(path)) {
        let inner = &key[path.len()..];
        if let Some(value) = find(table, inner) {
            coerce(value, schema_at(schema, inner));
        }
    }
    let mut findings = Vec::new();
    let layer = |inner: &[String]| places.layer_of(&[path, inner].concat());
    read_files(table, schema, &layer, &mut Vec::new(), &mut findings);
    remember(table, schema, &mut Vec::new(), secrets);
    findings
}

/// `x_file = "PATH"` for every secret key `x`, in this table and the tables in it.
fn read_files(table: &mut Dict, schema: &Json, layer: &dyn Fn(&[String]) -> usize, path: &mut Vec<String>, findings: &mut Vec<Finding>) {
    let within = |path: &[String], key: &str| path.iter().cloned().chain([key.to_owned()]).collect::<Vec<_>>();
    let keys: Vec<String> = table.keys().filter_map(|key| key.strip_suffix("_file").map(str::to_owned)).collect();
    for key in keys.into_iter().filter(|key| is_secret(schema_at(schema, &within(path, key)))) {
        let file_key = format!("{key}_file");
        let place = within(path, &file_key);
        // In two layers, the stronger one is meant; in one, nobody knows which.
        let strength = table.contains_key(&key).then(|| layer(&within(path, &key)).cmp(&layer(&place)));
        if strength == Some(Ordering::Greater) {
            table.remove(&file_key);
            continue;
        }
        if strength == Some(Ordering::Less) {
            table.remove(&key);
        }
        if strength == Some(Ordering::Equal) {
            findings.push(Finding::new(place.clone(), format!("`{key}` is given, too; keep one of the two")));
        }
        match table.remove(&file_key) {
            Some(Value::String(_, file)) => match read_secret(Path::new(&file)) {
                Ok(secret) => {
                    table.entry(key).or_insert_with(|| Value::from(secret.expose()));
                }
                Err(message) => findings.push(Finding::new(place, message)),
            },
            _ => findings.push(Finding::new(place, "expected the path of a file, in quotes")),
        }
    }
    for (key, value) in table.iter_mut() {
        if let Value::Dict(_, inner) = value {
            path.push(key.clone());
            read_files(inner, schema, layer, path, findings);
            path.pop();
        }
    }
}

fn remember(table: &Dict, schema: &Json, path: &mut Vec<String>, secrets: &mut Vec<Secret>) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            Value::Dict(_, inner) => remember(inner, schema, path, secrets),
            Value::String(_, text) if is_secret(schema_at(schema, path)) => secrets.push(Secret::new(text.as_str())),
            _ => {}
        }
        path.pop();
    }
}

/// A secret's file: its text without line breaks at the end.
///
/// # Errors
///
/// Why it cannot be read, without its text.
fn read_secret(path: &Path) -> Result<Secret, String> {
    const LIMIT: u64 = 64 * 1024;
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| file_trouble(&error))?;
    file.take(LIMIT + 1).read_to_string(&mut text).map_err(|error| file_trouble(&error))?;
    if text.len() as u64 > LIMIT {
        return Err("the file is longer than 64 KiB: that is no secret".to_owned());
    }
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

fn find<'a>(table: &'a mut Dict, path: &[String]) -> Option<&'a mut Value> {
    let (key, rest) = path.split_first()?;
    let value = table.get_mut(key)?;
    match value {
        value if rest.is_empty() => Some(value),
        Value::Dict(_, inner) => find(inner, rest),
        _ => None,
    }
}

/// Text from the environment, read as the key's own type. What does not fit stays text, and is told as such.
fn coerce(value: &mut Value, schema: &Json) {
    let Value::String(_, text) = &*value else { return };
    let text = text.trim();
    if takes(schema, "string") || schema.is_null() {
        return;
    }
    let read = if takes(schema, "boolean") {
        text.parse::<bool>().ok().map(Value::from)
    } else if takes(schema, "integer") {
        text.parse::<i64>().ok().map(Value::from)
    } else if takes(schema, "number") {
        text.parse::<f64>().ok().map(Value::from)
    } else if takes(schema, "array") && !text.starts_with('[') {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from);
        Some(Value::from(items.collect::<Vec<_>>()))
    } else {
        // A list or a table, as TOML writes it.
        Figment::from(Toml::string(&format!("value = {text}"))).extract::<Dict>().ok().and_then(|mut table| table.remove("value"))
    };
    if let Some(read) = read {
        *value = read;
    }
}
