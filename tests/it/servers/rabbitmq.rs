//! `RabbitMQ`, with the user `app`, whose password is given, and the queue-less vhost `/`.

use super::process::{Server, folder};
use crate::helpers::free_port;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Duration,
};

pub(crate) fn rabbitmq(password: &str) -> Server {
    let directory = folder();
    let configuration = format!("default_user = app\ndefault_pass = {password}\nloopback_users = none\nlog.console = true\n");
    for (name, text) in [("rabbitmq.conf", &*configuration), ("plugins", "[].\n")] {
        fs::write(directory.path().join(name), text).expect("a file");
    }
    for name in ["distribution", "mapper"] {
        fs::write(directory.path().join(name), free_port().to_string()).expect("a file");
    }
    Server::launch(
        directory,
        free_port(),
        move |directory, port| {
            let mut command = program("rabbitmq-server", directory);
            command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1").env("RABBITMQ_NODE_PORT", port.to_string());
            command
        },
        |_, port| speaks(port),
    )
}

impl Server {
    /// What `rabbitmqctl` prints; it must succeed.
    pub(crate) fn rabbitmqctl(&self, arguments: &[&str]) -> String {
        let output = program("rabbitmqctl", self.directory.path()).args(arguments).output().expect("rabbitmqctl");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{arguments:?}: {said:?}");
        said[0].clone()
    }
}

/// A program of the broker's own, in its folder.
fn program(name: &str, directory: &Path) -> Command {
    let port = |name: &str| fs::read_to_string(directory.join(name)).expect("a port");
    let mut command = Command::new(format!("/usr/lib/rabbitmq/bin/{name}"));
    command
        .env("HOME", directory)
        .env("ERL_CRASH_DUMP", directory.join("crash"))
        .env("RABBITMQ_NODENAME", format!("allswell{}@localhost", port("distribution")))
        .env("RABBITMQ_DIST_PORT", port("distribution"))
        .env("ERL_EPMD_PORT", port("mapper"))
        .env("RABBITMQ_CONFIG_FILE", directory.join("rabbitmq.conf"))
        .env("RABBITMQ_MNESIA_BASE", directory.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", directory.join("logs"))
        .env("RABBITMQ_PID_FILE", directory.join("pid"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", directory.join("plugins"));
    command
}

/// Whether it answers the header of the protocol.
fn speaks(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"AMQP\0\0\x09\x01")?;
        let mut first = [0; 1];
        stream.read_exact(&mut first)?;
        Ok(first == [1])
    };
    ask().unwrap_or(false)
}
