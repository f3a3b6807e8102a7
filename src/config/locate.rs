//! Finds the place of a key: file, line and column, an environment variable or a flag.

use super::{environment::Environment, place::Place};
use std::{
    ops::Range,
    path::{Path, PathBuf},
};
use toml_edit::{ImDocument, Item};

/// A key that a flag of the command line sets: the strongest layer.
#[derive(Clone, Debug)]
pub struct Override {
    /// The flag, such as `--listen`.
    pub flag: &'static str,
    /// The key that it sets.
    pub key: Vec<String>,
    /// Its value.
    pub value: String,
}

/// A configuration file, with the places of its keys.
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    toml: ImDocument<String>,
}

impl ConfigFile {
    /// Parses a file's text.
    ///
    /// # Errors
    ///
    /// The place of the syntax error, and a message that quotes nothing of the file.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, (Place, String)> {
        match ImDocument::parse(text.to_owned()) {
            Ok(toml) => Ok(Self { path: path.to_owned(), toml }),
            Err(error) => {
                let at = error.span().map(|span| line_and_column(text, span.start));
                // Only the first line: the others quote the file, which may hold a secret. The first may quote a key, which may hold one, too.
                let message = without_quotes(error.message().lines().next().unwrap_or("syntax error"));
                Err((Place::File { path: path.to_owned(), at }, format!("not valid TOML: {message}")))
            }
        }
    }

    pub(crate) fn text(&self) -> &str {
        self.toml.raw()
    }

    /// Every key whose value is a text, with the text as written.
    pub(crate) fn texts(&self) -> Vec<(Vec<String>, &str)> {
        let mut found = Vec::new();
        texts(self.toml.as_item(), &mut Vec::new(), &mut found);
        found
    }

    /// How many leading segments of a key the file has, and where the last of them is.
    fn find(&self, key: &[String]) -> (usize, Option<Range<usize>>) {
        let mut item: &Item = self.toml.as_item();
        let mut place = None;
        for (depth, segment) in key.iter().enumerate() {
            let inner = match segment.parse::<usize>() {
                Ok(index) if item.as_array().is_some() => {
                    let value = item.as_array().and_then(|array| array.get(index));
                    return (depth + usize::from(value.is_some()), value.and_then(toml_edit::Value::span).or(place));
                }
                _ => item.as_table_like().and_then(|table| table.get_key_value(segment)),
            };
            let Some((name, value)) = inner else { return (depth, place) };
            // A table that is only implied has no key of its own.
            place = name.span().or_else(|| value.span()).or(place);
            item = value;
        }
        (key.len(), place)
    }
}

/// Removes what a message quotes, unless it is punctuation of TOML, as in "expected `=`".
fn without_quotes(message: &str) -> String {
    let is_punctuation = |quoted: &str| quoted.len() <= 16 && quoted.chars().all(|c| c.is_ascii_punctuation() || c == ' ');
    match (message.find('`'), message.rfind('`')) {
        (Some(first), Some(last)) if first < last && !is_punctuation(&message[first..=last]) => {
            format!("{}`…`{}", &message[..first], &message[last + 1..])
        }
        _ => message.to_owned(),
    }
}

fn texts<'a>(item: &'a Item, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, &'a str)>) {
    if let Some(text) = item.as_str() {
        found.push((path.clone(), text));
    }
    for (key, inner) in item.as_table_like().into_iter().flat_map(toml_edit::TableLike::iter) {
        path.push(key.to_owned());
        texts(inner, path, found);
        path.pop();
    }
}

/// All layers that set keys, each from the weakest to the strongest.
pub(crate) struct Places<'a> {
    pub(crate) documents: &'a [ConfigFile],
    pub(crate) environment: &'a Environment,
    pub(crate) overrides: &'a [Override],
}

impl Places<'_> {
    /// Where the value of a key comes from; for a key that is not set, where the table around it comes from.
    pub(crate) fn place_of(&self, key: &[String]) -> Place {
        if let Some(given) = self.overrides.iter().find(|given| given.key == key) {
            return Place::Flag(given.flag);
        }
        // A variable may hold a whole list or table, and the key may be in it.
        if let Some(variable) = (2..=key.len()).rev().find_map(|depth| self.environment.variable_for(&key[..depth])) {
            return Place::Variable(variable);
        }
        let mut best: Option<(usize, Place)> = None;
        for document in self.documents {
            let (depth, span) = document.find(key);
            // Of equally deep finds the last wins, as its layer does.
            if depth > 0 && best.as_ref().is_none_or(|(deepest, _)| depth >= *deepest) {
                let at = span.map(|span| line_and_column(document.text(), span.start));
                best = Some((depth, Place::File { path: document.path.clone(), at }));
            }
        }
        let (depth, place) = best.map_or((0, None), |(depth, place)| (depth, Some(place)));
        // A table that only variables set, in a table that a file has.
        let variable = (depth + 1..=key.len()).rev().find_map(|depth| self.environment.variable_below(&key[..depth]));
        match (variable, place) {
            (Some(variable), _) => Place::Variable(variable),
            (None, Some(place)) if depth == key.len() || depth > 1 => place,
            (None, _) => Place::Configuration,
        }
    }

    /// Where a key itself is set, if it is.
    pub(crate) fn where_set(&self, key: &[String]) -> Option<Place> {
        let is_set = self.overrides.iter().any(|given| given.key == key) || self.layer_of(key) > 0;
        is_set.then(|| self.place_of(key))
    }

    /// The number of the strongest layer that sets a key; 0 if none does.
    pub(crate) fn layer_of(&self, key: &[String]) -> usize {
        if self.environment.variable_for(key).is_some() {
            return usize::MAX;
        }
        self.documents.iter().rposition(|document| document.find(key).0 == key.len()).map_or(0, |index| index + 1)
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str) -> String {
        let text = "[server]\nlisten = \"x\"\n\n[checks.db]\n  url = \"u\"\n  queues = [\"a\",\n    7]\n";
        let documents = [ConfigFile::parse(Path::new("a.toml"), text).expect("it is TOML")];
        let variables = ["ALLSWELL_CHECKS__CACHE__URL", "ALLSWELL_CHECKS__DB__TLS__CA_FILE", "ALLSWELL_CHECKS__DB__STATUSES"];
        let environment = Environment::new(variables.map(|name| (name.to_owned(), "x".to_owned())));
        let key: Vec<String> = key.split('.').map(str::to_owned).collect();
        Places { documents: &documents, environment: &environment, overrides: &[] }.place_of(&key).to_string()
    }

    #[test]
    fn keys_list_items_and_tables_of_a_file_have_a_line_and_a_column() {
        assert_eq!(place("server.listen"), "a.toml:2:1");
        assert_eq!(place("checks.db.url"), "a.toml:5:3");
        assert_eq!(place("checks.db.queues.1"), "a.toml:7:5");
        assert_eq!(place("checks.db"), "a.toml:4:9");
        assert_eq!(place("checks.db.missing"), "a.toml:4:9", "a missing key is where its table is");
    }

    #[test]
    fn a_key_that_a_variable_sets_has_its_name_as_place() {
        assert_eq!(place("checks.cache.url"), "ALLSWELL_CHECKS__CACHE__URL");
        assert_eq!(place("checks.cache"), "ALLSWELL_CHECKS__CACHE__URL");
        assert_eq!(place("log"), "configuration");
    }

    #[test]
    fn a_table_or_list_that_only_variables_set_has_their_place_in_a_table_of_a_file() {
        assert_eq!(place("checks.db.tls"), "ALLSWELL_CHECKS__DB__TLS__CA_FILE");
        assert_eq!(place("checks.db.tls.ca_file"), "ALLSWELL_CHECKS__DB__TLS__CA_FILE");
        assert_eq!(place("checks.db.statuses.1"), "ALLSWELL_CHECKS__DB__STATUSES");
        assert_eq!(place("checks.db.tls.verify"), "ALLSWELL_CHECKS__DB__TLS__CA_FILE", "a missing key is where its table is");
    }

    #[test]
    fn a_syntax_error_has_a_place_and_quotes_nothing() {
        let Err((place, message)) = ConfigFile::parse(Path::new("a.toml"), "x = 1\npassword = \"hunter2\n") else {
            panic!("it is not TOML")
        };
        assert_eq!(place.to_string(), "a.toml:2:20");
        assert!(!message.contains("hunter2"), "{message}");
        let Err((_, message)) = ConfigFile::parse(Path::new("a.toml"), "\"X: hunter2\" = 1\n\"X: hunter2\" = 2") else {
            panic!("it is there twice")
        };
        assert_eq!(message, "not valid TOML: duplicate key `…` in document root");
    }

    #[test]
    fn a_file_in_another_format_is_reported_as_such() {
        let Err((place, message)) = ConfigFile::parse(Path::new("a.yaml"), "server: {}\n") else { panic!("it is not TOML") };
        assert_eq!(place.to_string(), "a.yaml:1:7");
        assert!(message.starts_with("not valid TOML: expected `") && message.contains('='), "{message}");
    }
}
