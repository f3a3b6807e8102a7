//! What a URL belongs to, by its scheme.

use crate::kinds::{Kind, Registry};
use allswell_checks::contract::{Category, unwrapped};

/// Schemes of backends for which there is no kind. Their variables are warned about, because the application may need them.
const WITHOUT_KIND: &[&str] = &[
    "amazonsqs://",
    "azureservicebus://",
    "bolt://",
    "cassandra://",
    "clickhouse://",
    "confluentkafka://",
    "couchbase://",
    "couchbases://",
    "db2://",
    "elasticsearch://",
    "firebird://",
    "gcpubsub://",
    "influxdb://",
    "kafka://",
    "ldap://",
    "ldaps://",
    "libsql://",
    "mongodb://",
    "mqtt://",
    "mqtts://",
    "mssql://",
    "nats://",
    "neo4j://",
    "opensearch://",
    "oracle://",
    "prisma://",
    "pulsar://",
    "redshift://",
    "snowflake://",
    "sqlserver://",
    "sqs://",
    "stomp://",
    "zookeeper://",
];

/// Schemes of what runs inside the application, or uses another backend of it: there is nothing to check.
const WITHIN_THE_APPLICATION: &[&str] = &[
    "dbcache://",
    "derby://",
    "doctrine://",
    "dummy://",
    "dummycache://",
    "filecache://",
    "filesystem://",
    "h2://",
    "hsqldb://",
    "in-memory://",
    "locmem://",
    "locmemcache://",
    "memory://",
    "null://",
    "redislite://",
    "rpc://",
    "sync://",
    "uwsgicache://",
];

/// The scheme of Ecto's URLs, which stands for the database of the application's adapter: usually that of the kind that declares it.
const ECTO: &str = "ecto";

/// What the scheme of a URL says.
pub(super) enum Meaning<'a> {
    /// It belongs to this kind.
    Kind(&'a Kind),
    /// It belongs to a backend for which there is no kind.
    NoKind,
    /// It belongs to one of several kinds.
    Unclear,
    /// It is a file, of which only the application knows where it is.
    File,
    /// It names nothing that could be checked.
    WithinTheApplication,
    /// It belongs to no backend that is known here, or there is none.
    Unknown,
}

/// What the scheme of a URL says. Only databases, caches and queues count, so that nothing is contacted that might be a webhook.
pub(super) fn meaning<'a>(url: &str, registry: &'a Registry) -> Meaning<'a> {
    let Some((scheme, rest)) = unwrapped(url).split_once(':') else { return Meaning::Unknown };
    let scheme = scheme.split('+').next().unwrap_or(scheme).to_ascii_lowercase();
    let eligible = |kind: &&Kind| matches!(kind.category, Category::Database | Category::Cache | Category::Queue);
    let is_listed = |schemes: &[&str]| schemes.iter().any(|listed| listed.trim_end_matches("://") == scheme);
    match registry.kinds().filter(eligible).find(|kind| kind.schemes.contains(&&*scheme)) {
        Some(kind) if scheme == ECTO && has_port_of_another(rest, kind, registry) => Meaning::Unclear,
        Some(kind) => Meaning::Kind(kind),
        None if is_listed(WITHOUT_KIND) => Meaning::NoKind,
        None if is_listed(WITHIN_THE_APPLICATION) => Meaning::WithinTheApplication,
        None if scheme == "file" => Meaning::File,
        None => Meaning::Unknown,
    }
}

fn has_port_of_another(rest: &str, kind: &Kind, registry: &Registry) -> bool {
    let authority = rest.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
    let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    port.is_some() && registry.kinds().any(|other| other.name != kind.name && other.default_port == port)
}
