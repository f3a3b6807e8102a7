//! allswell embedded in an axum application.

use crate::helpers::{self, Allswell, PATIENCE, Response, send};
use allswell::{
    Aggregator, Check, Failure, Observation, Registry, async_trait,
    component::Policy,
    config::{Sources, load},
    engine::Builder,
    service::{BindError, Service, ServiceHandle},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Version},
    routing::get,
};
use http_body_util::BodyExt;
use std::{
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use tower::ServiceExt;

/// A check that blocks its thread, which it should not.
struct Blocks;

#[async_trait]
impl Check for Blocks {
    async fn probe(&self) -> Result<Observation, Failure> {
        std::thread::sleep(Duration::from_secs(3600));
        Ok(Observation::pass())
    }
}

struct Passing;

#[async_trait]
impl Check for Passing {
    async fn probe(&self) -> Result<Observation, Failure> {
        Ok(Observation::pass().with("online", 3))
    }
}

struct Panics;

#[async_trait]
impl Check for Panics {
    async fn probe(&self) -> Result<Observation, Failure> {
        panic!("this check is broken")
    }
}

async fn ask(app: &Router, path: &str) -> (u16, String) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let response = app.clone().oneshot(request).await.expect("an answer");
    let status = response.status().as_u16();
    (status, String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.expect("a body").to_vec()).expect("text"))
}

#[tokio::test]
async fn merged_health_paths_leave_those_of_the_application_alone() {
    let health = Aggregator::builder().check("fleet", Passing).start();
    let app = Router::new().route("/", get(|| async { "home" })).fallback(|| async { "nothing" }).merge(allswell::router(health));
    assert_eq!(ask(&app, "/").await, (200, "home".to_owned()));
    assert_eq!(ask(&app, "/other").await, (200, "nothing".to_owned()));
    let (status, body) = ask(&app, "/health").await;
    assert_eq!(status, 200);
    assert!(body.contains("\"online\": 3") && body.contains("\"kind\": \"custom\""), "{body}");
    assert_eq!(ask(&app, "/health/fleet/").await.0, 200);
    assert_eq!(ask(&app, "/health/none").await.0, 404);
    assert_eq!(ask(&app, "/livez").await.0, 200);
    let (status, metrics) = ask(&app, "/metrics").await;
    let polls: Vec<_> = metrics.lines().filter(|line| line.starts_with("allswell_polls_total{")).collect();
    let expected = [
        "allswell_polls_total{path=\"/health\",code=\"200\"} 1",
        "allswell_polls_total{path=\"/health/NAME\",code=\"200\"} 1",
        "allswell_polls_total{path=\"/health/NAME\",code=\"404\"} 1",
        "allswell_polls_total{path=\"/livez\",code=\"200\"} 1",
    ];
    assert_eq!((status, polls), (200, expected.to_vec()), "only our own paths are counted");
}

/// The status and the headers of a response, without its date.
fn status_and_headers(response: &Response) -> (u16, Vec<&str>) {
    let mut lines: Vec<_> = response.head.lines().skip(1).filter(|line| !line.to_ascii_lowercase().starts_with("date:")).collect();
    // The number of digits of times and measurements varies.
    lines.retain(|line| !line.starts_with("content-length:"));
    lines.sort_unstable();
    (response.status, lines)
}

#[test]
fn an_embedded_router_responds_like_the_binary() {
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = format!(
        "[checks.media]\nkind = \"storage\"\npath = \"{}\"\n[checks.gone]\nkind = \"storage\"\npath = \"/none\"\n\
         [groups.files]\nchecks = [\"media\"]\n",
        folder.path().display()
    );
    let binary = Allswell::start(&configuration);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let address = runtime.block_on(async {
        let file = folder.path().join("allswell.toml");
        fs::write(&file, &configuration).expect("a file");
        let sources = Sources { files: vec![file], ..Sources::default() };
        let configured = load(&sources, &Registry::builtin()).expect("a configuration");
        let builder = configured.components.into_iter().fold(Aggregator::builder(), Builder::component).group("files", ["media"]);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let app = Router::new().route("/", get(|| async { "home" })).merge(allswell::router(builder.start()));
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    });
    for path in [
        "/health",
        "/healthz/",
        "/health?format=text",
        "/health?format=atom",
        "/health?format=health+json",
        "/metrics",
        "/livez",
        "/readyz",
        "/startupz",
        "/health/media",
        "/health/gone",
        "/health/files",
        "/health/none",
    ] {
        for method in ["GET", "HEAD", "OPTIONS", "POST"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let (ours, theirs) = (send(binary.address, request.as_bytes()), send(address, request.as_bytes()));
            assert_eq!(status_and_headers(&ours), status_and_headers(&theirs), "{method} {path}");
        }
    }
    assert_eq!(helpers::get(address, "/").body, "home");
    runtime.shutdown_background();
}

#[tokio::test]
async fn a_custom_group_is_a_path_and_a_grpc_service() {
    let health = Aggregator::builder().check("fleet", Passing).check("broken", Panics).group("dispatch", ["fleet"]).start();
    let app = allswell::router(health);
    assert_eq!(ask(&app, "/health/dispatch").await.0, 200);
    for (service, expected) in [("dispatch", Some(1)), ("", Some(2)), ("none", None)] {
        let name = u8::try_from(service.len()).expect("a short name");
        let message = [&[0, 0, 0, 0, name + 2, 10, name], service.as_bytes()].concat();
        let request = Request::post("/grpc.health.v1.Health/Check")
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .body(Body::from(message));
        let response = app.clone().oneshot(request.expect("a request")).await.expect("an answer");
        let status = response.headers().get("grpc-status").cloned();
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        match expected {
            Some(serving) => assert_eq!(body.as_ref(), [0, 0, 0, 0, 2, 8, serving], "{service}"),
            None => assert_eq!(status.expect("a status"), "5"),
        }
    }
}

/// Passes after 200 ms.
struct SlowCheck;

#[async_trait]
impl Check for SlowCheck {
    async fn probe(&self) -> Result<Observation, Failure> {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(Observation::pass())
    }
}

/// Calls a method of the gRPC health service for the whole service.
async fn call(app: &Router, method: &str) -> Body {
    let request = Request::post(format!("/grpc.health.v1.Health/{method}"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .body(Body::from(&[0; 5][..]));
    app.clone().oneshot(request.expect("a request")).await.expect("an answer").into_body()
}

#[tokio::test(start_paused = true)]
async fn a_grpc_list_waits_for_first_results() {
    let app = allswell::router(Aggregator::builder().check("slow", SlowCheck).start());
    let list = to_bytes(call(&app, "List").await, usize::MAX).await.expect("a body");
    let count = |status: u8| list.windows(4).filter(|field| *field == [18, 2, 8, status]).count();
    assert_eq!((count(1), count(2)), (5, 0), "everything, live, ready, startup and the check itself serve: {list:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stall_alone_sends_no_change_to_a_grpc_watch() {
    let app = allswell::router(Aggregator::builder().check("slow", SlowCheck).start());
    let mut watch = call(&app, "Watch").await;
    let first = watch.frame().await.expect("a frame").expect("a message").into_data().expect("data");
    assert_eq!(first.as_ref(), [0, 0, 0, 0, 2, 8, 1]);
    tokio::time::advance(Duration::from_secs(60)).await;
    let second = timeout(Duration::from_secs(30), watch.frame()).await;
    assert!(second.is_err(), "the stall was sent as a change: {second:?}");
}

#[tokio::test]
async fn a_panicking_check_fails_alone() {
    let health = Aggregator::builder().check("broken", Panics).check("well", Passing).start();
    let app = allswell::router(health);
    let (status, body) = ask(&app, "/health").await;
    assert_eq!(status, 500);
    assert!(body.contains("\"class\": \"panicked\"") && !body.contains("this check is broken"), "{body}");
    assert_eq!(ask(&app, "/health/well").await.0, 200);
}

#[test]
fn checks_that_block_the_engine_fail_livez_without_blocking_responses() {
    let engine = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let answering = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let policy = Policy::default().with_interval(Duration::from_millis(100)).with_timeout(Duration::from_millis(100));
    let health = Aggregator::builder().policy(policy).check("well", Passing).check("blocks", Blocks).start_on(engine.handle());
    let app = allswell::router(health);
    answering.block_on(async {
        let mut last = String::new();
        for _ in 0..60 {
            let (livez, _) = ask(&app, "/livez").await;
            let (health, body) = ask(&app, "/health").await;
            if (livez, health) == (500, 500)
                && (body.contains("\"class\": \"stale\"") || body.matches("\"class\": \"pending\"").count() == 2)
            {
                return;
            }
            last = body;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("the engine is blocked, but no response reports it: {last}");
    });
    engine.shutdown_background();
}

/// A check that records the times of its probes.
struct Recorder(Arc<Mutex<Vec<Duration>>>, tokio::time::Instant);

#[async_trait]
impl Check for Recorder {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.0.lock().expect("a lock").push(self.1.elapsed());
        Ok(Observation::pass())
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_schedule() {
    let mut schedules = Vec::new();
    for seed in [7, 7, 8] {
        let pages = [(); 3].map(|()| Arc::new(Mutex::new(Vec::new())));
        let start = tokio::time::Instant::now();
        let builder = ["a", "b", "c"]
            .iter()
            .zip(&pages)
            .fold(Aggregator::builder().seed(seed), |builder, (name, page)| builder.check(name, Recorder(Arc::clone(page), start)));
        let health = builder.start();
        tokio::time::sleep(Duration::from_secs(300)).await;
        drop(health);
        schedules.push(pages.map(|page| page.lock().expect("a lock").clone()));
    }
    assert!(schedules[0].iter().all(|page| page.len() > 25), "{schedules:?}");
    assert_eq!(schedules[0], schedules[1]);
    assert_ne!(schedules[0], schedules[2]);
    assert_ne!(schedules[0][0], schedules[0][1], "each component has its own jitter");
}

/// Checks with these names and an interval of an hour that record the times of their probes.
fn recorders(names: impl Iterator<Item = String>) -> (Aggregator, Vec<Arc<Mutex<Vec<Duration>>>>) {
    let start = tokio::time::Instant::now();
    let mut pages = Vec::new();
    let policy = Policy::default().with_interval(Duration::from_secs(3600));
    let builder = names.fold(Aggregator::builder().policy(policy), |builder, name| {
        let page = Arc::new(Mutex::new(Vec::new()));
        pages.push(Arc::clone(&page));
        builder.check(&name, Recorder(page, start))
    });
    (builder.group("some", ["a", "b"]).start(), pages)
}

#[tokio::test(start_paused = true)]
async fn fresh_probes_only_the_components_of_its_path() {
    let (health, pages) = recorders(["a", "b", "c"].map(str::to_owned).into_iter());
    let app = allswell::router(health);
    assert_eq!(ask(&app, "/health").await.0, 200);
    let probes = || pages.iter().map(|page| page.lock().expect("a lock").len()).collect::<Vec<_>>();
    assert_eq!(probes(), [1, 1, 1]);
    for (path, expected) in [
        ("/health/a?fresh", [2, 1, 1]),
        ("/health/some?fresh", [3, 2, 1]),
        ("/readyz?fresh", [4, 3, 2]),
        ("/livez?fresh", [4, 3, 2]),
        ("/health?fresh", [5, 4, 3]),
    ] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(ask(&app, path).await.0, 200);
        assert_eq!(probes(), expected, "{path}");
    }
    // A component is probed at most once a second, whichever path is requested.
    for path in ["/health/a?fresh", "/health/some?fresh", "/health?fresh"] {
        assert_eq!(ask(&app, path).await.0, 200);
    }
    assert_eq!(probes(), [5, 4, 3]);
}

#[tokio::test(start_paused = true)]
async fn thousands_of_fresh_probes_are_spread_over_a_second() {
    const MANY: usize = 5000;
    let (health, pages) = recorders((0..MANY).map(|number| format!("c{number}")));
    let app = allswell::router(health);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let asked = tokio::time::Instant::now();
    assert_eq!(ask(&app, "/health?fresh").await.0, 200);
    assert!(asked.elapsed() <= Duration::from_millis(801), "after the deadline: {:?}", asked.elapsed());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut in_a_tenth = [0; 10];
    for page in &pages {
        let start = page.lock().expect("a lock").last().expect("a probe").saturating_sub(Duration::from_secs(10));
        in_a_tenth[usize::try_from(start.as_millis() / 100).expect("a second").min(9)] += 1;
    }
    assert!(in_a_tenth.iter().all(|probes| (MANY / 20..MANY / 5).contains(probes)), "{in_a_tenth:?}");
}

/// A service in this process, on a free port.
struct Embedded {
    folder: TempDir,
    address: SocketAddr,
    handle: ServiceHandle,
    shutdown: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

/// The configuration of a service that passes, with a drain time.
fn passing(drain: &str) -> String {
    format!("[server]\nlisten = \"127.0.0.1:0\"\ndrain = \"{drain}\"\n[checks.files]\nkind = \"storage\"\npath = \"/tmp\"\n")
}

fn sources(folder: &TempDir) -> Sources {
    Sources { files: vec![folder.path().join("allswell.toml")], ..Sources::default() }
}

async fn bind(folder: &TempDir, configuration: &str) -> Result<Service, BindError> {
    fs::write(folder.path().join("allswell.toml"), configuration).expect("a configuration");
    Service::bind(load(&sources(folder), &Registry::builtin()).expect("a configuration")).await
}

impl Embedded {
    async fn start(configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let service = bind(&folder, configuration).await.expect("a free port");
        let service = service.reload_from(sources(&folder), Arc::new(Registry::builtin()));
        let (address, handle) = (service.local_addr().expect("an address"), service.handle());
        let (shutdown, requested) = oneshot::channel::<()>();
        let running = tokio::spawn(service.run(async { requested.await.expect("a request to end") }));
        Self { folder, address, handle, shutdown: Some(shutdown), running }
    }

    async fn get(&self, path: &'static str) -> Response {
        let address = self.address;
        spawn_blocking(move || helpers::get(address, path)).await.expect("a response")
    }

    async fn await_status(&self, path: &'static str, status: u16) -> Response {
        let start = Instant::now();
        loop {
            let response = self.get(path).await;
            if response.status == status {
                return response;
            }
            assert!(start.elapsed() < PATIENCE, "{path}: {}", response.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_service_drains_when_its_future_resolves_and_then_ends() {
    let mut service = Embedded::start(&passing("2s")).await;
    assert_eq!(service.await_status("/readyz", 200).await.json()["components"]["files"]["status"], "pass");
    assert_eq!(service.handle.aggregator().report().components.len(), 1);
    let start = Instant::now();
    service.shutdown.take().expect("it runs").send(()).expect("it runs");
    assert_eq!(service.await_status("/readyz", 500).await.json()["draining"], true);
    assert_eq!(service.get("/livez").await.status, 200);
    timeout(PATIENCE, service.running).await.expect("it ends").expect("no panic");
    assert!(start.elapsed() >= Duration::from_secs(2), "it answers while it drains: {:?}", start.elapsed());
    assert!(std::net::TcpStream::connect(service.address).is_err(), "nothing listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_service_can_be_stopped_during_its_drain() {
    let service = Embedded::start(&passing("1h")).await;
    service.await_status("/readyz", 200).await;
    service.handle.shut_down();
    service.await_status("/readyz", 500).await;
    service.handle.stop();
    timeout(PATIENCE, service.running).await.expect("it ends").expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_service_reloads_through_its_handle() {
    let service = Embedded::start(&passing("0s")).await;
    let file = service.folder.path().join("allswell.toml");
    fs::write(&file, passing("0s").replace("[server]", "[server]\nfail_status = 503")).expect("a configuration");
    let applied = service.handle.reload().await.expect("an outcome");
    assert_eq!((applied.outcome(), applied.problems.len()), ("applied", 0));
    service.handle.aggregator().drain();
    assert_eq!(service.get("/health").await.status, 503);
    fs::write(&file, "[server]\nnonsense = 1\n").expect("a configuration");
    let refused = service.handle.reload().await.expect("an outcome");
    assert!(refused.problems.iter().any(|problem| problem.contains("server.nonsense")), "{refused:?}");
    service.handle.stop();
    timeout(PATIENCE, service.running).await.expect("it ends").expect("no panic");
    assert!(service.handle.reload().await.is_err(), "the service has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_service_without_sources_refuses_a_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = bind(&folder, &passing("0s")).await.expect("a free port");
    let handle = service.handle();
    let running = tokio::spawn(service.run(std::future::pending()));
    let refused = handle.reload().await.expect("an outcome");
    assert_eq!(refused.problems, ["the service was started without configuration files, so there is nothing to reload"]);
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_service_calls_the_hook_of_its_owner_before_a_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = bind(&folder, &passing("0s")).await.expect("a free port");
    let (sender, receiver) = std::sync::mpsc::channel();
    let service = service.reload_from(sources(&folder), Arc::new(Registry::builtin()));
    let service = service.on_reload(move |configured| sender.send(configured.settings.server.fail_status).expect("a receiver"));
    let handle = service.handle();
    let running = tokio::spawn(service.run(std::future::pending()));
    fs::write(folder.path().join("allswell.toml"), passing("0s").replace("[server]", "[server]\nfail_status = 503")).expect("a file");
    assert_eq!(handle.reload().await.expect("an outcome").outcome(), "applied");
    assert_eq!(receiver.try_recv(), Ok(503));
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_service_reports_a_port_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let error = bind(&folder, &passing("0s").replace("127.0.0.1:0", &address)).await.expect_err("the port is taken");
    assert!(matches!(&error, BindError::Listen { key: "server.listen", .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("server.listen: cannot listen on {address}: ")), "{error}");
}
