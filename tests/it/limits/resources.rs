//! Few descriptors, threads, processors, and limits of file sizes.

use super::{HOST, may_have, messages, ran, status_field};
use crate::helpers::{Allswell, command, eventually, run, write_private};
use rustix::process::{Signal, geteuid};
use std::{
    fs::File,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

fn wrapper(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// How a command ended that is stopped after a while if it goes on: with its code, or `None`, and what it wrote to standard error.
fn ends(wrapper: &[String], arguments: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a folder");
    write_private(directory.path().join("allswell.toml"), HOST);
    std::fs::set_permissions(directory.path().join("allswell.toml"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("it is ours");
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("it is ours");
    let (program, log) = (command(&directory), directory.path().join("log"));
    let mut command_line = Command::new(&wrapper[0]);
    command_line.args(&wrapper[1..]).arg(program.get_program()).args(arguments).env_clear().current_dir(directory.path());
    let mut child =
        command_line.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).expect("a file")).spawn().expect("it starts");
    let text = || std::fs::read_to_string(&log).unwrap_or_default();
    let status = eventually("it ends or listens", || {
        let status = child.try_wait().expect("a child");
        status.map(Some).or_else(|| text().contains("listening").then_some(None))
    });
    if status.is_none() {
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(child.try_wait().expect("a child"), None, "it goes on: {}", text());
        child.kill().expect("it runs");
        child.wait().expect("it ended");
    }
    (status.map(|status| status.code().unwrap_or(-1)), text())
}

#[test]
fn with_few_descriptors_the_service_starts_or_names_the_number_that_it_needs() {
    let mut started = 0;
    // With fewer, not even the C library can be loaded.
    for limit in [6, 8, 10, 12, 14, 16, 18, 20, 24, 32, 64, 256] {
        let (code, log) = ends(&wrapper(&format!("/usr/bin/prlimit --nofile={limit}:{limit}")), &["serve", "--listen", "127.0.0.1:0"]);
        assert!(!log.contains("panic"), "{limit}: {log}");
        match code {
            None => started += 1,
            Some(code) => {
                assert_eq!((code, started), (1, 0), "{limit}: {log}");
                assert!(log.contains("error: cannot start: 14 more open files are needed, and the limit allows "), "{limit}: {log}");
                assert!(log.contains("raise it with ulimit -n or LimitNOFILE="), "{limit}: {log}");
            }
        }
    }
    assert!(started >= 5, "24 are enough: {started}");
}

#[test]
fn with_few_threads_each_command_runs_or_names_the_number_that_it_needs() {
    if !geteuid().is_root() {
        let _ = std::io::stderr().write_all(b"skipped: only root may become another user\n");
        return;
    }
    for (number, arguments) in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["check"],
        &["wait", "--for", "10s"],
        &["get", "http://localhost:1/"],
        &["doctor", "http://localhost:1/"],
    ]
    .into_iter()
    .enumerate()
    {
        for limit in 1..=14 {
            // A user of each run's own, because the limit counts all processes of the user.
            let user = 900_000_000 + std::process::id() % 100_000 * 1000 + u32::try_from(number).expect("small") * 100 + limit;
            let setpriv = format!("/usr/bin/setpriv --reuid={user} --regid=0 --clear-groups /usr/bin/prlimit --nproc={limit}:{limit}");
            let (code, log) = ends(&wrapper(&setpriv), arguments);
            assert!(!log.contains("panic"), "{arguments:?} with {limit}: {log}");
            assert!(matches!(code, None | Some(0 | 1)), "{arguments:?} with {limit}: {code:?} {log}");
            if code == Some(1) && log.contains("cannot start") {
                assert!(log.contains("threads are needed, and the operating system gives "), "{arguments:?} with {limit}: {log}");
                assert!(limit < 13, "{arguments:?} with {limit}: {log}");
            }
        }
    }
}

#[test]
fn a_service_that_gets_no_more_threads_goes_on_and_reloads() {
    if !geteuid().is_root() {
        let _ = std::io::stderr().write_all(b"skipped: only root may become another user\n");
        return;
    }
    let user = 800_000_000 + std::process::id();
    let script = format!("chown -R {user} . && exec /usr/bin/setpriv --reuid={user} --regid=0 --clear-groups \"$0\" \"$@\"");
    let shell = ["/bin/sh", "-ec", &script].map(str::to_owned);
    let configuration = format!("[defaults]\ninterval = \"200ms\"\n{HOST}");
    let service = Allswell::start_by(&shell, &configuration, &[]);
    service.await_report("/health", "all pass", |response| response.status == 200);
    let mut limit = Command::new("/usr/bin/setpriv");
    limit.arg(format!("--reuid={user}")).args(["--regid=0", "--clear-groups", "/usr/bin/prlimit", "--nproc=1:1"]);
    let limited = limit.arg(format!("--pid={}", service.pid())).status();
    assert!(limited.expect("prlimit").success());
    // The threads that were idle have ended by then.
    std::thread::sleep(Duration::from_secs(12));
    let report = service.await_report("/health", "a report", |response| response.status == 200);
    assert!(!report.text.contains("panicked"), "{}", report.text);
    service.signal(Signal::HUP);
    service.await_report("/health", "the reload", |response| response.json()["config"]["revision"] == 2);
    assert!(!service.log().contains("panic"), "{}", service.log());
}

#[test]
fn a_limit_of_file_sizes_fails_the_write_and_not_the_process() {
    let ran = ran(&wrapper("/usr/bin/prlimit --fsize=10:10"), HOST, &["check", "--format", "text"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let expected = "exhausted: the file would be larger than allowed: raise the limit of file sizes (ulimit -f, LimitFSIZE=)";
    assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    assert!(ran.stdout.lines().filter(|line| line.starts_with("pass")).count() == 3, "{}", ran.stdout);
}

#[test]
fn the_number_of_threads_does_not_depend_on_the_number_of_processors() {
    for wrapper in [wrapper("/usr/bin/taskset -c 0"), Vec::new()] {
        let service = Allswell::start_by(&wrapper, HOST, &[]);
        service.await_report("/health", "a report", |response| response.status == 200);
        let threads: usize = status_field(service.pid(), "Threads").and_then(|count| count.parse().ok()).expect("a number");
        assert!(threads <= 16, "{threads} threads");
    }
}

#[test]
fn closed_and_full_streams_are_no_reason_to_panic() {
    let directory = tempfile::tempdir().expect("a folder");
    write_private(directory.path().join("allswell.toml"), HOST);
    let program = env!("CARGO_BIN_EXE_allswell");
    for streams in ["<&- >&- 2>&-", ">&-", ">/dev/full", ">/dev/full 2>/dev/full", "| true", "2>&1 | head -1"] {
        for arguments in ["check", "kinds", "validate --explain", "schema", "init", "completions bash", "--help", "--version"] {
            let script = format!("set -o pipefail; '{program}' {arguments} {streams}");
            let ran = run(Command::new("/bin/bash").args(["-c", &script]).env_clear().current_dir(directory.path()));
            assert_eq!(ran.code, Some(0), "{script}: {}{}", ran.stdout, ran.stderr);
        }
    }
}

#[test]
fn without_control_groups_the_memory_of_the_host_counts() {
    if !may_have(&["--mount"]) {
        return;
    }
    let hidden = super::within(&[], "mount -t tmpfs none /sys; exec \"$0\" \"$@\"");
    let ran = ran(&hidden, HOST, &["check", "--format", "json", "memory"]);
    assert_eq!(messages(&ran)["memory"], serde_json::Value::Null, "{}", ran.stdout);
}
