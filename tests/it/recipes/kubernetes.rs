//! Kubernetes: validated with the schemas of the API, and the probes tried on the real program, from the start of a pod to the loss of its database.

use super::{Dependencies, ENVIRONMENT, accepted, assert_valid, deploy, python, read, validator, with};
use crate::{
    helpers::{Allswell, free_port},
    servers::hostile::Hostile,
};
use serde_json::{Value, json};
use std::{fs, process::Command};

fn documents() -> Vec<Value> {
    let script = "import json, sys, yaml\nprint(json.dumps(list(yaml.safe_load_all(sys.stdin.read()))))";
    serde_json::from_value(python(script, &read("kubernetes/sidecar.yaml"))).expect("documents")
}

fn kind(name: &str) -> Value {
    documents().into_iter().find(|document| document["kind"] == name).unwrap_or_else(|| panic!("no {name}"))
}

fn configuration() -> String {
    kind("ConfigMap")["data"]["allswell.toml"].as_str().expect("a configuration").to_owned()
}

#[test]
fn every_field_is_in_the_kubernetes_api() {
    let validate = |version: &str| -> Command {
        let mut command = validator("kubernetes-validate");
        command.args(["--strict", "--kubernetes-version", version]);
        command
    };
    // The oldest version that the recipe supports, and a new one.
    for version in ["1.30", "1.37"] {
        accepted(validate(version).arg(deploy("kubernetes/sidecar.yaml")));
    }
    // A mistake must be found.
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("wrong.yaml");
    fs::write(&file, with(&read("kubernetes/sidecar.yaml"), &[("failureThreshold: 60", "failureTreshold: 60".to_owned())]))
        .expect("a file");
    let output = validate("1.37").arg(file).output().expect("it runs");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stdout).contains("failureTreshold"), "{output:?}");
}

#[test]
fn the_configuration_is_valid_and_its_times_fit_the_probes() {
    assert_valid("ConfigMap", &configuration(), ENVIRONMENT);
    let pod = kind("Deployment")["spec"]["template"]["spec"].clone();
    let (sidecar, app) = (&pod["initContainers"][0], &pod["containers"][0]);
    assert_eq!(sidecar["restartPolicy"], "Always", "it is a sidecar");
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value}"));
    let patience = |probe: &Value| number(&probe["periodSeconds"]) * number(&probe["failureThreshold"]);
    // A hung sidecar is restarted before the application is considered hung.
    assert!(patience(&sidecar["livenessProbe"]) < patience(&app["livenessProbe"]));
    assert!(patience(&app["readinessProbe"]) < patience(&app["livenessProbe"]));
    let stop = number(&app["lifecycle"]["preStop"]["sleep"]["seconds"]);
    assert!(stop + 30 < number(&pod["terminationGracePeriodSeconds"]));
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!((&app[probe]["httpGet"]["port"], number(&app[probe]["timeoutSeconds"])), (&json!(8080), 2), "{probe}");
    }
    assert_eq!(sidecar["ports"][0], json!({ "name": "health", "containerPort": 8080 }));
}

#[test]
fn the_probes_start_a_pod_and_keep_it_running_without_its_database() {
    let dependencies = Dependencies::start();
    let app = Hostile::listening("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").0;
    let (database, cache) = (dependencies.database_url(), dependencies.redis_url());
    let start = |app: u16| {
        let times = [("interval = \"5s\"", "interval = \"500ms\""), ("timeout = \"2s\"", "timeout = \"400ms\"")];
        let times = times.map(|(from, to)| (from, to.to_owned()));
        let configuration = with(&with(&configuration(), &times), &[("127.0.0.1:8000", format!("127.0.0.1:{app}"))]);
        Allswell::start_with(&configuration, &[("POD_NAME", "orders-1"), ("DATABASE_URL", &database), ("REDIS_URL", &cache)])
    };
    let pod = kind("Deployment")["spec"]["template"]["spec"].clone();
    let path = |probe: &str| pod["containers"][0][probe]["httpGet"]["path"].as_str().expect("a path").to_owned();
    let (started, ready, live) = (path("startupProbe"), path("readinessProbe"), path("livenessProbe"));

    dependencies.database.pause();
    let service = start(app.port());
    service.await_report("/health/app", "the application answers", |report| report.status == 200);
    assert_eq!(service.get(&started).status, 500, "the database has not answered once");
    dependencies.database.resume();
    for path in [&started, &ready, &live] {
        service.await_report(path, "the pod is ready", |report| report.status == 200);
    }
    dependencies.database.pause();
    service.await_report("/health", "the database is lost", |report| report.status == 500);
    for path in [&started, &ready, &live] {
        assert_eq!(service.get(path).status, 200, "{path}: no pod goes because of what all share");
    }
    dependencies.database.resume();

    let without_app = start(free_port());
    for path in [&started, &ready, &live] {
        without_app.await_report(path, "no application answers", |report| report.status == 500);
    }
    assert_eq!(without_app.get(pod["initContainers"][0]["livenessProbe"]["httpGet"]["path"].as_str().expect("a path")).status, 200);
}
