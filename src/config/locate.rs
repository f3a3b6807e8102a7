//! Where a key was written: file, line and column, or an environment variable.

use super::{environment::Environment, place::Place};
use std::{
    ops::Range,
    path::{Path, PathBuf},
};
use toml_edit::{ImDocument, Item};

/// A key that was given on the command line, the strongest layer.
#[derive(Clone, Debug)]
pub struct Override {
    /// The flag, as in `--listen`.
    pub flag: &'static str,
    /// The key that it sets.
    pub key: Vec<String>,
    /// Its value.
    pub value: String,
}

/// A file that was read, with the places of its keys.
pub(crate) struct Document {
    pub(crate) path: PathBuf,
    toml: ImDocument<String>,
}

impl Document {
    /// Parses a file's text.
    ///
    /// # Errors
    ///
    /// Where it is not TOML, and why.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, (Place, String)> {
        match ImDocument::parse(text.to_owned()) {
            Ok(toml) => Ok(Self { path: path.to_owned(), toml }),
            Err(error) => {
                let at = error.span().map(|span| line_and_column(text, span.start));
                // The message's first line; the others quote the file, which may hold a secret. It may quote a key, and a key may hold one, too.
                let message = error.message().lines().next().unwrap_or("not TOML");
                let message = match (message.find('`'), message.rfind('`')) {
                    (Some(first), Some(last)) if first < last => format!("{}`…`{}", &message[..first], &message[last + 1..]),
                    _ => message.to_owned(),
                };
                Err((Place::File { path: path.to_owned(), at }, message))
            }
        }
    }

    pub(crate) fn text(&self) -> &str {
        self.toml.raw()
    }

    /// Every text that is the value of a key, as it is written.
    pub(crate) fn texts(&self) -> Vec<(Vec<String>, &str)> {
        let mut found = Vec::new();
        texts(self.toml.as_item(), &mut Vec::new(), &mut found);
        found
    }

    /// Where a key, or what of it is there, was written; and how many of its segments are there.
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
            // The key itself says best where to look; a table that is only implied has no key of its own.
            place = name.span().or_else(|| value.span()).or(place);
            item = value;
        }
        (key.len(), place)
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

/// All places where keys were written, from the weakest layer to the strongest.
pub(crate) struct Places<'a> {
    pub(crate) documents: &'a [Document],
    pub(crate) environment: &'a Environment,
    pub(crate) overrides: &'a [Override],
}

impl Places<'_> {
    /// Where the value of a key comes from. For a key that is nowhere: where the table around it is.
    pub(crate) fn place_of(&self, key: &[String]) -> Place {
        if let Some(given) = self.overrides.iter().find(|given| given.key == key) {
            return Place::Flag(given.flag);
        }
        if let Some(variable) = self.environment.variable_of(key) {
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
        if let Some((_, place)) = best.filter(|(depth, _)| *depth == key.len() || key.len() == 1 || *depth > 1) {
            return place;
        }
        match self.environment.variable_under(key) {
            Some(variable) => Place::Variable(variable),
            None => Place::Configuration,
        }
    }
}

impl Places<'_> {
    /// Where a key itself was written, if it was.
    pub(crate) fn exactly(&self, key: &[String]) -> Option<Place> {
        let given = self.overrides.iter().any(|given| given.key == key) || self.layer_of(key) > 0;
        given.then(|| self.place_of(key))
    }

    /// How strong the layer is that gives a key.
    pub(crate) fn layer_of(&self, key: &[String]) -> usize {
        if self.environment.variable_of(key).is_some() {
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
        let documents = [Document::parse(Path::new("a.toml"), text).expect("it is TOML")];
        let environment = Environment::new([("ALLSWELL_CHECKS__CACHE__URL".to_owned(), "x".to_owned())]);
        let key: Vec<String> = key.split('.').map(str::to_owned).collect();
        Places { documents: &documents, environment: &environment, overrides: &[] }.place_of(&key).to_string()
    }

    #[test]
    fn keys_list_items_and_tables_have_their_places() {
        assert_eq!(place("server.listen"), "a.toml:2:1");
        assert_eq!(place("checks.db.url"), "a.toml:5:3");
        assert_eq!(place("checks.db.queues.1"), "a.toml:7:5");
        assert_eq!(place("checks.db"), "a.toml:4:9");
        assert_eq!(place("checks.db.missing"), "a.toml:4:9", "a missing key is where its table is");
    }

    #[test]
    fn variables_have_theirs() {
        assert_eq!(place("checks.cache.url"), "ALLSWELL_CHECKS__CACHE__URL");
        assert_eq!(place("checks.cache"), "ALLSWELL_CHECKS__CACHE__URL");
        assert_eq!(place("log"), "configuration");
    }

    #[test]
    fn a_syntax_error_has_its_place_and_quotes_nothing() {
        let Err((place, message)) = Document::parse(Path::new("a.toml"), "x = 1\npassword = \"hunter2\n") else { panic!("it is not TOML") };
        assert_eq!(place.to_string(), "a.toml:2:20");
        assert!(!message.contains("hunter2"), "{message}");
        let Err((_, message)) = Document::parse(Path::new("a.toml"), "\"X: hunter2\" = 1\n\"X: hunter2\" = 2") else {
            panic!("it is there twice")
        };
        assert_eq!(message, "duplicate key `…` in document root");
    }
}
