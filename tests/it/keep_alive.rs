//! Connections that are kept while the service drains and ends: clients are asked to leave, and no response is lost.

use crate::{
    helpers::{Allswell, Response, eventually, get},
    servers::{Server, envoy_in_front, haproxy_in_front, in_venv, nginx_with},
};
use rustix::process::Signal;
use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const MEMORY: &str = "[checks.memory]\nkind = \"memory\"\n";
const TOKEN: &str = "correct-horse-battery";

/// A connection that is kept.
struct Kept(TcpStream);

impl Kept {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(stream))
    }

    /// Sends a poll and reads the response.
    fn poll(&mut self, path: &str) -> io::Result<Response> {
        self.0.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())?;
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = self.0.read(&mut buffer)?;
            if read == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the response"));
            }
            text.extend_from_slice(&buffer[..read]);
            let response = Response::parse(&String::from_utf8_lossy(&text), Duration::ZERO);
            let length = response.header("content-length").and_then(|length| length.parse().ok());
            if response.head.len() < text.len() && length.is_some_and(|length: usize| response.body.len() >= length) {
                return Ok(response);
            }
        }
    }

    /// Whether the server has closed it.
    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 16]), Ok(0))
    }
}

fn closes(response: &Response) -> bool {
    response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

fn post(service: &Allswell, path: &str) -> Response {
    let request = format!("POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    let mut kept = Kept::open(service.address).expect("a connection");
    kept.0.write_all(request.as_bytes()).expect("a request");
    let mut buffer = [0; 4096];
    let read = kept.0.read(&mut buffer).expect("a response");
    Response::parse(&String::from_utf8_lossy(&buffer[..read]), Duration::ZERO)
}

#[test]
fn while_draining_every_response_of_http_1_ends_its_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("drain");
    let service = Allswell::start(&format!("[server]\ntoken = \"{TOKEN}\"\ndrain_file = \"{}\"\n{MEMORY}", file.display()));
    service.await_report("/health", "the component passes", |report| report.status == 200);
    let mut kept: Vec<_> = (0..4).map(|_| Kept::open(service.address).expect("a connection")).collect();
    for connection in &mut kept {
        assert!(!closes(&connection.poll("/health").expect("a response")));
    }
    assert!(closes(&post(&service, "/admin/drain")), "also the response to the request that starts the drain");
    for (connection, path) in kept.iter_mut().zip(["/health", "/health/memory", "/metrics", "/nothing"]) {
        let last = connection.poll(path).expect("an idle connection stays open for one more request");
        assert!(closes(&last), "{path}: {}", last.text);
        assert!(connection.is_closed(), "{path}");
    }
    assert!(!closes(&post(&service, "/admin/undrain")));
    let mut again = Kept::open(service.address).expect("a connection");
    for _ in 0..2 {
        assert!(!closes(&again.poll("/health").expect("a response")), "connections are kept again");
    }
    fs::write(&file, "").expect("a file");
    service.await_report("/readyz", "the service drains", |response| response.status == 500);
    assert!(closes(&again.poll("/livez").expect("a response")));
}

/// Clients that poll back to back like a load balancer, until the service is gone. Returns the number of responses.
fn poll_until_gone(service: &mut Allswell, clients: usize, drain: impl FnOnce(&Allswell)) -> usize {
    let (address, responses, faults) = (service.address, Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            let (responses, faults) = (Arc::clone(&responses), Arc::clone(&faults));
            thread::spawn(move || {
                let pause = Duration::from_micros(500 + 97 * u64::try_from(client).expect("a number"));
                while let Ok(mut kept) = Kept::open(address) {
                    for poll in 0.. {
                        match kept.poll("/health") {
                            Ok(response) => {
                                responses.fetch_add(1, Ordering::Relaxed);
                                if closes(&response) {
                                    break;
                                }
                            }
                            Err(error) => {
                                faults.lock().expect("no panic").push(format!("client {client}, poll {poll} of its connection: {error}"));
                                break;
                            }
                        }
                        thread::sleep(pause);
                    }
                    thread::sleep(pause);
                }
            })
        })
        .collect();
    eventually("the clients poll", || (responses.load(Ordering::Relaxed) > 10 * clients).then_some(()));
    drain(service);
    service.wait();
    for thread in threads {
        thread.join().expect("no panic");
    }
    assert_eq!(*faults.lock().expect("no panic"), Vec::<String>::new(), "lost responses");
    responses.load(Ordering::Relaxed)
}

#[test]
fn no_response_is_lost_when_the_service_drains_and_ends() {
    for drain in ["1s", "0s"] {
        let mut service = Allswell::start(&format!("[server]\ndrain = \"{drain}\"\n{MEMORY}"));
        poll_until_gone(&mut service, 24, |service| service.signal(Signal::TERM));
    }
}

#[test]
fn no_response_is_lost_when_the_drain_is_cut_short() {
    let mut service = Allswell::start(&format!("[server]\ndrain = \"1h\"\n{MEMORY}"));
    poll_until_gone(&mut service, 24, |service| {
        service.signal(Signal::TERM);
        service.await_report("/readyz", "the service drains", |response| response.status == 500);
        service.signal(Signal::TERM);
    });
}

/// nginx that forwards requests to a server on loopback, on connections that it keeps.
fn nginx_in_front(server: u16) -> Server {
    nginx_with(|port| {
        format!(
            "upstream one {{ server 127.0.0.1:{server} max_fails=0; keepalive 8; }}\nserver {{\n  listen 127.0.0.1:{port};\n  location / {{\n    \
             proxy_pass http://one;\n    proxy_http_version 1.1;\n    proxy_set_header Connection \"\";\n    proxy_next_upstream off;\n  }}\n}}"
        )
    })
}

/// Polls through a proxy until the service is gone. Returns the first response of the proxy's own for each client.
fn through(proxy: &Server, mut service: Allswell) -> Vec<Response> {
    let address = SocketAddr::from(([127, 0, 0, 1], proxy.port));
    eventually("the proxy forwards", || (get(address, "/health").status == 200).then_some(()));
    let polls = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let polls = Arc::clone(&polls);
            thread::spawn(move || {
                loop {
                    let response = get(address, "/health");
                    if response.header("x-health-status").is_none() {
                        return response;
                    }
                    polls.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(1));
                }
            })
        })
        .collect();
    eventually("the clients poll", || (polls.load(Ordering::Relaxed) > 60).then_some(()));
    service.signal(Signal::TERM);
    service.wait();
    threads.into_iter().map(|thread| thread.join().expect("a response")).collect()
}

fn draining() -> Allswell {
    Allswell::start(&format!("[server]\ndrain = \"1s\"\n{MEMORY}"))
}

#[test]
fn haproxy_and_nginx_lose_no_response_while_the_service_drains() {
    let service = draining();
    let haproxy = haproxy_in_front(service.address.port());
    for response in through(&haproxy, service) {
        assert_eq!(response.status, 503, "the connection was refused, not cut off: {}", response.text);
    }
    let service = draining();
    let nginx = nginx_in_front(service.address.port());
    assert!(through(&nginx, service).iter().all(|response| response.status == 502));
    let errors = fs::read_to_string(nginx.directory.path().join("error")).expect("a log");
    assert!(errors.lines().all(|line| !line.contains("[error]") || line.contains("Connection refused")), "{errors}");
}

#[test]
fn envoy_loses_no_response_while_the_service_drains() {
    for protocol in ["http_protocol_options", "http2_protocol_options"] {
        let service = draining();
        let envoy = envoy_in_front(service.address.port(), protocol);
        for response in through(&envoy, service) {
            assert!(
                response.body.contains("remote connection failure") || response.body.contains("Connection refused"),
                "{protocol}: {}",
                response.text
            );
        }
    }
}

/// The frames of a connection with HTTP/2: type, flags, stream and payload.
struct Http2(TcpStream);

impl Http2 {
    fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("a preface");
        Self(stream)
    }

    /// Sends `GET /health`.
    fn get(&mut self, stream: u8) {
        let head = [&[0x82, 0x86, 0x41, 1, b'a', 0x44, 7][..], b"/health"].concat();
        let length = u8::try_from(head.len()).expect("a length");
        self.0.write_all(&[&[0, 0, length, 1, 5, 0, 0, 0, stream][..], &head].concat()).expect("a request");
    }

    /// Reads up to a frame of this type, and acknowledges pings.
    fn next(&mut self, kind: u8) -> Option<Vec<u8>> {
        loop {
            let mut header = [0; 9];
            self.0.read_exact(&mut header).ok()?;
            let mut payload = vec![0; usize::from(header[1]) << 8 | usize::from(header[2])];
            self.0.read_exact(&mut payload).ok()?;
            if header[3] == 6 && header[4] == 0 {
                let _ = self.0.write_all(&[&[0, 0, 8, 6, 1, 0, 0, 0, 0][..], &payload].concat());
            }
            if header[3] == kind {
                return Some(payload);
            }
        }
    }
}

const DATA: u8 = 0;
const GOAWAY: u8 = 7;

#[test]
fn a_drain_asks_clients_of_http_2_to_leave_and_answers_what_they_have_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("drain");
    let service = Allswell::start(&format!("[server]\ndrain_file = \"{}\"\n{MEMORY}", file.display()));
    service.await_report("/health", "the component passes", |report| report.status == 200);
    let mut client = Http2::open(service.address);
    client.get(1);
    assert!(client.next(DATA).is_some());
    fs::write(&file, "").expect("a file");
    let goaway = client.next(GOAWAY).expect("a frame");
    assert_eq!(goaway[..8], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0], "no error, and every request that is on its way counts");
    client.get(3);
    assert!(client.next(DATA).is_some(), "this one was");
    assert_eq!(client.next(GOAWAY).map(|goaway| goaway[..8].to_vec()), Some(vec![0, 0, 0, 3, 0, 0, 0, 0]));
    assert!(client.next(GOAWAY).is_none(), "the connection is closed");
    let mut late = Http2::open(service.address);
    thread::sleep(Duration::from_millis(600));
    late.get(1);
    assert!(late.next(DATA).is_some(), "a new client gets its response first");
    assert!(late.next(GOAWAY).is_some());

    fs::remove_file(&file).expect("a file");
    service.await_report("/health", "the service takes traffic again", |report| report.status == 200);
    let mut client = Http2::open(service.address);
    for stream in [1, 3] {
        client.get(stream);
        assert!(client.next(DATA).is_some());
        thread::sleep(Duration::from_millis(400));
    }
}

#[test]
fn a_watcher_gets_not_serving_before_it_is_asked_to_leave() {
    const SCRIPT: &str = r"
import sys, grpc
from grpc_health.v1 import health_pb2 as pb, health_pb2_grpc
health = health_pb2_grpc.HealthStub(grpc.insecure_channel(sys.argv[1]))
try:
    for answer in health.Watch(pb.HealthCheckRequest()):
        print(pb.HealthCheckResponse.ServingStatus.Name(answer.status), flush=True)
except grpc.RpcError as error:
    print(error.code().name, flush=True)
";
    let mut service = draining();
    service.await_report("/health", "the component passes", |report| report.status == 200);
    let python: PathBuf = in_venv("grpc", "python");
    let out = service.directory.path().join("watched");
    let address = service.address.to_string();
    let mut watcher =
        Command::new(python).args(["-c", SCRIPT, &address]).stdout(fs::File::create(&out).expect("a file")).spawn().expect("Python");
    let shown = || fs::read_to_string(&out).unwrap_or_default();
    eventually("the watcher is served", || (shown() == "SERVING\n").then_some(()));
    service.signal(Signal::TERM);
    eventually("the watcher is warned", || (shown() == "SERVING\nNOT_SERVING\n").then_some(()));
    service.wait();
    eventually("the call ends", || (shown() == "SERVING\nNOT_SERVING\nUNAVAILABLE\n").then_some(()));
    watcher.wait().expect("a child");
}
