//! A real `HAProxy`: its default check, `OPTIONS / HTTP/1.0` without a `Host`, and the agent check.

use crate::{
    helpers::{Allswell, eventually, free_port},
    servers::haproxy,
};
use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::Path,
};

/// The line of the agent.
fn asked(port: u16, words: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(words).expect("words");
    let mut line = String::new();
    stream.read_to_string(&mut line).expect("a line");
    let _ = stream.shutdown(Shutdown::Both);
    line
}

fn set(path: &Path, exists: bool) {
    let _ = if exists { fs::create_dir(path) } else { fs::remove_dir(path) };
}

#[test]
fn haproxy_and_its_agent_check_see_our_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    let (media, extra, drain) = (folder.path().join("media"), folder.path().join("extra"), folder.path().join("drain"));
    set(&media, true);
    set(&extra, true);
    let agent = free_port();
    let service = Allswell::start(&format!(
        r#"
        [server]
        drain_file = "{}"
        [server.haproxy_agent]
        listen = "127.0.0.1:{agent}"
        [defaults]
        interval = "100ms"
        [checks.media]
        kind = "storage"
        path = "{}"
        [checks.extra]
        kind = "storage"
        critical = false
        path = "{}"
        "#,
        drain.display(),
        media.display(),
        extra.display()
    ));
    let proxy = haproxy(service.address.port(), agent);
    // The line of the agent, and the state of HAProxy with the agent check only and with both checks.
    let becomes = |what: &str, line: &str, by_agent: &str, by_both: &str| {
        eventually(what, || (asked(agent, b"") == line).then_some(()));
        eventually(&format!("HAProxy sees that {what}"), || {
            let (alone, both) = (proxy.haproxy_state("agent"), proxy.haproxy_state("both"));
            (alone.status == by_agent && both.status.starts_with(by_both)).then_some((alone, both))
        })
    };

    let (up, both) = becomes("all is well", "up ready 100%\n", "UP", "UP");
    assert_eq!((up.weight, both.check.as_str()), (100, "L7OK"), "{up:?} {both:?}");
    // The agent ignores what HAProxy sends by `agent-send`.
    assert_eq!(asked(agent, b"hello\n"), "up ready 100%\n");

    set(&extra, false);
    becomes("something is to be looked at", "up ready 50%\n", "UP", "UP");
    eventually("the server gets half of the traffic", || (proxy.haproxy_state("agent").weight == 50).then_some(()));
    set(&extra, true);
    becomes("all is well again", "up ready 100%\n", "UP", "UP");

    set(&media, false);
    becomes("a component fails", "down # media: unhealthy\n", "DOWN (agent)", "DOWN");
    eventually("HAProxy shows the reason", || proxy.haproxy_state("agent").agent.contains("media: unhealthy").then_some(()));
    eventually("its own probe sees the 500", || (proxy.haproxy_state("both").check == "L7STS").then_some(()));
    set(&media, true);
    becomes("the server is up again", "up ready 100%\n", "UP", "UP");

    fs::write(&drain, "").expect("a file");
    becomes("the service drains", "drain\n", "DRAIN (agent)", "D");
    fs::remove_file(&drain).expect("a file");
    let (back, _) = becomes("the service takes traffic again", "up ready 100%\n", "UP", "UP");
    assert_eq!(back.weight, 100);
}
