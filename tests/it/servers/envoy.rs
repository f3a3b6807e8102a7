//! Envoy: as a proxy of Redis, as a load balancer, and with any configuration.

use super::process::{Server, in_venv};
use crate::helpers::free_port;
use std::{path::Path, process::Command};

/// The command that runs Envoy with a configuration file.
pub(super) fn envoy_command(file: &Path) -> Command {
    let mut command = Command::new(in_venv("envoy", "envoy"));
    command.args(["--concurrency", "1", "--use-dynamic-base-id", "--config-path"]).arg(file);
    command
}

/// Envoy's Redis proxy in front of one server on loopback, with further settings of the filter.
pub(crate) fn envoy_for_redis(server: u16, settings: &str) -> Server {
    let port = free_port();
    let configuration = format!(
        r#"static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.redis_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy
          stat_prefix: redis
          settings: {{op_timeout: 2s}}
          prefix_routes: {{catch_all_route: {{cluster: redis}}}}
          {settings}
  clusters:
  - name: redis
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: redis
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {server}}}}}}}}}]}}]
"#
    );
    launch(port, &configuration)
}

/// Envoy that polls `/readyz` of the targets at these ports and distributes requests among them. It polls a cluster without traffic every
/// `no_traffic_interval`, by default once a minute.
pub(crate) fn envoy_balancer(targets: &[u16]) -> Server {
    let polls = "health_checks:
    - timeout: 1s
      interval: 0.25s
      no_traffic_interval: 0.25s
      unhealthy_threshold: 2
      healthy_threshold: 2
      http_health_check: {path: /readyz}";
    http_proxy(targets, polls)
}

/// Envoy that forwards requests to a server on loopback, by `http_protocol_options` (HTTP/1.1) or `http2_protocol_options`.
pub(crate) fn envoy_in_front(server: u16, protocol: &str) -> Server {
    let options = format!(
        r#"typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{{protocol}: {{}}}}"#
    );
    http_proxy(&[server], &options)
}

/// Envoy that forwards requests to the servers of a cluster with these settings.
fn http_proxy(servers: &[u16], settings: &str) -> Server {
    let endpoint = |port| format!("{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}, ");
    let (port, endpoints) = (free_port(), servers.iter().map(endpoint).collect::<String>());
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
    {settings}
    load_assignment: {{cluster_name: app, endpoints: [{{lb_endpoints: [{endpoints}]}}]}}
"#
    );
    launch(port, &configuration)
}

/// Envoy with a configuration that listens on a port.
fn launch(port: u16, configuration: &str) -> Server {
    Server::launch_with_file("envoy.yaml", configuration, port, |_, file| envoy_command(file))
}
