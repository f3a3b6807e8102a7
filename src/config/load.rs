//! Reads files and the environment, layer over layer. The only file that reads configuration files.

use super::{
    assemble::{Assembled, assemble},
    configured::Configured,
    environment::{Environment, insert},
    explain::{Explained, explain},
    exposure,
    files::read_text,
    interpolate::Interpolated,
    locate::{ConfigFile, Override, Places},
    place::Place,
    problem::{ConfigError, Problem},
};
use crate::kinds::Registry;
use figment::{
    Figment, Profile, Provider,
    providers::{Format, Serialized, Toml},
    value::{Dict, Value},
};
use std::{fs, path::PathBuf};

/// The weakest layer, and the reference that people read.
pub(crate) const DEFAULT: &str = include_str!("../../config/allswell.toml");

/// The file that is read when none is named, if it is there.
const DEFAULT_FILE: &str = "allswell.toml";

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files; later ones win. None: `allswell.toml` in the working directory, if it is there.
    pub files: Vec<PathBuf>,
    /// Variables: for overrides, for references, for discovery.
    pub environment: Environment,
    /// Keys given on the command line.
    pub overrides: Vec<Override>,
    /// Whether to tell where every value comes from: only a person wants to know.
    pub explain: bool,
}

/// Reads a configuration, or finds everything that is wrong with it. Starts nothing.
///
/// # Errors
///
/// All problems at once, each with its place.
pub fn load(sources: &Sources, registry: &Registry) -> Result<Configured, ConfigError> {
    let documents = read_documents(&sources.files).map_err(|problems| ConfigError { problems, files: sources.files.clone() })?;
    let mut merged = merge(&documents, &sources.environment)?;
    for given in &sources.overrides {
        insert(&mut merged, &given.key, Value::from(given.value.as_str()));
    }
    let places = Places { documents: &documents, environment: &sources.environment, overrides: &sources.overrides };
    let mut interpolated = Interpolated::default();
    interpolated.walk(&mut merged, &mut Vec::new(), &sources.environment);
    let exposed = exposure::warnings(&documents, &merged, &places, registry);
    let explained = if sources.explain { explain(&merged, &places, registry) } else { Vec::new() };
    let Assembled { configured, mut problems, files } = assemble(merged, &interpolated, &places, registry);
    // As they stand in the files, so that they can be mended from top to bottom.
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    match configured {
        Some(mut configured) if problems.is_empty() => {
            let redacted = |one: Explained| Explained { value: configured.redactor.redact(&one.value).into_owned(), ..one };
            configured.warnings.extend(exposed);
            configured.explained = explained.into_iter().map(redacted).collect();
            Ok(configured)
        }
        _ => Err(ConfigError { problems, files }),
    }
}

/// Layer over layer, as one table. The layers themselves are gone before anything is made of it, which then lies where they lay: a service
/// with very many checks keeps their memory for ever.
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
    let message = "the layers of the configuration do not fit together".to_owned();
    ConfigError {
        problems: vec![Problem { place: Place::Configuration, path: error.path.clone(), message, hint: None }],
        files: Vec::new(),
    }
}

fn read_documents(files: &[PathBuf]) -> Result<Vec<ConfigFile>, Vec<Problem>> {
    let default = [PathBuf::from(DEFAULT_FILE)];
    // Only a file that is not there counts as absent: a link that leads nowhere or a directory is a mistake.
    let is_found = files.is_empty() && fs::symlink_metadata(&default[0]).is_ok();
    let files = if is_found { &default[..] } else { files };
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    if is_found && exposure::may_be_planted(&default[0]) {
        let place = Place::File { path: default[0].clone(), at: None };
        let message = "this file was found in a folder that everybody can write to, and belongs to another user".to_owned();
        let hint = Some(format!("name it by `--config {DEFAULT_FILE}` if it is meant"));
        return Err(vec![Problem { place, path: Vec::new(), message, hint }]);
    }
    for path in files {
        match read_text(path) {
            Ok(text) => match ConfigFile::parse(path, &text) {
                Ok(document) => documents.push(document),
                Err((place, message)) => problems.push(Problem { place, path: Vec::new(), message, hint: None }),
            },
            Err(message) => {
                let place = Place::File { path: path.clone(), at: None };
                problems.push(Problem { place, path: Vec::new(), message, hint: None });
            }
        }
    }
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}
