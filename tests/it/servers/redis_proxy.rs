//! Proxies in front of Redis and Memcached: twemproxy and Envoy.

use super::process::{Server, folder, in_venv};
use crate::helpers::free_port;
use std::{fs, net::TcpStream, process::Command};

/// A twemproxy in front of one server on loopback, with further settings of the pool: `redis: true` for Redis.
pub(crate) fn twemproxy(server: u16, settings: &[&str]) -> Server {
    let (directory, port) = (folder(), free_port());
    let settings = settings.join("\n  ");
    let pool = format!(
        "pool:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n  timeout: 2000\n  servers:\n   - 127.0.0.1:{server}:1\n  {settings}\n"
    );
    fs::write(directory.path().join("pool.yml"), pool).expect("a file");
    Server::launch(
        directory,
        port,
        |directory, _| {
            let mut command = Command::new("nutcracker");
            command.arg("--conf-file").arg(directory.join("pool.yml")).args(["--stats-addr", "127.0.0.1", "--stats-port"]);
            command.arg(free_port().to_string());
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}

/// Envoy's Redis proxy in front of one server on loopback, with further settings of the filter.
pub(crate) fn envoy(server: u16, settings: &str) -> Server {
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
    envoy_with(port, &configuration)
}

/// Envoy with this configuration, which listens on a port.
pub(crate) fn envoy_with(port: u16, configuration: &str) -> Server {
    let directory = folder();
    fs::write(directory.path().join("envoy.yaml"), configuration).expect("a file");
    Server::launch(
        directory,
        port,
        |directory, _| {
            let mut command = Command::new(in_venv("envoy", "envoy"));
            command.arg("--config-path").arg(directory.join("envoy.yaml")).args(["--concurrency", "1", "--use-dynamic-base-id"]);
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}
