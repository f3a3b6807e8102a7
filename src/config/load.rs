//! Reads files and the environment, layer over layer. The only file that reads configuration files and secrets' files.

use super::{
    assemble::{Assembled, assemble},
    environment::{Environment, insert},
    error::{ConfigError, Problem},
    interpolate::interpolate,
    locate::{Document, Place, Places},
    settings::{GroupSettings, Settings},
};
use crate::{
    component::{CheckName, Component},
    registry::Registry,
};
use allswell_checks::contract::{Redactor, Secret};
use figment::{
    Figment,
    providers::{Format, Serialized, Toml},
    value::{Dict, Value},
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

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
    /// Keys given on the command line, the strongest layer.
    pub overrides: Vec<(Vec<String>, String)>,
}

/// A configuration that can be run.
#[derive(Debug)]
pub struct Configured {
    /// Everything but the checks and the groups.
    pub settings: Settings,
    /// The components, by name.
    pub components: Vec<Component>,
    /// Where each component was asked for.
    pub origins: BTreeMap<CheckName, String>,
    /// The groups.
    pub groups: BTreeMap<CheckName, GroupSettings>,
    /// Nothing but the host is checked.
    pub only_host: bool,
    /// What deserves a look and stops nothing.
    pub warnings: Vec<Problem>,
    /// Knows every secret in it.
    pub redactor: Redactor,
}

/// Reads a configuration, or finds everything that is wrong with it. Starts nothing.
///
/// # Errors
///
/// All problems at once, each with its place.
pub fn load(sources: &Sources, registry: &Registry) -> Result<Configured, ConfigError> {
    let documents = read_documents(&sources.files).map_err(|problems| ConfigError { problems })?;
    let mut layers = Figment::new().merge(Toml::string(DEFAULT));
    for document in &documents {
        layers = layers.merge(Toml::string(document.text()));
    }
    layers = layers.merge(Serialized::globals(sources.environment.table()));
    let mut merged: Dict = layers.extract().map_err(|error| ConfigError { problems: vec![unmergeable(&error)] })?;
    for (key, value) in &sources.overrides {
        insert(&mut merged, key, Value::from(value.as_str()));
    }
    let places = Places { documents: &documents, environment: &sources.environment };
    let mut interpolated = Interpolated::default();
    interpolated.walk(&mut merged, &mut Vec::new(), &sources.environment);
    let problems = interpolated.mistakes.iter().map(|(path, message)| Problem {
        place: places.of(path),
        path: path.clone(),
        message: message.clone(),
        hint: None,
    });
    let problems = problems.collect();
    let Assembled { configured, mut problems } = assemble(merged, &interpolated, problems, &places, registry);
    // As they stand in the files, so that they can be mended from top to bottom.
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    match configured {
        Some(configured) if problems.is_empty() => Ok(configured),
        _ => Err(ConfigError { problems }),
    }
}

fn unmergeable(error: &figment::Error) -> Problem {
    let message = "the layers of the configuration do not fit together".to_owned();
    Problem { place: Place::Configuration, path: error.path.clone(), message, hint: None }
}

fn read_documents(files: &[PathBuf]) -> Result<Vec<Document>, Vec<Problem>> {
    let default = [PathBuf::from(DEFAULT_FILE)];
    let files = if files.is_empty() && default[0].is_file() { &default[..] } else { files };
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for path in files {
        match fs::read_to_string(path).map_err(|error| file_trouble(&error)) {
            Ok(text) => match Document::parse(path, &text) {
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

fn file_trouble(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "the file may not be read by this user".to_owned(),
        io::ErrorKind::InvalidData => "the file is not UTF-8".to_owned(),
        io::ErrorKind::IsADirectory => "this is a directory, not a file".to_owned(),
        _ => format!("the file cannot be read: {error}"),
    }
}

/// A secret's file: its text without line breaks at the end.
///
/// # Errors
///
/// Why it cannot be read, without its text.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, String> {
    const LIMIT: u64 = 64 * 1024;
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| file_trouble(&error))?;
    file.take(LIMIT + 1).read_to_string(&mut text).map_err(|error| file_trouble(&error))?;
    if text.len() as u64 > LIMIT {
        return Err("the file is longer than 64 KiB: that is no secret".to_owned());
    }
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

/// What became of the references in the values.
#[derive(Default)]
pub(crate) struct Interpolated {
    /// Keys whose values came from the environment, in whole or in part: they are text, whatever the key's type.
    pub(crate) texts: Vec<Vec<String>>,
    /// Keys whose references do not resolve. Their values are gone.
    pub(crate) mistakes: Vec<(Vec<String>, String)>,
}

impl Interpolated {
    fn walk(&mut self, table: &mut Dict, path: &mut Vec<String>, environment: &Environment) {
        for (key, value) in table.iter_mut() {
            path.push(key.clone());
            self.value(value, path, environment);
            path.pop();
        }
        table.retain(|key, _| {
            path.push(key.clone());
            let kept = !self.mistakes.iter().any(|(mistaken, _)| mistaken == path);
            path.pop();
            kept
        });
    }

    fn value(&mut self, value: &mut Value, path: &mut Vec<String>, environment: &Environment) {
        match value {
            Value::Dict(_, table) => self.walk(table, path, environment),
            Value::Array(_, items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    path.push(index.to_string());
                    self.value(item, path, environment);
                    path.pop();
                }
            }
            // A variable's own value is taken as it is: a password may hold anything.
            Value::String(..) if environment.variable_of(path).is_some() => self.texts.push(path.clone()),
            Value::String(_, text) if text.contains("${") => match interpolate(text, environment) {
                Ok(replaced) => {
                    *text = replaced;
                    self.texts.push(path.clone());
                }
                Err(message) => self.mistakes.push((path.clone(), message)),
            },
            _ => {}
        }
    }
}
