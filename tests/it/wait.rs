//! `allswell wait`, which delays the start of a program until its backends pass.

use crate::helpers::{Ran, command, eventually, run};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const TABLE: &str = "[checks.media]\nkind = \"storage\"\npath = \"media\"\n\
                     [checks.extra]\nkind = \"storage\"\npath = \"extra\"\ncritical = false\n";

fn folder() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("allswell.toml"), TABLE).expect("a configuration");
    directory
}

#[test]
fn wait_ends_as_soon_as_all_critical_components_pass() {
    let directory = folder();
    let mut waiting = command(&directory).args(["wait", "--for", "1h"]).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut line = String::new();
    let mut lines = BufReader::new(waiting.stderr.as_mut().expect("its output"));
    lines.read_line(&mut line).expect("a line");
    assert_eq!(line, "configuration: allswell.toml\n");
    line.clear();
    lines.read_line(&mut line).expect("a line");
    assert!(line.starts_with("waiting for media: unhealthy: there is no such directory ("), "{line}");
    assert!(waiting.try_wait().expect("a child").is_none());
    fs::create_dir(directory.path().join("media")).expect("a folder");
    let ended = eventually("the process ends", || waiting.try_wait().expect("a child"));
    assert_eq!(ended.code(), Some(0), "a component that is not critical is not waited for");
}

/// Runs `allswell wait` with arguments and variables.
fn wait(directory: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    run(command(directory).arg("wait").args(arguments).envs(variables.iter().copied()))
}

const MUTED: [(&str, &str); 1] = [("ALLSWELL_CHECKS__MEDIA__ENABLED", "false")];

#[test]
fn a_component_that_does_not_pass_in_time_is_named() {
    let start = Instant::now();
    let ran = wait(&folder(), &["--for", "500ms", "--", "echo", "never"], &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.ends_with("error: not well within 500ms: media\n"), "{}", ran.stderr);
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_named_component_is_waited_for_critical_or_not() {
    let directory = folder();
    fs::create_dir(directory.path().join("media")).expect("a folder");
    assert_eq!(wait(&directory, &["media"], &[]).code, Some(0));
    assert_eq!(wait(&directory, &["extra", "--for", "100ms"], &[]).code, Some(1));
}

#[test]
fn a_named_component_that_is_muted_or_unknown_is_an_error() {
    let directory = folder();
    let muted = wait(&directory, &["media"], &MUTED);
    assert_eq!(muted.code, Some(2), "{}", muted.stderr);
    let unknown = wait(&directory, &["medio"], &[]);
    assert_eq!(
        (unknown.code, unknown.stderr.as_str()),
        (Some(2), "configuration: allswell.toml\nerror: there is no component `medio`; did you mean `media`?\n")
    );
}

#[test]
fn without_a_critical_component_wait_warns() {
    let nothing = wait(&folder(), &[], &MUTED);
    assert_eq!(nothing.stderr, "configuration: allswell.toml\nwarning: no critical check is configured, so there is nothing to wait for\n");
}

#[test]
fn an_invalid_duration_is_an_error() {
    assert_eq!(wait(&folder(), &["--for", "soon"], &[]).code, Some(2));
}

#[test]
fn the_output_and_the_exit_code_are_those_of_the_command() {
    let directory = folder();
    fs::create_dir(directory.path().join("media")).expect("a folder");
    for code in [0, 1, 2, 42, 255] {
        let ran = run(command(&directory).args(["wait", "--", "sh", "-c", &format!("echo hello $0; exit {code}"), "world"]));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), "hello world\n"), "{}", ran.stderr);
    }
}

#[test]
fn a_command_that_does_not_exist_exits_with_127() {
    let directory = folder();
    fs::create_dir(directory.path().join("media")).expect("a folder");
    let missing = wait(&directory, &["--", "/no/such/program"], &[]);
    assert_eq!(missing.code, Some(127));
    assert!(missing.stderr.starts_with("configuration: allswell.toml\nerror: cannot run /no/such/program: "), "{}", missing.stderr);
}

#[test]
fn the_command_receives_signals_in_place_of_wait() {
    let directory = folder();
    fs::create_dir(directory.path().join("media")).expect("a folder");
    let script = "trap 'echo caught; exit 7' TERM; echo ready; while true; do sleep 0.1; done";
    let mut child =
        command(&directory).args(["wait", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    kill_process(Pid::from_raw(child.id().try_into().expect("a pid")).expect("a pid"), Signal::TERM).expect("a running process");
    assert_eq!(lines.next().expect("a line").expect("text"), "caught");
    assert_eq!(child.wait().expect("a child").code(), Some(7));
}
