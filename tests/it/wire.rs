//! What arrives on the wire besides ordinary requests: the PROXY protocol, other forms of a request's target, and bytes that are no request.

use crate::{
    helpers::{Allswell, Response, eventually, get_with, run, send},
    servers::{Certificates, haproxy_checking, haproxy_state},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    thread,
    time::{Duration, Instant},
};

const MEMORY: &str = "[checks.memory]\nkind = \"memory\"\n";
const POLL: &[u8] = b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// The header that the health checks of an AWS Network Load Balancer send: kubernetes/kubernetes#57250.
fn network_load_balancer() -> Vec<u8> {
    [&b"\r\n\r\n\0\r\nQUIT\n\x20\x11\x00\x54\x03\x00\x04\xbc\xe5\x95\x1f\x04\x00\x4a"[..], &[0; 74]].concat()
}

/// A header of version 2 for a client at 192.0.2.7, with extensions of this size.
fn version_2(extensions: u16) -> Vec<u8> {
    let addresses = [192, 0, 2, 7, 198, 51, 100, 1, 0x13, 0x88, 0, 80];
    let length = (12 + extensions).to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &length, &addresses, &vec![0x04; usize::from(extensions)]].concat()
}

fn accepting(more: &str) -> Allswell {
    Allswell::start(&format!("[server]\nproxy_protocol = \"accept\"\n{more}\n{MEMORY}"))
}

/// Sends the parts of a request, each in a packet of its own.
fn send_parts<'a>(service: &Allswell, parts: impl IntoIterator<Item = &'a [u8]>) -> Response {
    let mut stream = TcpStream::connect(service.address).expect("a connection");
    stream.set_nodelay(true).expect("an option");
    for part in parts {
        stream.write_all(part).expect("a part");
        thread::sleep(Duration::from_millis(2));
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a response");
    Response::parse(&text, Duration::ZERO)
}

#[test]
fn a_header_of_the_proxy_protocol_is_read_before_a_request() {
    let service = accepting("");
    for header in [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 80\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 80\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        version_2(0),
        version_2(600),
        version_2(u16::MAX - 12),
        network_load_balancer(),
        Vec::new(),
    ] {
        let bytes = [&header, POLL].concat();
        assert_eq!(send(service.address, &bytes).status, 200, "{:?}", &header[..header.len().min(40)]);
        if bytes.len() < 300 {
            assert_eq!(send_parts(&service, bytes.chunks(1)).status, 200, "in single bytes: {header:?}");
        }
        assert_eq!(send_parts(&service, [&header[..], POLL]).status, 200, "in two packets");
    }
    let malformed = send(service.address, &[b"PROXY TCP4 192.0.2.7\r\n", POLL].concat());
    assert_eq!(malformed.status, 400);
    assert!(malformed.body.contains("malformed"), "{}", malformed.text);
    let twice = [&version_2(0), &version_2(0), POLL].concat();
    assert_eq!(send(service.address, &twice).status, 400, "an address that a client announces itself does not count");
}

fn curl(arguments: &[&str], url: &str) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--noproxy", "*", "--insecure", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"]);
    run(command.args(arguments).arg(url)).stdout
}

#[test]
fn a_header_of_the_proxy_protocol_precedes_http_2_and_tls() {
    let plain = accepting("");
    let url = format!("http://{}/health", plain.address);
    assert_eq!(curl(&["--haproxy-protocol"], &url), "1.1 200");
    assert_eq!(curl(&["--haproxy-protocol", "--http2-prior-knowledge"], &url), "2 200");
    assert_eq!(curl(&["--http2-prior-knowledge"], &url), "2 200");
    let folder = tempfile::tempdir().expect("a folder");
    let files = Certificates::new(folder.path());
    let tls = format!("[server.tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n", files.certificate.display(), files.key.display());
    let encrypted = accepting(&tls);
    let url = format!("https://{}/health", encrypted.address);
    assert_eq!(curl(&["--haproxy-protocol", "--http1.1"], &url), "1.1 200");
    assert_eq!(curl(&["--haproxy-protocol", "--http2"], &url), "2 200");
    assert_eq!(curl(&["--http2"], &url), "2 200");

    let off = Allswell::start(&format!("[server]\n{tls}\n{MEMORY}"));
    let url = format!("https://{}/health", off.address);
    assert_eq!(curl(&["--http1.1"], &url), "1.1 200");
    assert_eq!(curl(&["--haproxy-protocol"], &url), "0 000", "a plaintext response would not help a client of TLS");
    assert_warned_once(&off);
}

fn assert_warned_once(service: &Allswell) {
    let lines = || {
        service.events().into_iter().filter(|event| event["message"].as_str().is_some_and(|text| text.contains("server.proxy_protocol")))
    };
    let line = eventually("a line in the log", || lines().next());
    assert_eq!((&line["level"], &line["from"]), (&"WARN".into(), &"127.0.0.1".into()), "{line}");
    assert_eq!(lines().count(), 1, "one line a minute");
}

#[test]
fn without_the_setting_a_header_gets_a_400_that_names_it() {
    let service = Allswell::start(MEMORY);
    for (header, version) in [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 80\r\n".to_vec(), "version 1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "version 1"),
        (version_2(0), "version 2"),
        (network_load_balancer(), "version 2"),
    ] {
        let bytes = [&header, POLL].concat();
        for response in [send(service.address, &bytes), send_parts(&service, [&header[..], POLL])] {
            assert_eq!(response.status, 400, "{}", response.text);
            assert!(response.body.contains(version) && response.body.contains("`server.proxy_protocol = "), "{}", response.text);
        }
    }
    assert_warned_once(&service);
    assert_eq!(service.get("/health").status, 200);
}

#[test]
fn an_unfinished_header_of_the_proxy_protocol_is_closed_after_the_header_timeout() {
    let service = accepting("header_timeout = \"500ms\"");
    for start in [&b"PROXY TCP4 192.0.2."[..], b"\r\n\r\n\0\r\nQ", &version_2(600)[..200]] {
        let (began, mut stream) = (Instant::now(), TcpStream::connect(service.address).expect("a connection"));
        stream.write_all(start).expect("the start of a header");
        let _ = stream.read(&mut [0; 64]);
        assert!((Duration::from_millis(400)..Duration::from_secs(20)).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
}

#[test]
fn an_announced_address_is_shown_and_decides_nothing() {
    let service = accepting("token = \"correct-horse-battery\"");
    let poll = |agent: &str| format!("GET /health HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n").into_bytes();
    assert_eq!(send(service.address, &[version_2(0), poll("announced")].concat()).status, 200);
    assert_eq!(send(service.address, &[network_load_balancer(), poll("own")].concat()).status, 200);
    let report = get_with(service.address, "/health?probers", "Authorization: Bearer correct-horse-battery\r\n").json();
    let address = |agent: &str| {
        let seen = report["probers"]["seen"].as_array().expect("pollers");
        seen.iter().find(|poller| poller["agent"] == agent).map(|poller| poller["address"].clone())
    };
    assert_eq!((address("announced"), address("own")), (Some("192.0.2.7".into()), Some("127.0.0.1".into())), "{report}");
    // Wrong tokens count for the connection's address, whatever address is announced.
    for last in 0..8 {
        let header = format!("PROXY TCP4 203.0.113.{last} 198.51.100.1 5000 80\r\n");
        let guess = "GET /health HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer wrong\r\nConnection: close\r\n\r\n";
        let response = send(service.address, format!("{header}{guess}").as_bytes());
        assert_eq!(response.took >= Duration::from_millis(250), last >= 5, "{last}: {:?}", response.took);
    }
}

#[test]
fn haproxy_checks_with_the_proxy_protocol_and_with_the_asterisk_form() {
    let checks = [
        ("v1", "option httpchk GET /health", "send-proxy check-send-proxy"),
        ("v2", "option httpchk GET /health", "send-proxy-v2 check-send-proxy"),
        ("asterisk", "option httpchk OPTIONS * HTTP/1.1\\r\\nHost:\\ www", ""),
    ];
    let accepting = accepting("");
    let proxy = haproxy_checking(accepting.address.port(), &checks);
    for (name, ..) in checks {
        let state = || haproxy_state(proxy.directory.path(), name, "one");
        eventually(&format!("{name} is up"), || state().filter(|state| state.status == "UP" && state.check == "L7OK"));
    }
    let off = Allswell::start(MEMORY);
    let proxy = haproxy_checking(off.address.port(), &checks);
    for (name, expected) in [("v1", "L7STS"), ("v2", "L7STS"), ("asterisk", "L7OK")] {
        let state = || haproxy_state(proxy.directory.path(), name, "one");
        eventually(&format!("{name}: {expected}"), || state().filter(|state| state.check == expected));
    }
}

#[test]
fn every_form_of_a_target_gets_the_verdict_or_says_what_to_do() {
    let service = Allswell::start(MEMORY);
    service.await_report("/health", "the component passes", |report| report.status == 200);
    for (line, status, words) in [
        ("OPTIONS * HTTP/1.1", 200, ""),
        ("OPTIONS * HTTP/1.0", 200, ""),
        ("GET http://example.com/health HTTP/1.1", 200, "\"components\""),
        ("GET http://example.com HTTP/1.1", 200, "\"components\""),
        ("GET http://example.com:81/readyz/?format=text HTTP/1.1", 200, "memory"),
        ("OPTIONS http://example.com/health HTTP/1.1", 200, ""),
        ("GET * HTTP/1.1", 404, "the report is at /health"),
        ("GET //health HTTP/1.1", 404, "two slashes"),
        ("GET health HTTP/1.1", 404, "the report is at /health"),
        ("CONNECT example.com:443 HTTP/1.1", 405, "no proxy"),
        ("GET /health HTTP/3.0", 505, "HTTP/1.1"),
    ] {
        let response = send(service.address, format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
        assert_eq!(response.status, status, "{line}: {}", response.text);
        assert!(response.body.contains(words), "{line}: {}", response.text);
        assert_eq!(response.header("x-health-status"), Some("pass"), "{line}: {}", response.text);
    }
    let asterisk = send(service.address, b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(asterisk.header("allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(
        curl(&["--http2-prior-knowledge", "--request", "OPTIONS", "--request-target", "*"], &format!("http://{}", service.address)),
        "2 200"
    );
    assert!(service.get("/metrics").body.contains("allswell_polls_total{path=\"/health\",code=\"200\"}"), "it counts as /health");
}

#[test]
fn the_asterisk_form_fails_with_the_verdict() {
    let service = Allswell::start("[server]\nfail_status = 503\n[checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n");
    service.await_report("/health", "the component fails", |report| report.status == 503);
    assert_eq!(send(service.address, b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").status, 503);
}

#[test]
fn bytes_that_are_no_request_get_a_response_with_the_usual_headers() {
    let service = Allswell::start(MEMORY);
    service.await_report("/health", "the component passes", |report| report.status == 200);
    let large = format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(200_000)).into_bytes();
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (bytes, status, words) in [
        (&b"GET / HTTP/1.1\r\nno colon\r\n\r\n"[..], 400, "GET /health HTTP/1.1"),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400, "TLS"),
        (b"garbage\r\n\r\n", 400, "GET /health HTTP/1.1"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "GET /health HTTP/1.1"),
        (&large, 431, "16 KiB"),
        (many.as_bytes(), 431, "100 headers"),
    ] {
        let mut stream = TcpStream::connect(service.address).expect("a connection");
        // The server may have responded before everything is sent; the response must arrive nevertheless.
        let _ = stream.write_all(bytes);
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("a response and no reset");
        let response = Response::parse(&text, Duration::ZERO);
        assert_eq!(response.status, status, "{text}");
        let header = |name| response.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("content-type"), "application/problem+json", "{text}");
        assert_eq!(
            (header("cache-control"), header("x-health-status"), header("connection")),
            ("no-store".into(), "pass".into(), "close".into())
        );
        assert_eq!(header("content-length"), response.body.len().to_string(), "{text}");
        assert!(response.json()["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{text}");
    }
    // Also after a request.
    let text = send(service.address, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\ngarbage\r\n\r\n").text;
    assert_eq!((text.matches("HTTP/1.1 200 OK\r\n").count(), text.matches("HTTP/1.1 400 Bad Request\r\n").count()), (1, 1), "{text}");
}

#[test]
fn a_request_without_a_version_gets_a_response_only_while_the_verdict_is_good() {
    let folder = tempfile::tempdir().expect("a folder");
    let drain = folder.path().join("drain");
    let service = Allswell::start(&format!("[server]\ndrain_file = \"{}\"\n{MEMORY}", drain.display()));
    service.await_report("/health", "the component passes", |report| report.status == 200);
    // The default of BIG-IP's monitors.
    let long = format!("GET /health/memory?{}\r\n", "x".repeat(200)).into_bytes();
    for request in
        [&b"GET /\r\n"[..], b"GET /\r\n\r\n", b"GET /readyz\r\n", b"GET /health/memory\r\n", b"GET /health?format=nagios\r\n", &long]
    {
        for size in [1, 5, 25, 300] {
            let response = send_parts(&service, request.chunks(size));
            assert_eq!((response.status, response.body.as_str()), (200, "pass\n"), "{request:?} in parts of {size}");
        }
    }
    let banner = b"SSH-2.0-OpenSSH_9.9p1 Debian-1\r\n";
    assert_eq!(send_parts(&service, banner.chunks(7)).status, 400, "no wait for the end of a head that does not come");
    assert_eq!(send(service.address, b"GET /nothing\r\n").text, "");
    std::fs::write(&drain, "").expect("a file");
    service.await_report("/health", "the service drains", |report| report.status == 500);
    assert_eq!(send(service.address, b"GET /\r\n").text, "", "a monitor without a receive string would take any response for UP");
    assert_eq!(send(service.address, b"GET /livez\r\n").body, "pass\n");
}

#[test]
fn a_status_without_a_standard_reason_gets_one() {
    let service = Allswell::start(
        "[server]\nfail_status = 599\n[groups.odd]\nchecks = [\"port\"]\nfail_status = 527\n[checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n",
    );
    let failed = service.await_report("/health", "the component fails", |report| report.status == 599);
    assert!(failed.text.starts_with("HTTP/1.1 599 Unhealthy\r\n"), "{}", failed.text);
    assert!(service.get("/health/odd").text.starts_with("HTTP/1.1 527 Unhealthy\r\n"));
    assert!(get_with(service.address, "/health", "Accept: text/plain\r\n").text.starts_with("HTTP/1.1 599 Unhealthy\r\n"));
    assert!(send(service.address, b"OPTIONS / HTTP/1.0\r\n\r\n").text.starts_with("HTTP/1.0 599 Unhealthy\r\n"));
    let shown =
        run(Command::new("curl").args(["--silent", "--include", "--noproxy", "*"]).arg(format!("http://{}/health", service.address)));
    assert!(shown.stdout.starts_with("HTTP/1.1 599 Unhealthy\r\n"), "{}", shown.stdout);
    let script = "import http.client, sys\nc = http.client.HTTPConnection(sys.argv[1])\nc.request('GET', '/health')\nr = c.getresponse()\nprint(r.status, r.reason)";
    assert_eq!(run(Command::new("python3").args(["-c", script, &service.address.to_string()])).stdout, "599 Unhealthy\n");

    let warned = Allswell::start(
        "[server]\nwarn_status = 299\n[checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ncritical = false\n[checks.memory]\nkind = \"memory\"\n",
    );
    let response = warned.await_report("/health", "the component fails", |report| report.status == 299);
    assert!(response.text.starts_with("HTTP/1.1 299 Degraded\r\n"), "{}", response.text);
}

#[test]
fn a_warn_status_of_any_code_is_sent_whatever_the_request_is() {
    let warning = |code: u16| {
        let service = Allswell::start(&format!(
            "[server]\nwarn_status = {code}\n[checks.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\ncritical = false\n"
        ));
        service.await_report("/health", "the component fails", |report| report.status == code);
        service
    };
    let text = send(warning(299).address, b"GET /\r\n").text;
    assert!(text.starts_with("HTTP/1.1 299 Degraded\r\n"), "HTTP/0.9: {text}");
    // A status below 500 without a body is that of no malformed request.
    let options = send(warning(429).address, b"OPTIONS /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!((options.status, options.header("allow")), (429, Some("GET, HEAD, OPTIONS")), "{}", options.text);
}
