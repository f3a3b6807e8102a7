//! Warnings about healthy responses; those that accompany a cause are tested with it.

use super::{ALL_CLIENTS, examine, examine_as, url};
use crate::servers::{django, hostile::Hostile};

#[test]
fn an_app_that_responds_to_any_path_is_a_warning() {
    let server = django(&["any-host", "plain", "any-path"]);
    let examined = examine(&url(server.port, "/health/"), &[]);
    examined.assert("any path", &ALL_CLIENTS, &["any_path"]);
    assert_eq!(examined.finding("any_path")["failing"], false);
}

#[test]
fn a_body_that_reports_a_failure_with_status_200_is_a_warning() {
    let server = Hostile::replying(|request| {
        let found = request.windows(7).any(|word| word == b"/health");
        let status = if found { "200 OK" } else { "404 Not Found" };
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{{\"status\":\"DOWN\"}}").into()
    });
    let examined = examine_as("alb,kubelet", &url(server.port(), "/health"));
    examined.assert("DOWN", &["alb", "kubelet"], &["fails_by_200"]);
    assert_eq!(examined.finding("fails_by_200")["evidence"], "200 OK: {\"status\":\"DOWN\"}");
}
