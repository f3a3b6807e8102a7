//! `CloudFormation` and ECS: validated by `cfn-lint`, the target groups by our doctor, and the health checks of the containers executed.

use super::{Dependencies, ENVIRONMENT, accepted, advised, assert_valid, between, deploy, python, read, remarks, validator};
use crate::{
    helpers::{Allswell, command, run},
    servers::hostile::Hostile,
};
use serde_json::{Map, Value, json};
use std::{fs, net::TcpListener, process::Command};

/// A template of `CloudFormation`, parsed by `cfn-lint`.
fn template() -> Value {
    let script = "import json, sys\nfrom cfnlint.decode import cfn_yaml\nprint(json.dumps(cfn_yaml.loads(sys.stdin.read()), default=str))";
    python(script, &read("aws/cloudformation.yaml"))
}

/// The configuration that the user data writes.
pub(super) fn of_user_data(script: &str) -> &str {
    between(script, "<<'TOML'\n", "\nTOML\n")
}

fn task_definition() -> Value {
    serde_json::from_str(&read("aws/ecs-task-definition.json")).expect("JSON")
}

/// Renames keys of the API for `CloudFormation`: with a capital, except the options of a log driver.
fn capitals(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let named = members.iter().map(|(key, value)| {
                let name: String = key.chars().take(1).flat_map(char::to_uppercase).chain(key.chars().skip(1)).collect();
                let value = if key == "options" { value.clone() } else { capitals(value) };
                (name, value)
            });
            Value::Object(named.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(capitals).collect(),
        other => other.clone(),
    }
}

#[test]
fn cfn_lint_accepts_the_template_and_the_task_definition() {
    let directory = tempfile::tempdir().expect("a folder");
    let wrapped = |name: &str, task: &Value, group: Value| {
        let template = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Resources": {
                "Task": { "Type": "AWS::ECS::TaskDefinition", "Properties": capitals(task) },
                "Group": { "Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Properties": group },
            }
        });
        let path = directory.path().join(name);
        fs::write(&path, template.to_string()).expect("a file");
        path
    };
    let group: Value = serde_json::from_str(&read("aws/ecs-target-group.json")).expect("JSON");
    let good = wrapped("good.json", &task_definition(), group.clone());
    accepted(validator("cfn-lint").arg(deploy("aws/cloudformation.yaml")).arg(good));

    // A mistake must be found.
    let mut wrong = task_definition();
    wrong["containerDefinitions"][1]["dependsOn"][0]["condition"] = json!("WELL");
    wrong["containerDefinitions"][0]["healthCheck"]["startPeriod"] = json!(301);
    let mut hasty = group;
    hasty["HealthCheckIntervalSeconds"] = json!("soon");
    let output =
        validator("cfn-lint").args(["--format", "parseable"]).arg(wrapped("wrong.json", &wrong, hasty)).output().expect("cfn-lint");
    let problems = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{problems}");
    for word in ["WELL", "301", "soon"] {
        assert!(problems.contains(word), "{word}: {problems}");
    }
}

#[test]
fn cloudformation_and_terraform_use_the_same_user_data() {
    let template = template();
    let words = template["Resources"]["Template"]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Join"][1].clone();
    let script = words.as_array().and_then(|words| words.last()).and_then(Value::as_str).expect("a script");
    assert_eq!(script, read("aws/terraform/user-data.sh"), "deploy/aws/cloudformation.yaml has another user data");
    assert_valid("user data", of_user_data(script), ENVIRONMENT);
    assert!(script.len() < 15_000, "user data has at most 16 KB");
}

#[test]
fn the_doctor_finds_no_contradiction_in_the_target_group() {
    let mut group = template()["Resources"]["TargetGroup"]["Properties"].clone();
    group["TargetGroupName"] = json!("orders");
    group["Port"] = json!(8000);
    group["Attributes"] = group["TargetGroupAttributes"].take();
    let advice = advised(of_user_data(&read("aws/terraform/user-data.sh")), ENVIRONMENT, &group);
    assert_eq!(remarks(&advice), Vec::<&str>::new(), "{advice:#}");
    // The reasons are in the recipe.
    assert_eq!((&advice["detection_ms"], &advice["drain_ms"]), (&json!(25_000), &json!(20_800)));
    assert_eq!(advice["deregistration_delay_ms"], json!(30_000));
}

/// The environment of a container of the task, with these secrets.
fn environment(container: &Value, secrets: &[(&str, &str)]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let plain = container["environment"].as_array().expect("an environment").iter();
    let given = container["secrets"].as_array().expect("secrets").iter().map(|secret| {
        let (name, from) = (text(&secret["name"]), text(&secret["valueFrom"]));
        let (_, value) = secrets.iter().find(|(parameter, _)| from.ends_with(parameter)).unwrap_or_else(|| panic!("no secret {from}"));
        (name, (*value).to_owned())
    });
    plain.map(|variable| (text(&variable["name"]), text(&variable["value"]))).chain(given).collect()
}

#[test]
fn an_ecs_task_is_configured_by_environment_variables_only() {
    let secrets =
        [("DATABASE_URL", "postgres://orders:playground@db.internal/orders?sslmode=verify-full"), ("REDIS_URL", "rediss://cache.internal")];
    let task = task_definition();
    let owned = environment(&task["containerDefinitions"][0], &secrets);
    let environment: Vec<(&str, &str)> = owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_valid("ECS", "", &environment);
    let mut group: Value = serde_json::from_str(&read("aws/ecs-target-group.json")).expect("JSON");
    group["TargetGroupName"] = group["Name"].take();
    group["Attributes"] = json!([{ "Key": "deregistration_delay.timeout_seconds", "Value": "30" }]);
    let advice = advised("", &environment, &group);
    // ECS deregisters a task before it stops it, and stops allswell after the application, so that allswell need not drain.
    assert_eq!(remarks(&advice), ["drain_too_short"], "{advice:#}");
    assert_eq!(advice["component_detection_ms"], json!(44_800), "{advice:#}");
}

#[test]
fn an_ecs_task_waits_for_its_database_and_not_for_itself() {
    let dependencies = Dependencies::start();
    let app = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", app.local_addr().expect("an address"));
    drop(app);
    let (database, cache) = (dependencies.database_url(), dependencies.redis_url());
    let task = task_definition();
    let container = &task["containerDefinitions"][0];
    let mut owned = environment(container, &[("DATABASE_URL", &database), ("REDIS_URL", &cache)]);
    for (name, value) in [("CHECKS__APP__URL", url.as_str()), ("DEFAULTS__INTERVAL", "500ms"), ("DEFAULTS__TIMEOUT", "400ms")] {
        owned.push((format!("ALLSWELL_{name}"), value.to_owned()));
    }
    let environment: Vec<(&str, &str)> = owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    dependencies.database.pause();
    let service = Allswell::start_with("", &environment);
    // The command of the container, with the entrypoint of the image in PATH.
    let healthy = || {
        let words: Vec<&str> =
            container["healthCheck"]["command"].as_array().expect("a command").iter().filter_map(Value::as_str).collect();
        let ["CMD", "allswell", arguments @ ..] = words.as_slice() else { panic!("{words:?}") };
        // It finds the service by the working directory, as in the container.
        run(command(&service.directory).args(arguments))
    };
    assert_eq!(healthy().code, Some(1), "the application is not started before its database answers");
    dependencies.database.resume();
    service.await_report("/startupz", "the database answers", |report| report.status == 200);
    let ran = healthy();
    // ECS takes output on standard error as a failure.
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    service.await_report("/health/app", "the application is not there yet", |report| report.status == 500);
    assert_eq!(service.get("/health").status, 200);
    // A fault outside of the task does not end the task.
    dependencies.database.pause();
    service.await_report("/health", "the database is gone", |report| report.status == 500);
    assert_eq!(healthy().code, Some(0));
    dependencies.database.resume();
}

#[test]
fn the_target_group_of_ecs_polls_the_application_only() {
    let app = Hostile::listening("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").0;
    let task = task_definition();
    let mut owned = environment(
        &task["containerDefinitions"][0],
        &[("DATABASE_URL", "postgres://orders:playground@127.0.0.1:1/orders"), ("REDIS_URL", "redis://127.0.0.1:1")],
    );
    owned.push(("ALLSWELL_CHECKS__APP__URL".to_owned(), format!("http://127.0.0.1:{}/", app.port())));
    let environment: Vec<(&str, &str)> = owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let service = Allswell::start_with("", &environment);
    let group: Value = serde_json::from_str(&read("aws/ecs-target-group.json")).expect("JSON");
    let path = group["HealthCheckPath"].as_str().expect("a path");
    service.await_report(path, "the application answers", |report| report.status == 200);
    assert_eq!(service.get("/health").status, 500, "its database does not");
}

#[test]
fn shellcheck_accepts_every_script() {
    for script in super::files(|path| path.extension().is_some_and(|extension| extension == "sh")) {
        accepted(Command::new("/usr/bin/shellcheck").arg(script));
    }
}
