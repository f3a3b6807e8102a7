//! A first configuration, made of what the environment and a compose file tell.

use super::{discover::discover, environment::Environment, settings::BUILT_IN_GROUPS};
use crate::{component::CheckName, kinds::Registry};
use serde_json::Value as Json;
use std::{collections::BTreeSet, fmt::Write as _};

/// A commented configuration: what would be discovered, with `${VARIABLES}` in place of values, and the services of a compose file. It
/// passes `validate` in the same environment.
///
/// # Errors
///
/// When the compose file is no YAML.
pub fn init(environment: &Environment, compose: Option<&str>, registry: &Registry) -> Result<String, String> {
    let mut text = String::from(
        "# Made by `allswell init` of what it found. `allswell kinds KIND` tells the keys of a kind, `allswell validate` what this would do.\n\
         # Every setting and its default: config/allswell.toml in the source.\n\n\
         [service]\n# name = \"orders\"\n# version = \"1.4.2\"\n",
    );
    let (mut found, warnings) = discover(environment, registry);
    let mut unusable = Vec::new();
    found.retain(|check| {
        let mut issues = Vec::new();
        let is_usable = registry.get(check.kind).is_some_and(|kind| kind.make(&check.table, &mut issues).is_some());
        unusable.extend(issues.into_iter().map(|found| format!("{}: not checked: {}", check.origin, found.issue)));
        is_usable
    });
    for check in found.iter().filter(|check| !check.host) {
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "\n[checks.{}]                   # from {}\nkind = \"{}\"\n", check.name, check.origin, check.kind);
        for (key, value) in &check.table {
            let _ = match check.variables.get(key.as_str()) {
                Some(variable) => writeln!(text, "{key} = \"${{{variable}}}\""),
                None => writeln!(text, "{key} = {}", quoted(value.as_str().unwrap_or_default())),
            };
        }
    }
    let mut taken: BTreeSet<String> = found.iter().map(|check| check.name.to_string()).collect();
    taken.extend(BUILT_IN_GROUPS.map(str::to_owned));
    for service in compose.map(services).transpose()?.unwrap_or_default() {
        if registry.get(service.kind).is_none() {
            continue;
        }
        if !taken.insert(service.check.clone()) {
            let _ =
                writeln!(text, "\n# The service {} of the compose file is not checked: the name {} is taken.", service.name, service.check);
            continue;
        }
        let _ = write!(
            text,
            "\n[checks.{}]                   # the service {} of the compose file\n{}",
            service.check,
            service.name,
            service.table()
        );
    }
    text.push_str("\n# The machine itself.\n");
    for check in found.iter().filter(|check| check.host) {
        let _ = write!(text, "\n[checks.{}]\nkind = \"{}\"\ncritical = false\n", check.name, check.kind);
        for (key, value) in &check.table {
            let value = value.as_str().map_or_else(|| "true".to_owned(), quoted);
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    for warning in warnings.iter().map(ToString::to_string).chain(unusable) {
        let _ = writeln!(text, "\n# {warning}");
    }
    Ok(text)
}

/// A text as TOML writes it: its basic strings have JSON's escapes.
fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// A service of a compose file whose image is known.
struct Service {
    name: String,
    check: String,
    kind: &'static str,
    user: String,
    database: String,
}

impl Service {
    fn table(&self) -> String {
        let Self { name, user, database, .. } = self;
        if self.kind == "memcached" {
            return format!("kind = \"memcached\"\naddress = {}\n", quoted(&format!("{name}:11211")));
        }
        let url = match self.kind {
            "redis" => format!("redis://{name}:6379/0"),
            "rabbitmq" => format!("amqp://{user}@{name}:5672/"),
            "mysql" => format!("mysql://{user}@{name}:3306/{database}"),
            _ => format!("postgres://{user}@{name}:5432/{database}"),
        };
        // Redis has a password only where somebody gave it one.
        let comment = if self.kind == "redis" { "# " } else { "" };
        let variable = format!("{}_PASSWORD", self.check.to_ascii_uppercase());
        format!("kind = \"{}\"\nurl = {}\n{comment}password = \"${{{variable}:-}}\"\n", self.kind, quoted(&url))
    }
}

/// The services whose images are databases, caches or queues, by the image's last name: `docker.io/library/postgres:17` is `postgres`.
fn services(compose: &str) -> Result<Vec<Service>, String> {
    const IMAGES: [(&str, &str); 8] = [
        ("mariadb", "mysql"),
        ("memcached", "memcached"),
        ("mysql", "mysql"),
        ("postgis", "postgres"),
        ("postgres", "postgres"),
        ("rabbitmq", "rabbitmq"),
        ("redis", "redis"),
        ("valkey", "redis"),
    ];
    // The error may quote the file, which may hold a password.
    let document: Json = serde_saphyr::from_str(compose).map_err(|_| "the compose file is not YAML".to_owned())?;
    let mut found = Vec::new();
    for (name, service) in document["services"].as_object().into_iter().flatten() {
        let image = service["image"].as_str().unwrap_or_default();
        let image = image.rsplit('/').next().and_then(|image| image.split([':', '@']).next()).unwrap_or_default();
        let Some((_, kind)) = IMAGES.iter().find(|(known, _)| *known == image) else { continue };
        let variable = |names: &[&str]| names.iter().find_map(|name| given(&service["environment"], name));
        let user = variable(&["POSTGRES_USER", "MARIADB_USER", "MYSQL_USER", "RABBITMQ_DEFAULT_USER"]);
        let database = variable(&["POSTGRES_DB", "MARIADB_DATABASE", "MYSQL_DATABASE"]);
        let check: String = name.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let default_user = if *kind == "mysql" {
            "root"
        } else if *kind == "rabbitmq" {
            "guest"
        } else {
            "postgres"
        };
        let user = user.unwrap_or_else(|| default_user.to_owned());
        let database = database.unwrap_or_else(|| if *kind == "postgres" { user.clone() } else { String::new() });
        if check.parse::<CheckName>().is_ok() {
            found.push(Service { name: name.clone(), check, kind, user, database });
        }
    }
    Ok(found)
}

/// A variable of a service's `environment`, which is a table or a list of `NAME=value`; a reference is nothing that could stand in a URL.
fn given(environment: &Json, name: &str) -> Option<String> {
    let value = match environment {
        Json::Object(table) => table.get(name)?.as_str()?.to_owned(),
        Json::Array(lines) => lines.iter().find_map(|line| line.as_str()?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))?,
        _ => return None,
    };
    (!value.contains('$') && !value.is_empty()).then_some(value)
}
