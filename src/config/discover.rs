//! What an application's environment already tells, for when no check is configured.

use super::{
    buckets::{self, buckets},
    discovered::Discovered,
    environment::Environment,
    place::Place,
    problem::Problem,
    settings::BUILT_IN_GROUPS,
};
use crate::{
    component::CheckName,
    kinds::{Kind, Registry, read::takes},
};
use allswell_checks::contract::Category;
use figment::value::{Dict, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    env::temp_dir,
    path::PathBuf,
};

/// Variables that every application gives a meaning: they come first when two hold the same URL, and are told of when they cannot be used.
const KNOWN: &[&str] = &[
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

/// Variables that name something else than a URL of a database, cache or queue, and something that an application needs all the same.
const KNOWN_OTHERS: &[&str] = &["EMAIL_URL", "SMTP_URL"];

/// Looks through the environment and at the machine.
pub(crate) fn discover(environment: &Environment, registry: &Registry) -> (Vec<Discovered>, Vec<Problem>) {
    let mut found = Vec::new();
    let mut warnings = Vec::new();
    let mut urls = BTreeSet::new();
    let others = environment.iter().map(|(variable, _)| variable).filter(|variable| !KNOWN.contains(variable));
    for variable in KNOWN.iter().copied().chain(others) {
        let Some(stem) = variable.strip_suffix("_URL").or_else(|| variable.strip_suffix("_URI")) else { continue };
        let Some(url) = environment.get(variable).filter(|_| !variable.starts_with("ALLSWELL_")) else { continue };
        let warning = |message: String| Problem { place: Place::Variable(variable.to_owned()), path: Vec::new(), message, hint: None };
        let Some(kind) = kind_of(url, registry) else {
            if KNOWN.contains(&variable) {
                warnings.push(warning("not checked: this build has no kind for the scheme of this URL".to_owned()));
            }
            continue;
        };
        if urls.contains(url) {
            continue;
        }
        if url.split_once("://").is_some_and(|(_, rest)| rest.contains("://")) {
            warnings.push(warning("not checked: a list of several URLs; configure a check for each".to_owned()));
            continue;
        }
        let table = match own_keys(kind, url) {
            Ok(Some(table)) => table,
            Ok(None) => continue,
            Err(message) => {
                warnings.push(warning(format!("not checked: {message}")));
                continue;
            }
        };
        // `X_URL` and `X_URI` cannot both be `x`.
        let names = [stem, variable].into_iter().filter_map(|name| name.to_ascii_lowercase().parse().ok());
        let free =
            |name: &CheckName| !BUILT_IN_GROUPS.contains(&name.as_str()) && found.iter().all(|other: &Discovered| other.name != *name);
        match names.into_iter().find(free) {
            Some(name) => {
                urls.insert(url);
                let variables = table.keys().filter(|key| *key == "url").map(|_| ("url", variable.to_owned())).collect();
                found.push(Discovered { name, kind: kind.name, table, variables, origin: variable.to_owned(), host: false });
            }
            None => warnings.push(warning("not checked: the variable's name makes no name for a check".to_owned())),
        }
    }
    let buckets = match registry.get("s3") {
        Some(kind) => {
            found.extend(buckets(environment, kind));
            &[]
        }
        None => buckets::VARIABLES,
    };
    for variable in KNOWN_OTHERS.iter().chain(buckets).filter(|variable| environment.get(variable).is_some()) {
        let message = "not checked: this build has no kind for it".to_owned();
        warnings.push(Problem { place: Place::Variable((*variable).to_owned()), path: Vec::new(), message, hint: None });
    }
    let host = host(registry).into_iter().filter(|check| found.iter().all(|other| other.name != check.name)).collect::<Vec<_>>();
    found.extend(host);
    (found, warnings)
}

/// The kind that a URL's scheme belongs to: only of those that hold data or carry jobs, so that nothing is contacted that might be
/// somebody's webhook.
fn kind_of<'a>(url: &str, registry: &'a Registry) -> Option<&'a Kind> {
    let (scheme, _) = url.split_once(':')?;
    let scheme = scheme.split('+').next()?.to_ascii_lowercase();
    let eligible = |kind: &&Kind| matches!(kind.category, Category::Database | Category::Cache | Category::Queue);
    registry.kinds().filter(eligible).find(|kind| kind.schemes.contains(&scheme.as_str()))
}

/// The ports of kinds that want an address, where a URL leaves it out.
const PORTS: &[(&str, u16)] = &[("memcached", 11_211)];

/// The URL as the kind's own keys; `None` where there is nothing to look at, and a text where it says what the keys cannot.
fn own_keys(kind: &Kind, url: &str) -> Result<Option<Dict>, &'static str> {
    let key = |key: &str, value: &str| Ok(Some(Dict::from([(key.to_owned(), Value::from(value))])));
    let takes = |key: &str| takes(&kind.schema["properties"][key], "string");
    let Some((_, rest)) = url.split_once(':') else { return Ok(None) };
    if takes("path") {
        // SQLCipher's URLs have a passphrase there.
        if rest.strip_prefix("//").and_then(|rest| rest.split('/').next()).is_some_and(|authority| authority.contains('@')) {
            return Err("this kind cannot log in");
        }
        // As Django and SQLAlchemy write it: three slashes before a relative path, four before an absolute one.
        let path = rest.strip_prefix("///").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
        let path = path.split('?').next().unwrap_or(path);
        let named = !path.is_empty() && !path.contains(":memory:");
        return if named { key("path", path) } else { Ok(None) };
    }
    if takes("address") {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let address = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        return match PORTS.iter().find(|(name, _)| *name == kind.name) {
            _ if address.contains(',') => Err("a list of several servers; configure a check for each"),
            _ if rest.contains('@') => Err("this kind cannot log in"),
            _ if address.is_empty() => Err("this kind needs a host"),
            // What stands in brackets is an address of IPv6, which is full of colons.
            Some((_, port)) if address.ends_with(']') || !address.contains(':') => key("address", &format!("{address}:{port}")),
            _ => key("address", address),
        };
    }
    key("url", url)
}

/// The machine itself.
fn host(registry: &Registry) -> Vec<Discovered> {
    let temporary = temp_dir();
    let path = |path: PathBuf| ("path".to_owned(), Value::from(path.to_string_lossy().into_owned()));
    let checks = [
        ("disk", Dict::new()),
        ("memory", Dict::new()),
        // In memory: in a folder for everybody, a file of a known name may be another user's. That files can be written is shown by `storage`.
        ("sqlite", Dict::from([path(":memory:".into())])),
        ("storage", Dict::from([path(temporary)])),
    ];
    let mut found = Vec::new();
    for (kind, table) in checks {
        // This build may lack a kind.
        if let (Some(kind), Ok(name)) = (registry.get(kind), kind.parse()) {
            found.push(Discovered { name, kind: kind.name, table, variables: BTreeMap::new(), origin: "this host".to_owned(), host: true });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovered(variables: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let environment = Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (found, warnings) = discover(&environment, &Registry::builtin());
        let found = found.iter().filter(|one| !one.host).map(|one| format!("{}: {} from {}", one.name, one.kind, one.origin)).collect();
        (found, warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn urls_of_databases_caches_and_queues_are_found() {
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
        assert_eq!(warnings, ["APP__DB_URL: not checked: the variable's name makes no name for a check"]);
    }

    #[test]
    fn what_cannot_be_used_is_told_where_everybody_expects_it_to_work() {
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
                "CELERY_BROKER_URL: not checked: a list of several URLs; configure a check for each",
                "NATS_URL: not checked: this build has no kind for the scheme of this URL",
                "X__Y_URL: not checked: the variable's name makes no name for a check",
                "EMAIL_URL: not checked: this build has no kind for it",
            ]
        );
    }

    #[test]
    fn a_file_database_is_found_by_its_path() {
        let registry = Registry::builtin();
        let kind = registry.get("sqlite").expect("it is built in");
        let path = |url| own_keys(kind, url).expect("it can be said").and_then(|table| table["path"].as_str().map(str::to_owned));
        assert_eq!(path("sqlite:///db.sqlite3"), Some("db.sqlite3".to_owned()));
        assert_eq!(path("sqlite:////var/lib/db.sqlite3?mode=ro"), Some("/var/lib/db.sqlite3".to_owned()));
        assert_eq!(path("sqlite://:memory:"), None);
        assert_eq!(path("sqlite://"), None);
    }

    #[test]
    fn a_cache_is_found_by_its_address() {
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
        assert_eq!(address("memcache://a:1,b:2"), Err("a list of several servers; configure a check for each"));
        assert_eq!(address("memcached://app:hunter/2@cache"), Err("this kind cannot log in"));
        assert_eq!(address("memcache:///run/memcached.sock"), Err("this kind needs a host"));
        let (found, warnings) = discovered(&[
            ("CACHE_URL", "memcache://cache"),
            ("MEMCACHED_URL", "memcached://other:1"),
            ("SESSIONS_URL", "memcached://a:1,b:1"),
        ]);
        assert_eq!(found, ["cache: memcached from CACHE_URL", "memcached: memcached from MEMCACHED_URL"]);
        assert_eq!(warnings, ["SESSIONS_URL: not checked: a list of several servers; configure a check for each"]);
    }

    #[test]
    fn the_host_is_always_there() {
        let (found, _) = discover(&Environment::default(), &Registry::builtin());
        let names: Vec<_> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["disk", "memory", "sqlite", "storage"]);
        assert!(found.iter().all(|one| one.host));
    }
}
