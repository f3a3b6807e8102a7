//! `PostgreSQL`, with the superuser `app`, whose password is given, and the database `orders`.

use super::{
    Certificates,
    process::{Server, as_user, copy_initialised, folder, newest, own, set_up, set_up_by},
};
use crate::helpers::free_port;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};
use tempfile::TempDir;

const VERSIONS: &str = "/usr/lib/postgresql";

pub(crate) fn postgres(password: &str) -> Server {
    postgres_with(password, &[])
}

/// The same with settings, such as `max_connections=10`.
pub(crate) fn postgres_with(password: &str, settings: &[&str]) -> Server {
    start(password, folder(), settings.iter().map(|&setting| setting.to_owned()).collect())
}

/// The same with optional TLS.
pub(crate) fn postgres_with_tls(password: &str, make: fn(&Path) -> Certificates) -> (Server, Certificates) {
    postgres_with_tls_and(password, make, &[])
}

/// The same with settings.
pub(crate) fn postgres_with_tls_and(password: &str, make: fn(&Path) -> Certificates, more: &[&str]) -> (Server, Certificates) {
    let directory = folder();
    // The key must belong to the server's user.
    let certificates = make(directory.path());
    own("postgres", &certificates.key);
    let mut settings = vec![
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificates.certificate.display()),
        format!("ssl_key_file={}", certificates.key.display()),
        format!("ssl_ca_file={}", certificates.authority.display()),
    ];
    settings.extend(more.iter().map(|&setting| setting.to_owned()));
    (start(password, directory, settings), certificates)
}

/// A standby of another server. It is ready when it accepts connections, or, with `hot_standby=off`, when it refuses them.
pub(crate) fn postgres_standby(primary: &Server, password: &str, settings: &[&str]) -> Server {
    let directory = folder();
    let mut copy = as_user("postgres", directory.path(), &newest(VERSIONS, "bin/pg_basebackup"));
    copy.arg("-D").arg(directory.path().join("data")).args(["-h", "127.0.0.1", "-p", &primary.port.to_string(), "-U", "app", "-R"]);
    set_up(copy.args(["--checkpoint=fast", "--no-sync"]).env("PGPASSWORD", password));
    let port = free_port();
    launch(password, directory, port, settings.iter().map(|&setting| setting.to_owned()).collect())
}

fn start(password: &str, directory: TempDir, settings: Vec<String>) -> Server {
    let data = directory.path().join("data");
    let version = newest(VERSIONS, "bin").parent().and_then(Path::file_name).expect("a version").display().to_string();
    copy_initialised(&format!("postgres-{version}"), &data, |directory| {
        let options = ["--username=app", "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C"];
        let secret = directory.join("secret");
        fs::write(&secret, "replaced").expect("a file");
        let mut initialise = as_user("postgres", directory, &newest(VERSIONS, "bin/initdb"));
        set_up(initialise.arg("-D").arg(directory.join("data")).arg("--pwfile").arg(&secret).args(options));
    });
    let statements = directory.path().join("statements");
    fs::write(&statements, format!("ALTER ROLE app PASSWORD '{password}';\nCREATE DATABASE orders;\n")).expect("a file");
    let mut single = as_user("postgres", directory.path(), &newest(VERSIONS, "bin/postgres"));
    single.args(["--single", "-c", "fsync=off", "-D"]).arg(data).arg("postgres");
    set_up_by(&mut single, File::open(statements).expect("a file"));
    launch(password, directory, free_port(), settings)
}

fn launch(password: &str, directory: TempDir, port: u16, settings: Vec<String>) -> Server {
    let program = newest(VERSIONS, "bin/postgres");
    let password = password.to_owned();
    let refuses = settings.iter().any(|setting| setting == "hot_standby=off");
    Server::launch(
        directory,
        port,
        move |directory, port| {
            let mut command = as_user("postgres", directory, &program);
            command.arg("-D").arg(directory.join("data")).arg("-k").arg(directory).args(["-p", &port.to_string()]);
            for setting in ["listen_addresses=127.0.0.1", "fsync=off"].into_iter().chain(settings.iter().map(String::as_str)) {
                command.args(["-c", setting]);
            }
            command
        },
        move |_, port| {
            let output = psql(port, &password, "postgres", "SELECT 1").output().expect("psql");
            output.status.success() || (refuses && String::from_utf8_lossy(&output.stderr).contains("not accepting connections"))
        },
    )
}

impl Server {
    /// Shuts the server down as soon as the last session ends. Until then it rejects new ones.
    pub(crate) fn shut_down_when_idle(&self) {
        let pid = fs::read_to_string(self.directory.path().join("data/postmaster.pid")).expect("a file");
        let pid = pid.lines().next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::TERM).expect("a running process");
    }

    /// Runs a statement as the superuser, which must succeed, and returns the rows as lines.
    pub(crate) fn psql(&self, password: &str, database: &str, statement: &str) -> String {
        let output = psql(self.port, password, database, statement).output().expect("psql");
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

fn psql(port: u16, password: &str, database: &str, statement: &str) -> Command {
    let mut command = Command::new(newest(VERSIONS, "bin/psql"));
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "app", "-d", database, "-qtA", "-c", statement]);
    command.env("PGPASSWORD", password);
    command
}
