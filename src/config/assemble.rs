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
    settings::{BUILT_IN, FAIL_STATUS, GroupSettings, Groups, Settings, policy_findings, status},
};
use crate::{
    component::{CheckName, Component, Policy},
    kinds::read::{Finding, read, suggestion, suggestion_or_all},
    kinds::{Kind, Registry},
    report::Status,
};
use allswell_checks::contract::{Category, FailureClass, Redactor, Secret, TimeSpan};
use figment::value::{Dict, Value};
use schemars::schema_for;
use serde_json::Value as Json;
use std::{collections::BTreeMap, path::PathBuf};

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
    fn locate(&self, path: &[String], finding: Finding) -> Problem {
        let path: Vec<String> = path.iter().cloned().chain(finding.path).collect();
        Problem { place: self.places.of(&path), path, message: finding.message, hint: finding.hint }
    }

    /// Adds findings about the table at `path`; that a key is missing whose value could not be had is not said as well.
    fn report(&mut self, path: &[String], findings: Vec<Finding>) {
        for finding in findings {
            let gone = |key: &Vec<String>| {
                key.len() == path.len() + 1
                    && key.starts_with(path)
                    && finding.message == format!("the key `{}` is missing", key[path.len()])
            };
            if !self.gone.iter().any(gone) {
                let problem = self.locate(path, finding);
                self.problems.push(problem);
            }
        }
    }

    /// Takes the table of tables under a key.
    fn take_tables(&mut self, merged: &mut Dict, key: &str) -> Option<BTreeMap<String, Dict>> {
        let value = merged.remove(key)?;
        let Value::Dict(_, tables) = value else {
            self.report(&[], vec![Finding::new([key], format!("expected tables, such as [{key}.orders]"))]);
            return Some(BTreeMap::new());
        };
        let mut taken = BTreeMap::new();
        for (name, value) in tables {
            match value {
                Value::Dict(_, table) => {
                    taken.insert(name, table);
                }
                _ => self.report(&[], vec![Finding::new([key, &name], format!("expected a table: [{key}.NAME]"))]),
            }
        }
        Some(taken)
    }

    fn prepare(&mut self, table: &mut Dict, schema: &Json, path: &[String]) {
        let findings = prepare(table, schema, path, self.interpolated, self.places, &mut self.secrets);
        let keys = findings.iter().filter_map(|finding| finding.path.last()?.strip_suffix("_file"));
        self.gone.extend(keys.map(|key| [path, &[key.to_owned()]].concat()));
        self.report(path, findings);
    }

    /// Everything but the checks and the groups, and the usable keys of `[defaults]` as a table.
    fn settings(&mut self, mut table: Dict) -> (Option<Settings>, Dict) {
        let schema = schema_for!(Settings).to_value();
        self.prepare(&mut table, &schema, &[]);
        let mut findings = Vec::new();
        let settings: Option<Settings> = read(&table, &schema, &mut findings);
        for finding in &mut findings {
            // Keys that belong elsewhere are a common slip.
            if finding.path.len() == 1 && finding.hint.is_none() && finding.message == "there is no such key" {
                finding.hint = suggestion(&finding.path[0], ["checks", "groups", "server", "service", "log", "defaults"].into_iter());
            }
        }
        if let Some(settings) = &settings {
            let within = |section: &str, inner: Vec<Finding>| {
                inner
                    .into_iter()
                    .map(|finding| Finding { path: [vec![section.to_owned()], finding.path].concat(), ..finding })
                    .collect::<Vec<_>>()
            };
            findings.extend(within("server", settings.server.findings()));
            #[cfg(feature = "cli")]
            if let Some(Err(unusable)) = settings.server.tls.as_ref().map(certificate::read) {
                findings.push(Finding::new(["server", "tls", unusable.key], unusable.message));
            }
            let warnings = within("server", settings.server.warnings());
            self.warnings.extend(warnings.into_iter().map(|warning| self.locate(&[], warning)).collect::<Vec<_>>());
            findings.extend(within("defaults", policy_findings(&settings.defaults)));
        }
        let mut defaults = table.remove("defaults").and_then(Value::into_dict).unwrap_or_default();
        // A mistake in `[defaults]` is reported there, and not once more for each check.
        defaults.retain(|key, _| !findings.iter().any(|finding| finding.path.starts_with(&["defaults".to_owned(), key.clone()])));
        self.report(&[], findings);
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
                self.report(&path, vec![Finding::new(Vec::<String>::new(), format!("{error}"))]);
                None
            }
        };
        if BUILT_IN.contains(&name) {
            self.report(&path, vec![Finding::new(Vec::<String>::new(), "this is the name of a group that is built in; choose another")]);
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
        let mut findings = Vec::new();
        let check = kind.make(&table, &mut findings);
        for finding in &mut findings {
            if finding.path.len() == 1 && finding.hint.is_none() && finding.message == "there is no such key" {
                finding.hint = suggestion(&finding.path[0], keys_of(self.policy_schema).map(String::as_str).chain(["kind"]));
            }
        }
        self.report(path, findings);
        self.secrets.values.extend(check.iter().flat_map(|check| check.secrets()));
        for warning in check.iter().flat_map(|check| check.warnings()) {
            let warning = self.locate(path, Finding::new(warning.key.split('.'), warning.message));
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
        let mut findings = Vec::new();
        let policy: Option<Policy> = read(&policy_table, schema, &mut findings);
        if let Some(policy) = &policy {
            findings.extend(policy_findings(policy));
            if policy.timeout >= policy.interval && !policy.interval.is_zero() {
                let message = format!(
                    "{} is not below the interval of {}: a slow backend is probed less often than you ask for",
                    TimeSpan(policy.timeout),
                    TimeSpan(policy.interval)
                );
                let warning = self.locate(path, Finding::new(["timeout"], message));
                self.warnings.push(warning);
            }
        }
        self.report(path, findings);
        policy
    }

    fn kind(&mut self, table: &mut Dict, path: &[String]) -> Option<&'a Kind> {
        let registry = self.registry;
        let finding = match table.remove("kind") {
            None => {
                let kinds = registry.kinds().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
                Finding::new(Vec::<String>::new(), "the key `kind` is missing").hint(Some(format!("kinds are {kinds}")))
            }
            Some(Value::String(_, name)) => match registry.find(&name) {
                Ok(kind) => return Some(kind),
                Err(finding) => finding,
            },
            Some(_) => Finding::new(["kind"], "expected text in quotes, such as \"postgres\""),
        };
        self.report(path, vec![finding]);
        None
    }

    fn groups(&mut self, tables: BTreeMap<String, Dict>, checks: &[String]) -> BTreeMap<CheckName, GroupSettings> {
        let schema = schema_for!(GroupSettings).to_value();
        let mut groups = Groups::new();
        for (name, mut table) in tables {
            let path = ["groups".to_owned(), name.clone()];
            self.prepare(&mut table, &schema, &path);
            let mut findings = Vec::new();
            let group: Option<GroupSettings> = read(&table, &schema, &mut findings);
            if let Some(group) = &group {
                findings.extend(group.fail_status.and_then(|code| status("fail_status", code, FAIL_STATUS)));
                for (index, check) in group.checks.iter().enumerate().filter(|(_, check)| !checks.contains(check)) {
                    let hint = Some(suggestion_or_all(check, "checks", checks.iter().map(String::as_str)));
                    findings.push(Finding::new(["checks".to_owned(), index.to_string()], "there is no such check").hint(hint));
                }
            }
            if checks.contains(&name) {
                findings.push(Finding::new(Vec::<String>::new(), "a check has this name, too; a name in a URL must mean one thing"));
            }
            if matches!(name.as_str(), "live" | "startup") {
                findings.push(Finding::new(Vec::<String>::new(), "this group is built in and cannot be changed"));
            }
            self.report(&path, findings);
            groups.extend(group.map(|group| (name, group)));
        }
        let mut named = BTreeMap::new();
        for (name, group) in groups {
            match name.parse::<CheckName>() {
                Ok(name) => {
                    named.insert(name, group);
                }
                Err(error) => self.report(&["groups".to_owned(), name], vec![Finding::new(Vec::<String>::new(), error.to_string())]),
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
