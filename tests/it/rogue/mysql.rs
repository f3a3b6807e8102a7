//! A rogue MySQL server: <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html>.

use super::{
    case::{LeakCase, Left, Request, Transport},
    lab::{Lab, PASSWORD, USER},
    peer::Peer,
};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};
use std::{io, sync::LazyLock};

/// The way in which the server requests the password.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MysqlLogin {
    /// The greeting names a plugin.
    Greeting(&'static str),
    /// The greeting names `mysql_native_password`, and then the client is switched to another plugin.
    Switch(&'static str),
    /// The first greeting is harmless; that of every later connection names `mysql_clear_password`.
    LaterGreeting,
    /// The server accepts the login, and requests a local file at the first query.
    LocalInfile,
}

const ASKS: [(MysqlLogin, Request); 10] = [
    (MysqlLogin::Greeting("mysql_native_password"), Request::leaves("mysql_native_password", Left::Scramble)),
    (MysqlLogin::Greeting("mysql_clear_password"), Request::reveals("mysql_clear_password in the greeting", Left::Nothing)),
    (MysqlLogin::Switch("mysql_clear_password"), Request::reveals("switch to mysql_clear_password", Left::Scramble)),
    (MysqlLogin::LaterGreeting, Request::reveals("mysql_clear_password from the second connection on", Left::Scramble).on_second_probe()),
    (MysqlLogin::Greeting("caching_sha2_password"), Request::reveals("caching_sha2_password, full authentication", Left::Scramble)),
    (MysqlLogin::Greeting("sha256_password"), Request::reveals("sha256_password in the greeting", Left::Nothing)),
    (MysqlLogin::Switch("caching_sha2_password"), Request::reveals("switch to caching_sha2_password, full authentication", Left::Scramble)),
    (MysqlLogin::Switch("sha256_password"), Request::reveals("switch to sha256_password", Left::Scramble)),
    (MysqlLogin::Switch("dialog"), Request::leaves("switch to dialog", Left::Scramble)),
    (MysqlLogin::LocalInfile, Request::leaves("LOCAL INFILE after the login", Left::Scramble)),
];

/// The key of the rogue server, for clients that encrypt the password with any key that they receive.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key"));

pub(super) fn cases(lab: &Lab) -> Vec<LeakCase> {
    let transports = lab.sql_transports("ssl-mode", ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]);
    let mut cases = Vec::new();
    for (ask, request) in ASKS {
        for transport in &transports {
            let rogue = lab.rogue(transport, &lab.socket("mysql"), move |peer, lab_file| speak(peer, ask, lab_file));
            let address = rogue.socket().map_or_else(|| format!("localhost:{}", rogue.port), |_| "localhost".to_owned());
            let socket = rogue.socket().map(|path| format!("socket={}", path.display()));
            let query = socket.into_iter().chain(transport.mode.clone()).collect::<Vec<_>>().join("&");
            cases.push(sql_case("mysql", request, transport, &address, &query, rogue));
        }
    }
    cases
}

/// Whether these bytes are only logins without a user, a password and a database, and how they end: the client leaves a server that it does
/// not accept so, because the server counts an interrupted handshake against the host of the client.
pub(super) fn are_logins_of_nobody(mut bytes: &[u8]) -> bool {
    while let Some((&[low, middle, high, number], rest)) = bytes.split_first_chunk() {
        let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        let Some((packet, rest)) = rest.split_at_checked(length) else { return false };
        let is_harmless = match number {
            2 => is_login_of_nobody(packet),
            // COM_QUIT, or an answer without a password: empty, one zero, or a signature of zeros.
            0 => packet == [1],
            _ => [0, 1, 64].contains(&length) && packet.iter().all(|byte| *byte == 0),
        };
        if !is_harmless {
            return false;
        }
        bytes = rest;
    }
    bytes.is_empty()
}

/// Capabilities, maximum, character set and 23 zeros; then an empty user, an empty proof, and the method that the server has named.
fn is_login_of_nobody(packet: &[u8]) -> bool {
    const CONNECT_WITH_DB: u8 = 8;
    let Some((fixed, rest)) = packet.split_at_checked(32) else { return false };
    let Some(method) = rest.strip_prefix(&[0, 0]).and_then(|rest| rest.strip_suffix(&[0])) else { return false };
    fixed[0] & CONNECT_WITH_DB == 0
        && fixed[9..].iter().all(|byte| *byte == 0)
        && method.iter().all(|byte| b"_0123456789abcdefghijklmnopqrstuvwxyz".contains(byte))
}

#[test]
fn a_login_with_a_name_a_proof_or_a_database_is_not_one_of_nobody() {
    let login = |capabilities: u8, end: &[u8]| {
        let packet = [&[capabilities, 170, 43, 1, 0, 4, 0, 0, 45][..], &[0; 23], end].concat();
        [&[u8::try_from(packet.len()).expect("it is short"), 0, 0, 2][..], &packet].concat()
    };
    let nobody = login(0, b"\0\0sha256_password\0");
    assert!(are_logins_of_nobody(&nobody));
    assert!(are_logins_of_nobody(&[&nobody[..], &[1, 0, 0, 0, 1], &nobody].concat()));
    assert!(are_logins_of_nobody(&[&nobody[..], &[1, 0, 0, 4, 0]].concat()));
    for other in [
        login(0, b"app\0\0sha256_password\0"),
        login(0, b"\0\x01xsha256_password\0"),
        login(8, b"\0\0sha256_password\0"),
        login(8, b"\0\0orders\0sha256_password\0"),
        [&nobody[..], &[3, 0, 0, 4, b'p', b'w', 0]].concat(),
        [&nobody[..], &[2, 0, 0, 0, 3, b'x']].concat(),
        nobody[..20].to_vec(),
        b"hunter2".to_vec(),
    ] {
        assert!(!are_logins_of_nobody(&other), "{other:?}");
    }
}

/// A check of an SQL database, with its password in the URL over plain TCP, and otherwise in its own key.
pub(super) fn sql_case(
    kind: &'static str,
    request: Request,
    transport: &Transport,
    address: &str,
    query: &str,
    rogue: super::peer::Rogue,
) -> LeakCase {
    let (key, user, separate) = if transport.is_plain() {
        ("url", format!("{USER}:{PASSWORD}"), String::new())
    } else {
        ("password", USER.to_owned(), format!("password = \"{PASSWORD}\"\n"))
    };
    let table = format!("kind = \"{kind}\"\nurl = \"{kind}://{user}@{address}/orders?{query}\"\n{separate}{}", transport.keys);
    LeakCase::new(kind, key, request, transport, table, rogue)
}

fn speak(peer: &mut Peer, ask: MysqlLogin, file: &str) -> io::Result<()> {
    let greeted = match ask {
        MysqlLogin::Greeting(plugin) => plugin,
        MysqlLogin::LaterGreeting if peer.number > 0 => "mysql_clear_password",
        MysqlLogin::Switch(_) | MysqlLogin::LaterGreeting | MysqlLogin::LocalInfile => "mysql_native_password",
    };
    let mut packets = Packets { peer, sequence: 0, nonce: NONCE };
    packets.send(&greeting(greeted, packets.peer.offers_tls()))?;
    let mut response = packets.receive()?;
    if response.len() == 32 && packets.peer.offers_tls() {
        packets.peer.encrypt()?;
        response = packets.receive()?;
    }
    if has_proof(&response) {
        packets.peer.has_proof();
    }
    match ask {
        MysqlLogin::Greeting("caching_sha2_password") => {
            packets.send(&[1, 4])?;
            packets.receive()?;
        }
        MysqlLogin::Switch(plugin) => {
            packets.nonce = LATER_NONCE;
            packets.send(&[b"\xfe", plugin.as_bytes(), b"\0", LATER_NONCE, b"\0"].concat())?;
            packets.receive()?;
            if plugin == "caching_sha2_password" {
                packets.send(&[1, 4])?;
                packets.receive()?;
            }
        }
        _ => {}
    }
    // Logged in.
    packets.send(&[0, 0, 0, 2, 0, 0, 0])?;
    packets.sequence = 0;
    packets.receive()?;
    if ask == MysqlLogin::LocalInfile {
        packets.send(&[b"\xfb", file.as_bytes()].concat())?;
    }
    Ok(())
}

const NONCE: &[u8] = b"abcdefghijklmnopqrst";
const LATER_NONCE: &[u8] = b"ABCDEFGHIJKLMNOPQRST";

/// The first packet.
pub(super) fn greeting(plugin: &str, tls: bool) -> Vec<u8> {
    // LONG_PASSWORD, CONNECT_WITH_DB, LOCAL_FILES, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, and SSL.
    let low = 0x1_u16 | 0x8 | 0x80 | 0x200 | 0x2000 | 0x8000 | if tls { 0x800 } else { 0 };
    // MULTI_STATEMENTS, MULTI_RESULTS, PLUGIN_AUTH, PLUGIN_AUTH_LENENC_DATA, DEPRECATE_EOF.
    let high = 0x1_u16 | 0x2 | 0x8 | 0x20 | 0x100;
    [
        b"\x0a8.0.33\0\x01\0\0\0",
        &NONCE[..8],
        b"\0",
        &low.to_le_bytes(),
        b"\x2d\x02\0",
        &high.to_le_bytes(),
        b"\x15\0\0\0\0\0\0\0\0\0\0",
        &NONCE[8..],
        b"\0",
        plugin.as_bytes(),
        b"\0",
    ]
    .concat()
}

/// Whether a handshake response contains a reply for the plugin.
fn has_proof(response: &[u8]) -> bool {
    let user = response.get(32..).unwrap_or_default();
    let end = user.iter().position(|byte| *byte == 0).unwrap_or(user.len());
    user.get(end + 1).is_some_and(|length| *length > 0)
}

struct Packets<'a> {
    peer: &'a mut Peer,
    sequence: u8,
    /// The last nonce that the server sent.
    nonce: &'static [u8],
}

impl Packets<'_> {
    fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let [length @ .., _] = u32::try_from(payload.len()).expect("a short packet").to_le_bytes();
        self.peer.write(&[&length[..], &[self.sequence], payload].concat())
    }

    /// The next packet. A client that requests a key gets one, and then replies.
    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let payload = self.packet()?;
        if payload != [1] && payload != [2] {
            return Ok(payload);
        }
        let pem = format!("\x01{}", public_key());
        self.send(pem.as_bytes())?;
        let payload = self.packet()?;
        if unsealed(&payload, self.nonce).is_some_and(|password| password == format!("{PASSWORD}\0").as_bytes()) {
            self.peer.has_sealed();
        }
        Ok(payload)
    }

    fn packet(&mut self) -> io::Result<Vec<u8>> {
        let header = self.peer.read(4)?;
        self.sequence = header[3].wrapping_add(1);
        self.peer.read(usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16)
    }
}

/// Decrypts the part of a packet that was encrypted with our key, as MySQL's server does.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html>
fn unsealed(packet: &[u8], nonce: &[u8]) -> Option<Vec<u8>> {
    let key = PrivateDecryptingKey::from_pkcs8(KEY.serialized_der()).expect("a key");
    let key = OaepPrivateDecryptingKey::new(key).expect("a key");
    packet.windows(key.key_size_bytes()).find_map(|sealed| {
        let mut room = vec![0; key.key_size_bytes()];
        let text = key.decrypt(&OAEP_SHA1_MGF1SHA1, sealed, &mut room, None).ok()?;
        Some(text.iter().zip(nonce.iter().cycle()).map(|(byte, nonce)| byte ^ nonce).collect())
    })
}

fn public_key() -> String {
    let base64 = crate::secrets::base64_of(&KEY.subject_public_key_info());
    format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n")
}
