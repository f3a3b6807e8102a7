//! Caddy: as a load balancer, and with any site.

use super::process::{Server, in_venv};
use crate::helpers::free_port;
use std::{path::Path, process::Command};

/// The command that runs Caddy with a configuration file.
pub(super) fn caddy_command(file: &Path) -> Command {
    let mut command = Command::new(in_venv("proxies", "caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    command
}

/// Caddy that polls `/readyz` of the targets at these ports and distributes requests among them. Its policy `round_robin` finds no target for
/// some of several concurrent requests while one target is down, so this has the default.
pub(crate) fn caddy_balancer(targets: &[u16]) -> Server {
    let upstream = |port| format!(" 127.0.0.1:{port}");
    let upstreams: String = targets.iter().map(upstream).collect();
    caddy_with(&format!(":80 {{\n  reverse_proxy{upstreams} {{\n    health_uri /readyz\n    health_interval 250ms\n  }}\n}}\n"))
}

/// Caddy with a site `:80`, which is served at another port on loopback.
pub(crate) fn caddy_with(site: &str) -> Server {
    let port = free_port();
    let site = site.replacen(":80 {\n", &format!(":{port} {{\n  bind 127.0.0.1\n"), 1);
    let configuration = format!("{{\n  admin off\n  auto_https off\n  persist_config off\n}}\n{site}");
    Server::launch_with_file("Caddyfile", &configuration, port, |directory, file| {
        let mut command = caddy_command(file);
        command.env("XDG_DATA_HOME", directory).env("XDG_CONFIG_HOME", directory);
        command
    })
}
