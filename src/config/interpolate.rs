//! Replaces the references in every text of a configuration, and finds values that are probably not what was meant.

use super::{
    environment::Environment,
    references::{replace, unsupported_reference},
    warnings::values::suspicion,
};
use figment::value::{Dict, Value};

/// The result of replacing all references of a configuration.
#[derive(Default)]
pub(crate) struct Interpolated {
    /// Keys whose values came from the environment, at least in part: text, whatever the type of the key.
    pub(crate) texts: Vec<Vec<String>>,
    /// Those of `texts` whose values are exactly that of a variable.
    pub(crate) variables: Vec<Vec<String>>,
    /// Keys whose references do not resolve, with the problem. Their values were removed.
    pub(crate) mistakes: Vec<(Vec<String>, String)>,
    /// Keys whose values may not be what was meant, with the reason.
    pub(crate) suspicions: Vec<(Vec<String>, String)>,
    /// Keys that refer to an empty variable, with a sentence about it.
    pub(crate) empty: Vec<(Vec<String>, String)>,
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
            Value::String(_, text) => self.text(text, path, environment),
            _ => {}
        }
    }

    fn text(&mut self, text: &mut String, path: &[String], environment: &Environment) {
        // The value of a variable is literal: a password may contain `${`.
        if let Some(variable) = environment.variable_for(path) {
            self.suspect(path, &variable, text);
            self.texts.push(path.to_vec());
            self.variables.push(path.to_vec());
            return;
        }
        if let Some(name) = unsupported_reference(text, environment) {
            let message = format!("the reference to the environment variable {name} is not replaced: write `${{{name}}}`");
            self.suspicions.push((path.to_vec(), message));
        }
        if !text.contains("${") {
            return;
        }
        match replace(text, environment) {
            Ok(replaced) => {
                for name in &replaced.used {
                    self.suspect(path, name, environment.get_or_empty(name).unwrap_or_default());
                }
                *text = replaced.text;
                self.texts.push(path.to_vec());
                if replaced.is_variable {
                    self.variables.push(path.to_vec());
                }
            }
            Err(message) => self.mistakes.push((path.to_vec(), message)),
        }
    }

    fn suspect(&mut self, path: &[String], variable: &str, value: &str) {
        if value.is_empty() {
            self.empty.push((path.to_vec(), format!("the environment variable {variable} is empty")));
        }
        let suspicion = suspicion(value).map(|suspicion| (path.to_vec(), format!("the environment variable {variable} {suspicion}")));
        self.suspicions.extend(suspicion);
    }
}
