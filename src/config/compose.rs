//! Finds checks in a compose file: services whose images the kinds of this build know.

use crate::{
    component::CheckName,
    kinds::{Kind, Registry},
};
use allswell_checks::contract::{ComposePassword, ComposeService, ComposeValue};
use serde_json::Value as Json;
use std::fmt::Write as _;

/// A check of a service of a compose file.
pub(super) struct ComposeCheck {
    /// The service.
    pub(super) service: String,
    /// The check's name.
    pub(super) name: String,
    /// The check's table in TOML, without its header.
    pub(super) table: String,
}

/// The checks of all services that have a known image.
///
/// # Errors
///
/// The text is not YAML.
pub(super) fn checks_of_services(compose: &str, registry: &Registry) -> Result<Vec<ComposeCheck>, String> {
    // The parser's error may quote the file, which may hold a password.
    let document: Json = serde_saphyr::from_str(compose).map_err(|_| "the compose file is not YAML".to_owned())?;
    let mut found = Vec::new();
    for (service, settings) in document["services"].as_object().into_iter().flatten() {
        let image = settings["image"].as_str().unwrap_or_default();
        let Some((kind, compose)) = kind_of_image(image, registry) else { continue };
        let name: String = service.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        if name.parse::<CheckName>().is_ok() {
            let table = table(kind, &compose, service, &name, &settings["environment"]);
            found.push(ComposeCheck { service: service.clone(), name, table });
        }
    }
    Ok(found)
}

/// The kind that knows an image by its last name: `docker.io/library/postgres:17` is `postgres`.
fn kind_of_image<'a>(image: &str, registry: &'a Registry) -> Option<(&'a Kind, ComposeService)> {
    let image = image.rsplit('/').next()?.split([':', '@']).next()?;
    registry.kinds().find_map(|kind| kind.compose.filter(|compose| compose.images.contains(&image)).map(|compose| (kind, compose)))
}

fn table(kind: &Kind, compose: &ComposeService, service: &str, name: &str, environment: &Json) -> String {
    let value_of = |value: &ComposeValue| {
        let set = value.variables.iter().find_map(|variable| literal(environment, variable));
        set.unwrap_or_else(|| value.default.to_owned())
    };
    let port = kind.default_port.map_or_else(String::new, |port| port.to_string());
    let place = compose
        .value
        .replace("{host}", service)
        .replace("{port}", &port)
        .replace("{database}", &value_of(&compose.database))
        .replace("{user}", &value_of(&compose.user));
    let mut table = format!("kind = \"{}\"\n{} = {}\n", kind.name, compose.key, quoted(&place));
    let comment = match compose.password {
        ComposePassword::Required => "",
        ComposePassword::Optional => "# ",
        ComposePassword::Unsupported => return table,
    };
    // Writing to a String cannot fail.
    let _ = writeln!(table, "{comment}password = \"${{{}_PASSWORD:-}}\"", name.to_ascii_uppercase());
    table
}

/// A variable of a service's `environment`, which is a table or a list of `NAME=value`. A reference to another variable is no value yet.
fn literal(environment: &Json, name: &str) -> Option<String> {
    let value = match environment {
        Json::Object(table) => table.get(name)?.as_str()?.to_owned(),
        Json::Array(lines) => lines.iter().find_map(|line| line.as_str()?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))?,
        _ => return None,
    };
    (!value.contains('$') && !value.is_empty()).then_some(value)
}

/// A text as TOML writes it: its basic strings have the escapes of JSON.
pub(super) fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_databases_and_ports_are_those_of_the_image() {
        let compose = "services:\n  db:\n    image: docker.io/library/postgres:17\n    environment: { POSTGRES_USER: app }\n\
                       \x20 reports:\n    image: mariadb@sha256:00\n    environment: [ \"MYSQL_USER=${USER}\", MARIADB_DATABASE=reports ]\n\
                       \x20 cache:\n    image: valkey/valkey\n  web:\n    image: nginx\n";
        let found = checks_of_services(compose, &Registry::builtin()).expect("it is YAML");
        let tables: Vec<_> = found.iter().map(|check| format!("{}\n{}", check.name, check.table)).collect();
        assert_eq!(
            tables,
            [
                "cache\nkind = \"redis\"\nurl = \"redis://cache:6379/0\"\n# password = \"${CACHE_PASSWORD:-}\"\n",
                "db\nkind = \"postgres\"\nurl = \"postgres://app@db:5432/app\"\npassword = \"${DB_PASSWORD:-}\"\n",
                "reports\nkind = \"mysql\"\nurl = \"mysql://root@reports:3306/reports\"\npassword = \"${REPORTS_PASSWORD:-}\"\n",
            ]
        );
    }
}
