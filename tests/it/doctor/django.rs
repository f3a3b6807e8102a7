//! The faults of a real Django app, and of nginx and Apache that redirect.

use super::{ALL_CLIENTS, all_clients_but, examine, examine_as, texts, url};
use crate::servers::{Redirecting, django, redirecting_apache, redirecting_nginx};

/// The clients that accept a redirect as healthy, or follow it.
const ACCEPT_REDIRECTS: [&str; 5] = ["nlb", "route53", "kubelet", "haproxy", "consul"];

#[test]
fn a_rejected_host_header_is_named_with_one_that_is_accepted() {
    let server = django(&["localhost", "trust"]);
    // Without a Host header, Django uses the name of its own server, which is `localhost`.
    let health = examine(&url(server.port, "/health/"), &[]);
    health.assert("strict", &["route53", "haproxy"], &["host", "https_redirect", "redirect_taken_for_good"]);
    assert_eq!(health.findings()["host"], ["alb", "nlb", "classic-elb", "kubelet", "envoy"]);
    let evidence = format!("with `Host: 127.0.0.1:{0}`: 400 Bad Request; with `Host: localhost:{0}`: 301", server.port);
    assert_eq!(health.finding("host")["evidence"], evidence);
    assert_eq!(health.client("alb")["says"], "unhealthy, Target.ResponseCodeMismatch: Health checks failed with these codes: [400]");
    assert_eq!(health.client("nlb")["host"], "192.0.2.1:80");
}

#[test]
fn a_client_with_an_accepted_host_header_gets_the_redirect_to_https() {
    let server = django(&["localhost", "trust"]);
    let health = examine_as("consul", &url(server.port, "/health/"));
    health.assert("redirected", &[], &["https_redirect"]);
    let redirect = health.finding("https_redirect");
    let evidence = redirect["evidence"].as_str().expect("evidence");
    assert!(evidence.contains("with `X-Forwarded-Proto: https` it does not redirect, but"), "{evidence}");
    assert!(texts(&redirect["fix"]).contains(&"Django: SECURE_REDIRECT_EXEMPT = [r\"^health/$\"]."), "{redirect}");
    // The redirect to the login page that would follow is not a redirect to HTTPS.
    let login = examine_as("consul", &url(server.port, "/private"));
    assert_eq!(login.findings().into_keys().collect::<Vec<_>>(), ["https_redirect"], "{:#}", login.json);
}

#[test]
fn a_path_that_is_exempt_from_the_redirect_only_rejects_the_host_header() {
    let server = django(&["localhost", "trust"]);
    let open = examine(&url(server.port, "/open/"), &[]);
    open.assert("exempt", &["route53", "haproxy", "consul"], &["host"]);
    let evidence = format!("with `Host: 127.0.0.1:{0}`: 400 Bad Request; with `Host: localhost:{0}`: 200", server.port);
    assert_eq!(open.finding("host")["evidence"], evidence);
}

#[test]
fn a_rejected_host_header_is_recognised_if_no_accepted_one_is_known() {
    const MODES: [&[&str]; 2] = [&["plain"], &["plain", "debug"]];
    for words in MODES {
        let server = django(words);
        let health = examine(&url(server.port, "/health/"), &[]);
        health.assert("no accepted host", &[], &["host"]);
        assert_eq!(health.findings()["host"], ALL_CLIENTS);
        let haproxy = examine_as("haproxy", &url(server.port, "/health/"));
        let fix = "HAProxy: add `http-check send meth GET uri /health/ ver HTTP/1.1 hdr Host www.example.com` below `option httpchk`.";
        assert_eq!(haproxy.finding("host")["fix"][0], fix);
    }
}

#[test]
fn an_app_that_ignores_the_forwarded_proto_would_redirect_in_a_loop() {
    let server = django(&["any-host"]);
    let health = examine(&url(server.port, "/health/"), &[]);
    let codes = ["https_redirect", "forwarded_proto_ignored", "redirect_taken_for_good"];
    health.assert("no header is trusted", &["nlb", "route53", "haproxy"], &codes);
    let evidence = health.finding("https_redirect")["evidence"].as_str().expect("evidence");
    assert!(evidence.ends_with("with `X-Forwarded-Proto: https` it redirects as well"), "{evidence}");
    // The kubelet follows within the host, to a port without TLS.
    let kubelet = health.client("kubelet");
    assert_eq!(kubelet["redirects"][0]["to"], format!("https://127.0.0.1:{}/health/", server.port), "{kubelet}");
    assert!(texts(&health.finding("forwarded_proto_ignored")["fix"])[0].contains("SECURE_PROXY_SSL_HEADER"));
}

#[test]
fn each_fault_of_a_view_is_named() {
    let server = django(&["any-host", "plain"]);
    let at = |path: &str| examine(&url(server.port, path), &[]);
    at("/health/").assert("healthy", &ALL_CLIENTS, &[]);
    at("/csrf/").assert("CSRF", &[], &["csrf"]);
    at("/forbidden/").assert("forbidden", &[], &["forbidden"]);
    at("/error/").assert("error", &[], &["server_error"]);
    at("/none/").assert("missing", &[], &["not_found"]);
    at("/stream/").assert("no length", &all_clients_but(&["classic-elb"]), &["no_content_length"]);
    at("/empty/").assert("no content", &ACCEPT_REDIRECTS, &["unexpected_status"]);
    // Consul takes 429 for a warning.
    at("/limited/").assert("limited", &["consul"], &["rate_limited"]);
    at("/moved/").assert("moved", &ACCEPT_REDIRECTS, &["redirect", "redirect_taken_for_good"]);
}

#[test]
fn a_redirect_to_a_trailing_slash_names_the_correct_path() {
    let server = django(&["any-host", "plain"]);
    let slash = examine(&url(server.port, "/health"), &[]);
    slash.assert("slash", &ACCEPT_REDIRECTS, &["slash", "redirect_taken_for_good"]);
    assert_eq!(slash.finding("slash")["title"], "Trailing slash: the correct path is `/health/`");
    assert_eq!(slash.client("consul")["redirects"][0]["status"], 301);
}

#[test]
fn a_missing_trailing_slash_is_found_without_a_redirect() {
    let server = django(&["any-host", "plain", "no-append"]);
    let health = examine_as("alb,haproxy", &url(server.port, "/health"));
    health.assert("404", &[], &["slash"]);
    assert_eq!(health.finding("slash")["title"], "Trailing slash: the correct path is `/health/`");
}

#[test]
fn a_rejected_method_names_the_allowed_ones() {
    let server = django(&["any-host", "plain"]);
    let method = examine(&url(server.port, "/get/"), &[]);
    method.assert("method", &all_clients_but(&["haproxy"]), &["method", "head_refused"]);
    let finding = method.finding("method");
    assert_eq!(finding["evidence"], "405 Method Not Allowed; Allow: GET");
    assert_eq!(finding["fix"][0], "HAProxy: `option httpchk GET /get/`.");
}

#[test]
fn a_login_page_is_a_cause_for_some_clients_and_a_warning_for_others() {
    let server = django(&["any-host", "plain"]);
    let login = examine(&url(server.port, "/private/"), &[]);
    login.assert("login", &ACCEPT_REDIRECTS, &["login", "login_taken_for_good"]);
    assert_eq!(login.findings()["login_taken_for_good"], ACCEPT_REDIRECTS);
}

#[test]
fn a_loop_of_redirects_is_followed_nine_times() {
    let server = django(&["any-host", "plain"]);
    let round = examine(&url(server.port, "/round/"), &[]);
    round.assert("loop", &["nlb", "route53", "haproxy"], &["redirect_loop", "redirect_taken_for_good"]);
    assert_eq!(round.client("consul")["redirects"].as_array().map(Vec::len), Some(9));
}

#[test]
fn a_slow_response_fails_clients_with_a_short_timeout() {
    let server = django(&["any-host", "plain"]);
    let slow = examine(&url(server.port, "/slow/"), &[]);
    // The response takes a second and a half of the two seconds of HAProxy and Route 53.
    slow.assert("slow", &all_clients_but(&["kubelet", "envoy"]), &["slow", "nearly_slow"]);
    assert_eq!(slow.findings()["nearly_slow"], ["haproxy"]);
    let evidence = slow.finding("slow")["evidence"].as_str().expect("evidence");
    assert!(evidence.contains("no response within 1s; another client got a response after 1s 5"), "{evidence}");
    assert!(slow.client("kubelet")["says"].as_str().is_some_and(|says| says.contains("context deadline exceeded")));
}

#[test]
fn nginx_and_apache_redirect_to_https_unless_the_path_is_exempt() {
    for (name, Redirecting { server, strict, sparing }) in [("nginx", redirecting_nginx()), ("Apache", redirecting_apache())] {
        let health = examine_as("alb,nlb,classic-elb,route53,kubelet,haproxy,envoy", &url(strict, "/health"));
        let codes = ["https_redirect", "forwarded_proto_ignored", "redirect_taken_for_good"];
        // The kubelet follows to port 443 of the same host, which is closed.
        health.assert(name, &["nlb", "route53", "haproxy"], &codes);
        assert_eq!(health.client("alb")["status"], 301);
        let fix = texts(&health.finding("https_redirect")["fix"]).join("\n");
        assert!(fix.contains("nginx: move the `return 301` into `location /`"), "{fix}");
        assert!(fix.contains("Apache: add `RewriteCond %{REQUEST_URI} !^/health$`"), "{fix}");
        examine(&url(sparing, "/health"), &[]).assert(name, &ALL_CLIENTS, &[]);
        drop(server);
    }
}

#[test]
fn a_server_that_hangs_up_on_unknown_hosts_is_tried_with_the_host_of_the_url() {
    let Redirecting { server, .. } = redirecting_nginx();
    let health = examine(&url(server.nginx_for_friends(), "/"), &[]);
    health.assert("return 444", &["route53", "consul"], &["any_path", "host"]);
    let evidence = health.finding("host")["evidence"].as_str().expect("evidence");
    assert!(evidence.contains("; with `Host: localhost:"), "{evidence}");
}
