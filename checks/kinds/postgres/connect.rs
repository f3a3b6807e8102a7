//! Opens a connection to one of the servers: TLS or none, login, and the state that `target_session_attrs` requires.

use super::{
    Postgres, PostgresClient,
    attributes::SessionAttributes,
    reasons::{demands_other_transport, early_failure, failure, login_failure},
    servers::DatabaseServer,
    state::{ROLE, server_info},
};
use crate::{
    contract::prelude::*,
    sql::server::{MAX_REPLY_BYTES, encryption::Encryption, guarded, socket::DriverSocket},
    wire::{
        address::{self, Address, Stream},
        connect::Phases,
        meter::{Meter, Metered},
        race::{AttemptFailure, first_success},
        tls::server_end_point,
    },
};
use sqlx::{AssertSqlSafe, Executor};
use sqlx_postgres::{PgConnectOptions, PgConnection, PgLogin};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::Instant,
};

/// Whether to encrypt a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Plain,
    /// After TLS has failed with this server.
    PlainAgain,
    /// TLS if the server offers it.
    TlsIfOffered,
    Tls,
}

/// Why a server cannot be used over one transport.
enum Attempt {
    /// TLS could not be established, or the server demands the other transport: another one may work. No credentials were sent, except that
    /// the server may have rejected the user after a login.
    OtherTransport(Failure),
    Failed(Failure),
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A stream to the server.
struct Dialed {
    stream: Stream,
    is_encrypted: bool,
    /// The data of the channel binding, if it is encrypted.
    channel_binding: Option<Vec<u8>>,
}

/// Opens a connection to the first server that meets the attributes. Like libpq, it tries the next one if a server cannot be reached, is
/// starting up, or does not meet them; not if it rejects the login.
pub(super) async fn open(postgres: &Postgres) -> Result<PostgresClient, Failure> {
    let mut reason = Failure::internal("no server to try");
    for attributes in postgres.attributes.preferences() {
        let attempts = postgres.servers.iter().map(|(server, options)| attempt(postgres, server, options, *attributes));
        match first_success(attempts.collect()).await {
            Ok(ended) => return ended,
            Err(failure) => reason = failure,
        }
    }
    Err(reason)
}

/// Tries a server. An `Ok` ends the search, also if it contains the server's rejection.
async fn attempt(
    postgres: &Postgres,
    server: &DatabaseServer,
    options: &PgConnectOptions,
    attributes: SessionAttributes,
) -> Result<Result<PostgresClient, Failure>, AttemptFailure> {
    match connect(postgres, server, options, attributes).await {
        Err(failure) if matches!(failure.class(), FailureClass::Unreachable | FailureClass::Timeout) => {
            Err(AttemptFailure::not_reached(failure))
        }
        Err(failure) if failure.class() == FailureClass::Unhealthy => Err(AttemptFailure::replied(failure)),
        ended => Ok(ended),
    }
}

async fn connect(
    postgres: &Postgres,
    server: &DatabaseServer,
    options: &PgConnectOptions,
    attributes: SessionAttributes,
) -> Result<PostgresClient, Failure> {
    let mut client = over_any_transport(postgres, server, options).await?;
    if attributes == SessionAttributes::Any {
        return Ok(client);
    }
    let state = (&mut client.connection).fetch_optional(sqlx::raw_sql(AssertSqlSafe(ROLE)));
    let state = guarded(async { state.await.map_err(failure) }).await?;
    let info = state.map(|state| server_info(&state, None)).unwrap_or_default();
    if attributes.are_met_by(&info) { Ok(client) } else { Err(attributes.failure()) }
}

/// Tries the transports in the order of libpq: `prefer` begins with TLS, `allow` without it. The second one is tried if TLS cannot be
/// established, or the server's rules demand the other one.
async fn over_any_transport(postgres: &Postgres, server: &DatabaseServer, options: &PgConnectOptions) -> Result<PostgresClient, Failure> {
    let (first, second) = match postgres.encryption {
        _ if server.socket.is_some() => (Transport::Plain, None),
        Encryption::Never if postgres.may_encrypt => (Transport::Plain, Some(Transport::Tls)),
        Encryption::Never => (Transport::Plain, None),
        Encryption::IfOffered => (Transport::TlsIfOffered, Some(Transport::PlainAgain)),
        Encryption::Always => (Transport::Tls, None),
    };
    let mut phases = Phases::new();
    let addresses = addresses(postgres, server, &mut phases).await?;
    let reason = match over(postgres, (server, options), &addresses, first, phases.clone()).await {
        Ok(client) => return Ok(client),
        Err(Attempt::Failed(failure)) => return Err(failure),
        Err(Attempt::OtherTransport(failure)) => failure,
    };
    let Some(second) = second else { return Err(reason) };
    match over(postgres, (server, options), &addresses, second, phases).await {
        Ok(client) => Ok(client),
        Err(Attempt::Failed(failure)) => Err(failure),
        // Neither works: the first one says why.
        Err(Attempt::OtherTransport(_)) => Err(reason),
    }
}

async fn addresses(postgres: &Postgres, server: &DatabaseServer, phases: &mut Phases) -> Result<Vec<SocketAddr>, Failure> {
    match (&server.socket, server.address) {
        (Some(_), _) => Ok(Vec::new()),
        (None, Some(address)) => Ok(vec![SocketAddr::new(address, server.port)]),
        (None, None) => {
            let (addresses, resolving) = postgres.dialer.look_up(&Address::new(&server.host, server.port)).await?;
            phases.extend(resolving.map(|took| ("resolve_ms", took)));
            Ok(addresses)
        }
    }
}

/// Opens a connection over one transport, and logs in.
async fn over(
    postgres: &Postgres,
    (server, options): (&DatabaseServer, &PgConnectOptions),
    addresses: &[SocketAddr],
    transport: Transport,
    mut phases: Phases,
) -> Result<PostgresClient, Attempt> {
    let dialed = match &server.socket {
        Some(path) => {
            let stream: Stream = Box::new(UnixStream::connect(path).await.map_err(Failure::network)?);
            Dialed { stream, is_encrypted: false, channel_binding: None }
        }
        None if transport == Transport::PlainAgain => plain(address::connect(addresses).await?),
        None if transport == Transport::Plain => {
            let mut stream = address::connect(addresses).await?;
            // A server that accepts TLS now waits for a handshake.
            plain(if accepts_tls(&mut stream).await? { address::connect(addresses).await? } else { stream })
        }
        None => encrypted(postgres, server, addresses, transport, &mut phases).await?,
    };
    let is_proved = dialed.is_encrypted && postgres.tls.keys().proves_identity();
    let login = PgLogin {
        cleartext: postgres.allow_cleartext_password || server.socket.is_some() || is_proved,
        channel_binding: dialed.channel_binding,
        ..postgres.login.clone()
    };
    let meter = Meter::new(MAX_REPLY_BYTES);
    let stream = Box::new(Metered::new(dialed.stream, meter.clone()));
    let connecting = options.connect_with_socket(DriverSocket::new(stream), &login);
    let logged_in = guarded(async {
        Ok::<Result<PgConnection, Attempt>, Failure>(connecting.await.map_err(|error| {
            let is_other = demands_other_transport(&error);
            let failure = login_failure(error);
            if is_other { Attempt::OtherTransport(failure) } else { Attempt::Failed(failure) }
        }))
    });
    let connection = logged_in.await??;
    let tls_verify = postgres.tls.observed_verify().filter(|_| dialed.is_encrypted);
    Ok(PostgresClient { connection, meter, variant: 0, phases, tls_verify })
}

fn plain(stream: TcpStream) -> Dialed {
    Dialed { stream: Box::new(stream), is_encrypted: false, channel_binding: None }
}

async fn encrypted(
    postgres: &Postgres,
    server: &DatabaseServer,
    addresses: &[SocketAddr],
    transport: Transport,
    phases: &mut Phases,
) -> Result<Dialed, Attempt> {
    // A file that cannot be used is not the server's fault, and no reason to do without TLS.
    let tls = postgres.tls.ready().await?;
    let mut stream = address::connect(addresses).await?;
    if !accepts_tls(&mut stream).await? {
        return match transport {
            Transport::TlsIfOffered => Ok(plain(stream)),
            _ => Err(Failure::new(FailureClass::Tls, "the server does not offer TLS").into()),
        };
    }
    let connected = Instant::now();
    let stream = tls.handshake(&server.host, stream).await.map_err(Attempt::OtherTransport)?;
    phases.push(("tls_ms", connected.elapsed()));
    let channel_binding = server_end_point(&stream);
    Ok(Dialed { stream: Box::new(stream), is_encrypted: true, channel_binding })
}

/// Asks whether the server accepts TLS on this connection. A server of another protocol sends neither `S` nor `N`. The driver would read
/// the first bytes of another protocol as a length: on the port of a web server it would allocate gigabytes of memory.
/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>
async fn accepts_tls(stream: &mut TcpStream) -> Result<bool, Failure> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    stream.write_all(&SSL_REQUEST).await.map_err(Failure::network)?;
    match stream.read_u8().await.map_err(Failure::network)? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        // An error, before the server reads a request: <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>.
        b'E' => {
            let mut error = [0; 1024];
            let length = stream.read(&mut error).await.map_err(Failure::network)?;
            Err(early_failure(&error[..length]))
        }
        other => Err(Failure::protocol(format!("the first byte is {other}"))),
    }
}
