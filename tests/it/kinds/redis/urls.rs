//! URLs of Redis as the client libraries write them.

use super::{Cluster, PASSWORD, Watched, set_user, table};
use crate::{
    helpers::free_port,
    probing::{Case, Probed, assert_failures, loaded},
    servers::{Certificates, folder, redis, redis_with, tls_front, tls_front_for_known_clients},
};

fn url_table(url: &str, more: &str) -> String {
    format!("kind = \"redis\"\nurl = \"{url}\"\n{more}")
}

#[test]
fn a_socket_has_the_forms_of_each_library() {
    let directory = folder();
    let socket = directory.path().join("redis.sock").display().to_string();
    let server = redis_with(directory, PASSWORD, &["--unixsocket", &socket]);
    for url in [
        format!("unix://:{PASSWORD}@{socket}?db=1"),
        format!("unix://{socket}?db=1&password={PASSWORD}"),
        format!("redis+unix://default:{PASSWORD}@{socket}?db=1"),
        format!("redis+socket://:{PASSWORD}@{socket}?virtual_host=1"),
        format!("redis-socket://:{PASSWORD}@{socket}?database=1"),
    ] {
        Probed::new(&url_table(&url, "write = true")).pass();
    }
    // The database of the URL was selected each time.
    assert!(server.redis_cli(PASSWORD, &["INFO", "commandstats"]).contains("cmdstat_select:calls=5,"));
}

#[test]
fn a_host_may_be_missing_or_a_name_of_which_one_address_refuses() {
    let server = redis(PASSWORD);
    // The server listens at 127.0.0.1 only: `localhost` is ::1 as well on many hosts.
    for url in
        ["redis://:{pw}@:{port}/0", "redis://:{pw}@localhost:{port}/0", "redis://:{pw}@0.0.0.0:{port}/0", "valkey://:{pw}@localhost:{port}"]
    {
        let url = url.replace("{pw}", PASSWORD).replace("{port}", &server.port.to_string());
        Probed::new(&url_table(&url, "")).pass();
    }
}

#[test]
fn resp3_is_spoken_if_the_url_requires_it() {
    let server = redis(PASSWORD);
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{}/0?protocol=3", server.port);
    let probed = Probed::new(&url_table(&url, "role = \"primary\"\nwrite = true"));
    probed.passes(2);
    assert!(server.redis_cli(PASSWORD, &["CLIENT", "LIST"]).contains("resp=3"));
}

#[test]
fn an_empty_key_of_a_login_counts_as_not_set() {
    let (server, open) = (redis(PASSWORD), redis(""));
    let empty = "username = \"\"\npassword = \"\"";
    for (url, keys) in [
        (format!("redis://127.0.0.1:{}", open.port), "password = \"\""),
        (format!("redis://127.0.0.1:{}", open.port), "username = \"\""),
        (format!("redis://127.0.0.1:{}", open.port), empty),
        (format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port), empty),
        (format!("redis://127.0.0.1:{}", server.port), &format!("username = \"\"\npassword = \"{PASSWORD}\"")),
    ] {
        Probed::new(&url_table(&url, keys)).pass();
    }
}

#[test]
fn a_user_without_a_password_logs_in_with_an_empty_one() {
    let server = redis(PASSWORD);
    assert_eq!(server.redis_cli(PASSWORD, &["ACL", "SETUSER", "free", "on", "nopass", "+ping", "+info"]).trim(), "OK");
    set_user(&server, "probe", &["+ping"]);
    Probed::new(&url_table(&format!("redis://free@127.0.0.1:{}", server.port), "")).pass();
    let password_as_user = url_table(&format!("redis://{PASSWORD}@127.0.0.1:{}", server.port), "");
    assert_failures(&[Case::new("the password as user", password_as_user.clone(), "rejected", "the credentials are not accepted")]);
    let warnings = loaded(&password_as_user).expect("a configuration")[0].check.warnings();
    let messages: Vec<_> = warnings.iter().map(|warning| warning.message.as_ref()).collect();
    assert_eq!(messages, ["the URL has a user name and no password: write `redis://:PASSWORD@host` for a password alone"]);
}

#[test]
fn several_hosts_are_nodes_or_sentinels() {
    let (cluster, closed) = (Cluster::new(), free_port());
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{closed},127.0.0.1:{}/0", cluster.owner().port);
    Probed::new(&url_table(&url, "mode = \"cluster\"\nwrite = true")).pass();
    let error = loaded(&url_table(&url, "")).expect_err("one server");
    assert!(error.contains("the URL has several hosts: configure a check for each, or set `mode = \"cluster\"`"), "{error}");
    let watched = Watched::by(1);
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{closed},127.0.0.1:{}/0", watched.ports()[0]);
    let keys = format!("mode = \"sentinel\"\nmaster_name = \"orders\"\nsentinel_password = \"{PASSWORD}\"");
    Probed::new(&url_table(&url, &keys)).pass();
}

#[test]
fn parameters_of_tls_have_the_effect_that_they_have_in_redis_py() {
    let (server, folder) = (redis(PASSWORD), tempfile::tempdir().expect("a folder"));
    let certificates = Certificates::new(folder.path());
    let (front, known) = (tls_front(server.port, &certificates), tls_front_for_known_clients(server.port, &certificates));
    let authority = certificates.authority.display().to_string();
    let on = |host: &str, port: u16, parameters: &str| url_table(&format!("rediss://:{PASSWORD}@{host}:{port}/0?{parameters}"), "");
    for (host, port, parameters) in [
        ("127.0.0.1", front, "ssl_cert_reqs=none".to_owned()),
        ("127.0.0.1", front, "ssl_cert_reqs=CERT_NONE".to_owned()),
        ("127.0.0.1", front, "verifyPeer=NONE".to_owned()),
        ("localhost", front, format!("ssl_cert_reqs=required&ssl_ca_certs={authority}")),
        ("127.0.0.1", front, format!("ssl_check_hostname=false&ssl_ca_certs={authority}")),
        (
            "localhost",
            known,
            format!(
                "ssl_ca_certs={authority}&ssl_certfile={}&ssl_keyfile={}",
                certificates.certificate.display(),
                certificates.key.display()
            ),
        ),
    ] {
        let verify = Probed::new(&on(host, port, &parameters)).observed("tls_verify");
        assert_eq!(verify == "none", parameters.contains("NONE") || parameters.contains("none"), "{parameters}");
    }
    assert_failures(&[
        Case::new("unknown CA", on("localhost", front, "ssl_cert_reqs=required"), "tls", "the certificate's issuer is not trusted"),
        Case::new(
            "another name",
            on("127.0.0.1", front, &format!("ssl_ca_certs={authority}")),
            "tls",
            "the certificate is for another name",
        ),
    ]);
    // A certificate that the keys name is verified whatever the URL says.
    let pinned = on("127.0.0.1", front, "ssl_cert_reqs=none") + &format!("tls.ca_file = \"{authority}\"");
    assert_failures(&[Case::new("keys", pinned, "tls", "the certificate is for another name")]);
}

#[test]
fn a_warning_names_each_parameter_without_effect() {
    let table = table(1, "").replace("/0\"", "/0?health_check_interval=30&max_connections=10&family=6&ssl_cert_reqs=none\"");
    let warnings = loaded(&table).expect("a configuration")[0].check.warnings();
    let messages: Vec<_> = warnings.iter().map(|warning| warning.message.as_ref()).collect();
    assert_eq!(
        messages,
        [
            "the parameter `health_check_interval` of the URL has no effect here",
            "the parameter `max_connections` of the URL has no effect here",
            "the parameter `family` of the URL has no effect here",
            "the parameter `ssl_cert_reqs` of the URL applies only with TLS: write `rediss://`",
        ]
    );
}
