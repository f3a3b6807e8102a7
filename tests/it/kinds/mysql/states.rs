//! Servers that reply, but do not work as they should.

use super::{PASSWORD, table, url};
use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{galera_node, mariadb_with},
};

#[test]
fn a_galera_node_that_is_not_ready_fails_although_select_1_works() {
    let node = galera_node(PASSWORD);
    let probed = Probed::new(&url(&format!("mysql://app:{PASSWORD}@127.0.0.1:{}/orders", node.port)));
    assert_eq!(probed.pass().warning(), None);
    node.mariadb("SET GLOBAL wsrep_desync = ON");
    assert_eq!(probed.pass().warning(), Some("the Galera node is not in sync with its cluster"));
    node.mariadb("SET GLOBAL wsrep_desync = OFF");
    eventually("the node is in sync again", || probed.pass().warning().is_none().then_some(()));
    // No such node: this one leaves its cluster, and joins none.
    node.mariadb("SET GLOBAL wsrep_cluster_address = 'gcomm://127.0.0.1:1'");
    let not_ready = "unhealthy: the Galera node is not ready for queries";
    eventually("the node is not ready", || probed.probe().err().filter(|failure| failure.to_string() == not_ready));
    assert_eq!(node.mariadb("SELECT 1"), "1");
    let table = format!(
        "kind = \"mysql\"\nurl = \"mysql://app:{PASSWORD}@127.0.0.1:{}\"\nquery = \"SELECT count(*) FROM information_schema.tables\"",
        node.port
    );
    assert_eq!(Probed::new(&table).fail().to_string(), not_ready);
}

#[test]
fn a_server_in_forced_recovery_warns_and_is_no_primary() {
    let server = mariadb_with(PASSWORD, &["--innodb-force-recovery=4"]);
    let table = |more: &str| url(&format!("mysql://app:{PASSWORD}@127.0.0.1:{}/orders", server.port)) + more;
    assert_eq!(Probed::new(&table("")).pass().warning(), Some("the server runs with `innodb_force_recovery`"));
    assert_eq!(Probed::new(&table("role = \"primary\"")).fail().to_string(), "unhealthy: the server is read-only");
}

#[test]
fn a_query_that_the_server_does_not_run_has_its_reason() {
    let server = super::server(&["--read-only"]);
    let app = |query: &str| {
        url(&format!("mysql://app:{PASSWORD}@127.0.0.1:{}/orders", server.port)) + &format!("query = \"{query}\"\nexpect = \"0\"")
    };
    assert_failures(&[
        Case::new("it writes", app("INSERT INTO nothing VALUES (1)"), "unhealthy", "the server is read-only"),
        Case::new(
            "too long",
            app("SET STATEMENT max_statement_time = 0.1 FOR SELECT SLEEP(60)"),
            "unhealthy",
            "the query ran longer than the server allows",
        ),
        Case::new("no such table", app("SELECT count(*) FROM none"), "unhealthy", "the server rejected the query"),
    ]);
}

#[test]
fn a_character_set_that_the_server_does_not_know_is_named() {
    let server = super::server(&[]);
    let with = |parameters: &str| url(&format!("mysql://probe:probe-password@127.0.0.1:{}/{parameters}", server.port));
    assert_failures(&[Case::new(
        "unknown",
        with("?charset=utf8mb5"),
        "unhealthy",
        "the server does not know the character set: write another one as `charset` in the URL",
    )]);
    for known in ["utf8", "utf8mb4,utf8", "UTF8_GENERAL_CI", "utf8mb4&collation=utf8mb4_bin"] {
        Probed::new(&with(&format!("?charset={known}"))).pass();
    }
    Probed::new(&table(server.port, "")).pass();
}
