//! Finds checks in the environment that an application already has, and on the host, for when no check is configured.
//!
//! Each kind declares what belongs to it: URL schemes, other variables, the default port and the check of the host.

use super::{discovered::Discovered, environment::Environment, place::Place, problem::Problem, settings::BUILT_IN_GROUPS};
use crate::{
    component::CheckName,
    kinds::{Kind, Registry, schema::takes},
};
use allswell_checks::contract::{Category, EnvironmentCheck, HostCheck};
use figment::value::{Dict, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Variables of URLs with a conventional meaning. They are examined first, so that the check is named after them when another variable holds
/// the same URL, and a warning is given when they cannot be used.
const CONVENTIONAL_URLS: &[&str] = &[
    "DATABASE_URL",
    "REDIS_URL",
    "CACHE_URL",
    "CELERY_BROKER_URL",
    "RABBITMQ_URL",
    "AMQP_URL",
    "CLOUDAMQP_URL",
    "MONGODB_URI",
    "MONGO_URL",
    "MEMCACHED_URL",
    "NATS_URL",
    "ELASTICSEARCH_URL",
    "OPENSEARCH_URL",
];

/// Other variables that name a backend which the application needs. A warning is given when this build has no kind for them.
const OTHER_CONVENTIONAL_VARIABLES: &[&str] = &["EMAIL_URL", "SMTP_URL", "AWS_STORAGE_BUCKET_NAME", "S3_BUCKET"];

/// The directory for temporary files where `TMPDIR` is not set.
const DEFAULT_TEMP_DIR: &str = "/tmp";

/// Finds checks in the environment and on the host, and warns of variables that cannot be used.
pub(super) fn discover(environment: &Environment, registry: &Registry) -> (Vec<Discovered>, Vec<Problem>) {
    let (mut found, mut warnings) = from_urls(environment, registry);
    found.extend(from_other_variables(environment, registry));
    let unsupported = OTHER_CONVENTIONAL_VARIABLES.iter().filter(|variable| is_unsupported(variable, environment, registry));
    warnings.extend(unsupported.map(|variable| not_checked(variable, "this build has no kind for this variable")));
    let host = on_host(environment, registry).into_iter().filter(|check| is_free(&check.name, &found)).collect::<Vec<_>>();
    found.extend(host);
    (found, warnings)
}

/// Checks for variables that hold the URL of a database, cache or queue.
fn from_urls(environment: &Environment, registry: &Registry) -> (Vec<Discovered>, Vec<Problem>) {
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    let mut urls = BTreeSet::new();
    let others = environment.iter().map(|(variable, _)| variable).filter(|variable| !CONVENTIONAL_URLS.contains(variable));
    for variable in CONVENTIONAL_URLS.iter().copied().chain(others) {
        let Some(stem) = variable.strip_suffix("_URL").or_else(|| variable.strip_suffix("_URI")) else { continue };
        let Some(url) = environment.get(variable).filter(|_| !variable.starts_with("ALLSWELL_")) else { continue };
        let Some(kind) = kind_for(url, registry) else {
            if CONVENTIONAL_URLS.contains(&variable) {
                warnings.push(not_checked(variable, "this build has no kind for the scheme of this URL"));
            }
            continue;
        };
        if urls.contains(url) {
            continue;
        }
        let table = match own_keys(kind, url) {
            Ok(Some(table)) => table,
            Ok(None) => continue,
            Err(message) => {
                warnings.push(not_checked(variable, message));
                continue;
            }
        };
        // `X_URL` and `X_URI` cannot both be `x`.
        let names = [stem, variable].into_iter().filter_map(|name| name.to_ascii_lowercase().parse().ok());
        match names.into_iter().find(|name| is_free(name, &found)) {
            Some(name) => {
                urls.insert(url);
                let variables = table.keys().filter(|key| *key == "url").map(|_| ("url", variable.to_owned())).collect();
                found.push(Discovered { name, kind: kind.name, table, variables, origin: variable.to_owned(), is_host: false });
            }
            None => warnings.push(not_checked(variable, "the variable's name cannot be used as the name of a check")),
        }
    }
    (found, warnings)
}

/// Checks that a kind finds in variables which are not URLs.
fn from_other_variables(environment: &Environment, registry: &Registry) -> Vec<Discovered> {
    let mut found = Vec::new();
    for kind in registry.kinds() {
        for EnvironmentCheck { variable, keys } in (kind.discover)(&|name| environment.get(name).map(str::to_owned)) {
            let Ok(name) = variable.to_ascii_lowercase().parse() else { continue };
            let variables = keys.iter().filter_map(|key| Some((key.key, key.variable?.to_owned()))).collect();
            let table = keys.into_iter().map(|key| (key.key.to_owned(), Value::from(key.value))).collect();
            found.push(Discovered { name, kind: kind.name, table, variables, origin: variable.to_owned(), is_host: false });
        }
    }
    found
}

/// Whether a variable is set and no kind of this build makes a check of it.
fn is_unsupported(variable: &str, environment: &Environment, registry: &Registry) -> bool {
    let only_this = |name: &str| environment.get(name).filter(|_| name == variable).map(str::to_owned);
    environment.get(variable).is_some() && registry.kinds().all(|kind| (kind.discover)(&only_this).is_empty())
}

fn not_checked(variable: &str, why: &str) -> Problem {
    Problem { place: Place::Variable(variable.to_owned()), path: Vec::new(), message: format!("not checked: {why}"), hint: None }
}

fn is_free(name: &CheckName, found: &[Discovered]) -> bool {
    !BUILT_IN_GROUPS.contains(&name.as_str()) && found.iter().all(|other| other.name != *name)
}

/// The kind that a URL's scheme belongs to: only databases, caches and queues, so that nothing is contacted that might be a webhook.
fn kind_for<'a>(url: &str, registry: &'a Registry) -> Option<&'a Kind> {
    let (scheme, _) = url.split_once(':')?;
    let scheme = scheme.split('+').next()?.to_ascii_lowercase();
    let eligible = |kind: &&Kind| matches!(kind.category, Category::Database | Category::Cache | Category::Queue);
    registry.kinds().filter(eligible).find(|kind| kind.schemes.contains(&scheme.as_str()))
}

/// The URL as the kind's own keys: `url`, `path` or `address`. `None`: the URL names nothing that could be checked.
///
/// # Errors
///
/// What in the URL the keys cannot express.
fn own_keys(kind: &Kind, url: &str) -> Result<Option<Dict>, &'static str> {
    let key = |key: &str, value: &str| Ok(Some(Dict::from([(key.to_owned(), Value::from(value))])));
    let takes = |key: &str| takes(&kind.schema["properties"][key], "string");
    let Some((_, rest)) = url.split_once(':') else { return Ok(None) };
    if rest.strip_prefix("//").is_some_and(|rest| rest.contains("://")) {
        return Err("this is a list of URLs: configure a check for each");
    }
    if takes("path") {
        // SQLCipher's URLs have a passphrase there.
        if rest.strip_prefix("//").and_then(|rest| rest.split('/').next()).is_some_and(|authority| authority.contains('@')) {
            return Err("this kind does not support a login");
        }
        // As Django and SQLAlchemy write it: three slashes before a relative path, four before an absolute one.
        let path = rest.strip_prefix("///").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
        let path = path.split('?').next().unwrap_or(path);
        let is_file = !path.is_empty() && !path.contains(":memory:");
        return if is_file { key("path", path) } else { Ok(None) };
    }
    if takes("address") {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let address = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        return match kind.default_port {
            _ if address.contains(',') => Err("this is a list of servers: configure a check for each"),
            _ if rest.contains('@') => Err("this kind does not support a login"),
            // The path of a Unix socket, as Django writes it.
            _ if address.is_empty() && rest.len() > 1 => key("address", rest.split(['?', '#']).next().unwrap_or(rest)),
            _ if address.is_empty() => Err("the URL has no host, which this kind needs"),
            // In brackets is an IPv6 address, which has colons of its own.
            Some(port) if address.ends_with(']') || !address.contains(':') => key("address", &format!("{address}:{port}")),
            _ => key("address", address),
        };
    }
    key("url", url)
}

/// The checks of the host itself.
fn on_host(environment: &Environment, registry: &Registry) -> Vec<Discovered> {
    let mut found = Vec::new();
    for kind in registry.kinds() {
        let path = match kind.host_check {
            None => continue,
            Some(HostCheck::Defaults) => None,
            Some(HostCheck::Path(path)) => Some(path),
            Some(HostCheck::TempDir) => Some(environment.get("TMPDIR").unwrap_or(DEFAULT_TEMP_DIR)),
        };
        let Ok(name) = kind.name.parse() else { continue };
        let table = path.map(|path| ("path".to_owned(), Value::from(path))).into_iter().collect();
        found.push(Discovered { name, kind: kind.name, table, variables: BTreeMap::new(), origin: "this host".to_owned(), is_host: true });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovered(variables: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let environment = Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (found, warnings) = discover(&environment, &Registry::builtin());
        let found = found.iter().filter(|one| !one.is_host).map(|one| format!("{}: {} from {}", one.name, one.kind, one.origin)).collect();
        (found, warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn urls_of_databases_caches_and_queues_become_checks() {
        let (found, warnings) = discovered(&[
            ("DATABASE_URL", "postgresql+asyncpg://db/orders"),
            ("REDIS_URL", "redis://cache"),
            ("CACHE_URL", "redis://cache"),
            ("REPORTS_URI", "mysql2://db/reports"),
            ("CELERY_BROKER_URL", "amqps://mq/"),
            ("APP__DB_URL", "redis://db"),
            ("DB_URL", "redis://db"),
            ("LIVE_URL", "redis://live"),
            ("REPORTS_URL", "mysql://db/other"),
            ("SLACK_WEBHOOK_URL", "https://hooks.example/T0"),
            ("ALLSWELL_CHECKS__X__URL", "postgres://db"),
            ("EMPTY_URL", ""),
        ]);
        assert_eq!(
            found,
            [
                "database: postgres from DATABASE_URL",
                "redis: redis from REDIS_URL",
                "celery_broker: rabbitmq from CELERY_BROKER_URL",
                "db: redis from DB_URL",
                "live_url: redis from LIVE_URL",
                "reports: mysql from REPORTS_URI",
                "reports_url: mysql from REPORTS_URL",
            ]
        );
        assert_eq!(warnings, ["APP__DB_URL: not checked: the variable's name cannot be used as the name of a check"]);
    }

    #[test]
    fn a_conventional_variable_that_cannot_be_used_is_a_warning() {
        let (found, warnings) = discovered(&[
            ("NATS_URL", "nats://mq"),
            ("OTHER_URL", "foo://bar"),
            ("X__Y_URL", "redis://a"),
            ("CELERY_BROKER_URL", "amqp://a:5672//;amqp://b:5672//"),
            ("EMAIL_URL", "smtp://mail"),
        ]);
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(
            warnings,
            [
                "CELERY_BROKER_URL: not checked: this is a list of URLs: configure a check for each",
                "NATS_URL: not checked: this build has no kind for the scheme of this URL",
                "X__Y_URL: not checked: the variable's name cannot be used as the name of a check",
                "EMAIL_URL: not checked: this build has no kind for this variable",
            ]
        );
    }

    #[test]
    fn a_url_of_a_file_database_becomes_a_path() {
        let registry = Registry::builtin();
        let kind = registry.get("sqlite").expect("it is built in");
        let path = |url| own_keys(kind, url).expect("it can be said").and_then(|table| table["path"].as_str().map(str::to_owned));
        assert_eq!(path("sqlite:///db.sqlite3"), Some("db.sqlite3".to_owned()));
        assert_eq!(path("sqlite:////var/lib/db.sqlite3?mode=ro"), Some("/var/lib/db.sqlite3".to_owned()));
        assert_eq!(path("sqlite://:memory:"), None);
        assert_eq!(path("sqlite://"), None);
    }

    #[test]
    fn a_url_becomes_an_address_with_the_default_port() {
        let registry = Registry::builtin();
        let kind = registry.get("memcached").expect("it is built in");
        let address = |url| own_keys(kind, url).map(|table| table.and_then(|table| table["address"].as_str().map(str::to_owned)));
        for (url, expected) in [
            ("memcached://cache:11212", "cache:11212"),
            ("memcache://cache/", "cache:11211"),
            ("pymemcache://10.0.0.7:11211?timeout=1", "10.0.0.7:11211"),
            ("memcached://[::1]", "[::1]:11211"),
            ("memcached://[::1]:7", "[::1]:7"),
        ] {
            assert_eq!(address(url), Ok(Some(expected.to_owned())), "{url}");
        }
        assert_eq!(address("memcache://a:1,b:2"), Err("this is a list of servers: configure a check for each"));
        assert_eq!(address("memcached://app:hunter/2@cache"), Err("this kind does not support a login"));
        assert_eq!(address("memcache:///run/memcached.sock?timeout=1"), Ok(Some("/run/memcached.sock".to_owned())));
        assert_eq!(address("memcache://"), Err("the URL has no host, which this kind needs"));
        let (found, warnings) = discovered(&[
            ("CACHE_URL", "memcache://cache"),
            ("MEMCACHED_URL", "memcached://other:1"),
            ("SESSIONS_URL", "memcached://a:1,b:1"),
        ]);
        assert_eq!(found, ["cache: memcached from CACHE_URL", "memcached: memcached from MEMCACHED_URL"]);
        assert_eq!(warnings, ["SESSIONS_URL: not checked: this is a list of servers: configure a check for each"]);
    }

    #[test]
    fn the_host_is_always_checked() {
        let (found, _) = discover(&Environment::default(), &Registry::builtin());
        let names: Vec<_> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["disk", "memory", "sqlite", "storage"]);
        assert!(found.iter().all(|one| one.is_host));
    }

    #[test]
    fn buckets_are_found_by_their_kind_and_a_build_without_it_warns() {
        let variables = [("AWS_STORAGE_BUCKET_NAME", "media"), ("S3_BUCKET", "media")];
        let (found, warnings) = discovered(&variables);
        assert_eq!(found, ["aws_storage_bucket_name: s3 from AWS_STORAGE_BUCKET_NAME"]);
        assert_eq!(warnings, Vec::<String>::new());
        let environment = Environment::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let (_, warnings) = discover(&environment, &Registry::default());
        assert_eq!(
            warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "AWS_STORAGE_BUCKET_NAME: not checked: this build has no kind for this variable",
                "S3_BUCKET: not checked: this build has no kind for this variable"
            ]
        );
    }
}
