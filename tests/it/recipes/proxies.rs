//! nginx and Apache with their recipes, alone and as in Elastic Beanstalk: they forward every request for `/health` to allswell, and redirect all
//! others that did not come by HTTPS.

use super::{accepted, read, with};
use crate::{
    helpers::{Allswell, command, eventually, free_port, get, get_with, run, send},
    servers::{Server, folder, hostile::Hostile},
};
use rustix::process::Signal;
use std::{fs, net::TcpStream, path::Path, process::Command};

/// A service whose `/health` passes while a folder exists.
fn service(media: &Path) -> Allswell {
    let checks = format!("[checks.media]\nkind = \"storage\"\npath = \"{}\"\n", media.display());
    Allswell::start(&format!("[server]\ndrain = \"0s\"\n[defaults]\ninterval = \"100ms\"\n{checks}"))
}

fn app() -> Hostile {
    Hostile::listening("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhome").0
}

/// Tests a proxy, which `start` creates from the ports of allswell and of the application.
fn tried(what: &str, start: impl FnOnce(u16, u16) -> Server) -> Server {
    let directory = tempfile::tempdir().expect("a folder");
    let media = directory.path().join("media");
    fs::create_dir(&media).expect("a folder");
    let (mut allswell, app) = (service(&media), app());
    allswell.await_report("/health", "the component passes", |report| report.status == 200);
    let proxy = start(allswell.address.port(), app.port());
    let address = ([127, 0, 0, 1], proxy.port).into();

    for headers in ["", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Proto: https\r\n", "User-Agent: ELB-HealthChecker/2.0\r\n"] {
        let health = get_with(address, "/health", headers);
        assert_eq!((health.status, health.header("x-health-status")), (200, Some("pass")), "{what}, {headers}: {}", health.text);
        assert_eq!(health.header("location"), None, "{what}");
    }
    let nameless = send(address, b"GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(nameless.status, 200, "{what}: {}", nameless.text);
    // Requests by HTTP, or without a statement, are redirected to HTTPS with the whole path and query.
    for headers in ["X-Forwarded-Proto: http\r\n", ""] {
        for path in ["/", "/orders/7?page=2", "/healthy", "/health/app"] {
            let moved = get_with(address, path, headers);
            let to = format!("https://127.0.0.1{path}");
            let location = moved.header("location").map(|location| location.replace(&format!(":{}", proxy.port), ""));
            assert_eq!((moved.status, location), (301, Some(to)), "{what}, {path}: {}", moved.text);
        }
    }
    let home = get_with(address, "/orders", "X-Forwarded-Proto: https\r\n");
    assert_eq!((home.status, home.body.as_str()), (200, "home"), "{what}: {}", home.text);

    // All clients report healthy.
    let nowhere = tempfile::tempdir().expect("a folder");
    let ran = run(command(&nowhere).args(["doctor", &format!("http://127.0.0.1:{}/health", proxy.port)]));
    assert_eq!(ran.code, Some(0), "{what}: {}{}", ran.stdout, ran.stderr);

    fs::remove_dir(&media).expect("a folder");
    eventually("the component fails", || (get(address, "/health").status == 500).then_some(()));
    allswell.signal(Signal::INT);
    allswell.wait();
    let gone = get(address, "/health");
    assert!([502, 503].contains(&gone.status), "{what}: {}", gone.text);
    proxy
}

fn nginx(configuration: impl Fn(&str, u16) -> String + Send + Sync + 'static) -> Server {
    Server::launch(
        folder(),
        free_port(),
        move |directory, port| {
            let file = directory.join("nginx.conf");
            let here = directory.display().to_string();
            fs::write(&file, configuration(&here, port)).expect("a file");
            let command = || {
                let mut command = Command::new("/usr/sbin/nginx");
                command.arg("-e").arg(directory.join("error")).arg("-p").arg(directory).arg("-c").arg(&file);
                command
            };
            accepted(command().arg("-t"));
            command()
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}

/// A configuration of nginx around the part of a recipe for `http`.
fn nginx_around(directory: &str, http: &str) -> String {
    let temporary: String =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("  {name}_temp_path {directory}/{name};\n")).concat();
    format!(
        "daemon off;\nmaster_process off;\npid {directory}/pid;\nevents {{}}\nhttp {{\n  access_log {directory}/access;\n{temporary}{http}\n}}\n"
    )
}

#[test]
fn nginx_does_not_redirect_health_checks() {
    tried("nginx", |allswell, app| {
        nginx(move |directory, port| {
            let recipe = with(
                &read("nginx/orders.conf"),
                &[
                    ("listen 80 ", format!("listen 127.0.0.1:{port} ")),
                    ("127.0.0.1:8080", format!("127.0.0.1:{allswell}")),
                    ("127.0.0.1:8000", format!("127.0.0.1:{app}")),
                ],
            );
            nginx_around(directory, &recipe)
        })
    });
}

#[test]
fn nginx_of_beanstalk_neither_redirects_nor_logs_health_checks() {
    let proxy = tried("Beanstalk's nginx", |allswell, app| {
        nginx(move |directory, port| {
            let recipe = read("elastic-beanstalk/nginx/.platform/nginx/conf.d/elasticbeanstalk/allswell.conf");
            let included = Path::new(directory).join("conf.d/elasticbeanstalk");
            fs::create_dir_all(&included).expect("a folder");
            let recipe = with(&recipe, &[("127.0.0.1:8080", format!("127.0.0.1:{allswell}"))]);
            fs::write(included.join("allswell.conf"), recipe).expect("a file");
            // The files of Beanstalk in the same folder: the location of the application, and the log of the health agent.
            fs::write(included.join("00_application.conf"), format!("location / {{ proxy_pass http://127.0.0.1:{app}; }}\n"))
                .expect("a file");
            fs::write(included.join("healthd.conf"), format!("access_log {directory}/healthd;\n")).expect("a file");
            nginx_around(
                directory,
                &format!("  server {{\n    listen 127.0.0.1:{port} default_server;\n    include {}/*.conf;\n  }}", included.display()),
            )
        })
    });
    let log = fs::read_to_string(proxy.directory.path().join("healthd")).expect("a log");
    assert!(log.contains("GET /orders ") && !log.contains("GET /health "), "{log}");
}

fn apache(configuration: impl Fn(&Path, u16) -> String + Send + Sync + 'static) -> Server {
    Server::launch(
        folder(),
        free_port(),
        move |directory, port| {
            let file = directory.join("apache.conf");
            let modules = ["mpm_event", "authz_core", "rewrite", "proxy", "proxy_http"];
            let modules: String = modules.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")).concat();
            let here = directory.display();
            let around = format!(
                "{modules}ServerName localhost\nServerRoot {here}\nPidFile {here}/pid\nErrorLog {here}/error\nDefaultRuntimeDir {here}\n\
                 Listen 127.0.0.1:{port}\n"
            );
            fs::write(&file, around + &configuration(directory, port)).expect("a file");
            accepted(Command::new("/usr/sbin/apache2").arg("-t").arg("-f").arg(&file));
            let mut command = Command::new("/usr/sbin/apache2");
            command.arg("-X").arg("-f").arg(file);
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    )
}

#[test]
fn apache_does_not_redirect_health_checks() {
    tried("Apache", |allswell, app| {
        apache(move |_, port| {
            with(
                &read("apache/orders.conf"),
                &[
                    ("*:80>", format!("127.0.0.1:{port}>")),
                    ("127.0.0.1:8080", format!("127.0.0.1:{allswell}")),
                    ("127.0.0.1:8000", format!("127.0.0.1:{app}")),
                ],
            )
        })
    });
}

#[test]
fn apache_of_beanstalk_does_not_redirect_health_checks_in_either_order() {
    for first in [true, false] {
        tried("Beanstalk's Apache", move |allswell, app| {
            apache(move |_, port| {
                let recipe = read("elastic-beanstalk/apache/.platform/httpd/conf.d/allswell.conf");
                let recipe = with(&recipe, &[("127.0.0.1:8080", format!("127.0.0.1:{allswell}"))]);
                // The virtual host of Beanstalk, as its guide shows it.
                let host = format!(
                    "<VirtualHost *:{port}>\n  <Proxy *>\n    Require all granted\n  </Proxy>\n  ProxyPass / http://localhost:{app}/ retry=0\n  \
                     ProxyPassReverse / http://localhost:{app}/\n  ProxyPreserveHost on\n</VirtualHost>\n"
                );
                if first { recipe + &host } else { host + &recipe }
            })
        });
    }
}
