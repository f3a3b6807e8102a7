//! Prometheus and Grafana: the scrape, alerts and dashboard are validated by `promtool` and Grafana's library, every name is compared with the real
//! `/metrics`, and a real Prometheus scrapes the real program.

use super::{accepted, deploy, python, read, with};
use crate::{
    helpers::{Allswell, eventually, free_port, get, get_with},
    servers::{Server, folder, reading},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{SocketAddr, TcpStream},
    process::Command,
};

fn promtool(arguments: &[&str]) -> String {
    accepted(Command::new("/usr/bin/promtool").args(arguments).current_dir(deploy("prometheus")))
}

/// The queries of the dashboard, with its variables replaced as by Grafana.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("grafana/dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    targets
        .map(|target| {
            let expression = target["expr"].as_str().expect("an expression");
            [("$__rate_interval", "1m"), ("$job", ".*"), ("$instance", ".*"), ("$component", ".*")]
                .iter()
                .fold(expression.to_owned(), |text, (word, value)| text.replace(word, value))
        })
        .collect()
}

/// A service with a component that passes and one that fails, polled by a load balancer.
fn service() -> Allswell {
    let service = Allswell::start(
        "[defaults]\ninterval = \"100ms\"\n[checks.memory]\nkind = \"memory\"\n\
         [checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ncritical = false\n",
    );
    service.await_report("/health", "all components have a result", |report| !report.body.contains("pending"));
    for _ in 0..6 {
        get_with(service.address, "/health", "User-Agent: ELB-HealthChecker/2.0\r\n");
    }
    get(service.address, "/metrics");
    service
}

/// The names of the metrics, each with its labels.
fn metrics(service: &Allswell) -> BTreeMap<String, BTreeSet<String>> {
    let script = "import json, sys\nfrom prometheus_client.parser import text_string_to_metric_families as read\n\
                  print(json.dumps([[f.name, [[s.name, sorted(s.labels)] for s in f.samples]] for f in read(sys.stdin.read())]))";
    let families = reading("readers", script, &get(service.address, "/metrics").body);
    let mut known = BTreeMap::new();
    for family in families.as_array().expect("families") {
        let name = family[0].as_str().expect("a name");
        known.entry(name.to_owned()).or_default();
        for sample in family[1].as_array().expect("samples") {
            let labels: BTreeSet<String> = serde_json::from_value(sample[1].clone()).expect("labels");
            known.entry(sample[0].as_str().expect("a name").to_owned()).or_insert_with(BTreeSet::new).extend(labels);
        }
    }
    known
}

/// Our metrics in an expression.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("allswell_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn promtool_accepts_the_scrape_configuration_and_tests_each_alert() {
    promtool(&["check", "config", "scrape.yml"]);
    promtool(&["check", "rules", "--lint-fatal", "alerts.yml"]);
    promtool(&["test", "rules", "alerts_test.yml"]);
    let (alerts, tests) = (read("prometheus/alerts.yml"), read("prometheus/alerts_test.yml"));
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let tried = tests.split("alertname: ").skip(1).filter(|rest| rest.split([',', '\n']).next() == Some(alert));
        let fires = tried.filter(|rest| rest.split("alertname:").next().is_some_and(|rest| rest.contains("exp_annotations")));
        assert!(fires.count() > 0, "{alert} is never seen to fire");
    }
}

#[test]
fn promtool_accepts_every_query_of_the_dashboard() {
    let rules: Vec<Value> =
        queries().iter().enumerate().map(|(at, query)| json!({ "record": format!("query:{at}"), "expr": query })).collect();
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("rules.yml");
    // JSON is YAML.
    fs::write(&file, json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string()).expect("a file");
    promtool(&["check", "rules", &file.display().to_string()]);
}

#[test]
fn grafanas_schema_has_every_key_of_the_dashboard() {
    let script = "\
import json, sys
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
plugins.register_default_plugins()
def lost(here, there, path):
    if isinstance(here, dict):
        for key, value in here.items():
            if not isinstance(there, dict) or key not in there:
                if value not in (None, [], {}, False, ''):
                    yield f'{path}.{key}'
            else:
                yield from lost(value, there[key], f'{path}.{key}')
    elif isinstance(here, list):
        for at, (one, other) in enumerate(zip(here, there)):
            yield from lost(one, other, f'{path}[{at}]')
    elif here != there:
        yield path
read = json.loads(sys.stdin.read())
written = json.loads(JSONEncoder().encode(Dashboard.from_json(read)))
print(json.dumps(list(lost(read, written, ''))))";
    let dashboard = read("grafana/dashboard.json");
    assert_eq!(python(script, &dashboard), json!([]), "what is read is written again");
    // A mistake must be found.
    let wrong = with(&dashboard, &[("\"gridPos\"", "\"gridPosition\"".to_owned()), ("\"rowHeight\"", "\"rowHight\"".to_owned())]);
    let problems = python(script, &wrong).to_string();
    assert!(problems.contains(".gridPosition") && problems.contains(".options.rowHight"), "{problems}");
}

#[test]
fn every_queried_metric_exists_with_its_labels() {
    let known = metrics(&service());
    let asked = [read("prometheus/alerts.yml"), queries().join("\n"), read("grafana/dashboard.json")].join("\n");
    let names = named(&asked);
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(known.contains_key(&name), "there is no {name}: {:?}", known.keys());
    }
    // The series in the tests of the alerts look like ours.
    for line in read("prometheus/alerts_test.yml").lines().filter_map(|line| line.trim().strip_prefix("- series: allswell_")) {
        let (name, labels) = line.trim_end_matches('}').split_once('{').expect("labels");
        let labels: BTreeSet<String> = labels.split(", ").map(|label| label.split('=').next().expect("a name").to_owned()).collect();
        let mut ours = known.get(&format!("allswell_{name}")).unwrap_or_else(|| panic!("there is no allswell_{name}")).clone();
        // Prometheus adds these labels.
        ours.extend(["job".to_owned(), "instance".to_owned()]);
        assert_eq!(labels, ours, "allswell_{name}");
    }
    assert!(get(service().address, "/metrics").body.contains("allswell_polls_total{path=\"/metrics\""), "the alert excludes it");
}

fn ask(prometheus: SocketAddr, path: &str) -> Value {
    let answer = get(prometheus, path);
    let start = answer.body.find('{').unwrap_or_else(|| panic!("{}", answer.text));
    let end = answer.body.rfind('}').expect("JSON");
    serde_json::from_str(&answer.body[start..=end]).unwrap_or_else(|error| panic!("{error}: {}", answer.text))
}

fn encoded(query: &str) -> String {
    query.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[test]
fn prometheus_scrapes_and_evaluates_the_queries_of_the_dashboard() {
    let service = service();
    let directory = folder();
    let scrape = with(
        &read("prometheus/scrape.yml"),
        &[
            ("10.0.0.7:8080", service.address.to_string()),
            ("          - 10.0.0.8:8080\n", String::new()),
            ("scrape_interval: 15s", "scrape_interval: 500ms".to_owned()),
            ("evaluation_interval: 15s", "evaluation_interval: 500ms".to_owned()),
            ("scrape_timeout: 5s", "scrape_timeout: 500ms".to_owned()),
        ],
    );
    fs::write(directory.path().join("scrape.yml"), scrape).expect("a file");
    fs::write(directory.path().join("alerts.yml"), read("prometheus/alerts.yml")).expect("a file");
    let prometheus = Server::launch(
        directory,
        free_port(),
        |directory, port| {
            let mut command = Command::new("/usr/bin/prometheus");
            command.current_dir(directory).args(["--config.file=scrape.yml", "--storage.tsdb.path=data"]);
            command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command
        },
        |_, port| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            TcpStream::connect(address).is_ok() && get(address, "/-/ready").status == 200
        },
    );
    let address = SocketAddr::from(([127, 0, 0, 1], prometheus.port));
    let query = |text: &str| ask(address, &format!("/api/v1/query?query={}", encoded(text)));
    eventually("Prometheus has scraped", || (query("allswell_status")["data"]["result"][0]["value"][1] == "0.5").then_some(()));
    // The component that fails and is not critical.
    eventually("an alert is pending", || {
        let alerts = ask(address, "/api/v1/alerts");
        let alert = alerts["data"]["alerts"].as_array()?.first()?.clone();
        (alert["labels"]["alertname"] == "AllswellComponentDegraded" && alert["labels"]["component"] == "port").then_some(())
    });
    let rules = ask(address, "/api/v1/rules");
    let rules = rules["data"]["groups"][0]["rules"].as_array().expect("rules").clone();
    assert_eq!((rules.len(), rules.iter().all(|rule| rule["health"] == "ok")), (9, true), "{rules:#?}");
    // A rate is known after two scrapes.
    eventually("the dashboard has something to show everywhere", || {
        let empty: Vec<String> = queries()
            .into_iter()
            .filter(|text| {
                let answer = query(text);
                assert_eq!(answer["status"], "success", "{text}: {answer}");
                answer["data"]["result"].as_array().is_none_or(Vec::is_empty)
            })
            // Empty at first: a client is recognised by its interval only after its second poll.
            .filter(|text| !text.contains("allswell_prober_"))
            .collect();
        empty.is_empty().then_some(())
    });
}
