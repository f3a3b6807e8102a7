//! `allswell doctor`: it polls as real clients do, and names the cause of every failure. The servers are real if a real one has the fault,
//! and hostile otherwise.

mod causes;
mod clients;
mod commands;
mod django;
mod frameworks;
mod gateways;
mod target_groups;
mod tls;
mod warnings;

use crate::helpers::{Ran, command, run};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tempfile::TempDir;

const ALL_CLIENTS: [&str; 8] = ["alb", "nlb", "classic-elb", "route53", "kubelet", "haproxy", "envoy", "consul"];

fn doctor_in(directory: &TempDir, arguments: &[&str]) -> Ran {
    run(command(directory).arg("doctor").args(arguments))
}

fn doctor(arguments: &[&str]) -> Ran {
    doctor_in(&tempfile::tempdir().expect("a folder"), arguments)
}

/// The doctor's output in JSON, and its exit code.
struct Examination {
    code: Option<i32>,
    json: Value,
}

fn examine(url: &str, more: &[&str]) -> Examination {
    Examination::from_run(&doctor(&[&[url, "--format", "json"], more].concat()))
}

fn examine_as(clients: &str, url: &str) -> Examination {
    examine(url, &["--as", clients])
}

impl Examination {
    fn from_run(ran: &Ran) -> Self {
        let json = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr));
        Self { code: ran.code, json }
    }

    /// The clients that report healthy.
    fn healthy(&self) -> Vec<&str> {
        let clients = self.json["clients"].as_array().expect("clients").iter();
        clients.filter(|client| client["content"] == true).filter_map(|client| client["client"].as_str()).collect()
    }

    /// The affected clients by the code of the finding.
    fn findings(&self) -> BTreeMap<&str, Vec<&str>> {
        let findings = self.json["findings"].as_array().expect("findings").iter();
        findings.map(|finding| (finding["code"].as_str().expect("a code"), texts(&finding["clients"]))).collect()
    }

    fn finding(&self, code: &str) -> &Value {
        let findings = self.json["findings"].as_array().expect("findings");
        findings.iter().find(|finding| finding["code"] == code).unwrap_or_else(|| panic!("no {code}: {:#}", self.json))
    }

    fn client(&self, name: &str) -> &Value {
        let clients = self.json["clients"].as_array().expect("clients");
        clients.iter().find(|client| client["client"] == name).unwrap_or_else(|| panic!("no {name}: {:#}", self.json))
    }

    /// Only these clients report healthy, these are the codes of all findings, and the exit code says whether all clients report healthy.
    fn assert(&self, what: &str, healthy: &[&str], codes: &[&str]) -> &Self {
        let mut expected = codes.to_vec();
        expected.sort_unstable();
        assert_eq!(self.healthy(), healthy, "{what}: {:#}", self.json);
        assert_eq!(self.findings().into_keys().collect::<Vec<_>>(), expected, "{what}: {:#}", self.json);
        let all = self.json["clients"].as_array().map_or(0, Vec::len) == healthy.len();
        assert_eq!((self.code, &self.json["content"]), (Some(i32::from(!all)), &json!(all)), "{what}");
        self
    }
}

fn texts(values: &Value) -> Vec<&str> {
    values.as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

fn all_clients_but(without: &[&str]) -> Vec<&'static str> {
    ALL_CLIENTS.into_iter().filter(|name| !without.contains(name)).collect()
}

fn url(port: u16, path: &str) -> String {
    format!("http://localhost:{port}{path}")
}
