//! `PostgreSQL`, with the user `app`, whose password is given, and the database `orders`.

use super::{
    Certificates,
    process::{Server, as_user, folder, newest, own, set_up},
};
use crate::helpers::free_port;
use std::{fs, process::Command};
use tempfile::TempDir;

pub(crate) fn postgres(password: &str) -> Server {
    start(password, folder(), &[])
}

/// The same, with TLS for who asks for it.
pub(crate) fn postgres_with_tls(password: &str) -> (Server, Certificates) {
    let directory = folder();
    // The key must belong to the server's user, whose home the data folder is going to be.
    let certificates = Certificates::new(directory.path());
    own("postgres", &certificates.key);
    let options = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificates.certificate.display()),
        format!("ssl_key_file={}", certificates.key.display()),
    ];
    (start(password, directory, &options), certificates)
}

fn start(password: &str, directory: TempDir, settings: &[String]) -> Server {
    let (data, secret) = (directory.path().join("data"), directory.path().join("secret"));
    fs::write(&secret, password).expect("a file");
    let versions = "/usr/lib/postgresql";
    let initialise = newest(versions, "bin/initdb");
    let options = ["--username=app", "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C"];
    set_up(as_user("postgres", directory.path(), &initialise).arg("-D").arg(&data).arg("--pwfile").arg(&secret).args(options));
    let port = free_port();
    let (program, client) = (newest(versions, "bin/postgres"), newest(versions, "bin/psql"));
    let password = password.to_owned();
    let ask = move |port: u16, database: &str, statement: &str| {
        let mut command = Command::new(&client);
        command
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "app", "-d", database, "-c", statement])
            .env("PGPASSWORD", &password);
        command
    };
    let make = ask.clone();
    let settings = settings.to_vec();
    let server = Server::launch(
        directory,
        port,
        move |directory, port| {
            let mut command = as_user("postgres", directory, &program);
            command.arg("-D").arg(directory.join("data")).args([
                "-p",
                &port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "fsync=off",
            ]);
            command.arg("-k").arg(directory);
            for setting in &settings {
                command.args(["-c", setting]);
            }
            command
        },
        move |_, port| ask(port, "postgres", "SELECT 1").output().is_ok_and(|output| output.status.success()),
    );
    set_up(&mut make(port, "postgres", "CREATE DATABASE orders"));
    server
}
