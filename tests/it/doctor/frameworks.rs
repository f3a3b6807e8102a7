//! Apps on the frameworks and servers that people run, in their default and in a misconfigured state.

use super::{ALL_CLIENTS, Examination, all_clients_but, examine, examine_as, texts, url};
use crate::servers::{Server, express, fastapi, flask, gunicorn, python_server, rails, sinatra, tomcat};
use std::net::TcpStream;

/// The clients that accept any redirect as healthy.
const ACCEPT_REDIRECTS: [&str; 3] = ["nlb", "route53", "haproxy"];
/// Those and the clients that follow a redirect within the server.
const ACCEPT_OR_FOLLOW: [&str; 5] = ["nlb", "route53", "kubelet", "haproxy", "consul"];

fn at(server: &Server, path: &str) -> Examination {
    examine(&url(server.port, path), &[])
}

fn first_fix<'a>(examined: &'a Examination, code: &str) -> &'a str {
    texts(&examined.finding(code)["fix"])[0]
}

#[test]
fn flask_with_its_default_settings() {
    let server = flask(&[]);
    at(&server, "/health/").assert("default", &ALL_CLIENTS, &[]);
    at(&server, "/health").assert("slash", &ACCEPT_OR_FOLLOW, &["slash", "redirect_taken_for_good"]);
    // Flask responds to OPTIONS itself, for every route.
    at(&server, "/post").assert("POST only", &["haproxy"], &["method", "head_refused"]);
    at(&server, "/maintenance").assert("503", &["haproxy"], &["server_error"]);
    let maintenance = at(&server, "/maintenance");
    let evidence = "503 Service Unavailable: 503 Service Unavailable Service Unavailable Down for maintenance";
    assert_eq!(maintenance.finding("server_error")["evidence"], evidence);
    let credentials = at(&server, "/basic");
    credentials.assert("401", &["haproxy"], &["credentials"]);
    assert_eq!(credentials.finding("credentials")["evidence"], "401 Unauthorized: Unauthorized Access");
}

#[test]
fn a_login_page_that_does_not_exist_is_still_a_login() {
    let flask = flask(&[]);
    // The clients that follow the redirect get a 404 for the login page. The health check path exists, and accepts every Host.
    let login = at(&flask, "/private");
    login.assert("login", &ACCEPT_REDIRECTS, &["login", "login_taken_for_good"]);
    assert_eq!(login.findings()["login"], ["alb", "classic-elb", "kubelet", "envoy", "consul"]);
    assert_eq!(login.finding("login")["evidence"], "it redirects to /auth/login?next=/private");
    let fix = "Flask: let `before_request` pass `/private`, or remove `@login_required` from its view.";
    assert_eq!(texts(&login.finding("login")["fix"])[1], fix);
    let sinatra = sinatra();
    at(&sinatra, "/private").assert("login", &["nlb", "route53"], &["login", "login_taken_for_good", "method"]);
}

#[test]
fn flask_with_trusted_hosts() {
    let server = flask(&["trusted"]);
    let trusted = at(&server, "/health/");
    trusted.assert("TRUSTED_HOSTS", &[], &["host"]);
    let evidence = format!("with `Host: 127.0.0.1:{}`: 400 Bad Request", server.port);
    assert!(trusted.finding("host")["evidence"].as_str().is_some_and(|text| text.starts_with(&evidence)), "{:#}", trusted.json);
    let fix =
        "Flask: add the machine's own address to TRUSTED_HOSTS at startup: a load balancer sends the target's address, an NLB its own.";
    assert!(texts(&trusted.finding("host")["fix"]).contains(&fix), "{:#}", trusted.json);
}

#[test]
fn a_synchronous_worker_that_a_silent_client_holds_is_slow() {
    let server = gunicorn();
    examine_as("alb,kubelet,haproxy", &url(server.port, "/health/")).assert("default", &["alb", "kubelet", "haproxy"], &[]);
    let _silent = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
    let held = examine_as("kubelet", &url(server.port, "/health/"));
    held.assert("held", &[], &["slow"]);
    assert_eq!(held.finding("slow")["evidence"], "no response within 1s, the longest timeout of these clients");
}

#[test]
fn fastapi_with_its_default_settings() {
    let server = fastapi(&[]);
    // A route of FastAPI accepts neither OPTIONS nor HEAD.
    let default = at(&server, "/health/");
    default.assert("default", &all_clients_but(&["haproxy"]), &["method", "head_refused"]);
    assert_eq!(default.finding("method")["evidence"], "405 Method Not Allowed; Allow: GET");
    at(&server, "/health").assert("slash", &ACCEPT_OR_FOLLOW, &["slash", "redirect_taken_for_good"]);
    at(&server, "/post").assert("POST only", &[], &["method"]);
    at(&server, "/empty").assert("204", &["nlb", "route53", "kubelet", "consul"], &["method", "unexpected_status"]);
    at(&server, "/none").assert("404", &[], &["not_found"]);
    let query = examine_as("alb", &url(server.port, "/query"));
    query.assert("422", &[], &["unexpected_status"]);
    let evidence = query.finding("unexpected_status")["evidence"].as_str().expect("evidence");
    assert!(evidence.starts_with(r#"422 Unprocessable Entity: {"detail":[{"type":"missing","loc":["query","tenant"]"#), "{evidence}");
    let down = examine_as("alb", &url(server.port, "/down"));
    down.assert("503", &[], &["server_error"]);
    let evidence = r#"503 Service Unavailable: {"detail":"the queue is full"}"#;
    assert_eq!(down.finding("server_error")["evidence"], evidence);
    let credentials = examine_as("alb", &url(server.port, "/basic"));
    credentials.assert("401", &[], &["credentials"]);
    let fix = "FastAPI: declare `/basic` on a router without the security dependency.";
    assert_eq!(texts(&credentials.finding("credentials")["fix"])[1], fix);
}

#[test]
fn fastapi_with_middleware_that_rejects_or_redirects() {
    let trusted = at(&fastapi(&["trusted"]), "/health/");
    trusted.assert("TrustedHostMiddleware", &[], &["host"]);
    let fix = "FastAPI, Starlette: respond to `/health/` in a middleware that is added after TrustedHostMiddleware, and so runs before it.";
    assert!(texts(&trusted.finding("host")["fix"]).contains(&fix), "{:#}", trusted.json);
    let redirected = at(&fastapi(&["https"]), "/health/");
    redirected.assert("HTTPSRedirectMiddleware", &ACCEPT_REDIRECTS, &["https_redirect", "redirect_taken_for_good"]);
    let fix = "FastAPI, Starlette: HTTPSRedirectMiddleware exempts no path: respond to `/health/` in a middleware that is added after it, \
               and so runs before it.";
    assert_eq!(first_fix(&redirected, "https_redirect"), fix);
    // The fix works.
    at(&fastapi(&["trusted", "https", "exempt"]), "/health/").assert("exempt", &ALL_CLIENTS, &[]);
}

#[test]
fn uvicorn_on_another_address() {
    let server = fastapi(&["ipv6"]);
    let other = examine_as("alb,kubelet", &format!("http://127.0.0.1:{}/health/", server.port));
    other.assert("IPv6 only", &[], &["listens_elsewhere"]);
    let title = format!("The server accepts connections at [::1]:{0}, but not at 127.0.0.1:{0}", server.port);
    assert_eq!(other.finding("listens_elsewhere")["title"], title);
    examine_as("alb", &format!("http://[::1]:{}/health/", server.port)).assert("IPv6", &["alb"], &["head_refused"]);
    // As a load balancer that connects to an address of this machine.
    let local = fastapi(&[]);
    let elsewhere = examine_as("alb", &format!("http://127.0.0.2:{}/health/", local.port));
    elsewhere.assert("127.0.0.1 only", &[], &["listens_elsewhere"]);
    let evidence = format!("127.0.0.2:{0}: connection refused; 127.0.0.1:{0} accepts connections", local.port);
    assert_eq!(elsewhere.finding("listens_elsewhere")["evidence"], evidence);
}

#[test]
fn uvicorn_and_node_with_tls() {
    for server in [fastapi(&["tls"]), express(&["tls"])] {
        at(&server, "/health").assert("plaintext", &[], &["speaks_https"]);
    }
    let server = express(&["tls"]);
    let encrypted = examine(&format!("https://localhost:{}/health", server.port), &[]);
    encrypted.assert("TLS", &all_clients_but(&["consul"]), &["certificate", "certificate_unverified"]);
}

#[test]
fn express_with_its_default_settings() {
    let server = express(&[]);
    at(&server, "/health").assert("default", &ALL_CLIENTS, &[]);
    at(&server, "/cached").assert("304", &["nlb", "route53", "kubelet", "haproxy"], &["unexpected_status"]);
    at(&server, "/partial").assert("206", &ACCEPT_OR_FOLLOW, &["unexpected_status"]);
    at(&server, "/get").assert("GET only", &all_clients_but(&["haproxy"]), &["method", "head_refused"]);
    at(&server, "/post").assert("POST only", &["haproxy"], &["not_found"]);
    at(&server, "/none").assert("404", &[], &["not_found"]);
    let boom = at(&server, "/boom");
    boom.assert("500", &["haproxy"], &["server_error"]);
    let evidence = boom.finding("server_error")["evidence"].as_str().expect("evidence");
    assert!(evidence.starts_with("500 Internal Server Error: Error: boom at "), "{evidence}");
    let login = at(&server, "/private");
    login.assert("login", &ACCEPT_REDIRECTS, &["login", "login_taken_for_good"]);
    let fix = "Express: define the route `/private` above the middleware that redirects or requires a login.";
    assert_eq!(texts(&login.finding("login")["fix"])[1], fix);
}

#[test]
fn express_with_a_redirect_to_https() {
    let redirected = at(&express(&["https"]), "/health");
    redirected.assert("https", &ACCEPT_REDIRECTS, &["https_redirect", "redirect_taken_for_good"]);
    let fix = "Express: define the route `/health` above the middleware that redirects or requires a login.";
    assert_eq!(first_fix(&redirected, "https_redirect"), fix);
}

#[test]
fn sinatra_with_its_default_settings() {
    let server = sinatra();
    let default = at(&server, "/health");
    default.assert("default", &all_clients_but(&["haproxy"]), &["method"]);
    assert_eq!(first_fix(&default, "method"), "HAProxy: `option httpchk GET /health`.");
    at(&server, "/none").assert("404", &[], &["not_found"]);
    let maintenance = examine_as("alb", &url(server.port, "/maintenance"));
    assert_eq!(maintenance.finding("server_error")["evidence"], "503 Service Unavailable: Down for maintenance");
}

#[test]
fn rails_with_its_default_settings() {
    let server = rails("");
    at(&server, "/health").assert("default", &all_clients_but(&["haproxy"]), &["method"]);
    at(&server, "/none").assert("404", &[], &["not_found"]);
    examine_as("alb", &url(server.port, "/boom")).assert("500", &[], &["server_error"]);
    let private = examine_as("alb", &url(server.port, "/private"));
    private.assert("401", &[], &["credentials"]);
    let fix = "Rails: add `skip_before_action` for the authentication of `/private` to its controller.";
    assert_eq!(texts(&private.finding("credentials")["fix"])[1], fix);
}

#[test]
fn rails_with_host_authorization() {
    let fix = r#"Rails: config.host_authorization = { exclude: ->(request) { request.path == "/health" } }, if `config.hosts` is set."#;
    // In production, the response is an empty 403 that does not identify Rails.
    let production = at(&rails("hosts"), "/health");
    production.assert("config.hosts", &[], &["forbidden"]);
    assert_eq!(first_fix(&production, "forbidden"), fix);
    let debug = at(&rails("hosts debug"), "/health");
    debug.assert("config.hosts", &[], &["host"]);
    assert!(texts(&debug.finding("host")["fix"]).contains(&fix), "{:#}", debug.json);
}

#[test]
fn rails_with_force_ssl_and_without_both_for_the_health_check() {
    let redirected = examine_as("alb,kubelet", &url(rails("ssl").port, "/health"));
    redirected.assert("force_ssl", &[], &["https_redirect"]);
    let fix = r#"Rails: config.ssl_options = { redirect: { exclude: ->(request) { request.path == "/health" } } }."#;
    assert!(texts(&redirected.finding("https_redirect")["fix"]).contains(&fix), "{:#}", redirected.json);
    // The fixes work.
    examine_as("alb,kubelet", &url(rails("hosts ssl exempt").port, "/health")).assert("exempt", &["alb", "kubelet"], &[]);
}

#[test]
fn tomcat_with_its_health_check_valve_and_security_constraints() {
    let (server, encrypted) = tomcat();
    at(&server, "/health").assert("default", &ALL_CLIENTS, &[]);
    // Tomcat accepts OPTIONS for paths that do not exist.
    at(&server, "/none").assert("404", &["haproxy"], &["any_path", "not_found"]);
    let redirected = examine_as("alb", &url(server.port, "/encrypted"));
    redirected.assert("CONFIDENTIAL", &[], &["https_redirect", "forwarded_proto_ignored"]);
    let private = examine_as("alb", &url(server.port, "/private"));
    private.assert("BASIC", &[], &["credentials"]);
    let fix = "Tomcat: exempt `/private` from the security constraint and from RemoteAddrValve. Spring Security: \
               `requestMatchers(\"/private\").permitAll()`.";
    assert_eq!(texts(&private.finding("credentials")["fix"])[1], fix);
    examine_as("alb", &url(server.port, "/denied")).assert("nobody", &[], &["forbidden"]);
    examine_as("alb", &url(encrypted, "/health")).assert("plaintext to TLS", &[], &["speaks_https"]);
    // The first handshake of a JVM is slow.
    let address = format!("https://localhost:{encrypted}/health");
    examine_as("consul", &address);
    examine(&address, &[]).assert("TLS", &all_clients_but(&["consul"]), &["certificate", "certificate_unverified"]);
}

#[test]
fn pythons_own_server_speaks_http_1_0() {
    let server = python_server();
    let default = at(&server, "/health");
    default.assert("default", &all_clients_but(&["haproxy"]), &["method"]);
    assert_eq!(first_fix(&default, "method"), "HAProxy: `option httpchk GET /health`.");
}
