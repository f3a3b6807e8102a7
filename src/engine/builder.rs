//! What an aggregator is made of, until it is built.

use super::board::Board;
use crate::{
    component::{CheckName, Component, InvalidName, Policy},
    report::Service,
};
use allswell_checks::contract::{Check, Redactor};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What an [`Aggregator`](super::Aggregator) is made of.
#[derive(Default)]
pub struct Builder {
    service: Service,
    policy: Policy,
    components: BTreeMap<CheckName, Component>,
    groups: BTreeMap<CheckName, BTreeSet<CheckName>>,
    only_host: bool,
    redactor: Redactor,
    seed: Option<u64>,
}

impl Builder {
    /// Says who the report is about.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    /// The policy of the checks that are added from here on.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Adds a check under a name, which replaces an earlier one of that name.
    ///
    /// # Panics
    ///
    /// When the name is not `[a-z][a-z0-9_]*` without `__`: it stands in the program, so this is a defect of it. Use
    /// [`component`](Self::component) for names that come from elsewhere.
    #[must_use]
    pub fn check(self, name: &str, check: impl Check) -> Self {
        let policy = self.policy.clone();
        self.component(Component::new(own_name(name), "custom", policy, Arc::new(check)))
    }

    /// Adds a component, which replaces an earlier one of its name.
    #[must_use]
    pub fn component(mut self, component: Component) -> Self {
        self.components.insert(component.name.clone(), component);
        self
    }

    /// Adds a group of components by name; names that do not exist are ignored. The group `ready`, unless it is added, is all critical checks.
    ///
    /// # Panics
    ///
    /// As [`check`](Self::check), when a name cannot be one.
    #[must_use]
    pub fn group(mut self, name: &str, checks: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let checks = checks.into_iter().map(|check| own_name(check.as_ref())).collect();
        self.groups.insert(own_name(name), checks);
        self
    }

    /// Says that nothing but this machine is checked: the summary then says so loudly.
    #[must_use]
    pub fn only_host(mut self, only_host: bool) -> Self {
        self.only_host = only_host;
        self
    }

    /// What takes secrets out of drivers' words.
    #[must_use]
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// What the jitter of all intervals is made of, so that it is the same again; by chance unless it is given.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The seed, or one by chance.
    pub(super) fn chance(&self) -> u64 {
        self.seed.unwrap_or_else(|| fastrand::u64(..))
    }

    /// The board, with the entries of what is on an earlier one just so.
    pub(super) fn into_board(self, before: Option<&Board>) -> (Board, Redactor) {
        (Board::new(self.components, &self.groups, self.service, self.only_host, before), self.redactor)
    }
}

/// A name that stands in a program.
fn own_name(name: &str) -> CheckName {
    let parsed: Result<CheckName, InvalidName> = name.parse();
    parsed.unwrap_or_else(|error| panic!("`{name}` {error}"))
}
