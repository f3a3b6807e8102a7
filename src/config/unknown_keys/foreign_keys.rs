//! Keys of other programs, and which of our keys does the same. Kubernetes, Docker, load balancers and database clients are the usual
//! sources.

/// What a key of another program is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Counterpart {
    /// The same under another name.
    Name,
    /// The same under another name, as text with a unit.
    Duration,
    /// A part of our key.
    Part,
    /// The opposite or another form of our key, as in this example.
    Form(&'static str),
}

/// Keys of other programs that have the same counterpart here.
pub(in crate::config) struct ForeignKey {
    /// In lower case, with `_` between words.
    pub(in crate::config) words: &'static [&'static str],
    /// Our keys; the first that the table has counts.
    pub(in crate::config) ours: &'static [&'static str],
    pub(in crate::config) counterpart: Counterpart,
}

const fn key(words: &'static [&'static str], ours: &'static [&'static str], counterpart: Counterpart) -> ForeignKey {
    ForeignKey { words, ours, counterpart }
}

/// All that are known.
pub(in crate::config) const FOREIGN_KEYS: &[ForeignKey] = &[
    key(
        &["port", "host", "hostname", "host_name", "ip", "ip_address"],
        &["url", "address", "broker", "endpoint", "listen"],
        Counterpart::Part,
    ),
    key(
        &[
            "db",
            "database",
            "dbname",
            "db_name",
            "database_name",
            "vhost",
            "virtual_host",
            "scheme",
            "ssl",
            "sslmode",
            "ssl_mode",
            "tls_enabled",
        ],
        &["url", "broker"],
        Counterpart::Part,
    ),
    key(&["bind", "bind_address", "listen_address", "address", "addr", "socket"], &["listen"], Counterpart::Name),
    key(
        &[
            "address",
            "addr",
            "server",
            "uri",
            "url",
            "dsn",
            "connection_string",
            "connection_url",
            "endpoint",
            "target",
            "database_url",
            "broker_url",
        ],
        &["url", "address", "broker", "path"],
        Counterpart::Name,
    ),
    key(
        &["sentinels", "hosts", "servers", "startup_nodes", "addresses", "brokers"],
        &["nodes", "url", "broker", "address"],
        Counterpart::Name,
    ),
    key(&["user", "login", "user_name"], &["username"], Counterpart::Name),
    key(&["pass", "passwd", "pwd", "secret"], &["password", "token", "secret_access_key"], Counterpart::Name),
    key(
        &[
            "retries",
            "max_retries",
            "failure_threshold",
            "unhealthy_threshold",
            "unhealthy_threshold_count",
            "max_fails",
            "attempts",
            "failures",
        ],
        &["fall"],
        Counterpart::Name,
    ),
    key(&["success_threshold", "healthy_threshold", "healthy_threshold_count", "passes", "successes"], &["rise"], Counterpart::Name),
    key(
        &[
            "timeout_seconds",
            "timeout_sec",
            "timeout_secs",
            "timeout_ms",
            "connect_timeout",
            "read_timeout",
            "request_timeout",
            "command_timeout",
        ],
        &["timeout"],
        Counterpart::Duration,
    ),
    key(
        &[
            "period",
            "period_seconds",
            "interval_seconds",
            "interval_sec",
            "interval_secs",
            "interval_ms",
            "check_interval",
            "poll_interval",
            "frequency",
            "every",
            "schedule",
        ],
        &["interval"],
        Counterpart::Duration,
    ),
    key(
        &["termination_grace_period_seconds", "stop_grace_period", "shutdown_timeout", "shutdown_delay", "drain_timeout", "lameduck"],
        &["drain"],
        Counterpart::Duration,
    ),
    key(&["type", "driver", "engine", "adapter", "backend", "provider"], &["kind"], Counterpart::Name),
    key(&["required", "optional", "soft", "severity"], &["critical"], Counterpart::Form("critical = false")),
    key(&["disabled", "disable", "active", "skip", "enable"], &["enabled"], Counterpart::Form("enabled = false")),
    key(
        &["ca", "ca_cert", "ca_certs", "ca_certificate", "cafile", "ca_bundle", "cacert", "ssl_ca", "ssl_ca_certs", "root_cert"],
        &["ca_file", "client_ca_file", "tls.ca_file"],
        Counterpart::Name,
    ),
    key(
        &[
            "cert",
            "cert_file",
            "certfile",
            "certificate",
            "crt",
            "ssl_cert",
            "tls_cert",
            "tls_cert_file",
            "client_cert",
            "client_certificate",
        ],
        &["certificate_file", "client_certificate_file", "tls.client_certificate_file", "tls.certificate_file"],
        Counterpart::Name,
    ),
    key(
        &["key", "key_file", "keyfile", "private_key", "private_key_file", "ssl_key", "tls_key", "tls_key_file", "client_key"],
        &["key_file", "client_key_file", "tls.client_key_file", "tls.key_file"],
        Counterpart::Name,
    ),
    key(
        &[
            "insecure",
            "insecure_skip_verify",
            "skip_verify",
            "verify_ssl",
            "ssl_verify",
            "tls_skip_verify",
            "reject_unauthorized",
            "verify_tls",
        ],
        &["verify", "tls.verify"],
        Counterpart::Name,
    ),
    key(&["sni", "servername"], &["server_name", "tls.server_name"], Counterpart::Name),
    key(&["log_level", "loglevel", "verbosity", "verbose", "debug"], &["level"], Counterpart::Name),
    key(&["log_format"], &["format"], Counterpart::Name),
    key(&["auth_token", "api_key", "bearer_token", "admin_token"], &["token"], Counterpart::Name),
    key(&["service_name", "app", "app_name", "application"], &["name"], Counterpart::Name),
    key(&["error_status", "unhealthy_status", "failure_status", "down_status"], &["fail_status"], Counterpart::Name),
    key(&["status", "status_code", "expected_status", "success_codes", "matcher", "codes"], &["expect_status"], Counterpart::Name),
    key(&["body", "expected_body", "contains", "body_contains"], &["expect_body"], Counterpart::Name),
    key(&["queue", "queue_name", "queue_names"], &["queues"], Counterpart::Name),
    key(&["sql", "statement", "test_query", "validation_query"], &["query"], Counterpart::Name),
    key(&["file", "filename", "directory", "dir", "folder", "mount", "mountpoint"], &["path"], Counterpart::Name),
    key(&["threshold", "min_free"], &["fail_free", "fail_available"], Counterpart::Name),
    key(&["members", "components", "include", "depends_on", "services"], &["checks"], Counterpart::Name),
];

/// Keys of other programs that delay the first probe, which has no key here.
pub(super) const START_DELAYS: &[&str] = &["grace_period", "start_period", "start_interval", "initial_delay", "initial_delay_seconds"];

/// A key in our way of writing: `failureThreshold` and `failure-threshold` as `failure_threshold`.
pub(super) fn in_our_case(key: &str) -> String {
    let mut ours = String::with_capacity(key.len() + 4);
    let mut was_lower = false;
    for c in key.chars() {
        if c.is_ascii_uppercase() && was_lower {
            ours.push('_');
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        ours.push(if c == '-' { '_' } else { c.to_ascii_lowercase() });
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_in_our_way_of_writing() {
        for (key, ours) in [
            ("failureThreshold", "failure_threshold"),
            ("fail-status", "fail_status"),
            ("TLS", "tls"),
            ("listen", "listen"),
            ("maxConnections", "max_connections"),
        ] {
            assert_eq!(in_our_case(key), ours);
        }
    }
}
