//! Web servers and proxies in front of an app, in their default and in a misconfigured state.

use super::{ALL_CLIENTS, Examination, all_clients_but, examine, examine_as, texts, url};
use crate::servers::{Gateway, apache_gateway, caddy_gateway, envoy_gateway, nginx_gateway};

fn as_alb(port: u16, path: &str) -> Examination {
    examine_as("alb", &url(port, path))
}

fn assert_fix(examined: &Examination, code: &str, fix: &str) {
    assert!(texts(&examined.finding(code)["fix"]).contains(&fix), "{fix} is missing in {:#}", examined.json);
}

#[test]
fn nginx() {
    let Gateway { server, ports } = nginx_gateway();
    let at = |path: &str| as_alb(server.port, path);
    examine(&url(server.port, "/health"), &[]).assert("default", &ALL_CLIENTS, &[]);
    let private = at("/private");
    private.assert("auth_basic", &[], &["credentials"]);
    assert_fix(&private, "credentials", "nginx: add `location = /private` with `auth_basic off;`.");
    let denied = at("/denied");
    denied.assert("deny", &[], &["forbidden"]);
    assert_fix(&denied, "forbidden", "nginx: add `location = /denied` with `allow all;`.");
    let maintenance = at("/maintenance");
    maintenance.assert("503", &[], &["server_error"]);
    let evidence = maintenance.finding("server_error")["evidence"].as_str().expect("evidence");
    assert!(evidence.starts_with("503 Service Unavailable: 503 Service Temporarily Unavailable nginx"), "{evidence}");
    at("/app").assert("no app", &[], &["bad_gateway"]);
    at("/dropped").assert("444", &[], &["hangs_up"]);
    at("/sso").assert("SSO", &[], &["login"]);
    // The first poll uses up the rate for a minute.
    at("/limited").assert("limit_req", &["alb"], &[]);
    at("/limited").assert("limit_req", &[], &["server_error"]);
    at("/limited-429").assert("limit_req_status 429", &[], &["rate_limited"]);
    let [named, encrypted, proxied, http_2, no_names] = ports[..] else { panic!("{ports:?}") };
    let host = as_alb(named, "/health");
    host.assert("an unknown Host", &[], &["host"]);
    assert_eq!(
        texts(&host.finding("host")["fix"])[0],
        "nginx: add `location = /health` to the server with `listen … default_server`, with a `proxy_set_header Host` that the app accepts."
    );
    as_alb(encrypted, "/health").assert("plaintext to TLS", &[], &["speaks_https"]);
    as_alb(proxied, "/health").assert("PROXY protocol", &[], &["proxy_header_missing"]);
    as_alb(http_2, "/health").assert("HTTP/2 only", &[], &["http_version"]);
    let no_names = examine_as("alb", &format!("https://localhost:{no_names}/health"));
    no_names.assert("ssl_reject_handshake", &[], &["tls_handshake"]);
    assert_eq!(no_names.finding("tls_handshake")["evidence"], "the server has no certificate for the requested name");
}

#[test]
fn apache() {
    let Gateway { server, ports } = apache_gateway();
    let at = |path: &str| as_alb(server.port, path);
    examine(&url(server.port, "/health"), &[]).assert("default", &ALL_CLIENTS, &[]);
    let denied = at("/denied");
    denied.assert("Require all denied", &[], &["forbidden"]);
    assert_eq!(texts(&denied.finding("forbidden")["fix"])[0], "Apache: add `<Location \"/denied\">` with `Require all granted`.");
    at("/private").assert("Require valid-user", &[], &["credentials"]);
    at("/moved").assert("Redirect", &[], &["redirect"]);
    let no_app = at("/app");
    no_app.assert("no app", &[], &["server_error"]);
    let fix = "Apache returns 503 if the app behind `ProxyPass` accepts no connection: check that it is running.";
    assert_eq!(texts(&no_app.finding("server_error")["fix"])[0], fix);
    let [named, encrypted] = ports[..] else { panic!("{ports:?}") };
    let host = as_alb(named, "/health");
    host.assert("an unknown Host", &[], &["host"]);
    let fix = "Apache: the first virtual host of a port serves unknown hosts: serve `/health` there.";
    assert_eq!(texts(&host.finding("host")["fix"])[0], fix);
    as_alb(encrypted, "/health").assert("plaintext to TLS", &[], &["speaks_https"]);
    // Apache completes the handshake without SNI, and then rejects the request.
    let strict = examine(&format!("https://localhost:{encrypted}/health"), &[]);
    strict.assert("SSLStrictSNIVHostCheck", &["route53"], &["certificate", "certificate_unverified", "server_name"]);
    assert_fix(&strict, "server_name", "Caddy: set `default_sni NAME` in the global options. Apache: remove `SSLStrictSNIVHostCheck on`.");
}

#[test]
fn caddy() {
    let Gateway { server, ports } = caddy_gateway();
    let [encrypted, named, open] = ports[..] else { panic!("{ports:?}") };
    let redirected = examine(&url(server.port, "/health"), &[]);
    let codes = ["https_redirect", "forwarded_proto_ignored", "redirect_taken_for_good"];
    redirected.assert("automatic HTTPS", &["nlb", "route53", "haproxy"], &codes);
    assert!(redirected.client("alb")["got"].as_str().is_some_and(|got| got.starts_with("308 ")), "{:#}", redirected.json);
    let fix =
        "Caddy: add the site `http://` with a response to `/health`: it serves every Host that no other site matches, without a redirect.";
    assert_eq!(texts(&redirected.finding("https_redirect")["fix"])[0], fix);
    // No site matches the Host header, and yet the status is 200.
    let unknown = examine(&url(named, "/health"), &[]);
    unknown.assert("an unknown Host", &ALL_CLIENTS, &["any_path"]);
    let fix = "Caddy returns an empty 200 if no site matches the Host header: serve the path in a site `http://`.";
    assert_eq!(texts(&unknown.finding("any_path")["fix"])[0], fix);
    examine(&url(open, "/health"), &[]).assert("default", &ALL_CLIENTS, &[]);
    as_alb(open, "/app").assert("no app", &[], &["bad_gateway"]);
    let maintenance = as_alb(open, "/maintenance");
    assert_eq!(maintenance.finding("server_error")["evidence"], "503 Service Unavailable: Down for maintenance");
    let private = as_alb(open, "/private");
    private.assert("basic_auth", &[], &["credentials"]);
    assert_fix(&private, "credentials", "Caddy: give `basic_auth` a matcher that excludes `/private`.");
    as_alb(encrypted, "/health").assert("plaintext to TLS", &[], &["speaks_https"]);
    let secure = examine_as("alb,route53", &format!("https://localhost:{encrypted}/health"));
    secure.assert("SNI", &["route53"], &["certificate_unverified", "server_name"]);
}

#[test]
fn envoy() {
    let Gateway { server, ports } = envoy_gateway();
    let default = examine(&url(server.port, "/health"), &[]);
    default.assert("default", &all_clients_but(&["haproxy"]), &["http_1_0"]);
    assert_eq!(default.finding("http_1_0")["evidence"], "426 Upgrade Required");
    let denied = examine(&url(server.port, "/denied"), &[]);
    denied.assert("RBAC", &[], &["forbidden", "http_1_0"]);
    assert_eq!(denied.finding("forbidden")["evidence"], "403 Forbidden: RBAC: access denied");
    assert_fix(&denied, "forbidden", "Envoy: allow `/denied` in the RBAC or external authorization filter.");
    as_alb(server.port, "/none").assert("no route", &[], &["not_found"]);
    let empty = as_alb(server.port, "/empty");
    empty.assert("no endpoint", &[], &["bad_gateway"]);
    assert_eq!(empty.finding("bad_gateway")["evidence"], "503 Service Unavailable: no healthy upstream");
    as_alb(server.port, "/refused").assert("no app", &[], &["bad_gateway"]);
    let named = examine(&url(ports[0], "/health"), &[]);
    named.assert("an unknown Host", &["route53", "consul"], &["host", "https_redirect"]);
    assert_eq!(named.findings()["https_redirect"], ["alb", "classic-elb", "kubelet"]);
    let fix = "Envoy: `require_tls` exempts no path: use a route with `https_redirect`, after one for `/health`.";
    assert_eq!(texts(&named.finding("https_redirect")["fix"])[0], fix);
    assert_fix(&named, "host", "Envoy: add a virtual host with `domains: [\"*\"]` and a route for `/health`.");
}
