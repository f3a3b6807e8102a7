//! Starts, measures and ends a program that serves `/health`: allswell, the control, or the reference.

use crate::helpers::{Response, eventually, free_port, get};
use std::{
    env,
    fs::{self, File},
    io::Write,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    child: Child,
    directory: TempDir,
}

impl Service {
    /// Starts the released binary of allswell with a configuration.
    pub(crate) fn allswell(configuration: &str) -> Self {
        Self::start(|directory, address| {
            fs::write(directory.path().join("allswell.toml"), configuration).expect("a configuration");
            let mut command = Command::new(product());
            command.args(["serve", "--listen", &address.to_string()]).env("ALLSWELL_LOG__LEVEL", "error");
            command
        })
    }

    /// Starts the control with a body, at every loopback address.
    pub(crate) fn control(body: &str) -> Self {
        Self::start(|directory, address| {
            let file = directory.path().join("body");
            fs::write(&file, body).expect("a file");
            let mut command = Command::new(program("ALLSWELL_BENCH_CONTROL"));
            command.arg(format!("0.0.0.0:{}", address.port())).arg(file);
            command
        })
    }

    /// Starts a program on a free port, in a folder of its own, and waits until it listens.
    fn start(command: impl FnOnce(&TempDir, SocketAddr) -> Command) -> Self {
        let service = Self::spawn(command);
        eventually("a service listens", || TcpStream::connect(service.address).ok());
        service
    }

    /// Starts a program, and does not wait.
    pub(crate) fn spawn(command: impl FnOnce(&TempDir, SocketAddr) -> Command) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = command(&directory, address);
        let log = File::create(directory.path().join("log")).expect("a log");
        let errors = log.try_clone().expect("a log");
        command.current_dir(directory.path()).env("TMPDIR", directory.path());
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { address, child, directory }
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        get(self.address, path)
    }

    /// Waits for a response of `/health` with a status.
    pub(crate) fn await_status(&self, status: u16) -> Response {
        eventually(&format!("{status}; its log is {}", self.directory.path().join("log").display()), || {
            Some(self.get("/health")).filter(|response| response.status == status)
        })
    }

    /// The processor time that it has used, in user and kernel mode together.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        // The name, in parentheses, may contain any character.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Its resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u32 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
        resident.expect("resident memory")
    }

    /// The time from `began` to the first response with status 200.
    pub(crate) fn time_to_first_200(&self, began: Instant) -> Duration {
        loop {
            assert!(
                began.elapsed() < crate::helpers::PATIENCE,
                "it never responded with 200: {}",
                self.directory.path().join("log").display()
            );
            let Ok(mut stream) = TcpStream::connect(self.address) else {
                std::thread::sleep(Duration::from_micros(200));
                continue;
            };
            let mut response = [0; 4096];
            let read = stream
                .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close\r\n\r\n")
                .and_then(|()| std::io::Read::read(&mut stream, &mut response));
            if read.is_ok_and(|read| response[..read].starts_with(b"HTTP/1.1 200")) {
                return began.elapsed();
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The released binary of allswell.
pub(crate) fn product() -> PathBuf {
    program("ALLSWELL_BENCH_PRODUCT")
}

/// A program that `cargo xtask bench` has built.
fn program(variable: &str) -> PathBuf {
    env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask bench`")).into()
}
