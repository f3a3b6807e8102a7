//! What each client sends, and what it concludes: compared with `HAProxy` itself, and with allswell as the server.

use super::{ALL_CLIENTS, doctor_in, examine, examine_as, url};
use crate::{
    helpers::{Allswell, eventually, free_port},
    servers::{haproxy, hostile::Hostile, nginx},
};
use std::fs;

#[test]
fn every_client_sends_its_own_request() {
    let mut requests = String::new();
    for name in ALL_CLIENTS {
        let (server, heard) = Hostile::listening("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let health = examine_as(name, &url(server.port(), "/health?deep=1"));
        assert_eq!(health.healthy(), [name]);
        let request = heard.recv().expect("a request").replace(&server.port().to_string(), "PORT");
        requests += &format!("--- {name}\n{}", request.replace("\r\n", "\n"));
    }
    insta::assert_snapshot!(requests);
}

#[test]
fn haproxy_concludes_the_same() {
    let service = Allswell::start("[checks.memory]\nkind = \"memory\"\n");
    let (web, ..) = nginx();
    let refused = free_port();
    // By default, HAProxy polls `/`. The second column is its own `check_status`.
    for (port, check_status) in [
        (service.address.port(), "L7OK"),
        (web.port, "L7STS"),
        (refused, "L4CON"),
        (Hostile::babbling().port(), "L7RSP"),
        (Hostile::silent().port(), "L7TOUT"),
    ] {
        let proxy = haproxy(port, free_port());
        eventually(&format!("HAProxy reports {check_status}"), || (proxy.haproxy_state("both").check == check_status).then_some(()));
        let health = examine_as("haproxy", &url(port, "/"));
        let says = health.client("haproxy")["says"].as_str().expect("words").to_owned();
        assert!(says.split([' ', '/', ':', ',']).any(|word| word == check_status), "{check_status}: {says}");
    }
}

#[test]
fn all_clients_follow_the_verdict_of_allswell() {
    let folder = tempfile::tempdir().expect("a folder");
    let media = folder.path().join("media");
    fs::create_dir(&media).expect("a folder");
    let configuration = format!("[defaults]\ninterval = \"100ms\"\n[checks.media]\nkind = \"storage\"\npath = \"{}\"\n", media.display());
    let service = Allswell::start(&configuration);
    service.await_report("/health", "it passes", |report| report.status == 200);
    for path in ["/health", "/", "/readyz", "/livez/", "/healthz", "/health/media"] {
        examine(&format!("http://{}{path}", service.address), &[]).assert(path, &ALL_CLIENTS, &[]);
    }
    fs::remove_dir(&media).expect("a folder");
    service.await_report("/health", "it fails", |report| report.status == 500);
    let health = examine(&format!("http://{}/health", service.address), &[]);
    health.assert("failing", &[], &["says_fail"]);
    assert_eq!(health.finding("says_fail")["evidence"], "1 of 1 component fails: media");
}

#[test]
fn without_a_url_the_configured_allswell_is_polled() {
    let service = Allswell::start("[checks.memory]\nkind = \"memory\"\n");
    service.await_report("/health", "it passes", |report| report.status == 200);
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("allswell.toml"), format!("[server]\nlisten = \"{}\"\n", service.address)).expect("a configuration");
    let ran = doctor_in(&directory, &["--as", "kubelet"]);
    let expected = format!("http://{}/health at", service.address);
    assert!(ran.code == Some(0) && ran.stdout.starts_with(&expected), "{}{}", ran.stdout, ran.stderr);
}
