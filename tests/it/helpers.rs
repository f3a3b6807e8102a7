//! The program under test, an HTTP client that shows every byte, and waiting for a condition.

use serde_json::Value;
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The time after which a test gives up waiting, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `look` returns something, and fails after [`PATIENCE`]. `what` is the condition, for the message.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A name that does not resolve, without a query: its label is longer than DNS allows.
pub(crate) fn no_such_name() -> String {
    format!("{}.invalid", "x".repeat(64))
}

/// A port without a listener that no other test gets. It is below the range of outgoing connections, of which some tests have thousands: one of
/// them could take the port before the server does.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 22_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes start at different ports.
    let start = std::process::id().wrapping_mul(997);
    let tries = std::iter::repeat_with(|| FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS);
    let ports = tries.filter_map(|port| u16::try_from(port).ok()).take(1000);
    ports.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

/// Writes a file that only its owner may read, as one with secrets should be.
pub(crate) fn write_private(file: impl AsRef<Path>, text: &str) {
    fs::write(&file, text).expect("a file");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("permissions");
}

/// A command that runs the program in a directory, without the environment of the tests.
pub(crate) fn command(directory: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_allswell"));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", directory.path()).current_dir(directory.path()).stdin(Stdio::null());
    command
}

/// The exit code and the output of a command.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A running service.
pub(crate) struct Allswell {
    child: Child,
    pub(crate) address: SocketAddr,
    log: PathBuf,
    pub(crate) directory: TempDir,
}

impl Allswell {
    /// Starts the service with a configuration on a free port, and waits until it listens.
    pub(crate) fn start(configuration: &str) -> Self {
        Self::start_with(configuration, &[])
    }

    /// The same with variables.
    pub(crate) fn start_with(configuration: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_by(&[], configuration, variables)
    }

    /// The same by a wrapper: a command that executes the program given as its last argument.
    pub(crate) fn start_by(wrapper: &[String], configuration: &str, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write_private(directory.path().join("allswell.toml"), configuration);
        let log = directory.path().join("log");
        let mut command = command(&directory);
        if let [program, arguments @ ..] = wrapper {
            let mut longer = Command::new(program);
            longer.args(arguments).arg(command.get_program()).env_clear().current_dir(directory.path()).stdin(Stdio::null());
            longer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command = longer;
        }
        if !configuration.contains("[log]") {
            command.env("ALLSWELL_LOG__FORMAT", "json");
        }
        let child = command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .envs(variables.iter().copied())
            .stdout(File::create(directory.path().join("out")).expect("a file"))
            .stderr(File::create(&log).expect("a file"))
            .spawn()
            .expect("the program starts");
        let mut service = Self { child, address: ([127, 0, 0, 1], 0).into(), log, directory };
        service.address = eventually("the service listens", || {
            assert!(service.child.try_wait().expect("a child").is_none(), "the service has ended: {}", service.log());
            let line = service.events().into_iter().find(|event| event["message"] == "listening")?;
            Some(line["address"].as_str().expect("an address").parse().expect("an address"))
        });
        service
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The whole log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The log as events; lines that are not JSON are left out.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        get(self.address, path)
    }

    /// Polls a path until `is` accepts the response. `what` is the condition, for the message.
    pub(crate) fn await_report(&self, path: &str, what: &str, is: impl Fn(&Response) -> bool) -> Response {
        let mut last = String::new();
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let response = self.get(path);
            if is(&response) {
                return response;
            }
            last = response.text;
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("timed out: {what}; the last response was\n{last}\nand the log\n{}", self.log());
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().try_into().expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("a running process");
    }

    /// Waits until the process ends.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually("the service ends", || self.child.try_wait().expect("a child"))
    }
}

impl Drop for Allswell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Response {
    pub(crate) fn parse(text: &str, took: Duration) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned(), took, text: text.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        self.head.lines().skip(1).find(named).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The class of the failure of a component.
    pub(crate) fn class(&self, component: &str) -> Option<String> {
        self.json()["components"][component]["failure"]["class"].as_str().map(str::to_owned)
    }
}

/// Sends bytes and reads until the peer closes.
pub(crate) fn send(address: SocketAddr, bytes: &[u8]) -> Response {
    let start = Instant::now();
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(bytes).expect("a request");
    let mut text = Vec::new();
    stream.read_to_end(&mut text).expect("a response");
    Response::parse(&String::from_utf8(text).expect("text"), start.elapsed())
}

/// Sends a GET request, as curl does.
pub(crate) fn get(address: SocketAddr, path: &str) -> Response {
    get_with(address, path, "")
}

/// The same with more header lines, each ending with CRLF.
pub(crate) fn get_with(address: SocketAddr, path: &str, headers: &str) -> Response {
    send(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n").as_bytes())
}
