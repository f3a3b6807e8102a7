//! Whether the operating system gives this process the threads and files that a command needs.
//!
//! Libraries panic when they get no thread at their start, so this is tried before them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    io,
    iter::repeat_with,
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};
use thiserror::Error;

/// What a command needs besides what the process has already.
pub(super) struct Needs {
    threads: usize,
    files: usize,
}

/// A service: threads for probes, for the blocking calls of the checks of the host, and for the log; files of two runtimes and a listener.
const SERVICE: Needs = Needs { threads: 11, files: 14 };

/// A command that probes.
pub(super) const PROBES: Needs = Needs { threads: 8, files: 10 };

/// A command that sends requests. A name is resolved on a thread.
pub(super) const CLIENT: Needs = Needs { threads: 1, files: 6 };

/// The time within which the kernel stops counting a thread that has ended.
const MAX_THREAD_END: Duration = Duration::from_millis(20);

/// What is missing, and how to get it.
#[derive(Debug, Error)]
pub(super) enum Shortage {
    /// Too few threads.
    #[error(
        "{needed} threads are needed, and the operating system gives {given}: raise the limit of processes (ulimit -u, TasksMax=, --pids-limit)"
    )]
    Threads { needed: usize, given: usize },
    /// Too few files.
    #[error("{needed} more open files are needed, and the limit allows {given}: raise it with ulimit -n or LimitNOFILE=")]
    Files { needed: usize, given: usize },
}

/// Raises the limit of open files, and then requires what a service needs.
pub(super) fn require_for_service() -> Result<(), Shortage> {
    raise_descriptor_limit();
    require(&SERVICE)
}

/// Tries whether there are as many threads and files, and gives them back.
pub(super) fn require(needs: &Needs) -> Result<(), Shortage> {
    let files: Vec<_> = repeat_with(|| io::stdin().as_fd().try_clone_to_owned()).map_while(Result::ok).take(needs.files).collect();
    if files.len() < needs.files {
        return Err(Shortage::Files { needed: needs.files, given: files.len() });
    }
    let given = start_threads(2 * needs.threads);
    if given < needs.threads {
        return Err(Shortage::Threads { needed: needs.threads, given });
    }
    if given < 2 * needs.threads {
        // The kernel counts a thread for a moment longer than it can be joined, which matters only here.
        thread::sleep(MAX_THREAD_END);
    }
    Ok(())
}

/// Starts threads that exist at the same time, ends them, and returns their number.
fn start_threads(wanted: usize) -> usize {
    let gate = Mutex::new(());
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        let wait = || drop(gate.lock());
        let started = repeat_with(|| thread::Builder::new().spawn_scoped(scope, wait)).take(wanted).map_while(Result::ok).count();
        drop(closed);
        started
    })
}

/// Raises the soft limit of open files to the hard limit: it is often 1,024, too few for many connections and backends.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // If the limit cannot be raised, the service lowers `server.max_connections` to fit.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
