//! Real load balancers that poll allswell and distribute requests among instances of it. Each notices an instance that fails, hangs, is killed,
//! drains or has just started; and while an instance ends as it should, no request is lost.

use crate::{
    helpers::{Allswell, Response, eventually, send},
    servers::{Server, caddy_balancer, caddy_with, envoy_balancer, haproxy_balancer, nginx_balancer, traefik_balancer, traefik_with},
};
use rustix::process::Signal;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};
use tempfile::TempDir;

const TOKEN: &str = "correct-horse-battery";

/// What differs between load balancers.
struct Balancer {
    /// Starts it for the targets at these ports.
    start: fn(&[u16]) -> Server,
    /// Whether it sends no request to a target before the first poll succeeds. The others assume that a new target is healthy.
    waits_for_first_pass: bool,
}

const ENVOY: Balancer = Balancer { start: envoy_balancer, waits_for_first_pass: true };
const TRAEFIK: Balancer = Balancer { start: traefik_balancer, waits_for_first_pass: false };
const CADDY: Balancer = Balancer { start: caddy_balancer, waits_for_first_pass: false };
const HAPROXY: Balancer = Balancer { start: haproxy_balancer, waits_for_first_pass: false };

/// An instance of allswell that is ready while a folder exists.
struct Instance {
    service: Allswell,
    media: PathBuf,
    _folder: TempDir,
}

impl Instance {
    fn start(name: &str, is_ready: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let media = folder.path().join("media");
        if is_ready {
            fs::create_dir(&media).expect("a folder");
        }
        let service = Allswell::start(&format!(
            "[service]\ninstance = \"{name}\"\n[server]\ndrain = \"4s\"\ntoken = \"{TOKEN}\"\n[defaults]\ninterval = \"100ms\"\n\
             [checks.media]\nkind = \"storage\"\npath = \"{}\"\n",
            media.display()
        ));
        if is_ready {
            service.await_report("/readyz", "the instance is ready", |report| report.status == 200);
        }
        Self { service, media, _folder: folder }
    }

    fn port(&self) -> u16 {
        self.service.address.port()
    }

    /// Sends an admin command.
    fn order(&self, command: &str) {
        let request = format!("POST /admin/{command} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n");
        assert_eq!(send(self.service.address, request.as_bytes()).status, 200, "{command}");
    }
}

/// The name of the instance that responds to a request through a load balancer, or what came instead. `/livez` passes whatever the verdict on
/// readiness is, as the pages of an application do.
fn routed(balancer: &Server) -> Result<String, String> {
    // Traefik and Caddy wait without a limit for the response of an instance that hangs, also when they know that it does.
    const CLIENT_TIMEOUT: Duration = Duration::from_secs(3);
    let mut stream = TcpStream::connect(("127.0.0.1", balancer.port)).expect("a connection");
    stream.set_read_timeout(Some(CLIENT_TIMEOUT)).expect("a timeout");
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: orders.example\r\nConnection: close\r\n\r\n").expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|error| error.to_string())?;
    let response = Response::parse(&text, Duration::ZERO);
    if response.status != 200 {
        return Err(response.text);
    }
    Ok(response.json()["service"]["instance"].as_str().expect("an instance").to_owned())
}

/// Waits until the load balancer distributes requests among exactly these instances.
fn becomes(balancer: &Server, what: &str, instances: &[&str]) {
    const REQUESTS: usize = 12;
    eventually(what, || {
        let mut responding: Vec<String> = (0..REQUESTS).map_while(|_| routed(balancer).ok()).collect();
        let all_respond = responding.len() == REQUESTS;
        responding.sort();
        responding.dedup();
        (all_respond && responding == instances).then_some(())
    });
}

/// Sends requests through the load balancer as long as `during` runs. All must succeed.
fn without_a_lost_request(balancer: &Server, during: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let requests = std::iter::repeat_with(|| routed(balancer)).take_while(|_| !is_over.load(Ordering::Relaxed));
                    requests.fold((0, Vec::new()), |(all, mut lost), instance| {
                        lost.extend(instance.err());
                        (all + 1, lost)
                    })
                })
            })
            .collect();
        during();
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            let (all, lost) = client.join().expect("a client");
            assert!(all > 10 && lost.is_empty(), "{} of {all} requests are lost: {lost:#?}", lost.len());
        }
    });
}

fn set(path: &Path, exists: bool) {
    if exists { fs::create_dir(path) } else { fs::remove_dir(path) }.expect("a folder");
}

fn follows_the_verdict(kind: &Balancer) {
    let (mut one, other) = (Instance::start("one", true), Instance::start("other", true));
    let balancer = (kind.start)(&[one.port(), other.port()]);
    becomes(&balancer, "both instances are up", &["one", "other"]);

    set(&one.media, false);
    becomes(&balancer, "a component fails", &["other"]);
    set(&one.media, true);
    becomes(&balancer, "the component passes again", &["one", "other"]);

    one.service.signal(Signal::STOP);
    becomes(&balancer, "the process hangs", &["other"]);
    one.service.signal(Signal::CONT);
    becomes(&balancer, "the process continues", &["one", "other"]);

    without_a_lost_request(&balancer, || {
        one.order("drain");
        becomes(&balancer, "the instance drains", &["other"]);
        one.order("undrain");
        becomes(&balancer, "the drain is cancelled", &["one", "other"]);
        one.service.signal(Signal::TERM);
        becomes(&balancer, "the instance drains before its end", &["other"]);
        assert!(one.service.get("/livez").status == 200, "it still responds when its traffic has moved");
        one.service.wait();
        becomes(&balancer, "the instance has ended", &["other"]);
    });
}

fn starts_slowly(kind: &Balancer) {
    let (slow, mut ready) = (Instance::start("slow", false), Instance::start("ready", true));
    let balancer = (kind.start)(&[slow.port(), ready.port()]);
    if kind.waits_for_first_pass {
        // It responds by itself until the first target is known to be healthy.
        for _ in 0..20 {
            assert_ne!(routed(&balancer).as_deref(), Ok("slow"), "a request before the first pass");
        }
    }
    becomes(&balancer, "the slow instance has failed its first poll", &["ready"]);
    set(&slow.media, true);
    becomes(&balancer, "the slow instance is ready", &["ready", "slow"]);
    ready.service.signal(Signal::KILL);
    ready.service.wait();
    becomes(&balancer, "the other instance is killed", &["slow"]);
}

#[test]
fn envoy_follows_the_verdict() {
    follows_the_verdict(&ENVOY);
}

#[test]
fn traefik_follows_the_verdict() {
    follows_the_verdict(&TRAEFIK);
}

#[test]
fn caddy_follows_the_verdict() {
    follows_the_verdict(&CADDY);
}

#[test]
fn haproxy_follows_the_verdict() {
    follows_the_verdict(&HAPROXY);
}

#[test]
fn envoy_sends_no_request_before_the_first_pass() {
    starts_slowly(&ENVOY);
}

#[test]
fn traefik_takes_an_instance_that_starts_slowly_out() {
    starts_slowly(&TRAEFIK);
}

#[test]
fn caddy_takes_an_instance_that_starts_slowly_out() {
    starts_slowly(&CADDY);
}

#[test]
fn haproxy_takes_an_instance_that_starts_slowly_out() {
    starts_slowly(&HAPROXY);
}

#[test]
fn nginx_notices_an_instance_that_has_ended_but_no_verdict() {
    let (mut one, other) = (Instance::start("one", true), Instance::start("other", true));
    let balancer = nginx_balancer(&[one.port(), other.port()]);
    set(&one.media, false);
    one.service.await_report("/readyz", "a component fails", |report| report.status == 500);
    becomes(&balancer, "both instances get requests", &["one", "other"]);
    without_a_lost_request(&balancer, || {
        one.service.signal(Signal::KILL);
        one.service.wait();
        becomes(&balancer, "the instance is killed", &["other"]);
    });
}

/// The code block of `docs/clients.md` that a comment names this test for, with other addresses.
fn recipe(test: &str, app: u16, allswell: u16) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients.md")).expect("the page");
    let (_, rest) = page.split_once(&format!("`{test}`")).expect("the comment");
    let block = rest.split("```").nth(1).and_then(|block| block.split_once('\n')).expect("a block").1;
    let replacements = [("10.0.0.11:8000", format!("127.0.0.1:{app}")), ("8080", allswell.to_string()), (" 5s", " 250ms".to_owned())];
    replacements.iter().fold(block.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}: {text}");
        text.replace(from, to)
    })
}

/// A recipe in which allswell is a sidecar: the application has another port.
fn sends_requests_while_the_sidecar_passes(recipe: impl Fn(u16, u16) -> Server) {
    let (app, sidecar) = (Instance::start("app", true), Instance::start("sidecar", true));
    let balancer = recipe(app.port(), sidecar.port());
    becomes(&balancer, "the sidecar passes", &["app"]);
    set(&sidecar.media, false);
    eventually("the application gets no more requests", || routed(&balancer).is_err().then_some(()));
    set(&sidecar.media, true);
    becomes(&balancer, "the sidecar passes again", &["app"]);
}

#[test]
fn the_recipe_for_traefik_works() {
    sends_requests_while_the_sidecar_passes(|app, allswell| traefik_with(&recipe("the_recipe_for_traefik_works", app, allswell)));
}

#[test]
fn the_recipe_for_caddy_works() {
    sends_requests_while_the_sidecar_passes(|app, allswell| caddy_with(&recipe("the_recipe_for_caddy_works", app, allswell)));
}
