//! Warns about variables that set no key because their names are misspelled.

use crate::{
    component::Policy,
    config::{
        environment::Environment,
        override_names::{PREFIX, SECTIONS, is_service_link, key_of},
        place::Place,
        problem::Problem,
        settings::Settings,
    },
    kinds::{Registry, read::suggestion, schema::schema_at},
};
use schemars::schema_for;
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// The variable that names the configuration files; it sets no key.
const CONFIG: &str = "ALLSWELL_CONFIG";

/// Words for the configuration files, as other programs name them, without underscores.
const WORDS_FOR_CONFIG: [&str; 6] = ["CONF", "CONFIG", "CONFIGFILE", "CONFIGFILES", "CONFIGPATH", "CONFIGURATION"];

/// Words for an env file, without underscores.
const WORDS_FOR_ENV_FILE: [&str; 3] = ["DOTENV", "ENVFILE", "ENVIRONMENTFILE"];

/// Words for the address to listen on, as other programs name it.
const WORDS_FOR_LISTEN: [&str; 6] = ["ADDR", "ADDRESS", "BIND", "HOST", "HTTPPORT", "PORT"];

/// Warnings about variables that set no key, and whose names look as if they should.
pub(in crate::config) fn warnings(environment: &Environment, registry: &Registry) -> Vec<Problem> {
    let is_candidate = |(name, _): &(&str, &str)| may_be_ours(name);
    // Most environments have none.
    let Some(_) = environment.iter().find(is_candidate) else { return Vec::new() };
    let names = KnownNames::new(registry);
    let warning = |(name, value): (&str, &str)| {
        let message = match key_of(name, value) {
            Some(_) if value.trim().is_empty() => "is empty, and counts as not set".to_owned(),
            Some(key) => {
                let winner = environment.variable_for(&key).filter(|winner| winner != name)?;
                format!("is ignored: {winner} sets the same key")
            }
            None => names.problem(name, value)?,
        };
        Some(Problem { place: Place::Variable(name.to_owned()), path: Vec::new(), message, hint: None })
    };
    environment.iter().filter(is_candidate).filter_map(warning).collect()
}

/// Whether the name begins with ours, in any case and with a slip.
fn may_be_ours(name: &str) -> bool {
    name.split('_').next().is_some_and(|first| is_like_prefix(&first.to_ascii_uppercase()))
}

fn is_like_prefix(first: &str) -> bool {
    strsim::damerau_levenshtein(first, PREFIX.trim_end_matches('_')) <= 1
}

/// The names of variables that set a key.
struct KnownNames {
    /// The keys of every table but those with names that users choose.
    settings: Vec<Vec<String>>,
    /// The keys of a check, in capitals.
    of_checks: BTreeSet<String>,
}

impl KnownNames {
    fn new(registry: &Registry) -> Self {
        let schema = schema_for!(Settings).to_value();
        let mut settings = Vec::new();
        add_keys(&schema, &mut Vec::new(), &mut settings);
        let policy = schema_for!(Policy).to_value();
        let tables = registry.kinds().map(|kind| &kind.schema).chain([&policy]);
        let keys = tables.filter_map(|table| table["properties"].as_object()).flat_map(|keys| keys.keys());
        let of_checks = keys.map(|key| key.to_ascii_uppercase()).chain(["KIND".to_owned()]).collect();
        Self { settings, of_checks }
    }

    /// What is wrong with a variable that sets no key; `None` if it is not meant to set one.
    fn problem(&self, name: &str, value: &str) -> Option<String> {
        let upper = name.to_ascii_uppercase();
        if name == CONFIG || is_service_link(&upper, value) {
            return None;
        }
        let (first, rest) = upper.split_once('_')?;
        if first == PREFIX.trim_end_matches('_')
            && let Some(message) = about_files(rest).or_else(|| about_table(rest))
        {
            return Some(message);
        }
        // Another program may have a similar name, but not the levels of ours.
        if first != PREFIX.trim_end_matches('_') && !rest.contains("__") {
            return None;
        }
        match self.meant(rest) {
            Some(meant) if meant == upper && name.starts_with(PREFIX) => None,
            Some(meant) => Some(format!("is ignored; did you mean {meant}?")),
            None if name.starts_with(PREFIX) && rest.contains("__") => {
                Some(format!("is ignored: write one of {} after {PREFIX}", SECTIONS.map(str::to_uppercase).join(", ")))
            }
            None => None,
        }
    }

    /// The variable that is meant by a name whose part after the prefix is `rest`.
    fn meant(&self, rest: &str) -> Option<String> {
        let squeezed = rest.replace('_', "");
        if WORDS_FOR_LISTEN.contains(&&*squeezed) {
            return Some(variable(&["server".to_owned(), "listen".to_owned()]));
        }
        let without_levels = |key: &[String]| key.concat().replace('_', "").to_ascii_uppercase();
        if let Some(key) = self.settings.iter().find(|key| without_levels(key) == squeezed || is_short_form(key, &squeezed)) {
            return Some(variable(key));
        }
        let levels: Vec<_> = rest.split("__").filter(|level| !level.is_empty()).collect();
        if let [first, inner @ ..] = &levels[..]
            && let Some(section) = section_like(first.trim_matches('_'))
            && !inner.is_empty()
        {
            let inner: Vec<_> = inner.iter().map(|level| (*level).to_owned()).collect();
            return Some(variable(&[&[section.to_owned()], &inner[..]].concat()));
        }
        let words: Vec<_> = rest.split('_').filter(|word| !word.is_empty()).collect();
        let (section, words) = words.split_first()?;
        let section = section_like(section)?;
        if matches!(section, "checks" | "groups") {
            // The longest known key at the end: both names and keys may have underscores.
            let key = (1..words.len()).map(|at| words[at..].join("_")).find(|key| self.of_checks.contains(key))?;
            let name = words.join("_").strip_suffix(&format!("_{key}"))?.to_owned();
            return Some(variable(&[section.to_owned(), name, key]));
        }
        let slips = |key: &&Vec<String>| strsim::damerau_levenshtein(&without_levels(key), &squeezed);
        self.settings.iter().filter(|key| key[0] == section).min_by_key(slips).filter(|key| slips(key) <= 2).map(|key| variable(key))
    }
}

/// What is wrong with a name whose part after the prefix means the configuration files or an env file.
fn about_files(rest: &str) -> Option<String> {
    let squeezed = rest.replace('_', "");
    if WORDS_FOR_ENV_FILE.contains(&&*squeezed) {
        return Some("is ignored: pass --env-file FILE".to_owned());
    }
    let is_config = WORDS_FOR_CONFIG.iter().any(|word| *word == squeezed) || strsim::damerau_levenshtein("CONFIG", &squeezed) == 1;
    is_config.then(|| format!("is ignored; did you mean {CONFIG}?"))
}

/// What is wrong with a name that is that of a whole table. A service or an image may have the others, such as `ALLSWELL_SERVER`.
fn about_table(rest: &str) -> Option<String> {
    match rest {
        "CHECKS" | "GROUPS" => Some(format!("is ignored: a variable sets one key, such as {PREFIX}{rest}__NAME__KEY")),
        "LOG" => Some(format!("is ignored; did you mean {PREFIX}LOG__LEVEL?")),
        _ => None,
    }
}

/// Adds the path of every key that is not a table.
fn add_keys(schema: &Json, path: &mut Vec<String>, keys: &mut Vec<Vec<String>>) {
    for (key, _) in schema_at(schema, path)["properties"].as_object().into_iter().flatten() {
        path.push(key.clone());
        if schema_at(schema, path)["properties"].is_object() {
            add_keys(schema, path, keys);
        } else {
            keys.push(path.clone());
        }
        path.pop();
    }
}

/// Whether this is the key without its table. Words such as `VERSION` may be about the program itself, so only some tables count.
fn is_short_form(key: &[String], squeezed: &str) -> bool {
    let [section, last] = key else { return false };
    matches!(&**section, "server" | "log") && last.replace('_', "").eq_ignore_ascii_case(squeezed)
}

/// The table of this name, or of one that differs in a letter or two.
fn section_like(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    SECTIONS.into_iter().find(|section| *section == word).or_else(|| {
        let is_close = suggestion(&word, SECTIONS.into_iter());
        is_close.and_then(|_| SECTIONS.into_iter().min_by_key(|section| strsim::damerau_levenshtein(section, &word)))
    })
}

fn variable(key: &[String]) -> String {
    format!("{PREFIX}{}", key.join("__").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(variables: &[(&str, &str)]) -> Vec<String> {
        let environment = Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        warnings(&environment, &Registry::builtin()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_near_miss_is_a_warning_with_the_name_that_was_meant() {
        for (name, meant) in [
            ("ALLSWELL_SERVER_LISTEN", "ALLSWELL_SERVER__LISTEN"),
            ("allswell_server__listen", "ALLSWELL_SERVER__LISTEN"),
            ("Allswell_Server_Listen", "ALLSWELL_SERVER__LISTEN"),
            ("ALLSWELL__SERVER__LISTEN", "ALLSWELL_SERVER__LISTEN"),
            ("ALLSWELL_SEVER__LISTEN", "ALLSWELL_SERVER__LISTEN"),
            ("ALSWELL_SERVER__LISTEN", "ALLSWELL_SERVER__LISTEN"),
            ("ALLSWELL_SERVER_LISTNE", "ALLSWELL_SERVER__LISTEN"),
            ("ALLSWELL_LISTEN", "ALLSWELL_SERVER__LISTEN"),
            ("ALLSWELL_PORT", "ALLSWELL_SERVER__LISTEN"),
            ("ALLSWELL_TOKEN", "ALLSWELL_SERVER__TOKEN"),
            ("ALLSWELL_LOG_LEVEL", "ALLSWELL_LOG__LEVEL"),
            ("ALLSWELL_LOGLEVEL", "ALLSWELL_LOG__LEVEL"),
            ("ALLSWELL_SERVER_TLS_CERTIFICATE_FILE", "ALLSWELL_SERVER__TLS__CERTIFICATE_FILE"),
            ("ALLSWELL_CHECK__DB__URL", "ALLSWELL_CHECKS__DB__URL"),
            ("ALLSWELL__CHECKS__ORDERS_DB__URL", "ALLSWELL_CHECKS__ORDERS_DB__URL"),
            ("allswell_checks__orders_db__url", "ALLSWELL_CHECKS__ORDERS_DB__URL"),
            ("ALLSWELL_CHECKS_ORDERS_DB_URL", "ALLSWELL_CHECKS__ORDERS_DB__URL"),
            ("ALLSWELL_GROUP__READY__CHECKS", "ALLSWELL_GROUPS__READY__CHECKS"),
            ("ALLSWELL_SERVER__LISTEN__", "ALLSWELL_SERVER__LISTEN"),
            ("ALLSWELL_SERVER____DRAIN", "ALLSWELL_SERVER__DRAIN"),
            ("ALLSWELL_CONFIG_FILE", "ALLSWELL_CONFIG"),
            ("ALLSWELL_CONFIG_PATH", "ALLSWELL_CONFIG"),
            ("ALLSWELL_CONFG", "ALLSWELL_CONFIG"),
            ("ALLSWELL_CONFIGS", "ALLSWELL_CONFIG"),
            ("allswell_config", "ALLSWELL_CONFIG"),
            ("ALLSWELL_LOG", "ALLSWELL_LOG__LEVEL"),
        ] {
            assert_eq!(warned(&[(name, "hunter2")]), [format!("{name}: is ignored; did you mean {meant}?")]);
        }
        let expected = "ALLSWELL_A__B: is ignored: write one of CHECKS, DEFAULTS, GROUPS, LOG, SERVER, SERVICE after ALLSWELL_";
        assert_eq!(warned(&[("ALLSWELL_A__B", "x")]), [expected]);
        assert_eq!(warned(&[("ALLSWELL_SERVER__LISTEN", "")]), ["ALLSWELL_SERVER__LISTEN: is empty, and counts as not set"]);
    }

    #[test]
    fn a_variable_that_cannot_be_one_names_what_is() {
        assert_eq!(warned(&[("ALLSWELL_ENV_FILE", "a.env")]), ["ALLSWELL_ENV_FILE: is ignored: pass --env-file FILE"]);
        let expected = "ALLSWELL_CHECKS: is ignored: a variable sets one key, such as ALLSWELL_CHECKS__NAME__KEY";
        assert_eq!(warned(&[("ALLSWELL_CHECKS", "{}")]), [expected]);
    }

    #[test]
    fn of_two_variables_for_one_key_the_ignored_one_is_named() {
        let variables = [("ALLSWELL_SERVER__LISTEN", "127.0.0.1:1"), ("ALLSWELL_SERVER__Listen", "127.0.0.1:2")];
        assert_eq!(warned(&variables), ["ALLSWELL_SERVER__LISTEN: is ignored: ALLSWELL_SERVER__Listen sets the same key"]);
    }

    #[test]
    fn names_of_keys_of_other_programs_and_of_services_are_silent() {
        for (name, value) in [
            ("ALLSWELL_SERVER__LISTEN", "127.0.0.1:0"),
            ("ALLSWELL_CHECKS__DB__UR", "x"),
            ("ALLSWELL_CONFIG", "a.toml"),
            ("ALLSWELL_VERSION", "1.4.2"),
            ("ALLSWELL_IMAGE", "allswell:1"),
            ("ALSWEL_TOKEN", "x"),
            ("ALLSWELLNESS_TOKEN", "x"),
            ("ALLSWELL_PORT", "tcp://10.0.0.1:80"),
            ("ALLSWELL_SERVICE_HOST", "10.0.0.1"),
            ("ALLSWELL_SERVICE_PORT", "80"),
            ("ALLSWELL_SERVICE_PORT_HTTP", "80"),
            ("ALLSWELL_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("ALLSWELL_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("ALLSWELL_PORT_8080_TCP_PORT", "8080"),
            ("ALLSWELL_PORT_8080_TCP_PROTO", "tcp"),
            ("ALLSWELL_A__B_PORT", "tcp://[fd00::1]:80"),
            ("ALLSWELL_A__B_SERVICE_HOST", "fd00::1"),
            ("ALLSWELL_A__B_SERVICE_PORT_HTTP", "80"),
            ("ALLSWELL_CHECKS__B_PORT", "udp://10.0.0.1:53"),
            ("ALLSWELL_CHECKS__B_PORT_53_UDP_PORT", "53"),
            ("ALLSWELL_SERVER__B_SERVICE_PORT", "80"),
        ] {
            assert_eq!(warned(&[(name, value)]), Vec::<String>::new(), "{name}");
        }
    }
}
