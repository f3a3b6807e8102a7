//! `gcs`, against our own server, with the errors that Google documents: no emulator of Google's storage runs here.

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
    assert!(asked.iter().all(|[_, path, authorization]| path.starts_with("/media/allswell") && authorization.is_empty()), "{asked:?}");
    assert_eq!(server.objects(), Vec::<String>::new());
}

#[test]
fn a_service_account_signs_its_own_token() {
    let server = open();
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key").serialize_pem();
    let account = serde_json::json!({
        "type": "service_account", "private_key": key, "private_key_id": "1", "client_email": "probe@orders.iam.gserviceaccount.com",
    });
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), account.to_string()).expect("a file");
    let table = table(server.port, &format!("service_account_file = \"{}\"", file.path().display())).replace("anonymous = true\n", "");
    Probed::new(&table).pass();
    assert!(server.asked().iter().all(|[_, _, authorization]| authorization.starts_with("Bearer eyJ")));
}

#[test]
fn a_service_account_without_a_key_is_rejected() {
    let table = table(open().port, "service_account_file = \"/none\"").replace("anonymous = true\n", "");
    let unusable = table.replace("service_account_file", "service_account = \"{}\"\n# ");
    assert_failures(&[Case::new("no key", unusable, "rejected", "the credentials cannot be used")]);
}

#[test]
fn an_object_that_is_read_reports_its_size() {
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
fn each_failure_of_the_connection_has_its_class_and_message() {
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

/// Probes a server that refuses a request, and returns the objects that are left there.
fn objects_after_refusal(refuse: Refuse, class: &'static str, message: &'static str) -> Vec<String> {
    let server = gcs(refuse);
    assert_failures(&[Case::new(message, table(server.port, ""), class, message)]);
    server.objects()
}

#[test]
fn each_error_of_google_has_its_class_and_message() {
    let refused = |refuse, class, message| drop(objects_after_refusal(refuse, class, message));
    let denied = "access denied: needs storage.objects.create on media/allswell/*";
    refused(|method, _| (method == "PUT").then_some((403, "AccessDenied")), "rejected", denied);
    refused(|_, _| Some((401, "AuthenticationRequired")), "rejected", "the credentials are not accepted");
    refused(|_, _| Some((429, "SlowDown")), "exhausted", "the storage is throttling our requests");
    refused(|_, _| Some((503, "ServiceUnavailable")), "unhealthy", "the storage answered 503 ServiceUnavailable");
}

#[test]
fn an_object_that_may_not_be_read_is_deleted() {
    let denied = "access denied: needs storage.objects.get on media/allswell/*";
    let left = objects_after_refusal(|method, _| (method == "GET").then_some((403, "AccessDenied")), "rejected", denied);
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn deleting_an_object_that_is_gone_passes() {
    // If the response to a DELETE is lost, the client repeats the request, and the object is gone by then.
    let server = gcs(|method, _| (method == "DELETE").then_some((404, "NoSuchKey")));
    Probed::new(&table(server.port, "")).pass();
}

#[test]
fn a_probe_costs_three_round_trips_on_a_kept_connection() {
    let server = open();
    let proxy = Proxy::to(server.port);
    let probed = Probed::new(&table(proxy.port, ""));
    probed.pass();
    let before = proxy.round_trips();
    probed.passes(100);
    assert_eq!((proxy.connections(), proxy.round_trips() - before), (1, 300));
}

#[test]
fn a_dropped_probe_leaves_at_most_one_object_and_the_next_probe_deletes_it() {
    let server = open();
    let probed = Probed::new(&table(server.port, ""));
    probed.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 3);
    server.await_connections(1);
    assert!(server.objects().len() <= 1, "{:?}", server.objects());
    probed.pass();
    assert_eq!(server.objects(), Vec::<String>::new());
}
