//! HTTP: every kind of poller gets its response, and no client can keep others from theirs.

use crate::{
    helpers::{Allswell, Response, eventually, get_with, send},
    servers::hostile::Hostile,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

fn passing() -> Allswell {
    let service = Allswell::start(&format!("[checks.port]\nkind = \"tcp\"\naddress = \"{}\"\n", Hostile::silent().address));
    service.await_report("/health", "the component passes", |response| response.status == 200);
    service
}

fn failing(server: &str) -> Allswell {
    let service = Allswell::start(&format!("[server]\n{server}\n[checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n"));
    eventually("the component fails", || service.events().into_iter().find(|event| event["class"] == "unreachable"));
    service
}

fn has_the_headers(response: &Response, status: &str) {
    assert_eq!(response.header("content-length").and_then(|length| length.parse().ok()), Some(response.body.len()), "{}", response.text);
    assert_eq!(response.header("cache-control"), Some("no-store"), "{}", response.text);
    assert_eq!(response.header("vary"), Some("Accept"), "{}", response.text);
    assert_eq!(response.header("x-health-status"), Some(status), "{}", response.text);
    for forbidden in ["location", "set-cookie", "transfer-encoding", "etag", "last-modified"] {
        assert_eq!(response.header(forbidden), None, "{}", response.text);
    }
}

#[test]
fn every_path_responds_with_and_without_a_trailing_slash() {
    let service = passing();
    for path in
        ["/health", "/healthz", "/livez", "/readyz", "/startupz", "/health/port", "/health/ready", "/health/live", "/health/startup"]
    {
        for path in [path.to_owned(), format!("{path}/"), format!("{path}?x=1&y"), format!("{path}?format=no-such-format")] {
            let response = service.get(&path);
            assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")), "{path}: {}", response.text);
            has_the_headers(&response, "pass");
        }
    }
    assert_eq!(service.get("/").body, service.get("/health").body);
}

#[test]
fn the_default_json_is_as_documented() {
    let service = failing("");
    let response = service.get("/health");
    assert_eq!(response.status, 500);
    has_the_headers(&response, "fail");
    assert!(
        response.body.starts_with("{\n  \"status\": \"fail\",\n  \"summary\": \"1 of 1 component fails: port\",\n"),
        "{}",
        response.body
    );
    assert!(response.body.ends_with("}\n"));
    let json = response.json();
    let keys = |text: &str| {
        text.lines().filter_map(|line| Some(line.trim().strip_prefix('"')?.split_once("\":")?.0.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(
        keys(&response.body),
        [
            "status",
            "summary",
            "service",
            "instance",
            "generated_at",
            "config",
            "revision",
            "loaded_at",
            "components",
            "port",
            "status",
            "kind",
            "critical",
            "failure",
            "class",
            "message",
            "duration_ms",
            "checked_at",
            "since",
            "consecutive"
        ]
    );
    assert_eq!(json["components"]["port"]["failure"]["message"], "connection refused");
    let time = json["generated_at"].as_str().expect("a time");
    assert_eq!((time.len(), time.ends_with('Z')), ("2026-11-20T10:00:00.512Z".len(), true), "{time}");
}

#[test]
fn the_text_format_has_a_line_per_component() {
    let service = failing("");
    for response in [service.get("/health?format=text"), get_with(service.address, "/health", "Accept: text/plain\r\n")] {
        assert_eq!((response.status, response.header("content-type")), (500, Some("text/plain; charset=utf-8")));
        let lines: Vec<_> = response.body.lines().collect();
        assert_eq!(lines[0], "fail  1 of 1 component fails: port");
        assert!(lines[1].starts_with("fail  port ") && lines[1].ends_with("  unreachable: connection refused"), "{}", lines[1]);
    }
}

#[test]
fn methods_are_answered_as_pollers_expect() {
    let service = passing();
    let ask = |method: &str, path: &str| {
        send(service.address, format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
    };
    let head = ask("HEAD", "/health");
    let length = head.header("content-length").and_then(|length| length.parse::<usize>().ok()).expect("a length");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(length, service.get("/health").body.len());
    let options = ask("OPTIONS", "/health");
    assert_eq!((options.status, options.header("allow"), options.header("content-length")), (200, Some("GET, HEAD, OPTIONS"), Some("0")));
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let refused = ask(method, "/health/port");
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{}", refused.text);
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    }
    for path in ["/nope", "/health/nope", "/health/Not-A-Name"] {
        let unknown = ask("GET", path);
        assert_eq!((unknown.status, unknown.header("content-type")), (404, Some("application/problem+json")), "{path}");
        has_the_headers(&unknown, "pass");
    }
}

#[test]
fn old_and_odd_requests_are_answered() {
    let service = passing();
    for request in [
        "GET /health HTTP/1.0\r\n\r\n",
        "OPTIONS /health HTTP/1.0\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: 10.0.0.7:8080\r\nUser-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: b\r\nConnection: close\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: a\r\nAccept: ;;;é, q=\r\nConnection: close\r\n\r\n",
        "GET /health HTTP/1.1\nHost: a\nConnection: close\n\n",
    ] {
        let response = send(service.address, request.as_bytes());
        assert_eq!(response.status, 200, "{request:?}: {}", response.text);
        has_the_headers_of_any_body(&response);
    }
    assert_eq!(send(service.address, b"\x16\x03\x01\x02\x00\x01\x00 nonsense\r\n\r\n").status, 400);
}

fn has_the_headers_of_any_body(response: &Response) {
    assert!(response.header("content-length").is_some(), "{}", response.text);
    assert_eq!(response.header("x-health-status"), Some("pass"));
}

#[test]
fn connections_are_kept_and_requests_may_be_pipelined() {
    let service = passing();
    let mut stream = TcpStream::connect(service.address).expect("a connection");
    for _ in 0..3 {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nHEAD /readyz HTTP/1.1\r\nHost: a\r\n\r\n").expect("two requests");
        let mut text = String::new();
        while text.matches("HTTP/1.1 200 OK").count() < 2 {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).expect("an answer");
            assert_ne!(read, 0, "the connection was closed: {text}");
            text.push_str(std::str::from_utf8(&buffer[..read]).expect("text"));
        }
    }
    // A client that closes its sending side first still gets the response.
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").expect("a request");
    stream.shutdown(std::net::Shutdown::Write).expect("a half-closed connection");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(text.contains("HTTP/1.1 200 OK"), "{text}");
}

#[test]
fn status_codes_are_configurable() {
    let down = "address = \"127.0.0.1:1\"";
    let service = Allswell::start(&format!(
        "[server]\nfail_status = 503\nwarn_status = 299\n[checks.vital]\nkind = \"tcp\"\naddress = \"{}\"\n[checks.minor]\nkind = \"tcp\"\ncritical = false\n{down}\n\
         [checks.muted]\nkind = \"tcp\"\nenabled = false\n{down}\n[groups.minors]\nchecks = [\"minor\"]\n[groups.ready]\nchecks = [\"vital\"]\nfail_status = 599\n",
        Hostile::silent().address
    ));
    let whole = service.get("/health");
    assert_eq!((whole.status, whole.header("x-health-status")), (299, Some("warn")), "{}", whole.text);
    assert_eq!(whole.json()["components"]["minor"]["status"], "fail");
    assert_eq!(whole.json()["components"]["muted"]["muted"], true);
    assert_eq!(service.get("/readyz").status, 200);
    assert_eq!(service.get("/health/minors").status, 299, "in a group, `critical` counts");
    assert_eq!(service.get("/health/minor").status, 503, "by itself a component counts, critical or not");
    service.signal(rustix::process::Signal::TERM);
    service.await_report("/readyz", "the service drains", |response| response.status == 599);
}

#[test]
fn without_the_token_a_response_shows_no_more_than_configured() {
    let service = failing("details = \"status\"\ntoken = \"open-sesame\"");
    let brief = service.get("/health");
    assert_eq!(brief.body, "{\n  \"status\": \"fail\",\n  \"components\": {\n    \"port\": {\n      \"status\": \"fail\"\n    }\n  }\n}\n");
    assert_eq!(service.get("/health?format=text").body, "fail\nfail  port\n");
    let with_token = |token: &str| get_with(service.address, "/health", &format!("Authorization: {token}\r\n"));
    for wrong in ["Bearer open-sesam", "Bearer open-sesame1", "Basic open-sesame", "open-sesame", ""] {
        assert_eq!(with_token(wrong).body, brief.body, "{wrong}");
    }
    let cause = with_token("bearer open-sesame").json()["components"]["port"]["failure"]["cause"].clone();
    assert!(cause.as_str().is_some_and(|cause| cause.contains("refused")), "{cause}");
}

#[test]
fn unfinished_requests_and_idle_connections_are_closed() {
    let service = failing("header_timeout = \"1s\"\nidle_timeout = \"3s\"");
    let closed_after = |beginning: &[u8]| {
        let start = Instant::now();
        let mut stream = TcpStream::connect(service.address).expect("a connection");
        stream.write_all(beginning).expect("bytes");
        let mut rest = Vec::new();
        // A reset closes the connection, too.
        let _ = stream.read_to_end(&mut rest);
        (start.elapsed(), rest)
    };
    let (half, nothing) = closed_after(b"GET /health HTTP/1.1\r\nHost:");
    assert!(nothing.is_empty());
    let (idle, answer) = closed_after(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    let (silent, _) = closed_after(b"");
    assert!(half >= Duration::from_millis(900) && half < idle && half < silent, "half {half:?}, idle {idle:?}, silent {silent:?}");
    assert!(service.events().iter().all(|event| event["level"] != "WARN"), "clients caused a warning: {}", service.log());
}

#[test]
fn the_oldest_idle_connection_is_closed_for_a_new_one() {
    let service = failing("max_connections = 8\nheader_timeout = \"1h\"\nidle_timeout = \"1h\"");
    let mut hogs: Vec<TcpStream> = (0..30).map(|_| TcpStream::connect(service.address).expect("a connection")).collect();
    for hog in &mut hogs {
        // Some connections may be closed already.
        let _ = hog.write_all(b"GET /health HTTP/1.1\r\n");
    }
    for _ in 0..20 {
        assert_eq!(service.get("/health").status, 500);
    }
    let mut buffer = [0; 1];
    let first = &mut hogs[0];
    first.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    assert!(matches!(first.read(&mut buffer), Ok(0) | Err(_)), "the oldest was closed");
    // Closed connections release their file descriptors.
    let open = || std::fs::read_dir(format!("/proc/{}/fd", service.pid())).expect("proc").count();
    drop(hogs);
    eventually("descriptors are given back", || (open() < 30).then_some(()));
}

/// A service with one check that never answers, so that `/health` waits for its deadline.
fn pending(server: &str) -> Allswell {
    let silent = Hostile::silent();
    Allswell::start(&format!(
        "[server]\n{server}\n[checks.web]\nkind = \"http\"\nurl = \"http://{}\"\ninterval = \"2h\"\ntimeout = \"1h\"\n",
        silent.address
    ))
}

#[test]
fn connections_with_a_request_in_progress_are_closed_last() {
    let service = pending("max_connections = 4\ndeadline = \"2s\"");
    let address = service.address;
    let waiting: Vec<_> = (0..2).map(|_| std::thread::spawn(move || crate::helpers::get(address, "/health").status)).collect();
    std::thread::sleep(Duration::from_millis(300)); // until they are in progress, which cannot be observed
    for _ in 0..20 {
        assert_eq!(service.get("/livez").status, 200);
    }
    assert!(waiting.into_iter().all(|waiting| waiting.join().expect("no panic") == 500));
}

#[test]
fn a_poll_is_answered_while_all_other_connections_wait_for_a_response() {
    let service = pending("max_connections = 2\ndeadline = \"30s\"");
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(service.address).expect("a connection");
            stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").expect("a request");
            stream
        })
        .collect();
    for _ in 0..5 {
        let response = service.get("/livez");
        assert_eq!(response.status, 200);
        assert!(response.took < Duration::from_secs(10), "no connection was closed for the poll: {:?}", response.took);
    }
    drop(waiting);
}

#[test]
fn clients_that_do_not_read_do_not_keep_others_from_a_response() {
    let service = pending("max_connections = 4\ndeadline = \"300ms\"\nidle_timeout = \"1h\"");
    let hogs: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut hog = TcpStream::connect(service.address).expect("a connection");
            hog.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
            // Until the send buffer is full.
            while hog.write_all("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000).as_bytes()).is_ok() {}
            hog
        })
        .collect();
    assert_eq!(service.get("/livez").status, 200);
    drop(hogs);
}

#[test]
fn a_response_may_take_longer_than_the_idle_timeout() {
    let service = pending("deadline = \"2s\"\nidle_timeout = \"200ms\"");
    assert_eq!(service.get("/health").class("web").as_deref(), Some("pending"));
    let start = Instant::now();
    assert_eq!(service.get("/livez?fresh").status, 200);
    assert!(start.elapsed() < Duration::from_secs(2), "livez waits for no backend");
}

#[test]
fn an_impossible_component_name_is_not_found() {
    let service = passing();
    let response = service.get("/health/%ff");
    assert_eq!((response.status, response.header("content-type")), (404, Some("application/problem+json")));
    has_the_headers(&response, "pass");
}

#[test]
fn too_many_headers_and_too_long_urls_are_refused() {
    let service = passing();
    let many = format!("GET /health HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(2000));
    let long = format!("GET /health?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100_000));
    for request in [many, long] {
        let mut stream = TcpStream::connect(service.address).expect("a connection");
        // The server may close the connection in the middle.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(service.get("/health").status, 200);
}
