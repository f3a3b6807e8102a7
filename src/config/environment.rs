//! Environment variables as a value: `main` reads them once and passes them on.

use super::{
    env_file::{self, EnvFile},
    files::read_bytes,
    override_names::key_of,
    place::Place,
    problem::Problem,
};
use figment::value::{Dict, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::Path,
};

/// The most warnings about the lines of one env file.
const MAX_REMARKS: usize = 10;

/// Environment variables.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// The names of `variables` that come from env files.
    from_files: BTreeSet<String>,
    /// Variables whose values are not UTF-8.
    not_text: BTreeSet<String>,
    /// What is wrong with lines of env files.
    warnings: Vec<Problem>,
}

impl Environment {
    /// An environment of these variables.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect(), ..Self::default() }
    }

    /// The variables of this process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
    pub fn from_process() -> Self {
        Self::from_os(std::env::vars_os())
    }

    fn from_os(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            // No variable of ours has a name that is not UTF-8.
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => drop(environment.variables.insert(name, value)),
                (Ok(name), Err(_)) => drop(environment.not_text.insert(name)),
                (Err(_), _) => {}
            }
        }
        environment
    }

    /// Adds the variables of an env file: lines of `NAME=value`, with comments, quotes and `export`.
    ///
    /// Variables of the process win over those of files, and later lines and files over earlier ones. Values are literal, as for Docker and
    /// systemd, so that a password may contain `$`. A line that cannot be used is a warning of the configuration that is loaded with this
    /// environment.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn add_file(&mut self, path: &Path) -> Result<(), String> {
        let content = read_bytes(path).map_err(|message| format!("{}: {message}", path.display()))?;
        let EnvFile { variables, not_text, remarks } = env_file::parse(&content);
        for (name, value) in variables {
            if self.is_free(&name) {
                self.not_text.remove(&name);
                self.from_files.insert(name.clone());
                self.variables.insert(name, value);
            }
        }
        for (name, _) in not_text {
            if !self.variables.contains_key(&name) {
                self.from_files.insert(name.clone());
                self.not_text.insert(name);
            }
        }
        let mut warn = |line: Option<usize>, message: String| {
            let place = Place::File { path: path.to_owned(), at: line.map(|line| (line, 1)) };
            self.warnings.push(Problem { place, path: Vec::new(), message, hint: None });
        };
        remarks.iter().take(MAX_REMARKS).for_each(|remark| warn(Some(remark.line), remark.message.to_owned()));
        if let Some(more) = remarks.len().checked_sub(MAX_REMARKS).filter(|more| *more > 0) {
            warn(None, format!("{more} more lines have problems"));
        }
        Ok(())
    }

    /// Whether a file may set this variable.
    fn is_free(&self, name: &str) -> bool {
        self.from_files.contains(name) || !(self.variables.contains_key(name) || self.not_text.contains(name))
    }

    /// What is wrong with lines of env files.
    pub(crate) fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Variables that are set, but not to text.
    pub(crate) fn not_text(&self) -> impl Iterator<Item = &str> {
        self.not_text.iter().map(String::as_str)
    }

    /// Whether a variable is set, but not to text.
    pub(crate) fn is_not_text(&self, name: &str) -> bool {
        self.not_text.contains(name)
    }

    /// The value of a variable. An empty variable counts as not set, as in most applications.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable, even if it is empty.
    pub(crate) fn get_or_empty(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// All variables, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The variables that set a key, with that key and their value: `ALLSWELL_CHECKS__DB__URL` sets `checks.db.url`. An empty variable sets
    /// none: that is how templates write one without a value.
    pub(crate) fn overrides(&self) -> impl Iterator<Item = (&str, Vec<String>, &str)> {
        let is_set = |(_, value): &(&str, &str)| !value.trim().is_empty();
        self.iter().filter(is_set).filter_map(|(name, value)| Some((name, key_of(name, value)?, value)))
    }

    /// All overrides as one table.
    pub(crate) fn table(&self) -> Dict {
        let mut table = Dict::new();
        for (_, key, value) in self.overrides() {
            insert(&mut table, &key, Value::from(value));
        }
        table
    }

    /// The variable that sets exactly this key: of several, which differ in capital letters, the one that wins.
    pub(crate) fn variable_for(&self, key: &[String]) -> Option<String> {
        let name = format!("ALLSWELL_{}", key.join("__").to_ascii_uppercase());
        let is_it = |(known, value): &(&str, &str)| known.eq_ignore_ascii_case(&name) && sets_key(known, value);
        (key.len() > 1).then(|| self.iter().filter(is_it).last().map(|(known, _)| known.to_owned())).flatten()
    }

    /// A variable that sets a key of the table at `key`.
    pub(crate) fn variable_below(&self, key: &[String]) -> Option<String> {
        let below = format!("ALLSWELL_{}__", key.join("__").to_ascii_uppercase());
        let is_below = |(known, value): &(&str, &str)| known.to_ascii_uppercase().starts_with(&below) && sets_key(known, value);
        self.iter().find(is_below).map(|(known, _)| known.to_owned())
    }
}

fn sets_key(name: &str, value: &str) -> bool {
    !value.trim().is_empty() && key_of(name, value).is_some()
}

/// Shows the names but not the values.
impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.variables.keys()).finish()
    }
}

/// Sets a key of a table, and creates the tables around it. A value in place of such a table is replaced.
pub(crate) fn insert(table: &mut Dict, key: &[String], value: Value) {
    match key {
        [] => {}
        [last] => {
            table.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = table.entry(first.clone()).or_insert_with(|| Value::from(Dict::new()));
            if !matches!(inner, Value::Dict(..)) {
                *inner = Value::from(Dict::new());
            }
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::ffi::OsStringExt};

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn only_a_name_with_levels_and_a_value_sets_a_key() {
        let environment = environment(&[
            ("ALLSWELL_PORT", "tcp://10.0.0.1:80"),
            ("ALLSWELL_SERVER__LISTEN", "x"),
            ("ALLSWELL_SERVER__DRAIN", " "),
            ("OTHER__X", "y"),
        ]);
        let keys: Vec<_> = environment.overrides().map(|(_, key, _)| key.join(".")).collect();
        assert_eq!(keys, ["server.listen"]);
        assert_eq!(format!("{environment:?}"), r#"{"ALLSWELL_PORT", "ALLSWELL_SERVER__DRAIN", "ALLSWELL_SERVER__LISTEN", "OTHER__X"}"#);
        let key = |key: &str| key.split('.').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(environment.variable_for(&key("server.listen")).as_deref(), Some("ALLSWELL_SERVER__LISTEN"));
        assert_eq!(environment.variable_for(&key("server.drain")), None);
        assert_eq!(environment.variable_below(&key("server")).as_deref(), Some("ALLSWELL_SERVER__LISTEN"));
    }

    #[test]
    fn variables_of_the_process_win_over_files_and_later_files_over_earlier_ones() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let paths = ["a.env", "b.env"].map(|name| directory.path().join(name));
        fs::write(&paths[0], "A=1\nB=1\nC=1\nC=2\nnot a pair\n").expect("a file");
        fs::write(&paths[1], "B=2\n").expect("a file");
        let mut environment = environment(&[("A", "0")]);
        for path in &paths {
            environment.add_file(path).expect("it reads");
        }
        let values = ["A", "B", "C"].map(|name| environment.get_or_empty(name).expect("it is set"));
        assert_eq!(values, ["0", "2", "2"]);
        let warnings: Vec<_> = environment.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(warnings, [format!("{}:5:1: skipped: expected NAME=value", paths[0].display())]);
    }

    #[test]
    fn a_file_of_something_else_has_few_warnings() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(".env");
        fs::write(&path, "hunter2 is no pair\n".repeat(100)).expect("a file");
        let mut environment = Environment::default();
        environment.add_file(&path).expect("it reads");
        let warnings: Vec<_> = environment.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), MAX_REMARKS + 1);
        assert!(warnings[MAX_REMARKS].ends_with(".env: 90 more lines have problems"), "{warnings:?}");
        assert!(!warnings.concat().contains("hunter2"));
    }

    #[test]
    fn a_variable_that_is_not_utf_8_is_known_as_such() {
        let value = OsString::from_vec(b"p\xe4ss".to_vec());
        let mut environment = Environment::from_os([("PW".into(), value), ("A".into(), "1".into())]);
        assert_eq!((environment.get("PW"), environment.get("A")), (None, Some("1")));
        assert_eq!(environment.not_text().collect::<Vec<_>>(), ["PW"]);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(".env");
        fs::write(&path, b"PW=1\nFILE=\xe4\n").expect("a file");
        environment.add_file(&path).expect("it reads");
        assert!(environment.is_not_text("PW") && environment.is_not_text("FILE"));
    }
}
