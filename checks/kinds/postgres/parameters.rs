//! The parameters of a connection: from the URL, else from a service, else from the environment, as in libpq.

use super::vocabulary;
use crate::contract::prelude::*;
use sqlx_postgres::{libpq_environment, libpq_service};
use std::path::Path;

/// Where a parameter comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Url,
    Service,
    /// An environment variable.
    Variable(&'static str),
}

/// A parameter with a value, which is not empty.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) origin: Origin,
}

impl Parameter {
    /// What a message calls it. The names of other parameters than those of [`vocabulary`] are not shown.
    pub(super) fn shown(&self) -> String {
        match self.origin {
            Origin::Url => format!("the parameter `{}` of the URL", self.name),
            Origin::Service => format!("the parameter `{}` of the service", self.name),
            Origin::Variable(variable) => format!("the environment variable `{variable}`"),
        }
    }

    /// An error about it.
    pub(super) fn invalid(&self, message: &str) -> InvalidConfig {
        InvalidConfig::new("url", format!("{} {message}", self.shown()))
    }
}

/// All parameters, the most important first.
pub(super) struct Parameters(Vec<Parameter>);

impl Parameters {
    /// The parameters of a URL, and those of its service and the environment.
    ///
    /// # Errors
    ///
    /// The URL or the environment names a service that does not exist.
    pub(super) fn collect(url: &::url::Url) -> Result<Self, InvalidConfig> {
        let mut found = Self::of_url(url);
        let environment = libpq_environment().into_iter();
        let environment = environment.map(|found| (found.parameter.to_owned(), found.value, Origin::Variable(found.variable)));
        let environment = Self(environment.filter_map(parameter).collect());
        if let Some(service) = found.get("service").or_else(|| environment.get("service")) {
            let file = found.get("servicefile").or_else(|| environment.get("servicefile")).map(|file| Path::new(&file.value));
            let parameters = libpq_service(&service.value, file)
                .ok_or_else(|| service.invalid("names a section that no readable service file has"))?
                .into_iter()
                .filter_map(|(name, value)| parameter((name, value, Origin::Service)))
                .collect::<Vec<_>>();
            found.0.extend(parameters);
        }
        found.0.extend(environment.0);
        Ok(found)
    }

    /// The parameter with this name.
    pub(super) fn get(&self, name: &str) -> Option<&Parameter> {
        self.0.iter().find(|parameter| parameter.name == name)
    }

    /// Its value.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(|parameter| parameter.value.as_str())
    }

    /// All parameters, the most important first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Parameter> {
        self.0.iter()
    }

    /// The parameters of a URL alone. The last of several with the same name counts.
    pub(super) fn of_url(url: &::url::Url) -> Self {
        let pairs = url.query_pairs().filter_map(|(name, value)| parameter((name.into_owned(), value.into_owned(), Origin::Url)));
        let mut found: Vec<Parameter> = pairs.collect();
        found.reverse();
        Self(found)
    }
}

/// An empty value has the same meaning as none, except that JDBC's `ssl` needs no value.
fn parameter((name, value, origin): (String, String, Origin)) -> Option<Parameter> {
    let name = vocabulary::name(&name).to_owned();
    let value = if name == "ssl" && value.is_empty() { "true".to_owned() } else { value };
    (!value.is_empty()).then_some(Parameter { name, value, origin })
}
