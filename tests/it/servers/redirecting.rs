//! nginx and Apache httpd in front of an app that redirect to HTTPS, with and without an exemption for `/health`.

use super::process::{Server, folder};
use crate::helpers::free_port;
use std::{fs, net::TcpStream, process::Command};

/// A server, the port on which everything is redirected, and the port on which everything except `/health` is.
pub(crate) struct Redirecting {
    pub(crate) server: Server,
    pub(crate) strict: u16,
    pub(crate) sparing: u16,
}

pub(crate) fn redirecting_nginx() -> Redirecting {
    let sparing = free_port();
    let server = launch(sparing, "/usr/sbin/nginx", |directory, strict, sparing| {
        let friends = free_port();
        fs::write(format!("{directory}/friends"), friends.to_string()).expect("a file");
        format!(
            "daemon off;\nmaster_process off;\npid {directory}/pid;\nevents {{}}\nhttp {{\n  access_log off;\n  client_body_temp_path {directory}/b;\n  \
             proxy_temp_path {directory}/p;\n  fastcgi_temp_path {directory}/f;\n  uwsgi_temp_path {directory}/u;\n  scgi_temp_path {directory}/s;\n  \
             server {{ listen 127.0.0.1:{strict}; location / {{ return 301 https://$host$request_uri; }} }}\n  \
             server {{ listen 127.0.0.1:{sparing}; location / {{ return 301 https://$host$request_uri; }} location = /health {{ return 200 well; }} }}\n  \
             server {{ listen 127.0.0.1:{friends} default_server; return 444; }}\n  \
             server {{ listen 127.0.0.1:{friends}; server_name localhost; location / {{ return 200 well; }} }}\n}}\n"
        )
    });
    Redirecting { strict: server.port, sparing, server }
}

impl Server {
    /// The port on which nginx closes the connection unless the Host is `localhost`.
    pub(crate) fn nginx_for_friends(&self) -> u16 {
        let port = fs::read_to_string(self.directory.path().join("friends")).expect("a port");
        port.parse().expect("a port")
    }
}

pub(crate) fn redirecting_apache() -> Redirecting {
    let sparing = free_port();
    let server = launch(sparing, "/usr/sbin/apache2", |directory, strict, sparing| {
        let modules = ["mpm_event", "authz_core", "rewrite", "alias"];
        let modules: String = modules.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")).concat();
        let rewrite = "  RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]\n";
        format!(
            "{modules}ServerName localhost\nServerRoot {directory}\nPidFile {directory}/pid\nErrorLog {directory}/error\nDocumentRoot {directory}/www\n\
             DefaultRuntimeDir {directory}\nListen 127.0.0.1:{strict}\nListen 127.0.0.1:{sparing}\n\
             <VirtualHost 127.0.0.1:{strict}>\n  RewriteEngine On\n{rewrite}</VirtualHost>\n\
             <VirtualHost 127.0.0.1:{sparing}>\n  RewriteEngine On\n  RewriteCond %{{REQUEST_URI}} !^/health$\n{rewrite}</VirtualHost>\n"
        )
    });
    Redirecting { strict: server.port, sparing, server }
}

fn launch(sparing: u16, program: &'static str, configuration: fn(&str, u16, u16) -> String) -> Server {
    Server::launch(
        folder(),
        free_port(),
        move |directory, strict| {
            let file = directory.join("server.conf");
            fs::create_dir_all(directory.join("www")).expect("a folder");
            fs::write(directory.join("www/health"), "well").expect("a file");
            fs::write(&file, configuration(&directory.display().to_string(), strict, sparing)).expect("a file");
            let mut command = Command::new(program);
            match program {
                "/usr/sbin/nginx" => command.arg("-e").arg(directory.join("error")).arg("-p").arg(directory).arg("-c").arg(file),
                _ => command.arg("-X").arg("-f").arg(file),
            };
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}
