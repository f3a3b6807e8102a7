//! nginx: with a plaintext port and a TLS port, whose certificate is for `localhost`; as a load balancer; and with any blocks.

use super::{
    Certificates,
    process::{Server, folder, listens},
};
use crate::helpers::{free_port, get};
use std::{fs, path::Path, process::Command};

/// The server, its port for TLS, and the certificates.
pub(crate) fn nginx() -> (Server, u16, Certificates) {
    let directory = folder();
    let certificates = Certificates::new(directory.path());
    let encrypted = free_port();
    let server = Server::launch(
        directory,
        free_port(),
        move |directory, port| {
            let configuration = configuration(&directory.display().to_string(), port, encrypted);
            let file = directory.join("nginx.conf");
            fs::write(&file, configuration).expect("a file");
            fs::create_dir_all(directory.join("www/deeper")).expect("a folder");
            fs::write(directory.join("www/index.html"), "all is well\n").expect("a file");
            fs::write(directory.join("www/deeper/index.html"), "deeper\n").expect("a file");
            fs::write(directory.join("www/large"), "x".repeat(1 << 20)).expect("a file");
            nginx_command(directory, &file)
        },
        |_, port| listens(port),
    );
    (server, encrypted, certificates)
}

/// nginx with these blocks of `http`, for its port.
pub(crate) fn nginx_with(blocks: impl FnOnce(u16) -> String) -> Server {
    let port = free_port();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {name};\n")).concat();
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid pid;\nevents {{ worker_connections 100; }}\nhttp {{\naccess_log off;\n{temporary}{}\n}}\n",
        blocks(port)
    );
    Server::launch_with_file("nginx.conf", &configuration, port, nginx_command)
}

/// nginx that distributes requests among the targets at these ports. It does not poll: it repeats a request that fails on another target, and
/// then avoids the first one for a while.
pub(crate) fn nginx_balancer(targets: &[u16]) -> Server {
    let server = |port| format!(" server 127.0.0.1:{port};");
    let servers: String = targets.iter().map(server).collect();
    nginx_with(|port| format!("upstream app {{{servers} }}\nserver {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://app; }} }}"))
}

/// The command that runs nginx with a configuration file. Relative paths in it are those of the folder.
pub(super) fn nginx_command(directory: &Path, file: &Path) -> Command {
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-e").arg(directory.join("error")).arg("-p").arg(directory).arg("-c").arg(file);
    command
}

impl Server {
    /// The counters of nginx: open connections without that of this request, accepted connections, and requests.
    pub(crate) fn nginx_counters(&self) -> [u64; 3] {
        let text = get(([127, 0, 0, 1], self.port).into(), "/counters").body;
        let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        // Active, accepted, handled, requests, reading, writing, waiting.
        [numbers[0] - 1, numbers[1], numbers[3]]
    }
}

fn configuration(directory: &str, port: u16, encrypted: u16) -> String {
    format!(
        r#"
daemon off;
# A worker writes over its environment, by which it would be known to be killed.
master_process off;
pid {directory}/pid;
events {{ worker_connections 100; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 10000;
    absolute_redirect off;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{encrypted} ssl;
        ssl_certificate {directory}/cert.pem;
        ssl_certificate_key {directory}/key.pem;
        root {directory}/www;
        location = /counters {{ stub_status; }}
        location = /json {{ default_type application/json; return 200 '{{"status": "ok", "workers": [{{"ready": true}}]}}'; }}
        location = /empty {{ return 204; }}
        location = /last {{ keepalive_timeout 0; return 200 "goodbye"; }}
        location = /limited {{ add_header Retry-After 30 always; return 429; }}
        location = /compressed {{ gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1; gzip_http_version 1.0; alias {directory}/www/index.html; }}
        location = /down {{ return 503; }}
        location = /secret {{ auth_basic "secret"; auth_basic_user_file {directory}/users; }}
        location = /chunked {{ alias {directory}/www/index.html; ssi on; ssi_types *; }}
        location = /moved {{ return 302 /json; }}
        location = /round {{ return 302 /round; }}
        location = /encrypt {{ return 301 https://localhost:{encrypted}/json; }}
        location = /same {{ return 301 https://localhost:{encrypted}/same; }}
        location = /downgrade {{ return 302 http://localhost:{port}/json; }}
        location = /elsewhere {{ return 302 http://localhost:{port}/echo; }}
        location = /echo {{ add_header X-Seen "$http_authorization$http_x_token" always; return 200 "seen"; }}
    }}
}}
"#
    )
}
