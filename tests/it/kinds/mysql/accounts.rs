//! What a check reports about the state of its account and of its host.

use super::{PASSWORD, server, table_of};
use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{Certificates, Server, mariadb_with, mariadb_with_tls, proxy::Proxy},
};
use std::{
    io::Read,
    net::{Ipv4Addr, TcpStream},
    path::Path,
};

fn table(server: &Server, user: &str) -> String {
    table_of(user, server.port, "")
}

#[test]
fn each_state_of_an_account_has_its_reason() {
    let server = mariadb_with(
        PASSWORD,
        &["--plugin-load-add=auth_ed25519", "--plugin-load-add=auth_pam", "--secure-auth=0", "--disconnect-on-expired-password=1"],
    );
    for (user, how) in [
        ("locked", "IDENTIFIED BY 'probe-password' ACCOUNT LOCK"),
        ("expired", "IDENTIFIED BY 'probe-password' PASSWORD EXPIRE"),
        ("by_socket", "IDENTIFIED VIA unix_socket"),
        ("by_ed25519", "IDENTIFIED VIA ed25519 USING PASSWORD('probe-password')"),
        ("by_pam", "IDENTIFIED VIA pam"),
        ("by_old_password", "IDENTIFIED VIA mysql_old_password USING '6f8c114b58f2ce9e'"),
        ("encrypted", "IDENTIFIED BY 'probe-password' REQUIRE SSL"),
        ("hourly", "IDENTIFIED BY 'probe-password' WITH MAX_QUERIES_PER_HOUR 1"),
    ] {
        server.mariadb(&format!("CREATE USER {user}@'127.0.0.1' {how}"));
    }
    let unsupported = |method: &str| -> &'static str {
        let message =
            format!("the login method `{method}` of the account is not supported: use an account with a password of the usual kind");
        message.leak()
    };
    assert_failures(&[
        Case::new("locked", table(&server, "locked"), "rejected", "the account is locked"),
        Case::new("expired", table(&server, "expired"), "rejected", "the user's password has expired"),
        Case::new(
            "no password",
            table(&server, "by_socket"),
            "rejected",
            "the account accepts no password: log in through the Unix socket, or with another account",
        ),
        Case::new("ed25519", table(&server, "by_ed25519"), "rejected", unsupported("client_ed25519")),
        Case::new("PAM", table(&server, "by_pam"), "rejected", unsupported("dialog")),
        Case::new("an old password", table(&server, "by_old_password"), "rejected", unsupported("mysql_old_password")),
        Case::new("TLS is required", table(&server, "encrypted"), "rejected", "the credentials are not accepted"),
        Case::new("queries per hour", table(&server, "hourly"), "exhausted", "the account has reached one of its limits per hour"),
    ]);
    server.mariadb("SET GLOBAL disconnect_on_expired_password = 0");
    assert_eq!(Probed::new(&table(&server, "expired")).fail().message(), "the user's password has expired");
}

#[test]
fn a_user_without_free_connections_is_exhausted() {
    let server = server(&["--max-user-connections=1"]);
    server.mariadb("CREATE USER single@'127.0.0.1' IDENTIFIED BY 'probe-password' WITH MAX_USER_CONNECTIONS 1");
    let first = Probed::new(&table(&server, "single"));
    first.pass();
    assert_eq!(Probed::new(&table(&server, "single")).fail().to_string(), "exhausted: the user's connection limit is reached");
    let probe = Probed::new(&table(&server, "probe"));
    probe.pass();
    assert_eq!(Probed::new(&table(&server, "probe")).fail().to_string(), "exhausted: the user's connection limit is reached");
}

#[test]
fn an_account_with_too_many_failed_logins_is_blocked() {
    let server = server(&["--max-password-errors=2"]);
    let wrong = format!("kind = \"mysql\"\nurl = \"mysql://probe:wrong@127.0.0.1:{}\"", server.port);
    for _ in 0..2 {
        assert_eq!(Probed::new(&wrong).fail().message(), "the credentials are not accepted");
    }
    let blocked = "rejected: the account is blocked after too many failed logins";
    assert_eq!(Probed::new(&table(&server, "probe")).fail().to_string(), blocked);
}

/// A server that blocks a host after one connection error, and a proxy through which the host is not 127.0.0.1, which is never blocked.
fn server_that_blocks() -> (Server, Proxy) {
    let server = server(&["--max-connect-errors=1"]);
    let proxy = Proxy::with_source(Ipv4Addr::new(127, 0, 0, 2), server.port);
    (server, proxy)
}

#[test]
fn a_host_without_an_account_and_a_blocked_host_have_different_messages() {
    let (server, proxy) = server_that_blocks();
    let probed = Probed::new(&table_of("probe", proxy.port, ""));
    assert_eq!(probed.fail().to_string(), "rejected: the server does not allow connections from this host");
    server.mariadb("CREATE USER probe@'127.0.0.2' IDENTIFIED BY 'probe-password'");
    probed.pass();
    // A client that closes the connection instead of logging in, as a TCP check does.
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port)).expect("a connection");
    client.read_exact(&mut [0; 5]).expect("a greeting");
    drop(client);
    let blocked = "rejected: the server blocks this host after too many connection errors: flush its host cache";
    eventually("the host is blocked", || {
        let fresh = Probed::new(&table_of("probe", proxy.port, "")).probe();
        fresh.err().filter(|failure| failure.to_string() == blocked)
    });
    server.mariadb("FLUSH HOSTS");
    Probed::new(&table_of("probe", proxy.port, "")).pass();
}

#[test]
fn probes_that_log_in_do_not_block_their_host() {
    let (server, proxy) = server_that_blocks();
    server.mariadb("CREATE USER probe@'127.0.0.2' IDENTIFIED BY 'probe-password'");
    let fresh = Probed::new(&table_of("probe", proxy.port, "connection = \"fresh\""));
    fresh.passes(5);
    let wrong_query = Probed::new(&table_of("probe", proxy.port, "connection = \"fresh\"\nquery = \"SELEC 1\""));
    for _ in 0..3 {
        assert_eq!(wrong_query.fail().message(), "the server rejected the query");
    }
    let wrong_password = format!("kind = \"mysql\"\nurl = \"mysql://probe:wrong@127.0.0.1:{}\"", proxy.port);
    for _ in 0..3 {
        assert_eq!(Probed::new(&wrong_password).fail().message(), "the credentials are not accepted");
    }
    fresh.pass();
}

#[test]
fn probes_that_end_the_login_do_not_block_their_host() {
    let (server, certificates) = mariadb_with_tls(PASSWORD, Certificates::new);
    server
        .mariadb("SET GLOBAL max_connect_errors = 1; SET GLOBAL secure_auth = 0; INSTALL SONAME 'auth_ed25519'; INSTALL SONAME 'auth_pam'");
    for (user, how) in [
        ("probe", "IDENTIFIED BY 'probe-password'"),
        ("by_ed25519", "IDENTIFIED VIA ed25519 USING PASSWORD('probe-password')"),
        ("by_pam", "IDENTIFIED VIA pam"),
        ("by_old_password", "IDENTIFIED VIA mysql_old_password USING '6f8c114b58f2ce9e'"),
    ] {
        server.mariadb(&format!("CREATE USER {user}@'127.0.0.2' {how}"));
    }
    let proxy = Proxy::with_source(Ipv4Addr::new(127, 0, 0, 2), server.port);
    let fresh = Probed::new(&table_of("probe", proxy.port, "connection = \"fresh\""));
    let ca_file = |file: &Path| format!("tls.ca_file = \"{}\"", file.display());
    for (failing, message) in [
        (table_of("probe", proxy.port, "tls.verify = \"full\""), "tls: the certificate's issuer is not trusted"),
        (
            table_of("probe", proxy.port, &format!("{}\ntls.server_name = \"db.internal\"", ca_file(&certificates.authority))),
            "tls: the certificate is for another name",
        ),
        (table_of("probe", proxy.port, &ca_file(Path::new("/nowhere/ca.pem"))), "tls: the file in `tls.ca_file` does not exist"),
        (table_of("by_ed25519", proxy.port, ""), "rejected: the login method `client_ed25519` of the account is not supported"),
        (table_of("by_pam", proxy.port, ""), "rejected: the login method `dialog` of the account is not supported"),
        (table_of("by_old_password", proxy.port, ""), "rejected: the login method `mysql_old_password` of the account is not supported"),
    ] {
        fresh.pass();
        let probed = Probed::new(&failing);
        for _ in 0..3 {
            let failure = probed.fail().to_string();
            assert!(failure.starts_with(message), "{failing}: {failure}");
        }
    }
    fresh.pass();
}

#[test]
fn probes_that_require_tls_do_not_block_their_host_if_the_server_has_none() {
    let (server, proxy) = server_that_blocks();
    server.mariadb("CREATE USER probe@'127.0.0.2' IDENTIFIED BY 'probe-password'");
    let fresh = Probed::new(&table_of("probe", proxy.port, "connection = \"fresh\""));
    fresh.pass();
    let required = Probed::new(&table_of("probe", proxy.port, "tls.verify = \"full\""));
    for _ in 0..3 {
        assert_eq!(required.fail().to_string(), "tls: the server does not offer TLS");
    }
    fresh.pass();
    // The login without a name succeeds.
    server.mariadb("CREATE USER ''@'127.0.0.2'");
    assert_eq!(required.fail().to_string(), "tls: the server does not offer TLS");
    fresh.pass();
}
