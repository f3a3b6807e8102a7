//! TLS, plaintext, and the fallback from one to the other; channel binding and login methods.

use super::{PASSWORD, at, trusting, url};
use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{Certificates, Server, postgres_with_tls, postgres_with_tls_and},
};
use std::{fs, path::Path};

/// A server that supports TLS 1.1 at most, as old distributions do.
fn old_tls() -> Server {
    let settings = ["ssl_min_protocol_version=TLSv1", "ssl_max_protocol_version=TLSv1.1", "ssl_ciphers=ALL:@SECLEVEL=0"];
    postgres_with_tls_and(PASSWORD, Certificates::of_rsa, &settings).0
}

/// A server with RSA key exchange only.
fn static_rsa() -> Server {
    let settings = ["ssl_max_protocol_version=TLSv1.2", "ssl_ciphers=AES256-SHA256:AES128-GCM-SHA256"];
    postgres_with_tls_and(PASSWORD, Certificates::of_rsa, &settings).0
}

#[test]
fn old_tls_is_named_and_prefer_does_without_it() {
    let (old, rsa) = (old_tls(), static_rsa());
    for server in [&old, &rsa] {
        for parameters in ["", "?sslmode=prefer", "?sslmode=allow"] {
            let seen = Probed::new(&at("localhost", server, parameters)).pass();
            assert!(!seen.values().contains_key("tls_ms"), "{parameters}: plaintext");
        }
    }
    assert_failures(&[
        Case::new(
            "TLS 1.1",
            at("localhost", &old, "?sslmode=require"),
            "tls",
            "the server offers TLS 1.1 at most, and TLS 1.2 or 1.3 is required",
        ),
        Case::new(
            "static RSA",
            at("localhost", &rsa, "?sslmode=require"),
            "tls",
            "no common cipher suite: the server may offer only static RSA, DHE or CBC, or a key of an unsupported type, which are not supported",
        ),
    ]);
}

/// Replaces the server's rules and waits until they apply.
fn rules(server: &Server, rules: &str) {
    let file = server.directory.path().join("data/pg_hba.conf");
    fs::write(file, format!("host postgres app all scram-sha-256\n{rules}\n")).expect("a file");
    server.psql(PASSWORD, "postgres", "SELECT pg_reload_conf()");
    let last = rules.lines().count() + 1;
    let loaded = format!("SELECT count(*) FROM pg_hba_file_rules WHERE line_number <= {last}");
    eventually("the rules are loaded", || (server.psql(PASSWORD, "postgres", &loaded) == last.to_string()).then_some(()));
    // The postmaster reads the signal a moment later.
    std::thread::sleep(std::time::Duration::from_millis(200));
}

#[test]
fn the_servers_rules_choose_the_transport_of_prefer_and_allow() {
    let (server, _) = postgres_with_tls(PASSWORD, Certificates::new);
    let is_encrypted = |parameters: &str| {
        let seen = Probed::new(&at("localhost", &server, parameters)).pass();
        seen.values().contains_key("tls_ms")
    };
    assert!(is_encrypted("") && !is_encrypted("?sslmode=allow"), "both are possible");
    rules(&server, "hostnossl orders app all scram-sha-256");
    assert!(!is_encrypted("") && !is_encrypted("?sslmode=allow"));
    let message = "the server does not allow this user to connect from this host, or requires TLS";
    assert_failures(&[Case::new("require", at("localhost", &server, "?sslmode=require"), "rejected", message)]);
    rules(&server, "hostssl orders app all scram-sha-256");
    assert!(is_encrypted("") && is_encrypted("?sslmode=allow"));
    rules(&server, "host other app all scram-sha-256");
    assert_failures(&[
        Case::new("neither, prefer", at("localhost", &server, ""), "rejected", message),
        Case::new("neither, allow", at("localhost", &server, "?sslmode=allow"), "rejected", message),
    ]);
}

#[test]
fn channel_binding_proves_the_server_without_a_certificate_to_trust() {
    for make in [Certificates::new as fn(&Path) -> Certificates, Certificates::of_rsa] {
        let (server, _) = postgres_with_tls(PASSWORD, make);
        Probed::new(&at("localhost", &server, "?sslmode=require&channel_binding=require")).pass();
        Probed::new(&at("localhost", &server, "?channel_binding=require")).pass();
        let message = "`channel_binding=require` requires TLS and a server that offers SCRAM-SHA-256-PLUS, which poolers do not: write \
                       `sslmode=verify-full` instead";
        let table = at("localhost", &server, "?sslmode=disable&channel_binding=require");
        assert_failures(&[Case::new("no TLS", table, "rejected", message)]);
        let wrong = url(&format!("postgres://app:wrong@localhost:{}/orders?sslmode=require&channel_binding=require", server.port));
        assert_failures(&[Case::new("wrong", wrong, "rejected", "the credentials are not accepted")]);
    }
}

#[test]
fn login_methods_that_are_not_supported_or_permitted_are_named() {
    let (server, good) = postgres_with_tls(PASSWORD, Certificates::new);
    server.psql(
        PASSWORD,
        "postgres",
        "SET password_encryption = 'md5'; CREATE ROLE hashed LOGIN PASSWORD 'probe-password'; CREATE ROLE kerberos LOGIN; \
         CREATE ROLE trusted LOGIN; CREATE ROLE clear LOGIN PASSWORD 'probe-password'; CREATE ROLE certified LOGIN; \
         CREATE ROLE identified LOGIN",
    );
    rules(
        &server,
        "host orders hashed all md5\nhost orders kerberos all gss\nhost orders trusted all trust\nhost orders clear all password\n\
         hostssl orders certified all cert\nhost orders identified all ident\nhost orders app all scram-sha-256",
    );
    let with =
        |role: &str, parameters: &str| url(&format!("postgres://{role}:probe-password@localhost:{}/orders{parameters}", server.port));
    for (role, parameters) in
        [("hashed", "?require_auth=md5"), ("hashed", "?require_auth=!password,!none"), ("trusted", ""), ("trusted", "?require_auth=none")]
    {
        Probed::new(&with(role, parameters)).pass();
    }
    Probed::new(&(with("clear", "?require_auth=password") + &trusting(&good))).pass();
    assert_failures(&[
        Case::new(
            "GSSAPI",
            with("kerberos", ""),
            "rejected",
            "the server requires a GSSAPI (Kerberos) login, which is not supported: give the check a user with a password",
        ),
        Case::new(
            "MD5",
            with("hashed", "?require_auth=scram-sha-256"),
            "rejected",
            "the server asks for an MD5 login, which `require_auth` does not permit",
        ),
        Case::new(
            "trust",
            with("trusted", "?require_auth=scram-sha-256"),
            "rejected",
            "the server asks for no login, which `require_auth` does not permit",
        ),
        Case::new(
            "cleartext, which verified TLS would allow",
            with("clear", "?require_auth=!password") + &trusting(&good),
            "rejected",
            "the server asks for the cleartext password, which `require_auth` does not permit",
        ),
        Case::new(
            "cleartext",
            with("clear", ""),
            "rejected",
            "the server asks for the cleartext password, which is sent over verified TLS only: write `sslmode=verify-full`, or set \
             `allow_cleartext_password = true`",
        ),
        Case::new(
            "a certificate",
            with("certified", "?sslmode=require"),
            "rejected",
            "the server requires a client certificate: set `tls.client_certificate_file`",
        ),
        Case::new("ident", with("identified", ""), "rejected", "the credentials are not accepted"),
    ]);
}
