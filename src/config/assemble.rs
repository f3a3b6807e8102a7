//! Turns the merged table of all layers into settings, components and groups, and finds everything that is wrong with it.

#[cfg(feature = "server")]
use super::certificate;
use super::{
    checks::{CheckReader, LocatedComponent},
    configured::Configured,
    diagnostics::{Diagnostics, is_list_of_tables},
    groups::read_groups,
    interpolate::Interpolated,
    locate::Places,
    override_names::SECTIONS,
    problem::Problem,
    settings::{Settings, policy_issues},
    unknown_keys::add_hints,
    warnings::policy,
};
use crate::{
    kinds::{
        Registry,
        issue::{ConfigIssue, Issue},
        read::{read, suggestion},
    },
    report::Status,
};
use allswell_checks::contract::{FailureClass, Redactor};
use figment::value::{Dict, Value};
use schemars::schema_for;
use std::path::PathBuf;

/// A configuration, if the problems left one.
pub(super) struct Assembled {
    pub(super) configured: Option<Configured>,
    pub(super) problems: Vec<Problem>,
    /// The files that were read, or should have been.
    pub(super) files: Vec<PathBuf>,
}

pub(super) fn assemble(mut merged: Dict, interpolated: &Interpolated, places: &Places<'_>, registry: &Registry) -> Assembled {
    let mut diagnostics = Diagnostics::new(interpolated, places);
    let checks = diagnostics.take_tables(&mut merged, "checks").filter(|checks| !checks.is_empty());
    let groups = diagnostics.take_tables(&mut merged, "groups").unwrap_or_default();
    let (settings, defaults) = read_settings(merged, &mut diagnostics, registry);

    let mut reader = CheckReader::new(registry, &mut diagnostics);
    let has_configured_checks = checks.is_some();
    let (found, names): (Vec<LocatedComponent>, Vec<String>) = if let Some(checks) = checks {
        let names = checks.keys().cloned().collect();
        (checks.into_iter().filter_map(|(name, table)| reader.configured(&name, table, &defaults)).collect(), names)
    } else {
        let policy = settings.as_ref().map(|settings| settings.defaults.clone());
        let found = reader.discovered(&policy.unwrap_or_default());
        let names = found.iter().map(|found| found.component.name.to_string()).collect();
        (found, names)
    };
    let groups = read_groups(groups, &names, &mut diagnostics, registry);

    let Diagnostics { mut problems, mut warnings, secrets, .. } = diagnostics;
    let mut redactor = Redactor::new(&secrets.values);
    redactor.forget(|word| registry.get(word).is_some() || is_word_of_reports(word));
    // A secret may stand where it should not, and be quoted as the mistake that it is.
    for problem in problems.iter_mut().chain(&mut warnings) {
        problem.redact(&redactor);
    }
    let mut files: Vec<PathBuf> = places.documents.iter().map(|document| document.path.clone()).collect();
    files.extend(secrets.files);
    let configured = settings.map(|settings| Configured {
        settings,
        only_host: found.iter().all(|found| found.is_host),
        origins: found.iter().map(|found| (found.component.name.clone(), found.origin.clone())).collect(),
        components: found.into_iter().map(|found| found.component).collect(),
        groups,
        has_configured_checks,
        files: files.clone(),
        explained: Vec::new(),
        warnings,
        redactor,
    });
    Assembled { configured, problems, files }
}

/// Reads everything but the checks and the groups. Also returns the usable keys of `[defaults]` as a table.
fn read_settings(mut table: Dict, diagnostics: &mut Diagnostics<'_>, registry: &Registry) -> (Option<Settings>, Dict) {
    let schema = schema_for!(Settings).to_value();
    let lists: Vec<String> = table.iter().filter(|(_, value)| is_list_of_tables(value)).map(|(key, _)| key.clone()).collect();
    for key in lists {
        table.remove(&key);
        let message = format!("expected one table: write its header with single brackets, `[{key}]`");
        diagnostics.report(&[], [ConfigIssue::new([key], message)]);
    }
    diagnostics.prepare(&mut table, &schema, &[]);
    let mut issues = Vec::new();
    let mut settings: Option<Settings> = read(&table, &schema, &mut issues);
    for found in &mut issues {
        // Users often write a table's name wrong.
        if found.path.len() == 1 && found.hint.is_none() && found.issue == Issue::UnknownKey {
            found.hint = suggestion(&found.path[0], SECTIONS.into_iter());
        }
    }
    add_hints(&mut issues, registry, &|| schema.clone(), &table);
    if let Some(settings) = &mut settings {
        issues.extend(settings.server.issues().into_iter().map(|found| found.within("server")));
        #[cfg(feature = "server")]
        match settings.server.tls.as_ref().map(certificate::examine) {
            Some(Ok((_, warnings))) => diagnostics.warn(&[], warnings.into_iter().map(|found| found.within("server"))),
            Some(Err(unusable)) => issues.push(unusable.into_issue().within("server")),
            None => {}
        }
        let places = diagnostics.places;
        let is_set = |key: &str| places.where_set(&["defaults".to_owned(), key.to_owned()]).is_some();
        let mut warnings: Vec<_> = settings.server.warnings().into_iter().map(|found| found.within("server")).collect();
        warnings.extend(policy::warnings(&settings.defaults, &is_set).into_iter().map(|found| found.within("defaults")));
        diagnostics.warn(&[], warnings);
        issues.extend(policy_issues(&settings.defaults).into_iter().map(|found| found.within("defaults")));
        settings.service.instance.get_or_insert_with(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    }
    let mut defaults = table.remove("defaults").and_then(Value::into_dict).unwrap_or_default();
    // A mistake in `[defaults]` is reported there, and not once more for each check.
    defaults.retain(|key, _| !issues.iter().any(|found| found.path.starts_with(&["defaults".to_owned(), key.clone()])));
    diagnostics.report(&[], issues);
    (settings, defaults)
}

/// Whether this is a status or a failure class: such words are in every report, and redacting them would garble it.
fn is_word_of_reports(word: &str) -> bool {
    let statuses = [Status::Pass, Status::Warn, Status::Fail].map(Status::as_str);
    statuses.contains(&word) || FailureClass::ALL.iter().any(|class| class.as_str() == word)
}
