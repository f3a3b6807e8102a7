//! What the error numbers of servers and proxies mean.

use crate::contract::FailureClass::{self, Exhausted, Protocol, Rejected, Unhealthy, Unreachable};

/// Why a server refused a login or a statement.
#[derive(Debug)]
pub(super) struct Reason {
    pub(super) class: FailureClass,
    pub(super) message: &'static str,
    /// Whether the error is about this statement alone, so that the server may accept another one.
    pub(super) is_about_statement: bool,
}

const fn of_server(class: FailureClass, message: &'static str) -> Reason {
    Reason { class, message, is_about_statement: false }
}

const fn of_statement(class: FailureClass, message: &'static str) -> Reason {
    Reason { class, message, is_about_statement: true }
}

const CREDENTIALS: &Reason = &of_server(Rejected, "the credentials are not accepted");
const DISK_FULL: &Reason = &of_server(Exhausted, "the server's disk is full");
const NEEDS_TLS: &Reason = &of_server(Rejected, "the server accepts encrypted connections only: write `ssl-mode=VERIFY_IDENTITY`");
const NOT_READY: &Reason = &of_server(Unhealthy, GALERA_NOT_READY);
const OTHER: &Reason = &of_statement(Unhealthy, "the server replied with an error");
const READ_ONLY: &Reason = &of_server(Unhealthy, "the server is read-only");
const USER_CONNECTIONS: &Reason = &of_server(Exhausted, "the user's connection limit is reached");

/// By number. Where both have a number, it means the same in `MySQL` and `MariaDB`:
/// <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
/// <https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference>. Numbers from 9001 on are those of `ProxySQL`
/// (`PROXYSQL_MYSQL_ERR` in its sources), 9501 is RDS Proxy's
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.troubleshooting.html>).
const REASONS: &[(&[u16], &Reason)] = &[
    // The account.
    (&[1045, 1873], CREDENTIALS),
    (&[1698], &of_server(Rejected, "the account accepts no password: log in through the Unix socket, or with another account")),
    (&[1820, 1862], &of_server(Rejected, "the user's password has expired")),
    (&[3118, 4151], &of_server(Rejected, "the account is locked")),
    (&[3955, 4150], &of_server(Rejected, "the account is blocked after too many failed logins")),
    (&[1251, 1275, 1524], &of_server(Rejected, "the account's login method cannot be used")),
    (&[3159], NEEDS_TLS),
    (&[1044, 1049], &of_server(Rejected, "the database does not exist, or the user may not access it")),
    (&[1142, 1143, 1227, 1370], &of_statement(Rejected, "the user does not have the required permission")),
    // The host of the client.
    (&[1129], &of_server(Rejected, "the server blocks this host after too many connection errors: flush its host cache")),
    (&[1130], &of_server(Rejected, "the server does not allow connections from this host")),
    // Limits.
    (&[1040], &of_server(Exhausted, "the server's connection limit is reached")),
    (&[1203], USER_CONNECTIONS),
    (&[1226], &of_server(Exhausted, "the account has reached one of its limits per hour")),
    (&[9501], &of_server(Exhausted, "the proxy has no free connection to the server")),
    (&[1021], DISK_FULL),
    (&[1114], &of_server(Exhausted, "a table of the server is full, or its disk")),
    (&[1037, 1038, 1041], &of_server(Exhausted, "the server is out of memory")),
    (&[1135], &of_server(Exhausted, "the server cannot start a thread")),
    // The state of the server.
    (&[1053], &of_server(Unhealthy, "the server is shutting down")),
    (&[3032], &of_server(Unhealthy, "the server is in offline mode")),
    (&[3168], &of_server(Unhealthy, "the server is not available yet")),
    (&[1792, 1836, 1874], READ_ONLY),
    (&[1881], &of_server(Unhealthy, "the server is read-only: it runs with `innodb_force_recovery`")),
    (&[1317, 1927], &of_server(Unhealthy, "the server or a proxy ended the connection or the query")),
    (&[1205], &of_server(Unhealthy, "the query waited too long for a lock")),
    (&[1969, 3024], &of_server(Unhealthy, "the query ran longer than the server allows")),
    (&[2002, 2003, 2006, 2013, 9001, 9002, 9004, 9005, 9006], &of_server(Unhealthy, "the proxy has no server that works")),
    // The network.
    (&[1152, 1158, 1159, 1160, 1161, 1184], &of_server(Unreachable, "the connection was interrupted")),
    (&[1043], &of_server(Protocol, "the server rejected our handshake")),
    // The statement.
    (&[1115, 1273], &of_server(Unhealthy, "the server does not know the character set: write another one as `charset` in the URL")),
    (&[1153], &of_statement(Unhealthy, "the query is longer than the server allows")),
    (&[1054, 1064, 1146, 1149, 1193, 1235, 1295, 1305], &of_statement(Unhealthy, "the server rejected the query")),
];

/// The reason for an error. Some numbers have several meanings, which differ only in the text of the server.
pub(super) fn reason(number: u16, text: &str) -> &'static Reason {
    let has = |words: &str| text.contains(words);
    match number {
        // Otherwise it is an unknown command.
        1047 if has("WSREP") => NOT_READY,
        // Writes fail with the number of the storage engine, or of the file.
        3 | 1026 | 1030 if has("No space left") || has("errno: 28") => DISK_FULL,
        1226 if has("max_user_connections") => USER_CONNECTIONS,
        1290 if has("read-only") || has("read_only") => READ_ONLY,
        // Vitess, and Azure, which uses a number of ProxySQL.
        1105 if has("insecure connections") => NEEDS_TLS,
        9002 if has("SSL") => NEEDS_TLS,
        _ => REASONS.iter().find(|(numbers, _)| numbers.contains(&number)).map_or(OTHER, |(_, reason)| *reason),
    }
}

/// `SELECT 1` works on such a node, but no query of a table does.
pub(super) const GALERA_NOT_READY: &str = "the Galera node is not ready for queries";

/// The login methods of accounts that no client without a plugin of theirs can use.
const LOGIN_METHODS: &[&str] = &[
    "auth_gssapi_client",
    "authentication_fido_client",
    "authentication_kerberos_client",
    "authentication_ldap_sasl_client",
    "authentication_oci_client",
    "authentication_openid_connect_client",
    "authentication_webauthn_client",
    "authentication_windows_client",
    "client_ed25519",
    "dialog",
    "mysql_old_password",
    "parsec",
];

/// The message about a login method that the driver does not know, by the driver's words. A name that is not one of `MySQL`'s or
/// `MariaDB`'s is not published: the server chooses it.
pub(super) fn unsupported_login(words: &str) -> Option<String> {
    let asked = words.strip_prefix("unknown authentication plugin: ")?.split(' ').next()?;
    let method = LOGIN_METHODS.iter().find(|method| **method == asked).map(|method| format!(" `{method}`")).unwrap_or_default();
    Some(format!("the login method{method} of the account is not supported: use an account with a password of the usual kind"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_number_has_one_row() {
        let numbers: Vec<u16> = REASONS.iter().flat_map(|(numbers, _)| *numbers).copied().collect();
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
    }

    #[test]
    fn the_text_of_the_server_decides_where_a_number_does_not() {
        for (number, text, message) in [
            (1047, "WSREP has not yet prepared node for application use", GALERA_NOT_READY),
            (1047, "Unknown command", "the server replied with an error"),
            (1030, "Got error 28 \"No space left on device\" from storage engine InnoDB", "the server's disk is full"),
            (1030, "Got error 168 \"Unknown (generic) error from engine\" from storage engine", "the server replied with an error"),
            (
                1226,
                "User 'app' has exceeded the 'max_user_connections' resource (current value: 1)",
                "the user's connection limit is reached",
            ),
            (1226, "User 'app' has exceeded the 'max_queries_per_hour' resource", "the account has reached one of its limits per hour"),
            (1290, "The MySQL server is running with the --super-read-only option", "the server is read-only"),
            (1290, "The MariaDB server is running with the --skip-grant-tables option", "the server replied with an error"),
            (
                1105,
                "unknown error: Code: UNAVAILABLE server does not allow insecure connections, client must use SSL/TLS",
                NEEDS_TLS.message,
            ),
            (9002, "SSL connection is required. Please specify SSL options and retry.", NEEDS_TLS.message),
            (9001, "Max connect timeout reached while reaching hostgroup 0 after 10000ms", "the proxy has no server that works"),
        ] {
            assert_eq!(reason(number, text).message, message, "{number} {text}");
        }
    }

    #[test]
    fn only_errors_about_a_statement_let_the_next_variant_be_tried() {
        // Unsupported by a proxy, a permission, an error of Vitess; then the state of the server or the account.
        for number in [1064, 1142, 1193, 1227, 1235, 1295, 1105] {
            assert!(reason(number, "").is_about_statement, "{number}");
        }
        for number in [1040, 1045, 1053, 1205, 1820, 3032, 9001] {
            assert!(!reason(number, "").is_about_statement, "{number}");
        }
    }

    #[test]
    fn an_unsupported_login_method_is_named_if_it_is_a_known_one() {
        let message = |plugin: &str| unsupported_login(&format!("unknown authentication plugin: {plugin} (sqlx_mysql::protocol::auth:36)"));
        assert!(message("client_ed25519").is_some_and(|message| message.contains("`client_ed25519`")));
        assert!(message("hunter2").is_some_and(|message| !message.contains("hunter2")));
        assert_eq!(unsupported_login("expected 21 bytes"), None);
    }
}
