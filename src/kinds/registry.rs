//! The registry: maps the name of a kind to its typed constructor, schema and example. A value, not a global.

use super::{
    issue::{ConfigIssue, Issue},
    read::{read, suggestion_or_all},
};
use allswell_checks::contract::{Backend, Category, Check, ComposeService, EnvironmentCheck, HostCheck, Register};
use figment::value::Dict;
use serde_json::Value as Json;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The kinds that a configuration can name.
#[derive(Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Kind>,
}

/// One kind of backend, with its type erased.
pub struct Kind {
    /// The name, as in `kind = "postgres"`.
    pub name: &'static str,
    /// What the kind is for an application.
    pub category: Category,
    /// A complete table of a check in TOML, without its header and `kind`.
    pub example: &'static str,
    /// Other names under which users look for this kind.
    pub other_names: &'static [&'static str],
    /// The URL schemes by which discovery recognises this kind.
    pub schemes: &'static [&'static str],
    /// The server's TCP port when an address or URL leaves it out.
    pub default_port: Option<u16>,
    /// Whether the server sends the first bytes of a connection.
    pub speaks_first: bool,
    /// How `allswell init` finds this kind in a compose file.
    pub compose: Option<ComposeService>,
    /// The check of the host itself that runs when nothing is configured.
    pub host_check: Option<HostCheck>,
    /// The checks that environment variables describe, apart from URLs: [`Backend::discover`].
    pub discover: Discover,
    /// The JSON Schema of the kind's own keys; their doc comments are its descriptions.
    pub schema: Json,
    make: Make,
}

/// The checks that environment variables describe; the argument returns the value of a variable.
pub type Discover = fn(&dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck>;

/// Builds a check from a table with a schema, or adds everything that is wrong with it to the issues.
type Make = fn(&Dict, &Json, &mut Vec<ConfigIssue>) -> Option<Arc<dyn Check>>;

impl Registry {
    /// Every kind that is compiled into this build.
    #[must_use]
    pub fn builtin() -> Self {
        let mut registry = Self::default();
        allswell_checks::register_builtin(&mut registry);
        registry
    }

    /// Adds a kind, as in `Registry::builtin().with::<Fleet>()`. It replaces a kind of the same name.
    #[must_use]
    pub fn with<B: Backend>(mut self) -> Self {
        self.register::<B>();
        self
    }

    /// The kind of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }

    /// The kind of that name.
    ///
    /// # Errors
    ///
    /// An issue of the key `kind`: no kind has this name, or this build lacks it.
    pub(crate) fn find(&self, name: &str) -> Result<&Kind, ConfigIssue> {
        let unknown = || {
            if allswell_checks::KINDS.contains(&name) {
                return ConfigIssue::new(["kind"], Issue::KindNotBuilt(name.to_owned()));
            }
            ConfigIssue::new(["kind"], Issue::UnknownKind).with_hint(Some(self.instead_of(name)))
        };
        self.get(name).ok_or_else(unknown)
    }

    /// What to write instead of a name that is no kind.
    fn instead_of(&self, name: &str) -> String {
        let word = name.to_ascii_lowercase().replace('-', "_");
        let names: Vec<String> = self.kinds().filter(|kind| kind.is_known_as(&word)).map(|kind| format!("`{}`", kind.name)).collect();
        if !names.is_empty() {
            return format!("did you mean {}?", names.join(" or "));
        }
        if let Some(alternative) = allswell_checks::alternative(&word) {
            return format!("there is no kind for it yet: {alternative}");
        }
        suggestion_or_all(&word, "kinds", self.kinds.keys().copied())
    }

    /// All kinds, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values()
    }
}

impl Register for Registry {
    fn register<B: Backend>(&mut self) -> &mut Self {
        let kind = Kind {
            name: B::KIND,
            category: B::CATEGORY,
            example: B::EXAMPLE,
            other_names: B::OTHER_NAMES,
            schemes: B::SCHEMES,
            default_port: B::DEFAULT_PORT,
            speaks_first: B::SPEAKS_FIRST,
            compose: B::COMPOSE,
            host_check: B::HOST_CHECK,
            discover: B::discover,
            schema: schemars::schema_for!(B::Config).to_value(),
            make: make::<B>,
        };
        self.kinds.insert(B::KIND, kind);
        self
    }
}

impl Kind {
    /// Whether users may mean this kind by a name in lower case: its own, that of a scheme or an image, or another usual one.
    fn is_known_as(&self, name: &str) -> bool {
        let images = self.compose.iter().flat_map(|service| service.images);
        [self.name].iter().chain(self.other_names).chain(self.schemes).chain(images).any(|known| *known == name)
    }

    /// Builds a check from the kind's own keys, or adds everything that is wrong with them to `issues`.
    pub(crate) fn make(&self, table: &Dict, issues: &mut Vec<ConfigIssue>) -> Option<Arc<dyn Check>> {
        (self.make)(table, &self.schema, issues)
    }
}

fn make<B: Backend>(table: &Dict, schema: &Json, issues: &mut Vec<ConfigIssue>) -> Option<Arc<dyn Check>> {
    let config = read(table, schema, issues)?;
    if !issues.is_empty() {
        return None;
    }
    match B::build(config) {
        Ok(check) => Some(Arc::new(check)),
        Err(invalid) => {
            issues.push(ConfigIssue::new(invalid.key.split('.'), invalid.message));
            None
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.kinds.keys()).finish()
    }
}
