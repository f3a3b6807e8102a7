//! `HAProxy`: with several checks of one server, as a load balancer, and in front of a server.

use super::process::{Server, folder};
use crate::helpers::free_port;
use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
};

/// An `HAProxy` that polls a server on loopback and its agent.
pub(crate) fn haproxy(port: u16, agent: u16) -> Server {
    let configuration = format!(
        "listen both\n  bind 127.0.0.1:{own}\n  option httpchk\n  server one {server}\n\
         listen agent\n  bind 127.0.0.1:{other}\n  server one {server}\n",
        server =
            format_args!("127.0.0.1:{port} weight 100 check inter 100ms rise 1 fall 1 agent-check agent-port {agent} agent-inter 100ms"),
        own = free_port(),
        other = free_port(),
    );
    launch(0, "both", &configuration)
}

/// An `HAProxy` with one backend per check of a server on loopback: its name, its option and the options of its server.
pub(crate) fn haproxy_checking(port: u16, checks: &[(&'static str, &str, &str)]) -> Server {
    let backend = |(name, option, server): &(&'static str, &str, &str)| {
        format!("backend {name}\n  {option}\n  server one 127.0.0.1:{port} check inter 100ms rise 1 fall 1 {server}\n")
    };
    launch(0, checks[0].0, &checks.iter().map(backend).collect::<String>())
}

/// An `HAProxy` that forwards requests to a server on loopback, on connections that it keeps.
pub(crate) fn haproxy_in_front(port: u16) -> Server {
    let own = free_port();
    launch(
        own,
        "front",
        &format!("listen front\n  bind 127.0.0.1:{own}\n  http-reuse always\n  retries 0\n  server one 127.0.0.1:{port}\n"),
    )
}

/// An `HAProxy` that polls `/readyz` of the targets at these ports with a path, and so by `OPTIONS` over HTTP/1.0, and distributes requests among
/// them.
pub(crate) fn haproxy_balancer(targets: &[u16]) -> Server {
    let port = free_port();
    let server = |(index, port): (usize, &u16)| format!("  server s{index} 127.0.0.1:{port} check inter 250ms\n");
    let servers: String = targets.iter().enumerate().map(server).collect();
    launch(
        port,
        "web",
        &format!(
            "  timeout check 2s\nlisten web\n  bind 127.0.0.1:{port}\n  balance roundrobin\n  option httpchk OPTIONS /readyz\n{servers}"
        ),
    )
}

/// Starts an `HAProxy` on a port, and waits until it knows the backend.
fn launch(port: u16, backend: &'static str, configuration: &str) -> Server {
    let directory = folder();
    let configuration = format!(
        "global\n  stats socket {} mode 600 level admin\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n{configuration}",
        directory.path().join("socket").display()
    );
    fs::write(directory.path().join("haproxy.cfg"), configuration).expect("a file");
    Server::launch(
        directory,
        port,
        |directory, _| {
            let mut command = Command::new("/usr/sbin/haproxy");
            command.arg("-W").arg("-db").arg("-f").arg(directory.join("haproxy.cfg"));
            command
        },
        move |directory, _| haproxy_state(directory, backend, "BACKEND").is_some(),
    )
}

/// The state of a server in `HAProxy`.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) status: String,
    pub(crate) weight: u32,
    /// The result of the default check.
    pub(crate) check: String,
    /// The last line of the agent.
    pub(crate) agent: String,
}

impl Server {
    /// The state in the backend `both` or `agent`.
    pub(crate) fn haproxy_state(&self, backend: &str) -> State {
        haproxy_state(self.directory.path(), backend, "one").expect("an answer of HAProxy's")
    }
}

/// Reads the state of the server of a backend from the socket of `HAProxy` in a folder.
pub(crate) fn haproxy_state(directory: &Path, backend: &str, server: &str) -> Option<State> {
    let mut stream = UnixStream::connect(directory.join("socket")).ok()?;
    stream.write_all(b"show stat\n").ok()?;
    let mut table = String::new();
    stream.read_to_string(&mut table).ok()?;
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next()?.trim_start_matches("# ").split(',').collect();
    let row: Vec<&str> = lines.find(|line| line.starts_with(&format!("{backend},{server},")))?.split(',').collect();
    let column = |name: &str| names.iter().position(|other| *other == name).and_then(|at| row.get(at)).map_or("", |value| *value);
    Some(State {
        // "UP 1/2" during a change, "DOWN (agent)" if the agent check decided.
        status: column("status").to_owned(),
        weight: column("weight").parse().ok()?,
        check: column("check_status").trim_start_matches("* ").to_owned(),
        agent: column("last_agt").to_owned(),
    })
}
