//! twemproxy, a proxy in front of Redis and Memcached.

use super::process::{Server, folder, listens};
use crate::helpers::free_port;
use std::{fs, process::Command};

/// A twemproxy in front of one server on loopback, with further settings of the pool: `redis: true` for Redis.
pub(crate) fn twemproxy(server: u16, settings: &[&str]) -> Server {
    let (directory, port) = (folder(), free_port());
    let settings = settings.join("\n  ");
    let pool = format!(
        "pool:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n  timeout: 2000\n  servers:\n   - 127.0.0.1:{server}:1\n  {settings}\n"
    );
    fs::write(directory.path().join("pool.yml"), pool).expect("a file");
    Server::launch(
        directory,
        port,
        |directory, _| {
            let mut command = Command::new("nutcracker");
            command.arg("--conf-file").arg(directory.join("pool.yml")).args(["--stats-addr", "127.0.0.1", "--stats-port"]);
            command.arg(free_port().to_string());
            command
        },
        |_, port| listens(port),
    )
}
