//! TLS with real servers: only the authorities of the system are trusted.

use crate::{
    helpers::{Allswell, Response},
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, Server, hostile::Hostile, openssl_server, postgres_with_tls, redis_with_tls, run_openssl, tls_front,
        tls_front_for_known_clients,
    },
};
use std::{fs, time::Duration};

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
    let pem = [&redis_files.authority, &postgres_files.authority].map(|path| fs::read_to_string(path).expect("a certificate"));
    fs::write(&bundle, pem.concat()).expect("a file");
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

/// A certificate for `localhost` that has signed itself, as `openssl req` makes it.
const SELF_SIGNED: &str =
    "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost";

/// An authority in `ca.pem`, and a certificate for `localhost` that it has signed with more options.
fn signed(options: &str) -> String {
    format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority
         openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=localhost
         openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem {options}"
    )
}

fn to(server: &Server, keys: &str) -> String {
    let keys = keys.replace("DIR", &server.directory.path().display().to_string());
    format!("kind = \"http\"\nurl = \"https://localhost:{}/\"\n{keys}", server.port)
}

const NO_COMMON: &str =
    "no common cipher suite: the server may offer only static RSA, DHE or CBC, or a key of an unsupported type, which are not supported";
const UNVERIFIED: &str = "tls.verify = \"none\"";
const OF_AUTHORITY: &str = "tls.ca_file = \"DIR/ca.pem\"";

#[test]
fn old_tls_and_alerts_of_real_servers_have_their_reason() {
    let of = |options: &str| openssl_server(SELF_SIGNED, options);
    let old = "the server offers TLS 1.1 at most, and TLS 1.2 or 1.3 is required";
    let required = "the server requires a client certificate";
    let own = "tls.verify = \"none\"\ntls.client_certificate_file = \"DIR/cert.pem\"\ntls.client_key_file = \"DIR/key.pem\"";
    let rejected = "the server rejected our client certificate";
    let cases = [
        ("TLS 1.1", of("-tls1_1 -cipher ALL:@SECLEVEL=0"), UNVERIFIED, old),
        ("TLS 1.0", of("-tls1 -cipher ALL:@SECLEVEL=0"), UNVERIFIED, old),
        ("static RSA", of("-tls1_2 -cipher AES128-GCM-SHA256"), UNVERIFIED, NO_COMMON),
        ("DHE", of("-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256"), UNVERIFIED, NO_COMMON),
        ("CBC", of("-tls1_2 -cipher ECDHE-RSA-AES128-SHA"), UNVERIFIED, NO_COMMON),
        ("no client certificate, TLS 1.2", of("-tls1_2 -Verify 1"), UNVERIFIED, required),
        ("no client certificate, TLS 1.3", of("-tls1_3 -Verify 1"), UNVERIFIED, required),
        ("a foreign client certificate, TLS 1.2", of("-tls1_2 -Verify 1 -verify_return_error"), own, rejected),
        ("a foreign client certificate, TLS 1.3", of("-tls1_3 -Verify 1 -verify_return_error"), own, rejected),
        (
            "another server name",
            of("-servername other.test -servername_fatal -cert2 cert.pem -key2 key.pem"),
            UNVERIFIED,
            "the server has no certificate for the requested name",
        ),
    ];
    assert_tls_failures(&cases);
}

fn assert_tls_failures(cases: &[(&'static str, Server, &str, &'static str)]) {
    let cases: Vec<_> = cases.iter().map(|(what, server, keys, message)| Case::new(what, to(server, keys), "tls", message)).collect();
    assert_failures(&cases);
}

#[test]
fn certificates_that_are_not_supported_have_their_reason() {
    let key = "a certificate of the server has an unsupported key: RSA with fewer than 2,048 bits, or RSA-PSS";
    let short = SELF_SIGNED.replace("rsa:2048", "rsa:1024");
    let pss = SELF_SIGNED.replace("rsa:2048", "rsa-pss -pkeyopt rsa_keygen_bits:2048");
    let extension = |extension: &str| signed(&format!("-extfile <(printf 'subjectAltName=DNS:localhost\\n{extension}')"));
    let trusted = "tls.ca_file = \"DIR/cert.pem\"";
    let weak = "-cipher DEFAULT:@SECLEVEL=0";
    assert_tls_failures(&[
        ("RSA of 1,024 bits", openssl_server(&short, weak), UNVERIFIED, key),
        ("RSA of 1,024 bits, trusted", openssl_server(&short, weak), trusted, key),
        (
            "RSA of 1,024 bits, signed",
            openssl_server(&signed("").replace("-newkey rsa:2048 -nodes -keyout key", "-newkey rsa:1024 -nodes -keyout key"), weak),
            "tls.ca_file = \"DIR/ca.pem\"\ntls.verify = \"ca\"",
            key,
        ),
        (
            "an authority with RSA of 1,024 bits",
            openssl_server(&extension("").replace("rsa:2048 -nodes -keyout ca", "rsa:1024 -nodes -keyout ca"), weak),
            OF_AUTHORITY,
            "the certificate's issuer is not trusted",
        ),
        ("an RSA-PSS key", openssl_server(&pss, ""), trusted, NO_COMMON),
        (
            "SHA-1",
            openssl_server(&signed("-sha1 -extfile <(echo subjectAltName=DNS:localhost)"), weak),
            OF_AUTHORITY,
            "the certificate is signed with an unsupported algorithm, such as SHA-1",
        ),
        (
            "for clients",
            openssl_server(&extension("extendedKeyUsage=clientAuth"), ""),
            OF_AUTHORITY,
            "the certificate is not for servers: its extended key usage says otherwise",
        ),
    ]);
}

#[test]
fn files_are_read_as_openssl_reads_them() {
    let server = openssl_server(&signed("-extfile <(echo subjectAltName=DNS:localhost)"), "");
    let directory = server.directory.path();
    run_openssl(
        directory,
        "openssl x509 -in ca.pem -trustout -addtrust serverAuth -out trusted.pem
         openssl x509 -in ca.pem -text -out text.pem
         openssl x509 -in ca.pem -outform der -out binary.pem
         openssl pkcs12 -export -in cert.pem -inkey key.pem -passout pass:x -out bundle.p12
         sed 's/$/\\r/' ca.pem > crlf.pem
         sed 's/^/    /' ca.pem > indented.pem
         printf '\\xef\\xbb\\xbf' | cat - ca.pem > mark.pem
         printf '%s' \"$(cat cert.pem)\" | cat - ca.pem > joined.pem
         iconv -t UTF-16 ca.pem > wide.pem",
    );
    for file in ["trusted", "text", "crlf", "indented", "mark", "joined"] {
        Probed::new(&to(&server, &format!("tls.ca_file = \"DIR/{file}.pem\""))).pass();
    }
    let binary = "the file in `tls.ca_file` is not PEM but binary (DER or PKCS #12): convert it with `openssl`";
    let with = |what, file: &str, message| Case::new(what, to(&server, &format!("tls.ca_file = \"DIR/{file}\"")), "tls", message);
    assert_failures(&[
        with("DER", "binary.pem", binary),
        with("PKCS #12", "bundle.p12", binary),
        with("UTF-16", "wide.pem", "the file in `tls.ca_file` is UTF-16, as PowerShell writes it: write it as ASCII"),
        with("a key", "key.pem", "the file in `tls.ca_file` has no certificate, but a private key"),
        with(
            "a request",
            "request.pem",
            "the file in `tls.ca_file` has no certificate, but a certificate request: name the signed certificate",
        ),
        with("missing", "none.pem", "the file in `tls.ca_file` does not exist"),
        with("a folder", "", "the file in `tls.ca_file` is a directory"),
    ]);
}

#[test]
fn a_client_key_is_read_in_every_form_or_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::new(folder.path());
    let known = tls_front_for_known_clients(Hostile::answering("HTTP/1.1 204 No Content\r\n\r\n").port(), &certificates);
    run_openssl(
        folder.path(),
        "openssl ec -in key.pem -out sec1.pem
         openssl ecparam -name prime256v1 | cat - sec1.pem > parameters.pem
         cat cert.pem key.pem > both.pem
         openssl pkey -in key.pem -aes128 -passout pass:x -out encrypted.pem
         openssl ec -in key.pem -aes128 -passout pass:x -out old.pem
         openssl genrsa -out short.pem 1024
         openssl genrsa -out other.pem 2048",
    );
    let directory = folder.path().display();
    let with = |key: &str| {
        format!(
            "kind = \"http\"\nurl = \"https://localhost:{known}/\"\ntls.ca_file = \"{directory}/ca.pem\"\n\
             tls.client_certificate_file = \"{directory}/cert.pem\"\ntls.client_key_file = \"{directory}/{key}.pem\""
        )
    };
    for key in ["key", "sec1", "parameters", "both"] {
        Probed::new(&with(key)).pass();
    }
    let encrypted =
        "the file in `tls.client_key_file` has an encrypted private key, which is not supported: decrypt it with `openssl pkey`";
    assert_failures(&[
        Case::new("encrypted", with("encrypted"), "tls", encrypted),
        Case::new("encrypted in the old form", with("old"), "tls", encrypted),
        Case::new(
            "RSA of 1,024 bits",
            with("short"),
            "tls",
            "the key in `tls.client_key_file` is of an unsupported type, such as RSA with fewer than 2,048 bits, or damaged",
        ),
        Case::new("another key", with("other"), "tls", "the client certificate and its key do not match"),
        Case::new("a certificate", with("cert"), "tls", "the file in `tls.client_key_file` has no private key, but a certificate"),
    ]);
    assert!(fs::read_to_string(folder.path().join("old.pem")).expect("a file").contains("ENCRYPTED"));
}
