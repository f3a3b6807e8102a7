//! How soon a process that was just started answers 200 for four real backends; and what its file and its memory come to.

use crate::{
    figures::Figures,
    scene::Scene,
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

/// From the start of the process to the first complete 200, in turn with the reference.
pub(crate) fn to_the_first_answer(scene: &Scene) -> Vec<Row> {
    let configuration = scene.configuration("");
    let (mut ours, mut reference) = (Figures::default(), Figures::default());
    let timed = |begin: &dyn Fn() -> Service| {
        let began = Instant::now();
        begin().first_well(began).as_secs_f64() * 1e3
    };
    for _ in 0..ROUNDS {
        ours.push(timed(&|| {
            Service::begin(|directory, address| {
                fs::write(directory.path().join("allswell.toml"), &configuration).expect("a configuration");
                let mut command = Command::new(product());
                command.args(["serve", "--listen", &address.to_string()]);
                command
            })
        }));
        reference.push(timed(&|| django(scene)));
    }
    let found = format!("{} ms; django-health-check 4 under gunicorn: {} ms", ours.shown(0), reference.shown(0));
    vec![Row::at_most("process start to the first complete 200, four real backends", "≤ 60 ms at the median", found, ours.median(), 60.0)]
}

/// The same backends under django-health-check.
fn django(scene: &Scene) -> Service {
    Service::begin(|directory, address| {
        fs::write(directory.path().join("app.py"), APP).expect("a file");
        let mut command = Command::new(in_venv("bench", "gunicorn"));
        command.args(["--workers", "2", "--bind", &address.to_string(), "app:application"]);
        command.env("POSTGRES_PORT", scene.postgres.port.to_string()).env("POSTGRES_URL", scene.postgres_url());
        command.env("REDIS_URL", scene.redis_url()).env("RABBITMQ_URL", scene.rabbitmq_url()).env("MEMCACHED", scene.memcached_address());
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

/// Memory at rest, memory for each check more, and the size of the file.
pub(crate) fn memory(scene: &Scene) -> Vec<Row> {
    let control = Service::control("well\n");
    let ten = scene.configuration("")
        + "[checks.memory]\nkind = \"memory\"\n[checks.disk]\nkind = \"disk\"\npath = \"/\"\n[checks.storage]\nkind = \"storage\"\npath = \".\"\n\
           [checks.sqlite]\nkind = \"sqlite\"\npath = \"db.sqlite3\"\ncreate = true\n"
        + &tcp(0..1, control.address.port())
        + &http(0..1, control.address.port());
    let idle = |configuration: &str, rest: u64| {
        let service = Service::allswell(configuration);
        service.await_status(200);
        sleep(Duration::from_secs(rest));
        f64::from(service.resident())
    };
    let all: Figures = (0..5).map(|_| idle(&ten, 15) / 1024.0).collect();
    // Each check is probed at least once.
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
        Row::at_most("resident memory, ten checks, idle", "≤ 16 MiB", format!("{} MiB", all.shown(1)), all.median(), 16.0),
        Row::at_most("memory for each tcp check more", "≤ 8 KiB", format!("{} KiB", tcp.shown(1)), tcp.median(), 8.0),
        Row::at_most(
            "memory for each http check more, beside its connection's",
            "≤ 8 KiB",
            format!(
                "{} KiB; with the kept connection of the default, of which 24 KiB are buffers of hyper and tokio, {}",
                http.shown(1),
                kept.shown(1)
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

/// An address of loopback's own for each, so that ports do not run out.
fn loopback(n: u32, port: u16) -> String {
    format!("127.1.{}.{}:{port}", n / 250, n % 250 + 1)
}
