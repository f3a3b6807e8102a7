//! The least rights for the app's settings of names, for heartbeats alone, and for Sentinel.

use super::{BROKER, Broker, PASSWORD, on, redis_url};
use crate::{
    helpers::eventually,
    probing::{Case, Probed, assert_failures},
    servers::{Server, Worker, redis, sentinel},
};
use serde_json::json;

const NO_HEARTBEATS: &str = "the user may not receive the heartbeats of workers, which this check needs";

fn grant(server: &Server, rights: &str) {
    let rights: Vec<&str> = rights.split(' ').collect();
    let granted = server.redis_cli(PASSWORD, &[&["ACL", "SETUSER", "probe", "reset", "on", ">probe-password"], &*rights].concat());
    assert_eq!(granted.trim(), "OK");
}

#[test]
fn on_redis_the_rights_have_the_names_of_the_settings() {
    let server = redis(PASSWORD);
    let options = json!({ "global_keyprefix": "shop-", "fanout_prefix": "/shop." });
    let settings = json!({ "broker_transport_options": options, "control_exchange": "shop", "event_exchange": "shopev" });
    let _worker = Worker { settings, ..Worker::at(&redis_url(server.port)) }.start();
    grant(
        &server,
        "resetchannels &shop-/shop.shop.pidbox &shop-/shop.shopev/worker.* ~shop-allswell.* ~shop-_kombu.binding.amq.allswell.* \
         ~shop-_kombu.binding.shop.pidbox -@all +multi +exec +del +rpush +expire +sadd +publish +lrange +psubscribe +select +srandmember",
    );
    let keys = "global_keyprefix = \"shop-\"\nfanout_prefix = \"/shop.\"\ncontrol_exchange = \"shop\"\nevent_exchange = \"shopev\"\n";
    let url = format!("redis://probe:probe-password@127.0.0.1:{}/3", server.port);
    Probed::new(&on(&url, &format!("{keys}workers = [\"a@test\"]\nwarn_stuck = \"5s\""))).passes(3);
}

#[test]
fn heartbeats_alone_need_no_right_to_send_commands() {
    let server = redis(PASSWORD);
    BROKER.add_vhost("heartbeat-rights", &[]);
    let rabbit = Broker::RabbitMq("heartbeat-rights").url();
    let _workers = [Worker::at(&redis_url(server.port)).start(), Worker::at(&rabbit).start()];
    grant(&server, "resetchannels &/3.celeryev/worker.* -@all +psubscribe +select");
    BROKER.rabbitmqctl(&["add_user", "heartbeat-probe", "probe-password"]);
    let rabbit_rights =
        |read| BROKER.rabbitmqctl(&["set_permissions", "-p", "heartbeat-rights", "heartbeat-probe", r"^allswell\.", r"^allswell\.", read]);
    rabbit_rights(r"^(allswell\..*|celeryev)$");
    let redis_url = format!("redis://probe:probe-password@127.0.0.1:{}/3", server.port);
    let rabbit_url = format!("amqp://heartbeat-probe:probe-password@127.0.0.1:{}/heartbeat-rights", BROKER.port);
    let keys = "worker_enable_remote_control = false\npatience = \"5s\"";
    for url in [&redis_url, &rabbit_url] {
        Probed::new(&on(url, keys)).passes(3);
    }
    grant(&server, "resetchannels -@all +psubscribe +select");
    rabbit_rights(r"^allswell\.");
    for url in [&redis_url, &rabbit_url] {
        for keys in [keys, "warn_stuck = \"5s\""] {
            assert_failures(&[Case::new("forbidden", on(url, keys), "rejected", NO_HEARTBEATS)]);
        }
    }
}

#[test]
fn a_user_of_sentinel_needs_one_command() {
    let server = redis(PASSWORD);
    let watching = sentinel(server.port, PASSWORD, PASSWORD);
    eventually("the sentinel knows the primary", || {
        watching.redis_cli(PASSWORD, &["SENTINEL", "MASTER", "orders"]).contains("\nmaster\n").then_some(())
    });
    watching.redis_cli(PASSWORD, &["ACL", "SETUSER", "finder", "on", ">finder-password", "+sentinel|get-master-addr-by-name"]);
    let _worker = Worker::at(&redis_url(server.port)).start();
    let url = format!("sentinel://:{PASSWORD}@127.0.0.1:{}/3", watching.port);
    let keys = "master_name = \"orders\"\nsentinel_username = \"finder\"\nsentinel_password = \"finder-password\"";
    Probed::new(&on(&url, keys)).passes(3);
}
