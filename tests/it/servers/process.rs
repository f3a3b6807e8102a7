//! A server's process and all its children: started, paused, killed and started again.

use crate::helpers::eventually;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    net::TcpStream,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};
use tempfile::TempDir;

/// A function of a server's folder and port.
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
    /// Runs the command that `start` returns for a folder and a port, and waits until the server is `ready`.
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

    /// Starts a server with one configuration file, which `command` gets after the folder, and waits until it listens on the port.
    pub(super) fn launch_with_file(
        name: &str,
        configuration: &str,
        port: u16,
        command: impl Fn(&Path, &Path) -> Command + Send + Sync + 'static,
    ) -> Self {
        let (directory, name) = (folder(), name.to_owned());
        fs::write(directory.path().join(&name), configuration).expect("a file");
        Self::launch(directory, port, move |directory, _| command(directory, &directory.join(&name)), |_, port| listens(port))
    }

    fn await_ready(&self) {
        let log = self.directory.path().join("log");
        eventually(&format!("a server is ready; its log is {}", log.display()), || {
            (self.ready)(self.directory.path(), self.port).then_some(())
        });
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops all its processes: the kernel still accepts connections into the backlog, and none is answered.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Continues after a [`pause`](Self::pause).
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends SIGTERM and waits until the process has ended.
    pub(crate) fn terminate(&mut self) {
        self.end_by(Signal::TERM);
    }

    /// Sends a signal and waits until the process has ended.
    pub(crate) fn end_by(&mut self, signal: Signal) {
        let pid = self.child.id().try_into().ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("a running process");
        eventually("a server ends", || self.child.try_wait().expect("a child"));
    }

    /// Kills the process and all its children with SIGKILL, and waits until they are gone.
    pub(crate) fn kill(&mut self) {
        let killed = self.signal(Signal::KILL);
        let _ = self.child.wait();
        // A dying process loses its memory first, and with it its mark; its sockets close later.
        eventually("a killed server is gone", || {
            (killed.iter().all(|pid| is_gone(*pid)) && tree(self.child.id(), self.directory.path()).len() == 1).then_some(())
        });
    }

    /// Starts the server again, on the same port, with the data it had.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&mut (self.start)(self.directory.path(), self.port), self.directory.path());
        self.await_ready();
    }

    /// Sends a signal to all its processes and returns them.
    fn signal(&self, signal: Signal) -> Vec<Pid> {
        // A running parent may start more children meanwhile: repeat until no new one is found.
        let mut signalled = Vec::new();
        loop {
            let tree: Vec<Pid> = tree(self.child.id(), self.directory.path()).into_iter().filter(|pid| !signalled.contains(pid)).collect();
            if tree.is_empty() {
                return signalled;
            }
            for pid in tree {
                // The process may have ended already.
                let _ = kill_process(pid, signal);
                signalled.push(pid);
            }
        }
    }
}

/// Whether something on loopback accepts connections on a port.
pub(super) fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The environment variable that marks every process of a server, also one with another parent, such as Erlang's port mapper, a daemon.
pub(super) const MARK: &str = "ALLSWELL_TEST_SERVER";

/// A process, its descendants, and all processes with its mark. Process groups are not enough: `PostgreSQL`'s children have groups of their own.
/// Marks alone are not enough either: those children overwrite their environment.
fn tree(root: u32, directory: &Path) -> Vec<Pid> {
    let mark = format!("{MARK}={}\0", directory.display()).into_bytes();
    let mut parents = Vec::new();
    let mut tree = vec![root];
    for entry in fs::read_dir("/proc").expect("proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in parentheses may hold any character; the parent is the second field after it.
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

/// Whether a process has ended with all its threads, and so has closed all its files, although its parent may not have waited for it yet.
fn is_gone(pid: Pid) -> bool {
    let folder = format!("/proc/{}", pid.as_raw_nonzero());
    let Ok(stat) = fs::read_to_string(format!("{folder}/stat")) else { return true };
    let ended = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']));
    // The main thread may end before the others.
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

/// Copies to `data` the data folder that `initialise` has once made below a folder on this machine. A server takes most of a second to
/// initialise one; a copy takes a tenth of that.
pub(super) fn copy_initialised(name: &str, data: &Path, initialise: impl FnOnce(&Path)) {
    static INITIALISING: Mutex<()> = Mutex::new(());
    let original = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    {
        let _one_at_a_time = INITIALISING.lock().unwrap_or_else(PoisonError::into_inner);
        if !original.exists() {
            let directory = folder();
            initialise(directory.path());
            // Another test process may do the same: the first one to rename its copy wins.
            let unfinished = original.with_extension(std::process::id().to_string());
            copy(&directory.path().join("data"), &unfinished);
            if fs::rename(&unfinished, &original).is_err() {
                fs::remove_dir_all(&unfinished).expect("a folder");
            }
        }
    }
    copy(&original, data);
}

/// Copies a folder with owners and modes.
fn copy(from: &Path, to: &Path) {
    set_up(Command::new("cp").args(["--archive", "--sparse=always", "--no-target-directory"]).arg(from).arg(to));
}

/// Runs a set-up command, which must succeed.
pub(super) fn set_up(command: &mut Command) {
    set_up_by(command, Stdio::null());
}

/// The same with an input.
pub(super) fn set_up_by(command: &mut Command, input: impl Into<Stdio>) {
    let output = command.stdin(input).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

/// A temporary folder that every user may enter: servers that refuse to run as root change to a user of their own.
pub(crate) fn folder() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("permissions");
    directory
}

/// A command that runs a program as another user if the tests run as root, which the program refuses.
pub(super) fn as_user(user: &str, directory: &Path, program: &Path) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    own(user, directory);
    let mut command = Command::new("/usr/bin/setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups", "--"]).arg(program);
    command
}

/// A command that runs a program as the user `nobody` if the tests run as root: that user has only the rights that file modes give.
pub(crate) fn as_nobody(program: &Path) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program);
    command
}

/// Changes the owner of a file if the tests run as root.
pub(crate) fn own(user: &str, path: &Path) {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let line = users.lines().find(|line| line.split(':').next() == Some(user)).unwrap_or_else(|| panic!("no user {user}"));
    let id = |field: usize| line.split(':').nth(field).and_then(|id| id.parse().ok());
    chown(path, id(2), id(3)).expect("an owner");
}

/// The program `before/VERSION/after` of the newest version.
pub(super) fn newest(before: &str, after: &str) -> PathBuf {
    let versions = fs::read_dir(before).unwrap_or_else(|error| panic!("{before}: {error}; run `cargo xtask servers`"));
    let mut found: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join(after)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("no {before}/*/{after}; run `cargo xtask servers`"))
}

/// A program of a virtual environment that `cargo xtask servers` has installed.
pub(crate) fn in_venv(name: &str, program: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-servers").join(name).join("bin").join(program);
    assert!(path.exists(), "no {}; run `cargo xtask servers`", path.display());
    path
}
