//! Reads a table of a configuration as a type, by its JSON Schema, and finds every mistake in it, not only the first.

use super::{
    issue::{ConfigIssue, Issue},
    schema::{is_table_of_secrets, schema_at},
};
use figment::{
    error::{Actual, Kind},
    value::{Dict, Value},
};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

/// Reads `table` as a `T`, whose JSON Schema is `schema`.
///
/// The deserialiser stops at the first mistake. So the mistaken key is removed and the rest is read again, until no mistake is left. The
/// returned value lacks the removed keys: examine it to find more mistakes, but use it only when `issues` stays empty.
pub(crate) fn read<T: DeserializeOwned>(table: &Dict, schema: &Json, issues: &mut Vec<ConfigIssue>) -> Option<T> {
    let mut rest = table.clone();
    let mut removed_items = RemovedItems::default();
    // Every round removes something or is the last.
    loop {
        let error = match T::deserialize(&Value::from(rest.clone())) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let mut place = error.path.clone();
        if let Kind::UnknownField(name, _) = &error.kind
            && place.last() != Some(name)
        {
            place.push(name.clone());
        }
        let mut path = removed_items.original_path(&rest, &place);
        if let Kind::MissingField(field) = &error.kind {
            let missing = missing(at(table, &path), field, schema_at(schema, &path));
            issues.extend(missing.into_iter().map(|found| ConfigIssue { path: path.clone(), ..found }));
        } else {
            let (issue, hint) = describe(&error.kind, schema_at(schema, &path));
            let table_of_secrets = (1..path.len()).find(|depth| is_table_of_secrets(schema_at(schema, &path[..*depth])));
            path.truncate(table_of_secrets.unwrap_or(path.len()));
            issues.push(ConfigIssue { path, issue, hint });
        }
        if !removed_items.remove(&mut rest, &place) {
            return None;
        }
    }
}

/// The items that were removed from lists while a table was read: the index of every later item is smaller since.
#[derive(Default)]
struct RemovedItems(Vec<(Vec<String>, usize)>);

impl RemovedItems {
    /// The path of a value before anything was removed.
    fn original_path(&self, rest: &Dict, path: &[String]) -> Vec<String> {
        let mut original = path.to_vec();
        if let Some((depth, index)) = first_item(rest, path) {
            original[depth] = self.original_index(&path[..depth], index).to_string();
        }
        original
    }

    fn original_index(&self, list: &[String], index: usize) -> usize {
        let mut removed: Vec<usize> = self.0.iter().filter(|(of, _)| of == list).map(|(_, index)| *index).collect();
        removed.sort_unstable();
        removed.into_iter().fold(index, |index, removed| if removed <= index { index + 1 } else { index })
    }

    /// Removes the value at a path. An item of a list goes as a whole, unless it is a table that can lose a key.
    fn remove(&mut self, rest: &mut Dict, path: &[String]) -> bool {
        let Some((depth, index)) = first_item(rest, path) else { return remove(rest, path) };
        let original = self.original_index(&path[..depth], index);
        let Some(Value::Array(_, items)) = value_at(rest, &path[..depth]) else { return false };
        if let Value::Dict(_, item) = &mut items[index]
            && remove(item, &path[depth + 1..])
        {
            return true;
        }
        items.remove(index);
        self.0.push((path[..depth].to_vec(), original));
        true
    }
}

/// The depth and the index of the outermost list item on a path.
fn first_item(table: &Dict, path: &[String]) -> Option<(usize, usize)> {
    let mut value = table.get(path.first()?)?;
    for (depth, key) in path.iter().enumerate().skip(1) {
        value = match value {
            Value::Dict(_, inner) => inner.get(key)?,
            Value::Array(_, items) => return key.parse().ok().filter(|index| *index < items.len()).map(|index| (depth, index)),
            _ => return None,
        };
    }
    None
}

/// The required keys that a table lacks; at least `field`, which the deserialiser missed, unless it was removed as a mistake.
fn missing(table: Option<&Dict>, field: &str, schema: &Json) -> Vec<ConfigIssue> {
    let is_given = |key: &str| table.is_some_and(|table| table.contains_key(key) || table.contains_key(&format!("{key}_file")));
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
    let mut keys: Vec<&str> = required.filter(|key| !is_given(key)).collect();
    if keys.is_empty() && !is_given(field) {
        keys.push(field);
    }
    let issue = |key: &str| {
        // The first sentence, which may go over several lines.
        let description = schema["properties"][key]["description"].as_str().and_then(|text| text.split("\n\n").next());
        let sentence = description.map(|text| text.replace('\n', " ")).and_then(|text| text.split(". ").next().map(str::to_owned));
        let meaning = sentence.map(|text| text.trim_end_matches(['.', ':']).to_owned()).filter(|text| !text.is_empty());
        ConfigIssue::of_table(Issue::MissingKey(key.to_owned())).with_hint(meaning.map(|meaning| format!("expected: {meaning}")))
    };
    keys.into_iter().map(issue).collect()
}

/// The table at a path.
fn at<'a>(table: &'a Dict, path: &[String]) -> Option<&'a Dict> {
    let Some((key, rest)) = path.split_first() else { return Some(table) };
    let value = rest.iter().try_fold(table.get(key)?, |value, key| match value {
        Value::Dict(_, inner) => inner.get(key),
        Value::Array(_, items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    });
    value?.as_dict()
}

/// The value at a path through tables.
pub(crate) fn value_at<'a>(table: &'a mut Dict, path: &[String]) -> Option<&'a mut Value> {
    let (key, rest) = path.split_first()?;
    match table.get_mut(key)? {
        value if rest.is_empty() => Some(value),
        Value::Dict(_, inner) => value_at(inner, rest),
        _ => None,
    }
}

fn remove(table: &mut Dict, path: &[String]) -> bool {
    match path {
        [] => false,
        [key] => table.remove(key).is_some(),
        [key, rest @ ..] => match table.get_mut(key) {
            Some(Value::Dict(_, inner)) => remove(inner, rest),
            // The path leads into a value that is not a table: the whole value is removed.
            Some(_) => table.remove(key).is_some(),
            None => false,
        },
    }
}

/// What is wrong with a value, and what to write instead. The value is not quoted: a secret may stand where it does not belong.
fn describe(kind: &Kind, schema: &Json) -> (Issue, Option<String>) {
    let expected = |by_type: &str| match (schema["title"].as_str(), schema["examples"][0].as_str()) {
        (Some(title), Some(example)) => format!("a {title}, such as \"{example}\""),
        _ => plain(by_type).to_owned(),
    };
    let mistyped = |expected: String, found: &'static str| Issue::Type { expected, found: found.into() };
    let issue = match kind {
        Kind::UnknownField(name, known) => return (Issue::UnknownKey, suggestion(name, known.iter().copied())),
        Kind::UnknownVariant(name, known) => {
            let hint = suggestion(name, known.iter().copied()).unwrap_or_else(|| format!("write one of {}", known.join(", ")));
            return (Issue::UnknownValue, Some(hint));
        }
        Kind::InvalidType(actual, by_type) => mistyped(expected(by_type), found(actual)),
        Kind::InvalidValue(Actual::Signed(_) | Actual::Unsigned(_), by_type) => {
            Issue::Range { expected: range(by_type).to_owned(), found: "another number".into() }
        }
        Kind::InvalidValue(actual, by_type) => mistyped(plain(by_type).to_owned(), found(actual)),
        Kind::InvalidLength(length, by_type) => {
            Issue::Type { expected: plain(by_type).to_owned(), found: format!("{length} items").into() }
        }
        Kind::Message(message) => Issue::from(message.clone()),
        Kind::DuplicateField(_) => Issue::from("the key is given twice"),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => Issue::from("the number is out of range"),
        _ => Issue::from("this value cannot be used here"),
    };
    (issue, None)
}

/// The name of a Rust type in words of TOML.
fn plain(by_type: &str) -> &str {
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
}

/// The numbers that a Rust type holds.
fn range(by_type: &str) -> &str {
    match by_type {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0",
        other => plain(other),
    }
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

/// "did you mean …?", if a known word differs in at most one of every four letters.
pub(crate) fn suggestion<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let closest = known.map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate)).min()?;
    let slips = word.chars().count().div_ceil(4);
    (closest.0 <= slips).then(|| format!("did you mean `{}`?", closest.1))
}

/// "did you mean …?", or the list of all known words if none is close; `plural` names what they are.
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
        inners: Vec<Inner>,
        #[serde(default)]
        headers: BTreeMap<String, Secret>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        flag: bool,
    }

    fn issues(toml: &str) -> Vec<String> {
        let table: Dict = Figment::from(Toml::string(toml)).extract().expect("it is TOML");
        let schema = schemars::schema_for!(Sample).to_value();
        let mut issues = Vec::new();
        let read: Option<Sample> = read(&table, &schema, &mut issues);
        assert!(read.is_some() || !issues.is_empty());
        let line = |found: ConfigIssue| {
            format!("{}: {}{}", found.path.join("."), found.issue, found.hint.map_or_else(String::new, |hint| format!(" ({hint})")))
        };
        issues.into_iter().map(line).collect()
    }

    #[test]
    fn every_mistake_is_found_in_one_pass() {
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
            issues(toml),
            [
                "count: expected a whole number from 0 to 65535, found another number",
                "inner.flag: expected true or false, found text",
                "inner.flga: unknown key (did you mean `flag`?)",
                "limit: expected a duration, such as \"500ms\", found a number",
                "nams: unknown key (did you mean `names`?)",
                "url: expected text in quotes, found a number",
                ": the required key `names` is missing",
            ]
        );
    }

    #[test]
    fn neither_a_value_nor_a_key_in_a_table_of_secrets_is_quoted() {
        let rest = "url = \"u\"\ncount = 1\nnames = []\n";
        assert_eq!(issues(&format!("{rest}headers = \"X-Key: hunter2\"")), ["headers: expected a table, found text"]);
        assert_eq!(issues(&format!("{rest}headers = {{ \"X-Key: hunter2\" = 7 }}")), ["headers: expected text in quotes, found a number"]);
    }

    #[test]
    fn every_missing_key_is_reported_with_its_description() {
        assert_eq!(issues("url = \"u\"\ncount = 1\nnames = []\n[inner]"), ["inner: the required key `flag` is missing"]);
        assert_eq!(
            issues(""),
            [
                ": the required key `url` is missing (expected: Where it is)",
                ": the required key `count` is missing",
                ": the required key `names` is missing"
            ]
        );
    }

    #[test]
    fn every_mistake_in_a_list_is_reported_with_its_index() {
        assert_eq!(
            issues("url = \"u\"\ncount = 1\nnames = [1, \"a\", 2, 3]"),
            [0, 2, 3].map(|index| format!("names.{index}: expected text in quotes, found a number"))
        );
    }

    #[test]
    fn a_key_that_is_missing_in_a_list_of_tables_is_reported() {
        let rest = "url = \"u\"\ncount = 1\nnames = []\n";
        assert_eq!(
            issues(&format!("{rest}[[inners]]\nflga = true\n[[inners]]\nflag = true\n[[inners]]\n")),
            [
                "inners.0.flga: unknown key (did you mean `flag`?)",
                "inners.0: the required key `flag` is missing",
                "inners.2: the required key `flag` is missing"
            ]
        );
    }
}
