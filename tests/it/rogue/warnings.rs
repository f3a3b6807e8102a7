//! Warnings about passwords that travel over a network without verified TLS.

use super::lab::{PASSWORD, USER};
use crate::helpers::{command, run, write_private};

/// An address of a network that is reserved for documentation: `validate` opens no connection.
const NETWORKED: &str = "192.0.2.1";

/// The warnings of `validate` for a check.
fn warnings(table: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("allswell.toml");
    write_private(&file, &format!("[checks.orders]\n{table}\n"));
    let ran = run(command(&folder).arg("validate").arg("--config").arg(&file));
    assert_eq!(ran.code, Some(0), "{table}: {}", ran.stderr);
    assert!(!ran.stderr.contains(PASSWORD), "{}", ran.stderr);
    ran.stderr.lines().filter(|line| line.contains("warning") && line.contains("orders")).map(str::to_owned).collect()
}

/// Each kind with a password in its URL: its scheme without TLS and with TLS, and the parameters that switch TLS on.
const URLS: [(&str, &str, &str, &str, &str, &str); 7] = [
    ("mysql", "url", "mysql", "mysql", "?ssl-mode=REQUIRED", "?ssl-mode=VERIFY_IDENTITY"),
    ("postgres", "url", "postgres", "postgres", "?sslmode=require", "?sslmode=verify-full"),
    ("redis", "url", "redis", "rediss", "", ""),
    ("rabbitmq", "url", "amqp", "amqps", "", ""),
    ("celery", "broker", "redis", "rediss", "", ""),
    ("celery", "broker", "amqp", "amqps", "", ""),
    ("http", "url", "http", "https", "", ""),
];

fn table(kind: &str, key: &str, scheme: &str, login: &str, host: &str, query: &str) -> String {
    let path = if scheme.starts_with("redis") { "/0" } else { "/orders" };
    format!("kind = \"{kind}\"\n{key} = \"{scheme}://{login}{host}:4711{path}{query}\"\n")
}

#[test]
fn a_password_that_would_travel_without_verified_tls_is_warned_about() {
    let login = format!("{USER}:{PASSWORD}@");
    for (kind, key, plain, encrypted, unverified, _) in URLS {
        let found = warnings(&table(kind, key, plain, &login, NETWORKED, ""));
        assert!(!found.is_empty(), "{kind} by {plain}: no warning");
        let separate = format!("{}password = \"{PASSWORD}\"\n", table(kind, key, plain, &format!("{USER}@"), NETWORKED, ""));
        assert!(!warnings(&separate).is_empty(), "{kind} by {plain}, with the key `password`: no warning");
        if !unverified.is_empty() {
            let found = warnings(&table(kind, key, encrypted, &login, NETWORKED, unverified));
            assert!(!found.is_empty(), "{kind} with {unverified}: no warning");
        }
    }
}

#[test]
fn disabled_verification_is_warned_about() {
    let login = format!("{USER}:{PASSWORD}@");
    for (kind, key, _, encrypted, ..) in URLS {
        let unverified = format!("{}tls.verify = \"none\"\n", table(kind, key, encrypted, &login, NETWORKED, ""));
        assert!(!warnings(&unverified).is_empty(), "{kind} by {encrypted} with tls.verify = none: no warning");
    }
}

#[test]
fn other_secrets_in_plaintext_and_weak_checks_are_warned_about() {
    let redis = "kind = \"redis\"\n";
    let sentinel = format!("{redis}mode = \"sentinel\"\nmaster_name = \"orders\"\n");
    for (warning, table) in [
        ("unencrypted", format!("{sentinel}url = \"redis://{NETWORKED}\"\nsentinel_password = \"{PASSWORD}\"\n")),
        (
            "unencrypted",
            format!("{redis}mode = \"cluster\"\nurl = \"redis://localhost\"\npassword = \"{PASSWORD}\"\nnodes = [\"{NETWORKED}:1\"]\n"),
        ),
        (
            "unencrypted",
            format!(
                "kind = \"s3\"\nbucket = \"media\"\nendpoint = \"http://{NETWORKED}\"\naccess_key_id = \"AKIAROGUE\"\n\
                 secret_access_key = \"c2VjcmV0\"\nsession_token = \"{PASSWORD}\"\n"
            ),
        ),
        (
            "any public authority",
            format!("kind = \"postgres\"\nurl = \"postgres://{USER}@{NETWORKED}/x?sslmode=verify-ca\"\npassword = \"{PASSWORD}\"\n"),
        ),
        ("any public authority", format!("{redis}url = \"rediss://{NETWORKED}\"\ntls.verify = \"ca\"\n")),
        (
            "`sslnegotiation` of the URL has no effect",
            format!("kind = \"postgres\"\nurl = \"postgres://{USER}@{NETWORKED}/x?sslmode=verify-full&sslnegotiation=direct\"\n"),
        ),
        ("`connectTimeout` of the URL has no effect", format!("kind = \"mysql\"\nurl = \"mysql://{USER}@localhost/x?connectTimeout=5\"\n")),
    ] {
        let found = warnings(&table);
        assert!(found.len() == 1 && found[0].contains(warning), "{table}{found:?}");
    }
}

#[test]
fn verified_tls_loopback_and_checks_without_a_password_are_not_warned_about() {
    let login = format!("{USER}:{PASSWORD}@");
    for (kind, key, plain, encrypted, _, verified) in URLS {
        for quiet in [
            table(kind, key, encrypted, &login, NETWORKED, verified),
            table(kind, key, plain, &login, "127.0.0.1", ""),
            table(kind, key, plain, &login, "localhost", ""),
            table(kind, key, plain, "", NETWORKED, ""),
        ] {
            assert_eq!(warnings(&quiet), Vec::<String>::new(), "{quiet}");
        }
    }
}
