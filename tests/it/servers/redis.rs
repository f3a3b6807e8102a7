//! Redis, whose password is given.

use super::{
    Certificates,
    process::{Server, folder},
};
use crate::helpers::free_port;
use std::{net::TcpStream, process::Command};

pub(crate) fn redis(password: &str) -> Server {
    let (secret, same) = (password.to_owned(), password.to_owned());
    Server::launch(
        folder(),
        free_port(),
        move |directory, port| {
            let mut command = Command::new("redis-server");
            command
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--requirepass", &secret])
                .arg("--dir")
                .arg(directory);
            command
        },
        move |_, port| redis_cli(port, &same, &["PING"]).trim() == "PONG",
    )
}

/// The same, for TLS alone.
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
    /// What `redis-cli` prints.
    pub(crate) fn redis_cli(&self, password: &str, arguments: &[&str]) -> String {
        redis_cli(self.port, password, arguments)
    }
}

fn redis_cli(port: u16, password: &str, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string(), "--no-auth-warning", "-a", password]).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
