//! `MariaDB`, with the user `app`, whose password is given, and the database `orders`.

use super::{
    Certificates,
    process::{Server, as_user, copy_initialised, folder, own, set_up},
};
use crate::helpers::free_port;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

const SERVER: &str = "/usr/sbin/mariadbd";

/// Without it, each server would first write 96 MiB.
const SMALL_LOG: &str = "--innodb-log-file-size=10M";

pub(crate) fn mariadb(password: &str) -> Server {
    mariadb_with(password, &[])
}

/// The same with options, such as `--max-connections=10`.
pub(crate) fn mariadb_with(password: &str, options: &[&str]) -> Server {
    start(password, folder(), options.iter().map(|&option| option.to_owned()).collect())
}

/// The same with optional TLS.
pub(crate) fn mariadb_with_tls(password: &str, make: fn(&Path) -> Certificates) -> (Server, Certificates) {
    let directory = folder();
    let certificates = make(directory.path());
    own("mysql", &certificates.key);
    let options = vec![
        format!("--ssl-cert={}", certificates.certificate.display()),
        format!("--ssl-key={}", certificates.key.display()),
        format!("--ssl-ca={}", certificates.authority.display()),
    ];
    (start(password, directory, options), certificates)
}

/// The same as the first node of a Galera cluster.
pub(crate) fn galera_node(password: &str) -> Server {
    let listen = format!("--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{}", free_port());
    let options = [
        "--wsrep-on=ON",
        "--wsrep-provider=/usr/lib/galera/libgalera_smm.so",
        "--wsrep-cluster-address=gcomm://",
        "--wsrep-node-address=127.0.0.1",
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
        &listen,
    ];
    mariadb_with(password, &options)
}

fn start(password: &str, directory: TempDir, options: Vec<String>) -> Server {
    // With the version: a newer server may not start with the data of an older one, or convert it at each start.
    copy_initialised(&format!("mariadb-{}", version()), &directory.path().join("data"), |directory| {
        set_up(
            as_user("mysql", directory, Path::new("/usr/bin/mariadb-install-db"))
                .arg("--no-defaults")
                .arg(format!("--datadir={}", directory.join("data").display()))
                // Temporary tables are named after process IDs, which are not unique across namespaces.
                .arg(format!("--tmpdir={}", directory.display()))
                .args([SMALL_LOG, "--auth-root-authentication-method=normal", "--skip-test-db"]),
        );
    });
    let server = Server::launch(
        directory,
        free_port(),
        move |directory, port| {
            let mut command = as_user("mysql", directory, Path::new(SERVER));
            command
                .arg("--no-defaults")
                .arg(format!("--datadir={}", directory.join("data").display()))
                .arg(format!("--tmpdir={}", directory.display()))
                .arg(format!("--socket={}", directory.join("s").display()))
                .arg(format!("--port={port}"))
                .args([SMALL_LOG, "--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0"])
                .args(&options);
            command
        },
        // Of a table: a Galera node that is not ready replies to `SELECT 1`.
        |directory, _| client(directory, "SELECT count(*) FROM mysql.db").output().is_ok_and(|output| output.status.success()),
    );
    server.mariadb(&format!(
        "CREATE DATABASE orders; CREATE USER app@'127.0.0.1' IDENTIFIED BY '{password}'; GRANT ALL ON orders.* TO app@'127.0.0.1'"
    ));
    server
}

/// The server's version, as `10.11.6-MariaDB`.
fn version() -> String {
    let output = Command::new(SERVER).arg("--version").output().expect("mariadbd");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().find(|word| word.contains("MariaDB")).expect("a version").to_owned()
}

impl Server {
    /// The Unix socket of this `MariaDB`.
    pub(crate) fn mariadb_socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    /// Runs a statement as the superuser, which must succeed, and returns the rows as lines.
    pub(crate) fn mariadb(&self, statement: &str) -> String {
        let output = client(self.directory.path(), statement).output().expect("mariadb");
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

fn client(directory: &Path, statement: &str) -> Command {
    let mut command = Command::new("/usr/bin/mariadb");
    command
        .arg("--no-defaults")
        .arg(format!("--socket={}", directory.join("s").display()))
        .args(["-u", "root", "-N", "-B", "-e", statement]);
    command
}
