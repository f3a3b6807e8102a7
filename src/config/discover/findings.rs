//! The checks that discovery has found so far, and its warnings.

use super::{identity, identity::Server, names};
use crate::{
    component::CheckName,
    config::{discovered::Discovered, place::Place, problem::Problem, settings::BUILT_IN_GROUPS},
    kinds::Kind,
};
use allswell_checks::contract::Category;
use figment::value::Dict;
use std::collections::{BTreeMap, BTreeSet};

/// What discovery has found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) checks: Vec<Discovered>,
    pub(super) warnings: Vec<Problem>,
    /// The servers of all checks.
    pub(super) servers: BTreeSet<Server>,
    backends: BTreeSet<String>,
}

impl Findings {
    /// Adds a check unless there is one of the same backend. `variables` are those that hold exactly the value of a key.
    pub(super) fn add(&mut self, kind: &Kind, origin: &str, table: Dict, variables: BTreeMap<&'static str, String>) {
        let backend = identity::of(kind, &table);
        if self.backends.contains(&backend) {
            return;
        }
        // `X_URL` and `X_URI` cannot both be `x`.
        let names = [names::stem(origin).unwrap_or(origin), origin].into_iter().filter_map(|name| name.to_ascii_lowercase().parse().ok());
        let Some(name) = names.into_iter().find(|name| self.is_free(name)) else {
            return self.warn(origin, "the variable's name cannot be used as the name of a check");
        };
        self.backends.insert(backend);
        self.servers.extend(identity::server(kind, &table));
        self.checks.push(Discovered { name, kind: kind.name, table, variables, origin: origin.to_owned(), is_host: false });
    }

    /// Warns that a variable is not used.
    pub(super) fn warn(&mut self, variable: &str, why: impl AsRef<str>) {
        self.note(variable, format!("not checked: {}", why.as_ref()));
    }

    /// Warns about a variable that is used.
    pub(super) fn note(&mut self, variable: &str, message: String) {
        self.warnings.push(Problem { place: Place::Variable(variable.to_owned()), path: Vec::new(), message, hint: None });
    }

    /// Whether a check is about a database on this host.
    pub(super) fn has_database_at(&self, host: &str) -> bool {
        self.servers.iter().any(|server| server.category == Category::Database && server.host.eq_ignore_ascii_case(host))
    }

    fn is_free(&self, name: &CheckName) -> bool {
        !BUILT_IN_GROUPS.contains(&name.as_str()) && self.checks.iter().all(|other| other.name != *name)
    }
}
