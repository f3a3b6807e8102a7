//! `redis`, against real servers: alone, with a replica, watched by sentinels, and as a cluster.

use crate::{
    helpers::{eventually, free_port},
    probing::{Case, Probed, assert_failures},
    servers::{
        Certificates, Server, folder,
        hostile::{BlackHole, Hostile},
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

/// What a server tells of itself under a name.
fn told(server: &Server, section: &str, name: &str) -> String {
    let info = server.redis_cli(PASSWORD, &["INFO", section]);
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim().to_owned()
}

/// How often it has run a command.
fn calls(server: &Server, command: &str) -> usize {
    let stat = told(server, "commandstats", &format!("cmdstat_{command}"));
    stat.split(['=', ',']).nth(1).and_then(|calls| calls.parse().ok()).unwrap_or(0)
}

#[test]
fn everything_about_one_server() {
    let mut server = redis(PASSWORD);
    failures(&server);
    certificates(&server);
    observations(&server);
    least_rights(&server);
    cost(&server);
    dropped_probes_leave_nothing(&server);
    limits(&server);
    server.pause();
    assert_failures(&[Case::new("paused", table(server.port, "timeout = \"1s\""), "timeout", "no answer within 1s")]);
    server.resume();
    server.kill();
    assert_failures(&[Case::new("killed", table(server.port, ""), "unreachable", "connection refused")]);
}

fn failures(server: &Server) {
    let (hole, port) = (BlackHole::new(), server.port);
    let cut = Proxy::to(port);
    cut.cut_after(50);
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
        Case::new(
            "an endless text",
            table(Hostile::endless(b"+OK\r\n$2000000000\r\n", b"x").port(), ""),
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
        Case::new("no password", url(&format!("redis://127.0.0.1:{port}")), "rejected", "the credentials are not accepted"),
        Case::new(
            "no password, another database",
            url(&format!("redis://127.0.0.1:{port}/1")),
            "rejected",
            "the credentials are not accepted",
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

fn certificates(server: &Server) {
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

fn observations(server: &Server) {
    let probed = Probed::new(&table(server.port, "role = \"primary\"\nrequire_replica_link = true"));
    let seen = eventually("nobody else is there", || Some(probed.pass()).filter(|seen| seen.values()["connected_clients"] == 1));
    assert_eq!(seen.values()["role"], "primary");
    // Valkey tells of which Redis it is as good as, too.
    let versions = ["valkey_version", "redis_version"].map(|name| told(server, "server", name));
    assert_eq!(
        seen.values().get("server_version").and_then(|version| version.as_str()),
        versions.iter().find(|version| !version.is_empty()).map(String::as_str)
    );
    assert!(seen.values()["used_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 10_000), "{seen:?}");
    assert!(!seen.values().contains_key("maxmemory_bytes"), "there is no limit: {seen:?}");
    let limits = "warn_memory = \"1%\"\nfail_memory = \"1%\"";
    assert_eq!(Probed::new(&table(server.port, limits)).pass().warning(), None, "without a limit nothing is much");
}

/// Users with exactly the rights that the documentation asks for; the server's log of refusals stays empty.
fn least_rights(server: &Server) {
    let port = server.port;
    let user = |name: &str, rights: &[&str]| {
        server.redis_cli(PASSWORD, &[&["ACL", "SETUSER", name, "on", ">probe-password"], rights].concat());
    };
    let table = |name: &str, database: u8, more: &str| {
        format!("kind = \"redis\"\nurl = \"redis://{name}:probe-password@127.0.0.1:{port}/{database}\"\n{more}")
    };
    server.redis_cli(PASSWORD, &["ACL", "LOG", "RESET"]);
    user("probe", &["+ping", "+info"]);
    let judging = "role = \"primary\"\nrequire_replica_link = true\nwarn_memory = \"90%\"\nfail_memory = \"95%\"";
    assert_eq!(Probed::new(&table("probe", 0, judging)).observed("role"), "primary");
    user("in_another", &["+ping", "+info", "+select"]);
    Probed::new(&table("in_another", 1, "")).pass();
    user("writer", &["+ping", "+info", "+set", "+get", "+del", "~allswell:*"]);
    Probed::new(&table("writer", 0, "write = true")).passes(2);
    assert_eq!(server.redis_cli(PASSWORD, &["ACL", "LOG"]).trim(), "", "nothing was refused");

    user("mute", &["+ping"]);
    assert!(!Probed::new(&table("mute", 0, "")).pass().values().contains_key("role"), "INFO is no need");
    assert_failures(&[
        Case::new(
            "INFO",
            table("mute", 0, "role = \"primary\""),
            "rejected",
            "the user may not run INFO, which this check needs: grant `+info`",
        ),
        Case::new("writes", table("probe", 0, "write = true"), "rejected", "the user does not have the required permission"),
    ]);
}

fn cost(server: &Server) {
    let proxy = Proxy::to(server.port);
    let probed = Probed::new(&table(proxy.port, "write = true"));
    probed.pass();
    let commands = ["ping", "info", "set", "get", "del"];
    let count = || commands.map(|command| calls(server, command));
    let (connections, round_trips, before) = (proxy.connections(), proxy.round_trips(), count());
    probed.passes(100);
    assert_eq!((proxy.connections(), proxy.round_trips()), (connections, round_trips + 100));
    let made: Vec<usize> = count().iter().zip(before).map(|(after, before)| after - before).collect();
    // The last two INFO before the count of it are this test's own, and five of its count.
    assert_eq!(made, [100, 105, 100, 100, 100]);
    let fresh = Probed::new(&table(proxy.port, "connection = \"fresh\""));
    fresh.passes(3);
    assert_eq!(proxy.connections(), connections + 3);
}

fn dropped_probes_leave_nothing(server: &Server) {
    let fresh = Probed::new(&table(server.port, "write = true\nconnection = \"fresh\""));
    let probed = Probed::new(&table(server.port, "write = true"));
    fresh.drop_at_every_await(false, 3);
    probed.drop_at_every_await(true, 1);
    probed.pass();
    eventually("one connection is left beside the one that asks", || (told(server, "clients", "connected_clients") == "2").then_some(()));
    assert_eq!(server.redis_cli(PASSWORD, &["DBSIZE"]).trim(), "0");
}

fn limits(server: &Server) {
    let set = |key: &str, value: &str| assert_eq!(server.redis_cli(PASSWORD, &["CONFIG", "SET", key, value]).trim(), "OK");
    let used: u64 = told(server, "memory", "used_memory").parse().expect("a number");
    set("maxmemory", &used.to_string());
    assert_failures(&[Case::new("memory", table(server.port, "write = true"), "exhausted", "the server is out of memory")]);
    // It is half full, more or less.
    set("maxmemory", &(used * 2).to_string());
    let failure = Probed::new(&table(server.port, "fail_memory = \"20%\"")).fail();
    assert!(failure.message().ends_with("% of the server's memory is used, more than 20%"), "{failure}");
    assert_eq!((failure.class().as_str(), &failure.values()["maxmemory_bytes"]), ("unhealthy", &(used * 2).into()));
    let warned = Probed::new(&table(server.port, "warn_memory = \"20%\"\nfail_memory = \"99%\"")).pass();
    assert!(warned.warning().is_some_and(|warning| warning.ends_with("more than 20%")), "{warned:?}");
    assert_eq!(Probed::new(&table(server.port, "warn_memory = \"99%\"")).pass().warning(), None);
    set("maxmemory", "0");

    let many = told(server, "clients", "maxclients");
    set("maxclients", "1");
    let holder = eventually("the only slot is held", || {
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
    drop(holder);
    eventually("there is a slot", || (server.redis_cli(PASSWORD, &["CONFIG", "SET", "maxclients", &many]).trim() == "OK").then_some(()));

    // The data cannot be saved where a folder stands.
    fs::create_dir(server.directory.path().join("dump.rdb")).expect("a folder");
    set("save", "3600 1");
    server.redis_cli(PASSWORD, &["BGSAVE"]);
    eventually("saving has failed", || (told(server, "persistence", "rdb_last_bgsave_status") == "err").then_some(()));
    assert_failures(&[Case::new("cannot save", table(server.port, ""), "unhealthy", "the server cannot save its data")]);
    set("save", "");
    Probed::new(&table(server.port, "")).pass();
}

#[test]
fn a_server_that_starts_up_is_loading() {
    let first = redis(PASSWORD);
    first.redis_cli(PASSWORD, &["EVAL", "for i = 1, 3000 do redis.call('SET', 'key' .. i, 'value') end", "0"]);
    assert_eq!(first.redis_cli(PASSWORD, &["SAVE"]).trim(), "OK");
    let directory = folder();
    fs::copy(first.directory.path().join("dump.rdb"), directory.path().join("dump.rdb")).expect("a copy");
    // A microsecond is what a key takes; a hundredth of a second each makes half a minute.
    let slow = ["--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"];
    let loading = redis_with(directory, PASSWORD, &slow);
    assert_failures(&[Case::new("loading", table(loading.port, ""), "unhealthy", "the server is loading its data")]);
}

#[test]
fn a_replica_and_its_link() {
    let directory = folder();
    let socket = directory.path().join("redis.sock").display().to_string();
    let mut primary = redis_with(directory, PASSWORD, &["--unixsocket", &socket]);
    let by_socket = Probed::new(&format!("kind = \"redis\"\nurl = \"redis+unix://{socket}\"\npassword = \"{PASSWORD}\"\nwrite = true"));
    assert_eq!(by_socket.observed("role"), "primary");
    let (replica, strict) =
        (redis_replica(&primary, PASSWORD, &[]), redis_replica(&primary, PASSWORD, &["--replica-serve-stale-data", "no"]));
    let linked = Probed::new(&table(replica.port, "role = \"replica\"\nrequire_replica_link = true"));
    assert_eq!(linked.observed("role"), "replica");
    assert_failures(&[
        Case::new("not a primary", table(replica.port, "role = \"primary\""), "unhealthy", "the server is a replica, not a primary"),
        Case::new("read-only", table(replica.port, "write = true"), "unhealthy", "the server is read-only"),
    ]);
    primary.kill();
    eventually("the link is down", || (told(&replica, "replication", "master_link_status") == "down").then_some(()));
    let failure = linked.fail();
    assert_eq!((failure.class().as_str(), failure.message()), ("unhealthy", "the replica's link to its primary is down"));
    assert_eq!(failure.values()["role"], "replica");
    Probed::new(&table(replica.port, "role = \"replica\"")).pass();
    eventually("the other link is down", || (told(&strict, "replication", "master_link_status") == "down").then_some(()));
    assert_failures(&[Case::new("without its primary", table(strict.port, ""), "unhealthy", "the replica has lost its primary")]);
}

/// A table of sentinels on ports.
fn watched(ports: &[u16], more: &str) -> String {
    let nodes: Vec<String> = ports[1..].iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let nodes = nodes.join(", ");
    table(
        ports[0],
        &format!("mode = \"sentinel\"\nmaster_name = \"orders\"\nsentinel_password = \"{PASSWORD}\"\nnodes = [{nodes}]\n{more}"),
    )
}

#[test]
fn sentinels_lead_to_the_primary_wherever_it_is() {
    let mut first = redis(PASSWORD);
    let second = redis_replica(&first, PASSWORD, &[]);
    let sentinels = [(); 3].map(|()| sentinel(first.port, PASSWORD, PASSWORD));
    let ports = sentinels.each_ref().map(|sentinel| sentinel.port);
    for sentinel in &sentinels {
        eventually("the sentinels know each other and the replica", || {
            let known = sentinel.redis_cli(PASSWORD, &["SENTINEL", "MASTER", "orders"]);
            let field = |name: &str| known.lines().skip_while(|line| *line != name).nth(1).map(str::to_owned);
            (field("num-slaves").as_deref() == Some("1") && field("num-other-sentinels").as_deref() == Some("2")).then_some(())
        });
    }
    // One that cannot log in to what it watches, and so learns nothing.
    let stale = sentinel(second.port, PASSWORD, "wrong");
    let (hole, nobody) = (BlackHole::new(), free_port());
    let probed = Probed::new(&watched(&ports, "write = true"));
    assert_eq!(probed.observed("role"), "primary");
    let replica = Probed::new(&watched(&ports, "role = \"replica\"\nrequire_replica_link = true"));
    assert_eq!(replica.observed("role"), "replica");
    for helpless in [nobody, hole.port, stale.port, Hostile::hanging_up().port()] {
        Probed::new(&watched(&[helpless, ports[0]], "")).pass();
    }
    let with = |from: &str, to: &str| watched(&ports, "").replace(from, to);
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
        Case::new("no password for sentinels", with(&sentinels_password, ""), "rejected", sentence),
        Case::new("password", with(&format!(":{PASSWORD}@"), ":wrong@"), "rejected", "the credentials are not accepted"),
        Case::new("no sentinel is up", watched(&[nobody, nobody], ""), "unreachable", "sentinel: connection refused"),
        Case::new("a sentinel that errs", watched(&[stale.port], ""), "unhealthy", "the server is a replica, not a primary"),
        Case::new("a sentinel itself", table(ports[0], ""), "unhealthy", "the server is a sentinel: set `mode = \"sentinel\"`"),
    ]);
    sentinels_least_rights(&sentinels[0], &first);
    sentinels_cost(&sentinels[0], &first);
    encrypted_sentinels(&first);
    dropped_probes_leave_nothing_at_sentinels(&sentinels[0], &watched(&ports[..1], ""));

    first.kill();
    assert_failures(&[Case::new("before the failover", watched(&ports, ""), "unreachable", "connection refused")]);
    eventually("the sentinels have made the replica the primary", || probed.probe().ok());
    assert_eq!(told(&second, "replication", "role"), "master");
    let no_replica = Probed::new(&watched(&ports, "role = \"replica\""));
    eventually("all know that no replica is left", || {
        (no_replica.fail().message() == "sentinel: no replica of orders is up").then_some(())
    });

    // Sentinels would tell who was the primary to follow, some ten seconds later.
    let follow = |old: &Server, new: &Server| {
        old.redis_cli(PASSWORD, &["REPLICAOF", "127.0.0.1", &new.port.to_string()]);
        eventually("it follows", || (told(old, "replication", "master_link_status") == "up").then_some(()));
    };
    first.restart();
    follow(&first, &second);
    let (before, kept) = (calls(&first, "ping"), calls(&second, "ping"));
    probed.passes(3);
    assert!(calls(&second, "ping") >= kept + 3 && calls(&first, "ping") < before + 3, "the connection to the new primary is kept");
    eventually("they can be told to change again", || {
        sentinels[0].redis_cli(PASSWORD, &["SENTINEL", "FAILOVER", "orders"]).contains("OK").then_some(())
    });
    eventually("the sentinel names the other", || {
        let named = sentinels[0].redis_cli(PASSWORD, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "orders"]);
        (named.contains(&first.port.to_string()) && told(&first, "replication", "role") == "master").then_some(())
    });
    follow(&second, &first);
    // The kept connection is well, and leads to a replica now.
    assert_eq!(probed.observed("role"), "primary");
}

fn sentinels_least_rights(sentinel: &Server, server: &Server) {
    for (name, right) in [("primaries", "+sentinel|get-master-addr-by-name"), ("replicas", "+sentinel|replicas")] {
        sentinel.redis_cli(PASSWORD, &["ACL", "SETUSER", name, "on", ">sentinel-password", right]);
    }
    server.redis_cli(PASSWORD, &["ACL", "SETUSER", "probe", "on", ">probe-password", "+ping", "+info"]);
    let table = |user: &str, more: &str| {
        format!(
            "kind = \"redis\"\nurl = \"redis://probe:probe-password@127.0.0.1:{}\"\nmode = \"sentinel\"\nmaster_name = \"orders\"\n\
             sentinel_username = \"{user}\"\nsentinel_password = \"sentinel-password\"\n{more}",
            sentinel.port
        )
    };
    Probed::new(&table("primaries", "")).pass();
    // The other server has no such user, which shows that it was found.
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

/// The connection to the server is kept, so that no sentinel is asked again.
fn sentinels_cost(sentinel: &Server, server: &Server) {
    let proxy = Proxy::to(sentinel.port);
    let probed = Probed::new(&watched(&[proxy.port], "write = true"));
    probed.pass();
    let before = (proxy.connections(), calls(server, "set"));
    probed.passes(100);
    assert_eq!((proxy.connections(), calls(server, "set")), (before.0, before.1 + 100));
    eventually("the connection to the sentinel is not kept", || (proxy.open() == 0).then_some(()));
}

/// Who speaks TLS with a sentinel speaks it with the server that it names.
fn encrypted_sentinels(server: &Server) {
    let folder = tempfile::tempdir().expect("a folder");
    let certificates = Certificates::new(folder.path());
    let front = tls_front(server.port, &certificates);
    // It cannot watch what it cannot talk to, and tells the address all the same.
    let sentinel = sentinel(front, PASSWORD, PASSWORD);
    let front = tls_front(sentinel.port, &certificates);
    let trusting = format!("tls.ca_file = \"{}\"\n", certificates.authority.display());
    let table = |more: &str| watched(&[front], &(trusting.clone() + more)).replace("redis://", "rediss://");
    Probed::new(&table("tls.server_name = \"localhost\"")).pass();
    let sentence = "sentinel: the certificate is for another name";
    assert_failures(&[Case::new("another name", table(""), "tls", sentence)]);
}

fn dropped_probes_leave_nothing_at_sentinels(sentinel: &Server, table: &str) {
    let clients = || sentinel.redis_cli(PASSWORD, &["CLIENT", "LIST"]).lines().filter(|line| line.contains("cmd=sentinel")).count();
    let probed = Probed::new(&format!("{table}connection = \"fresh\""));
    probed.drop_at_every_await(false, 5);
    eventually("no connection to the sentinel is left", || (clients() == 0).then_some(()));
}

#[test]
fn a_cluster_is_asked_as_a_whole() {
    let mut nodes = redis_cluster(PASSWORD);
    let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
    let table = |port: u16, more: &str| table(port, &format!("mode = \"cluster\"\n{more}"));
    let (hole, nobody) = (BlackHole::new(), free_port());
    let slot = nodes[0].redis_cli(PASSWORD, &["CLUSTER", "KEYSLOT", "allswell:{probe}:"]).trim().to_owned();
    let missing = |node: &Server| node.redis_cli(PASSWORD, &["GET", "allswell:{probe}:"]).contains("MOVED");
    let owner = nodes.iter().position(|node| !missing(node)).expect("one has the slot");
    let other = (owner + 1) % 3;

    for port in &ports {
        assert_eq!(Probed::new(&table(*port, "write = true")).observed("cluster_state"), "ok");
    }
    for helpless in [nobody, hole.port, Hostile::hanging_up().port()] {
        Probed::new(&table(helpless, &format!("nodes = [\"127.0.0.1:{}\"]", ports[0]))).pass();
    }
    let alone = format!("kind = \"redis\"\nurl = \"redis://:{PASSWORD}@127.0.0.1:{}/0\"\nwrite = true", ports[other]);
    let database = format!("kind = \"redis\"\nurl = \"redis://:{PASSWORD}@127.0.0.1:{}/1\"\nmode = \"cluster\"", ports[0]);
    let (unknown, refused) = (table(nobody, &format!("nodes = [\"127.0.0.1:{nobody}\"]")), "connection refused");
    assert_failures(&[
        Case::new("not as one", alone, "unhealthy", "another node of the cluster has the keys"),
        Case::new("databases", database, "rejected", "there is no such database"),
        Case::new("no node", unknown, "unreachable", refused),
        Case::new("password", table(ports[0], "").replace(PASSWORD, "wrong"), "rejected", "the credentials are not accepted"),
    ]);
    clusters_least_rights(&nodes, other);
    clusters_cost(&nodes, owner, other);

    let clients = || [owner, other].map(|node| told(&nodes[node], "clients", "connected_clients"));
    let fresh = Probed::new(&table(ports[other], "write = true\nconnection = \"fresh\""));
    fresh.drop_at_every_await(false, 5);
    eventually("no connection is left but the one that asks", || (clients() == ["1", "1"]).then_some(()));

    // While its slot is on its way, the key belongs to the node that is to get it.
    let probed = Probed::new(&table(ports[owner], "write = true"));
    probed.pass();
    let id = |node: &Server| node.redis_cli(PASSWORD, &["CLUSTER", "MYID"]).trim().to_owned();
    let (from, to) = (id(&nodes[owner]), id(&nodes[other]));
    let set_slot = |node: &Server, what: &[&str]| {
        assert_eq!(node.redis_cli(PASSWORD, &[&["CLUSTER", "SETSLOT", &slot], what].concat()).trim(), "OK");
    };
    set_slot(&nodes[other], &["IMPORTING", &from]);
    set_slot(&nodes[owner], &["MIGRATING", &to]);
    let before = calls(&nodes[other], "asking");
    probed.passes(2);
    assert!(calls(&nodes[other], "asking") > before, "it was asked with the word for it");
    set_slot(&nodes[other], &["NODE", &to]);
    set_slot(&nodes[owner], &["NODE", &to]);
    probed.passes(2);
    Probed::new(&table(ports[owner], "write = true")).pass();
    for node in &nodes {
        assert_eq!(node.redis_cli(PASSWORD, &["DBSIZE"]).trim(), "0");
    }

    let seen = &ports[(owner + 2) % 3];
    let whole = Probed::new(&table(*seen, ""));
    nodes[owner].kill();
    eventually("the cluster is down", || whole.probe().err().filter(|failure| failure.message() == "the cluster is down"));
    let failure = Probed::new(&table(*seen, &format!("nodes = [\"127.0.0.1:{nobody}\"]"))).fail();
    assert_eq!((failure.class().as_str(), &failure.values()["cluster_state"]), ("unhealthy", &"fail".into()));
    for node in nodes.iter().filter(|node| node.port != ports[owner]) {
        node.redis_cli(PASSWORD, &["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let warning = eventually("it goes on without some slots", || whole.probe().ok()).warning().map(str::to_owned);
    assert!(warning.is_some_and(|warning| warning.ends_with("of the cluster's 16384 slots have no working node")));
}

fn clusters_least_rights(nodes: &[Server], other: usize) {
    for node in nodes {
        let rights = ["+ping", "+info", "+cluster|info", "+set", "+get", "+del", "+asking", "~allswell:*"];
        node.redis_cli(PASSWORD, &[&["ACL", "SETUSER", "probe", "on", ">probe-password"], &rights[..]].concat());
        node.redis_cli(PASSWORD, &["ACL", "LOG", "RESET"]);
    }
    let url = format!("redis://probe:probe-password@127.0.0.1:{}", nodes[other].port);
    Probed::new(&format!("kind = \"redis\"\nurl = \"{url}\"\nmode = \"cluster\"\nwrite = true")).passes(2);
    for node in nodes {
        assert_eq!(node.redis_cli(PASSWORD, &["ACL", "LOG"]).trim(), "", "nothing was refused");
    }
}

/// By way of the other node to the owner of the slot, and from then on to that one alone.
fn clusters_cost(nodes: &[Server], owner: usize, other: usize) {
    let probed = Probed::new(&table(nodes[other].port, "mode = \"cluster\"\nwrite = true"));
    probed.pass();
    let asked = || (calls(&nodes[owner], "ping"), calls(&nodes[other], "ping"), calls(&nodes[owner], "auth"));
    let before = asked();
    probed.passes(100);
    // The test itself logs in to the owner to count.
    assert_eq!(asked(), (before.0 + 100, before.1, before.2 + 2));
}
