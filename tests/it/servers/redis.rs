//! Redis with a password: alone, as a replica, watched by sentinels, and as a cluster.

use super::{
    Certificates,
    process::{Server, folder, set_up},
};
use crate::helpers::{eventually, free_port};
use std::{fs, net::TcpStream, process::Command};
use tempfile::TempDir;

pub(crate) fn redis(password: &str) -> Server {
    redis_with(folder(), password, &[])
}

/// The same in a folder, which may have data, and with more options. It is ready as soon as it replies, even if only to say that it is loading.
pub(crate) fn redis_with(directory: TempDir, password: &str, options: &[&str]) -> Server {
    let (secret, same) = (password.to_owned(), password.to_owned());
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    Server::launch(
        directory,
        free_port(),
        move |directory, port| {
            let mut command = Command::new("redis-server");
            command
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--requirepass", &secret, "--masterauth", &secret])
                .arg("--dir")
                .arg(directory)
                .args(&options);
            command
        },
        move |_, port| {
            let answer = redis_cli(port, &same, &["PING"]);
            answer.trim() == "PONG" || answer.starts_with("LOADING")
        },
    )
}

/// A replica that has caught up with its primary.
pub(crate) fn redis_replica(primary: &Server, password: &str, options: &[&str]) -> Server {
    let replicaof = format!("127.0.0.1 {}", primary.port);
    let replica = redis_with(folder(), password, &[&["--replicaof", &replicaof, "--repl-diskless-sync-delay", "0"], options].concat());
    eventually("a replica follows its primary", || {
        replica.redis_cli(password, &["INFO", "replication"]).contains("master_link_status:up").then_some(())
    });
    replica
}

/// A sentinel that watches a server under the name `orders`. Two sentinels must agree that it is down.
pub(crate) fn sentinel(watched: u16, password: &str, servers_password: &str) -> Server {
    let same = password.to_owned();
    let (directory, port) = (folder(), free_port());
    // A sentinel writes its findings to this file.
    let configuration = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nrequirepass {password}\nsentinel sentinel-pass {password}\n\
         sentinel monitor orders 127.0.0.1 {watched} 2\nsentinel auth-pass orders {servers_password}\n\
         sentinel down-after-milliseconds orders 1000\nsentinel failover-timeout orders 3000\n",
        directory.path().display()
    );
    fs::write(directory.path().join("sentinel.conf"), configuration).expect("a configuration");
    Server::launch(
        directory,
        port,
        |directory, _| {
            let mut command = Command::new("redis-server");
            command.arg(directory.join("sentinel.conf")).arg("--sentinel");
            command
        },
        move |_, port| redis_cli(port, &same, &["PING"]).trim() == "PONG",
    )
}

/// A cluster of three primaries.
pub(crate) fn redis_cluster(password: &str) -> Vec<Server> {
    let node = |_| {
        let bus = free_port().to_string();
        redis_with(folder(), password, &["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1000"])
    };
    let nodes: Vec<Server> = (0..3).map(node).collect();
    let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let mut create = Command::new("redis-cli");
    set_up(create.args(["--no-auth-warning", "-a", password, "--cluster", "create"]).args(&addresses).arg("--cluster-yes"));
    eventually("the nodes agree that the cluster is well", || {
        nodes.iter().all(|node| node.redis_cli(password, &["CLUSTER", "INFO"]).contains("cluster_state:ok")).then_some(())
    });
    nodes
}

/// Redis with a TLS port only.
pub(crate) fn redis_with_tls() -> (Server, Certificates) {
    let directory = folder();
    let certificates = Certificates::new(directory.path());
    let server = Server::launch(
        directory,
        free_port(),
        |directory, port| {
            let mut command = Command::new("redis-server");
            command.args(["--port", "0", "--tls-port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--tls-auth-clients", "no"]);
            for (key, file) in
                [("--tls-cert-file", "cert.pem"), ("--tls-key-file", "key.pem"), ("--tls-ca-cert-file", "ca.pem"), ("--dir", "")]
            {
                command.arg(key).arg(directory.join(file));
            }
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    );
    (server, certificates)
}

impl Server {
    /// The output of `redis-cli`.
    pub(crate) fn redis_cli(&self, password: &str, arguments: &[&str]) -> String {
        redis_cli(self.port, password, arguments)
    }
}

fn redis_cli(port: u16, password: &str, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string(), "--no-auth-warning", "-a", password]).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
