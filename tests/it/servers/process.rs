//! A server's process and all its children: started, paused, killed and started again.

use crate::helpers::eventually;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// What is made of a folder and a port.
type OnPort<T> = dyn Fn(&Path, u16) -> T + Send + Sync;

/// A running server.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) directory: TempDir,
    start: Box<OnPort<Command>>,
    ready: Box<OnPort<bool>>,
    child: Child,
}

impl Server {
    /// Starts what `start` says in a folder on a port, and waits until it is `ready`.
    pub(crate) fn launch(
        directory: TempDir,
        port: u16,
        start: impl Fn(&Path, u16) -> Command + Send + Sync + 'static,
        ready: impl Fn(&Path, u16) -> bool + Send + Sync + 'static,
    ) -> Self {
        let child = spawn(&mut start(directory.path(), port), directory.path());
        let server = Self { port, directory, start: Box::new(start), ready: Box::new(ready), child };
        server.await_ready();
        server
    }

    fn await_ready(&self) {
        let log = self.directory.path().join("log");
        eventually(&format!("a server is ready; its log is {}", log.display()), || {
            (self.ready)(self.directory.path(), self.port).then_some(())
        });
    }

    /// Stops it in its tracks: it still accepts connections, by its backlog, and answers none.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(&mut self) {
        self.end_by(Signal::TERM);
    }

    /// The same by a signal.
    pub(crate) fn end_by(&mut self, signal: Signal) {
        let pid = self.child.id().try_into().ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it is there");
        eventually("a server ends", || self.child.try_wait().expect("a child"));
    }

    /// Kills it hard, with all its children, and waits until they are gone.
    pub(crate) fn kill(&mut self) {
        let killed = self.signal(Signal::KILL);
        let _ = self.child.wait();
        // A process that dies loses its memory first, and with it its mark; its sockets are closed later.
        eventually("a killed server is gone", || {
            (killed.iter().all(|pid| is_gone(*pid)) && tree(self.child.id(), self.directory.path()).len() == 1).then_some(())
        });
    }

    /// Starts it again, on the same port, with the data that it had.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&mut (self.start)(self.directory.path(), self.port), self.directory.path());
        self.await_ready();
    }

    /// Tells which processes were signalled.
    fn signal(&self, signal: Signal) -> Vec<Pid> {
        // Children first appear while their parent is still running: look until no new one is found.
        let mut signalled = Vec::new();
        loop {
            let tree: Vec<Pid> = tree(self.child.id(), self.directory.path()).into_iter().filter(|pid| !signalled.contains(pid)).collect();
            if tree.is_empty() {
                return signalled;
            }
            for pid in tree {
                // It may be gone already.
                let _ = kill_process(pid, signal);
                signalled.push(pid);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// By this variable a process is known to belong to a server, whoever its parent is now: Erlang's port mapper is a daemon.
const MARK: &str = "ALLSWELL_TEST_SERVER";

/// A process, all that descends from it, and all that bears its mark. `PostgreSQL`'s children are process groups of their own, so that
/// groups do not help; and they write over their environment, so that marks alone do not.
fn tree(root: u32, directory: &Path) -> Vec<Pid> {
    let mark = format!("{MARK}={}\0", directory.display()).into_bytes();
    let mut parents = Vec::new();
    let mut tree = vec![root];
    for entry in fs::read_dir("/proc").expect("proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in brackets may hold anything; the parent is the second field after it.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).and_then(|parent| parent.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (pid, parent)));
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if pid != root && environment.windows(mark.len()).any(|window| window == mark) {
            tree.push(pid);
        }
    }
    let mut at = 0;
    while at < tree.len() {
        let parent = tree[at];
        tree.extend(parents.iter().filter(|(_, other)| *other == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    tree.into_iter().filter_map(|pid| Pid::from_raw(pid.try_into().ok()?)).collect()
}

/// Whether a process has ended with all its threads, and so has closed all that it had open; nobody may have asked yet how it ended.
fn is_gone(pid: Pid) -> bool {
    let folder = format!("/proc/{}", pid.as_raw_nonzero());
    let Ok(stat) = fs::read_to_string(format!("{folder}/stat")) else { return true };
    let ended = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']));
    // The first thread may end before the others.
    ended && fs::read_dir(format!("{folder}/task")).map_or(0, Iterator::count) <= 1
}

fn spawn(command: &mut Command, directory: &Path) -> Child {
    let log = File::options().create(true).append(true).open(directory.join("log")).expect("a log");
    let errors = log.try_clone().expect("a log");
    command
        .env(MARK, directory)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a set-up command to its end.
pub(super) fn set_up(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

/// A folder that everybody may enter: servers that refuse to be root change to a user of their own.
pub(crate) fn folder() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("permissions");
    directory
}

/// A program, run as a user where this is root and the program refuses to be.
pub(super) fn as_user(user: &str, directory: &Path, program: &Path) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    own(user, directory);
    let mut command = Command::new("/usr/bin/setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups", "--"]).arg(program);
    command
}

/// A program, run as nobody where this is root: a user who has no rights but those that files give.
pub(crate) fn as_nobody(program: &Path) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program);
    command
}

/// Gives a file to a user, where this is root.
pub(crate) fn own(user: &str, path: &Path) {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let line = users.lines().find(|line| line.split(':').next() == Some(user)).unwrap_or_else(|| panic!("no user {user}"));
    let id = |field: usize| line.split(':').nth(field).and_then(|id| id.parse().ok());
    chown(path, id(2), id(3)).expect("an owner");
}

/// A program whose folder has a version in its path.
pub(super) fn newest(before: &str, after: &str) -> PathBuf {
    let versions = fs::read_dir(before).unwrap_or_else(|error| panic!("{before}: {error}; run `cargo xtask servers`"));
    let mut found: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join(after)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("no {before}/*/{after}; run `cargo xtask servers`"))
}

/// A program of a virtual environment that `cargo xtask servers` made.
pub(crate) fn in_venv(name: &str, program: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-servers").join(name).join("bin").join(program);
    assert!(path.exists(), "no {}; run `cargo xtask servers`", path.display());
    path
}
