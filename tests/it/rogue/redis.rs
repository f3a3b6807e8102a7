//! Rogue Redis servers, sentinels and nodes of a cluster. Every form of `AUTH` reveals the password, so they need not request it.

use super::{
    case::{LeakCase, Left, Request},
    lab::{Lab, PASSWORD, USER},
    peer::Peer,
};
use std::io;

const AUTH: Request = Request::leaves("AUTH", Left::Password);
const LED: Request = Request::leaves("AUTH at the address that a rogue node names", Left::Password);
const NAMED: Request = Request::leaves("AUTH at the address that a rogue sentinel names", Left::Password);
const SENTINEL: Request = Request::leaves("AUTH at the sentinel", Left::Password);
const SERVERS: Request = Request::leaves("the servers' password at the sentinel", Left::Nothing);

pub(super) fn cases(lab: &Lab) -> Vec<LeakCase> {
    let mut cases = Vec::new();
    for transport in lab.transports() {
        let rogue = || lab.rogue(&transport, &lab.socket("redis"), |peer, _| speak(peer, 0));
        let at = |rogue: &super::peer::Rogue| match rogue.socket() {
            Some(path) => format!("redis+unix://{}", path.display()),
            None => format!("redis{}://localhost:{}/0", transport.s(), rogue.port),
        };
        let login = format!("username = \"{USER}\"\npassword = \"{PASSWORD}\"\n");
        for kind in ["redis", "celery"] {
            let key = if kind == "redis" { "url" } else { "broker" };
            let server = rogue();
            let table = format!("kind = \"{kind}\"\n{key} = \"{}\"\n{login}{}", at(&server), transport.keys);
            cases.push(LeakCase::new(kind, "password", AUTH, &transport, table, server));
            if transport.is_local() {
                continue;
            }
            let server = rogue();
            let url = format!("redis{}://{USER}:{PASSWORD}@localhost:{}/0", transport.s(), server.port);
            let table = format!("kind = \"{kind}\"\n{key} = \"{url}\"\n{}", transport.keys);
            cases.push(LeakCase::new(kind, key, AUTH, &transport, table, server));
        }
        if transport.is_local() {
            continue;
        }
        // The server that redirects has a proper certificate, if it has one.
        let leads = lab.properly(&transport);
        for (mode, request) in [("cluster", LED), ("sentinel", NAMED)] {
            let there = rogue();
            let port = there.port;
            let here = lab.rogue(&leads, &lab.socket("redis"), move |peer, _| speak(peer, port));
            let table = format!(
                "kind = \"redis\"\nurl = \"{}\"\nmode = \"{mode}\"\nwrite = {}\n{}{login}{}",
                at(&here),
                mode == "cluster",
                if mode == "sentinel" { "master_name = \"orders\"\n" } else { "" },
                transport.keys
            );
            cases.push(LeakCase::new("redis", "password", request, &transport, table, there).led_by(here));
        }
        let table = |kind: &str, login: &str, port: u16| {
            let place = match kind {
                "redis" => format!("url = \"redis{}://localhost:{port}\"\nmode = \"sentinel\"\n", transport.s()),
                _ => format!("broker = \"redis{}+sentinel://localhost:{port}\"\n", transport.s()),
            };
            format!("kind = \"{kind}\"\n{place}master_name = \"orders\"\n{login}{}", transport.keys)
        };
        for kind in ["redis", "celery"] {
            let sentinel = rogue();
            let own = table(kind, &format!("sentinel_username = \"{USER}\"\nsentinel_password = \"{PASSWORD}\"\n"), sentinel.port);
            cases.push(LeakCase::new(kind, "sentinel_password", SENTINEL, &transport, own, sentinel));
            let sentinel = rogue();
            let others = table(kind, &login, sentinel.port);
            cases.push(LeakCase::new(kind, "password", SERVERS, &transport, others, sentinel));
        }
    }
    cases
}

/// Replies to every command, and redirects to a port where the protocol can.
fn speak(peer: &mut Peer, port: u16) -> io::Result<()> {
    loop {
        let command = command(peer)?;
        let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        let answer = match &*command {
            "HELLO" => "-ERR unknown command\r\n".to_owned(),
            "PING" => "+PONG\r\n".to_owned(),
            "INFO" => bulk("redis_version:7.2.0\r\nrole:master\r\n"),
            "CLUSTER" => bulk("cluster_state:ok\r\ncluster_slots_ok:16384\r\n"),
            "GET" => format!("-MOVED 1 localhost:{port}\r\n"),
            "SENTINEL" => format!("*2\r\n{}{}", bulk("localhost"), bulk(&port.to_string())),
            _ => "+OK\r\n".to_owned(),
        };
        peer.write(answer.as_bytes())?;
    }
}

/// The name of the next command.
fn command(peer: &mut Peer) -> io::Result<String> {
    let number = |line: Vec<u8>| String::from_utf8_lossy(&line).trim()[1..].parse::<usize>().map_err(io::Error::other);
    let words = number(peer.read_until(b"\r\n")?)?;
    let mut first = String::new();
    for word in 0..words {
        let length = number(peer.read_until(b"\r\n")?)?;
        let text = peer.read(length + 2)?;
        if word == 0 {
            first = String::from_utf8_lossy(&text).trim().to_ascii_uppercase();
        }
    }
    Ok(first)
}
