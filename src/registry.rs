//! The registry: from the name of a kind to its typed constructor, schema and example. A value, not a global.

use crate::table::{self, Finding, suggestion_or_all};
use allswell_checks::contract::{Backend, Category, Check, ComposeService, EnvironmentCheck, HostCheck, Register};
use figment::value::Dict;
use serde_json::Value as Json;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The kinds that a configuration can name.
#[derive(Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Kind>,
}

/// One kind of backend, without its type.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub category: Category,
    /// A complete table in TOML, without its header.
    pub example: &'static str,
    /// URL schemes by which discovery recognises it.
    pub schemes: &'static [&'static str],
    /// The server's TCP port when an address or URL leaves it out.
    pub default_port: Option<u16>,
    /// Whether the server sends the first bytes of a connection.
    pub speaks_first: bool,
    /// How `allswell init` finds it in a compose file.
    pub compose: Option<ComposeService>,
    /// The check of the host itself that runs when nothing is configured.
    pub host_check: Option<HostCheck>,
    /// The checks that environment variables describe, apart from URLs: [`Backend::discover`].
    pub discover: fn(&dyn Fn(&str) -> Option<String>) -> Vec<EnvironmentCheck>,
    /// The JSON Schema of its own keys; the doc comments are in it.
    pub schema: Json,
    make: Make,
}

/// Makes a check of a table with a schema, or finds everything that is wrong with it.
type Make = fn(&Dict, &Json, &mut Vec<Finding>) -> Option<Arc<dyn Check>>;

impl Registry {
    /// Every kind that allswell ships and this build has.
    #[must_use]
    pub fn builtin() -> Self {
        let mut registry = Self::default();
        allswell_checks::register_builtin(&mut registry);
        registry
    }

    /// Registers one more kind, as in `Registry::builtin().with::<Fleet>()`.
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

    /// The kind of that name, or what to say about there being none.
    pub(crate) fn find(&self, name: &str) -> Result<&Kind, Finding> {
        let unknown = || {
            if allswell_checks::KINDS.contains(&name) {
                return Finding::new(["kind"], format!("the kind `{name}` exists, but this binary was built without it"));
            }
            let hint = suggestion_or_all(name, "kinds", self.kinds.keys().copied());
            Finding::new(["kind"], "there is no such kind").hint(Some(hint))
        };
        self.get(name).ok_or_else(unknown)
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
    /// Makes a check of the kind's own keys, or finds everything that is wrong with them.
    pub(crate) fn make(&self, table: &Dict, findings: &mut Vec<Finding>) -> Option<Arc<dyn Check>> {
        (self.make)(table, &self.schema, findings)
    }
}

fn make<B: Backend>(table: &Dict, schema: &Json, findings: &mut Vec<Finding>) -> Option<Arc<dyn Check>> {
    let config = table::read(table, schema, findings)?;
    if !findings.is_empty() {
        return None;
    }
    match B::build(config) {
        Ok(check) => Some(Arc::new(check)),
        Err(invalid) => {
            findings.push(Finding::new(invalid.key.split('.'), invalid.message));
            None
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.kinds.keys()).finish()
    }
}
