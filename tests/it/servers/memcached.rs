//! Memcached.

use super::process::{Server, folder};
use crate::helpers::{PATIENCE, free_port};
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

/// Starts Memcached with options.
pub(crate) fn memcached(options: &[&str]) -> Server {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    Server::launch(
        folder(),
        free_port(),
        move |directory, port| {
            let mut command = Command::new("memcached");
            command.current_dir(directory).args(["-u", "nobody", "-l", "127.0.0.1", "-p", &port.to_string()]).args(&options);
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}

/// Sends commands and returns all replies; the reply to the last one ends with this word.
pub(crate) fn memcached_says(port: u16, commands: &str, last: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(commands.as_bytes()).expect("commands");
    let (mut replies, mut chunk) = (String::new(), [0; 4096]);
    while !replies.ends_with(&format!("{last}\r\n")) {
        let read = stream.read(&mut chunk).expect("an answer");
        assert!(read > 0, "the connection ended after {replies}");
        replies += &String::from_utf8_lossy(&chunk[..read]);
    }
    replies
}
