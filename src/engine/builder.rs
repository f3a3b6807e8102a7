//! The builder of an aggregator: checks, policies, groups and the service they belong to.

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

/// Builds an [`Aggregator`](super::Aggregator).
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
    /// Sets the service that the report names.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    /// Sets the policy of all checks that are added after this call.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Adds a check. An earlier one of the same name is replaced.
    ///
    /// # Panics
    ///
    /// When the name is not `[a-z][a-z0-9_]*` without `__`. Names here are literals in a program, so a wrong one is a bug in it; use
    /// [`component`](Self::component) for names that come from a configuration or from users.
    #[must_use]
    pub fn check(self, name: &str, check: impl Check) -> Self {
        let policy = self.policy.clone();
        self.component(Component::new(literal_name(name), "custom", policy, Arc::new(check)))
    }

    /// Adds a component. An earlier one of the same name is replaced.
    #[must_use]
    pub fn component(mut self, component: Component) -> Self {
        self.components.insert(component.name.clone(), component);
        self
    }

    /// Adds a group of components by name; names without a component are ignored. Unless it is added here, the group `ready` is all critical
    /// checks.
    ///
    /// # Panics
    ///
    /// When a name is invalid, as in [`check`](Self::check).
    #[must_use]
    pub fn group(mut self, name: &str, checks: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let checks = checks.into_iter().map(|check| literal_name(check.as_ref())).collect();
        self.groups.insert(literal_name(name), checks);
        self
    }

    /// Declares that only the host itself is checked; the summary then warns about that.
    #[must_use]
    pub fn only_host(mut self, only_host: bool) -> Self {
        self.only_host = only_host;
        self
    }

    /// Sets what removes secrets from the text that drivers return.
    #[must_use]
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// Seeds the jitter of all intervals, to make it reproducible. Without a seed it is random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The seed, or a random one.
    pub(super) fn seed_or_random(&self) -> u64 {
        self.seed.unwrap_or_else(|| fastrand::u64(..))
    }

    /// Builds the board, and keeps the entries of `before` whose checks are the same.
    pub(super) fn into_board(self, before: Option<&Board>) -> (Board, Redactor) {
        (Board::new(self.components, &self.groups, self.service, self.only_host, before), self.redactor)
    }
}

/// Parses a name that is a literal in a program.
fn literal_name(name: &str) -> CheckName {
    let parsed: Result<CheckName, InvalidName> = name.parse();
    parsed.unwrap_or_else(|error| panic!("`{name}` {error}"))
}
