//! Causes that a hostile server provokes, and those of gateways, rate limits and rules of single clients.

use super::{doctor, examine_as, url};
use crate::{
    helpers::{Allswell, free_port},
    servers::hostile::{BlackHole, Hostile},
};
use std::sync::atomic::{AtomicBool, Ordering};

/// A server that sends the same response to every request, and closes the connection.
fn always(response: &'static str) -> Hostile {
    Hostile::replying(move |_| response.into())
}

fn health(server: &Hostile) -> String {
    url(server.port(), "/health")
}

#[test]
fn a_closed_port_is_unreachable() {
    let refused = examine_as("alb,kubelet,haproxy", &url(free_port(), "/health"));
    refused.assert("refused", &[], &["unreachable"]);
    assert!(refused.client("haproxy")["says"].as_str().is_some_and(|says| says.contains("L4CON")));
}

#[test]
fn a_server_that_does_not_accept_drops_packets() {
    examine_as("kubelet,haproxy", &url(BlackHole::new().port, "/health")).assert("black hole", &[], &["packets_dropped"]);
}

#[test]
fn a_server_without_a_complete_header_in_time_is_slow() {
    examine_as("kubelet,haproxy", &health(&Hostile::silent())).assert("silent", &[], &["slow"]);
    let endless_headers = Hostile::trickling(b"HTTP/1.1 200 OK\r\nX: ", b"x");
    examine_as("kubelet,haproxy", &health(&endless_headers)).assert("endless headers", &[], &["slow"]);
}

#[test]
fn a_server_that_closes_or_resets_the_connection_hangs_up() {
    examine_as("kubelet,haproxy", &health(&Hostile::hanging_up())).assert("hangs up", &[], &["hangs_up"]);
    examine_as("kubelet", &health(&Hostile::resetting())).assert("resets", &[], &["hangs_up"]);
}

#[test]
fn another_protocol_is_not_http() {
    examine_as("kubelet,haproxy", &health(&Hostile::babbling())).assert("babbles", &[], &["not_http"]);
}

#[test]
fn huge_headers_are_not_another_protocol() {
    let server = Hostile::endless(b"HTTP/1.1 200 OK\r\nX: ", b"x");
    examine_as("kubelet,haproxy", &health(&server)).assert("huge headers", &[], &["headers_too_large"]);
}

#[test]
fn a_tls_alert_shows_that_the_server_expects_tls() {
    examine_as("kubelet,haproxy", &health(&always("\x15\x03\x01\0\x02\x02\x46"))).assert("an alert", &[], &["speaks_https"]);
}

#[test]
fn a_connection_that_closes_on_options_is_a_rejected_method() {
    let server = Hostile::replying(|request| {
        let is_accepted = !request.starts_with(b"OPTIONS");
        if is_accepted { b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into() } else { Vec::new() }
    });
    let examined = examine_as("alb,haproxy", &health(&server));
    assert!(examined.findings().contains_key("method"), "{:#}", examined.json);
    assert_eq!(examined.findings().get("proxy_header_missing"), None, "the server does not require it from others");
}

#[test]
fn a_redirect_is_shown_without_the_token_in_it() {
    let server = always("HTTP/1.1 302 Found\r\nLocation: https://login.example/?access_token=a1b2c3d4\r\nContent-Length: 0\r\n\r\n");
    let shown = examine_as("alb,haproxy", &health(&server)).json.to_string();
    assert!(shown.contains("access_token=***") && !shown.contains("a1b2c3d4"), "{shown}");
}

/// The beginning of a response whose body never ends.
const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";

#[test]
fn an_endless_body_fails_clients_that_wait_for_its_end() {
    let server = Hostile::trickling(ENDLESS, b"x");
    examine_as("haproxy,kubelet,envoy", &health(&server)).assert("trickles", &["haproxy"], &["any_path", "endless_body"]);
}

#[test]
fn a_large_body_is_a_warning_for_clients_that_read_its_beginning() {
    // A kubelet reads 10 KiB, HAProxy and Route 53 read the headers.
    let clients = ["kubelet", "haproxy", "route53"];
    let server = Hostile::endless(ENDLESS, b"x");
    examine_as("kubelet,haproxy,route53", &health(&server)).assert("endless", &clients, &["any_path", "large_body"]);
}

#[test]
fn a_connection_that_closes_within_the_body_is_a_broken_body() {
    let server = always("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    examine_as("alb,kubelet", &health(&server)).assert("truncated", &[], &["broken_body"]);
}

#[test]
fn a_redirect_that_depends_on_the_host_header_is_a_rejected_host_header() {
    let server = Hostile::replying(|request| {
        let is_known = request.windows(16).any(|word| word == b"Host: localhost:");
        let status = if is_known { "200 OK" } else { "302 Found\r\nLocation: http://www.example.com/" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into()
    });
    examine_as("alb", &health(&server)).assert("redirects unknown hosts", &[], &["host"]);
}

#[test]
fn a_path_with_authentication_requires_credentials() {
    let server = always("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n");
    examine_as("alb,kubelet,haproxy", &health(&server)).assert("401", &[], &["credentials"]);
}

#[test]
fn a_server_that_rejects_http_1_0_fails_haproxy() {
    let server = Hostile::replying(|request| {
        let is_1_0 = request.windows(8).any(|word| word == b"HTTP/1.0");
        let status = if is_1_0 { "505 HTTP Version Not Supported" } else { "200 OK" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into()
    });
    let examined = examine_as("haproxy", &health(&server));
    examined.assert("HTTP/1.0", &[], &["http_1_0"]);
    let fix = "HAProxy: add `http-check send meth GET uri /health ver HTTP/1.1 hdr Host HOST` below `option httpchk`.";
    let host = format!("localhost:{}", server.port());
    assert_eq!(examined.finding("http_1_0")["fix"][0], fix.replace("HOST", &host));
}

#[test]
fn a_header_of_envoy_fails_envoy_alone() {
    let server = Hostile::replying(|request| {
        let found = request.windows(7).any(|word| word == b"/health");
        let (status, header) = if found { ("200 OK", "X-Envoy-Immediate-Health-Check-Fail: true\r\n") } else { ("404 Not Found", "") };
        format!("HTTP/1.1 {status}\r\n{header}Content-Length: 0\r\n\r\n").into()
    });
    examine_as("alb,envoy", &health(&server)).assert("a header", &["alb"], &["envoy_immediate_fail"]);
}

#[test]
fn an_informational_response_fails_haproxy_alone() {
    let server = Hostile::replying(|request| {
        let found = request.windows(7).any(|word| word == b"/health");
        let status = if found { "200 OK" } else { "404 Not Found" };
        format!("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into()
    });
    let examined = examine_as("alb,haproxy", &health(&server));
    examined.assert("103", &["alb"], &["announced"]);
    assert_eq!(examined.client("haproxy")["says"], "DOWN, L7STS/103: Layer7 wrong status");
}

#[test]
fn a_warning_of_allswell_fails_clients_without_its_status_code() {
    let warning = "[server]\nwarn_status = 218\n[checks.closed]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ncritical = false\n";
    let service = Allswell::start(warning);
    service.await_report("/health", "it warns", |report| report.status == 218);
    let examined = examine_as("alb,nlb", &format!("http://{}/health", service.address));
    examined.assert("218", &["nlb"], &["warning_status"]);
}

#[test]
fn a_proxy_without_its_app_is_a_bad_gateway() {
    let server = always("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    examine_as("alb,kubelet", &health(&server)).assert("502", &[], &["bad_gateway"]);
}

#[test]
fn a_request_that_succeeds_when_repeated_is_flapping() {
    let has_failed = AtomicBool::new(false);
    let server = Hostile::replying(move |_| {
        let status = if has_failed.swap(true, Ordering::SeqCst) { "200 OK" } else { "503 Service Unavailable" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into()
    });
    // The URL's host is the one that an ALB sends, so that no trial with another Host header precedes the repetition.
    let examined = examine_as("alb", &format!("http://{}/health", server.address));
    examined.assert("flaps", &[], &["flapping"]);
}

#[test]
fn control_characters_of_a_server_do_not_reach_the_terminal() {
    let location = "HTTP/1.1 302 Found\r\nLocation: /\x1b]0;owned\x07\x1b[31m\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let ran = doctor(&[&health(&always(location)), "--as", "alb"]);
    assert!(ran.code == Some(1) && !ran.stdout.contains(['\x1b', '\x07']), "{:?}", ran.stdout);
}
