//! Loads a configuration: merges its layers and reports all problems of the result.

use super::{
    assemble::{Assembled, assemble},
    configured::Configured,
    environment::{Environment, insert},
    explain::{Explained, explain},
    exposure,
    files::read_text,
    hidden,
    interpolate::Interpolated,
    locate::{ConfigFile, Override, Places},
    near_misses,
    override_names::key_of,
    place::Place,
    problem::{ConfigError, Problem},
    tls_files,
};
use crate::kinds::Registry;
use figment::{
    Figment, Profile, Provider,
    providers::{Format, Serialized, Toml},
    value::{Dict, Value},
};
use std::{fs, path::PathBuf};

/// The weakest layer, which is also the commented reference.
pub(crate) const DEFAULT: &str = include_str!("../../config/allswell.toml");

/// The file that is read if it exists and no file is named.
pub(super) const DEFAULT_FILE: &str = "allswell.toml";

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files; later ones win. Empty: `allswell.toml` in the working directory, if it exists.
    pub files: Vec<PathBuf>,
    /// Variables for overrides (`ALLSWELL_SERVER__LISTEN`), references (`${NAME}`) and discovery (`DATABASE_URL`).
    pub environment: Environment,
    /// Keys that flags of the command line set; they win over everything else.
    pub overrides: Vec<Override>,
    /// Whether to list where every value comes from, in [`Configured::explained`].
    pub explain: bool,
}

/// Loads a configuration. Reads files, but opens no connection and starts nothing.
///
/// # Errors
///
/// All problems together, each with its place.
pub fn load(sources: &Sources, registry: &Registry) -> Result<Configured, ConfigError> {
    let of_environment = || [sources.environment.warnings(), &near_misses::warnings(&sources.environment, registry)].concat();
    let documents = read_documents(&sources.files).map_err(|problems| ConfigError {
        problems,
        warnings: sources.environment.warnings().to_vec(),
        files: sources.files.clone(),
    })?;
    let mut merged = merge(&documents, &sources.environment)?;
    for given in &sources.overrides {
        insert(&mut merged, &given.key, Value::from(given.value.as_str()));
    }
    let places = Places { documents: &documents, environment: &sources.environment, overrides: &sources.overrides };
    let mut interpolated = Interpolated::default();
    interpolated.walk(&mut merged, &mut Vec::new(), &sources.environment);
    let mut found = exposure::warnings(&documents, &merged, &places, registry);
    found.extend(hidden::warnings(&documents, &places));
    found.extend(tls_files::warnings(&merged, &places));
    let explained = if sources.explain { explain(&merged, &places, registry) } else { Vec::new() };
    let Assembled { configured, mut problems, files } = assemble(merged, &interpolated, &places, registry);
    problems.extend(sources.environment.not_text().filter(|name| key_of(name, "").is_some()).map(not_utf_8));
    // In the order of the files, so that they can be fixed from top to bottom.
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    // Keys of a table of secrets are not quoted, so mistakes in several of them look the same.
    problems.dedup();
    match configured {
        Some(mut configured) if problems.is_empty() => {
            let redacted = |one: Explained| Explained { value: configured.redactor.redact(&one.value).into_owned(), ..one };
            configured.warnings.extend(found);
            configured.warnings.extend(of_environment());
            configured.explained = explained.into_iter().map(redacted).collect();
            Ok(configured)
        }
        _ => Err(ConfigError { problems, warnings: of_environment(), files }),
    }
}

fn not_utf_8(variable: &str) -> Problem {
    let place = Place::Variable(variable.to_owned());
    Problem { place, path: Vec::new(), message: "the value is not UTF-8".to_owned(), hint: None }
}

/// Merges all layers into one table. The layers are dropped on return, before anything that lives long is allocated: otherwise a service
/// with thousands of checks could never return their memory.
fn merge(documents: &[ConfigFile], environment: &Environment) -> Result<Dict, ConfigError> {
    let mut layers = Figment::new().merge(Toml::string(DEFAULT));
    for document in documents {
        layers = layers.merge(Toml::string(document.text()));
    }
    let layers = layers.merge(Serialized::defaults(environment.table()));
    // Not by `extract`, which copies everything three times.
    let mut profiles = layers.data().map_err(|error| unmergeable(&error))?;
    Ok(profiles.remove(&Profile::Default).unwrap_or_default())
}

fn unmergeable(error: &figment::Error) -> ConfigError {
    let message = "the layers of the configuration cannot be merged".to_owned();
    ConfigError {
        problems: vec![Problem { place: Place::Configuration, path: error.path.clone(), message, hint: None }],
        warnings: Vec::new(),
        files: Vec::new(),
    }
}

fn read_documents(files: &[PathBuf]) -> Result<Vec<ConfigFile>, Vec<Problem>> {
    let default = [PathBuf::from(DEFAULT_FILE)];
    // A dangling link or a directory does not count as absent: it is a mistake.
    let is_found = files.is_empty() && fs::symlink_metadata(&default[0]).is_ok();
    let files = if is_found { &default[..] } else { files };
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    if is_found && exposure::may_be_planted(&default[0]) {
        let place = Place::File { path: default[0].clone(), at: None };
        let message = "this file is in a directory that every user can write to, and belongs to another user".to_owned();
        let hint = Some(format!("to use it, pass `--config {DEFAULT_FILE}`"));
        return Err(vec![Problem { place, path: Vec::new(), message, hint }]);
    }
    for path in files {
        match read_text(path) {
            Ok(text) => match ConfigFile::parse(path, &text) {
                Ok(document) => documents.push(document),
                Err(mistakes) => {
                    problems.extend(mistakes.into_iter().map(|(place, message)| Problem { place, path: Vec::new(), message, hint: None }));
                }
            },
            Err(message) => {
                let place = Place::File { path: path.clone(), at: None };
                problems.push(Problem { place, path: Vec::new(), message, hint: None });
            }
        }
    }
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}
