//! `${NAME}` and `${NAME:-default}` in a text, from the environment.

use super::environment::Environment;
use figment::value::{Dict, Value};

/// The text with every reference replaced. `$${` is a literal `${`.
///
/// # Errors
///
/// What is wrong with a reference, and what to do.
pub(crate) fn interpolate(text: &str, environment: &Environment) -> Result<String, String> {
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
        let end = inside.find('}').ok_or("`${` without its `}`; a literal `${` is written `$${`")?;
        let (name, default) = match inside[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inside[..end], None),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            // It is not quoted: it may be half of a password.
            return Err("what stands in `${…}` is not a variable's name; a literal `${` is written `$${`".to_owned());
        }
        // As in a shell, an empty variable takes the default, and without a default is what it is.
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

/// A name that is not in capitals, as those of variables are, is not quoted: it may be part of a password such as `pa${word`.
fn missing(name: &str) -> String {
    if name.chars().any(|c| c.is_ascii_lowercase()) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return "the environment has no variable of the name in `${…}`; set it, write `${NAME:-default}`, or `$${` for a literal `${`"
            .to_owned();
    }
    format!("the environment has no variable {name}; set it, or write `${{{name}:-default}}`")
}

/// What became of the references in the values.
#[derive(Default)]
pub(crate) struct Interpolated {
    /// Keys whose values came from the environment, in whole or in part: they are text, whatever the key's type.
    pub(crate) texts: Vec<Vec<String>>,
    /// Keys whose references do not resolve. Their values are gone.
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
            // A variable's own value is taken as it is: a password may hold anything.
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
    fn references_are_replaced_once() {
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
    fn mistakes_are_told() {
        assert_eq!(with("${NONE}"), Err("the environment has no variable NONE; set it, or write `${NONE:-default}`".to_owned()));
        assert!(with("pa${hunter2}").is_err_and(|message| message.contains("no variable") && !message.contains("hunter2")));
        assert!(with("${A").is_err_and(|message| message.contains("without its")));
        assert!(with("${a b}").is_err_and(|message| message.contains("not a variable's name")));
    }
}
