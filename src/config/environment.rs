//! Environment variables as a value: `main` reads them once and passes them on.

use super::files::read_text;
use figment::value::{Dict, Value};
use std::{collections::BTreeMap, path::Path};

/// Environment variables.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// An environment of these variables.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// The variables of this process. Variables that are not UTF-8 are left out.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
    pub fn from_process() -> Self {
        Self(std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect())
    }

    /// Adds the variables of a file of `NAME=value` lines. Variables that are already set win, as they do for the application.
    ///
    /// Values are literal, as for Docker and systemd, so that a password may contain `$`. One pair of quotes around a value is removed. Empty
    /// lines, lines that begin with `#`, and `export` before a name are skipped.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line is not `NAME=value`. The message has the line's number and does not quote it.
    pub fn add_file(&mut self, path: &Path) -> Result<(), String> {
        let text = read_text(path).map_err(|message| format!("{}: {message}", path.display()))?;
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let valid = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                Some((name, value)) if valid(name) => {
                    let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
                    self.0.entry(name.to_owned()).or_insert_with(|| quoted.unwrap_or(value).to_owned());
                }
                _ => return Err(format!("{}:{number}: expected NAME=value", path.display())),
            }
        }
        Ok(())
    }

    /// The value of a variable. An empty variable counts as not set, as in most applications.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable, even if it is empty.
    pub(crate) fn get_or_empty(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All variables, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The variables that set a key, with that key: `ALLSWELL_CHECKS__DB__URL` sets `checks.db.url`. Variables without `__` set none, such as
    /// the `ALLSWELL_PORT` that Kubernetes injects for a service of that name.
    pub(crate) fn overrides(&self) -> impl Iterator<Item = (Vec<String>, &str)> {
        self.iter().filter_map(|(name, value)| Some((key_of(name)?, value)))
    }

    /// All overrides as one table.
    pub(crate) fn table(&self) -> Dict {
        let mut table = Dict::new();
        for (key, value) in self.overrides() {
            insert(&mut table, &key, Value::from(value));
        }
        table
    }

    /// The variable that sets exactly this key.
    pub(crate) fn variable_for(&self, key: &[String]) -> Option<String> {
        let name = format!("ALLSWELL_{}", key.join("__").to_ascii_uppercase());
        (key.len() > 1).then(|| self.0.keys().find(|known| known.eq_ignore_ascii_case(&name)).cloned()).flatten()
    }

    /// A variable that sets a key of the table at `key`.
    pub(crate) fn variable_below(&self, key: &[String]) -> Option<String> {
        let below = format!("ALLSWELL_{}__", key.join("__").to_ascii_uppercase());
        self.0.keys().find(|name| name.to_ascii_uppercase().starts_with(&below)).cloned()
    }
}

/// Shows the names but not the values.
impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

fn key_of(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix("ALLSWELL_").filter(|rest| rest.contains("__"))?;
    Some(rest.split("__").map(str::to_ascii_lowercase).collect())
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
    use std::fs;

    #[test]
    fn only_a_name_with_levels_sets_a_key() {
        let environment = Environment::new(
            [("ALLSWELL_PORT", "tcp://10.0.0.1:80"), ("ALLSWELL_SERVER__LISTEN", "x"), ("OTHER__X", "y")]
                .map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        let keys: Vec<_> = environment.overrides().map(|(key, _)| key.join(".")).collect();
        assert_eq!(keys, ["server.listen"]);
        assert_eq!(format!("{environment:?}"), r#"{"ALLSWELL_PORT", "ALLSWELL_SERVER__LISTEN", "OTHER__X"}"#);
    }

    #[test]
    fn an_env_file_adds_only_variables_that_are_not_set() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(".env");
        fs::write(&path, "# comment\n\nexport A=1\nB='two words'\nC = pa$ecret#1\nD=\"\"\n").expect("a file");
        let mut environment = Environment::new([("A".to_owned(), "0".to_owned())]);
        environment.add_file(&path).expect("it reads");
        let values = ["A", "B", "C", "D"].map(|name| environment.get_or_empty(name).expect("it is set"));
        assert_eq!(values, ["0", "two words", "pa$ecret#1", ""]);
    }

    #[test]
    fn an_error_in_an_env_file_does_not_quote_the_line() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(".env");
        fs::write(&path, "A=1\nhunter2 = x y z\nnothing hunter2\n").expect("a file");
        let error = Environment::default().add_file(&path).expect_err("it is wrong");
        assert!(error.ends_with(".env:3: expected NAME=value"), "{error}");
    }
}
