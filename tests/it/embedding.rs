//! allswell inside of somebody's axum application.

use crate::helpers::{Allswell, Response, send};
use allswell::{
    Aggregator, Check, Failure, Observation, Registry, async_trait,
    component::Policy,
    config::{Sources, load},
    engine::Builder,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Version},
    routing::get,
};
use http_body_util::BodyExt;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::ServiceExt;

/// Blocks the thread on which it is polled, as a check should not.
struct Blocks;

#[async_trait]
impl Check for Blocks {
    async fn probe(&self) -> Result<Observation, Failure> {
        std::thread::sleep(Duration::from_secs(3600));
        Ok(Observation::pass())
    }
}

struct Well;

#[async_trait]
impl Check for Well {
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
async fn the_health_paths_join_an_application_and_leave_its_own_alone() {
    let health = Aggregator::builder().check("fleet", Well).start();
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
    assert_eq!((status, polls), (200, expected.to_vec()), "and nothing of what the application answers itself");
}

/// The head of an answer without its date, and its status.
fn told(response: &Response) -> (u16, Vec<&str>) {
    let mut lines: Vec<_> = response.head.lines().skip(1).filter(|line| !line.to_ascii_lowercase().starts_with("date:")).collect();
    // What was measured, and when, has not always as many digits.
    lines.retain(|line| !line.starts_with("content-length:"));
    lines.sort_unstable();
    (response.status, lines)
}

#[test]
fn the_same_paths_are_answered_as_by_the_binary() {
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
        std::fs::write(&file, &configuration).expect("a file");
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
            assert_eq!(told(&ours), told(&theirs), "{method} {path}");
        }
    }
    assert_eq!(crate::helpers::get(address, "/").body, "home");
    runtime.shutdown_background();
}

#[tokio::test]
async fn a_group_of_ones_own_is_a_path_and_a_service_by_grpc() {
    let health = Aggregator::builder().check("fleet", Well).check("broken", Panics).group("dispatch", ["fleet"]).start();
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

/// Well, but not at once.
struct Slow;

#[async_trait]
impl Check for Slow {
    async fn probe(&self) -> Result<Observation, Failure> {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(Observation::pass())
    }
}

/// A call of the health service for everything.
async fn call(app: &Router, method: &str) -> Body {
    let request = Request::post(format!("/grpc.health.v1.Health/{method}"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .body(Body::from(&[0; 5][..]));
    app.clone().oneshot(request.expect("a request")).await.expect("an answer").into_body()
}

#[tokio::test(start_paused = true)]
async fn a_list_waits_for_first_results() {
    let app = allswell::router(Aggregator::builder().check("slow", Slow).start());
    let list = to_bytes(call(&app, "List").await, usize::MAX).await.expect("a body");
    let count = |status: u8| list.windows(4).filter(|field| *field == [18, 2, 8, status]).count();
    assert_eq!((count(1), count(2)), (5, 0), "everything, live, ready, startup and the check itself serve: {list:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stall_alone_is_no_change_to_a_watch() {
    let app = allswell::router(Aggregator::builder().check("slow", Slow).start());
    let mut watch = call(&app, "Watch").await;
    let first = watch.frame().await.expect("a frame").expect("a message").into_data().expect("data");
    assert_eq!(first.as_ref(), [0, 0, 0, 0, 2, 8, 1]);
    tokio::time::advance(Duration::from_secs(60)).await;
    let second = tokio::time::timeout(Duration::from_secs(30), watch.frame()).await;
    assert!(second.is_err(), "the old result was waited for: {second:?}");
}

#[tokio::test]
async fn a_panic_is_that_components_affair() {
    let health = Aggregator::builder().check("broken", Panics).check("well", Well).start();
    let app = allswell::router(health);
    let (status, body) = ask(&app, "/health").await;
    assert_eq!(status, 500);
    assert!(body.contains("\"class\": \"panicked\"") && !body.contains("this check is broken"), "{body}");
    assert_eq!(ask(&app, "/health/well").await.0, 200);
}

#[test]
fn checks_that_block_the_engine_make_it_dead_but_not_mute() {
    let engine = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let answering = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let policy = Policy::default().with_interval(Duration::from_millis(100)).with_timeout(Duration::from_millis(100));
    let health = Aggregator::builder().policy(policy).check("well", Well).check("blocks", Blocks).start_on(engine.handle());
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
        panic!("the engine is stuck, and nobody says so: {last}");
    });
    engine.shutdown_background();
}

/// Remembers when it was probed.
struct Diary(Arc<Mutex<Vec<Duration>>>, tokio::time::Instant);

#[async_trait]
impl Check for Diary {
    async fn probe(&self) -> Result<Observation, Failure> {
        self.0.lock().expect("a lock").push(self.1.elapsed());
        Ok(Observation::pass())
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_same_seed_everything_happens_at_the_same_times() {
    let mut diaries = Vec::new();
    for seed in [7, 7, 8] {
        let pages = [(); 3].map(|()| Arc::new(Mutex::new(Vec::new())));
        let start = tokio::time::Instant::now();
        let builder = ["a", "b", "c"]
            .iter()
            .zip(&pages)
            .fold(Aggregator::builder().seed(seed), |builder, (name, page)| builder.check(name, Diary(Arc::clone(page), start)));
        let health = builder.start();
        tokio::time::sleep(Duration::from_secs(300)).await;
        drop(health);
        diaries.push(pages.map(|page| page.lock().expect("a lock").clone()));
    }
    assert!(diaries[0].iter().all(|page| page.len() > 25), "{diaries:?}");
    assert_eq!(diaries[0], diaries[1]);
    assert_ne!(diaries[0], diaries[2]);
    assert_ne!(diaries[0][0], diaries[0][1], "each component has a chance of its own");
}

/// Checks that remember when they were probed, by name, with an interval of an hour.
fn diaries(names: impl Iterator<Item = String>) -> (Aggregator, Vec<Arc<Mutex<Vec<Duration>>>>) {
    let start = tokio::time::Instant::now();
    let mut pages = Vec::new();
    let policy = Policy::default().with_interval(Duration::from_secs(3600));
    let builder = names.fold(Aggregator::builder().policy(policy), |builder, name| {
        let page = Arc::new(Mutex::new(Vec::new()));
        pages.push(Arc::clone(&page));
        builder.check(&name, Diary(page, start))
    });
    (builder.group("some", ["a", "b"]).start(), pages)
}

#[tokio::test(start_paused = true)]
async fn fresh_probes_what_the_path_judges_and_nothing_else() {
    let (health, pages) = diaries(["a", "b", "c"].map(str::to_owned).into_iter());
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
    // Whichever path it is requested by, a component is probed at most once a second.
    for path in ["/health/a?fresh", "/health/some?fresh", "/health?fresh"] {
        assert_eq!(ask(&app, path).await.0, 200);
    }
    assert_eq!(probes(), [5, 4, 3]);
}

#[tokio::test(start_paused = true)]
async fn very_many_fresh_probes_do_not_begin_in_one_instant() {
    const MANY: usize = 5000;
    let (health, pages) = diaries((0..MANY).map(|number| format!("c{number}")));
    let app = allswell::router(health);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let asked = tokio::time::Instant::now();
    assert_eq!(ask(&app, "/health?fresh").await.0, 200);
    assert!(asked.elapsed() <= Duration::from_millis(801), "it answers by the deadline: {:?}", asked.elapsed());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut in_a_tenth = [0; 10];
    for page in &pages {
        let begun = page.lock().expect("a lock").last().expect("a probe").saturating_sub(Duration::from_secs(10));
        in_a_tenth[usize::try_from(begun.as_millis() / 100).expect("a second").min(9)] += 1;
    }
    assert!(in_a_tenth.iter().all(|probes| (MANY / 20..MANY / 5).contains(probes)), "{in_a_tenth:?}");
}
