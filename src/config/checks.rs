//! Turns each `[checks.NAME]`, or each discovered check, into a component.

use super::{
    diagnostics::Diagnostics,
    discover::discover,
    discovered::Discovered,
    place::Place,
    problem::Problem,
    settings::{BUILT_IN_GROUPS, policy_issues},
    unknown_keys::{FOREIGN_KEYS, add_hints, schema_of_check},
    warnings::policy,
};
use crate::{
    component::{CheckName, Component, Policy},
    kinds::{
        Kind, Registry,
        issue::{ConfigIssue, Issue},
        read::{read, suggestion},
    },
};
use allswell_checks::contract::{Category, Secret};
use figment::value::{Dict, Value};
use schemars::schema_for;
use serde_json::Value as Json;

/// A component, and where it comes from.
pub(super) struct LocatedComponent {
    pub(super) component: Component,
    /// The place of the configuration, the variable, or `this host`.
    pub(super) origin: String,
    /// The check examines only this machine.
    pub(super) is_host: bool,
}

/// Reads checks.
pub(super) struct CheckReader<'a, 'd> {
    registry: &'a Registry,
    diagnostics: &'a mut Diagnostics<'d>,
    /// Made once for all checks.
    policy_schema: Json,
}

impl<'a, 'd> CheckReader<'a, 'd> {
    pub(super) fn new(registry: &'a Registry, diagnostics: &'a mut Diagnostics<'d>) -> Self {
        Self { registry, diagnostics, policy_schema: schema_for!(Policy).to_value() }
    }

    /// One `[checks.NAME]`: the policy's keys and the kind's own keys, each read on their own so that all mistakes are found.
    pub(super) fn configured(&mut self, name: &str, mut table: Dict, defaults: &Dict) -> Option<LocatedComponent> {
        let path = ["checks".to_owned(), name.to_owned()];
        let valid_name: Result<CheckName, _> = name.parse();
        if let Err(invalid) = &valid_name {
            self.diagnostics.report(&path, [ConfigIssue::of_table(invalid.to_string())]);
        }
        if BUILT_IN_GROUPS.contains(&name) {
            self.diagnostics.report(&path, [ConfigIssue::of_table("this is the name of a built-in group: choose another name")]);
        }
        let policy = self.policy(&mut table, defaults, &path);
        let kind = self.kind(&mut table, &path)?;
        let component = self.component(valid_name.ok(), kind, table, policy, &path)?;
        let origin = self.diagnostics.places.place_of(&path).to_string();
        Some(LocatedComponent { component, origin, is_host: kind.category == Category::Host })
    }

    /// The checks of what the environment and the host offer. A mistake becomes a warning: discovery never stops the start.
    pub(super) fn discovered(&mut self, defaults: &Policy) -> Vec<LocatedComponent> {
        let (discovered, warnings) = discover(self.diagnostics.places.environment, self.registry);
        self.diagnostics.warnings.extend(warnings);
        let mut found = Vec::new();
        for Discovered { name, kind, table, origin, is_host, .. } in discovered {
            let Some(kind) = self.registry.get(kind) else { continue };
            let policy = defaults.clone().with_critical(defaults.critical && !is_host);
            let (problems_before, warnings_before) = (self.diagnostics.problems.len(), self.diagnostics.warnings.len());
            let component = self.component(Some(name), kind, table, Some(policy), &[]);
            let variable = Place::Variable(origin.clone());
            for warning in &mut self.diagnostics.warnings[warnings_before..] {
                (warning.place, warning.path) = (variable.clone(), Vec::new());
            }
            let unusable = self.diagnostics.problems.split_off(problems_before).into_iter().map(|problem| Problem {
                place: variable.clone(),
                path: Vec::new(),
                message: format!("not checked: {}", problem.message),
                ..problem
            });
            self.diagnostics.warnings.extend(unusable);
            found.extend(component.map(|component| LocatedComponent { component, origin, is_host }));
        }
        found
    }

    fn component(
        &mut self,
        name: Option<CheckName>,
        kind: &Kind,
        mut table: Dict,
        policy: Option<Policy>,
        path: &[String],
    ) -> Option<Component> {
        self.diagnostics.prepare(&mut table, &kind.schema, path);
        let mut issues = Vec::new();
        let check = kind.make(&table, &mut issues);
        for found in &mut issues {
            if found.path.len() == 1 && found.hint.is_none() && found.issue == Issue::UnknownKey {
                found.hint = suggestion(&found.path[0], keys_of(&self.policy_schema).map(String::as_str).chain(["kind"]));
            }
        }
        add_hints(&mut issues, self.registry, &|| schema_of_check(&kind.schema, &self.policy_schema), &table);
        self.diagnostics.report(path, issues);
        self.diagnostics.secrets.values.extend(check.iter().flat_map(|check| check.secrets()));
        let warnings = check.iter().flat_map(|check| check.warnings());
        self.diagnostics.warn(path, warnings.map(|warning| ConfigIssue::new(warning.key.split('.'), warning.message)));
        // If it did not serialise, a reload would replace the check, which does no harm.
        let identity = serde_json::to_string(&table).ok().map(Secret::new);
        Some(Component { identity, ..Component::new(name?, kind.name, policy?, check?) })
    }

    /// Takes the policy's keys out of a check's table and reads them together with the keys of `[defaults]`, which they override.
    fn policy(&mut self, table: &mut Dict, defaults: &Dict, path: &[String]) -> Option<Policy> {
        let schema = &self.policy_schema;
        let mut own: Dict = keys_of(schema).filter_map(|key| table.remove_entry(key)).collect();
        self.diagnostics.prepare(&mut own, schema, path);
        let own_keys: Vec<String> = own.keys().cloned().collect();
        let mut policy_table = defaults.clone();
        policy_table.extend(own);
        let mut issues = Vec::new();
        let policy: Option<Policy> = read(&policy_table, schema, &mut issues);
        if let Some(policy) = &policy {
            issues.extend(policy_issues(policy));
            // What `[defaults]` has is a warning there, once for all checks.
            self.diagnostics.warn(path, policy::warnings(policy, &|key| own_keys.iter().any(|own| own == key)));
        }
        self.diagnostics.report(path, issues);
        policy
    }

    fn kind(&mut self, table: &mut Dict, path: &[String]) -> Option<&'a Kind> {
        let registry = self.registry;
        let found = match table.remove("kind") {
            None => {
                let hint = kind_by_keys(registry, table);
                let kinds = || format!("kinds are {}", registry.kinds().map(|kind| kind.name).collect::<Vec<_>>().join(", "));
                ConfigIssue::of_table(Issue::MissingKey("kind".to_owned())).with_hint(Some(hint.unwrap_or_else(kinds)))
            }
            Some(Value::String(_, name)) => match registry.find(&name) {
                Ok(kind) => return Some(kind),
                Err(found) => found,
            },
            Some(_) => ConfigIssue::new(["kind"], "expected the name of a kind in quotes"),
        };
        self.diagnostics.report(path, [found]);
        None
    }
}

/// What the other keys of a check say about its kind: the scheme of its URL, or a key that other programs use.
fn kind_by_keys(registry: &Registry, table: &Dict) -> Option<String> {
    let urls = ["url", "broker"].iter().filter_map(|key| table.get(*key)?.as_str()?.split_once("://"));
    let schemes = urls.map(|(scheme, _)| scheme.split('+').next().unwrap_or_default());
    let by_scheme = schemes.filter_map(|scheme| registry.kinds().find(|kind| kind.schemes.contains(&scheme)));
    let by_foreign_key = FOREIGN_KEYS.iter().find(|foreign| foreign.ours == ["kind"]);
    match by_scheme.map(|kind| kind.name).next() {
        Some(name) => Some(format!("did you mean `kind = \"{name}\"`?")),
        None => {
            by_foreign_key?.words.iter().find(|word| table.contains_key(**word)).map(|word| format!("write `kind` in place of `{word}`"))
        }
    }
}

/// The keys of a table, by its schema.
fn keys_of(schema: &Json) -> impl Iterator<Item = &String> {
    schema["properties"].as_object().into_iter().flat_map(|keys| keys.keys())
}
