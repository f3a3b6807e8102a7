//! Traefik: as a load balancer, and with any services.

use super::process::{Server, in_venv};
use crate::helpers::free_port;
use std::{fs, path::Path, process::Command};

/// Traefik that polls `/readyz` of the targets at these ports and distributes requests among them.
pub(crate) fn traefik_balancer(targets: &[u16]) -> Server {
    let server = |port| format!("{{url: \"http://127.0.0.1:{port}\"}}, ");
    let servers: String = targets.iter().map(server).collect();
    traefik_with(&format!(
        "http:\n  services:\n    orders:\n      loadBalancer:\n        servers: [{servers}]\n        \
         healthCheck: {{path: /readyz, interval: 250ms}}\n"
    ))
}

/// Traefik with a dynamic configuration that defines the service `orders`, to which it sends all requests.
pub(crate) fn traefik_with(services: &str) -> Server {
    let port = free_port();
    let services = services.replacen("http:\n", "http:\n  routers: {all: {rule: \"PathPrefix(`/`)\", service: orders}}\n", 1);
    let entry = format!(
        "entryPoints: {{web: {{address: \"127.0.0.1:{port}\"}}}}\nproviders: {{file: {{filename: services.yml}}}}\n\
         global: {{checkNewVersion: false, sendAnonymousUsage: false}}\n"
    );
    let with_services = move |directory: &Path, file: &Path| {
        fs::write(directory.join("services.yml"), &services).expect("a file");
        let mut command = Command::new(in_venv("proxies", "traefik"));
        command.current_dir(directory).arg(format!("--configFile={}", file.display()));
        command
    };
    Server::launch_with_file("traefik.yml", &entry, port, with_services)
}
