//! The gRPC health service, with Google's Python client, curl, and the requests of load balancers.

use crate::{
    helpers::{Allswell, PATIENCE, eventually, run, send},
    servers::in_venv,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const SCRIPT: &str = r#"
import sys, threading, time, grpc
from grpc_health.v1 import health_pb2 as pb, health_pb2_grpc
address, call, service = sys.argv[1:]
health = health_pb2_grpc.HealthStub(grpc.insecure_channel(address))
name = pb.HealthCheckResponse.ServingStatus.Name
try:
    if call == "check":
        print(name(health.Check(pb.HealthCheckRequest(service=service), timeout=60).status))
    elif call == "watch":
        for answer in health.Watch(pb.HealthCheckRequest(service=service)):
            print(name(answer.status), flush=True)
    elif call == "crowd":
        own = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.insecure_channel(address, own) for _ in range(4)]
        ended = []
        def watch(channel):
            try:
                list(health_pb2_grpc.HealthStub(channel).Watch(pb.HealthCheckRequest()))
            except grpc.RpcError as error:
                ended.append(error.code().name)
        for channel in channels * 64:
            threading.Thread(target=watch, args=[channel], daemon=True).start()
        while len(ended) < int(service):
            time.sleep(0.05)
        print(*set(ended), flush=True)
        time.sleep(60)
    elif call == "list":
        for service, answer in sorted(health.List(pb.HealthListRequest(), timeout=60).statuses.items()):
            print(service, name(answer.status))
except grpc.RpcError as error:
    print(error.code().name)
"#;

fn client(service: &Allswell, call: &str, of: &str) -> Command {
    let mut command = Command::new(in_venv("grpc", "python"));
    command.args(["-c", SCRIPT, &service.address.to_string(), call, of]);
    command
}

fn ask(service: &Allswell, call: &str, of: &str) -> String {
    let ran = run(&mut client(service, call, of));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout.trim().to_owned()
}

/// A service with a component that fails while its folder is missing, one that is not critical, and a group.
fn service() -> (Allswell, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let media = folder.path().join("media");
    fs::create_dir(&media).expect("a folder");
    let drain = folder.path().join("drain");
    let configuration = format!(
        "[server]\ndrain_file = \"{}\"\n[defaults]\ninterval = \"100ms\"\n[checks.media]\nkind = \"storage\"\npath = \"{}\"\n\
         [checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ncritical = false\n[groups.files]\nchecks = [\"media\"]\n",
        drain.display(),
        media.display()
    );
    (Allswell::start(&configuration), folder)
}

#[test]
fn check_and_list_report_every_service() {
    let (service, folder) = service();
    assert_eq!(ask(&service, "check", ""), "SERVING", "a warning serves");
    for (name, status) in [("media", "SERVING"), ("files", "SERVING"), ("live", "SERVING"), ("port", "NOT_SERVING"), ("none", "NOT_FOUND")]
    {
        assert_eq!(ask(&service, "check", name), status, "{name}");
    }
    let list = "SERVING\nfiles SERVING\nlive SERVING\nmedia SERVING\nport NOT_SERVING\nready SERVING\nstartup SERVING";
    assert_eq!(ask(&service, "list", ""), list);
    fs::remove_dir(folder.path().join("media")).expect("a folder");
    service.await_report("/health", "the component fails", |response| response.status == 500);
    assert_eq!(ask(&service, "check", ""), "NOT_SERVING");
    assert_eq!(ask(&service, "check", "files"), "NOT_SERVING");
}

/// A client of `Watch`, and the statuses that it receives, line by line.
struct Watcher(Child, Box<dyn Iterator<Item = String>>);

impl Watcher {
    fn new(service: &Allswell, of: &str) -> Self {
        Self::calling(service, "watch", of)
    }

    /// Four connections with 64 calls each. The first line comes when this number of calls has ended.
    fn crowd(service: &Allswell, ended: usize) -> Self {
        Self::calling(service, "crowd", &ended.to_string())
    }

    fn calling(service: &Allswell, call: &str, of: &str) -> Self {
        let mut child = client(service, call, of).stdout(Stdio::piped()).spawn().expect("Python");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        Self(child, Box::new(lines))
    }

    fn next(&mut self) -> Option<String> {
        self.1.next()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn watch_sends_the_status_at_once_and_then_each_change() {
    let (mut service, folder) = service();
    let (mut whole, mut media, mut unknown) = (Watcher::new(&service, ""), Watcher::new(&service, "media"), Watcher::new(&service, "none"));
    assert_eq!(whole.next().as_deref(), Some("SERVING"));
    assert_eq!(media.next().as_deref(), Some("SERVING"));
    assert_eq!(unknown.next().as_deref(), Some("SERVICE_UNKNOWN"));
    fs::write(folder.path().join("drain"), "").expect("a file");
    assert_eq!(whole.next().as_deref(), Some("NOT_SERVING"), "the service drains");
    fs::remove_file(folder.path().join("drain")).expect("a file");
    assert_eq!(whole.next().as_deref(), Some("SERVING"));
    fs::remove_dir(folder.path().join("media")).expect("a folder");
    assert_eq!(whole.next().as_deref(), Some("NOT_SERVING"));
    assert_eq!(media.next().as_deref(), Some("NOT_SERVING"), "draining does not change a component");
    // Open watches do not delay the shutdown.
    service.signal(rustix::process::Signal::INT);
    assert_eq!(service.wait().code(), Some(0));
}

#[test]
fn an_open_watch_does_not_delay_the_shutdown() {
    let mut service = Allswell::start("[server]\ndeadline = \"9s\"\n[checks.memory]\nkind = \"memory\"\n");
    let mut watcher = Watcher::new(&service, "");
    assert_eq!(watcher.next().as_deref(), Some("SERVING"));
    let began = Instant::now();
    service.signal(rustix::process::Signal::INT);
    assert_eq!(service.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn four_connections_with_all_their_streams_do_not_keep_a_new_client_from_watching() {
    let (service, folder) = service();
    let mut crowd = Watcher::crowd(&service, 4 * (64 - 16));
    assert_eq!(crowd.next().as_deref(), Some("UNAVAILABLE"), "the status after which clients call again");
    let mut newcomer = Watcher::new(&service, "media");
    assert_eq!(newcomer.next().as_deref(), Some("SERVING"));
    fs::remove_dir(folder.path().join("media")).expect("a folder");
    assert_eq!(newcomer.next().as_deref(), Some("NOT_SERVING"));
}

#[test]
fn a_watch_outlives_the_timeouts_of_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = format!(
        "[server]\nidle_timeout = \"300ms\"\nheader_timeout = \"300ms\"\ndeadline = \"100ms\"\n[defaults]\ninterval = \"100ms\"\n\
         [checks.media]\nkind = \"storage\"\npath = \"{}\"\n",
        folder.path().display()
    );
    let service = Allswell::start(&configuration);
    let mut watcher = Watcher::new(&service, "media");
    assert_eq!(watcher.next().as_deref(), Some("SERVING"));
    // Eight idle connections are closed meanwhile.
    for _ in 0..8 {
        let mut idle = std::net::TcpStream::connect(service.address).expect("a connection");
        idle.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        assert_eq!(std::io::Read::read(&mut idle, &mut [0; 1]).expect("an end"), 0);
    }
    folder.close().expect("a folder");
    assert_eq!(watcher.next().as_deref(), Some("NOT_SERVING"));
}

#[test]
fn the_grpc_health_checks_of_load_balancers_are_answered() {
    let (service, folder) = service();
    let empty = folder.path().join("empty");
    fs::write(&empty, [0; 5]).expect("a file");
    let curl = |path: &str, more: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--noproxy", "*", "--http2-prior-knowledge", "--include", "--max-time", "60"]).args(more);
        let url = format!("http://{}{path}", service.address);
        String::from_utf8_lossy(&command.arg(url).output().expect("curl").stdout).into_owned()
    };
    let data = format!("@{}", empty.display());
    let grpc = ["--header", "content-type: application/grpc", "--data-binary", &data];
    // The default path of an Application Load Balancer, whose default code for a healthy target is 12.
    assert!(curl("/AWS.ALB/healthcheck", &grpc).contains("grpc-status: 12\r\n"));
    let check = curl("/grpc.health.v1.Health/Check", &grpc);
    assert!(check.starts_with("HTTP/2 200") && check.contains("\0\0\0\0\x02\x08\x01") && check.contains("grpc-status: 0"), "{check:?}");
    assert!(curl("/grpc.health.v1.Health/Check", &[]).starts_with("HTTP/2 405"));
    assert!(curl("/grpc.health.v1.Health/Check", &["--data-binary", &data]).starts_with("HTTP/2 415"));
    let old =
        send(service.address, b"POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(old.status, 505, "{}", old.text);
    let nonsense = ["--header", "content-type: application/grpc", "--data-binary", "nonsense"];
    assert!(curl("/grpc.health.v1.Health/Check", &nonsense).contains("grpc-status: 3\r\n"));
    fs::remove_dir(folder.path().join("media")).expect("a folder");
    eventually("the target is unhealthy", || curl("/AWS.ALB/healthcheck", &grpc).contains("grpc-status: 14\r\n").then_some(()));
}
