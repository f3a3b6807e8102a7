//! Proxies and other servers with the protocol, by the packets that they send:
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html>.

use super::url;
use crate::probing::{Case, Probed, assert_failures};
use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

/// An error of a server: its number and text.
type Refusal = (u16, &'static str);

/// What a server does with a login and with statements other than `SELECT 1`.
#[derive(Clone, Copy)]
struct Behaviour {
    login: Option<Refusal>,
    others: Refusal,
}

/// Starts a server, which lives as long as the test process, and returns its port.
fn serve(behaviour: Behaviour) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || converse(stream, behaviour));
        }
    });
    port
}

fn converse(mut stream: TcpStream, behaviour: Behaviour) -> io::Result<()> {
    send(&mut stream, 0, &greeting())?;
    receive(&mut stream)?;
    match behaviour.login {
        Some(refusal) => return send(&mut stream, 2, &error(refusal)),
        None => send(&mut stream, 2, OK)?,
    }
    loop {
        let command = receive(&mut stream)?;
        match command.get(1..).unwrap_or_default() {
            text if text.starts_with(b"SET NAMES") => send(&mut stream, 1, OK)?,
            b"SELECT 1" => {
                let column = b"\x03def\0\0\0\x011\0\x0c\x3f\0\x01\0\0\0\x03\x81\0\0\0\0";
                for (sequence, packet) in (1..).zip([b"\x01", &column[..], EOF, b"\x011", EOF]) {
                    send(&mut stream, sequence, packet)?;
                }
            }
            _ => send(&mut stream, 1, &error(behaviour.others))?,
        }
    }
}

const OK: &[u8] = b"\0\0\0\x02\0\0\0";
const EOF: &[u8] = b"\xfe\0\0\x02\0";

/// With the flags `LONG_PASSWORD`, `CONNECT_WITH_DB`, `PROTOCOL_41`, `TRANSACTIONS`, `SECURE_CONNECTION`, and in the upper half
/// `MULTI_STATEMENTS`, `MULTI_RESULTS`, `PLUGIN_AUTH` and `PLUGIN_AUTH_LENENC_DATA`.
fn greeting() -> Vec<u8> {
    let (low, high) = (0xa209_u16.to_le_bytes(), 0x2b_u16.to_le_bytes());
    let parts: [&[u8]; 8] = [
        b"\x0a5.7.0-proxy\0\x01\0\0\0abcdefgh\0",
        &low,
        b"\x2d\x02\0",
        &high,
        b"\x15\0\0\0\0\0\0\0\0\0\0",
        b"ijklmnopqrst\0",
        b"mysql_native_password",
        b"\0",
    ];
    parts.concat()
}

fn error((number, text): Refusal) -> Vec<u8> {
    [b"\xff", &number.to_le_bytes()[..], b"#HY000", text.as_bytes()].concat()
}

fn send(stream: &mut TcpStream, sequence: u8, payload: &[u8]) -> io::Result<()> {
    let [length @ .., _] = u32::try_from(payload.len()).expect("a short packet").to_le_bytes();
    stream.write_all(&[&length[..], &[sequence], payload].concat())
}

fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header)?;
    let mut payload = vec![0; usize::from(header[0]) | usize::from(header[1]) << 8];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}

fn table(behaviour: Behaviour) -> String {
    url(&format!("mysql://app:password@127.0.0.1:{}/orders", serve(behaviour)))
}

#[test]
fn optional_statements_that_a_proxy_rejects_do_not_spoil_select_1() {
    for others in [
        (1064, "syntax error"),
        (1105, "VT12001: unsupported: SHOW REPLICA STATUS"),
        (1193, "Unknown system variable 'innodb_read_only'"),
        (1235, "User-defined variables not supported yet"),
        (1289, "feature disabled"),
    ] {
        let table = table(Behaviour { login: None, others });
        let probed = Probed::new(&table);
        probed.passes(2);
        let primary = Probed::new(&(table + "role = \"primary\""));
        assert_eq!(primary.fail().message(), "the server does not report its role", "{others:?}");
    }
}

#[test]
fn reasons_that_no_server_here_has_are_read_from_their_packets() {
    let others = (1064, "");
    let at_login = |number, text| table(Behaviour { login: Some((number, text)), others });
    let at_query = |number, text| table(Behaviour { login: None, others: (number, text) }) + "query = \"SELECT 2\"";
    let needs_tls = "the server accepts encrypted connections only: write `ssl-mode=VERIFY_IDENTITY`";
    let vitess = "unknown error: Code: UNAVAILABLE server does not allow insecure connections, client must use SSL/TLS";
    assert_failures(&[
        Case::new("locked", at_login(3118, "Account is locked."), "rejected", "the account is locked"),
        Case::new("blocked", at_login(3955, "Account is blocked"), "rejected", "the account is blocked after too many failed logins"),
        Case::new("TLS", at_login(3159, "Connections using insecure transport are prohibited"), "rejected", needs_tls),
        Case::new("Azure", at_login(9002, "SSL connection is required."), "rejected", needs_tls),
        Case::new("Vitess", at_login(1105, vitess), "rejected", needs_tls),
        Case::new("plugin", at_login(1524, "Plugin is not loaded"), "rejected", "the account's login method cannot be used"),
        Case::new("offline", at_login(3032, "offline mode"), "unhealthy", "the server is in offline mode"),
        Case::new("starting", at_login(3168, "Server isn't available"), "unhealthy", "the server is not available yet"),
        Case::new("shutdown", at_login(1053, "Server shutdown in progress"), "unhealthy", "the server is shutting down"),
        Case::new("RDS Proxy", at_login(9501, "Timed-out waiting"), "exhausted", "the proxy has no free connection to the server"),
        Case::new("ProxySQL", at_query(9001, "Max connect timeout reached"), "unhealthy", "the proxy has no server that works"),
        Case::new("MaxScale", at_query(2003, "Lost connection to backend server"), "unhealthy", "the proxy has no server that works"),
        Case::new("a lock", at_query(1205, "Lock wait timeout exceeded"), "unhealthy", "the query waited too long for a lock"),
        Case::new("a disk", at_query(1021, "Disk full"), "exhausted", "the server's disk is full"),
        Case::new(
            "a network",
            at_query(1158, "Got an error reading communication packets"),
            "unreachable",
            "the connection was interrupted",
        ),
    ]);
}
