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
    let (distribution, mapper) = (free_port(), free_port());
    let configuration = format!("default_user = app\ndefault_pass = {password}\nloopback_users = none\nlog.console = true\n");
    fs::write(directory.path().join("rabbitmq.conf"), configuration).expect("a file");
    fs::write(directory.path().join("plugins"), "[].\n").expect("a file");
    Server::launch(
        directory,
        free_port(),
        move |directory, port| {
            let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
            environment(&mut command, directory);
            command
                .env("RABBITMQ_NODENAME", format!("allswell{distribution}@localhost"))
                .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
                .env("RABBITMQ_NODE_PORT", port.to_string())
                .env("RABBITMQ_DIST_PORT", distribution.to_string())
                .env("ERL_EPMD_PORT", mapper.to_string());
            command
        },
        |_, port| speaks(port),
    )
}

fn environment(command: &mut Command, directory: &Path) {
    command
        .env("HOME", directory)
        .env("RABBITMQ_CONFIG_FILE", directory.join("rabbitmq.conf"))
        .env("RABBITMQ_MNESIA_BASE", directory.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", directory.join("logs"))
        .env("RABBITMQ_PID_FILE", directory.join("pid"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", directory.join("plugins"));
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
