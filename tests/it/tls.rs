//! TLS with real servers: only the authorities of the system are trusted.

use crate::{
    helpers::{Allswell, Response},
    servers::{Certificates, hostile::Hostile, postgres_with_tls, redis_with_tls, tls_front},
};
use std::time::Duration;

fn results(configuration: &str, authority: Option<&str>) -> Response {
    let variables: Vec<_> = authority.map(|path| ("SSL_CERT_FILE", path)).into_iter().collect();
    let service = Allswell::start_with(configuration, &variables);
    service.await_report("/health", "all components have a result", |response| !response.body.contains("\"pending\""))
}

#[test]
fn a_server_is_verified_by_the_systems_roots_and_its_name() {
    let (redis, redis_files) = redis_with_tls();
    let (postgres, postgres_files) = postgres_with_tls("secret", Certificates::new);
    // A bundle with both authorities, like that of the system.
    let bundle = redis.directory.path().join("bundle.pem");
    let pem = [&redis_files.authority, &postgres_files.authority].map(|path| std::fs::read_to_string(path).expect("a certificate"));
    std::fs::write(&bundle, pem.concat()).expect("a file");
    let check = |name: &str, kind: &str, url: &str| format!("[checks.{name}]\nkind = \"{kind}\"\nurl = \"{url}\"\ntimeout = \"20s\"\n");
    let url = |host: &str, mode: &str| format!("postgres://app:secret@{host}:{}/orders?sslmode={mode}", postgres.port);
    let configuration = check("redis", "redis", &format!("rediss://localhost:{}/0", redis.port))
        + &check("redis_by_address", "redis", &format!("rediss://127.0.0.1:{}/0", redis.port))
        + &check("required", "postgres", &url("localhost", "require"))
        + &check("verified", "postgres", &url("localhost", "verify-full"))
        + &check("by_address", "postgres", &url("127.0.0.1", "verify-full"));

    let trusted = results(&configuration, bundle.to_str());
    let json = trusted.json();
    for (name, class) in
        [("redis", None), ("redis_by_address", Some("tls")), ("required", None), ("verified", None), ("by_address", Some("tls"))]
    {
        assert_eq!(json["components"][name]["failure"]["class"].as_str(), class, "{name}: {}", trusted.body);
    }
    assert_eq!(json["components"]["redis_by_address"]["failure"]["message"], "the certificate is for another name");

    let distrusted = results(&configuration, None);
    for (name, class) in [("redis", Some("tls")), ("required", None), ("verified", Some("tls"))] {
        assert_eq!(distrusted.class(name).as_deref(), class, "{name}: {}", distrusted.body);
    }
    assert_eq!(distrusted.json()["components"]["redis"]["failure"]["message"], "the certificate's issuer is not trusted");
}

#[test]
fn the_next_connection_detects_an_expired_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = Certificates::for_a_while(folder.path(), Duration::from_secs(6));
    // The server offers session resumption, in which no certificate would be verified again.
    let front = tls_front(Hostile::answering("HTTP/1.1 204 No Content\r\n\r\n").port(), &files);
    let configuration = format!(
        "[checks.web]\nkind = \"http\"\nurl = \"https://localhost:{front}/\"\nconnection = \"fresh\"\ninterval = \"200ms\"\ntimeout = \"20s\"\n"
    );
    let service = Allswell::start_with(&configuration, &[("SSL_CERT_FILE", files.authority.to_str().expect("a path"))]);
    service.await_report("/health", "the certificate is trusted at first", |response| response.status == 200);
    let expired = service.await_report("/health", "the certificate has expired", |response| response.status == 500);
    assert_eq!(expired.json()["components"]["web"]["failure"]["message"], "the certificate has expired", "{}", expired.body);
}
