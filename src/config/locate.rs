//! Finds the place of a key: file, line and column, an environment variable or a flag.

use super::{environment::Environment, place::Place, syntax::mistakes};
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
    /// The place of each mistake in the syntax, and a message that quotes nothing of the file that may be a secret.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Vec<(Place, String)>> {
        let error = match ImDocument::parse(text.to_owned()) {
            Ok(toml) => return Ok(Self { path: path.to_owned(), toml }),
            Err(error) => error,
        };
        let place = |offset| Place::File { path: path.to_owned(), at: Some(line_and_column(text, offset)) };
        Err(mistakes(text, error).into_iter().map(|mistake| (place(mistake.offset), mistake.message)).collect())
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

    /// Whether the file has a table at a key.
    fn has_table(&self, key: &[String]) -> bool {
        let item = key.iter().try_fold(self.toml.as_item(), |item, segment| item.as_table_like()?.get(segment));
        item.is_some_and(Item::is_table_like)
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
        // A variable may make a table of what is no table in a file.
        if let Some(variable) = self.environment.variable_below(key).filter(|_| !self.documents.iter().any(|file| file.has_table(key))) {
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

    /// The key as it is written: `url_file` for a `url` that was read from a file.
    pub(crate) fn written_key(&self, key: Vec<String>) -> Vec<String> {
        let Some((last, around)) = key.split_last() else { return key };
        let file_key = [around, &[format!("{last}_file")]].concat();
        if self.where_set(&key).is_none() && self.where_set(&file_key).is_some() { file_key } else { key }
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
    fn a_variable_that_makes_a_table_of_a_text_of_a_file_is_the_place() {
        let documents = [ConfigFile::parse(Path::new("a.toml"), "[server]\nlisten = \"x\"\n").expect("it is TOML")];
        let environment = Environment::new([("ALLSWELL_SERVER__LISTEN__PORT".to_owned(), "x".to_owned())]);
        let places = Places { documents: &documents, environment: &environment, overrides: &[] };
        let place = |key: &[&str]| places.place_of(&key.iter().map(|&segment| segment.to_owned()).collect::<Vec<_>>()).to_string();
        assert_eq!(place(&["server", "listen"]), "ALLSWELL_SERVER__LISTEN__PORT");
        assert_eq!(place(&["server", "drain"]), "configuration");
    }

    #[test]
    fn a_key_whose_value_is_in_a_file_is_written_with_its_ending() {
        let text = "[checks.a]\nurl_file = \"u\"\n[checks.b]\nurl = \"u\"\n";
        let documents = [ConfigFile::parse(Path::new("a.toml"), text).expect("it is TOML")];
        let environment = Environment::new([("ALLSWELL_SERVER__TOKEN_FILE".to_owned(), "x".to_owned())]);
        let places = Places { documents: &documents, environment: &environment, overrides: &[] };
        for (key, written, place) in [
            ("checks.a.url", "checks.a.url_file", "a.toml:2:1"),
            ("checks.b.url", "checks.b.url", "a.toml:4:1"),
            ("checks.b.password", "checks.b.password", "a.toml:3:9"),
            ("server.token", "server.token_file", "ALLSWELL_SERVER__TOKEN_FILE"),
        ] {
            let found = places.written_key(key.split('.').map(str::to_owned).collect());
            assert_eq!((&*found.join("."), &*places.place_of(&found).to_string()), (written, place));
        }
    }

    /// The places and messages of the mistakes in a file.
    fn mistakes_in(text: &str) -> Vec<String> {
        let Err(found) = ConfigFile::parse(Path::new("a.toml"), text) else { panic!("it is TOML: {text}") };
        found.into_iter().map(|(place, message)| format!("{place}: {message}")).collect()
    }

    #[test]
    fn a_syntax_error_has_a_place_and_quotes_nothing() {
        assert_eq!(
            mistakes_in("x = 1\npassword = \"hunter2\n"),
            ["a.toml:2:12: not valid TOML: the text has no closing quote in this line: add it"]
        );
        assert_eq!(
            mistakes_in("\"X: hunter2\" = 1\n\"X: hunter2\" = 2"),
            ["a.toml:2:1: not valid TOML: duplicate key, first in line 1: keep one of the two"]
        );
    }

    #[test]
    fn a_table_or_key_that_exists_already_is_named_with_both_places() {
        assert_eq!(
            mistakes_in("[checks.db]\nkind = \"tcp\"\n\n[checks.db]\nkind = \"tcp\"\n"),
            ["a.toml:4:1: not valid TOML: duplicate key `db` in table `checks`, first in line 1: give each table its own \
                 name, or merge the two"]
        );
        assert_eq!(
            mistakes_in("[server]\nlisten = \"a\"\nlisten = \"b\"\nlisten = \"c\"\n"),
            [3, 4].map(|line| format!(
                "a.toml:{line}:1: not valid TOML: duplicate key `listen` in table `server`, first in line 2: keep one of \
                 the two"
            ))
        );
        assert_eq!(
            mistakes_in("[checks.web.headers]\nhunter2 = \"a\"\nhunter2 = \"b\"\n"),
            ["a.toml:3:1: not valid TOML: duplicate key, first in line 2: keep one of the two"],
            "a key in a table of secrets is not quoted"
        );
    }

    #[test]
    fn every_slip_in_a_line_is_reported() {
        let found = mistakes_in("[checks.db]\nkind = postgres\ncritical = True\ninterval = 10s\n");
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[2].starts_with("a.toml:4:12: not valid TOML: a number with a unit is text"), "{found:?}");
    }

    #[test]
    fn a_file_in_another_format_is_reported_as_such() {
        let found = mistakes_in("server: {}\n");
        assert!(found.len() == 1 && found[0].starts_with("a.toml:1:1: this looks like YAML"), "{found:?}");
    }
}
