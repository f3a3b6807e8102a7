//! `HAProxy` with its recipe, in front of two machines: one does not exist, and the other runs allswell with its recipe.

use super::{Dependencies, accepted, read, with};
use crate::{
    helpers::{Allswell, eventually, free_port, get},
    servers::{Server, folder, haproxy_state, hostile::Hostile},
};
use std::{fs, process::Command};

fn launch(configuration: &str, port: u16) -> Server {
    let directory = folder();
    let socket = directory.path().join("socket");
    let configuration = with(configuration, &[("\nglobal\n", format!("\nglobal\n    stats socket {} mode 600\n", socket.display()))]);
    let file = directory.path().join("haproxy.cfg");
    fs::write(&file, configuration).expect("a file");
    let output = accepted(Command::new("/usr/sbin/haproxy").arg("-c").arg("-f").arg(&file));
    assert!(!output.contains("WARNING"), "{output}");
    Server::launch(
        directory,
        port,
        |directory, _| {
            let mut command = Command::new("/usr/sbin/haproxy");
            command.arg("-W").arg("-db").arg("-f").arg(directory.join("haproxy.cfg"));
            command
        },
        |directory, _| haproxy_state(directory, "orders", "a").is_some(),
    )
}

#[test]
fn haproxy_follows_the_verdict_of_allswell() {
    let dependencies = Dependencies::start();
    let app = Hostile::listening("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhome").0;
    let (agent, port, closed) = (free_port(), free_port(), free_port());
    let directory = tempfile::tempdir().expect("a folder");
    let drain = directory.path().join("drain");
    let configuration = with(
        &read("haproxy/allswell.toml"),
        &[
            ("0.0.0.0:8081", format!("127.0.0.1:{agent}")),
            ("127.0.0.1:8000", format!("127.0.0.1:{}", app.port())),
            ("/run/allswell/drain", drain.display().to_string()),
            ("interval = \"2s\"", "interval = \"200ms\"".to_owned()),
        ],
    );
    let variables = [("DATABASE_URL", dependencies.database_url()), ("REDIS_URL", dependencies.redis_url())];
    let service = Allswell::start_with(&configuration, &variables.each_ref().map(|(name, value)| (*name, value.as_str())));
    let proxy = launch(
        &with(
            &read("haproxy/haproxy.cfg"),
            &[
                ("bind :80", format!("bind 127.0.0.1:{port}")),
                ("10.0.0.7:8000", format!("127.0.0.1:{}", app.port())),
                // Health checks of the other machine go to a port without a listener.
                ("server b 10.0.0.8:8000", format!("server b 127.0.0.1:{} port {closed} agent-port {closed}", app.port())),
                ("check port 8080", format!("check port {}", service.address.port())),
                ("agent-port 8081", format!("agent-port {agent}")),
                ("inter 2s", "inter 200ms".to_owned()),
                ("slowstart 10s", "slowstart 1s".to_owned()),
            ],
        ),
        port,
    );
    let state = |server: &str| haproxy_state(proxy.directory.path(), "orders", server);
    let becomes = |what: &str, status: &str, weight: Option<u32>| {
        eventually(what, || {
            let is = state("a")?;
            (is.status == status && weight.is_none_or(|weight| weight == is.weight)).then_some(())
        });
    };
    becomes("one machine is well", "UP", Some(100));
    eventually("the other is not there", || state("b").filter(|state| state.status == "DOWN"));
    for _ in 0..4 {
        let home = get(([127, 0, 0, 1], port).into(), "/");
        assert_eq!((home.status, home.body.as_str()), (200, "home"), "only the healthy machine gets requests");
    }
    dependencies.cache.pause();
    becomes("a warning halves the traffic", "UP", Some(50));
    dependencies.cache.resume();
    becomes("all is well again", "UP", Some(100));
    fs::write(&drain, "").expect("a file");
    // `DRAIN (agent)` at first; the health check sees 500, and after two failures the state is `DOWN`.
    eventually("the machine takes no more traffic", || state("a").filter(|state| state.status.starts_with('D')));
    fs::remove_file(&drain).expect("a file");
    becomes("the service takes traffic again", "UP", Some(100));
}
