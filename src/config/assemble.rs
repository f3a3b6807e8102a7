//! Makes settings, components and groups of one merged table, and finds everything that is wrong with it.

#[cfg(feature = "cli")]
use super::certificate;
use super::{
    configured::Configured,
    discover,
    discovered::Discovered,
    error::Problem,
    interpolate::Interpolated,
    locate::Places,
    place::Place,
    prepare::{Secrets, prepare},
    settings::{BUILT_IN, FAIL_STATUS, GroupSettings, Groups, Settings, policy_issues, status},
};
use crate::{
    component::{CheckName, Component, Policy},
    kinds::{
        Kind, Registry,
        issue::{ConfigIssue, Issue},
        read::{read, suggestion, suggestion_or_all},
    },
    report::Status,
};
use allswell_checks::contract::{Category, FailureClass, Redactor, Secret, TimeSpan};
use figment::value::{Dict, Value};
use schemars::schema_for;
use serde_json::Value as Json;
use std::{collections::BTreeMap, path::PathBuf, slice};

/// A configuration, if the problems left one.
pub(crate) struct Assembled {
    pub(crate) configured: Option<Configured>,
    pub(crate) problems: Vec<Problem>,
    /// The files that it was read from, or should have been.
    pub(crate) files: Vec<PathBuf>,
}

pub(crate) fn assemble(
    mut merged: Dict,
    interpolated: &Interpolated,
    problems: Vec<Problem>,
    places: &Places<'_>,
    registry: &Registry,
) -> Assembled {
    let gone = interpolated.mistakes.iter().map(|(key, _)| key.clone()).collect();
    let policy_schema = schema_for!(Policy).to_value();
    let mut assembler = Assembler {
        interpolated,
        places,
        registry,
        problems,
        warnings: Vec::new(),
        secrets: Secrets::default(),
        gone,
        policy_schema: &policy_schema,
    };
    let checks = assembler.take_tables(&mut merged, "checks");
    let groups = assembler.take_tables(&mut merged, "groups");
    let (settings, defaults) = assembler.settings(merged);

    let mut made = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let asked = checks.as_ref().is_some_and(|checks| !checks.is_empty());
    match checks {
        Some(checks) if !checks.is_empty() => {
            names.extend(checks.keys().cloned());
            made.extend(checks.into_iter().filter_map(|(name, check)| assembler.check(&name, check, &defaults)));
        }
        _ => {
            let policy = settings.as_ref().map(|settings| settings.defaults.clone());
            made.extend(assembler.discovered(&policy.unwrap_or_default()));
            names.extend(made.iter().map(|made| made.component.name.to_string()));
        }
    }
    let groups = assembler.groups(groups.unwrap_or_default(), &names);

    let only_host = made.iter().all(|made| made.host);
    let origins = made.iter().map(|made| (made.component.name.clone(), made.origin.clone())).collect();
    let mut redactor = Redactor::new(&assembler.secrets.values);
    redactor.forget(|word| registry.get(word).is_some() || is_word_of_reports(word));
    // A secret may stand where it should not, and be quoted as the mistake that it is.
    for problem in assembler.problems.iter_mut().chain(&mut assembler.warnings) {
        problem.redact(&redactor);
    }
    let mut files: Vec<PathBuf> = places.documents.iter().map(|document| document.path.clone()).collect();
    files.append(&mut assembler.secrets.files);
    let configured = settings.map(|settings| Configured {
        settings,
        components: made.into_iter().map(|made| made.component).collect(),
        origins,
        groups,
        asked,
        files: files.clone(),
        only_host,
        explained: Vec::new(),
        warnings: assembler.warnings,
        redactor,
    });
    Assembled { configured, problems: assembler.problems, files }
}

/// Whether it is a status or a class: words that stand in every report and say nothing of a secret.
fn is_word_of_reports(word: &str) -> bool {
    let statuses = [Status::Pass, Status::Warn, Status::Fail].map(Status::as_str);
    statuses.contains(&word) || FailureClass::ALL.iter().any(|class| class.as_str() == word)
}

/// A component, and where it comes from.
struct Made {
    component: Component,
    origin: String,
    /// It says something about this machine alone.
    host: bool,
}

/// The keys of a table, by its schema.
fn keys_of(schema: &Json) -> impl Iterator<Item = &String> {
    schema["properties"].as_object().into_iter().flat_map(|keys| keys.keys())
}

struct Assembler<'a> {
    interpolated: &'a Interpolated,
    places: &'a Places<'a>,
    registry: &'a Registry,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    secrets: Secrets,
    /// Keys whose values could not be had: a reference that does not resolve, a file that cannot be read.
    gone: Vec<Vec<String>>,
    /// Made once: every check is read by it.
    policy_schema: &'a Json,
}

impl<'a> Assembler<'a> {
    fn locate(&self, path: &[String], found: ConfigIssue) -> Problem {
        let path: Vec<String> = path.iter().cloned().chain(found.path).collect();
        Problem { place: self.places.of(&path), path, message: found.issue.to_string(), hint: found.hint }
    }

    /// Adds issues of the table at `path`. A key whose value could not be had is not reported as missing as well.
    fn report(&mut self, path: &[String], issues: Vec<ConfigIssue>) {
        for found in issues {
            if let Issue::MissingKey { key, .. } = &found.issue
                && self.gone.contains(&[path, &found.path, slice::from_ref(key)].concat())
            {
                continue;
            }
            let problem = self.locate(path, found);
            self.problems.push(problem);
        }
    }

    /// Takes the table of tables under a key.
    fn take_tables(&mut self, merged: &mut Dict, key: &str) -> Option<BTreeMap<String, Dict>> {
        let value = merged.remove(key)?;
        let Value::Dict(_, tables) = value else {
            self.report(&[], vec![ConfigIssue::new([key], format!("expected tables, such as [{key}.orders]"))]);
            return Some(BTreeMap::new());
        };
        let mut taken = BTreeMap::new();
        for (name, value) in tables {
            match value {
                Value::Dict(_, table) => {
                    taken.insert(name, table);
                }
                _ => self.report(&[], vec![ConfigIssue::new([key, &name], format!("expected a table: [{key}.NAME]"))]),
            }
        }
        Some(taken)
    }

    fn prepare(&mut self, table: &mut Dict, schema: &Json, path: &[String]) {
        let issues = prepare(table, schema, path, self.interpolated, self.places, &mut self.secrets);
        let keys = issues.iter().filter_map(|found| found.path.last()?.strip_suffix("_file"));
        self.gone.extend(keys.map(|key| [path, &[key.to_owned()]].concat()));
        self.report(path, issues);
    }

    /// Everything but the checks and the groups, and the usable keys of `[defaults]` as a table.
    fn settings(&mut self, mut table: Dict) -> (Option<Settings>, Dict) {
        let schema = schema_for!(Settings).to_value();
        self.prepare(&mut table, &schema, &[]);
        let mut issues = Vec::new();
        let settings: Option<Settings> = read(&table, &schema, &mut issues);
        for found in &mut issues {
            // Keys that belong elsewhere are a common slip.
            if found.path.len() == 1 && found.hint.is_none() && found.issue == Issue::UnknownKey {
                found.hint = suggestion(&found.path[0], ["checks", "groups", "server", "service", "log", "defaults"].into_iter());
            }
        }
        if let Some(settings) = &settings {
            issues.extend(settings.server.issues().into_iter().map(|found| found.within("server")));
            #[cfg(feature = "cli")]
            if let Some(Err(unusable)) = settings.server.tls.as_ref().map(certificate::read) {
                issues.push(ConfigIssue::new(["server", "tls", unusable.key], unusable.message));
            }
            let warnings = settings.server.warnings().into_iter().map(|found| self.locate(&[], found.within("server")));
            let warnings: Vec<Problem> = warnings.collect();
            self.warnings.extend(warnings);
            issues.extend(policy_issues(&settings.defaults).into_iter().map(|found| found.within("defaults")));
        }
        let mut defaults = table.remove("defaults").and_then(Value::into_dict).unwrap_or_default();
        // A mistake in `[defaults]` is reported there, and not once more for each check.
        defaults.retain(|key, _| !issues.iter().any(|found| found.path.starts_with(&["defaults".to_owned(), key.clone()])));
        self.report(&[], issues);
        let settings = settings.map(|mut settings: Settings| {
            settings.service.instance.get_or_insert_with(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
            settings
        });
        (settings, defaults)
    }

    /// One `[checks.NAME]`: policy keys and the kind's own keys, each read by itself.
    fn check(&mut self, name: &str, mut table: Dict, defaults: &Dict) -> Option<Made> {
        let path = ["checks".to_owned(), name.to_owned()];
        let valid: Option<CheckName> = match name.parse() {
            Ok(valid) => Some(valid),
            Err(error) => {
                self.report(&path, vec![ConfigIssue::of_table(format!("{error}"))]);
                None
            }
        };
        if BUILT_IN.contains(&name) {
            self.report(&path, vec![ConfigIssue::of_table("this is the name of a group that is built in; choose another")]);
        }
        let policy = self.policy(&mut table, defaults, &path);
        let kind = self.kind(&mut table, &path)?;
        let component = self.component(valid, kind, table, policy, &path)?;
        let host = kind.category == Category::Host;
        Some(Made { component, origin: self.places.of(&path).to_string(), host })
    }

    fn component(
        &mut self,
        name: Option<CheckName>,
        kind: &Kind,
        mut table: Dict,
        policy: Option<Policy>,
        path: &[String],
    ) -> Option<Component> {
        self.prepare(&mut table, &kind.schema, path);
        let mut issues = Vec::new();
        let check = kind.make(&table, &mut issues);
        for found in &mut issues {
            if found.path.len() == 1 && found.hint.is_none() && found.issue == Issue::UnknownKey {
                found.hint = suggestion(&found.path[0], keys_of(self.policy_schema).map(String::as_str).chain(["kind"]));
            }
        }
        self.report(path, issues);
        self.secrets.values.extend(check.iter().flat_map(|check| check.secrets()));
        for warning in check.iter().flat_map(|check| check.warnings()) {
            let warning = self.locate(path, ConfigIssue::new(warning.key.split('.'), warning.message));
            self.warnings.push(warning);
        }
        // Should it ever not serialise, a reload restarts the check, which is no harm.
        let identity = serde_json::to_string(&table).ok().map(Secret::new);
        Some(Component { identity, ..Component::new(name?, kind.name, policy?, check?) })
    }

    /// Takes the policy keys out of a check's table and reads them together with the keys of `[defaults]`, which they override.
    fn policy(&mut self, table: &mut Dict, defaults: &Dict, path: &[String]) -> Option<Policy> {
        let schema = self.policy_schema;
        let mut own: Dict = keys_of(schema).filter_map(|key| table.remove_entry(key)).collect();
        self.prepare(&mut own, schema, path);
        let mut policy_table = defaults.clone();
        policy_table.extend(own);
        let mut issues = Vec::new();
        let policy: Option<Policy> = read(&policy_table, schema, &mut issues);
        if let Some(policy) = &policy {
            issues.extend(policy_issues(policy));
            if policy.timeout >= policy.interval && !policy.interval.is_zero() {
                let message = format!(
                    "{} is not below the interval of {}: a slow backend is probed less often than you ask for",
                    TimeSpan(policy.timeout),
                    TimeSpan(policy.interval)
                );
                let warning = self.locate(path, ConfigIssue::new(["timeout"], message));
                self.warnings.push(warning);
            }
        }
        self.report(path, issues);
        policy
    }

    fn kind(&mut self, table: &mut Dict, path: &[String]) -> Option<&'a Kind> {
        let registry = self.registry;
        let found = match table.remove("kind") {
            None => {
                let kinds = registry.kinds().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
                ConfigIssue::of_table(Issue::MissingKey { key: "kind".to_owned(), meaning: None })
                    .with_hint(Some(format!("kinds are {kinds}")))
            }
            Some(Value::String(_, name)) => match registry.find(&name) {
                Ok(kind) => return Some(kind),
                Err(found) => found,
            },
            Some(_) => ConfigIssue::new(["kind"], "expected text in quotes, such as \"postgres\""),
        };
        self.report(path, vec![found]);
        None
    }

    fn groups(&mut self, tables: BTreeMap<String, Dict>, checks: &[String]) -> BTreeMap<CheckName, GroupSettings> {
        let schema = schema_for!(GroupSettings).to_value();
        let mut groups = Groups::new();
        for (name, mut table) in tables {
            let path = ["groups".to_owned(), name.clone()];
            self.prepare(&mut table, &schema, &path);
            let mut issues = Vec::new();
            let group: Option<GroupSettings> = read(&table, &schema, &mut issues);
            if let Some(group) = &group {
                issues.extend(group.fail_status.and_then(|code| status("fail_status", code, FAIL_STATUS)));
                for (index, check) in group.checks.iter().enumerate().filter(|(_, check)| !checks.contains(check)) {
                    let hint = Some(suggestion_or_all(check, "checks", checks.iter().map(String::as_str)));
                    issues.push(ConfigIssue::new(["checks".to_owned(), index.to_string()], Issue::UnknownCheck).with_hint(hint));
                }
            }
            if checks.contains(&name) {
                issues.push(ConfigIssue::of_table("a check has this name, too; a name in a URL must mean one thing"));
            }
            if matches!(name.as_str(), "live" | "startup") {
                issues.push(ConfigIssue::of_table("this group is built in and cannot be changed"));
            }
            self.report(&path, issues);
            groups.extend(group.map(|group| (name, group)));
        }
        let mut named = BTreeMap::new();
        for (name, group) in groups {
            match name.parse::<CheckName>() {
                Ok(name) => {
                    named.insert(name, group);
                }
                Err(error) => self.report(&["groups".to_owned(), name], vec![ConfigIssue::of_table(error.to_string())]),
            }
        }
        named
    }

    /// What the environment and the machine offer, when no check is configured. Nothing here stops the start.
    fn discovered(&mut self, defaults: &Policy) -> Vec<Made> {
        let (found, warnings) = discover::discover(self.places.environment, self.registry);
        self.warnings.extend(warnings);
        let mut made = Vec::new();
        for Discovered { name, kind, table, origin, host, .. } in found {
            let Some(kind) = self.registry.get(kind) else { continue };
            let policy = defaults.clone().with_critical(defaults.critical && !host);
            let (before, warned_before) = (self.problems.len(), self.warnings.len());
            let component = self.component(Some(name), kind, table, Some(policy), &[]);
            let variable = Place::Variable(origin.clone());
            for warning in &mut self.warnings[warned_before..] {
                (warning.place, warning.path) = (variable.clone(), Vec::new());
            }
            let unusable = self.problems.split_off(before).into_iter().map(|problem| Problem {
                place: variable.clone(),
                path: Vec::new(),
                message: format!("not checked: {}", problem.message),
                ..problem
            });
            self.warnings.extend(unusable);
            made.extend(component.map(|component| Made { component, origin, host }));
        }
        made
    }
}
