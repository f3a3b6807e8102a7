//! Least privileges: the user `nobody`, a read-only file system, and `systemd-analyze security` for the unit that we ship.

use crate::{helpers::Allswell, servers::mounts::may_have_own_mounts};
use std::{
    fs,
    io::Write,
    process::{Command, Output},
};

#[test]
fn the_service_runs_as_nobody_without_capabilities_or_a_writable_folder() {
    if !may_have_own_mounts() {
        return;
    }
    // Only the files that the test has opened are writable: standard output and the log.
    let script = "chmod 755 . && chmod 644 allswell.toml && mount -o remount,bind,ro / && exec /usr/bin/setpriv --reuid=nobody --regid=nogroup --clear-groups \
                  --bounding-set=-all --inh-caps=-all --no-new-privs \"$0\" \"$@\"";
    let wrapper = ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script].map(str::to_owned);
    let configuration = "[checks.memory]\nkind = \"memory\"\n[checks.disk]\nkind = \"disk\"\npath = \"/\"\nfail_free = \"0%\"\n\
                         [checks.storage]\nkind = \"storage\"\npath = \"/tmp\"\ncritical = false\n";
    let service = Allswell::start_by(&wrapper, configuration, &[]);
    let report = service.await_report("/health", "a complete line", |report| report.class("storage").is_some());
    let json = report.json();
    assert_eq!((report.status, &json["components"]["memory"]["status"]), (200, &"pass".into()), "{}", report.text);
    assert_eq!(json["components"]["storage"]["failure"]["class"], "unhealthy", "the failure is about writing: {}", report.text);
    let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).expect("it runs");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    assert!(field("Uid:").starts_with("65534"), "{status}");
    for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(capabilities), "0000000000000000", "{capabilities}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
}

fn analyze(arguments: &[&str]) -> Option<Output> {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/allswell.service");
    Command::new("/usr/bin/systemd-analyze").args(arguments).arg(unit).output().ok()
}

#[test]
fn systemd_analyze_accepts_our_unit() {
    let Some(security) = analyze(&["security", "--offline=true", "--no-pager"]) else {
        let _ = std::io::stderr().write_all(b"skipped: there is no systemd-analyze here\n");
        return;
    };
    let report = String::from_utf8_lossy(&security.stdout).into_owned();
    let level = report.lines().find_map(|line| line.split("Overall exposure level for allswell.service: ").nth(1)).expect("a level");
    let level: f64 = level.split(' ').next().and_then(|level| level.parse().ok()).expect("a number");
    assert!(level <= 1.5, "0 is safe, 10 is not: {report}");
    let verified = analyze(&["verify", "--man=no"]).expect("it was there");
    let complaints = String::from_utf8_lossy(&verified.stderr).into_owned();
    // The path of the program is that of the installation.
    let others: Vec<&str> = complaints.lines().filter(|line| !line.contains("Command allswell is not executable")).collect();
    assert!(others.is_empty(), "{complaints}");
}
