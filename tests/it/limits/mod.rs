//! Machines and containers as they are: little of everything, one address family, the first process of a container.

mod clock;
mod container;
mod files;
mod network;
mod resources;
mod start;

use crate::{
    helpers::{Allswell, Ran, command, run},
    servers::mounts::may_have_own_mounts,
};
use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

/// A user of `OpenShift`: a random number without a name, in the group of root, without any right.
const RANDOM_USER: &str = "exec /usr/bin/setpriv --reuid=1000690000 --regid=0 --clear-groups --bounding-set=-all --inh-caps=-all \
                           --no-new-privs \"$0\" \"$@\"";

/// The start of a command line that runs the program in own namespaces, after a script which ends by executing `"$0" "$@"`.
fn within(namespaces: &[&str], script: &str) -> Vec<String> {
    let shell = ["--propagation", "private", "/bin/sh", "-ec", script];
    ["/usr/bin/unshare", "--mount"].into_iter().chain(namespaces.iter().copied()).chain(shell).map(str::to_owned).collect()
}

/// Whether a process may have namespaces of these types here. If not, prints that the test is skipped.
fn may_have(namespaces: &[&str]) -> bool {
    let mut unshare = Command::new("/usr/bin/unshare");
    let may = may_have_own_mounts()
        && unshare.args(namespaces).arg("/bin/true").stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !may {
        let _ = std::io::stderr().write_all(b"skipped: this user may not give a process own namespaces here\n");
    }
    may
}

/// Runs a command of the program by a wrapper, with a configuration in its folder, which every user may read.
fn ran(wrapper: &[String], configuration: &str, arguments: &[&str]) -> Ran {
    let directory = tempfile::tempdir().expect("a folder");
    fs::write(directory.path().join("allswell.toml"), configuration).expect("a file");
    fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    let program = command(&directory);
    let [first, rest @ ..] = wrapper else { return run(command(&directory).args(arguments)) };
    let mut command_line = Command::new(first);
    command_line.args(rest).arg(program.get_program()).args(arguments).env_clear().current_dir(directory.path()).stdin(Stdio::null());
    run(command_line.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
}

/// The message of the failure of each component, or null, from the output of `check --format json`.
fn messages(ran: &Ran) -> serde_json::Value {
    let report: serde_json::Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr));
    let components = report["components"].as_object().expect("components").iter();
    components.map(|(name, one)| (name.clone(), one["failure"]["message"].clone())).collect::<serde_json::Map<_, _>>().into()
}

/// What the kernel says about a process: a line of `/proc/PID/status`.
fn status_field(pid: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(|value| value.trim().to_owned()))
}

/// Whether a process handles a signal.
fn handles(pid: u32, signal: i32) -> bool {
    let mask = status_field(pid, "SigCgt").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// The configuration of checks that a machine without anything passes.
const HOST: &str = "[server]\ndrain = \"0s\"\n[checks.disk]\nkind = \"disk\"\nfail_free = \"0%\"\n[checks.memory]\nkind = \"memory\"\nfail_available = \"0%\"\n\
                    [checks.sqlite]\nkind = \"sqlite\"\npath = \":memory:\"\n[checks.storage]\nkind = \"storage\"\npath = \"/tmp\"\n";

/// Asserts that the service of a wrapper answers, and ends by SIGTERM with 0.
fn assert_serves(wrapper: &[String], configuration: &str) {
    let mut service = Allswell::start_by(wrapper, configuration, &[]);
    assert_eq!(service.get("/livez").status, 200, "{}", service.log());
    service.signal(rustix::process::Signal::TERM);
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
}
