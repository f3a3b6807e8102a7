//! allswell as the first process of a container: the kernel drops the signals that it does not handle, and makes it the parent of orphans.

use super::{HOST, handles, may_have};
use crate::helpers::{command, eventually, free_port, get, write_private};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const NAMESPACE: &[&str] = &["--pid", "--fork", "--mount-proc"];

/// A command as the first process of its own process namespace.
struct Container {
    unshare: Child,
    directory: TempDir,
}

impl Container {
    fn start(script: &str, configuration: &str, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        write_private(directory.path().join("allswell.toml"), configuration);
        let mut unshare = Command::new("/usr/bin/unshare");
        let program = command(&directory);
        unshare.arg("--mount").args(NAMESPACE).args(["/bin/sh", "-c", script]).arg(program.get_program()).args(arguments);
        unshare.env_clear().env("PATH", "/usr/bin:/bin").current_dir(directory.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let unshare = unshare.stderr(File::create(directory.path().join("log")).expect("a file")).spawn().expect("it starts");
        Self { unshare, directory }
    }

    /// The process outside of the namespace that is the first one inside, once it handles a signal.
    fn first_process(&self, signal: Signal) -> u32 {
        eventually("the program handles the signal", || {
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.unshare.id())).ok()?;
            let pid = children.split_whitespace().next()?.parse().ok()?;
            handles(pid, signal.as_raw()).then_some(pid)
        })
    }

    fn send(pid: u32, signal: Signal) {
        kill_process(Pid::from_raw(pid.try_into().expect("a pid")).expect("a pid"), signal).expect("it runs");
    }

    /// The exit code, and how long it took.
    fn end(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let status = eventually("the container ends", || self.unshare.try_wait().expect("a child"));
        (status.code(), began.elapsed())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

#[test]
fn the_first_process_ends_by_each_signal_that_stops_containers() {
    if !may_have(NAMESPACE) {
        return;
    }
    // The stop signals of Docker, of images made from nginx and php-fpm, and of LXC; and Ctrl+C. Without a handler they have no effect.
    for signal in [Signal::TERM, Signal::QUIT, Signal::POWER, Signal::INT] {
        for delay in [0, 3, 10, 300] {
            let listen = format!("127.0.0.1:{}", free_port());
            let mut container = Container::start("exec \"$0\" \"$@\"", HOST, &["serve", "--listen", &listen]);
            let pid = container.first_process(signal);
            std::thread::sleep(Duration::from_millis(delay));
            Container::send(pid, signal);
            let (code, took) = container.end();
            assert_eq!(code, Some(0), "{signal:?}: {}", container.log());
            assert!(took < Duration::from_secs(9), "Docker waits for ten seconds: {took:?}");
        }
    }
}

#[test]
fn other_commands_as_the_first_process_end_with_the_code_of_the_signal() {
    if !may_have(NAMESPACE) {
        return;
    }
    let never = "[checks.never]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n";
    for (signal, expected) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut container = Container::start("exec \"$0\" \"$@\"", never, &["wait", "--for", "10m", "--", "/bin/true"]);
        let pid = container.first_process(signal);
        Container::send(pid, signal);
        assert_eq!(container.end().0, Some(expected), "{}", container.log());
    }
}

#[test]
fn the_command_of_wait_becomes_the_first_process_with_the_default_actions() {
    if !may_have(NAMESPACE) {
        return;
    }
    // An executed program never has handlers of signals, but it inherits those that are ignored or blocked. Those above 31 are the C library's.
    let clean = "test $(grep -cE '^Sig(Ign|Blk):.*[08]0{7}$' /proc/self/status) = 2 && exit $(($$ + 40))";
    let mut container = Container::start("exec \"$0\" \"$@\"", HOST, &["wait", "disk", "--", "/bin/sh", "-c", clean]);
    assert_eq!(container.end().0, Some(41), "{}", container.log());
}

#[test]
fn the_first_process_collects_the_children_of_others() {
    if !may_have(NAMESPACE) {
        return;
    }
    let port = free_port();
    // One ends before the program runs, the other while it does; neither has another parent.
    let script = "(sleep 0 &); (sleep 2 &); exec \"$0\" \"$@\"";
    let container = Container::start(script, HOST, &["serve", "--listen", &format!("127.0.0.1:{port}")]);
    let pid = container.first_process(Signal::CHILD);
    eventually("it listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    let children = || fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("it runs");
    eventually("no child is left", || children().trim().is_empty().then_some(()));
    assert_eq!(get(([127, 0, 0, 1], port).into(), "/livez").status, 200);
    Container::send(pid, Signal::TERM);
}
