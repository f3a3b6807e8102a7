//! A real Django app behind no load balancer: it allows one Host, redirects to HTTPS, protects against CSRF, and reports its own health.

use super::process::{Server, folder, in_venv};
use crate::helpers::free_port;
use std::{fs, process::Command};

/// With `trust` it believes the header `X-Forwarded-Proto`; with `debug` it tells more than it should.
pub(crate) fn django(words: &'static [&'static str]) -> Server {
    let directory = folder();
    fs::write(directory.path().join("app.py"), APP).expect("a file");
    Server::launch(
        directory,
        free_port(),
        move |directory, port| {
            let mut command = Command::new(in_venv("django", "python"));
            command.current_dir(directory).arg("app.py").arg(port.to_string()).args(words);
            command
        },
        |_, port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}

const APP: &str = r#"
import sys
from django.conf import settings

settings.configure(
    SECRET_KEY="of the tests",
    DEBUG="debug" in sys.argv,
    ALLOWED_HOSTS=["www.example.com"],
    ROOT_URLCONF="__main__",
    INSTALLED_APPS=["health_check"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    SECURE_SSL_REDIRECT=True,
    SECURE_REDIRECT_EXEMPT=["^open/"],
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https") if "trust" in sys.argv else None,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
)

import django

django.setup()

from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import run
from django.http import HttpResponse
from django.urls import path
from health_check.views import HealthCheckView

database = "health_check.checks.Database"
urlpatterns = [
    path("", lambda request: HttpResponse("home")),
    path("open/", lambda request: HttpResponse("open")),
    path("open/health/", HealthCheckView.as_view(checks=[database, "health_check.checks.Cache"])),
    path("open/ill/", HealthCheckView.as_view(checks=[(database, {"alias": "nope"}), "health_check.checks.Cache"])),
]
run("127.0.0.1", int(sys.argv[1]), WSGIHandler(), threading=True)
"#;
