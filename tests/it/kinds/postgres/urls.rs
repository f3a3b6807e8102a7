//! URLs and the environment, as libpq and the libraries of applications read them.

use super::{PASSWORD, SERVER, add_database, add_role, at, table, table_for, url};
use crate::{
    helpers::{command, run},
    probing::{Case, Probed, assert_failures, loaded},
    servers::{Certificates, hostile::BlackHole, postgres_standby, postgres_with, postgres_with_tls},
};
use std::{fs, os::unix::fs::PermissionsExt};

const LOGIN: &str = "probe:probe-password";

#[test]
fn a_socket_is_found_in_every_form() {
    let folder = SERVER.directory.path().display().to_string();
    let (port, encoded) = (SERVER.port, folder.replace('/', "%2F"));
    for form in [
        format!("postgresql://{LOGIN}@/orders?host={folder}&port={port}"),
        format!("postgres://{LOGIN}@localhost:{port}/orders?host={folder}"),
        format!("postgres://{LOGIN}@{encoded}:{port}/orders"),
        format!("postgresql+psycopg2://{LOGIN}@:{port}/orders?host={folder}"),
        format!("postgresql:///orders?host={folder}&port={port}&user=probe&password=probe-password"),
        format!("postgresql+pg8000://{LOGIN}@/orders?unix_sock={folder}/.s.PGSQL.{port}"),
        format!("jdbc:postgresql://127.0.0.1:{port}/orders?user=probe&password=probe-password&ssl=false"),
    ] {
        Probed::new(&url(&form)).pass();
    }
    // As Cloud SQL names its folder.
    let linked = tempfile::tempdir().expect("a folder");
    let cloud = linked.path().join("project:region:name");
    std::os::unix::fs::symlink(&folder, &cloud).expect("a link");
    Probed::new(&url(&format!("postgresql://{LOGIN}@/orders?host={}&port={port}", cloud.display()))).pass();
    let missing = url(&format!("postgresql://{LOGIN}@/orders?host=/none"));
    assert_failures(&[Case::new("no socket", missing, "unreachable", "the socket does not exist")]);
}

#[test]
fn several_servers_are_tried_as_libpq_does() {
    let primary = postgres_with(PASSWORD, &[]);
    add_role(&primary, "probe", "orders");
    let standby = postgres_standby(&primary, PASSWORD, &[]);
    let hole = BlackHole::new();
    let (one, two) = (primary.port, standby.port);
    let role = |hosts: &str, parameters: &str| {
        let probed = Probed::new(&url(&format!("postgres://{LOGIN}@{hosts}/orders?{parameters}")));
        probed.observed("role").as_str().map(str::to_owned).expect("a role")
    };
    let both = format!("127.0.0.1:{two},127.0.0.1:{one}");
    assert_eq!(role(&format!("127.0.0.1:1,127.0.0.1:{one}"), ""), "primary", "the first one is refused");
    assert_eq!(role(&format!("127.0.0.1:{},127.0.0.1:{one}", hole.port), ""), "primary", "the first one is silent");
    for (attributes, found) in
        [("read-write", "primary"), ("primary", "primary"), ("standby", "replica"), ("prefer-standby", "replica"), ("read-only", "replica")]
    {
        assert_eq!(role(&both, &format!("target_session_attrs={attributes}")), found, "{attributes}");
    }
    assert_eq!(role(&format!("127.0.0.1:{one},127.0.0.1"), &format!("port={one},{two}&targetServerType=secondary")), "replica");
    assert_eq!(role(&format!("127.0.0.1:{one}"), "target_session_attrs=prefer-standby"), "primary");
    let message = "no server is a replica, which `target_session_attrs` requires";
    let alone = url(&format!("postgres://{LOGIN}@127.0.0.1:{one}/orders?target_session_attrs=standby"));
    assert_failures(&[
        Case::new("no standby", alone, "unhealthy", message),
        Case::new(
            "a rejected login ends the search",
            url(&format!("postgres://probe:wrong@127.0.0.1:{two},127.0.0.1:{one}/orders")),
            "rejected",
            "the credentials are not accepted",
        ),
        Case::new("none", url(&format!("postgres://{LOGIN}@127.0.0.1:1,127.0.0.1:2/orders")), "unreachable", "connection refused"),
    ]);
    let rejections = || {
        let log = fs::read_to_string(primary.directory.path().join("log")).expect("a log");
        log.matches("password authentication failed").count()
    };
    let before = rejections();
    let wrong = url(&format!("postgres://probe:wrong@127.0.0.1:{one}/orders?target_session_attrs=prefer-standby"));
    assert_eq!(Probed::new(&wrong).fail().message(), "the credentials are not accepted");
    assert_eq!(rejections(), before + 1, "the second preference is not tried");
}

#[test]
fn a_new_primary_is_found_after_a_failover() {
    let mut primary = postgres_with(PASSWORD, &[]);
    add_role(&primary, "probe", "orders");
    let standby = postgres_standby(&primary, PASSWORD, &[]);
    let table =
        url(&format!("postgres://{LOGIN}@127.0.0.1:{},127.0.0.1:{}/orders?target_session_attrs=read-write", primary.port, standby.port));
    let probed = Probed::new(&table);
    probed.pass();
    primary.kill();
    assert_eq!(probed.fail().message(), "no server accepts writes, which `target_session_attrs` requires");
    standby.psql(PASSWORD, "postgres", "SELECT pg_promote()");
    probed.pass();
}

#[test]
fn hostaddr_replaces_the_lookup_and_not_the_name() {
    let (server, good) = postgres_with_tls(PASSWORD, Certificates::new);
    let parameters = format!("?sslmode=verify-full&sslrootcert={}", good.authority.display());
    Probed::new(&at("localhost", &server, &format!("{parameters}&hostaddr=127.0.0.1"))).pass();
    let other = at("db.invalid", &server, &format!("{parameters}&hostaddr=127.0.0.1"));
    assert_failures(&[Case::new("another name", other, "tls", "the certificate is for another name")]);
}

#[test]
fn settings_of_the_session_apply() {
    add_database("session");
    SERVER.psql(
        PASSWORD,
        "session",
        "CREATE SCHEMA app; CREATE TABLE app.t (x int); GRANT USAGE ON SCHEMA app TO session; GRANT SELECT ON app.t TO session",
    );
    for parameters in ["search_path=app", "currentSchema=app", "options=-c%20search_path%3Dapp", "options[search_path]=app"] {
        let table = table_for("session", "query = \"SELECT count(*) FROM t\"\nexpect = \"0\"");
        Probed::new(&table.replace("/session\"", &format!("/session?{parameters}\""))).pass();
    }
    let table = table_for("session", "query = \"SELECT pg_sleep(20)\"");
    let slow = table.replace("/session\"", "/session?statement_timeout=100\"");
    assert_failures(&[Case::new("statement_timeout", slow, "unhealthy", "the server cancelled the query")]);
}

#[test]
fn a_setting_that_the_server_rejects_is_named_as_such() {
    let message =
        "the server rejects a setting of the session: correct `options`, `search_path` and the like in the URL or the environment";
    let with = |parameters: &str| table(SERVER.port, "").replace("/orders", &format!("/orders?{parameters}"));
    assert_failures(&[
        Case::new("an unknown one", with("options=-c%20none=1"), "rejected", message),
        Case::new("a wrong number", with("statement_timeout=abc"), "rejected", message),
        Case::new("a wrong path", with("currentSchema=my%20schema"), "rejected", message),
    ]);
}

#[test]
fn an_empty_key_of_a_login_counts_as_not_set() {
    Probed::new(&table(SERVER.port, "username = \"\"\npassword = \"\"")).pass();
}

/// The output of a command for one check, with environment variables.
fn ran(subcommand: &str, url: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("[checks.db]\nkind = \"postgres\"\nurl = \"{url}\"\ntimeout = \"20s\"\n");
    crate::helpers::write_private(folder.path().join("allswell.toml"), &text);
    let ran = run(command(&folder).arg(subcommand).env("HOME", folder.path()).envs(variables.iter().copied()));
    (ran.code, format!("{}{}", ran.stdout, ran.stderr))
}

#[test]
fn the_environment_of_libpq_counts() {
    let (server, good) = postgres_with_tls(PASSWORD, Certificates::new);
    let (port, authority) = (server.port.to_string(), good.authority.display().to_string());
    let url = |host: &str| format!("postgres://app:{PASSWORD}@{host}:{port}/orders");
    let verified = url("localhost") + "?sslmode=verify-full";
    assert_eq!(ran("check", &verified, &[]).0, Some(1));
    let password = PASSWORD;
    for (url, variables) in [
        (verified, &[("PGSSLROOTCERT", &*authority)][..]),
        (url("localhost"), &[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", &authority)]),
        (
            "postgres:///orders".to_owned(),
            &[("PGHOST", "127.0.0.1:1,localhost"), ("PGPORT", &port), ("PGUSER", "app"), ("PGPASSWORD", password)],
        ),
        ("postgres://app@localhost/orders".to_owned(), &[("PGPORT", &port), ("PGPASSWORD", password), ("PGHOST", "none.invalid")]),
        (url("db.invalid"), &[("PGHOSTADDR", "127.0.0.1")]),
        (url("localhost"), &[("PGTARGETSESSIONATTRS", "read-write"), ("PGREQUIREAUTH", "scram-sha-256"), ("PGCHANNELBINDING", "require")]),
    ] {
        let (code, output) = ran("check", &url, variables);
        assert_eq!(code, Some(0), "{variables:?}: {output}");
    }
    for (variable, value, message) in [
        ("PGSSLMODE", "verify_full", "the environment variable `PGSSLMODE` has an unknown value"),
        ("PGSSLCRL", "/crl.pem", "the environment variable `PGSSLCRL` is not supported"),
        ("PGSERVICE", "orders", "the environment variable `PGSERVICE` names a section that no readable service file has"),
        ("PGGSSENCMODE", "require", "the environment variable `PGGSSENCMODE` demands GSSAPI encryption"),
        ("PGTARGETSESSIONATTRS", "master-only", "the environment variable `PGTARGETSESSIONATTRS` has an unknown value"),
        ("PGREQUIREAUTH", "scram", "the environment variable `PGREQUIREAUTH` has an unknown value"),
    ] {
        let (code, output) = ran("validate", &url("localhost"), &[(variable, value)]);
        assert!(code == Some(2) && output.contains(message), "{variable}: {output}");
    }
    assert_eq!(ran("check", &url("localhost"), &[("PGTARGETSESSIONATTRS", "standby")]).0, Some(1));
}

#[test]
fn a_service_file_and_a_password_file_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("services");
    fs::write(&file, format!("[other]\nhost=none.invalid\n[orders]\nhost=127.0.0.1\nport={}\nuser=probe\ndbname=orders\n", SERVER.port))
        .expect("a file");
    let passwords = folder.path().join("passwords");
    fs::write(&passwords, format!("127.0.0.1:{}:orders:probe:probe-password\n", SERVER.port)).expect("a file");
    let mode = |mode| fs::set_permissions(&passwords, PermissionsExt::from_mode(mode)).expect("permissions");
    mode(0o600);
    let (services, passwords) = (file.display().to_string(), passwords.display().to_string());
    let variables = [("PGSERVICEFILE", &*services), ("PGPASSFILE", &*passwords)];
    for (url, more) in [("postgresql:///?service=orders", None), ("postgresql://", Some(("PGSERVICE", "orders")))] {
        let variables: Vec<_> = variables.iter().copied().chain(more).collect();
        let (code, output) = ran("check", url, &variables);
        assert_eq!(code, Some(0), "{url}: {output}");
    }
    let url = format!("postgres://probe@127.0.0.1:{}/orders?passfile={passwords}", SERVER.port);
    assert_eq!(ran("check", &url, &[]).0, Some(0));
    mode(0o644);
    let (code, output) = ran("check", &url, &[]);
    assert!(code == Some(1) && output.contains("the credentials are not accepted"), "{output}");
    let (_, output) = ran("validate", &url, &[]);
    assert!(output.contains("the password file is ignored, as by libpq, because others may read it"), "{output}");
}

#[test]
fn what_a_url_asks_for_is_understood_or_named() {
    let problem = |parameters: &str| loaded(&url(&format!("postgres://app@db/orders?{parameters}"))).map(drop).err().unwrap_or_default();
    for fine in ["sslmode=no-verify", "ssl=require", "sslmode=require&uselibpqcompat=true", "sslmode=require&channel_binding=prefer"] {
        assert_eq!(problem(fine), "", "{fine}");
    }
    for (parameters, message) in [
        ("sslmode=verify_full", "the parameter `sslmode` of the URL has an unknown value: write `disable`"),
        ("service=none", "the parameter `service` of the URL names a section that no readable service file has"),
        ("sslcert=/ca.pem", "the certificate of an authority belongs in `sslrootcert`"),
        ("sslpassword=hunter2", "the parameter `sslpassword` of the URL is the password of a key"),
        ("requirepeer=postgres", "the parameter `requirepeer` of the URL is not supported"),
        ("target_session_attrs=writer", "the parameter `target_session_attrs` of the URL has an unknown value"),
    ] {
        let problem = problem(parameters);
        assert!(problem.contains(message) && !problem.contains("hunter2"), "{parameters}: {problem}");
    }
}
