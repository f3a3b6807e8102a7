//! `s3`, against a server that verifies signatures, stores objects and obeys policies; and against responses of AWS that it never sends.

mod buckets;
mod environment;

use crate::{
    helpers::{command, eventually, no_such_name, run, write_private},
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates,
        hostile::{BlackHole, Hostile},
        proxy::Proxy,
        s3::{S3Server, SECRET, TAMPERED, s3},
        tls_front, tls_front_for_known_clients,
    },
};
use serde_json::Value;
use std::fs;

/// The user `probe` has the documented rights, the others fewer.
fn policy(user: &str, action: &str, object: &str) -> bool {
    let ours = object.starts_with("media/allswell/") && ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"].contains(&action);
    match user {
        "probe" | TAMPERED => ours,
        "reader" => action == "s3:GetObject" && object == "media/logo.png",
        "no_writer" => ours && action != "s3:PutObject",
        "no_reader" => ours && action != "s3:GetObject",
        "no_deleter" => ours && action != "s3:DeleteObject",
        "lister" => action == "s3:GetObject",
        _ => false,
    }
}

pub(super) fn server() -> S3Server {
    s3(&["probe", TAMPERED, "reader", "no_writer", "no_reader", "no_deleter", "lister"], policy)
}

fn at(endpoint: &str, user: &str, more: &str) -> String {
    format!(
        "kind = \"s3\"\nbucket = \"media\"\nendpoint = \"{endpoint}\"\naccess_key_id = \"{user}\"\nsecret_access_key = \"{SECRET}\"\n{more}"
    )
}

fn table(port: u16, user: &str, more: &str) -> String {
    at(&format!("http://127.0.0.1:{port}"), user, more)
}

#[test]
fn an_object_is_written_read_and_deleted_by_the_documented_rights() {
    let server = server();
    let probed = Probed::new(&table(server.port, "probe", ""));
    let seen = probed.pass();
    for name in ["write_ms", "read_ms"] {
        assert!(seen.values()[name].as_f64().is_some_and(|took| took > 0.0), "{seen:?}");
    }
    assert_eq!(server.objects(), Vec::<String>::new());
    let asked = server.asked();
    let actions: Vec<&str> = asked.iter().filter_map(|asked| asked.split(' ').next()).collect();
    assert_eq!(actions, ["PutObject", "GetObject", "DeleteObject"]);
    Probed::new(&table(server.port, "probe", "")).pass();
    assert_ne!(server.asked()[0], asked[0], "each check has its own object name");
}

#[test]
fn reading_an_object_needs_one_right_on_it() {
    let server = server();
    server.put("logo.png", b"12345");
    server.put("empty", b"");
    let read = |user: &str, key: &str| table(server.port, user, &format!("mode = \"read\"\nkey = \"{key}\""));
    let seen = Probed::new(&read("reader", "logo.png")).pass();
    assert_eq!(seen.values()["size_bytes"], 5);
    assert!(seen.values().contains_key("read_ms"));
    assert_eq!(server.asked(), ["GetObject media/logo.png"]);
    assert_eq!(Probed::new(&read("lister", "empty")).observed("size_bytes"), 0);
    assert_failures(&[
        Case::new("no object", read("lister", "none"), "unhealthy", "there is no object none"),
        Case::new("no right", read("reader", "none"), "rejected", "access denied: needs s3:GetObject on media/none"),
    ]);
}

#[test]
fn a_bucket_that_does_not_report_missing_objects_warns() {
    let server = server();
    let bucket = |user: &str| Probed::new(&table(server.port, user, "mode = \"bucket\""));
    assert_eq!(bucket("lister").pass().warning(), None);
    let warned = bucket("reader").pass();
    assert_eq!(warned.warning(), Some("the bucket hides whether an object exists: set `mode = \"read\"` and `key` to be sure"));
}

#[test]
fn each_failure_of_the_connection_has_its_class_and_message() {
    let server = server();
    let (hole, cut) = (BlackHole::new(), Proxy::to(server.port));
    cut.cut_after(100);
    let probe = |port: u16| table(port, "probe", "");
    let late = |port: u16| table(port, "probe", "timeout = \"1s\"");
    let endless = Hostile::endless(b"HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 9999999999\r\n\r\n", b"x");
    assert_failures(&[
        Case::new("refused", probe(1), "unreachable", "connection refused"),
        Case::new("no name", at(&format!("http://{}", no_such_name()), "probe", ""), "unreachable", "the name does not resolve"),
        Case::new("black hole", late(hole.port), "timeout", "no answer within 1s"),
        Case::new("silent", late(Hostile::silent().port()), "timeout", "no answer within 1s"),
        Case::new("hangs up", probe(Hostile::hanging_up().port()), "unreachable", "connection closed before a response"),
        Case::new("resets", probe(Hostile::resetting().port()), "unreachable", "connection reset"),
        Case::new("another protocol", probe(Hostile::babbling().port()), "protocol", "the response is not HTTP"),
        Case::new("endless", probe(endless.port()), "protocol", "the reply is too long"),
        Case::new("breaks off", probe(cut.port), "protocol", "the connection was closed in the middle of a reply"),
        Case::new(
            "TLS to a plain port",
            at(&format!("https://127.0.0.1:{}", server.port), "probe", ""),
            "tls",
            "the port does not speak TLS",
        ),
    ]);
}

#[test]
fn each_refusal_has_its_class_and_message_and_leaves_no_object_behind() {
    let server = server();
    let of = |user: &str| table(server.port, user, "");
    let denied = |right: &str| -> &'static str { format!("access denied: needs {right} on media/allswell/*").leak() };
    assert_failures(&[
        Case::new("user", of("nobody"), "rejected", "the credentials are not accepted"),
        Case::new("secret", of("probe").replace(SECRET, "wrong"), "rejected", "the credentials are not accepted"),
        Case::new("no writing", of("no_writer"), "rejected", denied("s3:PutObject")),
        Case::new("no reading", of("no_reader"), "rejected", denied("s3:GetObject")),
        Case::new(
            "anonymous",
            format!("kind = \"s3\"\nbucket = \"media\"\nendpoint = \"http://127.0.0.1:{}\"\nanonymous = true", server.port),
            "rejected",
            denied("s3:PutObject"),
        ),
        Case::new("no bucket", of("probe").replace("\"media\"", "\"none\""), "unhealthy", "there is no bucket none"),
        Case::new("tampered", of(TAMPERED), "unhealthy", "the data read back is not the data written"),
    ]);
    assert_eq!(server.objects(), Vec::<String>::new(), "an object that could not be read, or was read wrongly, is deleted");
}

#[test]
fn a_user_who_may_not_delete_is_warned_and_one_object_stays() {
    let server = server();
    let probed = Probed::new(&table(server.port, "no_deleter", ""));
    let stays = "the object of the probe stays: access denied: needs s3:DeleteObject on media/allswell/*";
    assert_eq!(probed.pass().warning(), Some(stays), "writing and reading work");
    probed.pass();
    assert_eq!(server.objects().len(), 1, "the next probe replaces it");
}

/// Runs `allswell check` with a configuration, variables and files, and returns the report of the component of the kind `s3`. There is no
/// metadata service, and the program looks for it on loopback.
pub(super) fn component(configuration: &str, variables: &[(&str, &str)], files: &[(&str, &str)]) -> Value {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("allswell.toml"), configuration).expect("a configuration");
    fs::create_dir(directory.path().join(".aws")).expect("a folder");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("a file");
    }
    let mut command = command(&directory);
    command.env("HOME", directory.path()).env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1").envs(variables.iter().copied());
    let ran = run(command.args(["check", "--format", "json", "--timeout", "20s"]));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stderr));
    let components = report["components"].as_object().expect("components");
    let component = components.values().find(|component| component["kind"] == "s3");
    component.cloned().unwrap_or_else(|| panic!("no bucket: {}{}", ran.stdout, ran.stderr))
}

/// A configuration without credentials.
pub(super) fn without_credentials(server: &S3Server) -> String {
    format!("[checks.media]\nkind = \"s3\"\nbucket = \"media\"\nendpoint = \"http://127.0.0.1:{}\"\n", server.port)
}

/// The message of a failure, or `passed`.
pub(super) fn message(component: &Value) -> String {
    component["failure"]["message"].as_str().unwrap_or("passed").to_owned()
}

pub(super) const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "probe"), ("AWS_SECRET_ACCESS_KEY", SECRET)];

#[test]
fn credentials_come_from_the_environment() {
    let server = server();
    let configuration = without_credentials(&server);
    let nowhere = component(&configuration, &[], &[]);
    assert_eq!(nowhere["failure"]["class"], "rejected");
    assert_eq!(message(&nowhere), "no credentials found: not in the keys, the environment, a file or this machine's metadata service");
    assert_eq!(message(&component(&configuration, &KEYS, &[])), "passed");
}

#[test]
fn credentials_come_from_the_profile_that_is_named_or_the_environment_or_the_default_profile() {
    let server = server();
    let configuration = without_credentials(&server);
    let profiles = format!(
        "[default]\naws_access_key_id = nobody\naws_secret_access_key = x\n[ops]\naws_access_key_id = probe\naws_secret_access_key = {SECRET}\n"
    );
    let files = [(".aws/credentials", profiles.as_str()), ("elsewhere", &profiles)];
    let accepted = |configuration: &str, variables: &[(&str, &str)]| message(&component(configuration, variables, &files));
    assert_eq!(accepted(&configuration, &[]), "the credentials are not accepted", "the default profile");
    assert_eq!(accepted(&configuration, &KEYS), "passed", "the environment precedes the default profile");
    assert_eq!(
        accepted(&format!("{configuration}profile = \"ops\""), &[("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")]),
        "passed"
    );
    assert_eq!(accepted(&format!("{configuration}profile = \"ops\"\ncredentials_file = \"elsewhere\""), &[]), "passed");
    assert_eq!(accepted(&format!("{configuration}profile = \"none\""), &[]), "the AWS profile has no keys");
    assert_eq!(accepted(&configuration, &[("AWS_PROFILE", "ops")]), "passed");
    let file = [("AWS_PROFILE", "ops"), ("AWS_SHARED_CREDENTIALS_FILE", "elsewhere")];
    assert_eq!(message(&component(&configuration, &file, &files[1..])), "passed");
}

/// As in a pod of EKS.
#[test]
fn credentials_come_from_a_container_agent() {
    let server = server();
    let configuration = without_credentials(&server);
    let role =
        format!("{{\"AccessKeyId\":\"probe\",\"SecretAccessKey\":\"{SECRET}\",\"Token\":\"t\",\"Expiration\":\"2099-01-01T00:00:00Z\"}}");
    let agent = format!("http://127.0.0.1:{}/v1/credentials", answer("200 OK", "", &role));
    let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.as_str()), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token")];
    assert_eq!(message(&component(&configuration, &variables, &[("token", "from-the-pod")])), "passed");
    let denied = format!("http://127.0.0.1:{}/", answer("403 Forbidden", "", "no"));
    let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", denied.as_str()), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token")];
    assert_eq!(message(&component(&configuration, &variables, &[("token", "x")])), "the credential provider answered 403 Forbidden");
}

#[test]
fn a_discovered_bucket_is_read_and_never_written_to() {
    let server = server();
    let endpoint = format!("http://127.0.0.1:{}", server.port);
    let variables = [
        ("AWS_STORAGE_BUCKET_NAME", "media"),
        ("AWS_S3_ENDPOINT_URL", &endpoint),
        ("AWS_ACCESS_KEY_ID", "lister"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    let found = component("", &variables, &[]);
    assert_eq!(found["status"], "pass", "{found}");
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.starts_with("GetObject media/allswell/")) && !asked.is_empty(), "{asked:?}");
    assert_eq!(server.objects(), Vec::<String>::new());
    let mut elsewhere = variables;
    elsewhere[0].1 = "none";
    assert_eq!(component("", &elsewhere, &[])["failure"]["message"], "there is no bucket none");
}

/// The port of a server that sends a response of AWS.
fn answer(status: &str, headers: &str, body: &str) -> u16 {
    let text = format!("HTTP/1.1 {status}\r\n{headers}content-type: application/xml\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    Hostile::answering(text.leak()).port()
}

fn error(status: &str, code: &str, more: &str) -> u16 {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>…</Message>{more}<RequestId>4442587FB7D0A2F9</RequestId></Error>"
    );
    answer(status, "", &body)
}

#[test]
fn each_error_of_aws_and_others_has_its_class_and_message() {
    let elsewhere = "the bucket media is in another region: set `region` to eu-central-1";
    let case = |what, port, class, message| Case::new(what, table(port, "probe", ""), class, message);
    let endpoint = "<Endpoint>media.s3.eu-central-1.amazonaws.com</Endpoint><Bucket>media</Bucket>";
    let redirect = format!("<Error><Code>PermanentRedirect</Code>{endpoint}</Error>");
    assert_failures(&[
        case("redirected", answer("301 Moved Permanently", "x-amz-bucket-region: eu-central-1\r\n", &redirect), "unhealthy", elsewhere),
        case("region", error("400 Bad Request", "AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>"), "unhealthy", elsewhere),
        case(
            "elsewhere",
            answer("307 Temporary Redirect", "location: http://x/\r\n", ""),
            "unhealthy",
            "the endpoint redirects to another address: set `endpoint` to the storage itself",
        ),
        case(
            "clock",
            error(
                "403 Forbidden",
                "RequestTimeTooSkewed",
                "<RequestTime>20261120T100000Z</RequestTime><ServerTime>2026-11-20T11:00:00Z</ServerTime><MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
            ),
            "rejected",
            "the clock of this machine is 1h behind that of the storage",
        ),
        case(
            "key",
            error("403 Forbidden", "InvalidAccessKeyId", "<AWSAccessKeyId>probe</AWSAccessKeyId>"),
            "rejected",
            "the credentials are not accepted",
        ),
        case("token", error("400 Bad Request", "ExpiredToken", ""), "rejected", "the credentials have expired"),
        case("slow", error("503 Slow Down", "SlowDown", ""), "exhausted", "the storage is throttling our requests"),
        case("quota", error("400 Bad Request", "XMinioAdminBucketQuotaExceeded", ""), "exhausted", "the quota is used up"),
        case("full", error("507 Insufficient Storage", "XMinioStorageFull", ""), "exhausted", "no space is left"),
        case("internal", error("500 Internal Server Error", "InternalError", ""), "unhealthy", "the storage answered 500 InternalError"),
        case("no code", answer("403 Forbidden", "", ""), "rejected", "the storage answered 403 Forbidden"),
        case(
            "a proxy's no",
            answer("403 Forbidden", "", "<html>no</html>"),
            "rejected",
            "a proxy or web server answered 403 Forbidden instead of the storage",
        ),
        case(
            "a proxy without a backend",
            answer("502 Bad Gateway", "", "\r\n<!DOCTYPE html><title>502"),
            "unhealthy",
            "a proxy or web server answered 502 Bad Gateway instead of the storage",
        ),
        case(
            "a web server",
            answer("404 Not Found", "", "<html>nothing</html>"),
            "unhealthy",
            "a proxy or web server answered 404 Not Found instead of the storage",
        ),
        case("no storage", answer("200 OK", "", "<html>hello</html>"), "protocol", "the response is not that of an object storage service"),
        case(
            "stale",
            answer("200 OK", "etag: \"1\"\r\nlast-modified: Fri, 20 Nov 2026 10:00:00 GMT\r\n", "old"),
            "unhealthy",
            "the data read back is not the data written",
        ),
    ]);
}

#[test]
fn the_certificate_of_the_server_is_verified() {
    let server = server();
    let (folder, old) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (good, expired) = (Certificates::new(folder.path()), Certificates::expired(old.path()));
    let trusting = |certificates: &Certificates| format!("tls.ca_file = \"{}\"\n", certificates.authority.display());
    let (front, old_front) = (tls_front(server.port, &good), tls_front(server.port, &expired));
    let known = tls_front_for_known_clients(server.port, &good);
    let to = |host: &str, port: u16, more: &str| at(&format!("https://{host}:{port}"), "probe", more);
    let ours =
        format!("tls.client_certificate_file = \"{}\"\ntls.client_key_file = \"{}\"\n", good.certificate.display(), good.key.display());
    assert_failures(&[
        Case::new("plain to a TLS port", table(front, "probe", ""), "protocol", "the server expects TLS, but the connection was plaintext"),
        Case::new("unknown CA", to("localhost", front, ""), "tls", "the certificate's issuer is not trusted"),
        Case::new("another name", to("127.0.0.1", front, &trusting(&good)), "tls", "the certificate is for another name"),
        Case::new("expired", to("localhost", old_front, &trusting(&expired)), "tls", "the certificate has expired"),
        Case::new("no certificate", to("localhost", known, &trusting(&good)), "tls", "the server requires a client certificate"),
        Case::new("no file", to("localhost", front, "tls.ca_file = \"/none\""), "tls", "the file in `tls.ca_file` does not exist"),
    ]);
    Probed::new(&to("localhost", front, &trusting(&good))).pass();
    Probed::new(&to("127.0.0.1", front, &format!("{}tls.server_name = \"localhost\"", trusting(&good)))).pass();
    Probed::new(&to("localhost", known, &(trusting(&good) + &ours))).pass();
}

#[test]
fn a_probe_costs_three_round_trips_on_a_kept_connection() {
    let server = server();
    server.put("logo.png", b"1");
    for (user, more, trips) in [("probe", "", 3), ("reader", "mode = \"read\"\nkey = \"logo.png\"", 1)] {
        let proxy = Proxy::to(server.port);
        let probed = Probed::new(&table(proxy.port, user, more));
        probed.pass();
        let before = proxy.round_trips();
        server.asked();
        probed.passes(100);
        assert_eq!((proxy.connections(), proxy.round_trips() - before), (1, trips * 100));
        assert_eq!(server.asked().len(), trips * 100);
    }
}

#[test]
fn a_connection_that_broke_is_replaced() {
    let server = server();
    let proxy = Proxy::to(server.port);
    // Some responses fit, and then the connection ends in the middle of one.
    proxy.cut_after(2000);
    let probed = Probed::new(&table(proxy.port, "probe", ""));
    probed.passes(20);
    assert!(proxy.connections() > 2, "{}", proxy.connections());
}

#[test]
fn a_connection_that_is_older_than_its_maximum_age_is_replaced() {
    let server = server();
    let proxy = Proxy::to(server.port);
    Probed::new(&table(proxy.port, "probe", "max_connection_age = \"0s\"")).passes(2);
    assert_eq!(proxy.connections(), 6);
    eventually("no old connection stays open", || (proxy.open() == 0).then_some(()));
}

#[test]
fn a_dropped_probe_leaves_at_most_one_object_and_the_next_probe_deletes_it() {
    let server = server();
    let probed = Probed::new(&table(server.port, "probe", ""));
    probed.drop_at_every_await(false, 3);
    server.await_connections(1);
    probed.drop_at_every_await(true, 3);
    server.await_connections(1);
    let left = server.objects();
    assert!(left.len() <= 1, "{left:?}");
    probed.pass();
    assert_eq!(server.objects(), Vec::<String>::new());
}

/// Like the volume of a token on a node without a kubelet.
#[test]
fn a_token_file_on_a_hung_mount_delays_no_other_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("token");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("a pipe");
    let s3 = |name: &str| format!("[checks.{name}]\nkind = \"s3\"\nbucket = \"media\"\ntimeout = \"1s\"\n");
    let memory = "[checks.memory]\nkind = \"memory\"\ntimeout = \"5s\"\n";
    write_private(folder.path().join("allswell.toml"), &format!("{}{}{}{memory}", s3("a"), s3("b"), s3("c")));
    let ran = run(command(&folder).arg("check").envs([
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &*pipe.display().to_string()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
        ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1"),
    ]));
    assert_eq!(ran.stdout.matches("timeout: no answer within 1s").count(), 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("pass  memory"), "{}", ran.stdout);
}
