//! What an aggregator is made of, until it is built.

use super::{aggregator::Aggregator, board::Board};
use crate::{
    component::{CheckName, Component, InvalidName, Policy},
    report::{Service, View},
};
use allswell_checks::contract::{Check, Redactor};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::runtime::Handle;

/// What an [`Aggregator`] is made of.
#[derive(Default)]
pub struct Builder {
    service: Service,
    policy: Policy,
    components: Vec<Component>,
    groups: BTreeMap<CheckName, BTreeSet<CheckName>>,
    only_host: bool,
    redactor: Redactor,
}

impl Aggregator {
    /// Begins with nothing to check.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
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
        let parsed: Result<CheckName, InvalidName> = name.parse();
        match parsed {
            Ok(name) => {
                let policy = self.policy.clone();
                self.component(Component { name, kind: "custom", policy, check: Arc::new(check) })
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Adds a component, which replaces an earlier one of its name.
    #[must_use]
    pub fn component(mut self, component: Component) -> Self {
        self.components.retain(|other| other.name != component.name);
        self.components.push(component);
        self
    }

    /// Adds a group of components by name; names that do not exist are ignored. The group `ready`, unless it is added, is all critical checks.
    #[must_use]
    pub fn group(mut self, name: CheckName, checks: impl IntoIterator<Item = CheckName>) -> Self {
        self.groups.insert(name, checks.into_iter().collect());
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

    /// Builds it without probing anything.
    #[must_use]
    pub fn build(self) -> Aggregator {
        let board = Board::new(self.components, self.redactor);
        let of = |wanted: &dyn Fn(&Component) -> bool| {
            board.components().enumerate().filter(|(_, component)| wanted(component)).map(|(index, _)| index).collect::<Vec<_>>()
        };
        let mut views = BTreeMap::from([
            (View::Whole, of(&|_| true)),
            (View::Live, Vec::new()),
            (View::Ready, of(&|component| component.policy.critical)),
            (View::Startup, of(&|component| component.policy.critical)),
        ]);
        for component in board.components() {
            views.insert(View::Component(component.name.clone()), of(&|other| other.name == component.name));
        }
        for (name, checks) in &self.groups {
            let view = if name.as_str() == "ready" { View::Ready } else { View::Group(name.clone()) };
            views.insert(view, of(&|component| checks.contains(&component.name)));
        }
        Aggregator::new(board, self.service, views, self.only_host)
    }

    /// Builds it and begins to probe on the runtime that this is called from.
    ///
    /// # Panics
    ///
    /// When it is called outside of a tokio runtime.
    #[must_use]
    pub fn start(self) -> Aggregator {
        self.start_on(&Handle::current())
    }

    /// Builds it and begins to probe on a runtime of its own.
    #[must_use]
    pub fn start_on(self, runtime: &Handle) -> Aggregator {
        let aggregator = self.build();
        aggregator.start_on(runtime);
        aggregator
    }
}
