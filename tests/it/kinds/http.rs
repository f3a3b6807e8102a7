//! `http`, against nginx, Django, django-health-check, allswell itself, and servers that misbehave.

use crate::{
    helpers::{Allswell, eventually},
    probing::{Case, Probed, assert_failures, loaded},
    servers::{
        Certificates, django,
        hostile::{BlackHole, Hostile},
        nginx,
        proxy::Proxy,
        tls_front, tls_front_for_known_clients,
    },
};
use serde_json::json;
use std::time::Instant;

/// A table for a path on a port, with more keys.
fn table(port: u16, path: &str, more: &str) -> String {
    format!("kind = \"http\"\nurl = \"http://127.0.0.1:{port}{path}\"\n{more}")
}

fn encrypted(port: u16, path: &str, certificates: &Certificates, more: &str) -> String {
    let authority = certificates.authority.display();
    format!("kind = \"http\"\nurl = \"https://localhost:{port}{path}\"\ntls.ca_file = \"{authority}\"\n{more}")
}

#[test]
fn a_kept_connection_that_broke_is_replaced() {
    let mut server = nginx().0;
    let kept = Probed::new(&table(server.port, "/", ""));
    kept.pass();
    server.kill();
    server.restart();
    kept.pass();
}

#[test]
fn a_paused_server_is_a_timeout_and_a_killed_one_unreachable() {
    let mut server = nginx().0;
    server.pause();
    assert_failures(&[Case::new("paused", table(server.port, "/", "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    server.resume();
    server.kill();
    assert_failures(&[Case::new("killed", table(server.port, "/", ""), "unreachable", "connection refused")]);
}

#[test]
fn each_failure_has_its_class_and_message() {
    let server = nginx().0;
    let port = server.port;
    let cut = |bytes| {
        let proxy = Proxy::to(port);
        proxy.cut_after(bytes);
        proxy.port
    };
    assert_failures(&[
        Case::new("refused", table(1, "/", ""), "unreachable", "connection refused"),
        Case::new("black hole", table(BlackHole::new().port, "/", "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("silent", table(Hostile::silent().port(), "/", "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("closes", table(Hostile::hanging_up().port(), "/", ""), "unreachable", "connection closed before a response"),
        Case::new("resets", table(Hostile::resetting().port(), "/", ""), "unreachable", "connection reset"),
        Case::new("another protocol", table(Hostile::babbling().port(), "/", ""), "protocol", "the response is not HTTP"),
        Case::new("breaks off in the head", table(cut(20), "/", ""), "protocol", "the connection was closed in the middle of a reply"),
        Case::new(
            "breaks off in the body",
            table(cut(400), "/large", "expect_body = \"y\""),
            "protocol",
            "the connection was closed in the middle of the response",
        ),
        Case::new("status", table(port, "/down", ""), "unhealthy", "answered 503 Service Unavailable"),
        Case::new("missing", table(port, "/none", ""), "unhealthy", "answered 404 Not Found"),
        Case::new("rate limit", table(port, "/limited", ""), "exhausted", "answered 429 Too Many Requests"),
        Case::new("HTTP/2 only", table(http2_port(), "/", ""), "protocol", "the server speaks only HTTP/2, and HTTP/1.1 is required"),
        Case::new("HTTP/0.9", table(Hostile::listening("hello").0.port(), "/", ""), "protocol", "the response is not HTTP"),
        Case::new("credentials", table(port, "/secret", ""), "rejected", "answered 401 Unauthorized"),
        Case::new("redirect", table(port, "/moved", ""), "unhealthy", "answered 302 Found"),
    ]);
}

#[test]
fn a_failure_has_the_values_that_were_observed_before_it() {
    let refused = Probed::new("kind = \"http\"\nurl = \"http://localhost:1/\"").fail();
    assert!(refused.values()["resolve_ms"].is_number(), "{refused:?}");
    let server = nginx().0;
    let failure = Probed::new(&table(server.port, "/down", "")).fail();
    assert_eq!(failure.values()["status_code"], 503);
    assert!(failure.values()["first_byte_ms"].is_number());
}

#[test]
fn a_response_must_meet_every_expectation() {
    let server = nginx().0;
    let with = |path: &str, more: &str| Probed::new(&table(server.port, path, more));
    with("/", "expect_body = \"all is well\"").pass();
    with("/empty", "expect_status = [\"204\"]").pass();
    with("/none", "expect_status = [\"404\"]").pass();
    with("/", "method = \"HEAD\"\nexpect_headers = { server = \"nginx\", Content-Length = \"12\", etag = \"\" }").pass();
    with("/json", "expect_json = { \"/status\" = \"ok\", \"/workers/0/ready\" = true }").pass();
    let wrong = |what, path: &str, more: &str, message| Case::new(what, table(server.port, path, more), "unhealthy", message);
    assert_failures(&[
        wrong("body", "/", "expect_body = \"ALL IS WELL\"", "the expected text is not in the body"),
        wrong("header", "/", "expect_headers = { Server = \"Apache\" }", "the header server does not have the expected value"),
        wrong("no header", "/", "expect_headers = { x-none = \"\" }", "the response has no header x-none"),
        wrong("JSON", "/json", "expect_json = { \"/status\" = \"well\" }", "the body's /status is not the expected value"),
        wrong("no such value", "/json", "expect_json = { \"/workers/1/ready\" = true }", "the body has no /workers/1/ready"),
        wrong("no JSON", "/", "expect_json = { \"/status\" = \"ok\" }", "the body is not JSON of at most 64 KiB"),
        wrong("too long", "/large", "expect_json = { \"/status\" = \"ok\" }", "the body is not JSON of at most 64 KiB"),
        wrong("no report", "/", "dialect = \"spring\"", "the body is not a report in the dialect spring"),
    ]);
}

/// The port of a server that begins each connection with the preface of HTTP/2, and closes it for HTTP/1.1: as grpc-go and h2c servers do.
fn http2_port() -> u16 {
    Hostile::replying(|_| {
        [&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100][..], &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]].concat()
    })
    .port()
}

#[test]
fn a_compressed_body_is_named_and_passes_if_it_is_not_examined() {
    let server = nginx().0;
    let compressed =
        |more: &str| Probed::new(&table(server.port, "/compressed", &format!("headers = {{ accept-encoding = \"gzip\" }}\n{more}")));
    compressed("expect_headers = { content-encoding = \"gzip\" }").pass();
    let failure = compressed("expect_body = \"well\"").fail();
    assert_eq!(failure.message(), "the body is compressed, and so cannot be examined: let the server send it as it is");
    Probed::new(&table(server.port, "/compressed", "expect_body = \"well\"")).pass();
}

#[test]
fn every_form_of_a_response_without_a_body_or_with_trailers_is_read() {
    for answer in [
        "HTTP/1.0 200 OK\r\n\r\nwell",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nwell",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n4\r\nwell\r\n0\r\nx: y\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell",
    ] {
        Probed::new(&table(Hostile::listening(answer).0.port(), "/", "expect_body = \"well\"")).pass();
    }
    for answer in ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n\r\n"] {
        Probed::new(&table(Hostile::answering(answer).port(), "/", "expect_status = [\"204\", \"304\"]")).passes(2);
    }
}

#[test]
fn urls_are_read_as_clients_read_them_or_refused_with_the_reason() {
    let (server, tls_port, certificates) = nginx();
    for rest in ["", "?x=1#part"] {
        let echoed = format!("kind = \"http\"\nurl = \"http://a:b%20c@LOCALHOST:{}/echo{rest}\"\n", server.port);
        Probed::new(&format!("{echoed}expect_headers = {{ x-seen = \"Basic YTpiIGM=\" }}")).pass();
    }
    Probed::new(&table(server.port, "", "expect_body = \"well\"")).pass();
    let with_dot = encrypted(tls_port, "/", &certificates, "tls.server_name = \"localhost.\"");
    Probed::new(&with_dot).pass();
    for url in ["http+unix://%2Frun%2Fapp.sock/", "http://unix:/run/app.sock:/health", "unix:///run/app.sock"] {
        let Err(error) = loaded(&format!("kind = \"http\"\nurl = \"{url}\"")) else { panic!("{url} is accepted") };
        assert!(error.contains("names a Unix socket, which this kind does not support"), "{error}");
    }
}

#[test]
fn a_slow_response_warns() {
    let server = nginx().0;
    let warned = Probed::new(&table(server.port, "/", "warn_after = \"0s\"")).pass();
    assert_eq!(warned.warning(), Some("the response took longer than 0s"));
}

#[test]
fn the_certificate_of_the_server_is_verified() {
    let (server, tls_port, certificates) = nginx();
    let certificates = &certificates;
    let old = tempfile::tempdir().expect("a folder");
    let expired = Certificates::expired(old.path());
    let (old_front, front) = (tls_front(server.port, &expired), tls_front(server.port, certificates));
    let known = tls_front_for_known_clients(server.port, certificates);
    let untrusted = format!("kind = \"http\"\nurl = \"https://localhost:{tls_port}/\"\n");
    let by_address = encrypted(tls_port, "/", certificates, "").replace("localhost:", "127.0.0.1:");
    assert_failures(&[
        Case::new("plain to a TLS port", table(front, "/", ""), "protocol", "the server expects TLS, but the connection was plaintext"),
        Case::new(
            "plain to nginx's TLS port",
            table(tls_port, "/", ""),
            "protocol",
            "the server expects TLS, but the connection was plaintext",
        ),
        Case::new("TLS to a plain port", encrypted(server.port, "/", certificates, ""), "tls", "the port does not speak TLS"),
        Case::new("unknown CA", untrusted, "tls", "the certificate's issuer is not trusted"),
        Case::new("another name", by_address, "tls", "the certificate is for another name"),
        Case::new("expired", encrypted(old_front, "/", &expired, ""), "tls", "the certificate has expired"),
        Case::new("no certificate of ours", encrypted(known, "/", certificates, ""), "tls", "the server requires a client certificate"),
    ]);
}

#[test]
fn the_phases_of_a_connection_are_observed_by_the_probe_that_opens_it() {
    let (server, tls_port, certificates) = nginx();
    let secure = Probed::new(&encrypted(tls_port, "/", &certificates, ""));
    let first = secure.pass();
    let number = |name: &str| first.values()[name].as_f64().expect("a number");
    for phase in ["resolve_ms", "tls_ms"] {
        assert!(number(phase) > 0.0 && number(phase) <= number("connect_ms"), "{first:?}");
    }
    // The certificate ends with the century.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    let expected = i64::try_from((4_070_908_800 - now) / 86_400).expect("days");
    assert!((expected - 1..=expected).contains(&first.values()["certificate_days_left"].as_i64().expect("days")), "{first:?}");
    let second = secure.pass();
    assert!(second.values().contains_key("certificate_days_left"), "the value is kept with the connection: {second:?}");
    for phase in ["resolve_ms", "connect_ms", "tls_ms"] {
        assert!(!second.values().contains_key(phase), "no connection was opened: {second:?}");
    }
    let plain = Probed::new(&table(server.port, "/", "")).pass();
    for absent in ["certificate_days_left", "resolve_ms", "tls_ms"] {
        assert!(!plain.values().contains_key(absent), "{plain:?}");
    }
}

#[test]
fn redirects_are_followed_without_taking_secrets_elsewhere() {
    let (server, tls_port, certificates) = nginx();
    let certificates = &certificates;
    let follow = "follow_redirects = true\n";
    let with = |path: &str, more: &str| table(server.port, path, &format!("{follow}{more}"));
    Probed::new(&with("/moved", "expect_body = \"ok\"")).pass();
    Probed::new(&with("/deeper", "expect_body = \"deeper\"")).pass();
    let trusted = format!("tls.ca_file = \"{}\"\n", certificates.authority.display());
    let encrypting = Probed::new(&with("/encrypt", &format!("{trusted}expect_json = {{ \"/status\" = \"ok\" }}")));
    assert!(encrypting.observed("certificate_days_left").is_number(), "of the server that sent the final response");
    let secrets = "username = \"app\"\npassword = \"secret\"\nheaders = { x-token = \"token\" }\n";
    // The server echoes the credentials that it received in a header.
    Probed::new(&table(server.port, "/echo", &format!("{secrets}expect_headers = {{ x-seen = \"Basic YXBwOnNlY3JldA==token\" }}"))).pass();
    assert_failures(&[
        Case::new("endless redirects", with("/round", ""), "unhealthy", "more than 5 redirects"),
        Case::new(
            "from HTTPS to HTTP",
            encrypted(tls_port, "/downgrade", certificates, follow),
            "unhealthy",
            "redirects from https to http, which is not followed",
        ),
        Case::new(
            "secrets stay",
            with("/elsewhere", &format!("{secrets}expect_headers = {{ x-seen = \"\" }}")),
            "unhealthy",
            "the response has no header x-seen",
        ),
        Case::new("untrusted", with("/encrypt", ""), "tls", "the certificate's issuer is not trusted"),
    ]);
}

#[test]
fn a_probe_costs_one_round_trip_per_request_on_a_kept_connection() {
    let (server, tls_port, certificates) = nginx();
    let certificates = &certificates;
    for (upstream, encrypt) in [(server.port, false), (tls_port, true)] {
        let proxy = Proxy::to(upstream);
        // A body with a length, one without, none, and redirects on the same server and to another.
        for (path, more, requests) in [
            ("/", "", 1),
            ("/chunked", "expect_headers = { transfer-encoding = \"chunked\" }", 1),
            ("/chunked", "expect_body = \"well\"", 1),
            ("/empty", "", 1),
            ("/none", "expect_status = [\"404\"]", 1),
            ("/", "method = \"HEAD\"", 1),
            ("/moved", "follow_redirects = true", 2),
        ] {
            let probed =
                Probed::new(&if encrypt { encrypted(proxy.port, path, certificates, more) } else { table(proxy.port, path, more) });
            probed.pass();
            let (connections, trips, [_, accepted, asked]) = (proxy.connections(), proxy.round_trips(), server.nginx_counters());
            probed.passes(100);
            assert_eq!(proxy.connections(), connections, "{path} {more}: a kept connection");
            assert_eq!(proxy.round_trips() - trips, 100 * requests, "{path} {more}");
            let [_, accepted_then, asked_then] = server.nginx_counters();
            // The extra request reads the counters.
            assert_eq!((accepted_then - accepted, asked_then - asked), (1, 100 * requests as u64 + 1), "{path} {more}");
        }
    }
}

#[test]
fn a_redirect_to_another_server_keeps_a_connection_to_each() {
    let server = nginx().0;
    let accepted = server.nginx_counters()[1];
    let elsewhere = Probed::new(&table(server.port, "/elsewhere", "follow_redirects = true"));
    elsewhere.passes(100);
    assert_eq!(server.nginx_counters()[1] - accepted, 3, "one connection per server, and one for the counters");
}

#[test]
fn a_connection_that_cannot_be_reused_is_closed() {
    let server = nginx().0;
    // A server that closes after each response, and a body that is too long to be read to its end.
    for path in ["/last", "/large"] {
        let probed = Probed::new(&table(server.port, path, ""));
        for _ in 0..3 {
            assert!(probed.observed("connect_ms").is_number(), "{path}");
            eventually("no connection is left", || (server.nginx_counters()[0] == 0).then_some(()));
        }
    }
}

#[test]
fn a_dropped_probe_leaves_no_connection_behind() {
    let (server, tls_port, certificates) = nginx();
    for table in [
        table(server.port, "/chunked", ""),
        table(server.port, "/elsewhere", "follow_redirects = true"),
        encrypted(tls_port, "/chunked", &certificates, ""),
    ] {
        let probed = Probed::new(&table);
        // The number of awaits depends on how the response arrives.
        probed.drop_at_every_await(false, 1);
        probed.drop_at_every_await(true, 1);
        probed.pass();
        drop(probed);
        eventually("no connection is left", || (server.nginx_counters()[0] == 0).then_some(()));
    }
}

#[test]
fn an_endless_or_broken_response_fails() {
    let with = |server: Hostile, more: &str| table(server.port(), "/", more);
    let body = "expect_body = \"none\"";
    assert_failures(&[
        Case::new(
            "endless headers",
            with(Hostile::endless(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"), ""),
            "protocol",
            "the response headers are too large",
        ),
        Case::new(
            "an endless header",
            with(Hostile::endless(b"HTTP/1.1 200 OK\r\nx: ", b"y"), ""),
            "protocol",
            "the response headers are too large",
        ),
        Case::new(
            "an endless status",
            with(Hostile::endless(b"HTTP/1.1 200 ", b"y"), ""),
            "protocol",
            "the response headers are too large",
        ),
        Case::new("endless 1xx", with(Hostile::endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), ""), "protocol", "the reply is too long"),
        Case::new(
            "an endless body",
            with(Hostile::endless(b"HTTP/1.1 200 OK\r\n\r\n", b"y"), body),
            "unhealthy",
            "the expected text is not in the body",
        ),
        Case::new(
            "an endless body in small chunks",
            with(Hostile::endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\ny\r\n"), body),
            "unhealthy",
            "the expected text is not in the body",
        ),
        Case::new(
            "an endless size of a chunk",
            with(Hostile::endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"0"), body),
            "protocol",
            "the connection was closed in the middle of the response",
        ),
        Case::new(
            "a slow body that counts",
            with(Hostile::answering("HTTP/1.1 200 OK\r\n\r\nslow"), "timeout = \"1s\"\nexpect_body = \"none\""),
            "timeout",
            "no answer within 1s",
        ),
        Case::new(
            "a slow body of a failure",
            with(Hostile::answering("HTTP/1.1 500 No\r\n\r\nslow"), ""),
            "unhealthy",
            "answered 500 Internal Server Error",
        ),
        Case::new(
            "a body that breaks off",
            with(Hostile::listening("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nonly").0, ""),
            "protocol",
            "the connection was closed in the middle of the response",
        ),
    ]);
}

#[test]
fn the_rest_of_a_body_is_not_waited_for_unless_the_check_needs_it() {
    for (what, server) in [
        ("an endless body", Hostile::endless(b"HTTP/1.1 200 OK\r\n\r\n", b"y")),
        ("a slow body", Hostile::answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")),
        ("a large body", Hostile::answering("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")),
        (
            "1xx before",
            Hostile::answering("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ),
    ] {
        let probed = Probed::new(&table(server.port(), "/", ""));
        let start = Instant::now();
        probed.passes(2);
        assert!(start.elapsed().as_secs() < 5, "{what} delays the probe");
    }
}

#[test]
fn at_most_five_connections_to_redirect_targets_are_kept() {
    let well = Hostile::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let elsewhere: Vec<Proxy> = std::iter::repeat_with(|| Proxy::to(well.port())).take(20).collect();
    let wandering = Hostile::sending_on(elsewhere.iter().map(|proxy| proxy.port).collect());
    let probed = Probed::new(&table(wandering.port(), "/", "follow_redirects = true"));
    probed.passes(40);
    assert_eq!(wandering.accepted(), 1, "the connection to the first server is kept");
    let open = || elsewhere.iter().map(Proxy::open).sum::<usize>();
    eventually("five connections are left", || (open() == 5).then_some(()));
}

#[test]
fn no_redirect_leads_to_a_link_local_address() {
    // No metadata service has these addresses, and the check never connects to them.
    for (answer, location) in [
        ("HTTP/1.1 302 Found\r\nlocation: http://169.254.7.7/\r\ncontent-length: 0\r\n\r\n", "IPv4"),
        ("HTTP/1.1 307 Found\r\nlocation: http://[fe80::7]/\r\ncontent-length: 0\r\n\r\n", "IPv6"),
        ("HTTP/1.1 302 Found\r\nlocation: http://[::ffff:169.254.7.7]:81/\r\ncontent-length: 0\r\n\r\n", "mapped"),
        ("HTTP/1.1 302 Found\r\nlocation: http://0xa9.254.1799/\r\ncontent-length: 0\r\n\r\n", "in other digits"),
        ("HTTP/1.1 302 Found\r\nlocation: https://169.254.7.7/\r\ncontent-length: 0\r\n\r\n", "by TLS"),
    ] {
        let server = Hostile::answering(answer);
        let refused = "redirects to a link-local address, which is not followed";
        assert_failures(&[Case::new(location, table(server.port(), "/", "follow_redirects = true"), "unhealthy", refused)]);
    }
}

/// The name that the app allows.
const NAME: &str = "host = \"www.example.com\"\n";

#[test]
fn each_failure_of_a_django_app_names_its_fix() {
    let (wary, debugging) = (django(&[]), django(&["debug"]));
    let name = NAME;
    let redirected = format!("{name}forwarded_proto = \"https\"\n");
    let rejects = "the app rejects this Host: add it to ALLOWED_HOSTS or set `host`";
    assert_failures(&[
        Case::new("the Host", table(wary.port, "/", ""), "unhealthy", rejects),
        Case::new("the name that every machine has", table(wary.port, "/", "").replace("127.0.0.1", "localhost"), "unhealthy", rejects),
        Case::new("another Host", table(wary.port, "/", "host = \"other.example.com\""), "unhealthy", "answered 400 Bad Request"),
        Case::new("another Host, redirected by DEBUG", table(debugging.port, "/", "host = \"other.example.com\""), "unhealthy", rejects),
        Case::new(
            "HTTPS",
            table(wary.port, "/", name),
            "unhealthy",
            "the app redirects to HTTPS: set `forwarded_proto = \"https\"` or exempt the path",
        ),
        Case::new(
            "HTTPS in spite of what is said",
            table(wary.port, "/", &redirected),
            "unhealthy",
            "the app redirects to HTTPS despite `forwarded_proto`: set SECURE_PROXY_SSL_HEADER or exempt the path",
        ),
        Case::new(
            "CSRF",
            table(wary.port, "/open/", &format!("{name}method = \"POST\"")),
            "rejected",
            "the app's CSRF protection rejects the request: exempt the path, or add its origin to CSRF_TRUSTED_ORIGINS",
        ),
        Case::new("another status", table(wary.port, "/open/none", name), "unhealthy", "answered 404 Not Found"),
        Case::new(
            "its health",
            table(wary.port, "/open/ill/", &format!("{name}dialect = \"django\"")),
            "unhealthy",
            "the report fails: Database(alias='nope')",
        ),
    ]);
}

#[test]
fn a_django_app_passes_if_the_request_looks_like_one_of_a_load_balancer() {
    let (wary, trusting) = (django(&[]), django(&["trust"]));
    let by_https = format!("{NAME}forwarded_proto = \"https\"\n");
    Probed::new(&table(trusting.port, "/", &format!("{by_https}expect_body = \"home\""))).pass();
    Probed::new(&table(wary.port, "/open/", &format!("{NAME}expect_body = \"open\""))).pass();
    Probed::new(&table(wary.port, "/open", &format!("{NAME}follow_redirects = true\nexpect_body = \"open\""))).fail();
    Probed::new(&table(trusting.port, "/open", &format!("{by_https}follow_redirects = true\nexpect_body = \"open\""))).pass();
}

#[test]
fn the_report_of_django_health_check_is_read() {
    let wary = django(&[]);
    let health = |path: &str| Probed::new(&table(wary.port, path, &format!("{NAME}dialect = \"django\"")));
    let well = health("/open/health/").pass();
    assert_eq!(well.values()["upstream"], json!({ "Cache(alias='default')": "pass", "Database(alias='default')": "pass" }));
    let ill = health("/open/ill/").fail();
    assert_eq!(ill.values()["upstream"], json!({ "Cache(alias='default')": "pass", "Database(alias='nope')": "fail" }));
    assert_eq!(ill.values()["status_code"], 500);
}

#[test]
fn allswell_reads_its_own_reports() {
    let upstream = Allswell::start(
        "[checks.here]\nkind = \"storage\"\npath = \"/tmp\"\n[checks.gone]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ncritical = false\n",
    );
    let port = upstream.address.port();
    upstream.await_report("/health", "both components have a result", |response| !response.body.contains("\"pending\""));
    let all = Probed::new(&table(port, "/health", "dialect = \"allswell\"")).pass();
    assert_eq!(all.warning(), Some("the report warns: gone"));
    assert_eq!(all.values()["upstream"], json!({ "gone": "fail", "here": "pass" }));
    let one = Probed::new(&table(port, "/health/gone", "dialect = \"allswell\"")).fail();
    assert_eq!((one.message(), &one.values()["status_code"]), ("the report fails: gone", &json!(500)));
}
