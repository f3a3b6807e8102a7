//! Measures the time from the start of a process to its first 200 with four real backends, the size of the binary, and its memory.

use crate::{
    backends::Backends,
    figures::Figures,
    servers::in_venv,
    service::{Service, product},
    table::Row,
};
use std::{
    fs,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

const ROUNDS: usize = 11;

/// Measures the time from the start of the process to the first complete 200, in turn with the reference.
pub(crate) fn start_up(backends: &Backends) -> Vec<Row> {
    let configuration = backends.configuration("");
    let (mut ours, mut reference) = (Figures::default(), Figures::default());
    let timed = |spawn: &dyn Fn() -> Service| {
        let began = Instant::now();
        spawn().time_to_first_200(began).as_secs_f64() * 1e3
    };
    for _ in 0..ROUNDS {
        ours.push(timed(&|| {
            Service::spawn(|directory, address| {
                fs::write(directory.path().join("allswell.toml"), &configuration).expect("a configuration");
                let mut command = Command::new(product());
                command.args(["serve", "--listen", &address.to_string()]);
                command
            })
        }));
        reference.push(timed(&|| django(backends)));
    }
    let measured = format!("{} ms; django-health-check 4 under gunicorn: {} ms", ours.to_text(0), reference.to_text(0));
    vec![Row::at_most(
        "process start to the first complete 200, four real backends",
        "≤ 60 ms at the median",
        measured,
        ours.median(),
        60.0,
    )]
}

/// django-health-check with checks of the same backends.
fn django(backends: &Backends) -> Service {
    Service::spawn(|directory, address| {
        fs::write(directory.path().join("app.py"), APP).expect("a file");
        let mut command = Command::new(in_venv("bench", "gunicorn"));
        command.args(["--workers", "2", "--bind", &address.to_string(), "app:application"]);
        command.env("POSTGRES_PORT", backends.postgres.port.to_string()).env("POSTGRES_URL", backends.postgres_url());
        command
            .env("REDIS_URL", backends.redis_url())
            .env("RABBITMQ_URL", backends.rabbitmq_url())
            .env("MEMCACHED", backends.memcached_address());
        command
    })
}

const APP: &str = r#"
import os
from urllib.parse import urlsplit
from django.conf import settings

postgres = urlsplit(os.environ["POSTGRES_URL"])
settings.configure(
    SECRET_KEY="of the benchmark",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="app",
    INSTALLED_APPS=["health_check"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": postgres.path[1:],
            "USER": postgres.username,
            "PASSWORD": postgres.password,
            "HOST": postgres.hostname,
            "PORT": postgres.port,
        }
    },
    CACHES={"default": {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": os.environ["MEMCACHED"]}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
)

import django

django.setup()

from django.core.wsgi import get_wsgi_application
from django.urls import path
from health_check.contrib.rabbitmq import RabbitMQ
from health_check.contrib.redis import Redis
from health_check.views import HealthCheckView
from redis.asyncio import Redis as RedisClient

checks = [
    "health_check.checks.Database",
    "health_check.checks.Cache",
    (RabbitMQ, {"amqp_url": os.environ["RABBITMQ_URL"]}),
    (Redis, {"client_factory": lambda: RedisClient.from_url(os.environ["REDIS_URL"])}),
]
urlpatterns = [path("health", HealthCheckView.as_view(checks=checks))]
application = get_wsgi_application()
"#;

/// Measures resident memory when idle, memory per additional check, and the size of the binary.
pub(crate) fn memory(backends: &Backends) -> Vec<Row> {
    let control = Service::control("well\n");
    let ten = backends.configuration("")
        + "[checks.memory]\nkind = \"memory\"\n[checks.disk]\nkind = \"disk\"\npath = \"/\"\n[checks.storage]\nkind = \"storage\"\npath = \".\"\n\
           [checks.sqlite]\nkind = \"sqlite\"\npath = \"db.sqlite3\"\ncreate = true\n"
        + &tcp(0..1, control.address.port())
        + &http(0..1, control.address.port());
    let idle = |configuration: &str, rest: u64| {
        let service = Service::allswell(configuration);
        service.await_status(200);
        sleep(Duration::from_secs(rest));
        f64::from(service.resident_kib())
    };
    let all: Figures = (0..5).map(|_| idle(&ten, 15) / 1024.0).collect();
    // Long enough for each check to be probed at least once.
    let each = |more: &dyn Fn(std::ops::Range<u32>, u16) -> String| -> Figures {
        (0..3)
            .map(|_| (idle(&more(0..1010, control.address.port()), 15) - idle(&more(0..10, control.address.port()), 15)) / 1000.0)
            .collect()
    };
    let fresh = |which: std::ops::Range<u32>, port| http(which, port).replace("\nurl", "\nconnection = \"fresh\"\nurl");
    let (tcp, kept, http) = (each(&tcp), each(&http), each(&fresh));
    #[expect(clippy::cast_precision_loss, reason = "a file of some megabytes")]
    let file = fs::metadata(product()).expect("the product").len() as f64 / 1024.0 / 1024.0;
    vec![
        Row::at_most("resident memory, ten checks, idle", "≤ 16 MiB", format!("{} MiB", all.to_text(1)), all.median(), 16.0),
        Row::at_most("memory per additional tcp check", "≤ 8 KiB", format!("{} KiB", tcp.to_text(1)), tcp.median(), 8.0),
        Row::at_most(
            "memory per additional http check, without its connection",
            "≤ 8 KiB",
            format!(
                "{} KiB; {} with the connection that is kept by default, including 24 KiB of buffers of hyper and tokio",
                http.to_text(1),
                kept.to_text(1)
            ),
            http.median(),
            8.0,
        ),
        Row::at_most("the stripped binary with all kinds", "≤ 25 MiB", format!("{file:.1} MiB"), file, 25.0),
    ]
}

pub(crate) fn tcp(which: std::ops::Range<u32>, port: u16) -> String {
    which.fold(String::new(), |all, n| all + &format!("[checks.tcp_{n}]\nkind = \"tcp\"\naddress = \"{}\"\n", loopback(n, port)))
}

fn http(which: std::ops::Range<u32>, port: u16) -> String {
    which
        .fold(String::new(), |all, n| all + &format!("[checks.http_{n}]\nkind = \"http\"\nurl = \"http://{}/health\"\n", loopback(n, port)))
}

/// A different loopback address for each check, because one address has too few ports.
fn loopback(n: u32, port: u16) -> String {
    format!("127.1.{}.{}:{port}", n / 250, n % 250 + 1)
}
