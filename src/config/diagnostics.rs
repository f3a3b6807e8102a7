//! Collects the problems, warnings and secrets of a configuration while it is read, each problem with its place.

use super::{
    interpolate::Interpolated,
    locate::Places,
    prepare::{Secrets, prepare},
    problem::Problem,
};
use crate::kinds::issue::{ConfigIssue, Issue};
use figment::value::{Dict, Value};
use serde_json::Value as Json;
use std::{collections::BTreeMap, mem, slice};

/// What was found so far.
pub(super) struct Diagnostics<'a> {
    pub(super) places: &'a Places<'a>,
    interpolated: &'a Interpolated,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) secrets: Secrets,
    /// Keys whose values could not be read: a reference that does not resolve, a file that cannot be used.
    unreadable: Vec<Vec<String>>,
}

impl<'a> Diagnostics<'a> {
    pub(super) fn new(interpolated: &'a Interpolated, places: &'a Places<'a>) -> Self {
        let mut diagnostics = Self {
            places,
            interpolated,
            problems: Vec::new(),
            warnings: Vec::new(),
            secrets: Secrets::default(),
            unreadable: interpolated.mistakes.iter().map(|(key, _)| key.clone()).collect(),
        };
        let issue = |(key, message): &(Vec<String>, String)| ConfigIssue::new(key.clone(), message.clone());
        diagnostics.report(&[], interpolated.mistakes.iter().map(issue));
        diagnostics.warn(&[], interpolated.suspicions.iter().map(issue));
        diagnostics
    }

    /// Adds problems of the table at `path`. A key whose value could not be read is not reported as missing as well.
    pub(super) fn report(&mut self, path: &[String], issues: impl IntoIterator<Item = ConfigIssue>) {
        for found in issues {
            if let Issue::MissingKey(key) = &found.issue
                && self.unreadable.contains(&[path, &found.path, slice::from_ref(key)].concat())
            {
                continue;
            }
            let mut problem = self.locate(path, found);
            // The value of a variable is not quoted, so its fault would be hard to see.
            let suspicions = self.interpolated.empty.iter().chain(&self.interpolated.suspicions);
            let suspicion = suspicions.into_iter().find(|(key, _)| *key == problem.path).map(|(_, message)| message.clone());
            problem.hint = problem.hint.or(suspicion);
            self.problems.push(problem);
        }
    }

    /// Adds warnings about the table at `path`.
    pub(super) fn warn(&mut self, path: &[String], issues: impl IntoIterator<Item = ConfigIssue>) {
        for found in issues {
            let warning = self.locate(path, found);
            self.warnings.push(warning);
        }
    }

    fn locate(&self, path: &[String], found: ConfigIssue) -> Problem {
        let path = self.places.written_key([path, &found.path].concat());
        Problem { place: self.places.place_of(&path), path, message: found.issue.to_string(), hint: found.hint }
    }

    /// Makes the table at `path` ready to be read: reads the files of its secrets, and remembers the secrets.
    pub(super) fn prepare(&mut self, table: &mut Dict, schema: &Json, path: &[String]) {
        let issues = prepare(table, schema, path, self.interpolated, self.places, &mut self.secrets);
        for found in &issues {
            let Some((last, around)) = found.path.split_last() else { continue };
            if let Some(key) = last.strip_suffix("_file") {
                self.unreadable.push([path, around, &[key.to_owned()]].concat());
            }
        }
        self.report(path, issues);
        let suspicions = mem::take(&mut self.secrets.suspicions);
        self.warn(path, suspicions);
    }

    /// Takes the table of tables under a key, such as `checks`, out of the configuration. `None`: there is no such key.
    pub(super) fn take_tables(&mut self, merged: &mut Dict, key: &str) -> Option<BTreeMap<String, Dict>> {
        let value = merged.remove(key)?;
        let Value::Dict(_, tables) = value else {
            let message = if matches!(value, Value::Array(..)) {
                format!("each has a table with a name of its own: write `[{key}.orders]` in place of `[[{key}]]`")
            } else {
                format!("expected tables, such as `[{key}.orders]`")
            };
            self.report(&[], [ConfigIssue::new([key], message)]);
            return Some(BTreeMap::new());
        };
        let mut taken = BTreeMap::new();
        let mut first_key = None;
        for (name, value) in tables {
            match value {
                Value::Dict(_, table) => {
                    taken.insert(name, table);
                }
                list if is_list_of_tables(&list) => {
                    let message = "expected one table: write its header with single brackets, as in `[checks.orders]`";
                    self.report(&[], [ConfigIssue::new([key, &name], message)]);
                }
                _ => first_key = first_key.or(Some(name)),
            }
        }
        // One report for all keys of a table without a name.
        if let Some(name) = first_key {
            let message = format!("expected a table with a name: write `[{key}.NAME]` above the keys");
            self.report(&[], [ConfigIssue::new([key, &name], message)]);
        }
        Some(taken)
    }
}

/// Whether a list is what `[[checks.orders]]` makes.
pub(super) fn is_list_of_tables(value: &Value) -> bool {
    matches!(value, Value::Array(_, items) if !items.is_empty() && items.iter().all(|item| matches!(item, Value::Dict(..))))
}
