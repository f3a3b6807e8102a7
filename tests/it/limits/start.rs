//! Signals from the first milliseconds on.

use super::{HOST, handles};
use crate::helpers::{Allswell, command, eventually, free_port, write_private};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::File,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("a running process");
}

fn spawn(directory: &TempDir) -> Child {
    write_private(directory.path().join("allswell.toml"), HOST);
    let mut serve = command(directory);
    let log = File::create(directory.path().join("log")).expect("a file");
    serve.args(["serve", "--listen", &format!("127.0.0.1:{}", free_port())]).stdout(Stdio::null()).stderr(log).spawn().expect("it starts")
}

fn ends_with(child: &mut Child) -> (Option<i32>, Option<i32>) {
    let status = eventually("the process ends", || child.try_wait().expect("a child"));
    (status.code(), status.signal())
}

#[test]
fn a_signal_at_any_moment_of_the_start_ends_the_service_with_0() {
    let directory = tempfile::tempdir().expect("a folder");
    for number in 0..64_u32 {
        let signal = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::POWER][number as usize % 4];
        let mut child = spawn(&directory);
        let from_the_first_handler = number % 8 >= 4;
        while from_the_first_handler && !handles(child.id(), signal.as_raw()) {
            sleep(Duration::from_micros(50));
        }
        sleep(Duration::from_micros(300) * number);
        // Until the program itself runs, the kernel ends it.
        let is_handled = handles(child.id(), signal.as_raw());
        send(&child, signal);
        let ended = ends_with(&mut child);
        assert!(ended == (Some(0), None) || !is_handled && ended.1 == Some(signal.as_raw()), "{signal:?} after {number}: {ended:?}");
    }
}

#[test]
fn signals_for_other_programs_never_end_the_service() {
    let directory = tempfile::tempdir().expect("a folder");
    let others = [Signal::HUP, Signal::USR1, Signal::USR2, Signal::ALARM, Signal::VTALARM, Signal::PROF, Signal::IO];
    for number in 0..20 {
        let mut child = spawn(&directory);
        eventually("the program handles signals", || handles(child.id(), Signal::IO.as_raw()).then_some(()));
        sleep(Duration::from_millis(number));
        for other in others {
            send(&child, other);
        }
        sleep(Duration::from_millis(5));
        assert_eq!(child.try_wait().expect("a child"), None, "after {number} ms");
        send(&child, Signal::TERM);
        assert_eq!(ends_with(&mut child), (Some(0), None));
    }
}

#[test]
fn a_hang_up_or_other_signals_do_not_shorten_the_drain() {
    let mut service = Allswell::start(&HOST.replace("\"0s\"", "\"2s\""));
    let began = Instant::now();
    service.signal(Signal::TERM);
    service.await_report("/readyz", "the service drains", |response| response.status == 500);
    for other in [Signal::HUP, Signal::USR1, Signal::ALARM] {
        service.signal(other);
    }
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn other_commands_end_by_the_signal_and_pass_no_handler_on() {
    let directory = tempfile::tempdir().expect("a folder");
    write_private(directory.path().join("allswell.toml"), HOST);
    let mut wait = command(&directory);
    wait.args(["wait", "--for", "10s", "disk", "--", "/bin/sh", "-c", "kill -XFSZ $$; sleep 60"]);
    let mut child = wait.stderr(Stdio::null()).spawn().expect("it starts");
    assert_eq!(ends_with(&mut child).1, Some(Signal::XFSZ.as_raw()), "the command has the default action");
    let mut check = Command::new(env!("CARGO_BIN_EXE_allswell"));
    check.args(["wait", "--for", "60s", "never"]).current_dir(directory.path()).stderr(Stdio::null());
    write_private(directory.path().join("allswell.toml"), "[checks.never]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n");
    let mut child = check.spawn().expect("it starts");
    eventually("it runs", || handles(child.id(), Signal::XFSZ.as_raw()).then_some(()));
    send(&child, Signal::TERM);
    assert_eq!(ends_with(&mut child).1, Some(Signal::TERM.as_raw()));
}
