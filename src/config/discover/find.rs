//! Discovery: the checks of an environment, and the variables that cannot be used.

use super::{findings::Findings, host::on_host, identity, names, urls, value};
use crate::{
    config::{
        discovered::Discovered,
        environment::{Environment, insert},
        problem::Problem,
    },
    kinds::{Kind, Registry},
};
use allswell_checks::contract::EnvironmentCheck;
use figment::value::{Dict, Value};
use std::collections::BTreeSet;

/// Finds checks in the environment and on the host, and warns of variables that cannot be used.
pub(in crate::config) fn discover(environment: &Environment, registry: &Registry) -> (Vec<Discovered>, Vec<Problem>) {
    let variable = |name: &str| environment.get(name).map(str::to_owned);
    let described: Vec<_> =
        registry.kinds().flat_map(|kind| (kind.discover)(&variable).into_iter().map(move |check| (kind, check))).collect();
    let mut claimed: BTreeSet<&str> = described.iter().map(|(_, check)| check.variable).collect();
    let mut findings = Findings::default();
    urls::add(&mut findings, environment, registry, &claimed);
    for (kind, check) in &described {
        add_described(&mut findings, kind, check);
    }
    claimed.extend(described.iter().flat_map(|(_, check)| check.keys.iter().filter_map(|key| key.variable)));
    add_unclaimed(&mut findings, environment, &claimed);
    let Findings { mut checks, warnings, .. } = findings;
    let host = on_host(environment, registry).into_iter().filter(|host| checks.iter().all(|check| check.name != host.name));
    let host: Vec<_> = host.collect();
    checks.extend(host);
    (checks, warnings)
}

/// Adds a check that a kind finds in variables which are not URLs. Variables of a server count only if no other variable names a server of
/// that kind: applications prefer a URL.
fn add_described(findings: &mut Findings, kind: &Kind, check: &EnvironmentCheck) {
    let EnvironmentCheck { variable, keys } = check;
    if keys.iter().any(|key| key.key == "password_file") {
        return findings.warn(variable, value::PASSWORD_IN_FILE);
    }
    let fault = keys.iter().find_map(|key| if key.key == "password" { value::reference(&key.value) } else { value::fault(&key.value) });
    if let Some(fault) = fault {
        return findings.warn(variable, fault);
    }
    let mut table = Dict::new();
    for key in keys {
        let path: Vec<_> = key.key.split('.').map(str::to_owned).collect();
        insert(&mut table, &path, Value::from(key.value.as_str()));
    }
    let server = identity::server(kind, &table).filter(|_| names::stem(variable).is_none());
    if let (Some(server), Some(first)) = (server, findings.checks.iter().find(|check| check.kind == kind.name)) {
        if findings.servers.contains(&server) {
            return;
        }
        let why =
            format!("{} names a server of this kind already: if the application needs both, configure a check for each", first.origin);
        return findings.warn(variable, why);
    }
    let variables = keys.iter().filter_map(|key| Some((key.key, key.variable?.to_owned()))).collect();
    findings.add(kind, variable, table, variables);
}

/// Warns about conventional variables that no check uses.
fn add_unclaimed(findings: &mut Findings, environment: &Environment, claimed: &BTreeSet<&str>) {
    let is_set = |variable: &&&str| environment.get(variable).is_some();
    let is_known = |variable: &&str| environment.get(variable).is_some_and(|host| findings.has_database_at(host));
    let incomplete = names::INCOMPLETE_DATABASES.iter().filter(|(variables, _)| !variables.iter().any(is_known));
    let rows: Vec<_> = incomplete.chain(names::UNCLAIMED).collect();
    for (variables, why) in rows {
        let is_used = |variable: &&str| claimed.contains(variable) || findings.checks.iter().any(|check| check.origin == **variable);
        if !variables.iter().any(is_used)
            && let Some(variable) = variables.iter().find(is_set)
        {
            findings.warn(variable, why);
        }
    }
    for variable in names::CONVENTIONAL_URLS {
        let file = format!("{variable}_FILE");
        if environment.get(variable).is_none() && environment.get(&file).is_some() {
            findings.warn(&file, "the URL is in a file, which discovery does not read: configure a check with `url_file`");
        }
    }
    for variable in environment.not_text().filter(|variable| names::is_of_url(variable)) {
        findings.warn(variable, "the value is not UTF-8");
    }
    let connection_string = environment.iter().find(|(variable, value)| names::is_connection_string(variable) && !value.is_empty());
    if let Some((variable, _)) = connection_string {
        findings.warn(variable, "connection strings of .NET do not say which kind of server they are for: configure a check");
    }
    if environment.get("VCAP_SERVICES").is_some_and(|services| services.contains("credentials")) {
        findings.warn("VCAP_SERVICES", "services that a platform binds as JSON are not discovered: configure a check for each");
    }
}
