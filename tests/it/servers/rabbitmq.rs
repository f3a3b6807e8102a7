//! `RabbitMQ`, with the user `app`, whose password is given, and the vhost `/` without queues.

use super::{
    process::{Server, folder},
    shared::SharedServer,
};
use crate::helpers::free_port;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    sync::LazyLock,
    time::Duration,
};
use tempfile::TempDir;

/// The password of the user `app` of the shared broker.
pub(crate) const SHARED_PASSWORD: &str = "correct-horse";

/// The broker of all tests that do not stop or reconfigure one. Each has its own vhost, except those that only need `/` to be there.
pub(crate) static SHARED_BROKER: LazyLock<SharedServer> = LazyLock::new(|| SharedServer::new(rabbitmq(SHARED_PASSWORD)));

pub(crate) fn rabbitmq(password: &str) -> Server {
    launch(folder(), password)
}

/// A second broker in the cluster of the first one. Brokers of a cluster share a secret and the service that maps names to ports.
pub(crate) fn rabbitmq_member(password: &str, first: &Server) -> Server {
    let directory = folder();
    let cookie = directory.path().join(".erlang.cookie");
    fs::copy(first.directory.path().join(".erlang.cookie"), &cookie).expect("a cookie");
    fs::copy(first.directory.path().join("mapper"), directory.path().join("mapper")).expect("a port");
    let member = launch(directory, password);
    member.rabbitmqctl(&["stop_app"]);
    member.rabbitmqctl(&["join_cluster", &node(first.directory.path())]);
    member.rabbitmqctl(&["start_app"]);
    member
}

fn launch(directory: TempDir, password: &str) -> Server {
    let configuration = format!("default_user = app\ndefault_pass = {password}\nloopback_users = none\nlog.console = true\n");
    for (name, text) in [("rabbitmq.conf", &*configuration), ("plugins", "[].\n")] {
        fs::write(directory.path().join(name), text).expect("a file");
    }
    for name in ["distribution", "mapper"] {
        let file = directory.path().join(name);
        if !file.exists() {
            fs::write(file, free_port().to_string()).expect("a file");
        }
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
    /// Adds a vhost with durable queues, in which `app` may do everything. All in one expression: each call of `rabbitmqctl` starts a virtual
    /// machine, which takes a second.
    pub(crate) fn add_vhost(&self, name: &str, queues: &[&str]) {
        let add = format!("rabbit_vhost:add(<<\"{name}\">>, <<\"app\">>)");
        let all = "<<\".*\">>";
        let permit = format!("rabbit_auth_backend_internal:set_permissions(<<\"app\">>, <<\"{name}\">>, {all}, {all}, {all}, <<\"app\">>)");
        let declare = queues.iter().map(|queue| declare_queue(name, queue));
        let expressions: Vec<String> = [add, permit].into_iter().chain(declare).collect();
        self.rabbitmqctl(&["eval", &(expressions.join(", ") + ".")]);
    }

    /// Adds a durable queue to the vhost `/`.
    pub(crate) fn add_queue(&self, queue: &str) {
        self.rabbitmqctl(&["eval", &(declare_queue("/", queue) + ".")]);
    }

    /// Adds a queue of another type, `quorum` or `stream`, with its leader on this node.
    pub(crate) fn add_replicated_queue(&self, vhost: &str, queue: &str, kind: &str) {
        let arguments = format!("[{{<<\"x-queue-type\">>, longstr, <<\"{kind}\">>}}]");
        let resource = format!("{{resource, <<\"{vhost}\">>, queue, <<\"{queue}\">>}}");
        let declare = format!("rabbit_amqqueue:declare({resource}, true, false, {arguments}, none, <<\"app\">>).");
        self.rabbitmqctl(&["eval", &declare]);
    }

    /// Publishes messages to a queue of a vhost.
    pub(crate) fn publish(&self, vhost: &str, queue: &str, messages: &[&str]) {
        let exchange = format!("{{resource, <<\"{vhost}\">>, exchange, <<>>}}");
        let publish = |message: &&str| format!("rabbit_basic:publish({exchange}, <<\"{queue}\">>, [], <<\"{message}\">>)");
        let expressions: Vec<String> = messages.iter().map(publish).collect();
        self.rabbitmqctl(&["eval", &(expressions.join(", ") + ".")]);
    }

    /// What `rabbitmqctl` prints; it must succeed.
    pub(crate) fn rabbitmqctl(&self, arguments: &[&str]) -> String {
        let output = program("rabbitmqctl", self.directory.path()).args(arguments).output().expect("rabbitmqctl");
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{arguments:?}: {printed:?}");
        printed[0].clone()
    }
}

/// The expression that declares a durable queue.
fn declare_queue(vhost: &str, queue: &str) -> String {
    let queue = format!("{{resource, <<\"{vhost}\">>, queue, <<\"{queue}\">>}}");
    format!("rabbit_amqqueue:declare({queue}, true, false, [], none, <<\"app\">>)")
}

/// The name of the broker in a folder.
fn node(directory: &Path) -> String {
    let port = fs::read_to_string(directory.join("distribution")).expect("a port");
    format!("allswell{port}@localhost")
}

/// One of `RabbitMQ`'s programs, for the broker in a folder.
fn program(name: &str, directory: &Path) -> Command {
    let port = |name: &str| fs::read_to_string(directory.join(name)).expect("a port");
    let mut command = Command::new(format!("/usr/lib/rabbitmq/bin/{name}"));
    command
        .env("HOME", directory)
        .env("ERL_CRASH_DUMP", directory.join("crash"))
        .env("RABBITMQ_NODENAME", node(directory))
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
