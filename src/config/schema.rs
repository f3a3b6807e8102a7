//! The JSON Schema of a configuration, with which editors complete and validate it.

use super::settings::{GroupSettings, Settings};
use crate::{
    component::Policy,
    kinds::{Kind, Registry, schema::is_secret},
};
use schemars::schema_for;
use serde_json::{Map, Value as Json, json};

/// The JSON Schema of a whole configuration: the settings and every registered kind.
#[must_use]
pub fn schema(registry: &Registry) -> Json {
    let mut root = schema_for!(Settings).to_value();
    let mut definitions = take_definitions(&mut root);
    for definition in definitions.values_mut() {
        allow_files(definition);
    }
    let group = own(schema_for!(GroupSettings).to_value(), &mut definitions);
    let kinds: Vec<Json> = registry.kinds().map(|kind| check(kind, &mut definitions)).collect();
    let names = json!({ "pattern": "^[a-z](_?[a-z0-9])*$", "maxLength": 64 });
    root["title"] = "The configuration of allswell".into();
    root["description"] = "Files, then environment variables such as ALLSWELL_SERVER__LISTEN, then flags; the later wins.".into();
    root["properties"]["checks"] = json!({
        "description": "The checks, by names that you choose.",
        "type": "object",
        "propertyNames": names,
        "additionalProperties": { "oneOf": kinds },
    });
    root["properties"]["groups"] = json!({
        "description": "Components that are judged together, by names that you choose. Unless it is configured, the group `ready` has all critical checks.",
        "type": "object",
        "propertyNames": names,
        "additionalProperties": group,
    });
    root["$defs"] = definitions.into();
    root
}

/// The table of a check of one kind: the kind's own keys, the keys of every check, and `kind`.
fn check(kind: &Kind, definitions: &mut Map<String, Json>) -> Json {
    let mut table = own(kind.schema.clone(), definitions);
    allow_files(&mut table);
    table["title"] = kind.name.into();
    let policy = schema_for!(Policy).to_value();
    if table["properties"].is_null() {
        table["properties"] = json!({});
    }
    if let (Some(keys), Some(common)) = (table["properties"].as_object_mut(), policy["properties"].as_object()) {
        for (key, schema) in common {
            let mut schema = schema.clone();
            // The default is that of `[defaults]`.
            schema.as_object_mut().and_then(|schema| schema.remove("default"));
            keys.insert(key.clone(), schema);
        }
        keys.insert("kind".to_owned(), json!({ "description": "The kind of the backend.", "const": kind.name }));
    }
    match table.get_mut("required").and_then(Json::as_array_mut) {
        Some(required) => required.push("kind".into()),
        None => table["required"] = json!(["kind"]),
    }
    table
}

/// Moves a schema's definitions to `definitions` and removes the keys of a document of its own.
fn own(mut schema: Json, definitions: &mut Map<String, Json>) -> Json {
    definitions.extend(take_definitions(&mut schema));
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("$schema");
        schema.remove("title");
    }
    schema
}

fn take_definitions(schema: &mut Json) -> Map<String, Json> {
    match schema.as_object_mut().and_then(|schema| schema.remove("$defs")) {
        Some(Json::Object(definitions)) => definitions,
        _ => Map::new(),
    }
}

/// Allows `x_file` instead of every secret key `x`, also where `x` is required.
fn allow_files(table: &mut Json) {
    let Some(keys) = table.get_mut("properties").and_then(Json::as_object_mut) else { return };
    let secrets: Vec<String> = keys.iter().filter(|(_, schema)| is_secret(schema)).map(|(key, _)| key.clone()).collect();
    for key in &secrets {
        let description = format!("The path of a file that contains `{key}`.");
        keys.insert(format!("{key}_file"), json!({ "description": description, "type": "string" }));
    }
    let Some(required) = table.get_mut("required").and_then(Json::as_array_mut) else { return };
    let either: Vec<String> = secrets.into_iter().filter(|key| required.iter().any(|required| required == key)).collect();
    required.retain(|required| !either.iter().any(|key| required == key));
    if !either.is_empty() {
        let choices = either.iter().map(|key| json!({ "anyOf": [{ "required": [key] }, { "required": [format!("{key}_file")] }] }));
        table["allOf"] = choices.collect();
    }
}
