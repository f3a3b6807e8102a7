//! Replaces `${NAME}` and `${NAME:-default}` in values by environment variables.

use super::environment::Environment;
use figment::value::{Dict, Value};

/// Replaces every reference in a text. `$${` becomes a literal `${`.
///
/// # Errors
///
/// What is wrong with a reference, and what to do.
pub(super) fn interpolate(text: &str, environment: &Environment) -> Result<String, String> {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            done.push_str(before);
            done.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        done.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let end = inside.find('}').ok_or("`${` has no closing `}`: add it, or write `$${` for a literal `${`")?;
        let (name, default) = match inside[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inside[..end], None),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            // Not quoted: it may be half of a password.
            return Err("the text in `${…}` is not the name of a variable: correct it, or write `$${` for a literal `${`".to_owned());
        }
        // As in a shell: the default replaces an empty variable, too, and without a default an empty variable stays empty.
        let value = match default {
            Some(default) => environment.get(name).unwrap_or(default),
            None => environment.get_or_empty(name).ok_or_else(|| missing(name))?,
        };
        done.push_str(value);
        rest = &inside[end + 1..];
    }
    done.push_str(rest);
    Ok(done)
}

/// Only a name in capitals, as is usual for variables, is quoted: any other may be part of a password such as `pa${word}`.
fn missing(name: &str) -> String {
    if name.chars().any(|c| c.is_ascii_lowercase()) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return "the environment variable in `${…}` is not set: set it, write `${NAME:-default}`, or write `$${` for a literal `${`"
            .to_owned();
    }
    format!("the environment variable {name} is not set: set it, or write `${{{name}:-default}}`")
}

/// The result of replacing all references of a configuration.
#[derive(Default)]
pub(crate) struct Interpolated {
    /// Keys whose values came from the environment, at least in part: text, whatever the type of the key.
    pub(crate) texts: Vec<Vec<String>>,
    /// Keys whose references do not resolve, with the problem. Their values were removed.
    pub(crate) mistakes: Vec<(Vec<String>, String)>,
}

impl Interpolated {
    pub(crate) fn walk(&mut self, table: &mut Dict, path: &mut Vec<String>, environment: &Environment) {
        for (key, value) in table.iter_mut() {
            path.push(key.clone());
            self.value(value, path, environment);
            path.pop();
        }
        table.retain(|key, _| {
            path.push(key.clone());
            let kept = !self.mistakes.iter().any(|(mistaken, _)| mistaken == path);
            path.pop();
            kept
        });
    }

    fn value(&mut self, value: &mut Value, path: &mut Vec<String>, environment: &Environment) {
        match value {
            Value::Dict(_, table) => self.walk(table, path, environment),
            Value::Array(_, items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    path.push(index.to_string());
                    self.value(item, path, environment);
                    path.pop();
                }
            }
            // The value of a variable is literal: a password may contain `${`.
            Value::String(..) if environment.variable_for(path).is_some() => self.texts.push(path.clone()),
            Value::String(_, text) if text.contains("${") => match interpolate(text, environment) {
                Ok(replaced) => {
                    *text = replaced;
                    self.texts.push(path.clone());
                }
                Err(message) => self.mistakes.push((path.clone(), message)),
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, String> {
        let environment = Environment::new([("A", "1"), ("EMPTY", ""), ("B", "${A}")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        interpolate(text, &environment)
    }

    #[test]
    fn references_are_replaced_but_not_those_in_a_replacement() {
        for (text, expected) in [
            ("no reference, $5, $ {A}", "no reference, $5, $ {A}"),
            ("<${A}${A}>", "<11>"),
            ("${NONE:-x:y}", "x:y"),
            ("${EMPTY:-d}${EMPTY}", "d"),
            ("${B}", "${A}"),
            ("$${A} and $$${A}", "${A} and $${A}"),
        ] {
            assert_eq!(with(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_reference_that_does_not_resolve_is_an_error_that_says_what_to_do() {
        assert_eq!(with("${NONE}"), Err("the environment variable NONE is not set: set it, or write `${NONE:-default}`".to_owned()));
        assert!(with("pa${hunter2}").is_err_and(|message| message.contains("is not set") && !message.contains("hunter2")));
        assert!(with("${A").is_err_and(|message| message.contains("no closing")));
        assert!(with("${a b}").is_err_and(|message| message.contains("not the name of a variable")));
    }
}
