//! Target groups: worst-case times, contradictions, and polls with their settings.

use super::{Examination, doctor_in, examine, url};
use crate::{
    helpers::Allswell,
    servers::{Server, django, nginx_with},
};
use serde_json::{Value, json};
use std::{fs, net::SocketAddr, path::Path};

/// A file that describes a target group.
fn target_group(directory: &Path, change: impl FnOnce(&mut Value)) -> String {
    let mut group = json!({
        "TargetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/orders/73e2d6bc24d8a067",
        "TargetGroupName": "orders",
        "Protocol": "HTTP",
        "Port": 8080,
        "VpcId": "vpc-3ac0fb5f",
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckEnabled": true,
        "HealthCheckIntervalSeconds": 30,
        "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
        "HealthCheckPath": "/health",
        "Matcher": { "HttpCode": "200" },
        "LoadBalancerArns": ["arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/orders/50dc6c495c0c9188"],
        "TargetType": "instance",
        "ProtocolVersion": "HTTP1",
        "IpAddressType": "ipv4"
    });
    change(&mut group);
    let file = directory.join("groups.json");
    fs::write(&file, json!({ "TargetGroups": [group] }).to_string()).expect("a file");
    file.display().to_string()
}

/// The exit code and output for a target group, and for a configuration of allswell if it is not empty.
fn advise(configuration: &str, more: &[&str], change: impl FnOnce(&mut Value)) -> (Option<i32>, Value) {
    let directory = tempfile::tempdir().expect("a folder");
    if !configuration.is_empty() {
        fs::write(directory.path().join("allswell.toml"), configuration).expect("a configuration");
    }
    let file = target_group(directory.path(), change);
    let ran = doctor_in(&directory, &[&["--alb-json", &file, "--format", "json"], more].concat());
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr));
    (ran.code, json)
}

const OWN: &str =
    "[server]\nlisten = \"0.0.0.0:8080\"\ndrain = \"65s\"\n[checks.db]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ntimeout = \"2s\"\n";

#[test]
fn worst_case_times_of_a_target_group_alone_count_its_polls() {
    let (code, output) = advise("", &[], |_| {});
    let group = &output["target_groups"][0];
    assert_eq!(code, Some(0), "{output:#}");
    // The target fails right after a healthy poll: two polls until it is unhealthy, the second of which takes its whole timeout.
    assert_eq!((&group["detection_ms"], &group["recovery_ms"]), (&json!(65_000), &json!(155_000)));
    assert_eq!((&group["drain_ms"], &group["deregistration_delay_ms"]), (&json!(65_000), &Value::Null));
    assert_eq!((&group["component_detection_ms"], &output["clients"]), (&Value::Null, &json!([])), "no client polled");
}

#[test]
fn worst_case_times_with_a_configuration_include_its_probes() {
    let (code, output) = advise(OWN, &[], |_| {});
    let group = &output["target_groups"][0];
    assert_eq!(code, Some(0), "{output:#}");
    // A probe's interval with its jitter, its timeout, two polls, and the deadline of the response.
    assert_eq!(group["component_detection_ms"], json!(11_000 + 2_000 + 60_000 + 800));
    assert_eq!(group["recovery_ms"], json!(11_000 + 2_000 + 150_000 + 800));
    assert_eq!(group["drain_ms"], json!(60_800));
}

#[test]
fn a_configuration_from_variables_counts_as_well() {
    let variables = tempfile::NamedTempFile::new().expect("a file");
    fs::write(variables.path(), "ALLSWELL_CHECKS__MEMORY__KIND=memory\nALLSWELL_CHECKS__MEMORY__TIMEOUT=3s\n").expect("variables");
    let (_, output) = advise("", &["--env-file", variables.path().to_str().expect("text")], |_| {});
    assert_eq!(output["target_groups"][0]["component_detection_ms"], json!(11_000 + 3_000 + 60_000 + 800), "{output:#}");
}

/// The exit code and the codes of the findings.
fn codes(configuration: &str, change: impl FnOnce(&mut Value)) -> (Option<i32>, Vec<String>) {
    let (code, output) = advise(configuration, &[], change);
    let findings = output["target_groups"][0]["findings"].as_array().expect("findings").clone();
    (code, findings.iter().map(|finding| finding["code"].as_str().expect("a code").to_owned()).collect())
}

fn assert_contradiction(configuration: &str, change: impl FnOnce(&mut Value), code: &str) {
    assert_eq!(codes(configuration, change), (Some(1), vec![code.to_owned()]));
}

fn assert_warning(configuration: &str, change: impl FnOnce(&mut Value), code: &str) {
    assert_eq!(codes(configuration, change), (Some(0), vec![code.to_owned()]));
}

fn assert_consistent(configuration: &str, change: impl FnOnce(&mut Value)) {
    assert_eq!(codes(configuration, change), (Some(0), vec![]));
}

fn set(key: &'static str, value: Value) -> impl Fn(&mut Value) {
    move |group| group[key] = value.clone()
}

/// The configuration with another setting of the server.
fn own_with(setting: &str) -> String {
    OWN.replace("[server]\n", &format!("[server]\n{setting}\n"))
}

/// Polls so often that the threshold is reached within a probe's interval.
fn poll_often(group: &mut Value) {
    group["HealthCheckIntervalSeconds"] = json!(5);
    group["HealthCheckTimeoutSeconds"] = json!(2);
}

#[test]
fn a_timeout_must_be_below_the_interval_and_above_the_deadline() {
    assert_contradiction(OWN, set("HealthCheckTimeoutSeconds", json!(30)), "timeout_above_interval");
    assert_contradiction(&own_with("deadline = \"5s\""), |_| {}, "deadline_above_timeout");
}

#[test]
fn a_matcher_must_contain_the_codes_of_success_only() {
    assert_eq!(codes(OWN, set("Matcher", json!({ "HttpCode": "0-99" }))).1, ["matcher_never_matches"]);
    assert_contradiction(OWN, set("Matcher", json!({ "HttpCode": "204" })), "matcher_never_matches");
    assert_contradiction(&own_with("warn_status = 218"), |_| {}, "matcher_misses_warnings");
    let network = |group: &mut Value| {
        group["Protocol"] = json!("TCP");
        group["Matcher"] = json!({ "HttpCode": "200-599" });
        group["LoadBalancerArns"] = json!(["arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/net/orders/5"]);
    };
    assert_contradiction(OWN, network, "matcher_always_matches");
}

#[test]
fn a_drain_must_outlast_the_load_balancer() {
    assert_warning(&OWN.replace("65s", "5s"), |_| {}, "drain_too_short");
    let attributes = set("Attributes", json!([{ "Key": "deregistration_delay.timeout_seconds", "Value": "20" }]));
    assert_contradiction(OWN, attributes, "deregistration_below_drain");
}

#[test]
fn one_failed_probe_must_not_make_a_target_unhealthy() {
    assert_contradiction(OWN, poll_often, "one_probe_takes_it_out");
    assert_consistent(&OWN.replace("[checks.db]", "[checks.db]\nfall = 2"), poll_often);
}

#[test]
fn low_thresholds_flap() {
    let flapping = |group: &mut Value| {
        poll_often(group);
        group["HealthyThresholdCount"] = json!(2);
    };
    assert_contradiction("", flapping, "thresholds_flap");
}

#[test]
fn a_path_must_report_whether_dependencies_work() {
    let path = |path: &str| set("HealthCheckPath", json!(path));
    for never_fails in ["/livez", "/health/live", "/health?format=rss"] {
        assert_contradiction(OWN, path(never_fails), "path_never_fails");
    }
    assert_contradiction(OWN, path("/health/orders"), "path_unknown");
    for verdict in ["/health/ready/", "/health/db?x=1"] {
        assert_consistent(OWN, path(verdict));
    }
}

#[test]
fn the_default_path_of_grpc_reports_whether_dependencies_work() {
    let grpc = |group: &mut Value| {
        group["ProtocolVersion"] = json!("GRPC");
        group["HealthCheckPath"] = json!("/AWS.ALB/healthcheck");
        group["Matcher"] = json!({ "GrpcCode": "12" });
    };
    assert_consistent(OWN, grpc);
}

#[test]
fn health_checks_must_use_http_and_the_port_of_allswell() {
    assert_warning(OWN, set("HealthCheckPort", json!("9090")), "other_port");
    assert_warning(OWN, set("HealthCheckProtocol", json!("TCP")), "port_only");
    assert_warning(OWN, set("HealthCheckEnabled", json!(false)), "checks_disabled");
}

#[test]
fn attributes_may_be_in_a_second_file() {
    let directory = tempfile::tempdir().expect("a folder");
    let group = target_group(directory.path(), |_| {});
    let attributes = directory.path().join("attributes.json");
    fs::write(&attributes, json!({ "Attributes": [{ "Key": "deregistration_delay.timeout_seconds", "Value": "20" }] }).to_string())
        .expect("a file");
    let ran = doctor_in(&directory, &["--alb-json", &group, "--alb-json", &attributes.display().to_string()]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    insta::assert_snapshot!(ran.stdout);
}

fn examine_group(url: &str, change: impl FnOnce(&mut Value)) -> Examination {
    let directory = tempfile::tempdir().expect("a folder");
    let file = target_group(directory.path(), change);
    examine(url, &["--alb-json", &file])
}

#[test]
fn a_target_group_polls_with_its_own_settings() {
    let server = django(&["any-host", "plain"]);
    let polled = |change: fn(&mut Value)| examine_group(&url(server.port, "/"), change);
    let path = polled(|group| group["HealthCheckPath"] = json!("/none/"));
    path.assert("its own path", &[], &["not_found"]);
    assert_eq!(path.client("orders")["path"], "/none/");
    let matcher = polled(|group| {
        group["HealthCheckPath"] = json!("/empty/");
        group["Matcher"] = json!({ "HttpCode": "200,204" });
    });
    matcher.assert("its own success codes", &["orders"], &[]);
    let timeout = polled(|group| {
        group["HealthCheckPath"] = json!("/slow/");
        group["HealthCheckTimeoutSeconds"] = json!(1);
    });
    timeout.assert("its own timeout", &[], &["slow"]);
    let grpc = polled(|group| group["ProtocolVersion"] = json!("GRPC"));
    grpc.assert("gRPC to a server with HTTP/1.1 only", &[], &["http_version"]);
}

#[test]
fn a_target_group_with_tcp_health_checks_is_not_polled() {
    let server = django(&["any-host", "plain"]);
    let tcp = examine_group(&url(server.port, "/"), set("HealthCheckProtocol", json!("TCP")));
    assert_eq!(tcp.json["not_polled"], json!(["orders: its health checks use TCP, which only tests whether the port accepts connections"]));
}

#[test]
fn a_grpc_target_group_follows_the_verdict_of_allswell() {
    let folder = tempfile::tempdir().expect("a folder");
    let media = folder.path().join("media");
    fs::create_dir(&media).expect("a folder");
    let configuration = format!("[defaults]\ninterval = \"100ms\"\n[checks.media]\nkind = \"storage\"\npath = \"{}\"\n", media.display());
    let service = Allswell::start(&configuration);
    let polled = |path: Option<&str>, code: Option<&str>| {
        examine_group(&format!("http://{}/", service.address), |group| {
            group["ProtocolVersion"] = json!("GRPC");
            group["HealthCheckPath"] = json!(path);
            group["Matcher"] = code.map_or(Value::Null, |code| json!({ "GrpcCode": code }));
        })
    };
    service.await_report("/health", "it passes", |report| report.status == 200);
    polled(None, None).assert("the default", &["orders"], &[]);
    polled(Some("/none/none"), Some("0")).assert("no such method", &[], &["not_grpc"]);
    fs::remove_dir(&media).expect("a folder");
    service.await_report("/health", "it fails", |report| report.status == 500);
    let failing = polled(None, None);
    failing.assert("failing", &[], &["grpc_status"]);
    assert_eq!(failing.client("orders")["got"], "grpc-status 14 UNAVAILABLE");
    // The call succeeds with NOT_SERVING, and the load balancer only evaluates the status of the call.
    let check = polled(Some("/grpc.health.v1.Health/Check"), Some("0"));
    assert_eq!((check.healthy(), check.code), (vec!["orders"], Some(1)));
    assert_eq!(check.json["target_groups"][0]["findings"][0]["code"], "path_never_fails");
}

fn attributes(pairs: &'static [(&str, &str)]) -> impl Fn(&mut Value) {
    move |group| group["Attributes"] = pairs.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

const PROXY_PROTOCOL: &[(&str, &str)] = &[("proxy_protocol_v2.enabled", "true")];

#[test]
fn the_proxy_protocol_must_be_accepted() {
    assert_contradiction(OWN, attributes(PROXY_PROTOCOL), "proxy_header");
    assert_warning("", attributes(PROXY_PROTOCOL), "proxy_header");
    assert_consistent(&own_with("proxy_protocol = \"accept\""), attributes(PROXY_PROTOCOL));
    assert_consistent(OWN, attributes(&[("proxy_protocol_v2.enabled", "false")]));
}

/// The group of a Network Load Balancer.
fn network(change: impl Fn(&mut Value)) -> impl Fn(&mut Value) {
    move |group| {
        group["Protocol"] = json!("TCP");
        group["Matcher"] = json!({ "HttpCode": "200-399" });
        group["LoadBalancerArns"] = json!(["arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/net/orders/5"]);
        change(group);
    }
}

#[test]
fn attributes_that_cut_off_or_mislead_traffic_are_reported() {
    const SHORT: &[(&str, &str)] = &[("deregistration_delay.timeout_seconds", "20")];
    const CUTS: &[(&str, &str)] =
        &[("deregistration_delay.timeout_seconds", "20"), ("deregistration_delay.connection_termination.enabled", "true")];
    const OTHERS: &[(&str, &str)] = &[
        ("preserve_client_ip.enabled", "true"),
        ("slow_start.duration_seconds", "30"),
        ("stickiness.enabled", "true"),
        ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
        ("load_balancing.algorithm.type", "round_robin"),
        ("target_health_state.unhealthy.draining_interval_seconds", "0"),
    ];
    assert_contradiction(OWN, attributes(SHORT), "deregistration_below_drain");
    assert_consistent(OWN, network(attributes(SHORT)));
    assert_contradiction(OWN, network(attributes(CUTS)), "deregistration_below_drain");
    assert_warning(
        OWN,
        network(attributes(&[("target_health_state.unhealthy.connection_termination.enabled", "true")])),
        "unhealthy_cuts_off",
    );
    let minimum = &[("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "50")];
    assert_warning(OWN, attributes(minimum), "fails_open");
    assert_consistent(OWN, attributes(&[("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1")]));
    assert_consistent(OWN, attributes(&[("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off")]));
    assert_warning(OWN, network(set("TargetType", json!("alb"))), "target_is_balancer");
    assert_consistent(OWN, attributes(OTHERS));
}

/// What the doctor concludes about a server, as a target group that sends the header of the PROXY protocol or not.
fn polled(address: SocketAddr, sends: bool) -> (Option<i32>, Vec<String>) {
    let directory = tempfile::tempdir().expect("a folder");
    let on: &'static [(&str, &str)] = if sends { PROXY_PROTOCOL } else { &[] };
    let file = target_group(directory.path(), network(attributes(on)));
    let ran = doctor_in(&directory, &["--alb-json", &file, "--format", "json", &format!("http://{address}/health")]);
    let output: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr));
    let codes = output["findings"].as_array().expect("findings").iter().filter(|finding| finding["failing"] == true);
    (ran.code, codes.map(|finding| finding["code"].as_str().expect("a code").to_owned()).collect())
}

#[test]
fn a_poll_begins_with_the_header_that_the_load_balancer_sends() {
    let memory = "[checks.memory]\nkind = \"memory\"\n";
    let off = Allswell::start(memory);
    assert_eq!(polled(off.address, true), (Some(1), vec!["proxy_header".to_owned()]));
    assert_eq!(polled(off.address, false), (Some(0), vec![]));
    let accepting = Allswell::start(&format!("[server]\nproxy_protocol = \"accept\"\n{memory}"));
    assert_eq!(polled(accepting.address, true), (Some(0), vec![]));
    assert_eq!(polled(accepting.address, false), (Some(0), vec![]));
    // Servers of others.
    let [nginx, expecting] = ["", "proxy_protocol"]
        .map(|option| nginx_with(|port| format!("server {{ listen 127.0.0.1:{port} {option}; location / {{ return 200; }} }}")));
    let address = |server: &Server| SocketAddr::from(([127, 0, 0, 1], server.port));
    assert_eq!(polled(address(&nginx), true), (Some(1), vec!["proxy_header".to_owned()]));
    assert_eq!(polled(address(&expecting), true), (Some(0), vec![]));
    assert_eq!(polled(address(&expecting), false), (Some(1), vec!["proxy_header_missing".to_owned()]));
}
