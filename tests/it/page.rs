//! The status page, as sent to a browser and as shown by Chromium.

use crate::{
    helpers::{Allswell, Response, eventually, get, get_with, send},
    servers::Browser,
};
use allswell::{Aggregator, Check, Failure, Observation, async_trait};
use axum::{Router, routing};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::PathBuf,
};
use tempfile::TempDir;

/// The headers of Chromium and Firefox when a person opens a page.
const BROWSER: &str =
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\nUpgrade-Insecure-Requests: 1\r\n";

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// A service with a component that fails while its folder is missing, and the folder.
fn service(server: &str) -> (Allswell, PathBuf, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let media = folder.path().join("media");
    fs::create_dir(&media).expect("a folder");
    let configuration = format!(
        "[service]\nname = \"shop\"\nversion = \"7.7\"\n[server]\ndrain_file = \"{}\"\n{server}[defaults]\ninterval = \"100ms\"\n\
         [checks.media]\nkind = \"storage\"\npath = \"{}\"\n[checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ncritical = false\n\
         [groups.files]\nchecks = [\"media\"]\n",
        folder.path().join("drain").display(),
        media.display()
    );
    let service = Allswell::start(&configuration);
    service.await_report("/health", "the component passes", |response| response.status == 200);
    (service, media, folder)
}

fn has_security_headers(response: &Response) {
    for (header, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("vary", "Accept"),
    ] {
        assert_eq!(response.header(header), Some(value), "{}", response.head);
    }
}

#[test]
fn only_browsers_get_the_page() {
    let (service, media, _folder) = service("");
    let page = get_with(service.address, "/", BROWSER);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")), "{}", page.text);
    assert_eq!(page.header("content-length"), Some(&*page.body.len().to_string()));
    assert_eq!(page.header("x-health-status"), Some("warn"));
    has_security_headers(&page);
    for shown in ["<!DOCTYPE html>", "Mostly well", "shop", "7.7", "media", "unreachable", "connection refused", "files", "Configuration 1"]
    {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    for path in ["/health", "/health/", "/healthz", "/livez", "/readyz", "/startupz", "/health/media", "/health/files/"] {
        let response = get_with(service.address, path, BROWSER);
        assert_eq!((response.status, response.header("content-type")), (200, page.header("content-type")), "{path}");
        has_security_headers(&response);
        assert_eq!(get(service.address, &format!("{path}?format=html")).header("content-type"), page.header("content-type"));
    }
    for accept in ["", "Accept: */*\r\n", "Accept: application/json\r\n", "Accept: image/png\r\n"] {
        assert_eq!(get_with(service.address, "/", accept).header("content-type"), Some("application/json"), "{accept}");
    }
    assert_eq!(get_with(service.address, "/?format=json", BROWSER).header("content-type"), Some("application/json"));
    fs::remove_dir(media).expect("a folder");
    service.await_report("/health", "the component fails", |response| response.status == 500);
    let page = get_with(service.address, "/", BROWSER);
    assert_eq!((page.status, page.header("x-health-status")), (500, Some("fail")));
    assert!(page.body.contains("Not well") && page.body.contains("unhealthy"), "{}", page.body);
}

#[test]
fn the_page_and_its_assets_handle_head_options_and_other_methods() {
    let (service, ..) = service("");
    let ask = |method: &str, path: &str| {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{BROWSER}\r\n");
        send(service.address, request.as_bytes())
    };
    for path in ["/", "/health/_assets/allswell.css", "/health/_assets/allswell.js", "/health/_events"] {
        let head = ask("HEAD", path);
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}: {}", head.text);
        assert_eq!(ask("OPTIONS", path).header("allow"), Some("GET, HEAD, OPTIONS"), "{path}");
        assert_eq!((ask("POST", path).status, ask("POST", path).header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{path}");
    }
    for (path, media_type) in
        [("/health/_assets/allswell.css", "text/css; charset=utf-8"), ("/health/_assets/allswell.js", "text/javascript; charset=utf-8")]
    {
        let asset = get(service.address, path);
        assert_eq!((asset.status, asset.header("content-type")), (200, Some(media_type)));
        has_security_headers(&asset);
    }
    for path in ["/health/_assets/none.js", "/health/_assets", "/health/_events?of=none", "/health/_none"] {
        assert_eq!(ask("GET", path).status, 404, "{path}");
    }
}

#[test]
fn with_details_status_page_and_events_show_only_statuses() {
    let (service, ..) = service("details = \"status\"\ntoken = \"sesame\"\n");
    let page = get_with(service.address, "/", BROWSER).body;
    let event = Events::of(&service, "").next();
    for shown in [&page, &event] {
        assert!(shown.contains("media") && shown.contains("port"), "{shown}");
        for secret in ["unreachable", "refused", "shop", "7.7", "storage", "files", " ms", "UTC", "Configuration"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
    let token = format!("{BROWSER}Authorization: Bearer sesame\r\n");
    assert!(get_with(service.address, "/", &token).body.contains("connection refused"));
}

/// A stream of events, read line by line.
struct Events(BufReader<TcpStream>);

impl Events {
    fn of(service: &Allswell, query: &str) -> Self {
        let mut stream = TcpStream::connect(service.address).expect("a connection");
        stream.set_read_timeout(Some(crate::helpers::PATIENCE)).expect("a timeout");
        write!(stream, "GET /health/_events{query} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n").expect("a request");
        Self(BufReader::new(stream))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line
    }

    /// The data of the next event.
    fn next(&mut self) -> String {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the stream ended");
            if let Some(data) = line.strip_prefix("data: ") {
                return data.trim_end().to_owned();
            }
        }
    }
}

#[test]
fn event_streams_send_the_state_at_once_and_then_each_change() {
    let (mut service, media, folder) = service("");
    let head: Vec<String> = {
        let mut events = Events::of(&service, "");
        std::iter::repeat_with(|| events.line()).take_while(|line| line != "\r\n").collect()
    };
    let head = head.concat().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 ok\r\n") && head.contains("content-type: text/event-stream\r\n"), "{head}");
    assert!(head.contains("cache-control: no-store\r\n") && head.contains("x-accel-buffering: no\r\n"), "{head}");
    let mut whole = Events::of(&service, "");
    let mut port = Events::of(&service, "?of=port");
    let mut ready = Events::of(&service, "?of=_ready");
    assert!(whole.next().contains("Mostly well"));
    let one = port.next();
    assert!(one.contains("c-port") && !one.contains("c-media"), "{one}");
    assert!(ready.next().contains("All is well"));
    fs::remove_dir(media).expect("a folder");
    eventually("an event with the failure", || whole.next().contains("Not well").then_some(()));
    fs::write(folder.path().join("drain"), "").expect("a file");
    eventually("an event with the drain", || whole.next().contains("Draining").then_some(()));
    eventually("an event with the drain", || ready.next().contains("Draining").then_some(()));
    // Open event streams do not delay the shutdown.
    service.signal(rustix::process::Signal::INT);
    assert_eq!(service.wait().code(), Some(0));
}

#[test]
fn the_change_of_one_component_of_a_hundred_is_a_small_event_that_the_browser_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    let media = folder.path().join("media");
    fs::create_dir(&media).expect("a folder");
    let other = |number| format!("[checks.c{number}]\nkind = \"disk\"\npath = \"/\"\nfail_free = \"0%\"\ninterval = \"1h\"\n");
    let others = (0..99).map(other).collect::<Vec<_>>().concat();
    let configuration = format!("{others}[checks.media]\nkind = \"storage\"\ninterval = \"200ms\"\npath = \"{}\"\n", media.display());
    let service = Allswell::start(&configuration);
    eventually("all have a result", || (!service.get("/health").text.contains("pending")).then_some(()));
    let browser = Browser::open();
    browser.visit(&format!("http://{}/", service.address));
    browser.await_text("#news", "Live");
    let mut events = Events::of(&service, "");
    let mut page = 0;
    let probed = loop {
        match events.next() {
            event if event.contains("id=\"c-c") => page += event.len(),
            event => break event,
        }
    };
    assert!(probed.contains("id=\"c-media\"") && probed.len() < page / 10, "{} of {page}: {probed}", probed.len());
    // A mark and a selection, which an element loses when it is replaced.
    browser.run(
        "const other = document.getElementById('c-c5'); other.mark = 'here'; getSelection().selectAllChildren(other.querySelector('h3'))",
    );
    let selected = browser.run("return String(getSelection())");
    fs::remove_dir(&media).expect("a folder");
    browser.await_text("#all-fail", "media");
    eventually("a small event with the failure", || {
        Some(events.next()).filter(|event| event.contains("unhealthy") && event.len() < page / 10).map(drop)
    });
    fs::create_dir(&media).expect("a folder");
    browser.await_text("#all-pass .count", "100");
    browser.await_text("#c-media .past", "Last failed");
    assert_eq!(browser.run("return document.getElementById('c-c5').mark"), "here");
    assert_eq!(browser.run("return String(getSelection())"), selected);
    assert_eq!(browser.run("return document.querySelectorAll('.component').length"), 100);
    // The age of a component grows also without a probe.
    let ages = || browser.text("#c-c5 .checked");
    let before = ages();
    eventually("its age changes", || (ages() != before).then_some(()));
}

#[test]
fn at_most_256_event_streams_stay_open_and_the_newest_is_one_of_them() {
    let (service, _media, folder) = service("");
    let mut subscribers: Vec<Events> = (0..300)
        .map(|_| {
            let mut events = Events::of(&service, "");
            events.next();
            events
        })
        .collect();
    fs::write(folder.path().join("drain"), "").expect("a file");
    let stays = |events: &mut Events| loop {
        match events.line() {
            // The end of a chunked response.
            line if line == "0\r\n" => break false,
            line if line.contains("Draining") => break true,
            line => assert!(!line.is_empty(), "the connection was closed"),
        }
    };
    let stay: Vec<bool> = subscribers.iter_mut().map(stays).collect();
    assert_eq!(stay.iter().filter(|stays| **stays).count(), 256);
    assert_eq!(stay.last(), Some(&true));
    assert_eq!(service.get("/livez").status, 200);
}

#[test]
fn event_streams_do_not_keep_other_clients_from_a_response() {
    let (service, ..) = service("max_connections = 4\ndeadline = \"100ms\"\n");
    let mut watchers: Vec<Events> = (0..4).map(|_| Events::of(&service, "")).collect();
    for watcher in &mut watchers {
        watcher.next();
    }
    for _ in 0..5 {
        let response = service.get("/health");
        assert!(response.header("x-health-status").is_some(), "{}", response.text);
    }
}

#[test]
fn chromium_shows_every_change_live_and_reports_a_lost_connection() {
    let (service, media, folder) = service("");
    let browser = Browser::open();
    browser.visit(&format!("http://{}/", service.address));
    browser.await_text("#news", "Live");
    browser.await_text("#clock", "UTC");
    browser.await_text("h1", "Mostly well");
    browser.await_text("#c-media", "storage");
    assert_eq!(browser.run("return getComputedStyle(document.querySelector('.verdict')).display"), "grid", "the style sheet is applied");
    // A mark that is lost if the page is reloaded or the element replaced.
    browser.run("window.mark = document.getElementById('c-port').mark = 'here'");
    fs::remove_dir(&media).expect("a folder");
    browser.await_text("h1", "Not well");
    browser.await_text("#c-media .reason", "unhealthy");
    assert!(browser.run("return document.title").as_str().is_some_and(|title| title.starts_with("Not well · shop")));
    fs::create_dir(&media).expect("a folder");
    browser.await_text("h1", "Mostly well");
    browser.await_text("#c-media .past", "Last failed");
    let picture = browser.run("return document.querySelector('#c-media svg.hour').getAttribute('aria-label')");
    assert!(picture.as_str().is_some_and(|words| words.contains("1 min fail")), "{picture}");
    fs::write(folder.path().join("drain"), "").expect("a file");
    browser.await_text("h1", "Draining");
    for (selector, role, label) in [
        ("main", "main", ""),
        ("header", "banner", ""),
        ("footer", "contentinfo", ""),
        ("nav", "navigation", "Elsewhere"),
        ("h1", "heading", "Draining fail"),
        ("section.fail", "region", "Failing 1"),
        ("#news", "status", ""),
    ] {
        assert_eq!(browser.spoken(selector), (role.to_owned(), label.to_owned()), "{selector}");
    }
    assert_eq!(browser.run("return window.mark"), "here", "the page was loaded once");
    drop(service);
    browser.await_text("#news", "No updates since");
    assert_eq!(browser.run("return document.documentElement.className"), "lost");
    let complaints = browser.complaints();
    let bad = |complaint: &&String| ["Content Security Policy", "Uncaught", "SyntaxError"].iter().any(|word| complaint.contains(word));
    assert_eq!(complaints.iter().find(bad), None, "{complaints:?}");
    // A counter-check: the policy forbids this, and the browser must report it.
    browser.run("document.body.setAttribute('style', 'color: red')");
    eventually("the browser complains", || browser.complaints().iter().find(bad).map(drop));
}

#[test]
fn without_scripts_the_page_is_complete_and_refreshes_itself() {
    let (service, media, _folder) = service("");
    eventually("a verdict", || get(service.address, "/?format=text").text.contains("pass  media").then_some(()));
    let browser = Browser::without_scripts();
    browser.visit(&format!("http://{}/", service.address));
    browser.await_text("h1", "Mostly well");
    browser.await_text("#news", "Loaded");
    browser.await_text("#c-port .reason", "connection refused");
    assert_eq!(browser.run("return getComputedStyle(document.querySelector('.verdict')).display"), "grid", "the style sheet is applied");
    fs::remove_dir(&media).expect("a folder");
    browser.await_text("h1", "Not well");
    browser.await_text("#c-media .reason", "unhealthy");
    assert_eq!(browser.text("#news"), "Loaded", "no script has said that it is live");
}

#[test]
fn history_survives_a_reload() {
    let (service, media, _folder) = service("");
    let page = |what: &str, part: &str| {
        eventually(what, || Some(get_with(service.address, "/", BROWSER).body).filter(|page| page.contains(part)));
    };
    page("the component passes", "Mostly well");
    fs::remove_dir(&media).expect("a folder");
    page("the component fails", "Not well");
    fs::create_dir(&media).expect("a folder");
    page("the component has failed", "Last failed");
    let file = service.directory.path().join("allswell.toml");
    let configuration = fs::read_to_string(&file).expect("a file").replace("7.7", "8.8");
    fs::write(&file, configuration).expect("a file");
    service.signal(rustix::process::Signal::HUP);
    page("the configuration is reloaded", "8.8");
    let reloaded = get_with(service.address, "/", BROWSER).body;
    assert!(reloaded.contains("Configuration 2") && reloaded.contains("Last failed") && reloaded.contains("1 min fail"), "{reloaded}");
}

struct HtmlInjection;

#[async_trait]
impl Check for HtmlInjection {
    async fn probe(&self) -> Result<Observation, Failure> {
        Ok(Observation::pass().with("words", "<img src=x onerror=alert(1)>"))
    }
}

#[test]
fn the_page_is_live_below_a_prefix_of_an_application() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let address = runtime.block_on(async {
        let health = Aggregator::builder().check("fleet", HtmlInjection).group("dispatch", ["fleet"]).start();
        let app = Router::new().route("/", routing::get(|| async { "home" })).nest("/inner", allswell::router(health));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    });
    let browser = Browser::open();
    for path in ["health", "health/", "healthz", "readyz/", "health/dispatch", "health/fleet/"] {
        browser.visit(&format!("http://{address}/inner/{path}"));
        browser.await_text("#news", "Live");
        browser.await_text("#c-fleet dl", "<img src=x onerror=alert(1)>");
        assert_eq!(browser.run("return getComputedStyle(document.querySelector('.verdict')).display"), "grid", "{path}");
    }
    assert_eq!(browser.run("return document.images.length"), 0);
    runtime.shutdown_background();
}
