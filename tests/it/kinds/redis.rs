//! `redis`, against real servers: alone, with a replica, watched by sentinels, and as a cluster.

mod proxies;
mod reasons;
mod urls;

use crate::{
    helpers::{eventually, free_port},
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, Server, folder,
        hostile::{BlackHole, Hostile},
        memcached,
        proxy::Proxy,
        redis, redis_cluster, redis_replica, redis_with, sentinel, tls_front, tls_front_for_known_clients,
    },
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

const PASSWORD: &str = "correct-horse";

/// A table for the default user on a port, with more keys.
fn table(port: u16, more: &str) -> String {
    format!("kind = \"redis\"\nurl = \"redis://:{PASSWORD}@127.0.0.1:{port}/0\"\n{more}")
}

fn encrypted(host: &str, port: u16, more: &str) -> String {
    format!("kind = \"redis\"\nurl = \"rediss://:{PASSWORD}@{host}:{port}/0\"\n{more}")
}

/// A field of a server's `INFO`.
fn info(server: &Server, section: &str, field: &str) -> String {
    let info = server.redis_cli(PASSWORD, &["INFO", section]);
    info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap_or_default().trim().to_owned()
}

/// How often a server has run a command.
fn calls(server: &Server, command: &str) -> usize {
    let stat = info(server, "commandstats", &format!("cmdstat_{command}"));
    stat.split(['=', ',']).nth(1).and_then(|calls| calls.parse().ok()).unwrap_or(0)
}

/// Changes a server's configuration.
fn set(server: &Server, key: &str, value: &str) {
    assert_eq!(server.redis_cli(PASSWORD, &["CONFIG", "SET", key, value]).trim(), "OK");
}

/// Creates a user with the password `probe-password`, or changes its rights.
fn set_user(server: &Server, name: &str, rights: &[&str]) {
    let answer = server.redis_cli(PASSWORD, &[&["ACL", "SETUSER", name, "on", ">probe-password"], rights].concat());
    assert_eq!(answer.trim(), "OK");
}

#[test]
fn each_failure_has_its_class_and_message() {
    let (server, other) = (redis(PASSWORD), memcached(&[]));
    let (hole, port) = (BlackHole::new(), server.port);
    let cut = Proxy::to(port);
    // In the middle of the reply to PING, after that to AUTH.
    cut.cut_after(8);
    let (protected, _) = Hostile::listening("-DENIED Redis is running in protected mode because ...\r\n");
    let refusing = Hostile::answering("-ERR unknown command\r\n").port();
    let url = |url: &str| format!("kind = \"redis\"\nurl = \"{url}\"");
    server.redis_cli(PASSWORD, &["ACL", "SETUSER", "nothing", "on", ">nothing"]);
    assert_failures(&[
        Case::new("refused", table(1, ""), "unreachable", "connection refused"),
        Case::new("black hole", table(hole.port, "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("silent", table(Hostile::silent().port(), "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("closes", table(Hostile::hanging_up().port(), ""), "unreachable", "connection reset"),
        Case::new("another protocol", table(Hostile::babbling().port(), ""), "protocol", "the reply is not in the Redis protocol"),
        Case::new(
            "HTTP",
            table(Hostile::answering("HTTP/1.1 400 Bad Request\r\n\r\n").port(), ""),
            "protocol",
            "the reply is not in the Redis protocol",
        ),
        Case::new("memcached", url(&format!("redis://127.0.0.1:{}", other.port)), "protocol", "the reply is not in the Redis protocol"),
        Case::new(
            "HTTP, and the end",
            url(&format!("redis://127.0.0.1:{}", Hostile::replying(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).port())),
            "protocol",
            "the reply is not in the Redis protocol",
        ),
        Case::new(
            "an endless text",
            table(Hostile::endless(b"+OK\r\n$2000000000\r\n", b"x").port(), ""),
            "protocol",
            "the reply is too long",
        ),
        Case::new(
            "an endless reply to the login",
            table(Hostile::endless(b"*2000000000\r\n", b"+\r\n").port(), ""),
            "protocol",
            "the reply is too long",
        ),
        Case::new(
            "an endless list",
            table(Hostile::endless(b"+OK\r\n*2000000000\r\n", b"+\r\n").port(), ""),
            "protocol",
            "the reply is too long",
        ),
        Case::new("breaks off", table(cut.port, ""), "protocol", "the connection was closed in the middle of a reply"),
        // Redis waits for the end of a line, which no handshake has for it.
        Case::new("TLS to a plain port", encrypted("127.0.0.1", port, "timeout = \"1s\""), "timeout", "no answer within 1s"),
        Case::new("TLS to another plain port", encrypted("127.0.0.1", refusing, ""), "tls", "the port does not speak TLS"),
        Case::new("password", url(&format!("redis://:wrong@127.0.0.1:{port}")), "rejected", "the credentials are not accepted"),
        Case::new("user", url(&format!("redis://none:{PASSWORD}@127.0.0.1:{port}")), "rejected", "the credentials are not accepted"),
        Case::new("no password", url(&format!("redis://127.0.0.1:{port}")), "rejected", "the server requires a password"),
        Case::new(
            "no password, another database",
            url(&format!("redis://127.0.0.1:{port}/1")),
            "rejected",
            "the server requires a password",
        ),
        Case::new("database", url(&format!("redis://:{PASSWORD}@127.0.0.1:{port}/99")), "rejected", "there is no such database"),
        Case::new(
            "no right",
            url(&format!("redis://nothing:nothing@127.0.0.1:{port}")),
            "rejected",
            "the user does not have the required permission",
        ),
        Case::new(
            "no right to a database",
            url(&format!("redis://nothing:nothing@127.0.0.1:{port}/1")),
            "rejected",
            "the user does not have the required permission",
        ),
        Case::new(
            "protected",
            table(protected.port(), ""),
            "rejected",
            "the server is in protected mode: only its own machine may connect",
        ),
        Case::new("no such socket", url("redis+unix:///none.sock"), "unreachable", "the socket does not exist"),
        Case::new("not a replica", table(port, "role = \"replica\""), "unhealthy", "the server is a primary, not a replica"),
        Case::new("no cluster", table(port, "mode = \"cluster\""), "unhealthy", "the server is not part of a cluster"),
        Case::new(
            "no sentinel",
            format!("{}sentinel_password = \"{PASSWORD}\"", table(port, "mode = \"sentinel\"\nmaster_name = \"orders\"\n")),
            "unhealthy",
            "sentinel: the server is not a sentinel",
        ),
    ]);
}

#[test]
fn the_certificate_of_the_server_is_verified() {
    let server = redis(PASSWORD);
    let (folder, old) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (good, expired) = (Certificates::new(folder.path()), Certificates::expired(old.path()));
    let trusting = |certificates: &Certificates| format!("tls.ca_file = \"{}\"\n", certificates.authority.display());
    let (front, old_front) = (tls_front(server.port, &good), tls_front(server.port, &expired));
    let known = tls_front_for_known_clients(server.port, &good);
    let ours =
        format!("tls.client_certificate_file = \"{}\"\ntls.client_key_file = \"{}\"\n", good.certificate.display(), good.key.display());
    assert_failures(&[
        Case::new("plain to a TLS port", table(front, ""), "protocol", "the server expects TLS, but the connection was plaintext"),
        Case::new("unknown CA", encrypted("localhost", front, ""), "tls", "the certificate's issuer is not trusted"),
        Case::new("another name", encrypted("127.0.0.1", front, &trusting(&good)), "tls", "the certificate is for another name"),
        Case::new("expired", encrypted("localhost", old_front, &trusting(&expired)), "tls", "the certificate has expired"),
        Case::new(
            "no certificate of ours",
            encrypted("localhost", known, &trusting(&good)),
            "tls",
            "the server requires a client certificate",
        ),
    ]);
    Probed::new(&encrypted("localhost", front, &trusting(&good))).pass();
    Probed::new(&encrypted("127.0.0.1", front, &format!("{}tls.server_name = \"localhost\"", trusting(&good)))).pass();
    Probed::new(&encrypted("localhost", known, &(trusting(&good) + &ours))).pass();
}

#[test]
fn a_pass_observes_role_version_and_memory() {
    let server = redis(PASSWORD);
    let probed = Probed::new(&table(server.port, "role = \"primary\"\nrequire_replica_link = true"));
    let only_client = || Some(probed.pass()).filter(|observed| observed.values()["connected_clients"] == 1);
    let observed = eventually("the probe is the only client", only_client);
    assert_eq!(observed.values()["role"], "primary");
    // Valkey also reports the version of Redis with which it is compatible.
    let versions = ["valkey_version", "redis_version"].map(|name| info(&server, "server", name));
    assert_eq!(
        observed.values().get("server_version").and_then(|version| version.as_str()),
        versions.iter().find(|version| !version.is_empty()).map(String::as_str)
    );
    assert!(observed.values()["used_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 10_000), "{observed:?}");
    assert!(!observed.values().contains_key("maxmemory_bytes"), "the server has no limit: {observed:?}");
}

#[test]
fn limits_of_memory_do_not_apply_to_a_server_without_a_maximum() {
    let server = redis(PASSWORD);
    let limits = "warn_memory = \"1%\"\nfail_memory = \"1%\"";
    assert_eq!(Probed::new(&table(server.port, limits)).pass().warning(), None);
}

/// A table for a user of [`set_user`], with more keys.
fn table_of(user: &str, port: u16, database: u8, more: &str) -> String {
    format!("kind = \"redis\"\nurl = \"redis://{user}:probe-password@127.0.0.1:{port}/{database}\"\n{more}")
}

/// The server's log of refusals stays empty.
#[test]
fn the_documented_rights_suffice() {
    let server = redis(PASSWORD);
    set_user(&server, "probe", &["+ping", "+info"]);
    let limits = "role = \"primary\"\nrequire_replica_link = true\nwarn_memory = \"90%\"\nfail_memory = \"95%\"";
    assert_eq!(Probed::new(&table_of("probe", server.port, 0, limits)).observed("role"), "primary");
    set_user(&server, "in_another", &["+ping", "+info", "+select"]);
    Probed::new(&table_of("in_another", server.port, 1, "")).pass();
    set_user(&server, "writer", &["+ping", "+info", "+set", "+get", "+del", "~allswell:*"]);
    Probed::new(&table_of("writer", server.port, 0, "write = true")).passes(2);
    assert_eq!(server.redis_cli(PASSWORD, &["ACL", "LOG"]).trim(), "", "the server refused nothing");
}

#[test]
fn a_user_without_info_suffices_unless_the_check_judges_what_it_reports() {
    let server = redis(PASSWORD);
    set_user(&server, "mute", &["+ping"]);
    assert!(!Probed::new(&table_of("mute", server.port, 0, "")).pass().values().contains_key("role"));
    assert_failures(&[
        Case::new(
            "INFO",
            table_of("mute", server.port, 0, "role = \"primary\""),
            "rejected",
            "the user may not run INFO, which this check needs: grant `+info`",
        ),
        Case::new("writes", table_of("mute", server.port, 0, "write = true"), "rejected", "the user does not have the required permission"),
    ]);
}

#[test]
fn a_probe_costs_one_round_trip_on_a_kept_connection() {
    let server = redis(PASSWORD);
    let proxy = Proxy::to(server.port);
    let probed = Probed::new(&table(proxy.port, "write = true"));
    probed.pass();
    let commands = ["ping", "info", "set", "get", "del"];
    let count = || commands.map(|command| calls(&server, command));
    let (connections, round_trips, before) = (proxy.connections(), proxy.round_trips(), count());
    probed.passes(100);
    assert_eq!((proxy.connections(), proxy.round_trips()), (connections, round_trips + 100));
    let sent: Vec<usize> = count().iter().zip(before).map(|(after, before)| after - before).collect();
    // Counting sends INFO itself: three times for the other commands before, twice for the first two now.
    assert_eq!(sent, [100, 105, 100, 100, 100]);
}

#[test]
fn each_probe_opens_a_connection_if_it_is_to_be_fresh() {
    let server = redis(PASSWORD);
    let proxy = Proxy::to(server.port);
    Probed::new(&table(proxy.port, "connection = \"fresh\"")).passes(3);
    assert_eq!(proxy.connections(), 3);
}

#[test]
fn a_dropped_probe_leaves_no_connection_or_key_behind() {
    let server = redis(PASSWORD);
    let fresh = Probed::new(&table(server.port, "write = true\nconnection = \"fresh\""));
    let probed = Probed::new(&table(server.port, "write = true"));
    fresh.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 1);
    probed.pass();
    eventually("only the kept connection and that of redis-cli are left", || {
        (info(&server, "clients", "connected_clients") == "2").then_some(())
    });
    assert_eq!(server.redis_cli(PASSWORD, &["DBSIZE"]).trim(), "0");
}

/// The memory that a server uses now.
fn used_memory(server: &Server) -> u64 {
    info(server, "memory", "used_memory").parse().expect("a number")
}

#[test]
fn a_server_out_of_memory_is_exhausted() {
    let server = redis(PASSWORD);
    set(&server, "maxmemory", &used_memory(&server).to_string());
    assert_failures(&[Case::new("memory", table(server.port, "write = true"), "exhausted", "the server is out of memory")]);
}

#[test]
fn more_memory_than_the_limit_warns_or_fails() {
    let server = redis(PASSWORD);
    // About a half is used.
    let maximum = used_memory(&server) * 2;
    set(&server, "maxmemory", &maximum.to_string());
    let failure = Probed::new(&table(server.port, "fail_memory = \"20%\"")).fail();
    assert!(failure.message().ends_with("% of the server's memory is used, more than 20%"), "{failure}");
    assert_eq!((failure.class().as_str(), &failure.values()["maxmemory_bytes"]), ("unhealthy", &maximum.into()));
    let warned = Probed::new(&table(server.port, "warn_memory = \"20%\"\nfail_memory = \"99%\"")).pass();
    assert!(warned.warning().is_some_and(|warning| warning.ends_with("more than 20%")), "{warned:?}");
    assert_eq!(Probed::new(&table(server.port, "warn_memory = \"99%\"")).pass().warning(), None);
}

#[test]
fn a_server_without_free_connections_is_exhausted() {
    let server = redis(PASSWORD);
    set(&server, "maxclients", "1");
    let _holder = eventually("this test holds the only connection", || {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
        let _ = stream.write_all(b"PING\r\n");
        let mut answer = [0; 64];
        let read = stream.read(&mut answer).unwrap_or(0);
        answer[..read].starts_with(b"-NOAUTH").then_some(stream)
    });
    let url = format!("kind = \"redis\"\nurl = \"redis://127.0.0.1:{}\"", server.port);
    assert_failures(&[
        Case::new("no slots", table(server.port, ""), "exhausted", "the server's connection limit is reached"),
        Case::new("no slots, and no password", url, "exhausted", "the server's connection limit is reached"),
    ]);
}

#[test]
fn a_server_that_cannot_save_is_unhealthy_if_it_is_configured_to_save() {
    let server = redis(PASSWORD);
    // A folder in the place of the file.
    fs::create_dir(server.directory.path().join("dump.rdb")).expect("a folder");
    set(&server, "save", "3600 1");
    server.redis_cli(PASSWORD, &["BGSAVE"]);
    eventually("saving has failed", || (info(&server, "persistence", "rdb_last_bgsave_status") == "err").then_some(()));
    assert_failures(&[Case::new("cannot save", table(server.port, ""), "unhealthy", "the server cannot save its data")]);
    set(&server, "save", "");
    Probed::new(&table(server.port, "")).pass();
}

#[test]
fn a_paused_server_is_a_timeout_and_a_killed_one_unreachable() {
    let mut server = redis(PASSWORD);
    server.pause();
    assert_failures(&[Case::new("paused", table(server.port, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    server.resume();
    server.kill();
    assert_failures(&[Case::new("killed", table(server.port, ""), "unreachable", "connection refused")]);
}

#[test]
fn a_server_that_loads_its_data_is_unhealthy() {
    let first = redis(PASSWORD);
    first.redis_cli(PASSWORD, &["EVAL", "for i = 1, 3000 do redis.call('SET', 'key' .. i, 'value') end", "0"]);
    assert_eq!(first.redis_cli(PASSWORD, &["SAVE"]).trim(), "OK");
    let directory = folder();
    fs::copy(first.directory.path().join("dump.rdb"), directory.path().join("dump.rdb")).expect("a copy");
    // A delay of 10 ms per key: loading takes half a minute.
    let slow = ["--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"];
    let loading = redis_with(directory, PASSWORD, &slow);
    assert_failures(&[Case::new("loading", table(loading.port, ""), "unhealthy", "the server is loading its data")]);
}

#[test]
fn a_unix_socket_is_a_url_too() {
    let directory = folder();
    let socket = directory.path().join("redis.sock").display().to_string();
    let _server = redis_with(directory, PASSWORD, &["--unixsocket", &socket]);
    let table = format!("kind = \"redis\"\nurl = \"redis+unix://{socket}\"\npassword = \"{PASSWORD}\"\nwrite = true");
    assert_eq!(Probed::new(&table).observed("role"), "primary");
}

#[test]
fn a_replica_is_no_primary_and_takes_no_writes() {
    let primary = redis(PASSWORD);
    let replica = redis_replica(&primary, PASSWORD, &[]);
    let linked = Probed::new(&table(replica.port, "role = \"replica\"\nrequire_replica_link = true"));
    assert_eq!(linked.observed("role"), "replica");
    assert_failures(&[
        Case::new("not a primary", table(replica.port, "role = \"primary\""), "unhealthy", "the server is a replica, not a primary"),
        Case::new("read-only", table(replica.port, "write = true"), "unhealthy", "the server is read-only"),
    ]);
}

/// Waits until a replica has noticed that its primary is gone.
fn await_lost_link(replica: &Server) {
    eventually("the link is down", || (info(replica, "replication", "master_link_status") == "down").then_some(()));
}

#[test]
fn a_replica_without_its_primary_fails_only_if_the_link_is_required() {
    let mut primary = redis(PASSWORD);
    let replica = redis_replica(&primary, PASSWORD, &[]);
    primary.kill();
    await_lost_link(&replica);
    let failure = Probed::new(&table(replica.port, "role = \"replica\"\nrequire_replica_link = true")).fail();
    assert_eq!((failure.class().as_str(), failure.message()), ("unhealthy", "the replica's link to its primary is down"));
    assert_eq!(failure.values()["role"], "replica");
    Probed::new(&table(replica.port, "role = \"replica\"")).pass();
}

#[test]
fn a_replica_that_serves_no_stale_data_fails_without_its_primary() {
    let mut primary = redis(PASSWORD);
    let strict = redis_replica(&primary, PASSWORD, &["--replica-serve-stale-data", "no"]);
    primary.kill();
    await_lost_link(&strict);
    assert_failures(&[Case::new("without its primary", table(strict.port, ""), "unhealthy", "the replica has lost its primary")]);
}

/// A table of the sentinels on these ports.
fn sentinel_table(ports: &[u16], more: &str) -> String {
    let nodes: Vec<String> = ports[1..].iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let nodes = nodes.join(", ");
    table(
        ports[0],
        &format!("mode = \"sentinel\"\nmaster_name = \"orders\"\nsentinel_password = \"{PASSWORD}\"\nnodes = [{nodes}]\n{more}"),
    )
}

/// A primary and its replica, watched by sentinels under the name `orders`.
struct Watched {
    primary: Server,
    replica: Server,
    sentinels: Vec<Server>,
}

impl Watched {
    /// Starts all, and waits until the sentinels know each other and the replica.
    fn by(number: usize) -> Self {
        let primary = redis(PASSWORD);
        let replica = redis_replica(&primary, PASSWORD, &[]);
        let sentinels: Vec<Server> = (0..number).map(|_| sentinel(primary.port, PASSWORD, PASSWORD)).collect();
        let others = (number - 1).to_string();
        for sentinel in &sentinels {
            eventually("a sentinel knows the others and the replica", || {
                let known = sentinel.redis_cli(PASSWORD, &["SENTINEL", "MASTER", "orders"]);
                let replicas = sentinel.redis_cli(PASSWORD, &["SENTINEL", "REPLICAS", "orders"]);
                let field = |text: &str, name: &str| text.lines().skip_while(|line| *line != name).nth(1).map(str::to_owned);
                let is_up = field(&replicas, "flags").as_deref() == Some("slave") && replicas.contains("master-link-status\nok\n");
                (is_up && field(&known, "num-other-sentinels").as_ref() == Some(&others)).then_some(())
            });
        }
        Self { primary, replica, sentinels }
    }

    fn ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(|sentinel| sentinel.port).collect()
    }

    fn table(&self, more: &str) -> String {
        sentinel_table(&self.ports(), more)
    }
}

#[test]
fn a_sentinel_leads_to_the_primary_or_a_replica() {
    let watched = Watched::by(1);
    assert_eq!(Probed::new(&watched.table("write = true")).observed("role"), "primary");
    assert_eq!(Probed::new(&watched.table("role = \"replica\"\nrequire_replica_link = true")).observed("role"), "replica");
}

/// A sentinel that cannot log in to the server that it watches, and so learns nothing about it.
fn ignorant_sentinel(watched: &Server) -> Server {
    sentinel(watched.port, PASSWORD, "wrong")
}

#[test]
fn the_next_sentinel_is_asked_if_one_does_not_help() {
    let watched = Watched::by(1);
    let (hole, ignorant) = (BlackHole::new(), ignorant_sentinel(&watched.replica));
    for helpless in [free_port(), hole.port, ignorant.port, Hostile::hanging_up().port()] {
        Probed::new(&sentinel_table(&[helpless, watched.sentinels[0].port], "")).pass();
    }
}

#[test]
fn each_failure_of_sentinels_has_its_class_and_message() {
    let watched = Watched::by(1);
    let (stale, closed, ports) = (ignorant_sentinel(&watched.replica), free_port(), watched.ports());
    let with = |from: &str, to: &str| watched.table("").replace(from, to);
    let sentinels_password = format!("sentinel_password = \"{PASSWORD}\"");
    let sentence = "sentinel: the credentials are not accepted";
    assert_failures(&[
        Case::new("no such name", with("\"orders\"", "\"none\""), "unhealthy", "sentinel: no primary named none is known"),
        Case::new(
            "no replicas of such a name",
            with("master_name = \"orders\"", "master_name = \"none\"\nrole = \"replica\""),
            "unhealthy",
            "sentinel: no primary named none is known",
        ),
        Case::new("sentinel's password", with(&sentinels_password, "sentinel_password = \"wrong\""), "rejected", sentence),
        Case::new("no password for sentinels", with(&sentinels_password, ""), "rejected", "sentinel: the server requires a password"),
        Case::new("password", with(&format!(":{PASSWORD}@"), ":wrong@"), "rejected", "the credentials are not accepted"),
        Case::new("no sentinel is up", sentinel_table(&[closed, closed], ""), "unreachable", "sentinel: connection refused"),
        Case::new("a sentinel that errs", sentinel_table(&[stale.port], ""), "unhealthy", "the server is a replica, not a primary"),
        Case::new("a sentinel itself", table(ports[0], ""), "unhealthy", "the server is a sentinel: set `mode = \"sentinel\"`"),
    ]);
}

#[test]
fn the_documented_rights_on_a_sentinel_suffice() {
    let watched = Watched::by(1);
    let sentinel = &watched.sentinels[0];
    for (name, right) in [("primaries", "+sentinel|get-master-addr-by-name"), ("replicas", "+sentinel|replicas")] {
        sentinel.redis_cli(PASSWORD, &["ACL", "SETUSER", name, "on", ">sentinel-password", right]);
    }
    set_user(&watched.primary, "probe", &["+ping", "+info"]);
    let table = |user: &str, more: &str| {
        format!(
            "kind = \"redis\"\nurl = \"redis://probe:probe-password@127.0.0.1:{}\"\nmode = \"sentinel\"\nmaster_name = \"orders\"\n\
             sentinel_username = \"{user}\"\nsentinel_password = \"sentinel-password\"\n{more}",
            sentinel.port
        )
    };
    Probed::new(&table("primaries", "")).pass();
    // The replica has no such user: its refusal shows that the check has found it.
    assert_failures(&[
        Case::new("a replica", table("replicas", "role = \"replica\""), "rejected", "the credentials are not accepted"),
        Case::new(
            "no right",
            table("primaries", "role = \"replica\""),
            "rejected",
            "sentinel: the user does not have the required permission",
        ),
    ]);
}

#[test]
fn sentinels_are_not_asked_while_the_connection_to_the_server_is_kept() {
    let watched = Watched::by(1);
    let proxy = Proxy::to(watched.sentinels[0].port);
    let probed = Probed::new(&sentinel_table(&[proxy.port], "write = true"));
    probed.pass();
    let before = (proxy.connections(), calls(&watched.primary, "set"));
    probed.passes(100);
    assert_eq!((proxy.connections(), calls(&watched.primary, "set")), (before.0, before.1 + 100));
    eventually("the connection to the sentinel is not kept", || (proxy.open() == 0).then_some(()));
}

#[test]
fn with_rediss_both_the_sentinel_and_the_server_must_speak_tls() {
    let (server, folder) = (redis(PASSWORD), tempfile::tempdir().expect("a folder"));
    let certificates = Certificates::new(folder.path());
    let front = tls_front(server.port, &certificates);
    // The sentinel cannot watch a server that expects TLS, but it reports its address all the same.
    let sentinel = sentinel(front, PASSWORD, PASSWORD);
    let front = tls_front(sentinel.port, &certificates);
    let trusting = format!("tls.ca_file = \"{}\"\n", certificates.authority.display());
    let table = |more: &str| sentinel_table(&[front], &(trusting.clone() + more)).replace("redis://", "rediss://");
    Probed::new(&table("tls.server_name = \"localhost\"")).pass();
    let sentence = "sentinel: the certificate is for another name";
    assert_failures(&[Case::new("another name", table(""), "tls", sentence)]);
}

#[test]
fn a_dropped_probe_leaves_no_connection_to_a_sentinel_behind() {
    let watched = Watched::by(1);
    let list = || watched.sentinels[0].redis_cli(PASSWORD, &["CLIENT", "LIST"]);
    let probed = Probed::new(&watched.table("connection = \"fresh\""));
    probed.drop_at_every_await(false, 5);
    eventually("no connection to the sentinel is left", || (!list().contains("cmd=sentinel")).then_some(()));
}

/// Makes a server the replica of another one: sentinels would do so about ten seconds later.
fn follow(old: &Server, new: &Server) {
    old.redis_cli(PASSWORD, &["REPLICAOF", "127.0.0.1", &new.port.to_string()]);
    eventually("the server follows the new primary", || (info(old, "replication", "master_link_status") == "up").then_some(()));
}

#[test]
fn a_failover_is_followed_to_the_new_primary() {
    let mut watched = Watched::by(3);
    let table = watched.table("");
    let probed = Probed::new(&watched.table("write = true"));
    probed.pass();
    watched.primary.kill();
    assert_failures(&[Case::new("before the failover", table, "unreachable", "connection refused")]);
    eventually("the sentinels have promoted the replica", || probed.probe().ok());
    assert_eq!(info(&watched.replica, "replication", "role"), "master");
    let no_replica = Probed::new(&watched.table("role = \"replica\""));
    eventually("the sentinels know that no replica is left", || {
        (no_replica.fail().message() == "sentinel: no replica of orders is up").then_some(())
    });
}

#[test]
fn a_kept_connection_to_a_former_primary_is_replaced() {
    let watched = Watched::by(3);
    let (first, second, sentinel) = (&watched.primary, &watched.replica, &watched.sentinels[0]);
    let probed = Probed::new(&watched.table("write = true"));
    probed.pass();
    eventually("the sentinel accepts the order to fail over", || {
        sentinel.redis_cli(PASSWORD, &["SENTINEL", "FAILOVER", "orders"]).contains("OK").then_some(())
    });
    eventually("the sentinel names the new primary", || {
        let named = sentinel.redis_cli(PASSWORD, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "orders"]);
        (named.contains(&second.port.to_string()) && info(second, "replication", "role") == "master").then_some(())
    });
    follow(first, second);
    // The kept connection works, but leads to a replica now.
    assert_eq!(probed.observed("role"), "primary");
    let (before, kept) = (calls(first, "ping"), calls(second, "ping"));
    probed.passes(3);
    assert!(calls(second, "ping") >= kept + 3 && calls(first, "ping") < before + 3, "the connection to the new primary is kept");
}

/// A cluster of three nodes.
struct Cluster {
    nodes: Vec<Server>,
    /// The node that has the keys of probes.
    owner: usize,
    /// Another node.
    other: usize,
    /// The slot of the keys of probes.
    slot: String,
}

impl Cluster {
    fn new() -> Self {
        let nodes = redis_cluster(PASSWORD);
        let slot = nodes[0].redis_cli(PASSWORD, &["CLUSTER", "KEYSLOT", "allswell:{probe}:"]).trim().to_owned();
        let has_slot = |node: &Server| !node.redis_cli(PASSWORD, &["GET", "allswell:{probe}:"]).contains("MOVED");
        let owner = nodes.iter().position(has_slot).expect("an owner of the slot");
        Self { nodes, owner, other: (owner + 1) % 3, slot }
    }

    fn owner(&self) -> &Server {
        &self.nodes[self.owner]
    }

    fn other(&self) -> &Server {
        &self.nodes[self.other]
    }
}

/// A table of a cluster that the check finds by the node on a port, with more keys.
fn cluster_table(port: u16, more: &str) -> String {
    table(port, &format!("mode = \"cluster\"\n{more}"))
}

/// A table that names two nodes.
fn cluster_table_of_two(first: u16, second: u16) -> String {
    cluster_table(first, &format!("nodes = [\"127.0.0.1:{second}\"]"))
}

#[test]
fn every_node_leads_to_the_whole_cluster() {
    let cluster = Cluster::new();
    for node in &cluster.nodes {
        assert_eq!(Probed::new(&cluster_table(node.port, "write = true")).observed("cluster_state"), "ok");
    }
}

#[test]
fn the_next_node_is_asked_if_one_does_not_answer() {
    let cluster = Cluster::new();
    let hole = BlackHole::new();
    for helpless in [free_port(), hole.port, Hostile::hanging_up().port()] {
        Probed::new(&cluster_table_of_two(helpless, cluster.owner().port)).pass();
    }
}

#[test]
fn each_failure_of_a_cluster_has_its_class_and_message() {
    let cluster = Cluster::new();
    let (closed, port, other) = (free_port(), cluster.owner().port, cluster.other().port);
    let table = |port: u16, more: &str| cluster_table(port, more);
    let alone = format!("kind = \"redis\"\nurl = \"redis://:{PASSWORD}@127.0.0.1:{other}/0\"\nwrite = true");
    let database = format!("kind = \"redis\"\nurl = \"redis://:{PASSWORD}@127.0.0.1:{port}/1\"\nmode = \"cluster\"");
    let (unknown, refused) = (cluster_table_of_two(closed, closed), "connection refused");
    assert_failures(&[
        Case::new("not as one", alone, "unhealthy", "another node of the cluster has the keys"),
        Case::new("databases", database, "rejected", "there is no such database"),
        Case::new("no node", unknown, "unreachable", refused),
        Case::new("password", table(port, "").replace(PASSWORD, "wrong"), "rejected", "the credentials are not accepted"),
    ]);
}

#[test]
fn the_documented_rights_on_a_cluster_suffice() {
    let cluster = Cluster::new();
    for node in &cluster.nodes {
        set_user(node, "probe", &["+ping", "+info", "+cluster|info", "+set", "+get", "+del", "+asking", "~allswell:*"]);
    }
    let url = format!("redis://probe:probe-password@127.0.0.1:{}", cluster.other().port);
    Probed::new(&format!("kind = \"redis\"\nurl = \"{url}\"\nmode = \"cluster\"\nwrite = true")).passes(2);
    for node in &cluster.nodes {
        assert_eq!(node.redis_cli(PASSWORD, &["ACL", "LOG"]).trim(), "", "the node refused nothing");
    }
}

#[test]
fn only_the_owner_of_the_slot_is_asked_while_the_connection_to_it_is_kept() {
    let cluster = Cluster::new();
    let (owner, other) = (cluster.owner(), cluster.other());
    let probed = Probed::new(&cluster_table(other.port, "write = true"));
    probed.pass();
    let asked = || (calls(owner, "ping"), calls(other, "ping"), calls(owner, "auth"));
    let before = asked();
    probed.passes(100);
    // To count, the test itself logs in to the owner twice.
    assert_eq!(asked(), (before.0 + 100, before.1, before.2 + 2));
}

#[test]
fn a_dropped_probe_leaves_no_connection_to_a_node_behind() {
    let cluster = Cluster::new();
    let probed = Probed::new(&cluster_table(cluster.other().port, "write = true\nconnection = \"fresh\""));
    probed.drop_at_every_await(false, 5);
    let clients = || [cluster.owner(), cluster.other()].map(|node| info(node, "clients", "connected_clients"));
    eventually("only the connections of redis-cli are left", || (clients() == ["1", "1"]).then_some(()));
}

#[test]
fn a_slot_that_moves_to_another_node_is_followed() {
    let cluster = Cluster::new();
    let (owner, other) = (cluster.owner(), cluster.other());
    let probed = Probed::new(&cluster_table(owner.port, "write = true"));
    probed.pass();
    let id = |node: &Server| node.redis_cli(PASSWORD, &["CLUSTER", "MYID"]).trim().to_owned();
    let (from, to) = (id(owner), id(other));
    let set_slot = |node: &Server, state: &[&str]| {
        assert_eq!(node.redis_cli(PASSWORD, &[&["CLUSTER", "SETSLOT", &cluster.slot], state].concat()).trim(), "OK");
    };
    set_slot(other, &["IMPORTING", &from]);
    set_slot(owner, &["MIGRATING", &to]);
    // While the slot moves, a new key belongs to the importing node, which accepts it after ASKING.
    let before = calls(other, "asking");
    probed.passes(2);
    assert!(calls(other, "asking") > before);
    set_slot(other, &["NODE", &to]);
    set_slot(owner, &["NODE", &to]);
    probed.passes(2);
    Probed::new(&cluster_table(owner.port, "write = true")).pass();
    for node in &cluster.nodes {
        assert_eq!(node.redis_cli(PASSWORD, &["DBSIZE"]).trim(), "0");
    }
}

#[test]
fn a_cluster_that_has_lost_slots_is_down_or_warns_if_it_goes_on_without_them() {
    let mut cluster = Cluster::new();
    let (lost, port) = (cluster.owner, cluster.other().port);
    let probed = Probed::new(&cluster_table(port, ""));
    cluster.nodes[lost].kill();
    eventually("the cluster is down", || probed.probe().err().filter(|failure| failure.message() == "the cluster is down"));
    let failure = Probed::new(&cluster_table_of_two(port, free_port())).fail();
    assert_eq!((failure.class().as_str(), &failure.values()["cluster_state"]), ("unhealthy", &"fail".into()));
    for (index, node) in cluster.nodes.iter().enumerate() {
        if index != lost {
            set(node, "cluster-require-full-coverage", "no");
        }
    }
    let warning = eventually("the cluster goes on without some slots", || probed.probe().ok()).warning().map(str::to_owned);
    assert!(warning.is_some_and(|warning| warning.ends_with("of the cluster's 16384 slots have no working node")));
}
