//! Checks of the variables that hold the URL of a database, cache or queue.

use super::{
    findings::Findings,
    keys::{add_login, own_keys},
    names,
    scheme::{Meaning, meaning},
    value::fault,
};
use crate::{
    config::{environment::Environment, override_names::is_endpoint},
    kinds::{Kind, Registry},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// Sidekiq's variable that holds the name of the variable with the URL.
const REDIS_PROVIDER: &str = "REDIS_PROVIDER";

/// Adds a check for each variable that holds the URL of a database, cache or queue, apart from those that a kind has `claimed`.
pub(super) fn add(findings: &mut Findings, environment: &Environment, registry: &Registry, claimed: &BTreeSet<&str>) {
    let first = names::CONVENTIONAL_URLS.iter().copied().chain(environment.get(REDIS_PROVIDER));
    let others = environment.iter().map(|(variable, _)| variable).filter(|variable| names::is_of_url(variable));
    let mut seen = BTreeSet::new();
    for variable in first.chain(others) {
        if claimed.contains(variable) || is_of_another_program(variable, environment) || !seen.insert(variable) {
            continue;
        }
        let url = environment.get(variable).map(str::trim).filter(|url| !url.is_empty());
        match url.map(|url| judge(variable, url, environment, registry)) {
            None | Some(Judgement::Ignored) => {}
            Some(Judgement::NotChecked(why)) => findings.warn(variable, why),
            Some(Judgement::Url(kind)) => {
                if environment.get(variable) != url {
                    // This check removes them: it may pass while the application fails.
                    let message = "has blanks or a line break around the URL, which other clients may take as a part of it: remove them";
                    findings.note(variable, message.to_owned());
                }
                add_url(findings, kind, variable, url.unwrap_or_default(), environment);
            }
        }
    }
}

/// Whether a variable is our own, or one of another container, which Docker's links pass on: `DB_ENV_DATABASE_URL` next to `DB_PORT`.
fn is_of_another_program(variable: &str, environment: &Environment) -> bool {
    let link = variable.split_once("_ENV_").and_then(|(link, _)| environment.get(&format!("{link}_PORT")));
    variable.starts_with("ALLSWELL_") || link.is_some_and(is_endpoint)
}

/// What becomes of a variable.
enum Judgement<'a> {
    /// It is the URL of a backend of this kind.
    Url(&'a Kind),
    /// The application may need a backend that cannot be checked; why.
    NotChecked(Cow<'static, str>),
    /// It does not name a backend.
    Ignored,
}

fn judge<'a>(variable: &str, url: &str, environment: &Environment, registry: &'a Registry) -> Judgement<'a> {
    let meaning = meaning(url.trim_start_matches(['"', '\'']), registry);
    // The result backend of Celery may also be the name of one: `django-db`.
    let is_other = names::OTHER_URLS.contains(&variable) && url.contains("://");
    let is_conventional = is_other || names::CONVENTIONAL_URLS.contains(&variable);
    match meaning {
        Meaning::WithinTheApplication => return Judgement::Ignored,
        Meaning::Unknown | Meaning::File if !is_conventional => return Judgement::Ignored,
        _ => {}
    }
    if names::is_for_tests(variable) {
        return Judgement::NotChecked("by its name it is for tests or migrations".into());
    }
    if let Some(main) = names::main_of(variable).filter(|main| environment.get(main).is_some()) {
        return Judgement::NotChecked(format!("another way to the backend of {main}").into());
    }
    if let Some(fault) = fault(url) {
        return Judgement::NotChecked(fault.into());
    }
    let why = match meaning {
        Meaning::Kind(kind) => return Judgement::Url(kind),
        Meaning::Unclear => "the scheme does not say which kind of server this is, and the port is usual for another: configure a check",
        Meaning::File => "only the application knows the folder of the file: configure a check with its path",
        Meaning::Unknown if !url.contains("://") => "this is not a URL: configure a check",
        _ => "this build has no kind for the scheme of this URL",
    };
    Judgement::NotChecked(why.into())
}

fn add_url(findings: &mut Findings, kind: &Kind, variable: &str, url: &str, environment: &Environment) {
    let mut table = match own_keys(kind, url) {
        Ok(Some(table)) => table,
        Ok(None) => return,
        Err(message) => return findings.warn(variable, message),
    };
    let mut variables: BTreeMap<_, _> = table.keys().filter(|key| *key == "url").map(|_| ("url", variable.to_owned())).collect();
    match add_login(&mut table, &mut variables, kind, variable, environment) {
        Ok(()) => findings.add(kind, variable, table, variables),
        Err(message) => findings.warn(variable, message),
    }
}
