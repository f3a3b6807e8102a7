//! Fuzzing: no bytes from backends or clients cause a panic, an endless wait or unbounded memory. The tests mutate the corpus in `tests/corpus`:
//! requests, and replies of real servers, which `ALLSWELL_RECORD=1 cargo test --test it fuzz::` records.

use crate::{
    chaos::{backends::Backend, is_full},
    helpers::{Allswell, get},
    probing::on_demand,
    registered::kinds_with_own_protocol,
    servers::hostile::Hostile,
};
use fastrand::Rng;
use std::{
    env, fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn cases() -> usize {
    if is_full() { 5_000 } else { 150 }
}

/// A proxy that records what the server sends.
fn recording(port: u16) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = listener.local_addr().expect("an address").port();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&sent);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut server = TcpStream::connect(("127.0.0.1", port)).expect("a server");
            let (mut from, mut to) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
            thread::spawn(move || drop((std::io::copy(&mut from, &mut to), to.shutdown(Shutdown::Both))));
            let sent = Arc::clone(&shared);
            thread::spawn(move || {
                let mut buffer = [0; 16 * 1024];
                while let Ok(read @ 1..) = server.read(&mut buffer) {
                    sent.lock().expect("a lock").extend_from_slice(&buffer[..read]);
                    if client.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    (own, sent)
}

#[test]
fn the_corpus_matches_what_real_servers_send() {
    thread::scope(|scope| {
        for kind in kinds_with_own_protocol() {
            scope.spawn(move || {
                let backend = Backend::start_or_share(kind);
                let (port, sent) = recording(backend.port);
                let table = format!("timeout = \"20s\"\n{}", backend.table("127.0.0.1", port));
                let report = probed(&table);
                assert_eq!(report, None, "{kind}");
                let sent = sent.lock().expect("a lock").clone();
                let file = corpus().join(kind);
                if env::var_os("ALLSWELL_RECORD").is_some() {
                    fs::create_dir_all(corpus()).expect("a folder");
                    fs::write(&file, &sent).expect("a file");
                }
                let kept = fs::read(&file).expect("a recording");
                // Salts and times vary, the first byte does not.
                assert_eq!((kept.first(), kept.len() > 2), (sent.first(), true), "{kind}");
            });
        }
    });
}

/// Probes once by an engine, and returns class, message and cause of the failure, if any.
fn probed(table: &str) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let report = runtime.block_on(on_demand(table).probe_all(|_, _| {}));
    let failure = report.components["probed"].failure.as_ref();
    failure.map(|failure| format!("{}: {} ({:?})", failure.class, failure.message, failure.cause))
}

/// Mutates bytes as a hostile peer would: lengths, ends, repetitions.
fn mutated(bytes: &[u8], chance: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=chance.usize(..4) {
        if bytes.is_empty() {
            break;
        }
        let at = chance.usize(..bytes.len());
        match chance.u8(..7) {
            0 => bytes[at] = chance.u8(..),
            1 => bytes[at] ^= 1 << chance.u8(..8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, chance.u8(..)),
            4 => bytes[at] = *chance.choice(&[0, 0x7f, 0x80, 0xff, b'\r', b'\n', b'-', b'9']).expect("a byte"),
            5 => {
                let again = bytes[at..].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                let end = (at + chance.usize(..32)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    bytes
}

#[test]
fn no_reply_of_a_backend_causes_a_panic_or_an_internal_error() {
    let seed = fastrand::u64(..);
    thread::scope(|scope| {
        for kind in kinds_with_own_protocol() {
            scope.spawn(move || {
                let sent = fs::read(corpus().join(kind)).expect("a recording");
                let answer = Arc::new(Mutex::new(Vec::new()));
                let server = Hostile::reciting(Arc::clone(&answer));
                let mut chance = Rng::with_seed(seed);
                let backend = Backend::nowhere(kind);
                let table = format!("timeout = \"300ms\"\n{}", backend.table("127.0.0.1", server.port()));
                // For HTTP, every dialect that the kind reads.
                let dialects = ["allswell", "aspnet", "django", "health+json", "microprofile", "spring"];
                for case in 0..cases() {
                    *answer.lock().expect("a lock") = mutated(&sent, &mut chance);
                    let more = if kind == "http" { format!("\ndialect = \"{}\"", dialects[case % dialects.len()]) } else { String::new() };
                    let failure = probed(&format!("{table}{more}")).unwrap_or_default();
                    for defect in ["panicked", "internal"] {
                        let sent = String::from_utf8_lossy(&answer.lock().expect("a lock")).into_owned();
                        assert!(!failure.starts_with(defect), "seed {seed}, case {case}, {kind}: {failure}: {sent:?}");
                    }
                }
            });
        }
    });
}

#[test]
fn no_request_causes_a_panic_or_a_missing_response() {
    let seed = fastrand::u64(..);
    let mut chance = Rng::with_seed(seed);
    let mut requests: Vec<_> = fs::read_dir(corpus().join("requests")).expect("requests").flatten().map(|entry| entry.path()).collect();
    requests.sort();
    let requests: Vec<Vec<u8>> = requests.into_iter().map(|file| fs::read(file).expect("a request")).collect();
    let service = Allswell::start("[server]\ntoken = \"sesame\"\n[checks.memory]\nkind = \"memory\"\n");
    service.await_report("/health", "the component passes", |report| report.status == 200);
    for case in 0..cases() * 4 {
        let request = mutated(&requests[case % requests.len()], &mut chance);
        let mut stream = TcpStream::connect(service.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let _ = stream.write_all(&request);
        // A client that has sent everything gets a response, or the connection is closed.
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let response = String::from_utf8_lossy(&answer);
        let timed_out =
            read.as_ref().is_err_and(|error| matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
        assert!(!timed_out, "seed {seed}, case {case}: no end: {request:?}");
        let begins = answer.is_empty() || response.starts_with("HTTP/1.") || answer.starts_with(&[0, 0]);
        assert!(begins, "seed {seed}, case {case}: {request:?}: {response}");
        assert!(!response.contains(" 502 ") && !response.contains("panick"), "seed {seed}, case {case}: {response}");
    }
    assert_eq!(get(service.address, "/health").status, 200);
    assert!(!service.log().contains("panick"), "{}", service.log());
}
