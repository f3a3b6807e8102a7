//! `allswell wait`, which delays the start of a program until its backends pass.

use crate::helpers::{command, eventually, run};
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
    BufReader::new(waiting.stderr.as_mut().expect("its output")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("waiting for media: unhealthy: there is no such directory ("), "{line}");
    assert!(waiting.try_wait().expect("a child").is_none());
    fs::create_dir(directory.path().join("media")).expect("a folder");
    let ended = eventually("the process ends", || waiting.try_wait().expect("a child"));
    assert_eq!(ended.code(), Some(0), "a component that is not critical is not waited for");
}

#[test]
fn what_does_not_come_in_time_is_named() {
    let directory = folder();
    let start = Instant::now();
    let ran = run(command(&directory).args(["wait", "--for", "500ms", "--", "echo", "never"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.ends_with("error: not well within 500ms: media\n"), "{}", ran.stderr);
    assert!(start.elapsed() < Duration::from_secs(30));
    fs::create_dir(directory.path().join("media")).expect("a folder");
    assert_eq!(run(command(&directory).args(["wait", "media"])).code, Some(0));
    assert_eq!(run(command(&directory).args(["wait", "extra", "--for", "100ms"])).code, Some(1), "a named component is waited for");
    let muted = run(command(&directory).args(["wait", "media"]).env("ALLSWELL_CHECKS__MEDIA__ENABLED", "false"));
    assert_eq!(muted.code, Some(2), "{}", muted.stderr);
    let nothing = run(command(&directory).args(["wait"]).env("ALLSWELL_CHECKS__MEDIA__ENABLED", "false"));
    assert_eq!(nothing.stderr, "warning: no critical check is configured, so there is nothing to wait for\n");
    let unknown = run(command(&directory).args(["wait", "medio"]));
    assert_eq!((unknown.code, unknown.stderr.as_str()), (Some(2), "error: there is no component `medio`; did you mean `media`?\n"));
    assert_eq!(run(command(&directory).args(["wait", "--for", "soon"])).code, Some(2));
}

#[test]
fn wait_replaces_itself_by_the_command() {
    let directory = folder();
    fs::create_dir(directory.path().join("media")).expect("a folder");
    for code in [0, 1, 2, 42, 255] {
        let ran = run(command(&directory).args(["wait", "--", "sh", "-c", &format!("echo hello $0; exit {code}"), "world"]));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), "hello world\n"), "{}", ran.stderr);
    }
    let missing = run(command(&directory).args(["wait", "--", "/no/such/program"]));
    assert_eq!(missing.code, Some(127));
    assert!(missing.stderr.starts_with("error: cannot run /no/such/program: "), "{}", missing.stderr);

    let script = "trap 'echo caught; exit 7' TERM; echo ready; while true; do sleep 0.1; done";
    let mut child =
        command(&directory).args(["wait", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    kill_process(Pid::from_raw(child.id().try_into().expect("a pid")).expect("a pid"), Signal::TERM).expect("a running process");
    assert_eq!(lines.next().expect("a line").expect("text"), "caught");
    assert_eq!(child.wait().expect("a child").code(), Some(7));
}
