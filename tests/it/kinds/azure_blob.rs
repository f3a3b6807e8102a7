//! `azure_blob`, against our own server, with the errors that Azure documents: Azurite needs Node.js, which not every machine has.

use crate::{
    helpers::{command, run},
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates,
        blobs::{Blobs, Refuse, azure_blob, azure_blob_with_versions},
        hostile::{BlackHole, Hostile},
        proxy::Proxy,
        tls_front,
    },
};

fn open() -> Blobs {
    azure_blob(|_, _| None)
}

/// A table for a port, with more keys. The key must be base64.
fn table(port: u16, more: &str) -> String {
    format!(
        "kind = \"azure_blob\"\naccount = \"orders\"\nbucket = \"media\"\nendpoint = \"http://127.0.0.1:{port}/orders\"\n\
         access_key = \"c2VjcmV0\"\n{more}"
    )
}

#[test]
fn a_blob_is_written_read_and_deleted() {
    let server = open();
    let seen = Probed::new(&table(server.port, "")).pass();
    assert!(seen.values().contains_key("write_ms") && seen.values().contains_key("read_ms"), "{seen:?}");
    let asked = server.asked();
    assert_eq!(
        asked.iter().map(|[method, ..]| method.as_str()).collect::<Vec<_>>(),
        ["PUT", "GET", "POST"],
        "a deletion is a batch of one"
    );
    assert!(asked.iter().all(|[_, _, authorization]| authorization.starts_with("SharedKey orders:")), "{asked:?}");
    assert_eq!(server.objects(), Vec::<String>::new());
}

/// A table with a shared access signature.
fn with_signature(port: u16) -> String {
    table(port, "").replace("access_key = \"c2VjcmV0\"", "sas_token = \"?sv=2024-11-04&sr=c&sp=rcwd&sig=c2Vj%3D\"")
}

#[test]
fn every_request_has_the_shared_access_signature() {
    let server = open();
    Probed::new(&with_signature(server.port)).pass();
    let asked = server.asked();
    assert!(asked.iter().all(|[_, path, authorization]| path.contains("sig=c2Vj%3D") && authorization.is_empty()), "{asked:?}");
}

#[test]
fn a_rejected_shared_access_signature_is_redacted() {
    let refused = azure_blob(|_, _| Some((403, "AuthenticationFailed")));
    let table = with_signature(refused.port);
    let failure = Probed::new(&table).fail();
    assert_eq!(failure.message(), "the credentials are not accepted");
    assert!(failure.cause().is_some_and(|cause| !cause.contains("c2Vj")), "{:?}", failure.cause());
}

#[test]
fn a_blob_that_is_read_reports_its_size() {
    let server = open();
    server.put("logo.png", b"12345");
    server.put("empty", b"");
    let read = |key: &str| table(server.port, &format!("mode = \"read\"\nkey = \"{key}\""));
    assert_eq!(Probed::new(&read("logo.png")).observed("size_bytes"), 5);
    assert_eq!(Probed::new(&read("empty")).observed("size_bytes"), 0);
    Probed::new(&table(server.port, "mode = \"bucket\"")).pass();
    assert_failures(&[Case::new("no blob", read("none"), "unhealthy", "there is no blob none")]);
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
        Case::new("no container", table(server.port, "").replace("\"media\"", "\"none\""), "unhealthy", "there is no container none"),
    ]);
}

/// Probes a server that refuses a request, and returns the objects that are left there.
fn objects_after_refusal(refuse: Refuse, class: &'static str, message: &'static str) -> Vec<String> {
    let server = azure_blob(refuse);
    assert_failures(&[Case::new(message, table(server.port, ""), class, message)]);
    server.objects()
}

#[test]
fn each_error_of_azure_has_its_class_and_message() {
    let refused = |refuse, class, message| drop(objects_after_refusal(refuse, class, message));
    let denied = "access denied: needs blobs/write on media/allswell/*";
    refused(|method, _| (method == "PUT").then_some((403, "AuthorizationPermissionMismatch")), "rejected", denied);
    let denied = "access denied: a network rule of the account orders does not allow it, or it needs blobs/write on media/allswell/*";
    refused(|method, _| (method == "PUT").then_some((403, "AuthorizationFailure")), "rejected", denied);
    refused(|_, _| Some((403, "AuthenticationFailed")), "rejected", "the credentials are not accepted");
    refused(|_, _| Some((409, "ContainerBeingDeleted")), "unhealthy", "the container media is being deleted");
    refused(|_, _| Some((403, "AccountIsDisabled")), "rejected", "the account orders is disabled");
    refused(|_, _| Some((409, "AccountBeingCreated")), "unhealthy", "the account orders is being created");
    let retained = "an immutability policy or a legal hold protects it: set `mode = \"read\"`";
    refused(|_, _| Some((409, "BlobImmutableDueToPolicy")), "unhealthy", retained);
    let key = "the encryption key of the account cannot be used: the storage answered 403 KeyVaultEncryptionKeyNotFound";
    refused(|_, _| Some((403, "KeyVaultEncryptionKeyNotFound")), "unhealthy", key);
    refused(|_, _| Some((412, "LeaseIdMissing")), "unhealthy", "the blob or the container media is leased");
    refused(|_, _| Some((503, "ServerBusy")), "exhausted", "the storage is throttling our requests");
    refused(|_, _| Some((500, "InternalError")), "unhealthy", "the storage answered 500 InternalError");
}

#[test]
fn the_version_that_was_written_is_deleted_after_the_blob() {
    let server = azure_blob_with_versions(|_, _| None);
    for table in [table(server.port, ""), with_signature(server.port)] {
        assert_eq!(Probed::new(&table).pass().warning(), None);
        let asked = server.asked();
        let [method, target, authorization] = &asked[3];
        assert!(method == "DELETE" && target.contains("?versionid=2026-11-20T10%3A00%3A00.0000000Z"), "{asked:?}");
        assert_eq!(authorization.starts_with("SharedKey orders:"), !target.contains("sig="), "{asked:?}");
    }
}

#[test]
fn what_may_not_be_deleted_is_a_warning_and_versions_are_not_tried_again() {
    let kept = azure_blob_with_versions(|_, path| path.contains("versionid").then_some((403, "AuthorizationPermissionMismatch")));
    let probed = Probed::new(&table(kept.port, ""));
    let leaves = "each probe leaves a version of its object: access denied: needs blobs/deleteBlobVersion/action on media/allswell/*";
    for requests in [4, 3] {
        assert_eq!(probed.pass().warning(), Some(leaves));
        assert_eq!(kept.asked().len(), requests);
    }
    let immutable = azure_blob(|method, _| (method == "DELETE").then_some((409, "BlobImmutableDueToPolicy")));
    let stays = "the object of the probe stays: an immutability policy or a legal hold protects it: set `mode = \"read\"`";
    assert_eq!(Probed::new(&table(immutable.port, "")).pass().warning(), Some(stays));
    let denied = azure_blob(|method, _| (method == "DELETE").then_some((403, "AuthorizationPermissionMismatch")));
    let stays = "the object of the probe stays: access denied: needs blobs/delete on media/allswell/*";
    assert_eq!(Probed::new(&table(denied.port, "")).pass().warning(), Some(stays));
}

#[test]
fn only_a_write_names_the_encryption_scope() {
    let server = open();
    Probed::new(&table(server.port, "encryption_scope = \"orders\"")).pass();
    assert_eq!(server.headers("x-ms-encryption-scope"), ["orders", "", ""]);
}

#[test]
fn a_connection_string_replaces_the_account_the_endpoint_and_the_credentials() {
    let server = open();
    let endpoint = format!("BlobEndpoint=http://127.0.0.1:{}/orders;QueueEndpoint=http://127.0.0.1:1", server.port);
    for (credentials, is_key) in [("AccountKey=c2VjcmV0", true), ("SharedAccessSignature=sv=2024-11-04&sig=c2Vj%3D", false)] {
        let string = format!("{endpoint};AccountName=orders;{credentials}");
        Probed::new(&format!("kind = \"azure_blob\"\nbucket = \"media\"\nconnection_string = \"{string}\"")).pass();
        let asked = server.asked();
        assert!(
            asked.iter().all(|[_, path, authorization]| authorization.is_empty() != is_key && path.contains("sig=") != is_key),
            "{asked:?}"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let configuration = "[checks.media]\nkind = \"azure_blob\"\nbucket = \"media\"\n";
        std::fs::write(folder.path().join("allswell.toml"), configuration).expect("a configuration");
        let printed = run(command(&folder).arg("check").env("AZURE_STORAGE_CONNECTION_STRING", &string)).stdout;
        assert!(printed.contains("pass  media"), "{printed}");
        server.asked();
    }
}

#[test]
fn a_blob_that_may_not_be_read_is_deleted() {
    let denied = "access denied: needs blobs/read on media/allswell/*";
    let refuse: Refuse = |method, _| (method == "GET").then_some((403, "AuthorizationPermissionMismatch"));
    let left = objects_after_refusal(refuse, "rejected", denied);
    assert_eq!(left, Vec::<String>::new());
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
fn a_dropped_probe_leaves_at_most_one_blob_and_the_next_probe_deletes_it() {
    let server = open();
    let probed = Probed::new(&table(server.port, ""));
    probed.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 3);
    server.await_connections(1);
    assert!(server.objects().len() <= 1, "{:?}", server.objects());
    probed.pass();
    assert_eq!(server.objects(), Vec::<String>::new());
}
