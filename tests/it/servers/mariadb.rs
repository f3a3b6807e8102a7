//! `MariaDB`, with the user `app`, whose password is given, and the database `orders`.

use super::process::{Server, as_user, folder, set_up};
use crate::helpers::free_port;
use std::{path::Path, process::Command};

pub(crate) fn mariadb(password: &str) -> Server {
    let directory = folder();
    let data = directory.path().join("data");
    set_up(
        as_user("mysql", directory.path(), Path::new("/usr/bin/mariadb-install-db"))
            .arg("--no-defaults")
            .arg(format!("--datadir={}", data.display()))
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"]),
    );
    let server = Server::launch(
        directory,
        free_port(),
        |directory, port| {
            let mut command = as_user("mysql", directory, Path::new("/usr/sbin/mariadbd"));
            command
                .arg("--no-defaults")
                .arg(format!("--datadir={}", directory.join("data").display()))
                .arg(format!("--socket={}", directory.join("s").display()))
                .arg(format!("--port={port}"))
                .args(["--bind-address=127.0.0.1", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0"]);
            command
        },
        |directory, _| client(directory, "SELECT 1").output().is_ok_and(|output| output.status.success()),
    );
    let statements =
        format!("CREATE DATABASE orders; CREATE USER app@'127.0.0.1' IDENTIFIED BY '{password}'; GRANT ALL ON orders.* TO app@'127.0.0.1'");
    set_up(&mut client(server.directory.path(), &statements));
    server
}

fn client(directory: &Path, statement: &str) -> Command {
    let mut command = Command::new("/usr/bin/mariadb");
    command.arg("--no-defaults").arg(format!("--socket={}", directory.join("s").display())).args(["-u", "root", "-e", statement]);
    command
}
