//! wrk, which does the loading, and what it says of it: <https://github.com/wg/wrk>.

use std::{net::SocketAddr, process::Command, time::Duration};

/// A load.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) path: &'static str,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    /// Each request on a connection of its own, as an ALB polls.
    pub(crate) anew: bool,
}

impl Load {
    pub(crate) const KEPT: Self = Self { path: "/health", connections: 32, seconds: 5, anew: false };
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Loads a service; every request must have been answered.
pub(crate) fn wrk(address: SocketAddr, load: Load) -> Loaded {
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--timeout", "10s", "--latency"]);
    command.arg("--connections").arg(load.connections.to_string()).arg("--duration").arg(format!("{}s", load.seconds));
    if load.anew {
        command.args(["--header", "Connection: close"]);
    }
    let output = command.arg(format!("http://{address}{}", load.path)).output().expect("wrk; run `cargo xtask bench`");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    // With a connection for each request it counts the close that it asked for as an error of reading.
    assert!(load.anew || !said.contains("Socket errors"), "requests without an answer: {said}");
    let after = |what: &str| said.lines().find_map(|line| line.trim().strip_prefix(what)).map_or("", str::trim).to_owned();
    let requests = said.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok());
    Loaded {
        requests: requests.unwrap_or_else(|| panic!("a number of requests in {said}")),
        per_second: after("Requests/sec:").parse().unwrap_or_else(|_| panic!("a rate in {said}")),
        p50: time(&after("50%")),
        p99: time(&after("99%")),
    }
}

fn time(text: &str) -> Duration {
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or_else(|| panic!("{text:?} is no time"));
    let number: f64 = text[..unit].parse().unwrap_or_else(|_| panic!("{text:?} is no time"));
    let seconds = match &text[unit..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => panic!("{text:?} is no time"),
    };
    Duration::from_secs_f64(number * seconds)
}
