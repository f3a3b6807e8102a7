//! What unauthenticated clients can see and change: no response shows classes or messages with `details = "status"`, and forged polls change no
//! conclusion.

use crate::{
    helpers::{Allswell, Ran, command, free_port, get_with, run, send, write_private},
    servers::hostile::Hostile,
};
use allswell::dialect::Dialect;
use std::{
    fs,
    io::Read,
    net::TcpStream,
    process::{Command, Stdio},
};

const TOKEN: &str = "0123456789abcdef";

#[test]
fn no_surface_shows_classes_or_messages_with_details_status() {
    let agent = free_port();
    let service = Allswell::start(&format!(
        "[server]\ntoken = \"{TOKEN}\"\ndetails = \"status\"\n[server.haproxy_agent]\nlisten = \"127.0.0.1:{agent}\"\n\
         [checks.db]\nkind = \"postgres\"\nurl = \"postgres://app:secret@127.0.0.1:1/orders\"\n\
         [checks.full]\nkind = \"disk\"\npath = \"/\"\nfail_free = \"100%\"\n",
    ));
    service.await_report("/health", "both components have a result", |report| report.json()["components"]["full"]["status"] == "fail");
    let mut outputs = Vec::new();
    let dialects = Dialect::ALL.map(|dialect| format!("/health?format={}&probers", dialect.name()));
    let paths = ["/", "/health/db", "/health/nosuch", "/readyz", "/startupz", "/livez", "/metrics", "/health/ready"].map(str::to_owned);
    for path in dialects.into_iter().chain(paths) {
        outputs.push((path.clone(), service.get(&path).text));
    }
    outputs.push(("refused".to_owned(), send(service.address, b"POST /admin/drain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").text));
    let mut line = String::new();
    TcpStream::connect(("127.0.0.1", agent)).expect("a connection").read_to_string(&mut line).expect("a line");
    assert_eq!(line, "down # db\n");
    let events = events(&service);
    assert!(events.contains("data: "), "{events}");
    outputs.push(("events".to_owned(), events));
    let words = ["unreachable", "unhealthy", "refused\"", "connection refused", "free", "orders", "127.0.0.1:1"];
    for (path, output) in outputs {
        for word in words {
            assert!(!output.contains(word), "{path} shows {word}: {output}");
        }
    }
    let full = get_with(service.address, "/health", &format!("Authorization: Bearer {TOKEN}\r\n"));
    assert_eq!(full.class("db").as_deref(), Some("unreachable"), "the token shows all");
}

/// The first event of the event stream of the status page.
fn events(service: &Allswell) -> String {
    use std::io::Write;
    let mut stream = TcpStream::connect(service.address).expect("a connection");
    stream.write_all(b"GET /health/_events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n").expect("a request");
    let (mut events, mut buffer) = (String::new(), [0; 8192]);
    while !events.contains("\n\n") || !events.contains("data: ") {
        let read = stream.read(&mut buffer).expect("words");
        assert!(read > 0, "the stream ended: {events}");
        events += &String::from_utf8_lossy(&buffer[..read]);
    }
    events
}

#[test]
fn polls_of_unknown_components_do_not_change_the_conclusion_of_a_load_balancer() {
    let backend = Hostile::silent();
    let service =
        Allswell::start(&format!("[server]\ntoken = \"{TOKEN}\"\n[checks.port]\nkind = \"tcp\"\naddress = \"{}\"\n", backend.address));
    service.await_report("/health", "the component passes", |report| report.status == 200);
    let forged = "User-Agent: ELB-HealthChecker/2.0\r\n";
    for _ in 0..5 {
        assert_eq!(get_with(service.address, "/health", forged).status, 200);
    }
    for _ in 0..12 {
        assert_eq!(get_with(service.address, "/health/nosuch", forged).status, 404);
    }
    let report = get_with(service.address, "/health?probers", &format!("Authorization: Bearer {TOKEN}\r\n")).json();
    let seen: Vec<_> = report["probers"]["seen"].as_array().expect("pollers").iter().filter(|one| one["client"] == "alb").collect();
    assert_eq!(seen.len(), 1, "{report}");
    assert_eq!((&seen[0]["polls"], &seen[0]["last_code"]), (&5.into(), &200.into()), "{report}");
    let metrics = service.get("/metrics").body;
    assert!(metrics.contains("allswell_prober_healthy{client=\"alb\""), "{metrics}");
    assert!(!metrics.lines().any(|line| line.starts_with("allswell_prober_healthy") && line.ends_with(" 0")), "{metrics}");
}

/// Runs `validate` on a configuration with a token.
fn validate_token(token: &str) -> Ran {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("allswell.toml");
    write_private(&file, &format!("[server]\ntoken = {}\n", serde_json::Value::from(token)));
    run(command(&directory).arg("validate").arg("--config").arg(&file))
}

#[test]
fn a_token_that_no_client_can_send_is_refused() {
    for wrong in [" 0123456789abcdef", "0123456789abcdef\n", "01234567\r\n89abcdef", "0123456789äbcdef", "0123456789\u{1}abcdef"] {
        let ran = validate_token(wrong);
        assert_eq!(ran.code, Some(2), "{wrong:?}");
        assert!(ran.stderr.contains("an HTTP header cannot carry") && !ran.stderr.contains("89"), "{}", ran.stderr);
    }
}

#[test]
fn a_short_token_is_warned_about() {
    let short = validate_token("0123456789abcde");
    assert_eq!(short.code, Some(0));
    assert!(short.stderr.contains("warning: ") && short.stderr.contains("server.token: has fewer than 16 characters"), "{}", short.stderr);
    assert_eq!(validate_token(TOKEN).stderr, "");
}

#[test]
fn a_final_line_break_of_a_token_file_is_ignored() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("allswell.toml");
    // Editors and Kubernetes write a final line break.
    write_private(directory.path().join("token"), &format!("{TOKEN}\n"));
    fs::write(&file, "[server]\ntoken_file = \"token\"\n").expect("a configuration");
    let ran = run(command(&directory).arg("validate").arg("--config").arg(&file));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn control_characters_are_not_printed_to_a_terminal() {
    let body = "\x1b]0;owned\x07\u{202e}evil\u{2028}\n\tsecond";
    let server = Hostile::replying(move |_| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = format!("http://{}/", server.address);
    let piped = run(command(&directory).args(["get", &url]));
    assert_eq!(piped.stdout, body, "a program gets every byte");
    let program = command(&directory).get_program().to_string_lossy().into_owned();
    let terminal = Command::new("script")
        .args(["-q", "-e", "-c", &format!("{program} get {url}"), "/dev/null"])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .expect("script, of util-linux, makes a terminal");
    let shown = String::from_utf8_lossy(&terminal.stdout).replace("\r\n", "\n");
    assert_eq!(shown.trim_end(), " ]0;owned evil \n second", "{shown:?}");
}
