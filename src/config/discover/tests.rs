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
fn a_secret_in_a_file_is_a_warning_and_not_a_login_without_a_password() {
    for (variables, expected) in [
        (
            &[("WORDPRESS_DB_HOST", "db"), ("WORDPRESS_DB_USER", "wp"), ("WORDPRESS_DB_PASSWORD_FILE", "/run/secrets/db")][..],
            "WORDPRESS_DB_HOST: not checked: the password is in a file, which discovery does not read: configure a check with `password_file`",
        ),
        (
            &[("DATABASE_URL", "mysql://app@db/orders"), ("DATABASE_PASSWORD_FILE", "/run/secrets/db")],
            "DATABASE_URL: not checked: the password is in a file, which discovery does not read: configure a check with `password_file`",
        ),
        (
            &[("DATABASE_URL_FILE", "/run/secrets/url")],
            "DATABASE_URL_FILE: not checked: the URL is in a file, which discovery does not read: configure a check with `url_file`",
        ),
    ] {
        assert_eq!(discovered(variables), (Vec::new(), vec![expected.to_owned()]));
    }
    let (found, _) = discovered(&[("DATABASE_URL", "mysql://app:pw@db/orders"), ("DATABASE_PASSWORD_FILE", "/run/secrets/db")]);
    assert_eq!(found, ["database: mysql from DATABASE_URL"], "the URL has a password");
}

#[test]
fn a_socket_is_preferred_to_the_host() {
    for (variables, expected) in [
        (&[("DB_CONNECTION", "mysql"), ("DB_HOST", "localhost"), ("DB_USERNAME", "app"), ("DB_SOCKET", "/run/m.sock")][..], "db_host"),
        (&[("WORDPRESS_DB_HOST", "localhost:/run/m.sock"), ("WORDPRESS_DB_USER", "app")], "wordpress_db_host"),
    ] {
        let environment = Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (found, _) = discover(&environment, &Registry::builtin());
        let check = found.iter().find(|check| check.name.as_str() == expected).expect("a check");
        assert_eq!(check.table["url"].as_str(), Some("mysql://localhost/?socket=%2Frun%2Fm.sock"));
    }
}

#[test]
fn a_url_of_a_file_database_is_passed_on_to_its_kind() {
    let registry = Registry::builtin();
    let kind = registry.get("sqlite").expect("it is built in");
    let path = |url| own_keys(kind, url).expect("it can be said").and_then(|table| table["path"].as_str().map(str::to_owned));
    assert_eq!(path("sqlite:///db.sqlite3"), Some("sqlite:///db.sqlite3".to_owned()));
    assert_eq!(path("db+sqlite:////var/lib/db.sqlite3?mode=ro"), Some("db+sqlite:////var/lib/db.sqlite3?mode=ro".to_owned()));
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

/// An environment: what it is, its variables, its checks and its warnings.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str], &'static [&'static str]);

/// Environments as frameworks and platforms write them.
const CASES: &[Case] = &[
    (
        "Laravel with nothing but a database in use",
        &[
            ("DB_CONNECTION", "mysql"),
            ("DB_HOST", "127.0.0.1"),
            ("DB_PORT", "3306"),
            ("DB_DATABASE", "shop"),
            ("DB_USERNAME", "shop"),
            ("CACHE_STORE", "database"),
            ("QUEUE_CONNECTION", "sync"),
            ("SESSION_DRIVER", "file"),
            ("REDIS_HOST", "127.0.0.1"),
            ("MEMCACHED_HOST", "127.0.0.1"),
        ],
        &["db_host: mysql from DB_HOST"],
        &[],
    ),
    (
        "Laravel with Redis, and a URL that replaces the host of the database",
        &[
            ("DB_CONNECTION", "pgsql"),
            ("DB_URL", "postgres://shop@db/shop"),
            ("DB_HOST", "127.0.0.1"),
            ("DB_USERNAME", "shop"),
            ("SESSION_DRIVER", "redis"),
            ("REDIS_HOST", "tls://cache"),
            ("REDIS_PASSWORD", "null"),
        ],
        &["db: postgres from DB_URL", "redis_host: redis from REDIS_HOST"],
        &["DB_HOST: not checked: DB_URL names a server of this kind already: if the application needs both, configure a check for each"],
    ),
    (
        "Laravel with SQLite",
        &[("DB_CONNECTION", "sqlite"), ("DB_DATABASE", "/srv/shop.sqlite"), ("DB_HOST", "127.0.0.1"), ("QUEUE_CONNECTION", "sync")],
        &["db_connection: sqlite from DB_CONNECTION"],
        &[],
    ),
    (
        "a host without a kind of server, and one without a user",
        &[("DB_HOST", "db"), ("DB_USER", "shop"), ("MYSQL_HOST", "db")],
        &[],
        &[
            "DB_HOST: not checked: no variable says which kind of server this is, or with which user to log in: configure a check",
            "MYSQL_HOST: not checked: no variable says with which user to log in: configure a check",
        ],
    ),
    (
        "Elastic Beanstalk",
        &[("RDS_HOSTNAME", "x.rds.amazonaws.com"), ("RDS_PORT", "5432"), ("RDS_DB_NAME", "ebdb"), ("RDS_USERNAME", "app")],
        &["rds_hostname: postgres from RDS_HOSTNAME"],
        &[],
    ),
    (
        "Prisma",
        &[
            ("DATABASE_URL", "postgresql://app@pooler:6543/shop?pgbouncer=true"),
            ("DIRECT_URL", "postgresql://app@db:5432/shop"),
            ("SHADOW_DATABASE_URL", "postgresql://app@db:5432/shadow"),
        ],
        &["database: postgres from DATABASE_URL"],
        &[
            "DIRECT_URL: not checked: another way to the backend of DATABASE_URL",
            "SHADOW_DATABASE_URL: not checked: by its name it is for tests or migrations",
        ],
    ),
    (
        "Prisma with SQLite, whose path is relative to its schema",
        &[("DATABASE_URL", "file:./dev.db")],
        &[],
        &["DATABASE_URL: not checked: only the application knows the folder of the file: configure a check with its path"],
    ),
    (
        "Railway",
        &[
            ("DATABASE_URL", "postgresql://postgres:s%33cret@postgres.railway.internal:5432/railway"),
            ("DATABASE_PUBLIC_URL", "postgresql://postgres:s3cret@x.proxy.rlwy.net:23456/railway"),
            ("PGHOST", "postgres.railway.internal"),
            ("PGPORT", "5432"),
            ("PGUSER", "postgres"),
            ("PGPASSWORD", "s3cret"),
            ("PGDATABASE", "railway"),
        ],
        &["database: postgres from DATABASE_URL"],
        &["DATABASE_PUBLIC_URL: not checked: another way to the backend of DATABASE_URL"],
    ),
    (
        "Heroku",
        &[
            ("DATABASE_URL", "postgres://u:p@ec2.compute.amazonaws.com:5432/d"),
            ("HEROKU_POSTGRESQL_AMBER_URL", "postgres://u:p@ec2.compute.amazonaws.com:5432/d"),
            ("REDIS_URL", "redis://:p@ec2.compute.amazonaws.com:8479"),
            ("REDIS_TLS_URL", "rediss://:p@ec2.compute.amazonaws.com:8480"),
            ("CLOUDAMQP_URL", "amqps://u:p@x.cloudamqp.com/u"),
            ("FIXIE_URL", "http://fixie:x@velodrome.usefixie.com:80"),
            ("MEMCACHIER_SERVERS", "mc1.memcachier.com:11211"),
        ],
        &["database: postgres from DATABASE_URL", "redis: redis from REDIS_URL", "cloudamqp: rabbitmq from CLOUDAMQP_URL"],
        &[
            "REDIS_TLS_URL: not checked: another way to the backend of REDIS_URL",
            "MEMCACHIER_SERVERS: not checked: a list of servers, or a login by SASL, which is not supported: configure a check for each server",
        ],
    ),
    (
        "Fly.io",
        &[("BUCKET_NAME", "media"), ("AWS_ENDPOINT_URL_S3", "https://fly.storage.tigris.dev"), ("AWS_REGION", "auto")],
        &["bucket_name: s3 from BUCKET_NAME"],
        &[],
    ),
    (
        "Kubernetes, with services named like backends",
        &[
            ("REDIS_PORT", "tcp://10.0.0.1:6379"),
            ("REDIS_SERVICE_HOST", "10.0.0.1"),
            ("POSTGRES_PORT_5432_TCP_ADDR", "10.0.0.2"),
            ("DB_PORT", "tcp://10.0.0.3:3306"),
            ("REDIS_URL_PORT", "tcp://10.0.0.4:6379"),
            ("REDIS_URL_SERVICE_HOST", "10.0.0.4"),
            ("REDIS_URL_SERVICE_PORT", "6379"),
            ("CACHE_SERVICE_PORT_REDIS_URL", "6379"),
        ],
        &[],
        &[],
    ),
    (
        "a container with Docker's links",
        &[
            ("DATABASE_URL", "postgres://app@db/shop"),
            ("DB_NAME", "/web/db"),
            ("DB_PORT", "tcp://172.17.0.2:5432"),
            ("DB_PORT_5432_TCP", "tcp://172.17.0.2:5432"),
            ("DB_PORT_5432_TCP_ADDR", "172.17.0.2"),
            ("DB_ENV_POSTGRES_PASSWORD", "pw"),
            ("DB_ENV_REPLICA_URL", "postgres://app@replica/shop"),
            ("REDIS_PORT", "tcp://172.17.0.3:6379"),
        ],
        &["database: postgres from DATABASE_URL"],
        &[],
    ),
    (
        "Cloud Foundry and .NET",
        &[("VCAP_SERVICES", "{\"p-mysql\":[{\"credentials\":{}}]}"), ("ConnectionStrings__Default", "Server=db;Database=shop")],
        &[],
        &[
            "ConnectionStrings__Default: not checked: connection strings of .NET do not say which kind of server they are for: configure a check",
            "VCAP_SERVICES: not checked: services that a platform binds as JSON are not discovered: configure a check for each",
        ],
    ),
    (
        "nothing but what runs within the application",
        &[
            ("CACHE_URL", "locmemcache://"),
            ("CELERY_BROKER_URL", "memory://"),
            ("CELERY_RESULT_BACKEND", "django-db"),
            ("MESSENGER_TRANSPORT_DSN", "doctrine://default?auto_setup=0"),
            ("MAILER_DSN", "null://null"),
            ("SENTRY_DSN", "https://key@sentry.io/1"),
        ],
        &[],
        &[],
    ),
    (
        "backends without a kind",
        &[
            ("DATABASE_URL", "sqlserver://db:1433;database=shop"),
            ("WAREHOUSE_URL", "redshift://app@wh:5439/dev"),
            ("LEGACY_URL", "oracle://app@db/shop"),
            ("CELERY_BROKER_URL", "sqs://"),
            ("CELERY_RESULT_BACKEND", "psycopg2://app@db/results"),
            ("KAFKA_BROKERS", "k1:9092"),
        ],
        &[],
        &[
            "DATABASE_URL: not checked: this build has no kind for the scheme of this URL",
            "CELERY_BROKER_URL: not checked: this build has no kind for the scheme of this URL",
            "CELERY_RESULT_BACKEND: not checked: this build has no kind for the scheme of this URL",
            "LEGACY_URL: not checked: this build has no kind for the scheme of this URL",
            "WAREHOUSE_URL: not checked: this build has no kind for the scheme of this URL",
            "KAFKA_BROKERS: not checked: this build has no kind for this variable",
        ],
    ),
    (
        "values that are none",
        &[
            ("DATABASE_URL", "\"postgres://app@db/shop\""),
            ("REDIS_URL", "redis://:$(REDIS_PASSWORD)@cache:6379/0"),
            ("CACHE_URL", "cache:11211"),
            ("CELERY_BROKER_URL", "amqp://user:password@host/vhost"),
            ("JOBS_URL", "redis://jobs\r"),
            ("RABBITMQ_HOST", "{{ rabbitmq_host }}"),
        ],
        &["jobs: redis from JOBS_URL"],
        &[
            "DATABASE_URL: not checked: the value begins with a quotation mark, which is a part of it here: remove the quotes",
            "REDIS_URL: not checked: the value has a reference to another variable, which nothing has replaced",
            "CACHE_URL: not checked: this is not a URL: configure a check",
            "CELERY_BROKER_URL: not checked: the value has a placeholder",
            "JOBS_URL: has blanks or a line break around the URL, which other clients may take as a part of it: remove them",
            "RABBITMQ_HOST: not checked: the value has a placeholder",
        ],
    ),
    (
        "one backend, written in many ways",
        &[
            ("DATABASE_URL", "postgres://app:p%40ss@DB:5432/shop?sslmode=require&connect_timeout=3"),
            ("A_URL", "postgresql+asyncpg://app:p%40ss@db/shop?connect_timeout=3&sslmode=require"),
            ("B_URL", "jdbc:postgresql://app:p%40ss@db/shop/?sslmode=require&connect_timeout=3"),
            ("REDIS_URL", "redis://cache"),
            ("C_URL", "redis://cache:6379/"),
            ("D_URL", "rediss://cache"),
            ("E_URL", "redis://cache/1"),
        ],
        &["database: postgres from DATABASE_URL", "redis: redis from REDIS_URL", "d: redis from D_URL", "e: redis from E_URL"],
        &[],
    ),
    (
        "what is for tests",
        &[
            ("TEST_DATABASE_URL", "postgres://app@db/test"),
            ("SHOP_TEST_REDIS_URL", "redis://cache"),
            ("LATEST_URL", "redis://latest"),
            ("TEST_API_URL", "https://api"),
        ],
        &["latest: redis from LATEST_URL"],
        &[
            "SHOP_TEST_REDIS_URL: not checked: by its name it is for tests or migrations",
            "TEST_DATABASE_URL: not checked: by its name it is for tests or migrations",
        ],
    ),
    (
        "Ecto with MySQL, which the scheme does not say",
        &[("DATABASE_URL", "ecto://app:pw@db:3306/shop")],
        &[],
        &[
            "DATABASE_URL: not checked: the scheme does not say which kind of server this is, and the port is usual for another: configure a check",
        ],
    ),
];

#[test]
fn each_framework_and_platform_gets_the_checks_that_its_application_needs() {
    for (what, variables, checks, warnings) in CASES {
        let (found, warned) = discovered(variables);
        assert_eq!(
            (found, warned),
            (checks.iter().map(ToString::to_string).collect(), warnings.iter().map(ToString::to_string).collect()),
            "{what}"
        );
    }
}
