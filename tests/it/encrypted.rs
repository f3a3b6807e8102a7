//! HTTPS and HTTP/2 on the listener, with curl as the client.

use crate::{
    helpers::{Allswell, PATIENCE, Ran, eventually, run},
    servers::Certificates,
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};
use tempfile::TempDir;

/// A service with TLS, with its certificates in a folder.
fn service(folder: &Path, more: &str) -> (Allswell, Certificates) {
    let files = Certificates::new(folder);
    let configuration = format!(
        "[server]\nheader_timeout = \"1s\"\n[server.tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n{more}\n\
         [checks.disk]\nkind = \"disk\"\nfail_free = \"0%\"\n",
        files.certificate.display(),
        files.key.display()
    );
    (Allswell::start(&configuration), files)
}

/// Requests `/health` with curl: the HTTP version, the status code, and the result of the verification of the certificate.
fn curl(service: &Allswell, files: &Certificates, arguments: &[&str]) -> Ran {
    let address = format!("https://localhost:{}/health", service.address.port());
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"]);
    command.arg("--cacert").arg(&files.authority).args(arguments).arg(address);
    run(&mut command)
}

#[test]
fn both_tls_versions_and_all_http_versions_are_supported() {
    let folder = TempDir::new().expect("a folder");
    let (service, files) = service(folder.path(), "");
    for (arguments, expected) in [
        (&["--tlsv1.2", "--tls-max", "1.2", "--http1.1"][..], "1.1 200"),
        (&["--tlsv1.3", "--http1.1"], "1.1 200"),
        (&["--tlsv1.3", "--http1.0"], "1 200"),
        (&["--tlsv1.2", "--tls-max", "1.2", "--http2"], "2 200"),
        (&["--tlsv1.3", "--http2"], "2 200"),
        (&["--http2", "--head"], "2 200"),
    ] {
        let asked = curl(&service, &files, arguments);
        assert_eq!(asked.stdout, expected, "{arguments:?}: {}", asked.stderr);
    }
    // Load balancers connect to an address, send no server name, and do not verify the certificate.
    let mut command = Command::new("curl");
    command.args(["--silent", "--insecure", "--noproxy", "*", "--output", "/dev/null", "--write-out", "%{http_code}"]);
    let asked = run(command.arg(format!("https://127.0.0.1:{}/health", service.address.port())));
    assert_eq!(asked.stdout, "200", "{}", asked.stderr);

    // A silent or plaintext connection is closed in time and without a line in the log.
    for words in [&b""[..], b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut stream = TcpStream::connect(service.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(words).expect("words");
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the connection is closed in time"),
        }
        assert!(!answer.starts_with(b"HTTP"), "plaintext gets no response");
    }
    // The start warns of an issuer that is not in the file.
    let log = service.log().to_ascii_lowercase();
    let log: Vec<&str> = log.lines().filter(|line| !line.contains("certificate of the issuer")).collect();
    let log = log.join("\n");
    assert!(!log.contains("tls") && !log.contains("handshake") && !log.contains("connection"), "{log}");
}

#[test]
fn a_new_certificate_is_used_once_it_is_complete() {
    let (folder, other) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let (service, old) = service(folder.path(), "");
    let new = Certificates::new(other.path());
    assert_eq!(curl(&service, &old, &[]).stdout, "2 200");
    fs::copy(&new.certificate, &old.certificate).expect("a file");
    eventually("the certificate without its key is refused", || service.log().contains("the old certificate stays in force").then_some(()));
    assert_eq!(curl(&service, &old, &[]).stdout, "2 200", "the old one goes on");
    fs::copy(&new.key, &old.key).expect("a file");
    eventually("the new one is in force", || (curl(&service, &new, &[]).stdout == "2 200").then_some(()));
    assert_ne!(curl(&service, &old, &[]).code, Some(0), "the old authority does not verify the new certificate");
}

#[test]
fn clients_without_a_certificate_are_refused_if_one_is_required() {
    let (folder, other) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let (trusted, stranger) = (Certificates::new(folder.path()), Certificates::new(other.path()));
    let authority = folder.path().join("clients.pem");
    fs::copy(&trusted.authority, &authority).expect("a file");
    let client = folder.path().join("client.pem");
    fs::copy(&trusted.certificate, &client).expect("a file");
    let client_key = folder.path().join("client-key.pem");
    fs::copy(&trusted.key, &client_key).expect("a file");
    let (service, files) = service(folder.path(), &format!("client_ca_file = \"{}\"", authority.display()));
    let with = |certificate: &Path, key: &Path| {
        curl(&service, &files, &["--cert", &certificate.display().to_string(), "--key", &key.display().to_string()])
    };
    let known = with(&client, &client_key);
    assert_eq!(known.stdout, "2 200", "{}", known.stderr);
    assert_ne!(curl(&service, &files, &[]).code, Some(0));
    assert_ne!(with(&stranger.certificate, &stranger.key).code, Some(0));
}

#[test]
fn get_trusts_only_the_certificate_of_its_own_configuration() {
    let folder = TempDir::new().expect("a folder");
    let (service, files) = service(folder.path(), "");
    let get = |certificate: &Path| {
        let mut command = crate::helpers::command(&service.directory);
        command.args(["get", "--timeout", "20s"]).env("ALLSWELL_SERVER__LISTEN", service.address.to_string());
        run(command.env("ALLSWELL_SERVER__TLS__CERTIFICATE_FILE", certificate))
    };
    // The address differs from the name of the certificate.
    let own = get(&files.certificate);
    assert_eq!(own.code, Some(0), "{}", own.stderr);
    assert!(own.stdout.contains("\"status\": \"pass\""), "{}", own.stdout);
    let by_url =
        run(crate::helpers::command(&service.directory).args(["get", &format!("https://localhost:{}/health", service.address.port())]));
    assert_eq!(by_url.code, Some(1), "by its URL it is verified like any server");
    assert!(by_url.stderr.contains("the certificate's issuer is not trusted"), "{}", by_url.stderr);
}

#[test]
fn an_unusable_certificate_is_an_error_with_its_position() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("allswell.toml"), "[server.tls]\ncertificate_file = \"/none.pem\"\nkey_file = \"/none.pem\"\n")
        .expect("a configuration");
    let ran = run(crate::helpers::command(&folder).arg("validate"));
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("error: allswell.toml:2:1: server.tls.certificate_file: there is no such file"), "{}", ran.stderr);
}

#[test]
fn http_2_with_prior_knowledge_needs_no_tls() {
    let service = Allswell::start("[checks.disk]\nkind = \"disk\"\nfail_free = \"0%\"\n");
    let mut command = Command::new("curl");
    command.args(["--silent", "--noproxy", "*", "--http2-prior-knowledge", "--head"]);
    let address = format!("http://{}/health", service.address);
    let asked = run(command.arg(&address));
    assert_eq!(asked.stdout.matches("HTTP/2 200").count(), 1, "{} {}", asked.stdout, asked.stderr);
    assert_eq!(asked.stdout.matches("content-length: ").count(), 1, "{}", asked.stdout);
}
