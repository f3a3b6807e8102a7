//! `gcs` against a server of our own that stores: no emulator of Google's storage runs here. Its errors are Google's, by the documentation.

use crate::{
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates,
        blobs::{Blobs, Refuse, gcs},
        hostile::{BlackHole, Hostile},
        proxy::Proxy,
        tls_front,
    },
};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};

fn open() -> Blobs {
    gcs(|_, _| None)
}

fn table(port: u16, more: &str) -> String {
    format!("kind = \"gcs\"\nbucket = \"media\"\nendpoint = \"http://127.0.0.1:{port}\"\nanonymous = true\n{more}")
}

#[test]
fn an_object_is_written_read_and_deleted() {
    let server = open();
    let seen = Probed::new(&table(server.port, "")).pass();
    assert!(seen.values().contains_key("write_ms") && seen.values().contains_key("read_ms"), "{seen:?}");
    let asked = server.asked();
    assert_eq!(asked.iter().map(|[method, ..]| method.as_str()).collect::<Vec<_>>(), ["PUT", "GET", "DELETE"]);
    assert!(asked.iter().all(|[_, path, who]| path.starts_with("/media/allswell") && who.is_empty()), "{asked:?}");
    assert_eq!(server.objects(), Vec::<String>::new());
}

#[test]
fn a_service_account_signs_for_itself() {
    let server = open();
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key").serialize_pem();
    let account = serde_json::json!({
        "type": "service_account", "private_key": key, "private_key_id": "1", "client_email": "probe@orders.iam.gserviceaccount.com",
    });
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), account.to_string()).expect("a file");
    let table = table(server.port, &format!("service_account_file = \"{}\"", file.path().display())).replace("anonymous = true\n", "");
    Probed::new(&table).pass();
    assert!(server.asked().iter().all(|[_, _, who]| who.starts_with("Bearer eyJ")));
    let unusable = table.replace("service_account_file", "service_account = \"{}\"\n# ");
    assert_failures(&[Case::new("no key", unusable, "rejected", "the credentials cannot be used")]);
}

#[test]
fn reading_asks_for_one_byte() {
    let server = open();
    server.put("logo.png", b"12345");
    server.put("empty", b"");
    let read = |key: &str| table(server.port, &format!("mode = \"read\"\nkey = \"{key}\""));
    assert_eq!(Probed::new(&read("logo.png")).observed("size_bytes"), 5);
    assert_eq!(Probed::new(&read("empty")).observed("size_bytes"), 0);
    Probed::new(&table(server.port, "mode = \"bucket\"")).pass();
    assert_failures(&[Case::new("no object", read("none"), "unhealthy", "there is no object none")]);
}

#[test]
fn failures_have_their_class() {
    let server = open();
    let (hole, cut) = (BlackHole::new(), Proxy::to(server.port));
    cut.cut_after(50);
    let folder = tempfile::tempdir().expect("a folder");
    let front = tls_front(server.port, &Certificates::new(folder.path()));
    let late = |port: u16| table(port, "timeout = \"1s\"");
    assert_failures(&[
        Case::new("refused", table(1, ""), "unreachable", "connection refused"),
        Case::new("black hole", late(hole.port), "timeout", "no answer within 1s"),
        Case::new("silent", late(Hostile::silent().port()), "timeout", "no answer within 1s"),
        Case::new("another protocol", table(Hostile::babbling().port(), ""), "protocol", "the response is not HTTP"),
        Case::new("breaks off", table(cut.port, ""), "protocol", "the connection was closed in the middle of a reply"),
        Case::new("plain to a TLS port", table(front, ""), "protocol", "the server expects TLS, but the connection was plaintext"),
        Case::new(
            "unknown CA",
            table(front, "").replace("http://127.0.0.1", "https://localhost"),
            "tls",
            "the certificate's issuer is not trusted",
        ),
        Case::new("no bucket", table(server.port, "").replace("\"media\"", "\"none\""), "unhealthy", "there is no bucket none"),
    ]);
}

/// Probes a server that refuses, and tells what is left there.
fn left_when_refused(refuse: Refuse, class: &'static str, message: &'static str) -> Vec<String> {
    let server = gcs(refuse);
    assert_failures(&[Case::new(message, table(server.port, ""), class, message)]);
    server.objects()
}

#[test]
fn what_google_says_has_its_sentence() {
    let refused = |refuse, class, message| drop(left_when_refused(refuse, class, message));
    let denied = "access denied: needs storage.objects.create on media/allswell/*";
    refused(|method, _| (method == "PUT").then_some((403, "AccessDenied")), "rejected", denied);
    let denied = "access denied: needs storage.objects.delete on media/allswell/*";
    refused(|method, _| (method == "DELETE").then_some((403, "AccessDenied")), "rejected", denied);
    refused(|_, _| Some((401, "AuthenticationRequired")), "rejected", "the credentials are not accepted");
    refused(|_, _| Some((429, "SlowDown")), "exhausted", "the storage is throttling our requests");
    refused(|_, _| Some((503, "ServiceUnavailable")), "unhealthy", "the storage answered 503 ServiceUnavailable");

    let denied = "access denied: needs storage.objects.get on media/allswell/*";
    let left = left_when_refused(|method, _| (method == "GET").then_some((403, "AccessDenied")), "rejected", denied);
    assert_eq!(left, Vec::<String>::new(), "what could not be read is deleted all the same");
}

#[test]
fn an_object_that_is_deleted_twice_is_deleted() {
    // When the answer to the first DELETE is lost, the second hears that there is nothing left.
    let server = gcs(|method, _| (method == "DELETE").then_some((404, "NoSuchKey")));
    Probed::new(&table(server.port, "")).pass();
}

#[test]
fn a_probe_costs_three_round_trips_and_a_dropped_one_leaves_nothing_for_long() {
    let server = open();
    let proxy = Proxy::to(server.port);
    let probed = Probed::new(&table(proxy.port, ""));
    probed.pass();
    let before = proxy.round_trips();
    probed.passes(100);
    assert_eq!((proxy.connections(), proxy.round_trips() - before), (1, 300));

    let probed = Probed::new(&table(server.port, ""));
    probed.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 3);
    server.await_connections(2);
    assert!(server.objects().len() <= 1, "{:?}", server.objects());
    probed.pass();
    assert_eq!(server.objects(), Vec::<String>::new());
}
