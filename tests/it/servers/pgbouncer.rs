//! `PgBouncer` in front of a server of the tests.

use super::process::{Server, as_user, folder};
use crate::helpers::free_port;
use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Command, Output},
};

/// A pooler in front of the port of a `PostgreSQL` server, for the users and passwords of its own list, which need not be those of the server.
/// `app` is its administrator. It has the `databases` of that server, and `down`, whose server does not exist.
pub(crate) fn pgbouncer(upstream: u16, databases: &[&str], users: &[(&str, &str)], settings: &[&str]) -> Server {
    let directory = folder();
    let path = directory.path().to_owned();
    let list: Vec<_> = users.iter().map(|(user, password)| format!("\"{user}\" \"{password}\"\n")).collect();
    fs::write(path.join("users"), list.concat()).expect("a file");
    let listed: Vec<_> = databases.iter().map(|name| format!("{name} = host=127.0.0.1 port={upstream} dbname={name}\n")).collect();
    let listed = listed.concat();
    let settings = settings.join("\n");
    let port = free_port();
    let configuration = format!(
        "[databases]\n{listed}down = host=127.0.0.1 port=1 dbname=orders\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         auth_type = scram-sha-256\nauth_file = {}\nadmin_users = app\nunix_socket_dir =\npool_mode = transaction\n{settings}\n",
        path.join("users").display()
    );
    fs::write(path.join("pgbouncer.ini"), configuration).expect("a file");
    Server::launch(
        directory,
        port,
        |directory, _| {
            let mut command = as_user("postgres", directory, Path::new("/usr/sbin/pgbouncer"));
            command.arg(directory.join("pgbouncer.ini"));
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}

impl Server {
    /// Runs a command in `PgBouncer`'s admin console.
    pub(crate) fn admin(&self, password: &str, command: &str) -> String {
        let mut psql = Command::new("/usr/bin/psql");
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "app", "-d", "pgbouncer", "-qtA", "-c", command]);
        let Output { status, stdout, stderr } = psql.env("PGPASSWORD", password).output().expect("psql");
        assert!(status.success(), "{command}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8_lossy(&stdout).trim().to_owned()
    }
}
