//! `azure_blob` against a server of our own that stores: Azurite needs a Node.js, which not every machine has. Its errors are Azure's, by
//! the documentation.

use crate::{
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates,
        blobs::{Blobs, Refuse, azure_blob},
        hostile::{BlackHole, Hostile},
        proxy::Proxy,
        tls_front,
    },
};

fn open() -> Blobs {
    azure_blob(|_, _| None)
}

/// `c2VjcmV0` is base64.
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
    assert!(asked.iter().all(|[_, _, who]| who.starts_with("SharedKey orders:")), "{asked:?}");
    assert_eq!(server.objects(), Vec::<String>::new());
}

#[test]
fn a_shared_access_signature_stands_in_every_request() {
    let server = open();
    let table = table(server.port, "").replace("access_key = \"c2VjcmV0\"", "sas_token = \"?sv=2024-11-04&sr=c&sp=rcwd&sig=c2Vj%3D\"");
    Probed::new(&table).pass();
    let asked = server.asked();
    assert!(asked.iter().all(|[_, path, who]| path.contains("sig=c2Vj%3D") && who.is_empty()), "{asked:?}");
    let refused = azure_blob(|_, _| Some((403, "AuthenticationFailed")));
    let failure = Probed::new(&table.replace(&server.port.to_string(), &refused.port.to_string())).fail();
    assert_eq!(failure.message(), "the credentials are not accepted");
    assert!(failure.cause().is_some_and(|cause| !cause.contains("c2Vj")), "{:?}", failure.cause());
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
    assert_failures(&[Case::new("no blob", read("none"), "unhealthy", "there is no blob none")]);
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
        Case::new("no container", table(server.port, "").replace("\"media\"", "\"none\""), "unhealthy", "there is no container none"),
    ]);
}

/// Probes a server that refuses, and tells what is left there.
fn left_when_refused(refuse: Refuse, class: &'static str, message: &'static str) -> Vec<String> {
    let server = azure_blob(refuse);
    assert_failures(&[Case::new(message, table(server.port, ""), class, message)]);
    server.objects()
}

#[test]
fn what_azure_says_has_its_sentence() {
    let refused = |refuse, class, message| drop(left_when_refused(refuse, class, message));
    let denied = "access denied: needs blobs/write on media/allswell/*";
    refused(|method, _| (method == "PUT").then_some((403, "AuthorizationPermissionMismatch")), "rejected", denied);
    let denied = "access denied: needs blobs/delete on media/allswell/*";
    refused(|method, _| (method == "DELETE").then_some((403, "AuthorizationFailure")), "rejected", denied);
    refused(|_, _| Some((403, "AuthenticationFailed")), "rejected", "the credentials are not accepted");
    refused(|_, _| Some((409, "ContainerBeingDeleted")), "unhealthy", "the container media is being deleted");
    refused(|_, _| Some((403, "AccountIsDisabled")), "rejected", "the account orders is disabled");
    refused(|_, _| Some((503, "ServerBusy")), "exhausted", "the storage is throttling our requests");
    refused(|_, _| Some((500, "InternalError")), "unhealthy", "the storage answered 500 InternalError");

    let denied = "access denied: needs blobs/read on media/allswell/*";
    let left = left_when_refused(|method, _| (method == "GET").then_some((403, "AuthorizationFailure")), "rejected", denied);
    assert_eq!(left, Vec::<String>::new(), "what could not be read is deleted all the same");
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
