//! Finds its way in a JSON Schema: the schema of a key, and what it says about the key's values.

use serde_json::Value as Json;

/// The schema of the value at a path; `Null` where the schema does not describe it.
pub(crate) fn schema_at<'a>(schema: &'a Json, path: &[String]) -> &'a Json {
    path.iter().fold(schema, |at, key| {
        let at = resolve(schema, at);
        let inner = if key.parse::<usize>().is_ok() && at["items"].is_object() { &at["items"] } else { &at["properties"][key.as_str()] };
        if inner.is_null() { resolve(schema, &at["additionalProperties"]) } else { resolve(schema, inner) }
    })
}

/// Follows a reference, and the one choice of an optional value that is not `null`.
fn resolve<'a>(root: &'a Json, schema: &'a Json) -> &'a Json {
    let schema = match schema["anyOf"].as_array() {
        Some(choices) => choices.iter().find(|choice| choice["type"] != "null").unwrap_or(schema),
        None => schema,
    };
    match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => root.pointer(pointer).unwrap_or(schema),
        None => schema,
    }
}

/// Whether a value of this schema is a secret.
pub(crate) fn is_secret(schema: &Json) -> bool {
    schema["format"] == "password"
}

/// Whether a value of this schema is a table of secrets, such as headers. Its keys are not quoted, since users may write a value in their place.
pub(crate) fn is_table_of_secrets(schema: &Json) -> bool {
    is_secret(&schema["additionalProperties"])
}

/// Whether this schema accepts values of a JSON type.
pub(crate) fn takes(schema: &Json, json_type: &str) -> bool {
    match &schema["type"] {
        Json::String(only) => only == json_type,
        Json::Array(several) => several.iter().any(|one| one == json_type),
        _ => false,
    }
}
