//! The dialects, compared with django-health-check in both versions, and parsed by a feed parser and our own kind `http`.

use crate::{
    helpers::{Allswell, Response, command, get_with, run, send},
    probing::Probed,
    servers::{hostile::Hostile, reading},
};
use allswell::{
    Aggregator, Check, Failure, Observation, async_trait,
    dialect::{Detail, Dialect},
    report::ServiceIdentity,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{fs, net::TcpListener};
use tokio::runtime::Runtime;

/// A service with a component that passes, one that warns, and one that fails and is critical or not.
fn answered(server: &str, critical: bool) -> Allswell {
    let service = Allswell::start(&format!(
        "[server]\n{server}\n[checks.port]\nkind = \"tcp\"\naddress = \"{}\"\n[checks.full]\nkind = \"disk\"\nwarn_free = \"100%\"\n\
         fail_free = \"0%\"\n[checks.gone]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ncritical = {critical}\n",
        Hostile::silent().address
    ));
    service.await_report("/health", "all components have a result", |_| changed(&service) == 3);
    service
}

/// The number of components with a first result, by the log.
fn changed(service: &Allswell) -> usize {
    service.events().iter().filter(|event| event["from"] == "pending").count()
}

/// The report of django-health-check for the same results, by its own view.
fn original(venv: &str, script: &str, outcomes: &Value) -> Value {
    reading(venv, script, &outcomes.to_string())
}

#[test]
fn django_health_check_renders_the_same_report() {
    let service = answered("", true);
    let warning = service.get("/health").json()["components"]["full"]["warning"].as_str().expect("a warning").to_owned();
    let outcomes = json!({
        "port": null,
        "full": ["ServiceWarning", warning],
        "gone": ["ServiceUnavailable", "connection refused"],
    });
    for (dialect, venv, script) in [("django", "django", DJANGO_4), ("django3", "django3", DJANGO_3)] {
        let ours = service.get(&format!("/health?format={dialect}"));
        let original = original(venv, script, &outcomes);
        assert_eq!((ours.status, ours.json()), (500, original["body"].clone()), "{dialect}");
        assert_eq!(original["status"], 500);
        assert_eq!(ours.header("content-type"), original["type"].as_str(), "{dialect}");
    }
}

const DJANGO_4: &str = r#"
import asyncio, dataclasses, json, sys
from django.conf import settings

settings.configure(SECRET_KEY="of the tests", ALLOWED_HOSTS=["*"], INSTALLED_APPS=["health_check"])
import django
django.setup()
from django.test import RequestFactory
from health_check import HealthCheck, exceptions
from health_check.views import HealthCheckView

def check(name, outcome):
    def run(self):
        if outcome:
            raise getattr(exceptions, outcome[0])(outcome[1])
    # A check's name is its repr: here, the name alone.
    return dataclasses.dataclass(type(name, (HealthCheck,), {"run": run, "__repr__": lambda self: name}), repr=False)

checks = [check(name, outcome) for name, outcome in json.load(sys.stdin).items()]
view = HealthCheckView.as_view(checks=checks)
response = asyncio.run(view(RequestFactory().get("/", {"format": "json"})))
print(json.dumps({"status": response.status_code, "type": response["Content-Type"], "body": json.loads(response.content)}))
"#;

const DJANGO_3: &str = r#"
import json, sys
from django.conf import settings

settings.configure(SECRET_KEY="of the tests", ALLOWED_HOSTS=["*"], INSTALLED_APPS=["health_check"])
import django
django.setup()
from django.test import RequestFactory
from health_check import exceptions
from health_check.backends import BaseHealthCheckBackend
from health_check.plugins import plugin_dir
from health_check.views import MainView

for name, outcome in json.load(sys.stdin).items():
    def check_status(self, outcome=outcome):
        if outcome:
            raise getattr(exceptions, outcome[0])(outcome[1])
    plugin_dir.register(type(name, (BaseHealthCheckBackend,), {"check_status": check_status, "identifier": lambda self, name=name: name}))

response = MainView.as_view()(RequestFactory().get("/", {"format": "json"}))
print(json.dumps({"status": response.status_code, "type": response["Content-Type"], "body": json.loads(response.content)}))
"#;

/// Parses a feed with `feedparser`.
fn feed(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{}", response.text);
    let feed = reading("readers", FEED, &response.body);
    assert_eq!(feed["bozo"], false, "well-formed: {}", response.text);
    feed
}

const FEED: &str = r#"
import feedparser, html, json, sys

def plain(entry):
    text = (entry.get("content") or [entry.summary_detail])[0]
    return html.unescape(text.value) if text.type == "text/html" else text.value

feed = feedparser.parse(sys.stdin.buffer.read())
entries = [
    {"id": entry.id, "title": entry.title, "text": plain(entry), "tags": [tag.term for tag in entry.tags],
     "time": list((entry.get("updated_parsed") or entry.get("published_parsed"))[:6])}
    for entry in feed.entries
]
print(json.dumps({"bozo": bool(feed.bozo), "version": feed.version, "title": feed.feed.title, "entries": entries}))
"#;

fn column(feed: &Value, key: &str) -> Vec<Value> {
    feed["entries"].as_array().expect("entries").iter().map(|entry| entry[key].clone()).collect()
}

#[test]
fn a_feed_has_an_entry_for_every_change_and_its_ids_stay() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let check = |name: &str| format!("[checks.{name}]\nkind = \"tcp\"\naddress = \"{address}\"\ninterval = \"100ms\"\n");
    let service = Allswell::start(&format!("[service]\nname = \"<orders>\"\n{}", check("port")));
    service.await_report("/health", "the component passes", |response| response.status == 200);
    let read = |format: &str| feed(&service.get(&format!("/health?format={format}")));

    let first = read("atom");
    assert_eq!((&first["version"], &first["title"]), (&json!("atom10"), &json!("Health of <orders>")));
    assert_eq!(column(&first, "title"), ["port passes"]);
    assert_eq!(read("atom"), first, "a second request gets the same feed");

    drop(listener);
    let failed = service.await_report("/health", "the component fails", |response| response.status == 500);
    assert_eq!(failed.class("port").as_deref(), Some("unreachable"));
    let second = read("atom");
    // The listener may be closed while a probe looks at its connection.
    let titles = column(&second, "title");
    assert!(titles[0].as_str().is_some_and(|title| title.starts_with("port fails: ")), "{titles:?}");
    assert_eq!(titles[1..], ["port passes"], "the newest first");
    assert_eq!(column(&second, "tags"), [json!(["fail"]), json!(["pass"])]);
    assert_eq!(second["entries"][1], first["entries"][0], "id, time and text stay");
    let rss = read("rss");
    assert_eq!(rss["version"], "rss20");
    for key in ["id", "title", "text", "tags", "time"] {
        assert_eq!(column(&rss, key), column(&second, key), "both feeds have the same: {key}");
    }

    fs::write(
        service.directory.path().join("allswell.toml"),
        format!("[service]\nname = \"<orders>\"\n{}{}", check("port"), check("other")),
    )
    .expect("a configuration");
    service.signal(Signal::HUP);
    service.await_report("/health", "the new component has a result", |report| report.class("other").as_deref() == Some("unreachable"));
    let third = read("atom");
    let titles = column(&third, "title");
    assert_eq!([&titles[0], &titles[2]], ["other fails: connection refused", "port passes"]);
    assert_eq!(
        third["entries"].as_array().expect("entries")[1..],
        *second["entries"].as_array().expect("entries"),
        "a reload forgets nothing"
    );
    assert_eq!(column(&feed(&service.get("/health/port?format=atom")), "id"), column(&second, "id"), "the feed of one component");

    fs::write(service.directory.path().join("allswell.toml"), format!("[service]\nname = \"<orders>\"\n{}", check("other")))
        .expect("a configuration");
    service.signal(Signal::HUP);
    service.await_report("/health", "the component is removed", |report| report.json()["components"]["port"].is_null());
    assert_eq!(column(&read("atom"), "title"), ["other fails: connection refused"], "the feed has no entries of a removed component");
}

#[test]
fn a_feed_has_changes_that_time_alone_causes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let service =
        Allswell::start(&format!("[checks.port]\nkind = \"tcp\"\naddress = \"{address}\"\ninterval = \"100ms\"\nhold = \"1s\"\n"));
    service.await_report("/health", "the component passes", |response| response.header("x-health-status") == Some("pass"));
    drop(listener);
    let feed_response =
        service.await_report("/health?format=atom", "the end of the hold", |response| response.body.contains("<category term=\"fail\"/>"));
    assert_eq!(column(&feed(&feed_response), "tags"), [json!(["fail"]), json!(["warn"]), json!(["pass"])]);
    let text = &feed(&feed_response)["entries"][0]["text"];
    assert!(text.as_str().is_some_and(|text| text.starts_with("port was warn and is fail; it was warn for ")), "{text}");
}

#[test]
fn collectors_get_200_with_the_verdict_in_a_header() {
    let service = answered("fail_status = 503", true);
    for path in ["/health?format=atom", "/health?format=rss", "/health?format=openmetrics", "/readyz?format=rss", "/metrics"] {
        let response = service.get(path);
        assert_eq!((response.status, response.header("x-health-status")), (200, Some("fail")), "{path}: {}", response.text);
    }
    for format in ["health%2Bjson", "health+json", "django", "django3", "spring", "microprofile", "aspnet", "nagios", "text", "json"] {
        let response = service.get(&format!("/health?format={format}"));
        assert_eq!((response.status, response.header("x-health-status")), (503, Some("fail")), "{format}: {}", response.text);
    }
}

#[test]
fn the_accept_header_selects_the_dialect_and_gives_browsers_no_feed() {
    let service = answered("", true);
    for (accept, expected) in [
        ("application/health+json", "application/health+json"),
        ("application/vnd.spring-boot.actuator.v3+json", "application/vnd.spring-boot.actuator.v3+json"),
        ("application/atom+xml", "application/atom+xml; charset=utf-8"),
        ("application/rss+xml", "application/rss+xml; charset=utf-8"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/json", "application/json"),
    ] {
        let response = get_with(service.address, "/health", &format!("Accept: {accept}\r\n"));
        assert_eq!(response.header("content-type"), Some(expected), "{accept}");
    }
    let browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nUpgrade-Insecure-Requests: 1\r\n";
    let response = get_with(service.address, "/health", browser);
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"), "{}", response.text);
}

/// Probes a service with the kind `http`, and returns its verdict and the observed components.
fn as_read(service: &Allswell, format: &str, dialect: &str) -> (String, Value) {
    let url = format!("http://{}/health?format={format}", service.address);
    let probed = Probed::new(&format!("kind = \"http\"\nurl = \"{url}\"\ndialect = \"{dialect}\"\n"));
    match probed.probe() {
        Ok(observation) => {
            (observation.warning().map_or_else(|| "well".to_owned(), str::to_owned), json!(observation.values())["upstream"].clone())
        }
        Err(failure) => (failure.to_string(), json!(failure.values())["upstream"].clone()),
    }
}

#[test]
fn the_kind_http_reads_every_dialect_that_we_write() {
    for details in ["full", "status"] {
        let server = format!("details = \"{details}\"");
        let (failing, warning) = (answered(&server, true), answered(&server, false));
        // The expected verdicts: some dialects have no warnings, and some no name without a measurement.
        for (format, dialect, verdict, full, mark) in [
            ("json", "allswell", "the report warns: full, gone", "warn", ""),
            ("health%2Bjson", "health+json", "the report warns: full:responseTime, gone:responseTime", "warn", ":responseTime"),
            ("django", "django", "the report warns: full, gone", "warn", ""),
            ("django3", "django", "the report warns: full, gone", "warn", ""),
            ("spring", "spring", "well", "pass", ""),
            ("microprofile", "microprofile", "well", "pass", ""),
            ("aspnet", "aspnet", "the report warns: full, gone", "warn", ""),
        ] {
            let seen = json!({ format!("full{mark}"): full, format!("gone{mark}"): "fail", format!("port{mark}"): "pass" });
            let fails = format!("unhealthy: the report fails: gone{mark}");
            assert_eq!(as_read(&failing, format, dialect), (fails, seen.clone()), "{format}, {details}");
            assert_eq!(as_read(&warning, format, dialect), (verdict.to_owned(), seen), "{format}, {details}, not critical");
        }
    }
}

#[test]
fn a_drained_service_is_read_as_failing() {
    let service = Allswell::start(&format!(
        "[server]\ntoken = \"open-sesame\"\n[checks.port]\nkind = \"tcp\"\naddress = \"{}\"\n",
        Hostile::silent().address
    ));
    service.await_report("/health", "the component passes", |response| response.status == 200);
    let drain =
        b"POST /admin/drain HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\nAuthorization: Bearer open-sesame\r\n\r\n";
    assert_eq!(send(service.address, drain).status, 200);
    for (format, dialect) in [
        ("json", "allswell"),
        ("health%2Bjson", "health+json"),
        ("django", "django"),
        ("django3", "django"),
        ("spring", "spring"),
        ("microprofile", "microprofile"),
        ("aspnet", "aspnet"),
    ] {
        let (verdict, _) = as_read(&service, format, dialect);
        assert!(verdict.starts_with("unhealthy: "), "{format}: {verdict}");
    }
}

/// A check whose texts contain the syntax of every format.
struct Nasty;

const NASTY: &str =
    "</title>]]><!--&amp;\u{0}\u{1b}[31m\u{85}\u{fffe}\u{ffff}\u{202e} \"'\\ | 'x'=1s;;;0; \r\n# EOF\nallswell_status 1\n😀";

#[async_trait]
impl Check for Nasty {
    async fn probe(&self) -> Result<Observation, Failure> {
        Err(Failure::unhealthy(NASTY).because(NASTY).with(NASTY, NASTY))
    }
}

#[test]
fn reports_are_well_formed_whatever_a_check_says() {
    let mut service = ServiceIdentity::default();
    for field in [&mut service.name, &mut service.version, &mut service.instance] {
        *field = Some(NASTY.to_owned());
    }
    let mut checks = Aggregator::builder().service(service).check("nasty", Nasty).build();
    let report = Runtime::new().expect("a runtime").block_on(checks.probe_all(|_, _| {}));
    for detail in [Detail::Full, Detail::Causes] {
        for dialect in Dialect::ALL {
            let bytes = dialect.render(&report, detail);
            let text = std::str::from_utf8(&bytes).expect("text");
            match dialect {
                Dialect::Atom | Dialect::Rss => {
                    let feed = reading("readers", FEED, text);
                    assert_eq!((&feed["bozo"], feed["entries"].as_array().map(Vec::len)), (&json!(false), Some(1)), "{text}");
                    assert!(feed["entries"][0]["text"].as_str().is_some_and(|text| text.contains("]]><!--&amp;") && text.contains('😀')));
                }
                Dialect::OpenMetrics => {
                    let metrics = reading(
                        "readers",
                        "import sys, prometheus_client.openmetrics.parser as parser\n\
                        print(len(list(parser.text_string_to_metric_families(sys.stdin.read()))))",
                        text,
                    );
                    assert_eq!(metrics, 7, "{text}");
                }
                Dialect::Nagios => assert_eq!((text.lines().count(), text.matches('|').count()), (1, 1), "{text}"),
                Dialect::Text => assert_eq!(text.lines().count(), 2, "{text}"),
                // The texts have closed no element and opened no comment.
                Dialect::Html => assert_eq!((text.matches("</title>]]").count(), text.matches("<!--").count()), (0, 0), "{text}"),
                _ => assert!(serde_json::from_str::<Value>(text).is_ok(), "{}: {text}", dialect.name()),
            }
            // No control characters of a terminal.
            assert!(!text.contains(['\u{1b}', '\u{85}']) || serde_json::from_str::<Value>(text).is_ok(), "{}: {text}", dialect.name());
        }
    }
}

#[test]
fn allswell_check_prints_every_dialect() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("allswell.toml"), "[checks.gone]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n").expect("a file");
    for (format, beginning) in [
        ("nagios", "ALLSWELL CRITICAL - 1 of 1 component fails: gone | gone=0."),
        ("django", "{\n  \"gone\": \"Unavailable: connection refused ("),
        ("health+json", "{\n  \"status\": \"fail\",\n"),
    ] {
        let ran = run(command(&directory).args(["check", "--format", format]));
        assert_eq!(ran.code, Some(1), "{format}: {}", ran.stderr);
        assert!(ran.stdout.starts_with(beginning), "{format}: {}", ran.stdout);
    }
    assert_eq!(run(command(&directory).args(["check", "--format", "xml"])).code, Some(2));
}
