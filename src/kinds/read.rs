//! Reads a table of a configuration as a type, and finds everything that is wrong with it, not only the first thing.

use figment::{
    error::{Actual, Kind},
    value::{Dict, Value},
};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

/// One thing that is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The key, from the table on.
    pub(crate) path: Vec<String>,
    /// What is wrong: never a secret's value.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl Finding {
    pub(crate) fn new<S: Into<String>>(path: impl IntoIterator<Item = S>, message: impl Into<String>) -> Self {
        Self { path: path.into_iter().map(Into::into).collect(), message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// Reads `table` as a `T`, whose JSON Schema is `schema`.
///
/// The deserialiser stops at the first mistake; so what is mistaken is taken out and the rest is read again, until nothing is left to find.
/// What could be read without the mistakes comes back, so that it can be looked at further: it is to be used only without findings.
pub(crate) fn read<T: DeserializeOwned>(table: &Dict, schema: &Json, findings: &mut Vec<Finding>) -> Option<T> {
    let mut rest = table.clone();
    // Every round takes something out, or is the last.
    loop {
        let error = match T::deserialize(&Value::from(rest.clone())) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let mut path = error.path.clone();
        let (message, hint) = match &error.kind {
            Kind::MissingField(_) => {
                let around = at(table, &path)?;
                let absent = missing(around, schema_at(schema, &path));
                findings.extend(absent.into_iter().map(|finding| Finding { path: path.clone(), ..finding }));
                // In an inner table: the outer ones may lack something, too.
                if !remove(&mut rest, &path.iter().map(String::as_str).collect::<Vec<_>>()) {
                    return None;
                }
                continue;
            }
            Kind::UnknownField(name, known) => {
                if path.last() != Some(name) {
                    path.push(name.clone());
                }
                ("there is no such key".to_owned(), suggestion(name, known.iter().copied()))
            }
            kind => describe(kind, schema_at(schema, &path)),
        };
        // In a list, what is taken out is the list.
        let keys = path.iter().take_while(|key| key.parse::<usize>().is_err()).map(String::as_str).collect::<Vec<_>>();
        let removed = remove(&mut rest, &keys);
        let table_of_secrets = (1..path.len()).find(|depth| is_table_of_secrets(schema_at(schema, &path[..*depth])));
        path.truncate(table_of_secrets.unwrap_or(path.len()));
        findings.push(Finding { path, message, hint });
        if !removed {
            return None;
        }
    }
}

/// Every required key that is not in the table.
fn missing(table: &Dict, schema: &Json) -> Vec<Finding> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
    required
        .filter(|key| !table.contains_key(*key) && !table.contains_key(&format!("{key}_file")))
        .map(|key| {
            let meaning = schema["properties"][key]["description"].as_str().and_then(|text| text.lines().next()).unwrap_or_default();
            let hint = Some(meaning.trim_end_matches('.').to_owned()).filter(|text| !text.is_empty());
            Finding::new(Vec::<String>::new(), format!("the key `{key}` is missing")).hint(hint)
        })
        .collect()
}

/// The table at a path.
fn at<'a>(table: &'a Dict, path: &[String]) -> Option<&'a Dict> {
    path.iter().try_fold(table, |table, key| table.get(key)?.as_dict())
}

fn remove(table: &mut Dict, path: &[&str]) -> bool {
    match path {
        [] => false,
        [key] => table.remove(*key).is_some(),
        [key, rest @ ..] => match table.get_mut(*key) {
            Some(Value::Dict(_, inner)) => remove(inner, rest),
            // The place is inside of something that is no table: that goes as a whole.
            Some(_) => table.remove(*key).is_some(),
            None => false,
        },
    }
}

/// The schema of the value at a path; `Null` where it says nothing.
pub(crate) fn schema_at<'a>(schema: &'a Json, path: &[String]) -> &'a Json {
    path.iter().fold(schema, |at, key| {
        let at = resolve(schema, at);
        let inner = if key.parse::<usize>().is_ok() && at["items"].is_object() { &at["items"] } else { &at["properties"][key.as_str()] };
        if inner.is_null() { resolve(schema, &at["additionalProperties"]) } else { resolve(schema, inner) }
    })
}

/// Follows a reference, and out of an optional value into the value.
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

/// Whether a value of this schema is a table of secrets, such as headers: its keys are the user's, and may be mistaken for values.
pub(crate) fn is_table_of_secrets(schema: &Json) -> bool {
    is_secret(&schema["additionalProperties"])
}

/// Whether this schema takes values of a JSON type.
pub(crate) fn takes(schema: &Json, json_type: &str) -> bool {
    match &schema["type"] {
        Json::String(only) => only == json_type,
        Json::Array(several) => several.iter().any(|one| one == json_type),
        _ => false,
    }
}

/// What is wrong with a value, which is never quoted: a secret may stand where it does not belong.
fn describe(kind: &Kind, schema: &Json) -> (String, Option<String>) {
    let expected = |by_type: &str| match (schema["title"].as_str(), schema["examples"][0].as_str()) {
        (Some(title), Some(example)) => format!("a {title}, such as \"{example}\""),
        _ => plain(by_type),
    };
    match kind {
        Kind::InvalidType(actual, by_type) => (format!("expected {}, found {}", expected(by_type), found(actual)), None),
        Kind::InvalidValue(Actual::Signed(_) | Actual::Unsigned(_), by_type) => {
            (format!("out of range: expected {}", plain(by_type)), None)
        }
        Kind::InvalidValue(actual, by_type) => (format!("expected {}, found {}", plain(by_type), found(actual)), None),
        Kind::InvalidLength(length, by_type) => (format!("expected {}, found {length} items", plain(by_type)), None),
        Kind::UnknownVariant(name, known) => {
            let hint = suggestion(name, known.iter().copied()).or_else(|| Some(format!("write one of {}", known.join(", "))));
            ("not one of the known words".to_owned(), hint)
        }
        Kind::Message(message) => (message.clone(), None),
        Kind::DuplicateField(_) => ("given twice".to_owned(), None),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => ("the number is out of range".to_owned(), None),
        _ => ("not usable here".to_owned(), None),
    }
}

/// A type in plain words.
fn plain(by_type: &str) -> String {
    match by_type {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" | "bool" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        "a string" | "path string" | "a borrowed string" => "text in quotes",
        _ if by_type.starts_with("struct ") => "a table",
        _ => by_type,
    }
    .to_owned()
}

const fn found(actual: &Actual) -> &'static str {
    match actual {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Str(_) => "text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "something else",
    }
}

/// "did you mean …?", when a known word is close enough: one slip in four letters.
pub(crate) fn suggestion<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let closest = known.map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate)).min()?;
    let slips = word.chars().count().div_ceil(4);
    (closest.0 <= slips).then(|| format!("did you mean `{}`?", closest.1))
}

/// "did you mean …?", or else all that is known: `plural` says what they are.
pub(crate) fn suggestion_or_all<'a>(word: &str, plural: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.collect();
    suggestion(word, known.iter().copied()).unwrap_or_else(|| format!("{plural} are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use allswell_checks::contract::{Secret, TimeSpan};
    use figment::{
        Figment,
        providers::{Format, Toml},
    };
    use schemars::JsonSchema;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Sample {
        /// Where it is.
        url: Secret,
        /// How long.
        limit: Option<TimeSpan>,
        count: u16,
        names: Vec<String>,
        inner: Option<Inner>,
        #[serde(default)]
        headers: BTreeMap<String, Secret>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        flag: bool,
    }

    fn findings(toml: &str) -> Vec<String> {
        let table: Dict = Figment::from(Toml::string(toml)).extract().expect("it is TOML");
        let schema = schemars::schema_for!(Sample).to_value();
        let mut findings = Vec::new();
        let read: Option<Sample> = read(&table, &schema, &mut findings);
        assert!(read.is_some() || !findings.is_empty());
        findings
            .into_iter()
            .map(|finding| {
                format!(
                    "{}: {}{}",
                    finding.path.join("."),
                    finding.message,
                    finding.hint.map_or_else(String::new, |hint| format!(" ({hint})"))
                )
            })
            .collect()
    }

    #[test]
    fn all_mistakes_are_found_at_once() {
        let toml = r#"
            url = 123456
            limit = 10
            count = 70000
            nams = []
            [inner]
            flag = "yes"
            flga = true
        "#;
        assert_eq!(
            findings(toml),
            [
                "count: out of range: expected a whole number",
                "inner.flag: expected true or false, found text",
                "inner.flga: there is no such key (did you mean `flag`?)",
                "limit: expected a duration, such as \"500ms\", found a number",
                "nams: there is no such key (did you mean `names`?)",
                "url: expected text in quotes, found a number",
                ": the key `names` is missing",
            ]
        );
    }

    #[test]
    fn neither_a_value_nor_a_key_in_a_table_of_secrets_is_quoted() {
        let rest = "url = \"u\"\ncount = 1\nnames = []\n";
        assert_eq!(findings(&format!("{rest}headers = \"X-Key: hunter2\"")), ["headers: expected a table, found text"]);
        assert_eq!(
            findings(&format!("{rest}headers = {{ \"X-Key: hunter2\" = 7 }}")),
            ["headers: expected text in quotes, found a number"]
        );
    }

    #[test]
    fn every_missing_key_is_found_with_what_it_is_for() {
        assert_eq!(findings("url = \"u\"\ncount = 1\nnames = []\n[inner]"), ["inner: the key `flag` is missing"]);
        assert_eq!(
            findings(""),
            [": the key `url` is missing (Where it is)", ": the key `count` is missing", ": the key `names` is missing"]
        );
    }

    #[test]
    fn what_is_wrong_inside_a_list_is_found() {
        assert_eq!(findings("url = \"u\"\ncount = 1\nnames = [\"a\", 2]"), ["names.1: expected text in quotes, found a number"]);
    }
}
