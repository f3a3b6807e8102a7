//! Runs the load generator wrk, and parses its output: <https://github.com/wg/wrk>.

use std::{net::SocketAddr, process::Command, time::Duration};

/// The load to generate for some seconds.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) path: &'static str,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    /// Opens a new connection for each request, as an ALB does.
    pub(crate) connection_per_request: bool,
}

impl Load {
    pub(crate) const KEPT: Self = Self { path: "/health", connections: 32, seconds: 5, connection_per_request: false };
}

/// The results of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadResult {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Loads a service, and panics if a request got no response.
pub(crate) fn wrk(address: SocketAddr, load: Load) -> LoadResult {
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--timeout", "10s", "--latency"]);
    command.arg("--connections").arg(load.connections.to_string()).arg("--duration").arg(format!("{}s", load.seconds));
    if load.connection_per_request {
        command.args(["--header", "Connection: close"]);
    }
    let output = command.arg(format!("http://{address}{}", load.path)).output().expect("wrk; run `cargo xtask bench`");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    // With a new connection for each request, wrk counts the close that it requested as a read error.
    assert!(load.connection_per_request || !text.contains("Socket errors"), "requests without a response: {text}");
    let after = |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label)).map_or("", str::trim).to_owned();
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok());
    LoadResult {
        requests: requests.unwrap_or_else(|| panic!("no number of requests in {text}")),
        per_second: after("Requests/sec:").parse().unwrap_or_else(|_| panic!("no rate in {text}")),
        p50: parse_duration(&after("50%")),
        p99: parse_duration(&after("99%")),
    }
}

fn parse_duration(text: &str) -> Duration {
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or_else(|| panic!("{text:?} is not a duration"));
    let number: f64 = text[..unit].parse().unwrap_or_else(|_| panic!("{text:?} is not a duration"));
    let seconds = match &text[unit..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => panic!("{text:?} is not a duration"),
    };
    Duration::from_secs_f64(number * seconds)
}
