//! Names with several addresses, and resolvers without an answer. The service runs in a mount namespace with its own `/etc/hosts` and DNS server.

use crate::{
    chaos::backends::Backend,
    helpers::Allswell,
    registered::networked_kinds,
    servers::{
        breaker::{Breaker, Fault},
        hostile::{BlackHole, Hostile},
        mounts::{may_have_own_mounts, with_own_files},
        nginx, tls_front,
    },
};
use std::{fs, net::UdpSocket, path::PathBuf, thread};
use tempfile::TempDir;

const NAME: &str = "backend.test";

/// The system's files about names, for one service.
struct Names {
    folder: TempDir,
}

impl Names {
    fn new(hosts: &str, resolver: &str, services: &str) -> Self {
        let names = Self { folder: tempfile::tempdir().expect("a folder") };
        for (name, text) in [("hosts", hosts), ("resolv.conf", resolver), ("nsswitch.conf", services)] {
            fs::write(names.file(name), text).expect("a file");
        }
        names
    }

    /// A name with the addresses 127.0.0.1 and 127.0.0.2, in this order.
    fn of_two_addresses() -> Self {
        // No DNS: without a network a query would take long.
        Self::new(&format!("127.0.0.1 localhost\n127.0.0.1 {NAME}\n127.0.0.2 {NAME}\n"), "", "hosts: files\n")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, configuration: &str) -> Allswell {
        let files = ["hosts", "resolv.conf", "nsswitch.conf"].map(|name| (self.file(name), format!("/etc/{name}")));
        let files = files.each_ref().map(|(file, place)| (file.as_path(), place.as_str()));
        Allswell::start_by(&with_own_files(&files), configuration, &[])
    }
}

#[test]
fn every_kind_tries_the_next_address_of_a_name_while_the_first_is_silent() {
    if !may_have_own_mounts() {
        return;
    }
    let (web, _, certificates) = nginx();
    let mut configuration = "[defaults]\ntimeout = \"15s\"\ninterval = \"1h\"\n".to_owned();
    let mut behind = Vec::new();
    // The same port at both addresses: packets to the first one are lost.
    let mut add = |name: &str, port: u16, table: &dyn Fn(u16) -> String| {
        let hole = BlackHole::new();
        let healthy = Breaker::on("127.0.0.2", hole.port, port);
        configuration += &format!("[checks.{name}]\n{}\n", table(hole.port));
        behind.push((hole, healthy));
    };
    let backends: Vec<_> = networked_kinds().into_iter().map(|kind| (kind, Backend::start_or_share(kind))).collect();
    for (kind, backend) in &backends {
        add(kind, backend.port, &|port| backend.table(NAME, port));
    }
    let trusted = format!("tls.server_name = \"localhost\"\ntls.ca_file = \"{}\"", certificates.authority.display());
    add("https", tls_front(web.port, &certificates), &|port| format!("kind = \"http\"\nurl = \"https://{NAME}:{port}/\"\n{trusted}"));
    add("http_host", web.port, &|port| format!("kind = \"http\"\nurl = \"http://{NAME}:{port}/\"\nhost = \"www.example.com\""));
    let redirecting =
        |port: u16| Hostile::replying(move |_| format!("HTTP/1.1 302 Found\r\nlocation: http://{NAME}:{port}/json\r\n\r\n").into());
    add("http_redirect", web.port, &|port| {
        format!("kind = \"http\"\nurl = \"http://{}/\"\nfollow_redirects = true", redirecting(port).address)
    });
    let service = Names::of_two_addresses().start(&configuration);
    let report = service.await_report("/health", "every component has a result", |response| !response.body.contains("\"pending\""));
    assert_eq!(report.status, 200, "{}", report.body);
    let connecting = report.json()["components"]["http"]["observed"]["connect_ms"].as_f64();
    assert!(connecting >= Some(250.0), "the first address was tried: {}", report.body);
}

#[test]
fn the_failure_of_a_name_with_two_addresses_is_that_of_the_one_that_says_more() {
    if !may_have_own_mounts() {
        return;
    }
    let (lost, refused) = (BlackHole::new(), Hostile::closing());
    // Both addresses accept; the second one would work, but the first has been chosen.
    let chosen = Hostile::closing();
    let other = Breaker::on("127.0.0.2", chosen.port(), nginx().0.port);
    other.set(Fault::None);
    let table = |name: &str, port: u16| format!("[checks.{name}]\nkind = \"http\"\nurl = \"http://{NAME}:{port}/\"\ntimeout = \"3s\"\n");
    let configuration = table("lost", lost.port) + &table("refused", 1) + &table("closed", chosen.port());
    let service = Names::of_two_addresses().start(&configuration);
    let report = service.await_report("/health", "every component has a result", |response| !response.body.contains("\"pending\""));
    let json = report.json();
    let message = |name: &str| json["components"][name]["failure"]["message"].as_str().unwrap_or_default().to_owned();
    // A silent address may still answer, so its silence outlasts the refusal of the other one.
    assert_eq!(message("lost"), "no answer within 3s");
    assert_eq!(message("refused"), "connection refused");
    assert!(["connection closed before a response", "connection reset"].contains(&message("closed").as_str()), "{}", report.body);
    drop(refused);
}

/// A DNS server that answers every query with a response code, or not at all.
fn dns(address: &str, code: Option<u8>) -> Option<()> {
    let socket = UdpSocket::bind((address, 53)).ok()?;
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            let Some(code) = code else { continue };
            // RFC 1035, section 4.1.1: a response, recursion available, and the code.
            query[2] |= 0x80;
            query[3] = 0x80 | code;
            let _ = socket.send_to(&query[..length], client);
        }
    });
    Some(())
}

#[test]
fn a_resolver_without_an_answer_is_not_a_name_that_does_not_exist() {
    if !may_have_own_mounts() {
        return;
    }
    let (no_answer, no_name) =
        ("the name cannot be resolved now: the DNS server does not answer, or answers with an error", "the name does not resolve");
    for (address, code, expected) in [
        ("127.0.53.1", Some(2), no_answer),
        ("127.0.53.2", Some(5), no_answer),
        ("127.0.53.3", None, no_answer),
        ("127.0.53.4", Some(3), no_name),
    ] {
        if dns(address, code).is_none() {
            continue;
        }
        let names = Names::new("", &format!("nameserver {address}\noptions timeout:1 attempts:1\n"), "hosts: dns\n");
        let service = names.start(&format!("[checks.web]\nkind = \"http\"\nurl = \"http://{NAME}/\"\ntimeout = \"15s\"\n"));
        let report =
            service.await_report("/health", "it fails", |response| response.status == 500 && !response.body.contains("\"pending\""));
        let failure = &report.json()["components"]["web"]["failure"];
        assert_eq!((failure["class"].as_str(), failure["message"].as_str()), (Some("unreachable"), Some(expected)), "{code:?}");
    }
}
