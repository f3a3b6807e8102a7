//! `gcs`, against our own server, with the errors that Google documents: no emulator of Google's storage runs here.

use crate::{
    helpers::{command, run},
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
    refused(|_, _| Some((400, "UserProjectMissing")), "rejected", "the bucket media is requester-pays: set `user_project`");
    refused(|_, _| Some((403, "AccountDisabled")), "rejected", "the account of the project is disabled");
    refused(|_, _| Some((400, "CloudKmsDisabledKey")), "unhealthy", "the encryption key of the object is disabled");
    let retained = "a retention policy or a hold protects it: set `mode = \"read\"`";
    refused(|_, _| Some((403, "ObjectUnderActiveHold")), "unhealthy", retained);
    refused(|_, _| Some((429, "SlowDown")), "exhausted", "the storage is throttling our requests");
    refused(|_, _| Some((503, "ServiceUnavailable")), "unhealthy", "the storage answered 503 ServiceUnavailable");
}

#[test]
fn the_generation_that_was_written_is_deleted() {
    let server = open();
    assert_eq!(Probed::new(&table(server.port, "")).pass().warning(), None);
    let targets: Vec<String> = server.asked().into_iter().map(|[method, path, _]| format!("{method} {path}")).collect();
    assert!(targets[2].starts_with("DELETE /media/allswell") && targets[2].ends_with("?generation=7"), "{targets:?}");
}

#[test]
fn an_object_that_may_not_be_deleted_is_a_warning() {
    let server = gcs(|method, _| (method == "DELETE").then_some((403, "AccessDenied")));
    let probed = Probed::new(&table(server.port, ""));
    let stays = "the object of the probe stays: access denied: needs storage.objects.delete on media/allswell/*";
    assert_eq!(probed.pass().warning(), Some(stays));
    let retained = gcs(|method, _| (method == "DELETE").then_some((403, "RetentionPolicyNotMet")));
    let stays = "the object of the probe stays: a retention policy or a hold protects it: set `mode = \"read\"`";
    assert_eq!(Probed::new(&table(retained.port, "")).pass().warning(), Some(stays));
}

#[test]
fn headers_of_the_keys_are_sent_where_they_belong() {
    let server = open();
    let key = "projects/p/locations/eu/keyRings/r/cryptoKeys/k";
    let probed = Probed::new(&table(server.port, &format!("user_project = \"billing\"\nkms_key_name = \"{key}\"")));
    probed.pass();
    assert_eq!(server.headers("x-goog-user-project"), ["billing"; 3]);
    probed.pass();
    assert_eq!(server.headers("x-goog-encryption-kms-key-name"), [key, "", ""]);
    server.put("logo.png", b"12345");
    Probed::new(&table(server.port, "user_project = \"billing\"\nmode = \"read\"\nkey = \"logo.png\"")).pass();
    assert_eq!(server.headers("x-goog-user-project"), ["billing"]);
}

/// Runs `allswell check` with variables and a file `credentials.json`, and returns what it prints.
fn checked(configuration: &str, variables: &[(&str, &str)], credentials: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("allswell.toml"), configuration).expect("a configuration");
    std::fs::write(folder.path().join("credentials.json"), credentials).expect("a file");
    let mut command = command(&folder);
    run(command.arg("check").env("HOME", folder.path()).envs(variables.iter().copied())).stdout
}

#[test]
fn the_emulator_of_the_environment_is_used_without_credentials() {
    let server = open();
    let host = format!("127.0.0.1:{}", server.port);
    let printed = checked("[checks.media]\nkind = \"gcs\"\nbucket = \"media\"\n", &[("STORAGE_EMULATOR_HOST", &host)], "");
    assert!(printed.contains("pass  media"), "{printed}");
    assert!(server.asked().iter().all(|[_, _, authorization]| authorization.is_empty()));
}

#[test]
fn credentials_that_are_not_supported_are_named() {
    let configuration = format!("[checks.media]\nkind = \"gcs\"\nbucket = \"media\"\nendpoint = \"http://127.0.0.1:{}\"\n", open().port);
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", "credentials.json"), ("SERVICE_ACCOUNT", "of something else")];
    let external = r#"{"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global"}"#;
    let printed = checked(&configuration, &variables, external);
    assert!(printed.contains("the credentials are of workload identity federation, which is not supported"), "{printed}");
    let missing = [("GOOGLE_APPLICATION_CREDENTIALS", "/none")];
    let printed = checked(&configuration, &missing, "");
    assert!(printed.contains("the file that GOOGLE_APPLICATION_CREDENTIALS names cannot be read"), "{printed}");
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
