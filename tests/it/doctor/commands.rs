//! Arguments, exit codes and the text for people.

use super::{doctor, doctor_in, url};
use crate::{
    helpers::{free_port, no_such_name},
    servers::django,
};
use std::fs;

#[test]
fn an_invalid_configuration_does_not_prevent_polling_a_url() {
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("allswell.toml"), "[server]\ntoken = \"${NOT_SET}\"\n").expect("a configuration");
    let ran = doctor_in(&directory, &[&url(free_port(), "/"), "--as", "kubelet"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("NOT_SET") && ran.stderr.contains("own configuration is ignored"), "{}", ran.stderr);
    assert_eq!(doctor_in(&directory, &[]).code, Some(2));
}

#[test]
fn invalid_arguments_and_files_are_usage_errors() {
    let directory = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).expect("a file");
        name.to_owned()
    };
    let (broken, other, matcher) = (
        file("broken.json", "{ \"TargetGroups\": ["),
        file("other.json", "{ \"LoadBalancers\": [] }"),
        file(
            "matcher.json",
            "{ \"TargetGroups\": [ { \"TargetGroupName\": \"x\", \"Protocol\": \"HTTP\", \"Matcher\": { \"HttpCode\": \"2xx\" } } ] }",
        ),
    );
    let huge = file(
        "huge.json",
        "{ \"TargetGroups\": [ { \"TargetGroupName\": \"a\\u001b[31mb\", \"HealthCheckIntervalSeconds\": 10000000000000000000 } ] }",
    );
    let empty = file("empty.json", "{ \"TargetGroups\": [] }");
    let mut errors = String::new();
    for arguments in [
        &["localhost:8080/health"][..],
        &["ftp://localhost/"],
        &["http://user:secret@localhost/"],
        &["http://localhost/", "--as", "elb"],
        &["--alb-json", "none.json"],
        &["--alb-json", &broken],
        &["--alb-json", &other],
        &["--alb-json", &matcher],
        &["--alb-json", &empty],
        &["--alb-json", &huge],
    ] {
        let ran = doctor_in(&directory, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.stderr);
        errors += &format!("$ allswell doctor {}\n{}\n", arguments.join(" "), ran.stderr);
    }
    assert!(!errors.replace("user:secret@localhost/\n", "").contains("secret"), "{errors}");
    insta::assert_snapshot!(errors);
}

#[test]
fn a_name_that_does_not_resolve_is_an_error() {
    let ran = doctor(&[&format!("http://{}/", no_such_name())]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "error: the name does not resolve\n"));
}

#[test]
fn the_text_shows_polls_then_findings_then_a_summary() {
    let server = django(&["localhost", "plain"]);
    let ran = doctor(&[&url(server.port, "/get/"), "--as", "alb,route53,haproxy"]);
    let text = ran.stdout.replace(&server.port.to_string(), "PORT");
    let text: Vec<_> = text.split(' ').collect();
    let without_times: Vec<_> = text
        .iter()
        .enumerate()
        .map(|(at, word)| if text.get(at + 1).is_some_and(|next| next.starts_with("ms\n")) { "TIME" } else { word })
        .collect();
    insta::assert_snapshot!(without_times.join(" "));
}
