//! The project of `docs/migration/project.md`, run for real: its servers, Django with both versions of the package, a worker, and allswell.

use super::{block, page};
use crate::{
    helpers::{Allswell, Ran, Response, command, free_port, run},
    servers::{Server, folder, in_venv, memcached, mounts::Mounted, postgres, rabbitmq, redis},
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

pub(super) const PASSWORD: &str = "of-the-tests";

/// A variable's name and value.
type Variables = Vec<(&'static str, String)>;

/// A version of django-health-check: its major number and its virtual environment.
#[derive(Clone, Copy)]
pub(super) struct Version {
    pub(super) number: u8,
    venv: &'static str,
    /// Its word for a passing check.
    pub(super) well: &'static str,
    /// Our dialect for its format.
    pub(super) dialect: &'static str,
}

pub(super) const VERSIONS: [Version; 2] = [
    Version { number: 4, venv: "django", well: "OK", dialect: "django" },
    Version { number: 3, venv: "django3", well: "working", dialect: "django3" },
];

/// The servers of the project, and the programs that check them. The latter come first, so that they are dropped first.
pub(super) struct Shop {
    pub(super) originals: [Server; 2],
    pub(super) ours: Allswell,
    pub(super) worker: Server,
    pub(super) postgres: Server,
    pub(super) redis: Server,
    pub(super) memcached: Server,
    pub(super) rabbitmq: Server,
    pub(super) mail: Server,
    pub(super) media: PathBuf,
    /// The file system of `media`, if this user may mount one.
    pub(super) disk: Option<Mounted>,
    files: TempDir,
    variables: Variables,
}

impl Shop {
    /// Starts everything.
    pub(super) fn open() -> Self {
        let (files, disk) = (folder(), Mounted::tmpfs("size=1m"));
        let media = disk.as_ref().map_or_else(|| files.path().to_owned(), Mounted::path).join("uploads");
        let (postgres, redis, memcached) = (postgres(PASSWORD), redis(PASSWORD), memcached(&[]));
        let (rabbitmq, mail) = (rabbitmq(PASSWORD), mail());
        fs::create_dir(&media).expect("a folder");
        let variables = vec![
            ("SECRET_KEY", "of the tests".to_owned()),
            ("DB_PORT", postgres.port.to_string()),
            ("DB_PASSWORD", PASSWORD.to_owned()),
            ("REDIS_URL", format!("redis://:{PASSWORD}@127.0.0.1:{}/0", redis.port)),
            ("MEMCACHED", format!("127.0.0.1:{}", memcached.port)),
            ("BROKER_URL", format!("amqp://app:{PASSWORD}@127.0.0.1:{}//", rabbitmq.port)),
            ("MEDIA_ROOT", media.display().to_string()),
            ("EMAIL_PORT", mail.port.to_string()),
        ];
        let [four, three] = VERSIONS.map(|version| {
            let project = files.path().join(version.number.to_string());
            write(&project, version);
            project
        });
        let migrated = run(in_project(VERSIONS[1], &three, &variables, "python").args(["-m", "django", "migrate"]));
        assert_eq!(migrated.code, Some(0), "{}{}", migrated.stdout, migrated.stderr);

        let worker = worker(&three, &variables);
        let originals = [serve(VERSIONS[0], &four, &variables), serve(VERSIONS[1], &three, &variables)];
        // Very short times; and connections are renewed at once, so that changed passwords are detected.
        let mut hasty: Vec<(String, String)> = vec![("ALLSWELL_DEFAULTS__INTERVAL".to_owned(), "500ms".to_owned())];
        hasty.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        for check in ["cache", "celery", "database", "migrations", "rabbitmq", "redis", "sessions"] {
            // The check knows a worker by its heartbeats while the connection is kept.
            let age = if check == "celery" { "6s" } else { "1s" };
            hasty.push((format!("ALLSWELL_CHECKS__{}__MAX_CONNECTION_AGE", check.to_ascii_uppercase()), age.to_owned()));
        }
        let hasty: Vec<(&str, &str)> = hasty.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let ours = Allswell::start_with(&configuration(&four), &hasty);
        Self { originals, ours, worker, postgres, redis, memcached, rabbitmq, mail, media, disk, files, variables }
    }

    /// `python -m django …` with a version, in a project with some texts replaced.
    pub(super) fn manage(&self, version: Version, arguments: &[&str], differently: &[(&str, &str)]) -> Ran {
        let files = folder();
        write(files.path(), version);
        let settings = files.path().join("orders");
        for name in ["settings.py", "urls.py"] {
            let text = fs::read_to_string(settings.join(name)).expect("a file");
            fs::write(settings.join(name), replaced(&text, differently)).expect("a file");
        }
        run(in_project(version, files.path(), &self.variables, "python").args(["-m", "django"]).args(arguments))
    }

    /// `allswell check` of the same.
    pub(super) fn check(&self, arguments: &[&str], differently: &[(&str, &str)]) -> Ran {
        let directory = folder();
        let text = replaced(&configuration(&self.files.path().join("4")), differently);
        fs::write(directory.path().join("allswell.toml"), text).expect("a file");
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        run(command(&directory).envs(variables).arg("check").args(arguments))
    }
}

fn replaced(text: &str, differently: &[(&str, &str)]) -> String {
    differently.iter().fold(text.to_owned(), |text, (before, after)| text.replace(before, after))
}

/// The configuration of the page for a project in a folder.
fn configuration(project: &Path) -> String {
    block(&page("project.md"), "allswell.toml").replace("/srv/shop", &project.display().to_string())
}

/// The files of the page.
fn write(project: &Path, version: Version) {
    let page = page("project.md");
    let orders = project.join("orders");
    fs::create_dir_all(orders.join("migrations")).expect("a folder");
    let of = |file: &str| block(&page, &format!("orders/{file} for version {}", version.number));
    for (name, text) in [
        ("__init__.py", "from .celery import app\n".to_owned()),
        ("celery.py", block(&page, "orders/celery.py")),
        ("settings.py", block(&page, "orders/settings.py") + "\n" + &of("settings.py")),
        ("urls.py", of("urls.py")),
        ("migrations/__init__.py", String::new()),
        (
            "migrations/0001_initial.py",
            "from django.db import migrations\nclass Migration(migrations.Migration):\n    initial = True\n".to_owned(),
        ),
    ] {
        fs::write(orders.join(name), text).expect("a file");
    }
}

fn in_project(version: Version, project: &Path, variables: &Variables, program: &str) -> Command {
    let mut command = Command::new(in_venv(version.venv, program));
    command.current_dir(project).envs(variables.iter().map(|(name, value)| (name, value)));
    command.env("DJANGO_SETTINGS_MODULE", "orders.settings").env("PYTHONPATH", project);
    command
}

fn serve(version: Version, project: &Path, variables: &Variables) -> Server {
    let (project, variables) = (project.to_owned(), variables.clone());
    Server::launch(
        folder(),
        free_port(),
        move |_, port| {
            let mut command = in_project(version, &project, &variables, "python");
            command.args(["-m", "django", "runserver", "--noreload", &format!("127.0.0.1:{port}")]);
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}

/// The project's own worker: version 3 sends it a task.
fn worker(project: &Path, variables: &Variables) -> Server {
    let (project, variables) = (project.to_owned(), variables.clone());
    Server::launch(
        folder(),
        0,
        move |_, _| {
            let mut command = in_project(VERSIONS[1], &project, &variables, "celery");
            command.args(["--app", "orders", "worker", "--pool", "solo", "--loglevel", "INFO", "--hostname", "worker@shop"]);
            command
        },
        |directory, _| fs::read_to_string(directory.join("log")).is_ok_and(|log| log.contains(" ready.")),
    )
}

fn mail() -> Server {
    Server::launch(
        folder(),
        free_port(),
        |directory, port| {
            let mut command = Command::new(in_venv("django", "python"));
            command.current_dir(directory).args(["-m", "aiosmtpd", "--nosetuid", "--listen", &format!("127.0.0.1:{port}")]);
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}

/// Requests a path of Django with the only Host that it allows, within a timeout.
pub(super) fn asked(server: &Server, path: &str, patience: Duration) -> Option<Response> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
    stream.set_read_timeout(Some(patience)).expect("a timeout");
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: www.example.com\r\n\r\n").as_bytes()).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(Response::parse(&text, Duration::ZERO))
}
