//! Tests of discovery as a whole: variables in, checks and warnings out.

use super::{discover, keys::own_keys};
use crate::{config::environment::Environment, kinds::Registry};

fn discovered(variables: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let environment = Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let registry = Registry::builtin();
    let (mut found, warnings) = discover(&environment, &registry);
    let mut warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    found.retain(|check| {
        let mut issues = Vec::new();
        let is_usable = registry.get(check.kind).is_some_and(|kind| kind.make(&check.table, &mut issues).is_some());
        warnings.extend(issues.into_iter().map(|found| format!("{}: not checked: {}", check.origin, found.issue)));
        is_usable
    });
    let found = found.iter().filter(|one| !one.is_host).map(|one| format!("{}: {} from {}", one.name, one.kind, one.origin)).collect();
    (found, warnings)
}

#[test]
fn urls_of_databases_caches_and_queues_become_checks() {
    let (found, warnings) = discovered(&[
        ("DATABASE_URL", "postgresql+asyncpg://db/orders"),
        ("REDIS_URL", "redis://cache"),
        ("CACHE_URL", "redis://cache"),
        ("REPORTS_URI", "mysql2://db/reports"),
        ("CELERY_BROKER_URL", "amqps://mq/"),
        ("APP__DB_URL", "redis://appdb"),
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
            "NATS_URL: not checked: this build has no kind for the scheme of this URL",
            "X__Y_URL: not checked: the variable's name cannot be used as the name of a check",
            "EMAIL_URL: not checked: this build has no kind for this variable",
            "CELERY_BROKER_URL: not checked: this is a list of URLs: configure a check for each",
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
    assert_eq!(address("memcache:///run/memcached.sock"), Err("the URL has no host, which this kind needs"));
    let (found, warnings) =
        discovered(&[("CACHE_URL", "memcache://cache"), ("MEMCACHED_URL", "memcached://other:1"), ("SESSIONS_URL", "memcached://a:1,b:1")]);
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
        ["AWS_STORAGE_BUCKET_NAME: not checked: this build has no kind for this variable"]
    );
}
