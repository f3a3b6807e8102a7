//! Reasons for which a Redis server does not work, each produced by a real one.

use super::{PASSWORD, follow, info, set, table};
use crate::{
    helpers::{eventually, free_port},
    probing::{Case, Probed, assert_failures},
    servers::{folder, redis, redis_replica, redis_with},
};
use std::process::Command;

#[test]
fn a_password_for_a_server_without_one_is_rejected() {
    let server = redis_with(folder(), "", &[]);
    let sentence = "the server has no password, but the check sends one: remove it";
    assert_failures(&[Case::new("no password", table(server.port, ""), "rejected", sentence)]);
}

#[test]
fn a_server_with_too_few_replicas_fails_if_it_must_write() {
    let server = redis(PASSWORD);
    set(&server, "min-replicas-to-write", "1");
    assert_failures(&[Case::new("replicas", table(server.port, "write = true"), "unhealthy", "the server has too few replicas to write")]);
    Probed::new(&table(server.port, "")).pass();
}

#[test]
fn a_server_that_runs_an_endless_script_is_busy() {
    let server = redis_with(folder(), PASSWORD, &["--busy-reply-threshold", "100"]);
    let port = server.port.to_string();
    let mut script = Command::new("redis-cli")
        .args(["-p", &port, "--no-auth-warning", "-a", PASSWORD, "EVAL", "while true do end", "0"])
        .spawn()
        .expect("redis-cli");
    eventually("the script runs", || server.redis_cli(PASSWORD, &["PING"]).starts_with("BUSY").then_some(()));
    assert_failures(&[Case::new("busy", table(server.port, ""), "unhealthy", "the server is busy with a script")]);
    assert_eq!(server.redis_cli(PASSWORD, &["SCRIPT", "KILL"]).trim(), "OK");
    script.wait().expect("it ends");
    // INFO was rejected with PING: it is not left out.
    assert_eq!(Probed::new(&table(server.port, "")).observed("role"), "primary");
}

#[test]
fn a_node_of_a_cluster_without_slots_is_down() {
    let bus = free_port().to_string();
    let node = redis_with(folder(), PASSWORD, &["--cluster-enabled", "yes", "--cluster-port", &bus]);
    assert_failures(&[
        Case::new("as a cluster", table(node.port, "mode = \"cluster\""), "unhealthy", "the cluster is down"),
        Case::new("alone", table(node.port, "write = true"), "unhealthy", "the cluster has no working node for the key"),
    ]);
    set(&node, "cluster-require-full-coverage", "no");
    // A node without any slot does not count as a primary.
    assert_eq!(node.redis_cli(PASSWORD, &["CLUSTER", "ADDSLOTS", "0"]).trim(), "OK");
    eventually("the cluster goes on", || node.redis_cli(PASSWORD, &["CLUSTER", "INFO"]).contains("cluster_state:ok").then_some(()));
    let observed = Probed::new(&table(node.port, "mode = \"cluster\"")).pass();
    assert_eq!(observed.warning(), Some("16383 of the cluster's 16384 slots have no working node"));
    let sentence = "the cluster has no working node for the key";
    assert_failures(&[Case::new("writes", table(node.port, "mode = \"cluster\"\nwrite = true"), "unhealthy", sentence)]);
}

#[test]
fn a_failover_in_progress_is_a_warning() {
    let primary = redis(PASSWORD);
    let replica = redis_replica(&primary, PASSWORD, &[]);
    replica.pause();
    // The replica lags behind this write, so the failover waits for it.
    primary.redis_cli(PASSWORD, &["SET", "key", "value"]);
    assert_eq!(primary.redis_cli(PASSWORD, &["FAILOVER", "TIMEOUT", "30000"]).trim(), "OK");
    let warning = Probed::new(&table(primary.port, "")).pass().warning().map(str::to_owned);
    assert_eq!(warning.as_deref(), Some("a failover is in progress: writes wait until it ends"));
    assert_failures(&[Case::new("writes", table(primary.port, "timeout = \"1s\"\nwrite = true"), "timeout", "no answer within 1s")]);
    replica.resume();
    eventually("the replica has taken over", || (info(&replica, "replication", "role") == "master").then_some(()));
    follow(&primary, &replica);
}
