//! `RabbitMQ`, with the user `app`, whose password is given, and the vhost `/` without queues.

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
    /// Adds a vhost in which `app` may do everything. One expression: each call of `rabbitmqctl` starts a virtual machine, which takes a second.
    pub(crate) fn add_vhost(&self, name: &str) {
        let add = format!("rabbit_vhost:add(<<\"{name}\">>, <<\"app\">>)");
        let all = "<<\".*\">>";
        let permit = format!("rabbit_auth_backend_internal:set_permissions(<<\"app\">>, <<\"{name}\">>, {all}, {all}, {all}, <<\"app\">>)");
        self.rabbitmqctl(&["eval", &format!("{add}, {permit}.")]);
    }

    /// Adds a durable queue to a vhost.
    pub(crate) fn declare_queue(&self, vhost: &str, queue: &str) {
        let queue = format!("{{resource, <<\"{vhost}\">>, queue, <<\"{queue}\">>}}");
        self.rabbitmqctl(&["eval", &format!("rabbit_amqqueue:declare({queue}, true, false, [], none, <<\"app\">>).")]);
    }

    /// Publishes a message to a queue of a vhost.
    pub(crate) fn publish(&self, vhost: &str, queue: &str, message: &str) {
        let exchange = format!("{{resource, <<\"{vhost}\">>, exchange, <<>>}}");
        self.rabbitmqctl(&["eval", &format!("rabbit_basic:publish({exchange}, <<\"{queue}\">>, [], <<\"{message}\">>).")]);
    }

    /// What `rabbitmqctl` prints; it must succeed.
    pub(crate) fn rabbitmqctl(&self, arguments: &[&str]) -> String {
        let output = program("rabbitmqctl", self.directory.path()).args(arguments).output().expect("rabbitmqctl");
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{arguments:?}: {printed:?}");
        printed[0].clone()
    }
}

/// One of `RabbitMQ`'s programs, for the broker in a folder.
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

/// Whether the broker answers the protocol header.
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
