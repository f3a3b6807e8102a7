//! What every kind must do, without writing a test: its example works, and hostile servers get their class.

use crate::{
    helpers::no_such_name,
    probing::on_demand,
    registered::{has_key, speaks_first},
    servers::hostile::{BlackHole, Hostile},
};
use allswell::{component::Policy, kinds::Registry};
use allswell_checks::contract::Category;
use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

/// A table that points to an address for each kind that opens connections, and two for a kind with two brokers.
fn networked(address: &str) -> Vec<(&'static str, String)> {
    let mut tables = Vec::new();
    for kind in Registry::builtin().kinds() {
        let has = |key: &str| has_key(&kind.schema, key);
        let mut keys = String::new();
        if has("url") {
            keys += &format!("url = \"{}://app:secret@{address}/\"\n", kind.schemes.first().unwrap_or(&kind.name));
        } else if has("address") {
            keys += &format!("address = \"{address}\"\n");
        } else if has("endpoint") {
            keys += &format!("endpoint = \"http://{address}\"\nbucket = \"media\"\n");
            keys += match kind.name {
                // An account's key must be base64.
                "azure_blob" => "account = \"orders\"\naccess_key = \"c2VjcmV0\"\n",
                "s3" => "access_key_id = \"app\"\nsecret_access_key = \"secret\"\n",
                _ => "anonymous = true\n",
            };
        } else if has("broker") {
            // The broker may be Redis or RabbitMQ.
            tables.push((kind.name, format!("kind = \"{}\"\nbroker = \"redis://:secret@{address}/\"\n", kind.name)));
            keys += &format!("broker = \"amqp://app:secret@{address}/\"\n");
        } else {
            continue;
        }
        if has("expect_banner") {
            keys += "expect_banner = \"SSH-2.0\"\n";
        }
        tables.push((kind.name, format!("kind = \"{}\"\n{keys}", kind.name)));
    }
    tables
}

#[test]
fn every_example_builds() {
    for kind in Registry::builtin().kinds() {
        on_demand(&format!("kind = \"{}\"\n{}", kind.name, kind.example));
    }
}

#[test]
fn every_example_in_a_module_doc_builds() {
    for kind in Registry::builtin().kinds() {
        let source =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("checks/kinds/{}.rs", kind.name))).expect("a file");
        let lines = source.lines().map_while(|line| line.strip_prefix("//!")).map(|line| line.strip_prefix(' ').unwrap_or(line));
        let example: Vec<_> = lines.skip_while(|line| *line != "```toml").skip(2).take_while(|line| *line != "```").collect();
        assert_eq!(example.first().copied(), Some(format!("kind = \"{}\"", kind.name).as_str()), "{} opens with an example", kind.name);
        on_demand(&example.join("\n"));
    }
}

#[test]
fn every_key_of_a_kind_is_documented_and_none_is_a_policy_key() {
    let policy = schemars::schema_for!(Policy).to_value();
    let policy: BTreeSet<&String> = policy["properties"].as_object().expect("keys").keys().collect();
    for kind in Registry::builtin().kinds() {
        assert!(kind.schema["description"].as_str().is_some_and(|text| text.len() > 20), "{} says what it verifies", kind.name);
        assert_eq!(kind.schema["additionalProperties"], false, "{} refuses unknown keys", kind.name);
        for (key, schema) in kind.schema["properties"].as_object().into_iter().flatten() {
            assert!(!policy.contains(key) && key != "kind", "{}.{key} is a key of every check", kind.name);
            assert!(schema["description"].is_string(), "{}.{key} is documented", kind.name);
        }
        let discovered = matches!(kind.category, Category::Database | Category::Cache | Category::Queue);
        assert!(kind.schemes.is_empty() || discovered, "{} is never discovered, so it needs no schemes", kind.name);
    }
}

/// Probes every networked kind at an address, all at the same time, and returns the class of each failure.
fn classes(address: &str, timeout: &str) -> Vec<(&'static str, Option<String>)> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let probes: Vec<_> = networked(address)
        .into_iter()
        .map(|(kind, table)| {
            let mut probed = on_demand(&format!("{table}timeout = \"{timeout}\"\n"));
            runtime.spawn(async move { (kind, class(&probed.probe_all(|_, _| {}).await)) })
        })
        .collect();
    let found = probes.into_iter().map(|probe| runtime.block_on(probe).expect("no panic")).collect();
    runtime.shutdown_background();
    found
}

fn class(report: &Arc<allswell::report::Report>) -> Option<String> {
    report.components["probed"].failure.as_ref().map(|failure| failure.class.to_string())
}

fn all_are(found: &[(&str, Option<String>)], classes: &[&str]) {
    for (kind, class) in found {
        assert!(class.as_deref().is_some_and(|class| classes.contains(&class)), "{kind}: {class:?}, not one of {classes:?}");
    }
}

#[test]
fn a_refused_port_is_unreachable() {
    all_are(&classes("127.0.0.1:1", "20s"), &["unreachable"]);
}

#[test]
fn a_name_that_does_not_resolve_is_unreachable() {
    all_are(&classes(&format!("{}:1", no_such_name()), "60s"), &["unreachable"]);
}

#[test]
fn lost_packets_are_a_timeout() {
    let hole = BlackHole::new();
    all_are(&classes(&format!("127.0.0.1:{}", hole.port), "300ms"), &["timeout"]);
}

#[test]
fn a_silent_server_is_a_timeout() {
    all_are(&classes(&Hostile::silent().address.to_string(), "300ms"), &["timeout"]);
}

#[test]
fn a_server_that_closes_or_resets_before_its_first_reply_is_unreachable() {
    all_are(&classes(&Hostile::closing().address.to_string(), "20s"), &["unreachable"]);
    let mut reset = classes(&Hostile::resetting().address.to_string(), "20s");
    // A check that waits for the first bytes of its server sends nothing, so that this server does not reset.
    reset.retain(|(kind, _)| !speaks_first(kind));
    all_are(&reset, &["unreachable"]);
}

#[test]
fn an_ipv6_address_is_connected_to() {
    let Some(server) = Hostile::closing_on_ipv6() else { return };
    let found = classes(&server.address.to_string(), "20s");
    all_are(&found, &["unreachable"]);
    server.await_accepted(found.len());
}

/// Probes a check and returns the class of its failure.
fn class_of(table: &str) -> Option<String> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut probed = on_demand(&format!("timeout = \"20s\"\n{table}\n"));
    let class = class(&runtime.block_on(probed.probe_all(|_, _| {})));
    runtime.shutdown_background();
    class
}

#[test]
fn a_tls_handshake_with_a_plaintext_port_fails_as_tls() {
    let (babbling, refusing) = (Hostile::babbling().address, Hostile::answering("N").address);
    let tables = [
        format!("kind = \"http\"\nurl = \"https://{babbling}/\""),
        format!("kind = \"redis\"\nurl = \"rediss://{babbling}/0\""),
        format!("kind = \"celery\"\nbroker = \"rediss://{babbling}/0\""),
        format!("kind = \"celery\"\nbroker = \"amqps://{babbling}/\""),
        format!("kind = \"rabbitmq\"\nurl = \"amqps://{babbling}/\""),
        format!("kind = \"s3\"\nbucket = \"media\"\nendpoint = \"https://{babbling}\"\naccess_key_id = \"a\"\nsecret_access_key = \"b\""),
        format!("kind = \"gcs\"\nbucket = \"media\"\nendpoint = \"https://{babbling}\"\nanonymous = true"),
        format!(
            "kind = \"azure_blob\"\naccount = \"a\"\nbucket = \"media\"\nendpoint = \"https://{babbling}/a\"\naccess_key = \"c2VjcmV0\""
        ),
        format!("kind = \"postgres\"\nurl = \"postgres://a@{refusing}/b?sslmode=require\""),
    ];
    for table in &tables {
        assert_eq!(class_of(table).as_deref(), Some("tls"), "{table}");
    }
    let is_tried = |kind: &str| tables.iter().any(|table| table.contains(&format!("kind = \"{kind}\"")));
    let registry = Registry::builtin();
    let by_tls = registry.kinds().filter(|kind| has_key(&kind.schema, "tls") && !speaks_first(kind.name));
    let missing: Vec<_> = by_tls.map(|kind| kind.name).filter(|kind| !is_tried(kind)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "kinds with the key `tls` that are not tried");
}

#[test]
fn an_endless_reply_is_a_protocol_error() {
    let server = Hostile::endless(b"$2000000000\r\n", b"x");
    let class = class_of(&format!("kind = \"redis\"\nurl = \"redis://{}/0\"", server.address));
    assert_eq!(class.as_deref(), Some("protocol"));
}

#[test]
fn a_truncated_http_response_is_a_protocol_error() {
    let (server, _) = Hostile::listening("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this");
    let class = class_of(&format!("kind = \"http\"\nurl = \"http://{}/\"\nexpect_body = \"more\"", server.address));
    assert_eq!(class.as_deref(), Some("protocol"));
}

#[test]
fn percent_encoded_credentials_of_a_url_are_decoded() {
    let (server, heard) = Hostile::listening("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let class = class_of(&format!("kind = \"http\"\nurl = \"http://app:p%40ss%2Fw@{}/\"", server.address));
    assert_eq!(class, None);
    // "app:p@ss/w" in base64.
    let request = heard.recv().expect("a request");
    assert!(request.to_ascii_lowercase().contains("authorization: basic yxbwonbac3mvdw=="), "{request}");
}

#[test]
fn a_reply_in_another_protocol_is_a_protocol_error() {
    let mut found = classes(&Hostile::babbling().address.to_string(), "1s");
    // These checks wait for the first bytes of the server, and this server waits for theirs.
    let waiting: Vec<_> = found.extract_if(.., |(kind, _)| speaks_first(kind)).collect();
    all_are(&waiting, &["timeout"]);
    all_are(&found, &["protocol"]);
}
