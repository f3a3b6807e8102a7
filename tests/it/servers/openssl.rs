//! `openssl s_server`, which speaks every version and cipher suite of TLS, with certificates of every kind.

use super::process::{Server, folder};
use crate::helpers::free_port;
use std::{
    net::TcpStream,
    process::{Command, Stdio},
};

/// An HTTPS server with options of `openssl s_server`. The commands create `key.pem` and `cert.pem` in its folder, and may create more files.
pub(crate) fn openssl_server(commands: &str, options: &str) -> Server {
    let directory = folder();
    run_openssl(directory.path(), commands);
    let options: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
    Server::launch(
        directory,
        free_port(),
        move |directory, port| {
            let mut command = Command::new("/usr/bin/openssl");
            command.current_dir(directory).args(["s_server", "-www", "-quiet", "-key", "key.pem", "-cert", "cert.pem", "-accept"]);
            command.arg(format!("127.0.0.1:{port}")).args(&options).stdin(Stdio::null());
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}

/// Runs commands of a shell in a folder; each must succeed.
pub(crate) fn run_openssl(directory: &std::path::Path, commands: &str) {
    let output = Command::new("bash").args(["-e", "-c", commands]).current_dir(directory).output().expect("bash");
    assert!(output.status.success(), "{commands}\n{}", String::from_utf8_lossy(&output.stderr));
}
