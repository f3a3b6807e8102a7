//! `NOTIFY_SOCKET` in all its forms: nothing about it delays the start or the end.

use super::TCP;
use crate::helpers::{Allswell, command, eventually, run, write_private};
use rustix::process::Signal;
use std::{
    fs,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram, UnixListener},
    },
    time::{Duration, Instant},
};

const QUICK: &str = "[server]\ndrain = \"100ms\"\n[checks.port]\nkind = \"memory\"\n";

/// Starts the service with this socket, ends it, and returns its log.
fn start_and_end(socket: &str) -> String {
    let start = Instant::now();
    let mut service = Allswell::start_with(QUICK, &[("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "200000")]);
    assert_eq!(service.get("/livez").status, 200, "{}", service.log());
    std::thread::sleep(Duration::from_millis(500));
    service.signal(Signal::TERM);
    assert!(service.wait().success());
    // A blocked process would never end.
    assert!(start.elapsed() < Duration::from_secs(60), "{}", service.log());
    service.log()
}

#[test]
fn an_abstract_socket_gets_the_notifications() {
    let name = format!("allswell-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("an address");
    let socket = UnixDatagram::bind_addr(&address).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let log = start_and_end(&format!("@{name}"));
    let mut buffer = [0; 4096];
    let mut received = Vec::new();
    while received.last().is_none_or(|last| last != "STOPPING=1") {
        let read = socket.recv(&mut buffer).expect("a message");
        received.push(String::from_utf8_lossy(&buffer[..read]).into_owned());
    }
    assert!(received.contains(&"READY=1".to_owned()) && received.contains(&"WATCHDOG=1".to_owned()), "{received:?}");
    assert!(!log.contains("NOTIFY_SOCKET"), "{log}");
}

#[test]
fn a_socket_that_cannot_be_used_delays_nothing_and_is_one_warning_at_most() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    fs::write(path("file"), "").expect("a file");
    let _stream = UnixListener::bind(path("stream")).expect("a socket");
    drop(UnixDatagram::bind(path("dead")).expect("a socket"));
    let too_long = format!("/{}", "x".repeat(300));
    for name in [&path("none"), &path("file"), &path("stream"), &path("dead"), &too_long, "vsock:2:9", "relative", ""] {
        let log = start_and_end(name);
        assert!(log.matches("NOTIFY_SOCKET").count() <= 1, "{name}: {log}");
    }
    assert!(start_and_end("vsock:2:9").contains("through NOTIFY_SOCKET: vsock sockets are not supported"));
    assert!(start_and_end(&too_long).contains("it is too long for the name of a socket"));
}

#[test]
fn a_socket_with_a_full_queue_delays_nothing_and_gets_the_readiness_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let receiver = UnixDatagram::bind(&path).expect("a socket");
    let filler = UnixDatagram::unbound().expect("a socket");
    filler.set_nonblocking(true).expect("a socket");
    while filler.send_to(b"X=1", &path).is_ok() {}
    let mut service = Allswell::start_with(QUICK, &[("NOTIFY_SOCKET", path.to_str().expect("text"))]);
    assert_eq!(service.get("/livez").status, 200);
    receiver.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut buffer = [0; 4096];
    eventually("the service is ready", || {
        let read = receiver.recv(&mut buffer).expect("a message");
        (&buffer[..read] == b"READY=1").then_some(())
    });
    while filler.send_to(b"X=1", &path).is_ok() {}
    service.signal(Signal::TERM);
    assert!(service.wait().success());
}

#[test]
fn the_command_of_wait_keeps_the_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    write_private(folder.path().join("allswell.toml"), TCP);
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let ran = run(command(&folder).args(["wait", "--", "sh", "-c", "echo $NOTIFY_SOCKET"]).env("NOTIFY_SOCKET", &path));
    assert_eq!((ran.code, ran.stdout.trim()), (Some(0), path.to_str().expect("text")), "{}", ran.stderr);
    socket.set_nonblocking(true).expect("a socket");
    assert!(socket.recv(&mut [0; 64]).is_err(), "wait itself notifies nobody");
}
