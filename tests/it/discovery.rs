//! Discovery with real servers: what an application's environment says, in the ways of its framework, becomes a check that works.

use crate::{
    helpers::{Ran, command, run},
    servers::{mariadb, memcached, postgres, rabbitmq, redis},
};
use serde_json::Value;

const PASSWORD: &str = "correct-horse";

/// Runs `allswell check` with these variables. Returns a line for each component that is not the host's, and the warnings.
fn check(variables: &[(&str, &str)]) -> (Vec<String>, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let Ran { stdout, stderr, .. } =
        run(command(&directory).args(["check", "--format", "json", "--timeout", "30s"]).envs(variables.iter().copied()));
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout} {stderr}"));
    let host = ["disk", "memory", "sqlite", "storage"];
    let components = report["components"].as_object().expect("components").iter().filter(|(name, _)| !host.contains(&name.as_str()));
    let line = |(name, one): (&String, &Value)| {
        let message = one["failure"]["message"].as_str().map(|message| format!(": {message}")).unwrap_or_default();
        format!("{name} {}{message}", one["status"].as_str().unwrap_or_default())
    };
    (components.map(line).collect(), stderr)
}

/// Verifies that exactly one check is made of the variables, and that it passes.
fn assert_passes(name: &str, variables: &[(&str, &str)]) -> String {
    let (components, warnings) = check(variables);
    assert_eq!(components, [format!("{name} pass")], "{variables:?}\n{warnings}");
    warnings
}

#[test]
fn a_postgresql_server_is_found_as_its_frameworks_describe_it() {
    let server = postgres(PASSWORD);
    let port = server.port.to_string();
    let url = |text: &str| text.replace("PORT", &port).replace("PASSWORD", PASSWORD);
    for (name, written) in [
        ("database", "ecto://app:PASSWORD@127.0.0.1:PORT/orders"),
        ("database", "timescalegis://app:PASSWORD@127.0.0.1:PORT/orders"),
        ("database", "cockroachdb+psycopg2://app:PASSWORD@127.0.0.1:PORT/orders"),
        ("database", "jdbc:postgresql://127.0.0.1:PORT/orders?user=app&password=PASSWORD"),
    ] {
        assert_passes(name, &[("DATABASE_URL", &url(written))]);
    }
    assert_passes(
        "celery_result_backend",
        &[("CELERY_RESULT_BACKEND", &url("db+postgresql+psycopg2://app:PASSWORD@127.0.0.1:PORT/orders"))],
    );
    let jdbc = url("jdbc:postgresql://127.0.0.1:PORT/orders");
    let login = [("SPRING_DATASOURCE_USERNAME", "app"), ("SPRING_DATASOURCE_PASSWORD", PASSWORD)];
    assert_passes("spring_datasource", &[&[("SPRING_DATASOURCE_URL", jdbc.as_str())][..], &login].concat());
    let laravel = [("DB_CONNECTION", "pgsql"), ("DB_HOST", "127.0.0.1"), ("DB_PORT", &port), ("DB_DATABASE", "orders")];
    assert_passes("db_host", &[&laravel[..], &[("DB_USERNAME", "app"), ("DB_PASSWORD", PASSWORD)]].concat());
    let libpq = [("PGHOST", "127.0.0.1"), ("PGPORT", &port), ("PGDATABASE", "orders"), ("PGUSER", "app"), ("PGPASSWORD", PASSWORD)];
    assert_passes("pghost", &libpq);
    let directory = server.directory.path().display().to_string();
    let socket = [("DB_TYPE", "postgresql"), ("DB_HOST", directory.as_str()), ("DB_PORT", &port), ("DB_NAME", "orders")];
    assert_passes("db_host", &[&socket[..], &[("DB_USER", "app"), ("DB_PASSWORD", PASSWORD)]].concat());
    let socket = [("PGHOST", directory.as_str()), ("PGPORT", &port), ("PGDATABASE", "orders"), ("PGUSER", "app"), ("PGPASSWORD", PASSWORD)];
    assert_passes("pghost", &socket);
    // The same database by all of them is one check.
    let plain = url("postgres://app:PASSWORD@127.0.0.1:PORT/orders");
    assert_passes("database", &[&[("DATABASE_URL", plain.as_str()), ("OTHER_URL", &format!("{plain}/"))][..], &libpq].concat());
    let warnings = assert_passes("database", &[("DATABASE_URL", &format!("{plain}\n"))]);
    assert!(warnings.contains("DATABASE_URL: has blanks or a line break around the URL"), "{warnings}");
}

#[test]
fn a_mariadb_server_is_found_as_its_frameworks_describe_it() {
    let server = mariadb(PASSWORD);
    let port = server.port.to_string();
    for scheme in ["mysqlgis", "mysql-connector", "trilogy", "jdbc:mysql", "mysql+pymysql"] {
        assert_passes("database", &[("DATABASE_URL", &format!("{scheme}://app:{PASSWORD}@127.0.0.1:{port}/orders"))]);
    }
    let beanstalk = [("DB_ENGINE", "django.db.backends.mysql"), ("DB_HOST", "127.0.0.1"), ("DB_PORT", &port)];
    assert_passes("db_host", &[&beanstalk[..], &[("DB_USER", "app"), ("DB_PASSWORD", PASSWORD), ("DB_NAME", "orders")]].concat());
    let wordpress = format!("127.0.0.1:{port}");
    let wordpress = [("WORDPRESS_DB_HOST", wordpress.as_str()), ("WORDPRESS_DB_USER", "app"), ("WORDPRESS_DB_PASSWORD", PASSWORD)];
    assert_passes("wordpress_db_host", &wordpress);
}

#[test]
fn a_redis_server_is_found_as_its_frameworks_describe_it() {
    let server = redis(PASSWORD);
    let port = server.port.to_string();
    let parts = [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", port.as_str()), ("REDIS_PASSWORD", PASSWORD)];
    assert_passes("redis_host", &parts);
    assert_passes("redis_host", &[&parts[..], &[("CACHE_STORE", "redis"), ("SESSION_DRIVER", "file")]].concat());
    let (components, _) = check(&[&parts[..], &[("CACHE_STORE", "database"), ("SESSION_DRIVER", "file")]].concat());
    assert!(components.is_empty(), "a Laravel application that does not use Redis: {components:?}");
    assert_passes("cache", &[("CACHE_URL", &format!("rediscache://:{PASSWORD}@127.0.0.1:{port}/1"))]);
    assert_passes("queue", &[("REDIS_PROVIDER", "QUEUE"), ("QUEUE", &format!("redis://:{PASSWORD}@127.0.0.1:{port}"))]);
    let messenger = format!("redis://{PASSWORD}@127.0.0.1:{port}/messages/symfony/consumer?dbindex=3&auto_setup=true");
    assert_passes("messenger_transport", &[("MESSENGER_TRANSPORT_DSN", &messenger)]);
}

#[test]
fn a_redis_server_without_a_password_is_found_although_variables_mislead() {
    let server = redis("");
    let port = server.port.to_string();
    // Laravel writes `null`; `AUTH null` would be rejected.
    assert_passes(
        "redis_host",
        &[("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", &port), ("REDIS_PASSWORD", "null"), ("CACHE_DRIVER", "redis")],
    );
    // A service link of Kubernetes is no port.
    let host = format!("127.0.0.1:{port}");
    assert_passes("redis_host", &[("REDIS_HOST", &host), ("REDIS_PORT", "tcp://127.0.0.1:1"), ("REDIS_SERVICE_HOST", "127.0.0.2")]);
}

#[test]
fn a_rabbitmq_server_is_found_as_its_frameworks_describe_it() {
    let server = rabbitmq(PASSWORD);
    let port = server.port.to_string();
    server.add_vhost("orders", &[]);
    let login = [("RABBITMQ_USER", "app"), ("RABBITMQ_PASSWORD", PASSWORD), ("RABBITMQ_HOST", "127.0.0.1"), ("RABBITMQ_PORT", &port)];
    assert_passes("rabbitmq_host", &[&login[..], &[("RABBITMQ_VHOST", "orders")]].concat());
    for path in ["%2f/messages", "orders/messages"] {
        let messenger = format!("amqp://app:{PASSWORD}@127.0.0.1:{port}/{path}");
        assert_passes("messenger_transport", &[("MESSENGER_TRANSPORT_DSN", &messenger)]);
    }
    let spring = format!("127.0.0.1:{port}");
    let spring =
        [("SPRING_RABBITMQ_ADDRESSES", spring.as_str()), ("SPRING_RABBITMQ_USERNAME", "app"), ("SPRING_RABBITMQ_PASSWORD", PASSWORD)];
    assert_passes("spring_rabbitmq_addresses", &spring);
}

#[test]
fn a_memcached_server_is_found_by_its_host_or_its_list() {
    let server = memcached(&[]);
    let address = format!("127.0.0.1:{}", server.port);
    assert_passes("memcached_servers", &[("MEMCACHED_SERVERS", &address)]);
    assert_passes("memcached_host", &[("MEMCACHED_HOST", "127.0.0.1"), ("MEMCACHED_PORT", &server.port.to_string())]);
    let (components, warnings) = check(&[("MEMCACHIER_SERVERS", &address), ("MEMCACHIER_USERNAME", "app")]);
    assert!(
        components.is_empty() && warnings.contains("MEMCACHIER_SERVERS: not checked: a list of servers, or a login by SASL"),
        "{warnings}"
    );
}
