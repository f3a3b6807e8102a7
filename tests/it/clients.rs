//! Uptime monitors and other clients with the requests that they really send, and the real programs where a registry has them. The text or the
//! value that `docs/clients.md` has each of them look for is there while the service passes, and only then.

use crate::{
    helpers::{Allswell, Response, eventually, free_port, get, get_with, run, send, write_private},
    servers::{Server, folder},
};
use rustix::process::Signal;
use std::{fs, net::TcpStream, path::Path, process::Command};
use tempfile::TempDir;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const SPRING: &str = "application/vnd.spring-boot.actuator.v3+json";

/// How a client finds the verdict in a response.
enum Evidence {
    /// By the status code alone.
    Code,
    /// The body contains this text.
    Keyword(&'static str),
    /// The member `status` of the JSON document is this text.
    JsonStatus(&'static str),
    /// The header `X-Health-Status` is `pass`.
    Header,
}
use Evidence::{Code, Header, JsonStatus, Keyword};

/// A client with its request, as in its source or on its vendor's page, the content type that it gets, and what it looks for.
struct Client {
    name: &'static str,
    request: &'static str,
    headers: &'static [&'static str],
    content_type: &'static str,
    evidence: Evidence,
}

const fn client(
    name: &'static str,
    request: &'static str,
    headers: &'static [&'static str],
    content_type: &'static str,
    evidence: Evidence,
) -> Client {
    Client { name, request, headers, content_type, evidence }
}

const KUMA: &[&str] = &[
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,\
     application/signed-exchange;v=b3;q=0.9",
    "User-Agent: Uptime-Kuma/1.23.13",
    "Accept-Encoding: gzip, compress, deflate, br",
    "Connection: close",
];
const UPTIME_ROBOT: &[&str] = &["User-Agent: Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "Connection: close"];
const PINGDOM: &[&str] = &["User-Agent: Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", "Connection: close"];
const STATUS_CAKE: &[&str] = &[
    "User-Agent: Mozilla/5.0 (Windows NT 6.2; WOW64) AppleWebKit/537.4 (KHTML, like Gecko) Chrome/98 Safari/537.4 (StatusCake)",
    "Connection: close",
];
const DATADOG_OLD: &[&str] =
    &["User-Agent: Datadog Agent/6.11.0", "Content-Type: application/x-www-form-urlencoded", "Accept: text/html, */*", "Connection: close"];
const DATADOG: &[&str] = &["User-Agent: Datadog Agent/7.60.0", "Accept: */*", "Accept-Encoding: gzip, deflate", "Connection: close"];
const SYNTHETICS: &[&str] = &[
    "user-agent: Datadog/Synthetics",
    "sec-datadog: Request sent by a Datadog Synthetics API Test (https://docs.datadoghq.com/synthetics/) - test_id: abc-def-ghi",
    "x-datadog-origin: synthetics",
    "Connection: close",
];
const BETTER_STACK: &[&str] = &[
    "User-Agent: Better Stack Better Uptime Bot Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/130.0.0.0 Safari/537.36",
    "Connection: close",
];
const SPRING_BOOT_ADMIN: &[&str] = &[
    "Accept: application/vnd.spring-boot.actuator.v3+json, application/vnd.spring-boot.actuator.v2+json, \
     application/vnd.spring-boot.actuator.v1+json, application/json",
    "Connection: close",
];
const SPRING_BOOT_ADMIN_OLD: &[&str] = &[
    "Accept: application/vnd.spring-boot.actuator.v2+json, application/vnd.spring-boot.actuator.v1+json, application/json",
    "Connection: close",
];
const CHECK_HTTP: &[&str] = &["User-Agent: check_http/v2.3.3 (monitoring-plugins 2.3.3)", "Connection: close"];
const CHECK_CURL: &[&str] =
    &["User-Agent: check_curl/v2.4.0 (monitoring-plugins 2.4.0, libcurl/8.5.0)", "Accept: */*", "Connection: close"];
const ZABBIX: &[&str] = &["User-Agent: Zabbix 6.0.14", "Accept: */*", "Accept-Encoding: deflate, gzip, br, zstd", "Connection: close"];
const GATUS: &[&str] = &["User-Agent: Gatus/1.0", "Accept-Encoding: gzip", "Connection: close"];
const JAVA_17: &[&str] = &["User-Agent: Java/17.0.15", "Accept: text/html, image/gif, image/jpeg, */*; q=0.2", "Connection: close"];
const JAVA_8: &[&str] =
    &["User-Agent: Java/1.8.0_392", "Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "Connection: close"];
const GO: &[&str] = &["User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip", "Connection: close"];
const ENVOY: &[&str] = &["user-agent: Envoy/HC", "Connection: close"];
const AXIOS: &[&str] = &["Accept: application/json, text/plain, */*", "User-Agent: axios/1.7.9", "Connection: close"];
const CHROME: &[&str] = &[
    "Upgrade-Insecure-Requests: 1",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "Connection: close",
];
const FETCH: &[&str] = &["Sec-Fetch-Mode: cors", "Accept: */*", "Connection: close"];
const HTML_ONLY: &[&str] = &["Accept: text/html", "User-Agent: curl/8.5.0", "Connection: close"];

const CLIENTS: &[Client] = &[
    client("Uptime Kuma", "GET /health HTTP/1.1", KUMA, JSON, JsonStatus("pass")),
    client("Uptime Kuma, keyword", "GET /health?format=nagios HTTP/1.1", KUMA, TEXT, Keyword("ALLSWELL OK")),
    client("UptimeRobot", "HEAD /health HTTP/1.1", UPTIME_ROBOT, JSON, Code),
    client("UptimeRobot, keyword", "GET /health?format=nagios HTTP/1.1", UPTIME_ROBOT, TEXT, Keyword("ALLSWELL OK")),
    client("Pingdom", "GET /health HTTP/1.1", PINGDOM, JSON, Code),
    client("Pingdom, HTTP/1.0", "GET /health?format=nagios HTTP/1.0", PINGDOM, TEXT, Keyword("ALLSWELL OK")),
    client("StatusCake", "GET /health?format=nagios HTTP/1.1", STATUS_CAKE, TEXT, Keyword("ALLSWELL OK")),
    client("StatusCake, HEAD", "HEAD /health HTTP/1.1", STATUS_CAKE, JSON, Code),
    client("Datadog Agent 6", "GET /health HTTP/1.1", DATADOG_OLD, JSON, JsonStatus("pass")),
    client("Datadog Agent 7", "GET /health HTTP/1.1", DATADOG, JSON, JsonStatus("pass")),
    client("Datadog Synthetics", "GET /health HTTP/1.1", SYNTHETICS, JSON, Header),
    client("Better Stack", "GET /health?format=nagios HTTP/1.1", BETTER_STACK, TEXT, Keyword("ALLSWELL OK")),
    client("Spring Boot Admin", "GET /health HTTP/1.1", SPRING_BOOT_ADMIN, SPRING, JsonStatus("UP")),
    client("Spring Boot Admin 2.2", "GET /health HTTP/1.1", SPRING_BOOT_ADMIN_OLD, SPRING, JsonStatus("UP")),
    client("check_http -H", "GET /health HTTP/1.1", CHECK_HTTP, JSON, Header),
    client("check_http -I", "GET /health HTTP/1.0", CHECK_HTTP, JSON, Header),
    client("check_curl", "GET /health HTTP/1.1", CHECK_CURL, JSON, Header),
    client("Zabbix", "GET /health HTTP/1.1", ZABBIX, JSON, JsonStatus("pass")),
    client("Gatus", "GET /health HTTP/1.1", GATUS, JSON, JsonStatus("pass")),
    client("Java 17", "GET /health HTTP/1.1", JAVA_17, JSON, JsonStatus("pass")),
    client("Java 8", "GET /health HTTP/1.1", JAVA_8, JSON, JsonStatus("pass")),
    client("Traefik, Caddy", "GET /readyz HTTP/1.1", GO, JSON, Code),
    client("Envoy", "GET /readyz HTTP/1.1", ENVOY, JSON, Code),
    client("axios", "GET /health HTTP/1.1", AXIOS, JSON, JsonStatus("pass")),
    client("Chrome", "GET /health HTTP/1.1", CHROME, HTML, Keyword("All is well")),
    client("Chrome, a script", "GET /health HTTP/1.1", FETCH, JSON, JsonStatus("pass")),
    client("a client that accepts only HTML", "GET /health HTTP/1.1", HTML_ONLY, HTML, Keyword("All is well")),
    client("Uptime Kuma at /", "GET / HTTP/1.1", KUMA, HTML, Keyword("All is well")),
];

impl Client {
    fn poll(&self, service: &Allswell) -> Response {
        let host = if self.request.ends_with("HTTP/1.0") { "" } else { "Host: orders.example:8080\r\n" };
        send(service.address, format!("{}\r\n{host}{}\r\n\r\n", self.request, self.headers.join("\r\n")).as_bytes())
    }

    fn finds_pass(&self, response: &Response) -> bool {
        match self.evidence {
            Code => response.status == 200,
            Keyword(text) => response.body.contains(text),
            JsonStatus(status) => response.json()["status"] == status,
            Header => response.header("x-health-status") == Some("pass"),
        }
    }
}

/// A service that passes while a folder exists.
struct Service {
    allswell: Allswell,
    folder: TempDir,
}

impl Service {
    fn start(settings: &str) -> Self {
        let folder = folder();
        fs::create_dir(folder.path().join("media")).expect("a folder");
        let allswell = Allswell::start(&format!(
            "{settings}[defaults]\ninterval = \"100ms\"\n[checks.memory]\nkind = \"memory\"\n[checks.media]\nkind = \"storage\"\npath = \"{}\"\n",
            folder.path().join("media").display()
        ));
        allswell.await_report("/health", "all components pass", |report| report.status == 200);
        Self { allswell, folder }
    }

    fn fail(&self) {
        fs::remove_dir(self.folder.path().join("media")).expect("a folder");
        self.allswell.await_report("/health", "a component fails", |report| report.header("x-health-status") != Some("pass"));
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.allswell.address)
    }
}

#[test]
fn every_client_gets_the_format_and_finds_the_verdict() {
    let service = Service::start("");
    for client in CLIENTS {
        let response = client.poll(&service.allswell);
        assert_eq!(
            (response.status, response.header("content-type")),
            (200, Some(client.content_type)),
            "{}: {}",
            client.name,
            response.text
        );
        assert!(client.finds_pass(&response), "{}: {}", client.name, response.text);
    }
    service.fail();
    for client in CLIENTS {
        let response = client.poll(&service.allswell);
        assert_eq!(
            (response.status, response.header("content-type")),
            (500, Some(client.content_type)),
            "{}: {}",
            client.name,
            response.text
        );
        assert!(!client.finds_pass(&response), "{}: {}", client.name, response.text);
    }
}

/// Runs a monitoring plugin, and returns its exit code.
fn plugin(service: &Service, arguments: &[&str]) -> Option<i32> {
    let port = service.allswell.address.port().to_string();
    let mut program = Command::new("/usr/lib/nagios/plugins/check_http");
    let ran = run(program.args(["-I", "127.0.0.1", "-p", &port, "-u", "/health"]).args(arguments));
    ran.code
}

#[test]
fn nagios_and_icinga_see_ok_warning_and_critical() {
    let service = Service::start("");
    // With a name it polls over HTTP/1.1, otherwise over HTTP/1.0 without `Host`.
    let calls = [
        &["-H", "orders.example"][..],
        &[],
        &["-d", "X-Health-Status: pass"],
        &["-j", "HEAD"],
        &["-u", "/health?format=nagios", "-s", "ALLSWELL OK"],
    ];
    let codes = || calls.map(|arguments| plugin(&service, arguments));
    let lower_case = ["-d", "x-health-status: pass"];
    assert_eq!(plugin(&service, &lower_case), Some(0));
    assert_eq!(codes(), [Some(0), Some(0), Some(2), Some(0), Some(0)], "it compares the names of headers by case");
    service.fail();
    assert_eq!(codes(), [Some(2); 5]);

    let warning = Service::start("[server]\nwarn_status = 429\n");
    let file = warning.allswell.directory.path().join("allswell.toml");
    let text = fs::read_to_string(&file).expect("a configuration").replace("[checks.media]", "[checks.media]\ncritical = false");
    write_private(&file, &text);
    warning.allswell.signal(Signal::HUP);
    warning.fail();
    eventually("the report warns", || (plugin(&warning, &[]) == Some(1)).then_some(()));
}

/// The value of an item of Zabbix's agent.
fn zabbix(directory: &Path, item: &str) -> String {
    let configuration = directory.join("zabbix.conf");
    fs::write(&configuration, "Server=127.0.0.1\nHostname=orders\n").expect("a file");
    run(Command::new("/usr/sbin/zabbix_agentd").arg("-c").arg(configuration).args(["-t", item])).stdout
}

#[test]
fn zabbix_reads_the_report_and_the_status() {
    let service = Service::start("");
    let port = service.allswell.address.port();
    let directory = folder();
    let status = format!(r#"web.page.regexp[127.0.0.1,/health,{port},"^  \"status\": \"([a-z]+)\"",,\1]"#);
    let page = zabbix(directory.path(), &format!("web.page.get[127.0.0.1,/health,{port}]"));
    assert!(page.contains("HTTP/1.1 200 OK") && page.contains("\"status\": \"pass\""), "{page}");
    let found = zabbix(directory.path(), &status);
    assert!(found.contains("[s|pass]"), "{found}");
    service.fail();
    let found = zabbix(directory.path(), &status);
    assert!(found.contains("[s|fail]"), "{found}");
}

#[test]
fn the_blackbox_exporter_sees_the_verdict_and_the_body() {
    let service = Service::start("");
    let directory = folder();
    fs::write(
        directory.path().join("blackbox.yml"),
        "modules:\n  http_2xx: {prober: http}\n  allswell:\n    prober: http\n    http:\n      \
         fail_if_body_not_matches_regexp: ['^\\{\\s+\"status\": \"pass\"']\n",
    )
    .expect("a file");
    let exporter = Server::launch(
        directory,
        free_port(),
        |directory, port| {
            let mut command = Command::new("/usr/bin/prometheus-blackbox-exporter");
            command.arg(format!("--config.file={}", directory.join("blackbox.yml").display()));
            command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command
        },
        |_, port| TcpStream::connect(("127.0.0.1", port)).is_ok(),
    );
    let success = |module: &str| {
        let path = format!("/probe?module={module}&target={}", service.url("/health"));
        let metrics = get(([127, 0, 0, 1], exporter.port).into(), &path);
        metrics.body.lines().find_map(|line| line.strip_prefix("probe_success ").map(str::to_owned)).expect("a result")
    };
    assert_eq!((success("http_2xx"), success("allswell")), ("1".to_owned(), "1".to_owned()));
    service.fail();
    assert_eq!((success("http_2xx"), success("allswell")), ("0".to_owned(), "0".to_owned()));
}

#[test]
fn monitors_are_listed_by_their_names() {
    let service = Service::start("[server]\ntoken = \"correct-horse-battery\"\n");
    for client in CLIENTS {
        client.poll(&service.allswell);
    }
    let token = "Authorization: Bearer correct-horse-battery\r\n";
    let listed = get_with(service.allswell.address, "/health?probers", token).body;
    for name in ["uptime-kuma", "uptimerobot", "pingdom", "statuscake", "datadog", "better-stack", "nagios", "zabbix", "gatus", "envoy"] {
        assert!(listed.contains(&format!("\"client\": \"{name}\"")), "{name}: {listed}");
    }
}
