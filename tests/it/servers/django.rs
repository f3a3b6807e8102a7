//! A real Django app behind no load balancer: it allows one Host, redirects to HTTPS, protects against CSRF, and reports its own health.

use super::process::{Server, folder, in_venv};
use crate::helpers::free_port;
use std::{fs, process::Command};

/// Words that change the app: `trust` makes it trust the header `X-Forwarded-Proto`, `debug` sets DEBUG, `localhost` allows that Host, too,
/// `any-host` every Host, `plain` removes the redirect to HTTPS, `no-append` the redirect to a missing slash, and with `any-path` every path exists.
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
import time
from django.conf import settings

settings.configure(
    SECRET_KEY="of the tests",
    DEBUG="debug" in sys.argv,
    ALLOWED_HOSTS=["*"] if "any-host" in sys.argv else ["www.example.com", "localhost"] if "localhost" in sys.argv else ["www.example.com"],
    ROOT_URLCONF="__main__",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "health_check"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    APPEND_SLASH="no-append" not in sys.argv,
    SECURE_SSL_REDIRECT="plain" not in sys.argv,
    SECURE_REDIRECT_EXEMPT=["^open/"],
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https") if "trust" in sys.argv else None,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
)

import django

django.setup()

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import run
from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import path, re_path
from django.views.csrf import csrf_failure
from django.views.decorators.http import require_GET
from health_check.views import HealthCheckView


def well(request):
    return HttpResponse("all is well")


def slow(request):
    time.sleep(1.5)
    return well(request)


def forbidden(request):
    raise PermissionDenied


database = "health_check.checks.Database"
urlpatterns = [
    path("", lambda request: HttpResponse("home")),
    path("health/", well),
    path("get/", require_GET(well)),
    path("private/", login_required(well)),
    path("accounts/login/", lambda request: HttpResponse("Who are you?")),
    path("csrf/", lambda request: csrf_failure(request, "CSRF cookie not set.")),
    path("slow/", slow),
    path("stream/", lambda request: StreamingHttpResponse(["all ", "is ", "well"])),
    path("error/", lambda request: 1 / 0),
    path("forbidden/", forbidden),
    path("limited/", lambda request: HttpResponse(status=429)),
    path("empty/", lambda request: HttpResponse(status=204)),
    path("round/", lambda request: HttpResponseRedirect("/round/")),
    path("moved/", lambda request: HttpResponseRedirect("/health/")),
    path("open/", lambda request: HttpResponse("open")),
    path("open/health/", HealthCheckView.as_view(checks=[database, "health_check.checks.Cache"])),
    path("open/ill/", HealthCheckView.as_view(checks=[(database, {"alias": "nope"}), "health_check.checks.Cache"])),
]
if "any-path" in sys.argv:
    urlpatterns.append(re_path(".*", well))
run("127.0.0.1", int(sys.argv[1]), WSGIHandler(), threading=True)
"#;
