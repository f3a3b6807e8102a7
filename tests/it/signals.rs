//! Signals, shutdown and exit codes.

use crate::{
    helpers::{Allswell, PATIENCE, Ran, command, free_port, run},
    servers::hostile::Hostile,
};
use rustix::process::Signal;
use std::{
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

fn service(drain: &str) -> Allswell {
    let server = Hostile::silent();
    Allswell::start(&format!("[server]\ndrain = \"{drain}\"\n[checks.port]\nkind = \"tcp\"\naddress = \"{}\"\n", server.address))
}

#[test]
fn sigterm_drains_and_then_exits_with_0() {
    let mut service = service("2s");
    assert_eq!(service.get("/readyz").status, 200);
    let start = Instant::now();
    service.signal(Signal::TERM);
    let draining = service.await_report("/readyz", "the service drains", |response| response.status == 500);
    assert_eq!(draining.json()["draining"], true);
    assert_eq!(draining.json()["components"]["port"]["status"], "pass", "the status of components does not change");
    assert_eq!(service.get("/health").status, 500);
    assert_eq!(service.get("/livez").status, 200);
    assert_eq!(service.get("/health/port").status, 200);
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    assert!(start.elapsed() >= Duration::from_secs(2), "the service responds while it drains: {:?}", start.elapsed());
    assert!(TcpStream::connect(service.address).is_err(), "the port is closed");
}

#[test]
fn a_second_sigterm_ends_the_service_at_once() {
    let mut service = service("1h");
    service.signal(Signal::TERM);
    service.await_report("/readyz", "the service drains", |response| response.status == 500);
    service.signal(Signal::TERM);
    assert_eq!(service.wait().code(), Some(0));
}

#[test]
fn sigint_ends_the_service_at_once() {
    let mut service = service("1h");
    let start = Instant::now();
    service.signal(Signal::INT);
    assert_eq!(service.wait().code(), Some(0));
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn an_idle_connection_does_not_delay_the_shutdown() {
    let mut service = service("0s");
    let _idle = TcpStream::connect(service.address).expect("a connection");
    service.signal(Signal::TERM);
    assert_eq!(service.wait().code(), Some(0));
}

#[test]
fn a_port_in_use_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ran = run(command(&directory).args(["serve", "--listen", &address]));
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("the port is in use: stop the program that uses it, or choose another address with server.listen or --listen"),
        "{}",
        ran.stderr
    );
}

/// Runs `allswell get` with arguments.
fn get(arguments: &[&str]) -> Ran {
    let directory = tempfile::tempdir().expect("a temporary directory");
    run(command(&directory).arg("get").args(arguments))
}

#[test]
fn get_exits_with_0_for_a_success_and_1_for_a_failure_or_no_response() {
    let mut service = service("1h");
    let url = format!("http://{}/readyz", service.address);
    let arguments = [&*url, "--timeout", "20s"];
    service.await_report("/readyz", "the service is ready", |response| response.status == 200);
    let passing = get(&arguments);
    assert_eq!(passing.code, Some(0), "{}", passing.stderr);
    assert!(passing.stdout.contains("\"status\": \"pass\""), "{}", passing.stdout);
    service.signal(Signal::TERM);
    service.await_report("/readyz", "the service drains", |response| response.status == 500);
    let draining = get(&arguments);
    assert_eq!((draining.code, draining.stdout.contains("draining")), (Some(1), true), "{}", draining.stderr);
    service.signal(Signal::TERM);
    service.wait();
    assert_eq!(get(&arguments).code, Some(1));
}

#[test]
fn get_exits_with_2_for_an_invalid_url() {
    for url in ["not a url", "http://127.0.0.1:99999/health"] {
        assert_eq!(get(&[url]).code, Some(2), "{url}");
    }
}

#[test]
fn without_a_url_get_requests_the_port_of_the_configuration() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let port = free_port();
    let unreachable = run(command(&directory).arg("get").env("ALLSWELL_SERVER__LISTEN", format!("0.0.0.0:{port}")));
    let expected = format!("error: no response from http://127.0.0.1:{port}/health: unreachable: connection refused\n");
    assert_eq!((unreachable.code, unreachable.stderr), (Some(1), expected));
}
