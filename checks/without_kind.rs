//! Backends without a kind of their own, and what checks them meanwhile.

/// What to write for a backend that has no kind yet; its usual name is in lower case, with `_` between words.
#[must_use]
pub fn alternative(name: &str) -> Option<&'static str> {
    ALTERNATIVES.iter().find(|(names, _)| names.contains(&name)).map(|(_, alternative)| *alternative)
}

/// Names, and what to write.
const ALTERNATIVES: &[(&[&str], &str)] = &[
    (
        &[
            "elasticsearch",
            "elastic",
            "opensearch",
            "solr",
            "meilisearch",
            "typesense",
            "clickhouse",
            "influxdb",
            "couchdb",
            "consul",
            "vault",
            "etcd",
        ],
        "`http` can check its health endpoint",
    ),
    (
        &["grpc", "graphql", "websocket", "ws", "kubernetes", "prometheus", "minio_console"],
        "`http` can check its health endpoint, `tcp` its port",
    ),
    (
        &[
            "kafka",
            "redpanda",
            "mongo",
            "mongodb",
            "documentdb",
            "nats",
            "activemq",
            "artemis",
            "pulsar",
            "mqtt",
            "mosquitto",
            "zookeeper",
            "cassandra",
            "scylla",
            "scylladb",
            "neo4j",
            "mssql",
            "sqlserver",
            "oracle",
            "db2",
            "snowflake",
            "smtp",
            "email",
            "mail",
            "imap",
            "ldap",
            "ftp",
            "sftp",
            "ssh",
            "dns",
            "beanstalkd",
            "gearman",
            "rocketmq",
        ],
        "`tcp` can check that its port accepts connections",
    ),
    (&["ping", "icmp"], "`tcp` can check that a port of the host accepts connections"),
    (&["cpu", "load", "process", "uptime"], "`memory`, `disk` and `storage` check the host"),
    (&["sqs", "sns", "dynamodb", "kinesis", "pubsub", "servicebus", "eventhub"], "`http` can check that its endpoint answers"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_kind_needs_no_alternative() {
        assert!(crate::KINDS.iter().all(|kind| alternative(kind).is_none()));
        assert!(alternative("kafka").is_some_and(|alternative| alternative.contains("`tcp`")));
    }
}
