//! Load balancers that poll `/readyz` of their targets on loopback: Envoy, Traefik, Caddy and `HAProxy`. Besides the interval, which is short,
//! they have their own defaults where they have any.

use super::process::{Server, folder, in_venv};
use crate::helpers::free_port;
use std::{fs, net::TcpStream, path::Path, process::Command};

/// A load balancer that distributes requests among the targets at these ports.
pub(crate) type StartBalancer = fn(targets: &[u16]) -> Server;

/// Envoy. It polls a cluster without traffic every `no_traffic_interval`, by default once a minute.
pub(crate) fn envoy_balancer(targets: &[u16]) -> Server {
    let endpoint = |port| format!("{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}");
    let (port, endpoints) = (free_port(), listed(targets, ", ", endpoint));
    let configuration = format!(
        r#"static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          route_config:
            virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: app}}}}]}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: app
    type: STATIC
    connect_timeout: 1s
    health_checks:
    - timeout: 1s
      interval: 0.25s
      no_traffic_interval: 0.25s
      unhealthy_threshold: 2
      healthy_threshold: 2
      http_health_check: {{path: /readyz}}
    load_assignment: {{cluster_name: app, endpoints: [{{lb_endpoints: [{endpoints}]}}]}}
"#
    );
    started("envoy.yaml", &configuration, port, |directory, file| {
        let mut command = Command::new(in_venv("envoy", "envoy"));
        command.current_dir(directory).arg("--config-path").arg(file).args(["--concurrency", "1", "--use-dynamic-base-id"]);
        command
    })
}

/// Traefik.
pub(crate) fn traefik(targets: &[u16]) -> Server {
    let servers = listed(targets, ", ", |port| format!("{{url: \"http://127.0.0.1:{port}\"}}"));
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
    started("traefik.yml", &entry, port, with_services)
}

/// Caddy. Its policy `round_robin` finds no target for some of several concurrent requests while one target is down, so this has the default.
pub(crate) fn caddy(targets: &[u16]) -> Server {
    let upstreams = listed(targets, " ", |port| format!("127.0.0.1:{port}"));
    caddy_with(&format!(":80 {{\n  reverse_proxy {upstreams} {{\n    health_uri /readyz\n    health_interval 250ms\n  }}\n}}\n"))
}

/// Caddy with a site `:80`, which is served at another port on loopback.
pub(crate) fn caddy_with(site: &str) -> Server {
    let port = free_port();
    let site = site.replacen(":80 {\n", &format!(":{port} {{\n  bind 127.0.0.1\n"), 1);
    let configuration = format!("{{\n  admin off\n  auto_https off\n  persist_config off\n}}\n{site}");
    started("Caddyfile", &configuration, port, |directory, file| {
        let mut command = Command::new(in_venv("proxies", "caddy"));
        command.env("XDG_DATA_HOME", directory).env("XDG_CONFIG_HOME", directory);
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
        command
    })
}

/// nginx, which does not poll: it repeats a request that fails on another target, and then avoids the first one for a while.
pub(crate) fn nginx_balancer(targets: &[u16]) -> Server {
    let (port, servers) = (free_port(), listed(targets, " ", |port| format!("server 127.0.0.1:{port};")));
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {name};")).concat();
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid pid;\nevents {{}}\nhttp {{\n  access_log off;\n  {temporary}\n  upstream app {{ {servers} }}\n  \
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://app; }} }}\n}}\n"
    );
    started("nginx.conf", &configuration, port, |directory, file| {
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-e").arg(directory.join("error")).arg("-p").arg(directory).arg("-c").arg(file);
        command
    })
}

/// `HAProxy` with a path, and so `OPTIONS` over HTTP/1.0.
pub(crate) fn haproxy_balancer(targets: &[u16]) -> Server {
    let (port, servers) = (free_port(), listed(targets, "\n", |port| format!("  server s{port} 127.0.0.1:{port} check inter 250ms")));
    let configuration = format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n  timeout check 2s\n\
         listen web\n  bind 127.0.0.1:{port}\n  balance roundrobin\n  option httpchk OPTIONS /readyz\n{servers}\n"
    );
    started("haproxy.cfg", &configuration, port, |_, file| {
        let mut command = Command::new("/usr/sbin/haproxy");
        command.arg("-W").arg("-db").arg("-f").arg(file);
        command
    })
}

fn listed(targets: &[u16], separator: &str, one: impl Fn(u16) -> String) -> String {
    targets.iter().map(|port| one(*port)).collect::<Vec<_>>().join(separator)
}

/// Starts a load balancer with a configuration file, and waits until it listens.
fn started(name: &str, configuration: &str, port: u16, command: impl Fn(&Path, &Path) -> Command + Send + Sync + 'static) -> Server {
    let (directory, name) = (folder(), name.to_owned());
    fs::write(directory.path().join(&name), configuration).expect("a file");
    Server::launch(
        directory,
        port,
        move |directory, _| command(directory, &directory.join(&name)),
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}
