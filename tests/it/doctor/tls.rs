//! TLS: handshakes, certificates, and plain HTTP on a port with TLS.

use super::{Examination, examine_as, url};
use crate::{
    helpers::{command, run},
    servers::{
        Certificates, django, hostile::Hostile, nginx, tls_front, tls_front_by_tls13, tls_front_for_known_clients,
        tls_front_with_server_name,
    },
};
use std::{path::Path, time::Duration};

const ALL_CLIENTS_WITH_TLS: &str = "alb,nlb,classic-elb,route53,kubelet,envoy,consul";

fn secure(port: u16) -> String {
    format!("https://localhost:{port}/")
}

/// The doctor's output, with another authority than those of the system.
fn examine_trusting(authority: &Path, clients: &str, url: &str) -> Examination {
    let directory = tempfile::tempdir().expect("a folder");
    let arguments = ["doctor", "--format", "json", "--as", clients, url];
    Examination::from_run(&run(command(&directory).env("SSL_CERT_FILE", authority).args(arguments)))
}

#[test]
fn an_untrusted_certificate_fails_consul_and_is_a_warning_for_others() {
    let (_web, tls_port, _certificates) = nginx();
    let untrusted = examine_as(ALL_CLIENTS_WITH_TLS, &secure(tls_port));
    let healthy = ["alb", "nlb", "classic-elb", "route53", "kubelet", "envoy"];
    untrusted.assert("untrusted", &healthy, &["certificate", "certificate_unverified"]);
    assert_eq!(untrusted.finding("certificate")["evidence"], "the certificate's issuer is not trusted");
    assert_eq!(untrusted.findings()["certificate"], ["consul"]);
}

#[test]
fn an_expired_certificate_has_to_be_renewed() {
    let (web, ..) = nginx();
    let folder = tempfile::tempdir().expect("a folder");
    let front = tls_front(web.port, &Certificates::expired(folder.path()));
    let expired = examine_as("alb,consul", &secure(front));
    expired.assert("expired", &["alb"], &["certificate", "certificate_unverified"]);
    assert_eq!(expired.finding("certificate")["evidence"], "the certificate has expired");
    assert_eq!(expired.finding("certificate")["fix"][0], "Renew the certificate.");
}

#[test]
fn a_certificate_for_another_name_names_the_required_one() {
    let (_web, tls_port, certificates) = nginx();
    let other = examine_trusting(&certificates.authority, "consul", &format!("https://127.0.0.1:{tls_port}/"));
    other.assert("another name", &[], &["certificate"]);
    assert_eq!(other.finding("certificate")["fix"][0], "Use a certificate whose subjectAltName contains `127.0.0.1`.");
}

#[test]
fn a_trusted_certificate_is_no_finding() {
    let (_web, tls_port, certificates) = nginx();
    let trusted = examine_trusting(&certificates.authority, ALL_CLIENTS_WITH_TLS, &secure(tls_port));
    assert_eq!(trusted.code, Some(0), "{:#}", trusted.json);
    assert!(trusted.findings().into_keys().all(|code| !code.contains("certificate")), "{:#}", trusted.json);
}

#[test]
fn a_certificate_that_expires_soon_is_a_warning() {
    let (web, ..) = nginx();
    let folder = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::for_a_while(folder.path(), Duration::from_secs(10 * 24 * 60 * 60));
    let soon = examine_trusting(&certificates.authority, "alb,consul", &secure(tls_front(web.port, &certificates)));
    soon.assert("soon", &["alb", "consul"], &["certificate_expires"]);
}

#[test]
fn plain_http_to_a_port_with_tls_is_named() {
    let (web, tls_port, certificates) = nginx();
    examine_as("alb,kubelet", &url(tls_port, "/")).assert("nginx", &[], &["speaks_https"]);
    let front = tls_front(web.port, &certificates);
    examine_as("alb,kubelet", &url(front, "/")).assert("rustls", &[], &["speaks_https"]);
}

#[test]
fn tls_to_a_plain_port_is_named() {
    let (web, ..) = nginx();
    examine_as("alb,kubelet", &secure(web.port)).assert("nginx", &[], &["speaks_http"]);
    let strict = django(&["plain"]);
    examine_as("alb,consul", &secure(strict.port)).assert("a plain port that rejects the Host header", &[], &["speaks_http"]);
}

#[test]
fn a_server_with_tls_1_3_only_fails_clients_with_tls_1_2() {
    let (web, _, certificates) = nginx();
    let modern = tls_front_by_tls13(web.port, &certificates);
    examine_as("alb,kubelet", &secure(modern)).assert("TLS 1.3 only", &["kubelet"], &["tls13_only", "certificate_unverified"]);
}

#[test]
fn a_server_that_requires_a_server_name_fails_clients_without_sni() {
    let (web, _, certificates) = nginx();
    let front = tls_front_with_server_name(web.port, &certificates, "localhost");
    let named = examine_as("alb,route53", &secure(front));
    named.assert("SNI", &["route53"], &["server_name", "certificate_unverified"]);
}

#[test]
fn a_server_that_requires_a_client_certificate_fails_all_clients() {
    let (web, _, certificates) = nginx();
    let front = tls_front_for_known_clients(web.port, &certificates);
    examine_as("alb,kubelet", &secure(front)).assert("client certificate", &[], &["client_certificate", "certificate_unverified"]);
}

#[test]
fn a_port_without_tls_and_without_http_fails_the_handshake() {
    examine_as("alb,kubelet", &secure(Hostile::babbling().port())).assert("babbles", &[], &["tls_handshake"]);
}
