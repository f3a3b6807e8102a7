//! A rogue PostgreSQL server: <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP>.

use super::{
    case::{LeakCase, Left, Request},
    lab::Lab,
    mysql::sql_case,
    peer::Peer,
};
use std::io;

/// The way in which the server requests the password.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PostgresLogin {
    Clear,
    Md5,
    /// SCRAM with a number of iterations.
    Scram(u32),
    /// SCRAM, and another request in the middle of it.
    ClearWithinScram,
    /// A SASL mechanism that is not SCRAM.
    Sasl(&'static str),
    /// GSSAPI, SSPI or Kerberos.
    Number(u32),
}

const ASKS: [(PostgresLogin, Request); 10] = [
    (PostgresLogin::Clear, Request::reveals("AuthenticationCleartextPassword", Left::Nothing)),
    (PostgresLogin::ClearWithinScram, Request::leaves("AuthenticationCleartextPassword within SCRAM", Left::Nothing)),
    (PostgresLogin::Md5, Request::leaves("AuthenticationMD5Password", Left::Scramble)),
    (PostgresLogin::Scram(4096), Request::leaves("SCRAM-SHA-256", Left::Scramble)),
    (PostgresLogin::Scram(1), Request::leaves("SCRAM-SHA-256, one iteration", Left::Scramble)),
    (PostgresLogin::Sasl("PLAIN"), Request::leaves("SASL PLAIN", Left::Nothing)),
    (PostgresLogin::Sasl("OAUTHBEARER"), Request::leaves("SASL OAUTHBEARER", Left::Nothing)),
    (PostgresLogin::Number(2), Request::leaves("AuthenticationKerberosV5", Left::Nothing)),
    (PostgresLogin::Number(7), Request::leaves("AuthenticationGSS", Left::Nothing)),
    (PostgresLogin::Number(9), Request::leaves("AuthenticationSSPI", Left::Nothing)),
];

pub(super) fn cases(lab: &Lab) -> Vec<LeakCase> {
    let transports = lab.sql_transports("sslmode", ["disable", "prefer", "require", "verify-ca", "verify-full"]);
    let mut cases = Vec::new();
    for (ask, request) in ASKS {
        for transport in &transports {
            // The driver names the file in the folder itself.
            let socket = lab.socket("postgres").with_file_name(".s.PGSQL.5432");
            let rogue = lab.rogue(transport, &socket, move |peer, _| speak(peer, ask));
            let folder = rogue.socket().and_then(|path| path.parent()).map(|folder| format!("host={}", folder.display()));
            let address = if folder.is_some() { "localhost:5432".to_owned() } else { format!("localhost:{}", rogue.port) };
            let query = folder.into_iter().chain(transport.mode.clone()).collect::<Vec<_>>().join("&");
            cases.push(sql_case("postgres", request, transport, &address, &query, rogue));
        }
    }
    cases
}

/// Requests in place of a start-up message.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// Requests the password, and rejects it with a message that contains it.
pub(super) fn echo(peer: &mut Peer) -> io::Result<()> {
    begin(peer)?;
    authentication(peer, 3, b"")?;
    let password = message(peer)?;
    let fields = [b"SFATAL\0C28P01\0Myou said ", &*password, b"\0"].concat();
    peer.write(&[b"E", &u32::try_from(4 + fields.len()).expect("a short message").to_be_bytes()[..], &fields].concat())
}

fn speak(peer: &mut Peer, ask: PostgresLogin) -> io::Result<()> {
    begin(peer)?;
    answer(peer, ask)
}

/// Everything until the start-up message.
fn begin(peer: &mut Peer) -> io::Result<()> {
    loop {
        let length = number(&peer.read(4)?);
        match number(&peer.read(4)?) {
            SSL_REQUEST if peer.offers_tls() => {
                peer.write(b"S")?;
                peer.encrypt()?;
            }
            SSL_REQUEST | GSS_REQUEST => peer.write(b"N")?,
            _ => {
                return peer.read((length as usize).saturating_sub(8)).map(drop);
            }
        }
    }
}

fn answer(peer: &mut Peer, ask: PostgresLogin) -> io::Result<()> {
    match ask {
        PostgresLogin::Clear => {
            authentication(peer, 3, b"")?;
            message(peer)?;
        }
        PostgresLogin::Md5 => {
            authentication(peer, 5, b"salt")?;
            message(peer)?;
            peer.has_proof();
        }
        PostgresLogin::Scram(iterations) => {
            let nonce = scram(peer)?;
            authentication(peer, 11, format!("r={nonce}rogue,s=c2FsdHNhbHRzYWx0c2FsdA==,i={iterations}").as_bytes())?;
            if message(peer)?.windows(3).any(|window| window == b",p=") {
                peer.has_proof();
            }
        }
        PostgresLogin::ClearWithinScram => {
            scram(peer)?;
            authentication(peer, 3, b"")?;
            message(peer)?;
        }
        PostgresLogin::Sasl(mechanism) => {
            authentication(peer, 10, format!("{mechanism}\0\0").as_bytes())?;
            message(peer)?;
        }
        PostgresLogin::Number(number) => {
            authentication(peer, number, b"")?;
            message(peer)?;
        }
    }
    Ok(())
}

/// Starts SCRAM, and returns the nonce of the client.
fn scram(peer: &mut Peer) -> io::Result<String> {
    authentication(peer, 10, b"SCRAM-SHA-256\0\0")?;
    let first = message(peer)?;
    let text = String::from_utf8_lossy(&first);
    Ok(text.split("r=").nth(1).unwrap_or_default().to_owned())
}

fn authentication(peer: &mut Peer, method: u32, more: &[u8]) -> io::Result<()> {
    let length = u32::try_from(8 + more.len()).expect("a short message");
    peer.write(&[b"R", &length.to_be_bytes()[..], &method.to_be_bytes(), more].concat())
}

/// The payload of the client's next message.
fn message(peer: &mut Peer) -> io::Result<Vec<u8>> {
    let header = peer.read(5)?;
    peer.read((number(&header[1..]) as usize).saturating_sub(4))
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}
