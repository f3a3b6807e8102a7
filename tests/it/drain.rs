//! Draining by file and by request, and notifications to systemd.

use crate::helpers::{Allswell, Response, eventually, send};
use rustix::process::Signal;
use std::{
    fs,
    os::unix::net::UnixDatagram,
    sync::{Arc, Mutex},
    thread,
};

const CHECK: &str = "[checks.disk]\nkind = \"disk\"\nfail_free = \"0%\"\n";

/// Sends an admin request, with the token or without.
fn order(service: &Allswell, method: &str, path: &str, token: &str) -> Response {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}\r\n");
    send(service.address, request.as_bytes())
}

const TOKEN: &str = "Authorization: Bearer correct-horse\r\n";

#[test]
fn the_service_drains_while_the_drain_file_exists() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("drain");
    fs::write(&file, "").expect("a file");
    let service = Allswell::start(&format!("[server]\ndrain_file = \"{}\"\n{CHECK}", file.display()));
    // From the first response on.
    let first = service.get("/readyz");
    assert_eq!((first.status, &first.json()["draining"]), (500, &true.into()));
    assert_eq!(service.get("/livez").status, 200);
    fs::remove_file(&file).expect("a file");
    service.await_report("/readyz", "the service takes traffic again", |response| response.status == 200);
    fs::write(&file, "").expect("a file");
    service.await_report("/readyz", "the service drains again", |response| response.status == 500);
    let lines = || service.events().iter().filter(|event| event["by"] == "file").count();
    eventually("one line per transition", || (lines() == 3).then_some(()));
}

#[test]
fn drain_and_undrain_require_the_token() {
    let service = Allswell::start(&format!("[server]\ntoken = \"correct-horse\"\n{CHECK}"));
    assert_eq!(order(&service, "POST", "/admin/drain", "").status, 401);
    assert_eq!(order(&service, "POST", "/admin/drain", "Authorization: Bearer wrong\r\n").status, 401);
    assert_eq!(order(&service, "GET", "/admin/drain", TOKEN).status, 405);
    assert_eq!(service.get("/readyz").status, 200);
    let drained = order(&service, "POST", "/admin/drain/", TOKEN);
    assert_eq!((drained.status, drained.json()), (200, serde_json::json!({ "draining": true })));
    let draining = service.get("/health");
    assert_eq!((draining.status, draining.header("x-health-status")), (500, Some("fail")));
    assert_eq!(service.get("/health/disk").status, 200);
    let undrained = order(&service, "POST", "/admin/undrain", TOKEN);
    assert_eq!(undrained.json(), serde_json::json!({ "draining": false }));
    assert_eq!(service.get("/health").status, 200);
}

#[test]
fn without_a_configured_token_there_are_no_admin_paths() {
    let open = Allswell::start(CHECK);
    for path in ["/admin/drain", "/admin/undrain", "/admin/reload"] {
        assert_eq!(order(&open, "POST", path, TOKEN).status, 404, "{path}");
    }
}

#[test]
fn a_shutdown_that_has_begun_is_not_cancelled_by_undrain() {
    let mut service = Allswell::start(&format!("[server]\ntoken = \"correct-horse\"\ndrain = \"1h\"\n{CHECK}"));
    service.signal(Signal::TERM);
    service.await_report("/readyz", "the service drains", |response| response.status == 500);
    let undrained = order(&service, "POST", "/admin/undrain", TOKEN);
    assert_eq!(undrained.json(), serde_json::json!({ "draining": true }));
    service.signal(Signal::TERM);
    service.wait();
}

#[test]
fn systemd_gets_readiness_status_watchdog_and_stop_notifications() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let messages = Arc::new(Mutex::new(Vec::<String>::new()));
    let received = Arc::clone(&messages);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read) = socket.recv(&mut buffer) {
            received.lock().expect("no panic").push(String::from_utf8_lossy(&buffer[..read]).trim().to_owned());
        }
    });
    let count = |what: &str| messages.lock().expect("no panic").iter().filter(|line| line.as_str() == what).count();
    let variables = [("NOTIFY_SOCKET", path.to_str().expect("a path")), ("WATCHDOG_USEC", "100000")];
    let mut service = Allswell::start_with(CHECK, &variables);
    eventually("the service is ready", || (count("READY=1") == 1).then_some(()));
    let summary = service.get("/health").json()["summary"].as_str().expect("a summary").to_owned();
    eventually("the summary", || (count(&format!("STATUS={summary}")) >= 1).then_some(()));
    eventually("the watchdog is notified repeatedly", || (count("WATCHDOG=1") > 5).then_some(()));
    assert_eq!(count("STOPPING=1"), 0);
    service.signal(Signal::INT);
    service.wait();
    eventually("the process ends", || (count("STOPPING=1") == 1).then_some(()));
}
