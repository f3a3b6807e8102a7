//! The metrics, parsed by the client library of Prometheus.

use crate::{
    helpers::{Allswell, Response, get_with, send},
    servers::{hostile::Hostile, reading},
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

const TOKEN: &str = "open-sesame";

/// Parses either format strictly.
const PARSE: &str = r##"
import json, sys
import prometheus_client.openmetrics.parser as openmetrics
import prometheus_client.parser as prometheus

text = sys.stdin.read()
parser = openmetrics if text.endswith("# EOF\n") else prometheus
families = list(parser.text_string_to_metric_families(text))
print(json.dumps({
    "parser": parser.__name__,
    "families": {family.name: {"type": family.type, "unit": family.unit, "help": family.documentation} for family in families},
    "samples": [[sample.name, sample.labels, sample.value] for family in families for sample in family.samples],
}))
"##;

fn parsed(response: &Response) -> Metrics {
    assert_eq!(response.status, 200, "{}", response.text);
    Metrics(reading("readers", PARSE, &response.body))
}

struct Metrics(Value);

impl Metrics {
    fn samples(&self) -> BTreeMap<String, f64> {
        let samples = self.0["samples"].as_array().expect("samples");
        let all: BTreeMap<String, f64> = samples
            .iter()
            .map(|sample| {
                let labels: BTreeMap<String, String> = serde_json::from_value(sample[1].clone()).expect("labels");
                let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                (format!("{}{{{}}}", sample[0].as_str().expect("a name"), labels.join(",")), sample[2].as_f64().expect("a number"))
            })
            .collect();
        assert_eq!(all.len(), samples.len(), "every set of labels is there once");
        all
    }

    fn value(&self, sample: &str) -> Option<f64> {
        self.samples().get(sample).copied()
    }
}

fn check(name: &str, address: &str, more: &str) -> String {
    format!("[checks.{name}]\nkind = \"tcp\"\naddress = \"{address}\"\ninterval = \"1h\"\n{more}")
}

/// A service with a component that passes, one that fails and is not critical, and one that is muted.
fn service(server: &str) -> (Allswell, String) {
    let well = check("port", &Hostile::silent().address.to_string(), "");
    let configuration = format!(
        "[server]\ntoken = \"{TOKEN}\"\n{server}\n{well}{}{}",
        check("gone", "127.0.0.1:1", "critical = false\n"),
        check("old", "127.0.0.1:1", "enabled = false\n")
    );
    let service = Allswell::start(&configuration);
    service.await_report("/health", "all components have a result", |report| !report.body.contains("pending"));
    (service, well)
}

#[test]
fn both_formats_are_parsed_to_the_same_metrics() {
    let (service, _) = service("");
    let scrape = |accept: &str| get_with(service.address, "/metrics", &format!("Accept: {accept}\r\n"));
    let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                        text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let (new, old) = (scrape(prometheus_2), service.get("/metrics"));
    assert_eq!(new.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert_eq!(old.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for no_choice in ["*/*", "text/plain;version=0.0.4"] {
        assert_eq!(scrape(no_choice).header("content-type"), old.header("content-type"));
    }
    assert_eq!(service.get("/metrics/?format=openmetrics").header("content-type"), new.header("content-type"));
    let (new, old) = (parsed(&new), parsed(&old));
    assert_eq!((&new.0["parser"], &old.0["parser"]), (&json!("prometheus_client.openmetrics.parser"), &json!("prometheus_client.parser")));
    for (family, kind) in [
        ("allswell_component_status", "gauge"),
        ("allswell_status", "gauge"),
        ("allswell_probe_duration_seconds", "histogram"),
        ("allswell_probes", "counter"),
        ("allswell_component_last_result_timestamp_seconds", "gauge"),
        ("allswell_transitions", "counter"),
        ("allswell_polls", "counter"),
    ] {
        for metrics in [&new, &old] {
            assert_eq!(metrics.0["families"][family]["type"], kind, "{family}: {}", metrics.0);
            assert!(metrics.0["families"][family]["help"].as_str().is_some_and(|help| help.ends_with('.')), "{family}");
        }
    }
    assert_eq!(new.0["families"]["allswell_build"]["type"], "info");
    let samples = new.samples();
    for (sample, expected) in [
        ("allswell_status{}", 0.5),
        ("allswell_component_status{component=port,critical=true,kind=tcp}", 1.0),
        ("allswell_component_status{component=gone,critical=false,kind=tcp}", 0.0),
        ("allswell_probes_total{component=port,outcome=pass}", 1.0),
        ("allswell_probes_total{component=gone,outcome=fail}", 1.0),
        ("allswell_probes_total{component=gone,outcome=pass}", 0.0),
        ("allswell_transitions_total{component=gone}", 1.0),
        ("allswell_probe_duration_seconds_count{component=port}", 1.0),
        ("allswell_probe_duration_seconds_bucket{component=port,le=+Inf}", 1.0),
        ("allswell_probe_duration_seconds_bucket{component=port,le=30.0}", 1.0),
        (concat!("allswell_build_info{version=", env!("CARGO_PKG_VERSION"), "}"), 1.0),
    ] {
        assert_eq!(samples.get(sample), Some(&expected), "{sample} of {samples:#?}");
    }
    assert!(!samples.keys().any(|sample| sample.contains("old")), "a muted component has no status: {samples:#?}");
    let limits: BTreeSet<_> = samples.keys().filter(|sample| sample.contains("_bucket{component=port")).collect();
    assert!(limits.len() == 18 && samples.contains_key("allswell_probe_duration_seconds_bucket{component=port,le=0.0001}"), "{limits:?}");
    let unmoved = |metrics: &Metrics| metrics.samples().into_iter().filter(|(name, _)| !name.contains("polls")).collect::<Vec<_>>();
    assert_eq!(unmoved(&new), unmoved(&old));
}

#[test]
fn a_scrape_causes_no_probe_and_probes_are_counted() {
    let (service, _) = service("");
    let probes = |metrics: &Metrics| metrics.value("allswell_probes_total{component=port,outcome=pass}");
    for _ in 0..20 {
        assert_eq!(service.get("/metrics").status, 200);
    }
    let before = parsed(&service.get("/metrics"));
    assert_eq!(probes(&before), Some(1.0));
    let fresh = get_with(service.address, "/health?fresh", &format!("Authorization: Bearer {TOKEN}\r\n"));
    assert_eq!(fresh.header("x-health-status"), Some("warn"));
    let after = parsed(&service.get("/metrics"));
    assert_eq!(probes(&after), Some(2.0));
    assert_eq!(after.value("allswell_probe_duration_seconds_count{component=port}"), Some(2.0));
    assert_eq!(after.value("allswell_transitions_total{component=port}"), Some(1.0), "the same again is no change");
    let when = |metrics: &Metrics| metrics.value("allswell_component_last_result_timestamp_seconds{component=port}").expect("a time");
    assert!(when(&after) > when(&before) && when(&after) > 1.7e9);
}

#[test]
fn unknown_paths_do_not_create_metrics() {
    let (service, _) = service("warn_status = 218");
    for number in 0..50 {
        service.get(&format!("/wp-admin/{number}"));
        service.get(&format!("/health/nobody_{number}"));
    }
    for path in ["/livez", "/livez/", "/livez?x=1", "/health/port", "/health/port/", "/readyz", "/"] {
        service.get(path);
    }
    send(service.address, b"POST /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    send(service.address, b"POST /admin/drain HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let metrics = parsed(&service.get("/metrics"));
    let polls = |path: &str, code: u16| metrics.value(&format!("allswell_polls_total{{code={code},path={path}}}"));
    assert_eq!(polls("other", 404), Some(50.0));
    assert_eq!((polls("/health/NAME", 404), polls("/health/NAME", 200)), (Some(50.0), Some(2.0)));
    assert_eq!((polls("/livez", 200), polls("/livez", 405)), (Some(3.0), Some(1.0)));
    assert_eq!((polls("/readyz", 200), polls("/", 218), polls("/admin/drain", 401)), (Some(1.0), Some(1.0), Some(1.0)));
    let labels = metrics.samples().keys().filter(|sample| sample.starts_with("allswell_polls_total")).count();
    assert_eq!(labels, 9, "and `/health`, which was waited for: {:#?}", metrics.samples());
    assert_eq!(
        parsed(&service.get("/metrics")).value("allswell_polls_total{code=200,path=/metrics}"),
        Some(1.0),
        "scrapes are polls as well"
    );
}

#[test]
fn metrics_of_removed_checks_disappear_and_those_of_others_continue() {
    let (service, well) = service("");
    assert!(service.get("/metrics").body.contains("component=\"gone\""));
    fs::write(service.directory.path().join("allswell.toml"), format!("[server]\ntoken = \"{TOKEN}\"\n{well}")).expect("a configuration");
    service.signal(Signal::HUP);
    service.await_report("/health", "the component is removed", |report| report.json()["components"]["gone"].is_null());
    let metrics = parsed(&service.get("/metrics"));
    assert!(!metrics.0.to_string().contains("gone"), "{}", metrics.0);
    assert_eq!(metrics.value("allswell_probes_total{component=port,outcome=pass}"), Some(1.0), "counts stay");
}

#[test]
fn with_details_status_metrics_without_the_token_show_only_names_and_statuses() {
    let (service, _) = service("details = \"status\"");
    let scarce = parsed(&service.get("/metrics")).samples();
    let names: Vec<_> = scarce.keys().map(String::as_str).collect();
    assert_eq!(names, ["allswell_component_status{component=gone}", "allswell_component_status{component=port}", "allswell_status{}"]);
    let full = parsed(&get_with(service.address, "/metrics", &format!("Authorization: Bearer {TOKEN}\r\n"))).samples();
    assert!(full.len() > 40 && full.contains_key("allswell_transitions_total{component=gone}"), "{full:#?}");
}

#[test]
fn the_metrics_path_accepts_only_reads() {
    let (service, _) = service("");
    let ask = |method: &str| {
        send(service.address, format!("{method} /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").as_bytes())
    };
    let head = ask("HEAD");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.header("content-length").and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > 1000));
    assert_eq!((ask("POST").status, ask("OPTIONS").status), (405, 200));
    let get = ask("GET");
    for (header, expected) in [("cache-control", "no-store"), ("vary", "Accept"), ("x-health-status", "warn")] {
        assert_eq!(get.header(header), Some(expected), "{}", get.head);
    }
}
