//! The limits of the listener, and what it logs about them. `attacks` has the tests with many clients.

use crate::helpers::{Allswell, eventually, get_with, send};
use std::time::Duration;

const MEMORY: &str = "[checks.memory]\nkind = \"memory\"\n";

fn post(service: &Allswell, path: &str, token: &str) -> u16 {
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\nAuthorization: Bearer {token}\r\n\r\n");
    send(service.address, head.as_bytes()).status
}

#[test]
fn every_response_forbids_content_sniffing() {
    let service = Allswell::start(&format!("[server]\ntoken = \"sesame\"\n{MEMORY}"));
    for path in [
        "/health",
        "/health?format=text",
        "/metrics",
        "/",
        "/livez",
        "/health/nobody",
        "/nothing",
        "/admin/drain",
        "/health/_assets/allswell.js",
    ] {
        assert_eq!(service.get(path).header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[test]
fn a_client_with_wrong_tokens_is_logged_once_and_slowed_down() {
    let service = Allswell::start(&format!("[server]\ntoken = \"sesame\"\n{MEMORY}"));
    for _ in 0..5 {
        assert_eq!(post(&service, "/admin/drain", "swordfish"), 401);
    }
    // Requests for reports are slowed down, too.
    for path in ["/health", "/metrics"] {
        let response = get_with(service.address, path, "Authorization: Bearer swordfish\r\n");
        assert_eq!(response.status, 200, "{path}");
        assert!(response.took >= Duration::from_millis(250), "{path}: {:?}", response.took);
    }
    assert!(get_with(service.address, "/health", "Authorization: Basic eDp5\r\n").took < Duration::from_millis(250), "no token at all");
    let lines =
        || service.events().into_iter().filter(|event| event["message"].as_str().is_some_and(|text| text.starts_with("wrong token")));
    let line = eventually("a line in the log", || lines().next());
    assert_eq!((&line["level"], &line["from"]), (&"WARN".into(), &"127.0.0.1".into()), "{line}");
    assert_eq!(lines().count(), 1, "one line a minute");
    assert!(!service.log().contains("swordfish"));
}

#[test]
fn the_log_names_the_client_that_drains_and_reloads() {
    let service = Allswell::start(&format!("[server]\ntoken = \"sesame\"\n{MEMORY}"));
    for order in ["drain", "undrain", "reload"] {
        assert_eq!(post(&service, &format!("/admin/{order}"), "sesame"), 200);
        let message = format!("{order} requested");
        let line = eventually("a line in the log", || service.events().into_iter().find(|event| event["message"] == *message));
        assert_eq!(line["from"], "127.0.0.1", "{line}");
    }
}

#[test]
fn a_response_larger_than_the_memory_budget_is_refused_and_polls_are_answered() {
    let checks = (0..1000).map(|number| format!("[checks.memory{number}]\nkind = \"memory\"\n")).collect::<Vec<_>>().concat();
    let service = Allswell::start(&format!("[server]\nresponse_memory = \"1MiB\"\n[defaults]\ninterval = \"1h\"\n{checks}"));
    service.await_report("/health", "the component passes", |report| report.status == 200);
    let refused = service.get("/metrics");
    assert_eq!(refused.status, 503);
    assert_eq!((refused.header("retry-after"), refused.header("content-type")), (Some("1"), Some("application/problem+json")));
    assert!(refused.body.contains("server.response_memory"), "{}", refused.text);
    for path in ["/health", "/readyz", "/livez", "/startupz", "/health/memory7"] {
        assert_eq!(service.get(path).status, 200, "{path}");
    }
}

fn with_descriptors(count: u64) -> Allswell {
    let wrapper = ["/usr/bin/prlimit".to_owned(), format!("--nofile={count}:{count}")];
    Allswell::start_by(&wrapper, MEMORY, &[])
}

#[test]
fn too_few_file_descriptors_lower_max_connections_with_a_warning() {
    let service = with_descriptors(200);
    let line = eventually("a line in the log", || service.events().into_iter().find(|event| event["descriptors"] == 200));
    assert_eq!(line["level"], "WARN", "{line}");
    assert!(line["message"].as_str().is_some_and(|text| text.starts_with("server.max_connections is lowered from 1024")), "{line}");
    assert!(line["connections"].as_u64().is_some_and(|connections| (100..190).contains(&connections)), "{line}");
    let service = with_descriptors(40);
    let line = eventually("a line in the log", || service.events().into_iter().find(|event| event["descriptors"] == 40));
    assert!(line["message"].as_str().is_some_and(|text| text.contains("LimitNOFILE=")), "{line}");
}
