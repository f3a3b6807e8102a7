//! Loads a configuration: merges its layers and reports all problems of the result.

use super::{
    assemble::{Assembled, assemble},
    configured::Configured,
    environment::{Environment, insert},
    explain::{Explained, explain},
    files::read_text,
    interpolate::Interpolated,
    locate::{ConfigFile, Override, Places},
    lookup::{DEFAULT_FILES, Lookup},
    override_names::key_of,
    place::Place,
    problem::{ConfigError, Problem},
    warnings::{drain_file, exposure, file_content, tls_files, variable_names},
};
use crate::kinds::Registry;
use figment::{
    Figment, Profile, Provider,
    providers::{Format, Serialized, Toml},
    value::{Dict, Value},
};
use std::path::PathBuf;

/// The weakest layer, which is also the commented reference.
pub(crate) const DEFAULT: &str = include_str!("../../config/allswell.toml");

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Files; later ones win. Empty: those that the variable `ALLSWELL_CONFIG` names, or else the first of `default_files` that exists.
    pub files: Vec<PathBuf>,
    /// Where to look if no file is named: by default `allswell.toml` in the working directory, then `/etc/allswell/allswell.toml`.
    pub default_files: Vec<PathBuf>,
    /// Variables for overrides (`ALLSWELL_SERVER__LISTEN`), references (`${NAME}`) and discovery (`DATABASE_URL`).
    pub environment: Environment,
    /// Keys that flags of the command line set; they win over everything else.
    pub overrides: Vec<Override>,
    /// Whether to list where every value comes from, in [`Configured::explained`].
    pub explain: bool,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            default_files: DEFAULT_FILES.map(PathBuf::from).into(),
            environment: Environment::default(),
            overrides: Vec::new(),
            explain: false,
        }
    }
}

impl Sources {
    /// Adds the variables of the file `environment` next to the default file that was found, if it exists and this user may read it:
    /// `/etc/allswell/environment`, which only root can read as the packages install it.
    ///
    /// # Errors
    ///
    /// As [`Environment::add_file`].
    #[cfg(feature = "cli")]
    pub(crate) fn add_environment_file(&mut self) -> Result<(), String> {
        use std::{fs::File, io::ErrorKind};

        let Some(file) = self.lookup().environment_file() else { return Ok(()) };
        match File::open(&file).map_err(|error| error.kind()) {
            Err(ErrorKind::NotFound) if file.symlink_metadata().is_err() => Ok(()),
            Err(ErrorKind::PermissionDenied) => Ok(()),
            _ => self.environment.add_file(&file),
        }
    }

    /// The configuration files as they are now.
    pub(crate) fn lookup(&self) -> Lookup {
        Lookup::new(&self.files, &self.environment, &self.default_files)
    }
}

/// Loads a configuration. Reads files, but opens no connection and starts nothing.
///
/// # Errors
///
/// All problems together, each with its place.
pub fn load(sources: &Sources, registry: &Registry) -> Result<Configured, ConfigError> {
    let of_environment = || [sources.environment.warnings(), &variable_names::warnings(&sources.environment, registry)].concat();
    let lookup = sources.lookup();
    let documents =
        read_documents(&lookup).map_err(|problems| ConfigError { problems, warnings: of_environment(), files: lookup.files })?;
    let mut merged = merge(&documents, &sources.environment)?;
    for given in &sources.overrides {
        insert(&mut merged, &given.key, Value::from(given.value.as_str()));
    }
    let places = Places { documents: &documents, environment: &sources.environment, overrides: &sources.overrides };
    let mut interpolated = Interpolated::default();
    interpolated.walk(&mut merged, &mut Vec::new(), &sources.environment);
    let mut found = exposure::warnings(&documents, &merged, &places, registry);
    found.extend(file_content::warnings(&documents, &places));
    found.extend(tls_files::warnings(&merged, &places));
    found.extend(drain_file::warning(&merged, &places));
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

fn read_documents(lookup: &Lookup) -> Result<Vec<ConfigFile>, Vec<Problem>> {
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for path in &lookup.files {
        let place = Place::File { path: path.clone(), at: None };
        if lookup.is_default && path.is_relative() && exposure::may_be_planted(path) {
            let message = "this file is in a directory that every user can write to, and belongs to another user".to_owned();
            let hint = Some(format!("to use it, pass `--config {}`", path.display()));
            problems.push(Problem { place, path: Vec::new(), message, hint });
            continue;
        }
        match read_text(path) {
            Ok(text) => match ConfigFile::parse(path, &text) {
                Ok(document) => documents.push(document),
                Err(mistakes) => {
                    problems.extend(mistakes.into_iter().map(|(place, message)| Problem { place, path: Vec::new(), message, hint: None }));
                }
            },
            Err(message) => problems.push(Problem { place, path: Vec::new(), message, hint: None }),
        }
    }
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}
