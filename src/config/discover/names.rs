//! The names of variables: conventional ones, those of tests, and those that no kind can use.

/// Variables of URLs with a conventional meaning. They are examined first, so that the check is named after them when another variable holds
/// the same URL, and a warning is given when they cannot be used.
pub(super) const CONVENTIONAL_URLS: &[&str] = &[
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
    "DB_URL",
    "POSTGRES_URL",
    "MYSQL_URL",
    "SPRING_DATASOURCE_URL",
    "BROKER_URL",
];

/// Endings of the names of variables that hold a URL.
const URL_ENDINGS: &[&str] = &["_URL", "_URI", "_DSN"];

/// Variables that hold a URL and have another ending.
pub(super) const OTHER_URLS: &[&str] = &["CACHE_LOCATION", "CELERY_RESULT_BACKEND"];

/// Variables that platforms and libraries set next to another one, for another way to the same backend: through a public address, past a
/// pooler, or with TLS.
const ALTERNATIVES: &[(&str, &str)] = &[
    ("DATABASE_PRIVATE_URL", "DATABASE_URL"),
    ("DATABASE_PUBLIC_URL", "DATABASE_URL"),
    ("DIRECT_DATABASE_URL", "DATABASE_URL"),
    ("DIRECT_URL", "DATABASE_URL"),
    ("JDBC_DATABASE_URL", "DATABASE_URL"),
    ("MYSQL_PUBLIC_URL", "MYSQL_URL"),
    ("POSTGRES_PRISMA_URL", "POSTGRES_URL"),
    ("REDIS_PRIVATE_URL", "REDIS_URL"),
    ("REDIS_PUBLIC_URL", "REDIS_URL"),
    ("REDIS_TLS_URL", "REDIS_URL"),
];

const NO_KIND: &str = "this build has no kind for this variable";
const SEVERAL_SERVERS: &str = "several servers work together here: configure one check for them";
const NO_ENGINE: &str = "no variable says which kind of server this is, or with which user to log in: configure a check";
const NO_USER: &str = "no variable says with which user to log in: configure a check";
const NOT_ONE_SERVER: &str = "a list of servers, or a login by SASL, which is not supported: configure a check for each server";

/// Variables of a database server without others that a check needs, and why no check is made of them. One warning is given for a row, unless
/// a URL names the same host.
pub(super) const INCOMPLETE_DATABASES: &[(&[&str], &str)] = &[
    (&["DB_HOST", "DB_CONNECTION"], NO_ENGINE),
    (&["DATABASE_HOST"], NO_ENGINE),
    (&["SQL_HOST"], NO_ENGINE),
    (&["RDS_HOSTNAME"], NO_ENGINE),
    (&["POSTGRES_HOST", "POSTGRES_SERVER"], NO_USER),
    (&["PGHOST"], NO_USER),
    (&["MYSQL_HOST"], NO_USER),
    (&["MARIADB_HOST"], NO_USER),
    (&["WORDPRESS_DB_HOST"], NO_USER),
];

/// Other variables that name a backend which the application needs, and why no check is made of them. One warning is given for a row.
pub(super) const UNCLAIMED: &[(&[&str], &str)] = &[
    (&["EMAIL_URL"], NO_KIND),
    (&["SMTP_URL"], NO_KIND),
    (&["AWS_STORAGE_BUCKET_NAME", "S3_BUCKET"], NO_KIND),
    (&["REDIS_SENTINELS", "REDIS_SENTINEL_HOSTS", "SPRING_DATA_REDIS_SENTINEL_NODES", "SPRING_REDIS_SENTINEL_NODES"], SEVERAL_SERVERS),
    (&["REDIS_CLUSTER_NODES", "SPRING_DATA_REDIS_CLUSTER_NODES", "SPRING_REDIS_CLUSTER_NODES"], SEVERAL_SERVERS),
    (&["MEMCACHIER_SERVERS"], NOT_ONE_SERVER),
    (&["MEMCACHEDCLOUD_SERVERS"], NOT_ONE_SERVER),
    (&["MEMCACHED_SERVERS", "MEMCACHE_SERVERS"], NOT_ONE_SERVER),
    (&["MONGO_HOST", "MONGODB_HOST", "SPRING_DATA_MONGODB_HOST"], NO_KIND),
    (&["ELASTICSEARCH_HOST", "ELASTICSEARCH_HOSTS", "SPRING_ELASTICSEARCH_URIS"], NO_KIND),
    (&["KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS", "SPRING_KAFKA_BOOTSTRAP_SERVERS", "KAFKA_URL"], NO_KIND),
    (&["NATS_SERVERS", "NATS_HOST"], NO_KIND),
];

/// The name of a variable that holds a URL, without its ending.
pub(super) fn stem(variable: &str) -> Option<&str> {
    URL_ENDINGS.iter().find_map(|ending| variable.strip_suffix(ending))
}

/// Whether a variable of this name is expected to hold a URL.
pub(super) fn is_of_url(variable: &str) -> bool {
    stem(variable).is_some() || OTHER_URLS.contains(&variable)
}

/// Whether a variable names the database of tests, or the one in which Prisma tries migrations: the application does not use it.
pub(super) fn is_for_tests(variable: &str) -> bool {
    variable.starts_with("TEST_") || variable.starts_with("SHADOW_") || variable.contains("_TEST_")
}

/// The variable of which this one is an alternative.
pub(super) fn main_of(variable: &str) -> Option<&'static str> {
    ALTERNATIVES.iter().find(|(alternative, _)| *alternative == variable).map(|(_, main)| *main)
}

/// Whether this is one of the connection strings of .NET: `ConnectionStrings__Default`, or as Azure names them.
pub(super) fn is_connection_string(variable: &str) -> bool {
    let starts = ["CONNECTIONSTRINGS__", "CONNECTIONSTRINGS:", "SQLCONNSTR_", "SQLAZURECONNSTR_", "POSTGRESQLCONNSTR_", "MYSQLCONNSTR_"];
    let name = variable.to_ascii_uppercase();
    starts.iter().any(|start| name.starts_with(start))
}
