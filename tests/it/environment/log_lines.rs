//! The log in the environment of another program, and as JSON although the service cannot start.

use super::TCP;
use crate::helpers::{Allswell, command, eventually, run, write_private};
use serde_json::Value;
use std::{fs, net::TcpListener};

#[test]
fn rust_log_of_another_program_silences_no_transition() {
    let service = Allswell::start_with(TCP, &[("RUST_LOG", "myapp=debug,sqlx=info")]);
    let transition = eventually("a transition", || service.events().into_iter().find(|event| event["to"].is_string()));
    assert_eq!(transition["component"], "port");
    let warning = "RUST_LOG: 1 directive is about other programs and without effect here (myapp)";
    assert_eq!(service.log().matches(warning).count(), 1, "{}", service.log());
}

#[test]
fn a_level_alone_in_rust_log_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let critical = TCP.replace("critical = false", "");
    write_private(folder.path().join("allswell.toml"), &critical);
    let log = folder.path().join("log");
    let mut service = command(&folder)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("RUST_LOG", "ERROR")
        .stderr(fs::File::create(&log).expect("a file"))
        .spawn()
        .expect("the program starts");
    let lines = eventually("the failure", || fs::read_to_string(&log).ok().filter(|lines| lines.contains("port fails")));
    service.kill().expect("a running process");
    service.wait().expect("the process ends");
    assert!(!lines.contains("listening"), "{lines}");
}

/// Runs `serve` with a log in JSON until it ends, and returns its exit code and events.
fn serve(configuration: &str, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, Vec<Value>) {
    let folder = tempfile::tempdir().expect("a folder");
    write_private(folder.path().join("allswell.toml"), configuration);
    let ran = run(command(&folder).args(arguments).envs(variables.iter().copied()));
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {}", ran.stderr));
        for field in ["timestamp", "level", "message", "target"] {
            assert!(event[field].is_string(), "{field}: {line}");
        }
        assert!(event["timestamp"].as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()), "{line}");
        event
    };
    (ran.code, ran.stderr.lines().map(event).collect())
}

#[test]
fn every_reason_why_a_service_cannot_start_is_an_event_if_the_log_is_json() {
    const JSON: [(&str, &str); 1] = [("ALLSWELL_LOG__FORMAT", "json")];
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let in_file = format!("[log]\nformat = \"json\"\n{TCP}");
    let broken = "[log]\nformat = \"json\"\n[checks.x]\nkind = tcp\n";
    let off = [("ALLSWELL_LOG__FORMAT", "json"), ("RUST_LOG", "off")];
    for (what, configuration, arguments, variables, code, message) in [
        ("a taken port", TCP, &["serve", "--listen", &address][..], &JSON[..], 1, "server.listen: cannot listen on"),
        ("a taken port without a log", TCP, &["--config", "allswell.toml", "serve", "--listen", &address], &off, 1, "cannot listen on"),
        ("a taken port, and the file decides", &in_file, &["serve", "--listen", &address], &[], 1, "server.listen: cannot listen on"),
        ("an unknown key", "x = 1\n", &[], &JSON, 2, "x: unknown key"),
        ("invalid TOML", broken, &["serve"], &[], 2, "allswell.toml:4"),
        ("an env file that is missing", TCP, &["serve", "--env-file", "none"], &JSON, 2, "none: there is no such file"),
        ("a file that is missing", TCP, &["serve", "--config", "none"], &JSON, 2, "none: there is no such file"),
        ("a flag that does not exist", TCP, &["serve", "--lisen", "x"], &JSON, 2, "unexpected argument"),
        ("a flag that does not exist, and the file decides", &in_file, &["--lisen"], &[], 2, "unexpected argument"),
    ] {
        let (ended, events) = serve(configuration, arguments, variables);
        assert_eq!(ended, Some(code), "{what}: {events:?}");
        let is_it = |event: &Value| event["level"] == "ERROR" && event["message"].as_str().is_some_and(|text| text.contains(message));
        assert!(events.iter().any(is_it), "{what}: {events:?}");
    }
}

#[test]
fn a_configuration_from_a_pipe_is_not_lost_while_the_format_of_the_log_is_looked_for() {
    let script = "exec \"$0\" \"$@\" --config <(/bin/cat allswell.toml)";
    let wrapper = ["/bin/bash", "-c", script].map(str::to_owned);
    let service = Allswell::start_by(&wrapper, &format!("[log]\nformat = \"json\"\n{TCP}"), &[]);
    let report = service.await_report("/health", "the check of the pipe", |response| response.json()["components"]["port"].is_object());
    assert_eq!(report.class("port").as_deref(), Some("unreachable"));
}

#[test]
fn other_commands_print_for_people() {
    let folder = tempfile::tempdir().expect("a folder");
    write_private(folder.path().join("allswell.toml"), "x = 1\n");
    for arguments in [&["validate"][..], &["check"], &["check", "--none"]] {
        let ran = run(command(&folder).args(arguments).env("ALLSWELL_LOG__FORMAT", "json"));
        assert!(ran.code == Some(2) && ran.stderr.starts_with("error: "), "{}", ran.stderr);
    }
}
