//! The keys of a check, from a URL and the login that stands in other variables.

use super::{names, value};
use crate::{
    config::environment::Environment,
    kinds::{Kind, schema::takes},
};
use allswell_checks::contract::{Category, unwrapped};
use figment::value::{Dict, Value};
use std::collections::BTreeMap;

/// The URL as the kind's own keys: `url`, `path` or `address`. `None`: the URL names nothing that could be checked.
///
/// # Errors
///
/// What in the URL the keys cannot express.
pub(super) fn own_keys(kind: &Kind, url: &str) -> Result<Option<Dict>, &'static str> {
    let key = |key: &str, value: &str| Ok(Some(Dict::from([(key.to_owned(), Value::from(value))])));
    let takes = |key: &str| takes(&kind.schema["properties"][key], "string");
    if takes("url") {
        return key("url", url);
    }
    let Some((_, rest)) = unwrapped(url).split_once(':') else { return Ok(None) };
    if rest.strip_prefix("//").is_some_and(|rest| rest.contains("://")) {
        return Err("this is a list of URLs: configure a check for each");
    }
    if takes("path") {
        // SQLCipher's URLs have a passphrase there.
        if rest.strip_prefix("//").and_then(|rest| rest.split('/').next()).is_some_and(|authority| authority.contains('@')) {
            return Err("this kind does not support a login");
        }
        // The kind reads the URL itself: what three slashes mean depends on the scheme.
        let path = rest.split('?').next().unwrap_or(rest).trim_start_matches('/');
        let is_file = !path.is_empty() && !path.contains(":memory:");
        return if is_file { key("path", url) } else { Ok(None) };
    }
    if takes("address") {
        // `cache:11211` without a scheme: the host has the name of one.
        let rest = rest.strip_prefix("//").unwrap_or(if rest.parse::<u16>().is_ok() { url } else { rest });
        let address = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        return match kind.default_port {
            _ if address.contains([',', ';']) => Err("this is a list of servers: configure a check for each"),
            _ if rest.contains('@') => Err("this kind does not support a login"),
            // The path of a Unix socket, as Django writes it.
            _ if address.is_empty() && rest.len() > 1 => key("address", rest.split(['?', '#']).next().unwrap_or(rest)),
            _ if address.is_empty() => Err("the URL has no host, which this kind needs"),
            // In brackets is an IPv6 address, which has colons of its own.
            Some(port) if address.ends_with(']') || !address.contains(':') => key("address", &format!("{address}:{port}")),
            _ => key("address", address),
        };
    }
    Ok(None)
}

/// Adds the login of a database that stands next to the URL, as for JDBC: `X_USERNAME` and `X_PASSWORD` for `X_URL`. The variables that
/// hold it are added to `variables`.
///
/// # Errors
///
/// What is wrong with one of them.
pub(super) fn add_login(
    table: &mut Dict,
    variables: &mut BTreeMap<&'static str, String>,
    kind: &Kind,
    variable: &str,
    environment: &Environment,
) -> Result<(), &'static str> {
    let Some(stem) = names::stem(variable).filter(|_| kind.category == Category::Database) else { return Ok(()) };
    let stem = stem.strip_suffix("_JDBC").unwrap_or(stem);
    let Some(url) = table.get("url").and_then(Value::as_str).map(str::to_owned) else { return Ok(()) };
    let rest = unwrapped(&url).split_once("://").map_or("", |(_, rest)| rest);
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let login = before_query.rsplit_once('@').map(|(login, _)| login);
    let has_parameter = |name: &str| query.split('&').any(|parameter| parameter.split('=').next() == Some(name));
    let has_user = login.is_some_and(|login| !login.starts_with(':') && !login.is_empty()) || has_parameter("user");
    let has_password = login.is_some_and(|login| login.contains(':')) || has_parameter("password");
    let mut add = |key: &'static str, endings: &[&str]| {
        let names = endings.iter().map(|ending| format!("{stem}{ending}"));
        let Some((name, value)) = names.into_iter().find_map(|name| environment.get(&name).map(|value| (name.clone(), value))) else {
            return Ok(());
        };
        if let Some(fault) = if key == "password" { value::reference(value) } else { value::fault(value) } {
            return Err(fault);
        }
        table.insert(key.to_owned(), Value::from(value));
        variables.insert(key, name);
        Ok(())
    };
    if !has_user {
        add("username", &["_USERNAME", "_USER"])?;
    }
    if !has_password {
        add("password", &["_PASSWORD"])?;
        if !table.contains_key("password") && environment.get(&format!("{stem}_PASSWORD_FILE")).is_some() {
            return Err(value::PASSWORD_IN_FILE);
        }
    }
    Ok(())
}
