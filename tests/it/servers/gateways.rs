//! nginx, Apache httpd, Caddy and Envoy, each with the faults that a front server can have. Their configurations are in `apps`.

use super::{
    Certificates,
    caddy::caddy_command,
    envoy::envoy_command,
    nginx::nginx_command,
    process::{Server, folder, listens},
};
use crate::helpers::free_port;
use std::{fs, path::Path, process::Command};

/// A server and its other ports, in the order of `PORT1`, `PORT2` … in its configuration.
pub(crate) struct Gateway {
    pub(crate) server: Server,
    pub(crate) ports: Vec<u16>,
}

pub(crate) fn nginx_gateway() -> Gateway {
    launch("nginx.conf", include_str!("apps/nginx.conf"), |directory, file| {
        fs::create_dir_all(directory.join("www/directory")).expect("a folder");
        fs::write(directory.join("www/limited"), "ok").expect("a file");
        nginx_command(directory, file)
    })
}

pub(crate) fn apache_gateway() -> Gateway {
    launch("httpd.conf", include_str!("apps/httpd.conf"), |directory, file| {
        fs::create_dir_all(directory.join("www")).expect("a folder");
        fs::write(directory.join("www/health"), "ok").expect("a file");
        let mut command = Command::new("/usr/sbin/apache2");
        command.arg("-X").arg("-f").arg(file);
        command
    })
}

pub(crate) fn caddy_gateway() -> Gateway {
    launch("Caddyfile", include_str!("apps/Caddyfile"), |_, file| caddy_command(file))
}

pub(crate) fn envoy_gateway() -> Gateway {
    launch("envoy.yaml", include_str!("apps/envoy.yaml"), |_, file| envoy_command(file))
}

/// Starts a server with a configuration in which `DIRECTORY`, `PORT0`, `PORT1` … are replaced.
fn launch(name: &'static str, configuration: &str, start: impl Fn(&Path, &Path) -> Command + Send + Sync + 'static) -> Gateway {
    let directory = folder();
    Certificates::new(directory.path());
    let used = (0..).take_while(|index| configuration.contains(&format!("PORT{index}")));
    let ports: Vec<u16> = used.map(|_| free_port()).collect();
    let configuration = configuration.replace("DIRECTORY", &directory.path().display().to_string());
    let configuration =
        ports.iter().enumerate().fold(configuration, |text, (index, port)| text.replace(&format!("PORT{index}"), &port.to_string()));
    fs::write(directory.path().join(name), configuration).expect("a file");
    let all = ports.clone();
    let server = Server::launch(
        directory,
        ports[0],
        move |directory, _| start(directory, &directory.join(name)),
        move |_, _| all.iter().all(|port| listens(*port)),
    );
    Gateway { server, ports: ports[1..].to_vec() }
}
