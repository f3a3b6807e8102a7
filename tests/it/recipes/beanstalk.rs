//! Elastic Beanstalk: the names of its options, as its guide lists them, and the common files of both bundles. `proxies.rs` runs the proxies,
//! `machine.rs` the hooks.

use super::{ENVIRONMENT, advised, deploy, python, read, remarks};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// The options of the namespaces that we use, copied by hand from the guide "General options for all environments": no package has them.
const OPTIONS: &[(&str, &[&str])] = &[
    ("aws:elasticbeanstalk:environment:proxy", &["ProxyServer"]),
    (
        "aws:elasticbeanstalk:environment:process:default",
        &[
            "DeregistrationDelay",
            "HealthCheckInterval",
            "HealthCheckPath",
            "HealthCheckTimeout",
            "HealthyThresholdCount",
            "MatcherHTTPCode",
            "Port",
            "Protocol",
            "StickinessEnabled",
            "StickinessLBCookieDuration",
            "StickinessType",
            "UnhealthyThresholdCount",
        ],
    ),
];

/// Our own variables.
const VARIABLES: &str = "aws:elasticbeanstalk:application:environment";

fn extension(proxy: &str) -> Value {
    let script = "import json, sys, yaml\nprint(json.dumps(yaml.safe_load(sys.stdin.read())))";
    python(script, &read(&format!("elastic-beanstalk/{proxy}/.ebextensions/allswell.config")))
}

fn options(proxy: &str) -> Value {
    extension(proxy)["option_settings"].clone()
}

#[test]
fn beanstalk_downloads_the_authorities_that_verify_the_database() {
    let files = extension("nginx")["files"].clone();
    let configuration = read("elastic-beanstalk/nginx/.platform/allswell/allswell.toml");
    let authorities = configuration.lines().find_map(|line| line.strip_prefix("tls.ca_file = \"")?.split('"').next()).expect("a file");
    assert!(files[authorities]["source"].as_str().is_some_and(|source| source.starts_with("https://")), "{files}");
    assert!(configuration.contains("sslmode=verify-full"), "{configuration}");
}

#[test]
fn every_beanstalk_option_exists() {
    for proxy in ["nginx", "apache"] {
        let settings = options(proxy);
        for (namespace, options) in settings.as_object().expect("options") {
            let options: Vec<&str> = options.as_object().expect("options").keys().map(String::as_str).collect();
            if namespace == VARIABLES {
                assert_eq!(options, ["ALLSWELL_SHA256", "ALLSWELL_TARBALL", "APP_HOST"]);
                continue;
            }
            let (_, known) = OPTIONS.iter().find(|(name, _)| name == namespace).unwrap_or_else(|| panic!("no {namespace}"));
            assert!(options.iter().all(|option| known.contains(option)), "{namespace}: {options:?}");
        }
        assert_eq!(settings["aws:elasticbeanstalk:environment:proxy"]["ProxyServer"], proxy);
    }
}

#[test]
fn the_doctor_finds_no_contradiction_in_its_process() {
    let process = options("nginx")["aws:elasticbeanstalk:environment:process:default"].clone();
    let configuration = read("elastic-beanstalk/nginx/.platform/allswell/allswell.toml");
    let group = json!({
        "TargetGroupName": "awseb-orders",
        "TargetType": "instance",
        "Protocol": "HTTP",
        "Port": 80,
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckPath": process["HealthCheckPath"],
        "HealthCheckIntervalSeconds": process["HealthCheckInterval"],
        "HealthCheckTimeoutSeconds": process["HealthCheckTimeout"],
        "HealthyThresholdCount": process["HealthyThresholdCount"],
        "UnhealthyThresholdCount": process["UnhealthyThresholdCount"],
        "Matcher": { "HttpCode": process["MatcherHTTPCode"] },
        "Attributes": [{ "Key": "deregistration_delay.timeout_seconds", "Value": process["DeregistrationDelay"].to_string() }],
    });
    let advice = advised(&configuration, ENVIRONMENT, &group);
    // The target group polls the proxy, which forwards the request to allswell.
    assert_eq!(remarks(&advice), ["other_port"], "{advice:#}");
    assert_eq!((&advice["drain_ms"], &advice["deregistration_delay_ms"]), (&json!(20_800), &json!(30_000)));
}

#[test]
fn both_bundles_differ_only_in_the_proxy() {
    let bundle = |proxy: &str| deploy("elastic-beanstalk").join(proxy);
    let same = |path: &Path| {
        let text = |proxy: &str| fs::read_to_string(bundle(proxy).join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (text("nginx"), text("apache"))
    };
    for path in [
        ".platform/allswell/allswell.service",
        ".platform/allswell/allswell.toml",
        ".platform/hooks/postdeploy/10_allswell.sh",
        ".platform/confighooks/postdeploy/10_allswell.sh",
    ] {
        let (nginx, apache) = same(Path::new(path));
        assert_eq!(nginx, apache, "{path}");
    }
    let (nginx, apache) = same(Path::new(".ebextensions/allswell.config"));
    let renamed = nginx.replace(": nginx there", ": Apache there").replace(".platform/nginx", ".platform/httpd");
    assert_eq!(renamed.replace("ProxyServer: nginx", "ProxyServer: apache"), apache);
}
