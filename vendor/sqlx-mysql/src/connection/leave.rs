//! Ends a login that cannot continue, so that the server counts it as a rejected login.
//!
//! A server counts interrupted handshakes and blocks a host after `max_connect_errors` of them, for every client on that
//! host. It does not count a login that it has rejected itself. Nothing that is sent here is a secret.

use std::time::Duration;

use crate::connection::{MySqlStream, MAX_PACKET_SIZE};
use crate::error::Error;
use crate::net::Socket;
use crate::protocol::auth::AuthPlugin;
use crate::protocol::connect::{AuthSwitchResponse, HandshakeResponse};
use crate::protocol::text::Quit;
use crate::protocol::Capabilities;

/// How long the server may take to reject the login. The reason why the login cannot continue is known by then, and must
/// not be replaced by a timeout.
const PATIENCE: Duration = Duration::from_millis(500);

/// The answer of a client without a password to `sha256_password`, and to the full authentication of
/// `caching_sha2_password`.
const NO_PASSWORD: &[u8] = &[0];

/// A signature of the right length, which is wrong: `client_ed25519` takes any other length for an interrupted handshake.
const NO_SIGNATURE: &[u8] = &[0; 64];

/// Before the login: log in without a user, a password and a database.
pub(super) async fn as_nobody<S: Socket>(
    stream: &mut MySqlStream<S>,
    auth_plugin: Option<AuthPlugin>,
) {
    let leaving = async {
        stream.capabilities.remove(Capabilities::CONNECT_WITH_DB);
        stream.write_packet(HandshakeResponse {
            charset: super::INITIAL_CHARSET,
            max_packet_size: MAX_PACKET_SIZE,
            username: "",
            database: None,
            auth_plugin,
            auth_response: None,
        })?;
        stream.flush().await?;

        // A server hides that a user does not exist, and may ask for the login method of any other account.
        let packet = stream.recv_packet().await?;
        if packet[0] == 0xfe {
            let Some(answer) = answer(Asked::Switch(&packet)) else {
                return Ok(());
            };
            stream.write_packet(AuthSwitchResponse(answer.to_vec()))?;
            stream.flush().await?;
            stream.recv_packet().await?;
        }

        // The server has accepted the login: it has an account without a name.
        stream.send_packet(Quit).await
    };
    let _: Result<Result<(), Error>, _> = sqlx_core::rt::timeout(PATIENCE, leaving).await;
}

/// During the login, when the server asks for a method that is not supported or not allowed.
pub(super) async fn by_answering(stream: &mut MySqlStream, asked: Asked<'_>) {
    let Some(answer) = answer(asked) else { return };
    let leaving = async {
        stream.write_packet(AuthSwitchResponse(answer.to_vec()))?;
        stream.flush().await?;
        stream.recv_packet().await.map(drop)
    };
    let _: Result<Result<(), Error>, _> = sqlx_core::rt::timeout(PATIENCE, leaving).await;
}

/// What the server asks for.
pub(super) enum Asked<'a> {
    /// To switch to a login method, by the packet of that request.
    Switch(&'a [u8]),
    /// The whole password, after `caching_sha2_password` has not found it in its cache.
    WholePassword,
}

/// An answer which the server rejects; `None` if no such answer is known. A method that passes an empty password on to a
/// directory could lock an account there, so `mysql_clear_password` and `dialog` get none.
fn answer(asked: Asked<'_>) -> Option<&'static [u8]> {
    let Asked::Switch(request) = asked else {
        return Some(NO_PASSWORD);
    };
    match request.get(1..)?.split(|byte| *byte == 0).next()? {
        // The request for `mysql_old_password` has no name.
        b"" | b"mysql_old_password" | b"mysql_native_password" | b"caching_sha2_password" => {
            Some(&[])
        }
        b"client_ed25519" => Some(NO_SIGNATURE),
        b"sha256_password" => Some(NO_PASSWORD),
        _ => None,
    }
}
